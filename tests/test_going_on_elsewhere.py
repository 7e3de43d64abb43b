"""A search whose result is fetched from an object store, on a machine where its files lie elsewhere."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill_tune.config import Space, load_space
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.errors import DataError, InputError
from distill_tune.mirror import Mirror
from distill_tune.search import fetched
from distill_tune.tuning.job import Job
from distill_tune.tuning.order import Order, taken_up
from distill_tune.tuning.search_context import Ready
from distill_tune.tuning.showing.display import Reporter, SteadyConsole
from distill_tune.tuning.state.claim import Claim
from distill_tune.tuning.state.logbook import LOGBOOK
from distill_tune.tuning.state.origin import Origin

URI = "s3://bucket/x"


def space_of_files(folder: Path) -> Space:
    """The space of a table and a teacher's logits, which this puts there."""
    folder.mkdir()
    rows, draw = range(300), np.random.default_rng(0)
    (folder / "rows.csv").write_text("a,b,label\n" + "".join(f"{n % 7},{n % 5},{'xy'[n % 2]}\n" for n in rows))
    np.save(folder / "teacher.npy", draw.normal(size=(len(rows), 2)).astype("float32"))
    return Space.parse(
        {
            "data": {"source": "csv", "path": str(folder / "rows.csv"), "csv": {"label": "label"}},
            "teacher": {"source": "logits", "path": str(folder / "teacher.npy")},
            "student": {"family": "mlp", "mlp": {"widths": {"choice": [[8], [12]]}}},
            "search": {"max_epochs": 1, "trials": 2},
            "export": {"formats": []},
        }
    )


@pytest.fixture
def begun(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the files, whose search was copied to the store on a machine that is gone."""
    made, space = Mirror(URI, LOGBOOK), space_of_files(tmp_path / "files")
    preparation = prepare(space, made.folder / ".cache", lambda line: None)
    claim = Claim.of_new(made.folder / "one", space, "its command", Origin.of(preparation, space))
    claim.link(preparation.prepared)
    claim.logbook.release()
    made.push("one")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    return tmp_path / "files"


def fetched_order(mirror: Mirror) -> Order:
    """As `--resume` of the result orders it."""
    fetched("one", mirror)
    return taken_up(mirror.folder / "one", "again", None)


def edit(path: Path, before: object, after: object) -> None:
    text = path.read_text()
    assert json.dumps(str(before)) in text
    path.write_text(text.replace(json.dumps(str(before)), json.dumps(str(after))))


def test_it_wants_data_and_teacher_there_and_takes_them_from_the_paths_in_its_edited_search_toml(
    begun: Path, tmp_path: Path
) -> None:
    moved = begun.rename(tmp_path / "moved")
    mirror = Mirror(URI, LOGBOOK)
    search_toml = mirror.folder / "one" / "search.toml"
    for name in ("rows.csv", "teacher.npy"):
        with pytest.raises(InputError, match=rf"{begun / name}: no such file"):
            fetched_order(mirror)
        edit(search_toml, begun / name, moved / name)
    ready: Ready = Job(fetched_order(mirror), Reporter(SteadyConsole(), quiet=True))._taken_up()
    assert ready.claim is not None
    ready.claim.logbook.release()
    mirror.push("one")
    copied = tmp_path / "copied.toml"
    mirror.store.bring(Path("one/search.toml"), copied)
    assert load_space(copied, []).config.data.path == str(moved / "rows.csv")


def test_it_takes_no_other_data_from_them(begun: Path, tmp_path: Path) -> None:
    mirror = Mirror(URI, LOGBOOK)
    fetched_order(mirror)
    other = tmp_path / "other.csv"
    other.write_text((begun / "rows.csv").read_text() + "1,1,x\n")
    edit(mirror.folder / "one" / "search.toml", begun / "rows.csv", other)
    with pytest.raises(DataError, match="was begun with other data than its"):
        fetched_order(mirror)
