"""Check the nodes of a cluster before anything is prepared for them: their versions, and what they share.

Each is asked, through Ray, for its versions, to read what the driver wrote below --storage, and to write what the
driver then reads. If a node has another disk there, files are copied to and fro (`workers/files.py`), and the user is
told, since the folder may have been meant to be mounted there. Nodes that join later are not asked.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray

from distill_tune.errors import ConfigError, one_line
from distill_tune.export.versions import versions
from distill_tune.registry import load_dotted
from distill_tune.tuning.cluster.own_ray import is_own
from distill_tune.tuning.cluster.pinning import on_node, other_nodes, this_node

_PATIENCE_S = 30.0
"""How long a worker process may take to start, even on a busy node, before the node is named."""
_ANSWER_S = 1800.0
"""The same if a runtime environment must be installed first; Ray has a similar limit for that."""
_MUST_AGREE = ("distill_tune", "python", "ray", "torch")
_TOKEN = "driver"


@dataclass(frozen=True)
class Answer:
    """What a node reports about itself."""

    read: str
    """What it read in the storage."""
    problem: str = ""
    """Why it could not read or write there."""
    versions: dict[str, str] = field(default_factory=dict)
    lacks_gpu: bool = False
    """Whether PyTorch finds no GPU there, although one is needed."""
    lacks_part: str = ""
    """Why a user-defined part cannot be loaded there."""


def ask_from_here(folder: str, token: str, needs_gpu: bool, parts: Sequence[str]) -> Answer:
    """Read the driver's token in `folder`, and write `token` to a file of that name; runs on a node.

    `parts` are the dotted paths of user-defined parts.
    """
    lacks_gpu = needs_gpu and not _finds_gpu()
    answer = Answer("", "", _own_versions(), lacks_gpu, next(filter(None, map(_why_it_is_lacking, parts)), ""))
    try:
        read = (Path(folder) / _TOKEN).read_text(encoding="utf-8")
        (Path(folder) / token).write_text(token, encoding="utf-8")
    except OSError as error:
        return replace(answer, problem=error.strerror or str(error))
    return replace(answer, read=read)


def _why_it_is_lacking(part: str) -> str:
    try:
        load_dotted(part)
    except ConfigError as error:
        return str(error).rstrip(".")
    return ""


def _own_versions() -> dict[str, str]:
    """Versions without PyTorch's GPU suffix: a head node without GPUs may go with nodes that have some."""
    return {name: version.partition("+")[0] for name, version in versions().items() if name in _MUST_AGREE}


def _finds_gpu() -> bool:
    """Ask PyTorch in a separate process: a task without GPUs sees none if RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO is set."""
    ask = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    return subprocess.run([sys.executable, "-c", ask], env=environment, check=False).returncode == 0


@dataclass(frozen=True)
class Nodes:
    """The nodes that are alive."""

    count: int
    apart: tuple[str, ...] = ()
    """Nodes with another disk at the storage's path, each with the reason if it gave one."""

    def in_words(self, storage: Path) -> str:
        """How the nodes relate to the storage, in words."""
        if not self.apart:
            return f"{self.count} nodes share {storage}"
        some = f"{len(self.apart)} of {self.count} nodes have another disk at {storage}"
        return f"{some} ({self.apart[0]}), so that their files come and go through Ray"


def look_at_nodes(storage: Path, needs_gpus: bool, say: Callable[[str], None], own_parts: Sequence[str] = ()) -> Nodes:
    """Check every other node that is alive; of the driver's own, only whether PyTorch finds its GPUs.

    `say` receives a message about a node that is waited for; `own_parts` are the dotted paths of user-defined parts
    that trials load.

    Raises:
        ConfigError: a node has other versions, no GPU that PyTorch finds, or not all user-defined parts; or it does not
        answer.
    """
    if needs_gpus and not is_own():  # of our own Ray, `places.py` has counted only GPUs that PyTorch finds
        check_gpus_of(this_node())
    others = other_nodes()
    if not others:
        return Nodes(1)
    storage.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=storage, prefix=".preflight-") as folder:
        apart = tuple(_ask(others, Path(folder), needs_gpus, say, own_parts))
    return Nodes(1 + len(other_nodes()), apart)


def check_gpus_of(here: dict[str, Any]) -> None:
    """Refuse the driver's own node if trials may get GPUs there, but PyTorch finds none.

    Raises:
        ConfigError: it does not.
    """
    if min(here["Resources"].get(kind, 0) for kind in ("CPU", "GPU")) > 0:
        check_answer(_named(here), Answer("", versions=_own_versions(), lacks_gpu=not _finds_gpu()))


def _ask(
    nodes: list[dict[str, Any]], folder: Path, needs_gpus: bool, say: Callable[[str], None], own_parts: Sequence[str]
) -> Iterator[str]:
    """The nodes that do not share the folder."""
    token = uuid.uuid4().hex
    (folder / _TOKEN).write_text(token, encoding="utf-8")
    ask = ray.remote(ask_from_here)
    answers = []
    for node in nodes:
        asked = ask.options(num_cpus=0, max_retries=0, scheduling_strategy=on_node(node["NodeID"]))
        has_gpus = node["Resources"].get("GPU", 0) > 0
        answers.append(asked.remote(str(folder), node["NodeID"], needs_gpus and has_gpus, own_parts))
    for node, answer in zip(nodes, answers, strict=True):
        said = _answer_of(node, answer, say)
        if said is None:
            continue
        check_answer(_named(node), said)
        if said.problem or said.read != token or not (folder / node["NodeID"]).exists():
            yield _named(node) + (f": {said.problem}" if said.problem else "")


def _named(node: dict[str, Any]) -> str:
    return f"node {node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def _answer_of(asked: dict[str, Any], reference: Any, say: Callable[[str], None]) -> Answer | None:
    """A node's answer; None if it has left the cluster since it was asked."""
    node = _named(asked)
    if not ray.wait([reference], timeout=_PATIENCE_S)[0]:
        say(f"waiting for {node}, which may still be installing the job's runtime environment")
    try:
        answer: Answer = ray.get(reference, timeout=_ANSWER_S)
    except ray.exceptions.GetTimeoutError as error:
        raise ConfigError(
            f"--address: {node} has not answered for {_ANSWER_S:g} s; see the logs of its runtime environment, or take "
            "it out of the cluster."
        ) from error
    except ray.exceptions.RayError as error:
        if not any(other["NodeID"] == asked["NodeID"] and other["Alive"] for other in ray.nodes()):
            say(f"{node} has left the cluster")
            return None
        why = one_line(getattr(error, "cause", None) or error)
        raise ConfigError(
            f"--address: {node} cannot run this package ({why}); install it there, or submit with cluster/submit.sh."
        ) from error
    return answer


def check_answer(node: str, answer: Answer) -> None:
    """Refuse a node whose answer does not match this machine.

    Raises:
        ConfigError: it does not match.
    """
    for name, version in _own_versions().items():
        if answer.versions.get(name) != version:
            raise ConfigError(
                f"--address: {node} has {name} {answer.versions.get(name)}, but this machine {version}; install the "
                "same there."
            )
    if answer.lacks_gpu:
        raise ConfigError(
            f"--address: {node} has GPUs, but its PyTorch finds none; install one there that goes with its driver, or "
            "set resources.gpus_per_worker to 0."
        )
    if answer.lacks_part:
        raise ConfigError(
            f"--address: {node} cannot load a part of your own ({answer.lacks_part}); install it there, or submit with "
            "cluster/submit.sh, which sends the folder that it is in."
        )
