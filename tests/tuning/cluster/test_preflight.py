"""What is checked before anything is prepared: each node's files and versions, storage, locks, the address."""

import errno
import fcntl
import os
import re
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from distill_tune.cli import BAD_INPUT, local_folder
from distill_tune.config.searching import ResourcesConfig
from distill_tune.errors import ConfigError, DistillTuneError
from distill_tune.export.versions import versions
from distill_tune.search import main as search_main
from distill_tune.tuning.cluster import nodes
from distill_tune.tuning.cluster.connection import Connection, check_answers, check_sockets
from distill_tune.tuning.cluster.nodes import Answer, Nodes, ask_from_here, check_answer, check_gpus_of
from distill_tune.tuning.state.logbook import Logbook

NODE = {"NodeID": "none of this cluster", "NodeManagerHostname": "a", "NodeManagerAddress": "10.0.0.7"}


def test_a_node_reads_what_the_driver_wrote_and_leaves_its_own_word(tmp_path: Path) -> None:
    (tmp_path / "driver").write_text("token")
    answer = ask_from_here(str(tmp_path), "node", needs_gpu=False, parts=[])
    assert (answer.read, answer.problem) == ("token", "")
    assert (tmp_path / "node").read_text() == "node"
    assert answer.versions["torch"] == versions()["torch"].partition("+")[0]
    check_answer("node a", answer)


def test_a_node_without_the_storage_says_why_and_is_refused_for_its_versions_and_gpus_alone(tmp_path: Path) -> None:
    answer = ask_from_here(str(tmp_path / "gone"), "node", needs_gpu=True, parts=[])
    assert (answer.read, answer.problem) == ("", "No such file or directory")
    assert answer.lacks_gpu is not torch.cuda.is_available()
    check_answer("node a", replace(answer, lacks_gpu=False))


def test_what_nodes_share_is_told(tmp_path: Path) -> None:
    assert Nodes(3).in_words(tmp_path) == f"3 nodes share {tmp_path}"
    apart = Nodes(3, ("node a (10.0.0.7): No such file or directory", "node b (10.0.0.8)"))
    assert apart.in_words(Path("/results")) == (
        "2 of 3 nodes have another disk at /results (node a (10.0.0.7): No such file or directory), so that their "
        "files come and go through Ray"
    )


def test_a_node_with_another_version_is_refused(tmp_path: Path) -> None:
    theirs = {name: versions()[name] for name in ("distill_tune", "python", "ray")} | {"torch": "1.13.1"}
    with pytest.raises(ConfigError, match=r"--address: node a has torch 1\.13\.1, but this machine \d"):
        check_answer("node a", Answer("token", "", theirs))


def test_a_node_whose_pytorch_is_built_for_other_gpus_goes_with_this_machine(tmp_path: Path) -> None:
    theirs = ask_from_here(str(tmp_path), "node", needs_gpu=False, parts=[]).versions
    assert "+" not in theirs["torch"]
    check_answer("node a", Answer("token", "", theirs))


def test_a_node_whose_gpus_pytorch_does_not_find_is_refused(tmp_path: Path) -> None:
    (tmp_path / "driver").write_text("token")
    answer = ask_from_here(str(tmp_path), "node", needs_gpu=True, parts=[])
    assert answer.lacks_gpu is not torch.cuda.is_available()
    with pytest.raises(ConfigError, match="--address: node a has GPUs, but its PyTorch finds none; install one there"):
        check_answer("node a", replace(answer, lacks_gpu=True))


@pytest.mark.parametrize(
    ("has", "may_train"),
    [({"CPU": 2, "GPU": 1}, True), ({"CPU": 2}, False), ({"CPU": 0, "GPU": 1}, False), ({}, False)],
)
def test_a_drivers_own_node_is_refused_for_its_gpus_only_if_trials_may_get_them(
    monkeypatch: pytest.MonkeyPatch, has: dict[str, float], may_train: bool
) -> None:
    monkeypatch.setattr(nodes, "_finds_gpu", lambda: False)
    said = r"^--address: node a \(10\.0\.0\.7\) has GPUs, but its PyTorch finds none; install one there"
    with pytest.raises(ConfigError, match=said) if may_train else nullcontext():
        check_gpus_of({**NODE, "Resources": has})
    monkeypatch.setattr(nodes, "_finds_gpu", lambda: True)
    check_gpus_of({**NODE, "Resources": has})


def test_a_node_that_cannot_load_a_part_of_the_users_own_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the search would notice only trial by trial, each killing its process."""
    (tmp_path / "parts_that_travel.py").write_text("def net(input_shape, classes): ...\n")
    names = ["parts_that_travel:net", "parts_that_stay:net"]
    monkeypatch.syspath_prepend(tmp_path)
    check_answer("node a", replace(ask_from_here(str(tmp_path), "node", False, names[:1]), lacks_gpu=False))
    with pytest.raises(ConfigError) as caught:
        check_answer("node a", ask_from_here(str(tmp_path), "node", False, names))
    assert str(caught.value).startswith(
        "--address: node a cannot load a part of your own ('parts_that_stay:net': there is no module 'parts_that_stay' "
    )
    assert str(caught.value).count("\n") == 0


def test_a_storage_that_takes_no_files_is_refused_with_the_systems_own_reason() -> None:
    with pytest.raises(
        ConfigError, match=r"--storage /proc/x: /proc cannot be written to \(.+\); choose another place"
    ):
        local_folder("/proc/x")


def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a disk mounted without locks, which a test cannot mount."""

    def flock(file: Any, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)


