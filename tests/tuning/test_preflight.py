"""What is looked at before anything is prepared: room on the disk, versions, storage."""

import errno
import fcntl
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ray._private.utils import _get_docker_cpus, get_num_cpus

from distill_tune.cli import BAD_INPUT, local_folder
from distill_tune.config.searching import ResourcesConfig
from distill_tune.config.space import Space
from distill_tune.distillation.cache.folders import outputs_folder
from distill_tune.distillation.cache.size import CacheSize
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.preparation.variants import augmentation_variants
from distill_tune.errors import ConfigError
from distill_tune.export.versions import versions
from distill_tune.room import check_room, free_bytes, in_bytes
from distill_tune.search import main as search_main
from distill_tune.tuning.cluster.connection import check_answers
from distill_tune.tuning.cluster.nodes import Answer, _judge, ask_from_here
from distill_tune.tuning.cluster.places import cores, idle_gpus, room_on
from distill_tune.tuning.planning.footprint import Footprint
from distill_tune.tuning.planning.limits import Limits
from distill_tune.tuning.state.logbook import Logbook


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 bytes"),
        (812, "812 bytes"),
        (6_897_600, "6.9 MB"),
        (999_700, "1 MB"),
        (123e9, "123 GB"),
        (5e15, "5,000 TB"),
    ],
)
def test_bytes_are_said_as_people_do(count: float, said: str) -> None:
    assert in_bytes(count) == said


def test_the_teachers_cache_is_announced_with_what_it_is_a_product_of() -> None:
    size = CacheSize(views=120, samples=1437, classes=10, validation_samples=360)
    assert str(size) == "the teacher's cache: 120 views x 1,437 samples x 10 classes, 6.9 MB"


def test_of_logits_of_which_some_are_kept_the_size_says_so() -> None:
    size = CacheSize(views=10, samples=1000, classes=1000, validation_samples=100, keep=100)
    assert str(size) == "the teacher's cache: 10 views x 1,000 samples x 100 of 1,000 classes, 6.4 MB"


@pytest.mark.parametrize("keep", [{}, {"keep": 1}])
@pytest.mark.parametrize("augmentation", [{}, {"mixup": {"choice": [0.0, 0.2]}}, {"noise": 0.1}])
def test_the_cache_is_as_large_as_it_was_said_to_be(
    table_space: Any, ready: Any, augmentation: dict[str, Any], keep: dict[str, Any]
) -> None:
    space: Space = table_space(augmentation=augmentation, teacher={"views": 5, **keep})
    _, preparation = ready(space)
    variants = list(augmentation_variants(space))
    size = CacheSize.of(variants, preparation.dataset)
    folders = [outputs_folder(preparation.prepared.teacher_folder, variant) for variant in variants]
    written = sum(path.stat().st_size for folder in folders for path in folder.glob("*.arrow"))
    assert size.num_bytes <= written <= size.num_bytes + 12_000 * len(variants)  # what Arrow says of its columns


@pytest.mark.parametrize("kind", [["hint"], ["hint", "crd"], ["soft_targets"]])
def test_features_are_as_large_as_was_asked_for_before_their_teacher_was_trained(
    image_space: Any, tmp_path: Path, kind: list[str]
) -> None:
    space: Space = image_space(teacher={"views": 3}, loss={"kind": kind}, augmentation={"shift": 1})
    preparation = prepare(space, tmp_path, lambda line: None)
    asked = Footprint.of(
        space, preparation.dataset, Limits(space.config.limits, preparation.dataset), places=1
    ).features
    written = sum(path.stat().st_size for path in tmp_path.glob("teacher-*/features-*/*.arrow"))
    assert asked <= written <= 1.05 * asked
    assert (asked > 0) == (kind != ["soft_targets"])


