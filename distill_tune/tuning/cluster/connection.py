"""The Ray cluster that a search runs on: one of its own on this machine, or one that is there already.

Starting one takes seconds in which the driver would only wait, so it is done in a thread while the rest of the search
is loaded.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any

from distill_tune.config.searching import ResourcesConfig
from distill_tune.errors import ConfigError, DistillTuneError, one_line
from distill_tune.tuning.interrupts import keep_children_up

RAY_LOGS = "DISTILL_TUNE_RAY_LOGS"
"""Set to 1 to see Ray's own messages."""

_MOST_OF_A_SOCKET = 107
"""Bytes of a socket's path on Linux (unix(7))."""
_ANSWER_S = 5.0
_LONGEST = 300
_NO_PROXIES = "SOCKS support in urllib3 requires"
"""What urllib3 says as requests, which Ray imports, tries its last part. Requests silences it, but by a filter of its
own, which is lost where another thread leaves a `catch_warnings` that it had entered before."""
_CURE = "`ray start --head` starts one and says its address"

QUIET = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths of the user's configuration keep their meaning
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a failed trial reports no metric
    "TUNE_WARN_THRESHOLD_S": "5",
    "RAY_TRAIN_METRICS_ENABLED": "0",
}


def check_answers(address: str | None) -> None:
    """Refuse a cluster that does not answer, before anything is prepared for it.

    Raises:
        ConfigError: nothing listens at `address`, or at Ray's own RAY_ADDRESS, or it is one of Ray Client's.
    """
    where = address or os.environ.get("RAY_ADDRESS") or ""
    if where.startswith("ray://"):  # Tune would run on the head, in a process that this one's decisions do not reach
        raise ConfigError(
            f"{_named(address)} {where}: a search cannot run through Ray Client; start it on a node with "
            "--address auto, or submit it with cluster/submit.sh."
        )
    match = re.fullmatch(r"(?:\w+://)?\[?([^/\]]+?)\]?:(\d+)", where)
    if match is None:  # "auto", "local", or nothing: Ray finds it or makes it
        return
    try:
        socket.create_connection((match[1], int(match[2])), _ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"{_named(address)} {where}: no Ray cluster answers there ({error}); {_CURE}.") from error


def check_sockets() -> None:
    """Refuse a folder for temporary files whose name is too long for the sockets that a Ray of one's own has there.

    Raises:
        ConfigError: they would have longer names than the system lets them have.
    """
    key = next((name for name in ("RAY_TMPDIR", "TMPDIR") if name in os.environ), None)
    if key is None:
        return
    longest = f"{os.environ[key]}/ray/session_2026-11-24_13-15-00_000000_{os.getpid()}/sockets/plasma_store"
    if (excess := len(os.fsencode(longest)) - _MOST_OF_A_SOCKET) > 0:
        raise ConfigError(
            f"{key} {os.environ[key]:.200}: Ray's sockets below it would have names of more than {_MOST_OF_A_SOCKET} "
            f"bytes; set {key} to a folder whose path is shorter by {excess} or more."
        )


def _named(address: str | None) -> str:
    return "--address" if address else "RAY_ADDRESS"


def is_there_already(address: str | None) -> bool:
    """Whether the search is to join a cluster, and not to start its own on this machine."""
    return bool(address or os.environ.get("RAY_ADDRESS"))


class Connection:
    """`with Connection(...) as connection: ...; connection.wait()`: made while the block goes on, closed at its end.

    The folder that a Ray of one's own has had for its sockets and logs is removed, unless something has failed or Ray
    had something to tell: then its logs may be asked for (`keeps_logs`).
    The thread that starts Ray's processes must live as long as they: the kernel ends them with it (PR_SET_PDEATHSIG).
    """

    def __init__(self, address: str | None, resources: ResourcesConfig, say: Callable[[str], None] = lambda line: None):
        """To the cluster at `address`, at Ray's own RAY_ADDRESS, or to a new one on this machine.

        `say` hears, in a line each, of what Ray finds worth telling: a node that was lost, a worker that was killed
        because memory was short.
        """
        self._address, self._resources, self._say = address, resources, say
        self.keeps_logs = os.environ.get(RAY_LOGS) == "1"
        self._made, self._over = threading.Event(), threading.Event()
        self._fault: Exception | None = None
        self._undo: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._hold, name="Ray's start", daemon=True)

    def __enter__(self) -> Connection:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        warnings.filterwarnings("ignore", _NO_PROXIES)  # not in the thread: filters are restored by all of them
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._made.wait()
        if self._fault is None:
            import ray

            from distill_tune.tuning.cluster.own_ray import own_session, remove_session

            folder = own_session()
            ray.shutdown()
            if folder is not None and error is None and not self.keeps_logs:
                remove_session(folder)
        self._undo()
        self._over.set()
        self._thread.join()

    def wait(self) -> None:
        """Return when the connection is there.

        Raises:
            ConfigError: Ray cannot be reached.
            DistillTuneError: one of its own cannot be started; what has been prepared is kept.
        """
        self._made.wait()
        if self._fault is not None:
            raise self._fault

    def _hold(self) -> None:
        keep_children_up()
        try:
            self._connect()
        except Exception as fault:  # raised in `wait`, for the thread that waits
            self._fault = fault
            return
        finally:
            self._made.set()
        self._over.wait()

    def _connect(self) -> None:
        import ray

        from distill_tune.tuning.cluster.own_ray import start_own_ray

        loud = os.environ.get(RAY_LOGS) == "1"
        level = logging.INFO if loud else logging.ERROR
        for name in ("ray.tune", "ray.train"):
            logging.getLogger(name).setLevel(logging.INFO if loud else logging.CRITICAL)  # we say how trials end
        if not loud:
            self._undo = _tell_in_brief(self._tell)
        existing = self._address or os.environ.get("RAY_ADDRESS")
        options: dict[str, Any] = {"log_to_driver": loud, "logging_level": level, "configure_logging": True}
        try:
            if existing:
                ray.init(address=existing, **options)
            else:
                start_own_ray(with_dashboard=self._resources.workers_per_trial > 1, **options)
        except Exception as error:  # Ray has none of its own for it, but OSError, TimeoutError, or Exception itself
            if not existing:
                raise DistillTuneError(
                    f"Ray cannot be started on this machine ({one_line(error)}); mend that, or set "
                    f"{RAY_LOGS}=1 to see its own messages."
                ) from error
            raise ConfigError(
                f"{_named(self._address)} {existing}: Ray cannot be reached there ({one_line(error)}); where its "
                f"tokens are on, set RAY_AUTH_MODE=token; {_CURE}."
            ) from error

    def _tell(self, line: str) -> None:
        self.keeps_logs = True
        self._say(line)


def _tell_in_brief(say: Callable[[str], None]) -> Callable[[], None]:
    """Tell the first sentence of Ray's own messages to a driver, once; they go on with some forty lines of its logs.

    Returns what has them told as before.
    """
    from ray._private import worker

    told, before = set[str](), worker.print_to_stdstream

    def brief(data: dict[str, Any], ignore_prefix: bool) -> None:
        for line in data["lines"]:
            sentence = re.split(r"\.\s", " ".join(line.split()), maxsplit=1)[0][:_LONGEST].rstrip(".")
            if sentence and sentence not in told:
                told.add(sentence)
                say(f"Ray: {sentence}")

    worker.print_to_stdstream = brief
    return lambda: setattr(worker, "print_to_stdstream", before)
