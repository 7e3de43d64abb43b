"""A private Ray on this machine, without the processes that a search there does not need.

`ray.init` starts seven processes and a worker for each CPU, which take half a second to a second of CPU time each, and
waits for most of them. A search needs the cluster's two servers (gcs_server, raylet), the two agents without which no
worker starts, and the workers. It does without (Ray 2.60)

- the dashboard's server, which is started and waited for even if no dashboard is wanted;
- the autoscaler's monitor and the log monitor, which send their own and the workers' output to a driver that does not
  show it. If Ray's own messages are to be shown, both run.

Its agent listens at a free port. If another Ray on this machine has Ray's default port, the agent would try it for
three seconds and then continue without one.

Its processes form a separate process group: a signal to the search's group (`timeout`, a service that is stopped) asks
the search to end in order, for which it needs them; they end with it in any case.

Two waits of `ray.init`, some two seconds while the driver loads the rest of the search in another thread, are avoided
too: to see whether a dashboard is possible, it loads some 250 modules in the driver, waiting for the interpreter at
each; and after looking for its node once, too early, it looks again only after a second.

Finally, it would not start without a home folder to keep its token in, as for a container's nameless user.
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
"""Address of a dashboard that does not exist."""
_LOOK_S = 0.02
_PATIENCE_S = 3.0
"""How long to look for the node; then Ray looks itself, and reports what is wrong."""


def start_own_ray(with_dashboard: bool, log_to_driver: bool, **options: Any) -> Any:
    """Start one and connect to it like `ray.init(**options)`; several workers per trial need its dashboard."""

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
            # Without an address, the agent would look for one every second, and log each time that there is none.
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
    """Keep a token in the home folder, as Ray does; if that fails, in the environment, for this Ray alone."""
    try:
        generate_and_save_token()
    except (OSError, RuntimeError):  # the latter if there is no home folder at all
        os.environ["RAY_AUTH_TOKEN"] = generate_new_authentication_token()


@contextmanager
def _instead(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Temporarily replace an attribute that Ray looks up."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def is_own() -> bool:
    """Whether this process started the Ray that it is connected to."""
    return own_session() is not None


def own_session() -> Path | None:
    """The folder with sockets and logs of the Ray that this process started; None if it started none."""
    here = worker._global_node
    return Path(here.get_session_dir_path()) if here is not None and here.is_head() else None


def remove_session(folder: Path) -> None:
    """Remove the folder of a Ray that has been shut down; what cannot be removed stays.

    `session_latest` is removed too if it points there: no later Ray would replace a dangling link.
    """
    latest = folder.with_name(ray_constants.SESSION_LATEST)
    with suppress(OSError):
        if latest.readlink() == folder:
            latest.unlink()
    shutil.rmtree(folder, ignore_errors=True)