def test_more_views_than_the_disk_has_room_for_are_refused_in_one_line(tmp_path: Path) -> None:
    said = list[str]()
    with pytest.raises(
        ConfigError, match=r"^--storage: 40,000 TB are needed for the teacher's cache .*; lower teacher"
    ):
        CacheSize(views=10**12, samples=1000, classes=10, validation_samples=100).announce(tmp_path, said.append)
    assert said == []


def test_a_dry_run_names_its_own_place_where_that_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    free = {"tmp": 1_000, "new": 10**15}
    monkeypatch.setattr("distill_tune.room.free_bytes", lambda place: free[place.relative_to(tmp_path).parts[0]])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    assert search_main(["search_spaces/digits.toml", "--dry-run", "--storage", str(tmp_path / "new")]) == BAD_INPUT
    said = capsys.readouterr().err
    assert said.startswith("error: TMPDIR: ")
    assert f"for the prepared data, but the disk of {tmp_path / 'tmp'}" in said
    assert said.endswith("has 1 kB free; make room, or name another TMPDIR.\n")


@given(st.integers(0, 10**18))
def test_what_fits_is_let_pass_and_what_does_not_is_refused(num_bytes: int) -> None:
    free = free_bytes(Path("/nowhere/at/all"))
    if num_bytes < free / 2:
        check_room(Path("/nowhere/at/all"), num_bytes, "it")
    elif num_bytes > 2 * free:
        with pytest.raises(ConfigError, match=r"are needed for it, but the disk of /nowhere/at/all has .* free; make"):
            check_room(Path("/nowhere/at/all"), num_bytes, "it")


def test_a_search_needs_more_room_the_more_it_keeps(small_space: Space, preparation: Any) -> None:
    limits = Limits(small_space.config.limits, preparation.dataset)
    small = Footprint.of(small_space, preparation.dataset, limits, places=1)
    wide = Footprint.of(small_space, preparation.dataset, limits, places=4)
    longer = small_space.with_fixed("search", "trials", 10 * small_space.config.search.trials)
    assert small.checkpoints < wide.checkpoints
    assert small.records < Footprint.of(longer, preparation.dataset, limits, places=1).records
    assert small.teacher == 4 * preparation.teacher.parameters
    small.check(Path.cwd())
    assert any(line.startswith("the teacher's cache: ") for line in small.lines(Path.cwd()))


@pytest.mark.parametrize(
    ("search", "paused"), [({"scheduler": "asha"}, 0), ({"trials": 7}, 7), ({"trials": 7, "time": "10m"}, 0)]
)
def test_a_memory_of_samples_is_counted_in_the_room_that_is_asked_for(
    image_space: Any, ready: Any, search: dict[str, Any], paused: int
) -> None:
    """Two float32 numbers a sample and dimension; twice at work: a checkpoint is whole before the one before goes."""

    def checkpoints(negatives: Any, places: int) -> int:
        crd = {"negatives": negatives, "dimensions": {"log_int": [16, 64]}}
        space: Space = image_space(loss={"kind": ["dkd", "crd"], "crd": crd}, search=search)
        return Footprint.of(space, dataset, Limits(space.config.limits, dataset), places).checkpoints

    dataset = ready(image_space())[1].dataset
    bank = 2 * 4 * 64 * dataset.num_rows["train"]
    for places in (1, 3):
        for negatives in (50, {"choice": [50, 0]}):
            assert checkpoints(negatives, places) - checkpoints(0, places) == (2 * places + paused) * bank


def test_folds_and_a_search_beside_are_counted_in_the_room_that_is_asked_for(
    small_space: Space, preparation: Any
) -> None:
    def footprint(space: Space) -> Footprint:
        return Footprint.of(space, preparation.dataset, Limits(space.config.limits, preparation.dataset), places=1)

    one, folded = (
        footprint(small_space),
        footprint(small_space.without("data", "validation").with_fixed("data", "folds", 3)),
    )
    assert folded.cache.num_bytes == 4 * one.cache.num_bytes
    assert (folded.teacher, folded.checkpoints) == (4 * one.teacher, 4 * one.checkpoints)
    beside = footprint(small_space.with_fixed("confirm", "baseline_search", True))
    assert beside.checkpoints > one.checkpoints
    assert beside.records > one.records


