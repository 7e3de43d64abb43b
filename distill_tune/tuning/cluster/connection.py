"""The Ray cluster that a search runs on: a private one on this machine, or an existing one.

Starting one takes seconds that the driver would spend waiting, so a thread does it while the rest of the search loads.
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
"""Maximum length in bytes of a socket's path on Linux (unix(7))."""
_ANSWER_S = 5.0
_LONGEST = 300
_NO_PROXIES = "SOCKS support in urllib3 requires"
"""Start of a warning by urllib3 while requests, which Ray imports, loads its last part.

Requests suppresses it, but with a filter that is lost if another thread leaves a `catch_warnings` entered earlier.
"""
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
        ConfigError: nothing listens at `address` or at Ray's RAY_ADDRESS, or it is a Ray Client address.
    """
    where = address or os.environ.get("RAY_ADDRESS") or ""
    if where.startswith("ray://"):  # Tune would run on the head, in a process that our decisions do not reach
        raise ConfigError(
            f"{_named(address)} {where}: a search cannot run through Ray Client; start it on a node with "
            "--address auto, or submit it with cluster/submit.sh."
        )
    match = re.fullmatch(r"(?:\w+://)?\[?([^/\]]+?)\]?:(\d+)", where)
    if match is None:  # "auto", "local", or nothing: Ray finds or starts one
        return
    try:
        socket.create_connection((match[1], int(match[2])), _ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"{_named(address)} {where}: no Ray cluster answers there ({error}); {_CURE}.") from error


def check_sockets() -> None:
    """Refuse a temporary folder whose name is too long for the sockets that a private Ray creates there.

    Raises:
        ConfigError: their paths would be longer than the system allows.
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
    """Whether the search joins an existing cluster instead of starting a private one on this machine."""
    return bool(address or os.environ.get("RAY_ADDRESS"))


class Connection:
    """`with Connection(...) as connection: ...; connection.wait()`: connects during the block, closes at its end.

    The session folder of a private Ray, with its sockets and logs, is removed unless something failed or Ray reported
    something: then its logs may be needed (`keeps_logs`). The thread that starts Ray's processes must live as long as
    they do: the kernel ends them with it (PR_SET_PDEATHSIG).
    """

    def __init__(self, address: str | None, resources: ResourcesConfig, say: Callable[[str], None] = lambda line: None):
        """Connect to the cluster at `address`, at Ray's RAY_ADDRESS, or to a new one on this machine.

        `say` receives a line for each thing that Ray reports, such as a lost node or a worker killed for lack of
        memory.
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
        warnings.filterwarnings("ignore", _NO_PROXIES)  # not in the thread: any thread may restore the filters
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
        """Wait until the connection is established.

        Raises:
            ConfigError: Ray cannot be reached.
            DistillTuneError: a private Ray cannot be started; what has been prepared is kept.
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
        except Exception as error:  # Ray has no class for it, but raises OSError, TimeoutError, or Exception itself
            if not existing:
                raise DistillTuneError(
                    f"Ray cannot be started on this machine ({one_line(error)}); {_way_out(error)}, or set "
                    f"{RAY_LOGS}=1 to see its own messages."
                ) from error
            raise ConfigError(
                f"{_named(self._address)} {existing}: Ray cannot be reached there ({one_line(error)}); where its "
                f"tokens are on, set RAY_AUTH_MODE=token; {_CURE}."
            ) from error

    def _tell(self, line: str) -> None:
        self.keeps_logs = True
        self._say(line)


def _way_out(error: Exception) -> str:
    """Ray says of some waits only in words that they have timed out."""
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return "the machine may be busy: try again"
    return "mend that"


def _tell_in_brief(say: Callable[[str], None]) -> Callable[[], None]:
    """Print only the first sentence of each message from Ray, once; some forty lines of logs would follow it.

    Returns a function that restores the original printing.
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
