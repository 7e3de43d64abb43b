"""A Ray of one's own on this machine, with no process that a search there has no use for.

`ray.init` starts seven processes and a worker for each CPU, which take half a second to a second of a processor each,
and waits for most of them. A search needs the cluster's two servers (gcs_server, raylet), the two agents without which
no worker starts, and the workers. It does without (Ray 2.60)

- the dashboard's server, which runs and is waited for even where there is to be no dashboard;
- the autoscaler's monitor and the log monitor, which send what they and the workers say to a driver that does not show
  it. Where Ray's own messages are to be seen, both are there.

And its agent listens at a free port. At Ray's own, where another Ray of the machine has it, it tries for three seconds
and then goes on without one.

Its processes are a group of their own: a signal to that of the search (`timeout`, a service that is stopped) asks the
search to end in order, for which it needs them; they end with it in any case.

`ray.init` would also wait for nothing, some two seconds while the driver loads the rest of the search in another
thread: to see whether it could have a dashboard, it loads some 250 modules in the driver, and waits for the interpreter
at each; and having looked for its node once and too early, it looks again after a second.

And it would not start where there is no home folder to keep its token in, as for a container's user without a name.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray._private import node, ray_constants, services, utils, worker
from ray._private.authentication import authentication_token_setup
from ray._private.authentication.authentication_token_generator import generate_new_authentication_token
from ray._private.authentication.authentication_token_setup import generate_and_save_token

_NOWHERE = b"127.0.0.1:0"
"""The address of a dashboard that is not there."""
_LOOK_S = 0.02
_PATIENCE_S = 3.0
"""How long to look for the node; Ray then does so itself, and says what is wrong."""


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

        def start_ray_processes(self) -> None:
            super().start_ray_processes()  # type: ignore[no-untyped-call]
            gcs, until_s = self.get_gcs_client(), time.monotonic() + _PATIENCE_S  # type: ignore[no-untyped-call]
            while time.monotonic() < until_s and not gcs.get_all_node_info(timeout=_PATIENCE_S):
                time.sleep(_LOOK_S)

    is_installed = _instead(utils, "get_dashboard_dependency_error", lambda: None)  # as pyproject.toml asks
    apart = _instead(services, "ConsolePopen", partial(services.ConsolePopen, process_group=0))
    token = _instead(authentication_token_setup, "generate_and_save_token", _keep_a_token)
    with _instead(node, "Node", Lean), is_installed, apart, token:
        return ray.init(address="local", include_dashboard=with_dashboard, log_to_driver=log_to_driver, **options)


def _keep_a_token() -> None:
    """In the home folder, as Ray does, for all that it starts there; else in the environment, for this one alone."""
    try:
        generate_and_save_token()
    except (OSError, RuntimeError):  # the latter where there is no home folder at all
        os.environ["RAY_AUTH_TOKEN"] = generate_new_authentication_token()


@contextmanager
def _instead(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Have Ray find something else under a name."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def is_own() -> bool:
    """Whether this process has started the Ray that it is connected to."""
    return own_session() is not None


def own_session() -> Path | None:
    """The folder with sockets and logs of the Ray that this process has started; None where it has started none."""
    here = worker._global_node
    return Path(here.get_session_dir_path()) if here is not None and here.is_head() else None


def remove_session(folder: Path) -> None:
    """Remove the folder of a Ray that has been shut down; what cannot be removed stays.

    `session_latest` goes with it where it leads there: a link that leads nowhere is one that no later Ray replaces.
    """
    latest = folder.with_name(ray_constants.SESSION_LATEST)
    with suppress(OSError):
        if latest.readlink() == folder:
            latest.unlink()
    shutil.rmtree(folder, ignore_errors=True)
