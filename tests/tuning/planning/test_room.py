"""Disk space: how much is required, before anything is made, for what will be written."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_tune.cli import BAD_INPUT
from distill_tune.config.space import Space
from distill_tune.distillation.cache.folders import outputs_folder
from distill_tune.distillation.cache.size import CacheSize
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.preparation.variants import augmentation_variants
from distill_tune.errors import ConfigError
from distill_tune.room import check_room, free_bytes, in_bytes
from distill_tune.search import main as search_main
from distill_tune.tuning.planning.footprint import Footprint
from distill_tune.tuning.planning.limits import Limits


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


def test_a_teacher_that_runs_live_is_said_to_do_so_and_to_label_only_what_students_are_validated_on(
    table_space: Any, ready: Any, tmp_path: Path
) -> None:
    space: Space = table_space(teacher={"mode": "live"}, augmentation={"noise": 0.1})
    _, preparation = ready(space)
    limits = Limits(space.config.limits, preparation.dataset)
    said, disk = Footprint.of(space, preparation.dataset, limits, places=1).lines(tmp_path)
    count = preparation.dataset.num_rows["validation"]
    only = f"{count} validation samples x {len(preparation.dataset.classes)} classes"
    assert said == f"the teacher runs live with every student: its cache has only {only}"
    assert f"(teacher's cache of {only} " in disk
    folder = outputs_folder(preparation.prepared.teacher_folder, space.config)
    assert [path.stem for path in folder.glob("*.arrow")] == ["validation"]


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
    assert size.num_bytes <= written <= size.num_bytes + 12_000 * len(variants)  # Arrow's column metadata


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


def test_the_largest_student_needs_as_much_room_wherever_it_is_written(table_space: Any, preparation: Any) -> None:
    def checkpoints(*widths: int) -> int:
        space = table_space(
            student={"family": "mlp", "mlp": {"width": {"choice": [*widths]}, "depth": {"int": [1, 2]}}}
        )
        return Footprint.of(
            space, preparation.dataset, Limits(space.config.limits, preparation.dataset), places=1
        ).checkpoints

    assert checkpoints(64, 8, 4) == checkpoints(4, 64, 8) == checkpoints(4, 8, 64)


def test_each_lane_of_a_place_has_a_checkpoint_of_its_own(small_space: Space, preparation: Any) -> None:
    def checkpoints(places: int, lanes: int | str) -> int:
        space = small_space.with_fixed("resources", "lanes", lanes)
        return Footprint.of(
            space, preparation.dataset, Limits(space.config.limits, preparation.dataset), places
        ).checkpoints

    assert checkpoints(2, lanes=4) == checkpoints(8, lanes=1)
    assert checkpoints(2, lanes=64) == checkpoints(128, lanes=1), "no more than there are trainings"
    assert checkpoints(2, lanes="auto") == checkpoints(2, lanes=1)


@pytest.mark.parametrize(
    ("search", "paused"), [({"scheduler": "asha"}, 0), ({"trials": 7}, 7), ({"trials": 7, "time": "10m"}, 0)]
)
def test_a_memory_of_samples_is_counted_in_the_room_that_is_asked_for(
    image_space: Any, ready: Any, search: dict[str, Any], paused: int
) -> None:
    """Two float32 per sample and dimension; twice in training: a checkpoint is written before the last one goes."""

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