def test_a_node_reads_what_the_driver_wrote_and_leaves_its_own_word(tmp_path: Path) -> None:
    (tmp_path / "driver").write_text("token")
    answer = ask_from_here(str(tmp_path), "node", needs_gpu=False)
    assert (answer.read, answer.problem) == ("token", "")
    assert answer.versions["torch"] == versions()["torch"].partition("+")[0]
    _judge("node a", answer, tmp_path, "token", tmp_path / "node")


def test_a_node_without_the_storage_says_why(tmp_path: Path) -> None:
    answer = ask_from_here(str(tmp_path / "gone"), "node", needs_gpu=False)
    with pytest.raises(
        ConfigError, match=r"--storage \S+: node a cannot use it \(No such file or directory\); it must"
    ):
        _judge("node a", answer, tmp_path, "token", tmp_path / "node")


@pytest.mark.parametrize(("read", "writes"), [("another", True), ("token", False)])
def test_a_node_whose_files_are_not_ours_is_refused(tmp_path: Path, read: str, writes: bool) -> None:
    (tmp_path / "driver").write_text(read)
    answer = ask_from_here(str(tmp_path), "node", needs_gpu=False)
    if not writes:
        (tmp_path / "node").unlink()
    with pytest.raises(ConfigError, match="is another disk on node a; it must be a folder that all nodes share"):
        _judge("node a", answer, tmp_path, "token", tmp_path / "node")


def test_a_node_with_another_version_is_refused(tmp_path: Path) -> None:
    theirs = {name: versions()[name] for name in ("distill_tune", "python", "ray")} | {"torch": "1.13.1"}
    with pytest.raises(ConfigError, match=r"--address: node a has torch 1\.13\.1, but this machine \d"):
        _judge("node a", Answer("token", "", theirs), tmp_path, "token", tmp_path)


def test_a_node_whose_pytorch_is_built_for_other_gpus_goes_with_this_machine(tmp_path: Path) -> None:
    theirs = ask_from_here(str(tmp_path), "node", needs_gpu=False).versions
    assert "+" not in theirs["torch"]
    (tmp_path / "node").write_text("token")
    _judge("node a", Answer("token", "", theirs), tmp_path, "token", tmp_path / "node")


def test_a_node_whose_gpus_pytorch_does_not_find_is_refused(tmp_path: Path) -> None:
    (tmp_path / "driver").write_text("token")
    answer = ask_from_here(str(tmp_path), "node", needs_gpu=True)
    assert answer.lacks_gpu is not torch.cuda.is_available()
    with pytest.raises(ConfigError, match="--address: node a has GPUs, but its PyTorch finds none; install one there"):
        _judge("node a", replace(answer, lacks_gpu=True), tmp_path, "token", tmp_path / "node")


def test_a_storage_that_takes_no_files_is_refused_with_the_systems_own_reason() -> None:
    with pytest.raises(
        ConfigError, match=r"--storage /proc/x: /proc cannot be written to \(.+\); choose another place"
    ):
        local_folder("/proc/x")


rays_own_files = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""Ray leaves the one open in which it looks."""


@rays_own_files
@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "250000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 0),
        ({"cpu.max": "1600000 100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n", "cpuset/cpuset.cpus": "0-2,7\n"}, 4),
    ],
)
def test_a_containers_cores_are_those_that_ray_will_find(
    tmp_path: Path, files: dict[str, str], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cores(tmp_path) == count
    names = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us", "cpuset/cpuset.cpus", "cpu.max")
    of_ray = _get_docker_cpus(*(str(tmp_path / name) for name in names))
    assert count == min(8, int(of_ray or 8))


@rays_own_files
def test_this_machines_cores_are_as_many_as_ray_finds() -> None:
    assert cores() == get_num_cpus(override_docker_cpu_warning=True)


def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk that is mounted without them, which nobody can mount here."""

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


