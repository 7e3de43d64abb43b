"""A Ray of one's own on this machine, with no process that a search there has no use for.

`ray.init` starts seven processes and a worker for each CPU, which take half a second to a second of a processor each,
and waits for most of them. A search needs the cluster's two servers (gcs_server, raylet), the two agents without which
no worker starts, and the workers. It does without (Ray 2.60)

- the dashboard's server, which runs and is waited for even where there is to be no dashboard;
- the autoscaler's monitor and the log monitor, which send what they and the workers say to a driver that does not show
  it. Where Ray's own messages are to be seen, both are there.

And its agent listens at a free port. At Ray's own, where another Ray of the machine has it, it tries for three seconds
and then goes on without one.
"""

from __future__ import annotations

from typing import Any

import ray
from ray._private import node, ray_constants, worker

_NOWHERE = b"127.0.0.1:0"
"""The address of a dashboard that is not there."""


def start_own_ray(with_dashboard: bool, log_to_driver: bool, **options: Any) -> Any:
    """Start one and connect to it, as `ray.init(**options)` does; several workers a trial need its dashboard."""

    class Lean(node.Node):
        def __init__(self, ray_params: Any, **options: Any):
            ray_params.update(
                dashboard_agent_listen_port=0, no_monitor=not log_to_driver, include_log_monitor=log_to_driver
            )
            super().__init__(ray_params, **options)

        def start_api_server(self, **options: Any) -> None:
            if with_dashboard:
                super().start_api_server(**options)
                return
            key, namespace = ray_constants.DASHBOARD_ADDRESS.encode(), ray_constants.KV_NAMESPACE_DASHBOARD
            # Its agent would look for the address each second, and write each time that there is none.
            self.get_gcs_client().internal_kv_put(key, _NOWHERE, True, namespace)  # type: ignore[no-untyped-call]

    rays_own, node.Node = node.Node, Lean  # type: ignore[assignment,misc]
    try:
        return ray.init(address="local", include_dashboard=with_dashboard, log_to_driver=log_to_driver, **options)
    finally:
        node.Node = rays_own  # type: ignore[misc]


def is_own() -> bool:
    """Whether this process has started the Ray that it is connected to."""
    here = worker._global_node
    return here is not None and here.is_head()
