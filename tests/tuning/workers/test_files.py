"""A search's files as a worker sees them: here, or on a node with another disk."""

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from distill_tune.config.searching import ResourcesConfig
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.errors import StorageError
from distill_tune.tuning.cluster.disk import Disk, disk_of_this_node
from distill_tune.tuning.workers import files as files_module
from distill_tune.tuning.workers import files_on_nodes
from distill_tune.tuning.workers.files import HERE, Files
from distill_tune.tuning.workers.files_on_nodes import _check_room_here, _remove_here, check_nodes_have_room, files_of

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120), pytest.mark.usefixtures("a_ray")]


@pytest.fixture(scope="module")
def disk() -> Iterator[str]:
    """The name of a driver's actor."""
    name = "0123456789abcdef"
    held = disk_of_this_node(name)
    yield name
    ray.kill(held)


@pytest.fixture
def away(disk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    """Files of a process that does not find the mark in the folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "of_the_node"))
    (tmp_path / "of_the_node").mkdir()
    folder = tmp_path / "result"
    folder.mkdir()
    found = Files(folder, disk)
    assert not found.are_here
    yield found
    _remove_here(disk)
    assert list((tmp_path / "of_the_node").iterdir()) == []


@pytest.fixture(params=["here", "away"])
def files(request: pytest.FixtureRequest, away: Files) -> Files:
    return HERE if request.param == "here" else away


def test_a_file_is_written_and_read_back_wherever_the_worker_is(files: Files, away: Files) -> None:
    path = away.folder / "checkpoints" / "0001.pt"
    assert files.read(path) == b""
    files.write(path, b"of the first rung")
    files.write(path, b"of the second")
    assert files.read(path) == path.read_bytes() == b"of the second"
    assert [each.name for each in path.parent.iterdir()] == ["0001.pt"]


def test_what_is_appended_comes_behind_what_is_there(files: Files, away: Files) -> None:
    path = away.folder / "logs" / "0001.txt"
    files.append(path, b"once\n")
    files.append(path, b"again\n")
    assert path.read_text() == "once\nagain\n"


def test_what_cannot_be_written_is_the_systems_own_error(files: Files, away: Files) -> None:
    (away.folder / "checkpoints").write_text("a file in the place of the folder")
    for tried in (files.write, files.append):
        with pytest.raises((NotADirectoryError, FileExistsError)) as caught:
            tried(away.folder / "checkpoints" / "0001.pt", b"content")
        assert caught.value.strerror


@pytest.fixture
def prepared(away: Files) -> Prepared:
    """Two folders with small and large files, an empty one, and one in a subfolder."""
    for name, content in {
        "cache/data/train.arrow": b"0123456789",
        "cache/data/schema.json": b"{}",
        "cache/teacher/views-1/logits.arrow": bytes(range(256)),
        "cache/teacher/empty": b"",
    }.items():
        path = away.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    data, teacher = away.folder / "cache" / "data", away.folder / "cache" / "teacher"
    return Prepared(data, None, member_folders={"one": teacher}, folds=(Prepared(data, teacher),))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_was_prepared_is_brought_once_byte_for_byte_and_in_parts(
    away: Files, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "_PART_BYTES", 7)
    brought = away.brought(prepared)
    (fold,) = brought.folds
    assert brought.teacher_folder is None
    assert fold.data_folder == brought.data_folder != prepared.data_folder
    assert fold.teacher_folder == brought.member_folders["one"]
    assert contents(brought.data_folder) == contents(prepared.data_folder)
    assert contents(brought.member_folders["one"]) == contents(prepared.member_folders["one"])
    (prepared.data_folder / "train.arrow").unlink()
    assert away.brought(prepared) == brought
    assert (brought.data_folder / "train.arrow").exists()


def test_a_node_without_room_for_what_was_prepared_is_named(
    away: Files, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "free_bytes", lambda folder: 11)
    with pytest.raises(StorageError, match=r"of_the_node of node \S+ has 11 bytes free, but the prepared data need 12"):
        away.brought(prepared)


def test_a_node_whose_disk_takes_no_files_is_named_and_no_training_is_to_blame(
    away: Files, prepared: Prepared, disk: str
) -> None:
    in_the_way = Path(tempfile.gettempdir(), f"distill_tune-{disk}")
    in_the_way.write_text("a file in the place of the folder")
    said = (
        rf"^the prepared data cannot be brought to node \S+ \(.+: {in_the_way}\S*\); mend its disk or take it out of "
    )
    with pytest.raises(StorageError, match=said + r"the cluster, and --resume\.$"):
        away.brought(prepared)
    in_the_way.unlink()


def test_data_that_are_gone_from_the_drivers_disk_are_no_fault_of_the_node(away: Files, prepared: Prepared) -> None:
    shutil.rmtree(prepared.data_folder)
    said = rf"^{prepared.data_folder}: is missing on the driver's node; put it back, and --resume\.$"
    with pytest.raises(StorageError, match=said):
        away.brought(prepared)


def test_a_node_without_any_folder_for_temporary_files_is_named_too(
    away: Files, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp', '/var/tmp']")

    said = r"to node \S+ \(No usable temporary directory found in \['/tmp', '/var/tmp'\]\); mend its disk"
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "gettempdir", nowhere)
        for asked in (lambda: away.brought(prepared), lambda: _check_room_here(away, 1)):
            with pytest.raises(StorageError, match=said):
                asked()


def test_a_node_that_has_room_but_takes_no_files_is_named_before_anything_is_brought(
    away: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _check_room_here(away, 1)
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        with pytest.raises(StorageError, match=r"to node \S+ \(No such file or directory: .*gone.*\); mend its disk"):
            _check_room_here(away, 1)


def test_before_there_is_a_result_nobody_is_told_to_resume_it(
    away: Files, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "free_bytes", lambda folder: 11)
    with pytest.raises(StorageError, match=r"start its Ray with another TMPDIR, and begin again\.$"):
        Files(away.folder, away.mark, go_on="begin again").brought(prepared)


@pytest.fixture
def from_another_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the only node were not the driver's."""
    monkeypatch.setattr(files_on_nodes, "other_nodes", ray.nodes)


@pytest.mark.usefixtures("from_another_node")
def test_a_node_that_has_no_room_is_named_before_anything_is_brought_and_only_if_it_may_train(
    away: Files, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_nodes_have_room(away, prepared, ResourcesConfig())
    monkeypatch.setattr(Disk, "sizes", lambda self, folder: {Path("train.arrow"): 1 << 59})
    with pytest.raises(StorageError, match=r"of node \S+ has .* free, but the prepared data need 1,152,922 TB"):
        check_nodes_have_room(away, prepared, ResourcesConfig())
    check_nodes_have_room(away, prepared, ResourcesConfig(cpus_per_worker=64))
    check_nodes_have_room(HERE, prepared, ResourcesConfig())
    assert [path.name for path in away.folder.iterdir()] == ["cache"]


def test_what_was_prepared_is_brought_while_the_drivers_disk_is_full(
    away: Files, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*asked: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name in ("write", "append"):
        monkeypatch.setattr(Files, name, refused)
    assert contents(away.brought(prepared).data_folder) == contents(prepared.data_folder)


def test_a_node_that_has_the_drivers_disk_maps_what_lies_there(disk: str, away: Files, prepared: Prepared) -> None:
    (away.folder / "below").mkdir()
    there = Files(away.folder / "below", disk)
    (there.folder / f".driver-{disk}").touch()
    assert there.are_here
    assert there.brought(prepared) is prepared
    assert there.own(there.folder / "workers") == there.folder / "workers"
    assert away.own(away.folder / "workers") != away.folder / "workers"
    assert not Files(there.folder, "another session's").are_here


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch, from_another_node: None) -> None:
    """As if the cluster existed before the search."""
    monkeypatch.setattr(files_on_nodes, "is_own", lambda: False)


@pytest.mark.usefixtures("joined")
def test_what_a_session_or_a_killed_one_before_it_has_left_on_nodes_goes_and_so_do_their_marks(tmp_path: Path) -> None:
    old = secrets.token_hex(8)
    of_old = Path(tempfile.gettempdir(), f"distill_tune-{old}")
    (of_old / "cache").mkdir(parents=True)
    (tmp_path / f".driver-{old}").touch()
    with files_of(tmp_path) as files:
        assert not of_old.exists()
        of_this = Path(tempfile.gettempdir(), f"distill_tune-{files.mark}")
        (of_this / "workers").mkdir(parents=True)
        assert [path.name for path in tmp_path.iterdir()] == [f".driver-{files.mark}"]
    assert not of_this.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("joined")
def test_what_a_session_beside_this_one_has_left_on_nodes_stays(tmp_path: Path) -> None:
    with files_of(tmp_path) as beside:
        brought = Path(tempfile.gettempdir(), f"distill_tune-{beside.mark}")
        brought.mkdir()
        with files_of(tmp_path):
            pass
        assert brought.exists()
        assert [path.name for path in tmp_path.iterdir()] == [f".driver-{beside.mark}"]
    assert not brought.exists()


def test_on_a_ray_of_ones_own_everybody_has_the_disk_and_nothing_is_left_in_the_folder(tmp_path: Path) -> None:
    with files_of(tmp_path) as files:
        assert files == Files(tmp_path)
        assert files.are_here
        assert list(tmp_path.iterdir()) == []