@pytest.mark.parametrize(
    ("cpus", "gpus", "workers", "nodes", "room"),
    [
        (8, 0, 1, [{"CPU": 12}, {"CPU": 12}], 2),
        (1, 0, 3, [{"CPU": 2}, {"CPU": 2}], 1),
        (1, 0, 1, [{}, {"CPU": 2}], 2),
        (1, 0.6, 1, [{"CPU": 9, "GPU": 2}], 2),
        (1, 0.2, 1, [{"CPU": 9, "GPU": 1}], 5),
        (1, 2, 1, [{"CPU": 9, "GPU": 3}, {"CPU": 9, "GPU": 1}, {"CPU": 9}], 1),
        (4, 0.25, 1, [{"CPU": 9, "GPU": 1}], 2),
    ],
)
def test_room_is_counted_on_each_node_by_itself(
    cpus: int, gpus: float, workers: int, nodes: list[dict[str, float]], room: int
) -> None:
    need = ResourcesConfig(workers_per_trial=workers, cpus_per_worker=cpus, gpus_per_worker=gpus)
    assert room_on(nodes, need) == room


@pytest.mark.parametrize(
    ("cpus", "gpus", "workers", "said"),
    [
        (16, 0, 1, "a worker needs 16 CPU, but no node has that: they have 8 CPU or 0 CPU"),
        (1, 2, 1, "a worker needs 1 CPU and 2 GPU, but no node has that: they have 8 CPU and 1 GPU or "),
        (4, 0, 5, "a trial needs 5 workers with 4 CPU each, but the whole cluster has room for 4"),
    ],
)
def test_what_no_node_can_host_is_refused_though_all_together_have_as_much(
    cpus: int, gpus: float, workers: int, said: str
) -> None:
    need = ResourcesConfig(workers_per_trial=workers, cpus_per_worker=cpus, gpus_per_worker=gpus)
    with pytest.raises(ConfigError, match=f"^resources: {said}.*; lower workers_per_trial"):
        room_on([{"CPU": 8, "GPU": 1}, {"CPU": 8, "GPU": 1}, {}], need)


def test_a_cluster_whose_nodes_are_not_up_yet_may_be_waited_for() -> None:
    head = [{"CPU": 0.0}]
    with pytest.raises(ConfigError, match=r"0 CPU; lower .*, or wait until its nodes are up \(`ray status`\)\.$"):
        room_on(head, ResourcesConfig())
    with pytest.raises(ConfigError, match=r"0 CPU; lower workers_per_trial, cpus_per_worker or gpus_per_worker\.$"):
        room_on(head, ResourcesConfig(), "this machine")


@pytest.mark.parametrize(
    ("nodes", "share", "said"),
    [
        (
            [{"CPU": 8, "GPU": 1}, {"CPU": 8, "GPU": 1}, {}],
            0,
            "no trial uses the 2 GPUs of the cluster; res",
        ),
        ([{"CPU": 8, "GPU": 1}], 0, "no trial uses the 1 GPU of this machine; res"),
        ([{"CPU": 8, "GPU": 1}], 0.5, ""),
        ([{"CPU": 8}, {}], 0, ""),
    ],
)
def test_gpus_that_no_trial_uses_are_told(nodes: list[dict[str, float]], share: float, said: str) -> None:
    found = idle_gpus(nodes, ResourcesConfig(gpus_per_worker=share))
    assert found.startswith(said)
    assert bool(found) is bool(said)


def test_an_address_of_ray_client_is_refused_with_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    said = r"ray://head:10001: a search cannot run through Ray Client; start it on a node .*cluster/submit\.sh\.$"
    with pytest.raises(ConfigError, match=f"^--address {said}"):
        check_answers("ray://head:10001")
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(ConfigError, match=f"^RAY_ADDRESS {said}"):
        check_answers(None)