def test_a_storage_without_locks_is_refused_before_a_search_and_serves_whoever_needs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_locks(monkeypatch)
    assert search_main(["digits.toml", "--storage", str(tmp_path / "new")]) == BAD_INPUT
    said = capsys.readouterr().err
    assert said.startswith(f"error: --storage {tmp_path / 'new'}: files there cannot be locked (No locks available)")
    assert said.endswith("; mount it with locks, or choose another place.\n")
    assert not list(tmp_path.iterdir())
    assert local_folder(str(tmp_path)) == tmp_path


def test_a_logbook_that_cannot_be_locked_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch)
    with pytest.raises(ConfigError, match=r"cannot be locked \(No locks available\); mount it with locks\.$"):
        Logbook(tmp_path)


def test_an_address_of_ray_client_is_refused_with_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    said = r"ray://head:10001: a search cannot run through Ray Client; start it on a node .*cluster/submit\.sh\.$"
    with pytest.raises(ConfigError, match=f"^--address {said}"):
        check_answers("ray://head:10001")
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(ConfigError, match=f"^RAY_ADDRESS {said}"):
        check_answers(None)


@pytest.mark.parametrize("how", [[], ["--dry-run"]])
@pytest.mark.parametrize("key", ["TMPDIR", "RAY_TMPDIR"])
def test_a_folder_too_deep_for_rays_sockets_is_refused_before_anything_is_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str, how: list[str]
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    deep = tmp_path / ("deep" * 20)
    deep.mkdir()
    monkeypatch.setenv(key, str(deep))
    assert search_main(["--storage", str(tmp_path / "new"), *how]) == BAD_INPUT
    assert re.search(
        rf"error: {key} {deep}: Ray's sockets .* of more than 107 bytes; set {key} to a folder whose path is shorter "
        r"by \d+ or more\.$",
        capsys.readouterr().err,
    )
    assert [path.name for path in tmp_path.iterdir()] == [deep.name]


@pytest.mark.parametrize("name_of_process", ["1", "4194304"])
def test_a_folder_is_too_deep_from_where_ray_says_so(monkeypatch: pytest.MonkeyPatch, name_of_process: str) -> None:
    """Compared with Ray's own check of the socket of `node.py`, whose name has the time and the process ID."""
    from ray._private.utils import validate_socket_filepath

    monkeypatch.setattr(os, "getpid", lambda: int(name_of_process))
    session = f"ray/session_2026-11-24_13-15-00_123456_{name_of_process}/sockets/plasma_store"
    for length in range(20, 60):
        monkeypatch.setenv("TMPDIR", "/" + "d" * length)
        refusals = []
        for check in (check_sockets, lambda: validate_socket_filepath(f"{os.environ['TMPDIR']}/{session}")):
            try:
                check()
                refusals.append(False)
            except (ConfigError, OSError):
                refusals.append(True)
        assert refusals[0] is refusals[1], length
    assert refusals == [True, True]


@pytest.mark.parametrize(
    "error", [TimeoutError("no answer"), Exception("The current node timed out during startup. See the logs.")]
)
def test_a_ray_that_comes_too_late_is_to_be_tried_again(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def late(**options: Any) -> None:
        raise error

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("distill_tune.tuning.cluster.own_ray.start_own_ray", late)
    said = r"^Ray cannot be started on this machine \(.+\); the machine may be busy: try again, or set "
    with Connection(None, ResourcesConfig()) as connection, pytest.raises(DistillTuneError, match=said):
        connection.wait()


@pytest.mark.parametrize("address", [None, ""])
def test_a_ray_of_ones_own_that_cannot_be_started_is_no_fault_of_an_address(
    monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    def refused(**options: Any) -> None:
        raise OSError("no room for the object store")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if address is not None:
        monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr("distill_tune.tuning.cluster.own_ray.start_own_ray", refused)
    said = r"^Ray cannot be started on this machine \(.*no room for the object store\); mend that, or set "
    with Connection(None, ResourcesConfig()) as connection, pytest.raises(DistillTuneError, match=said):
        connection.wait()


@pytest.mark.ray
def test_a_node_that_is_still_busy_with_its_environment_is_named_and_waited_for(
    a_ray: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import ray

    @ray.remote(num_cpus=0)
    def busy_until(signal: Path) -> Answer:
        import time

        while not signal.exists():
            time.sleep(0.01)  # polling interval
        return Answer("token")

    def say(line: str) -> None:
        said.append(line)
        (tmp_path / "is named").touch()

    monkeypatch.setattr(nodes, "_PATIENCE_S", 0.1)
    said: list[str] = []
    assert nodes._answer_of(NODE, busy_until.remote(tmp_path / "is named"), say) == Answer("token")
    assert said == ["waiting for node a (10.0.0.7), which may still be installing the job's runtime environment"]


@pytest.mark.ray
def test_a_node_that_has_left_since_it_was_asked_is_told_of_and_no_fault(a_ray: None) -> None:
    import ray

    @ray.remote(num_cpus=0, max_retries=0)
    def lost() -> None:
        import os

        os._exit(1)

    said: list[str] = []
    assert nodes._answer_of(NODE, lost.remote(), said.append) is None
    assert said == ["node a (10.0.0.7) has left the cluster"]
    (here,) = ray.nodes()
    with pytest.raises(ConfigError, match="cannot run this package"):
        nodes._answer_of(here, lost.remote(), said.append)
