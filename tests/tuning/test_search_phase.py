"""A search as far as it goes without Ray: what it loads, and what it finds if it had already finished."""

import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from small import TABLES

from distill_tune.config import Space
from distill_tune.errors import DistillTuneError
from distill_tune.export.result_folder import write_search_toml
from distill_tune.tuning.deciding.budget import Budget
from distill_tune.tuning.dry_run import dry_run
from distill_tune.tuning.planning.fitting import Fitted
from distill_tune.tuning.planning.limits import Limits
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.search_phase import SearchPhase
from distill_tune.tuning.showing.display import Reporter, SteadyConsole
from distill_tune.tuning.showing.tensorboard import TensorBoardWatcher
from distill_tune.tuning.state.claim import Claim
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.logbook import JOURNAL, Entry
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.workers.checkpoints import CHECKPOINTS, checkpoint_of
from distill_tune.tuning.workers.files import HERE


def test_checkpoints_from_entries_that_were_lost_are_gone_before_another_trial_has_their_number(
    tmp_path: Path, preparation: Any
) -> None:
    space, folder = Space.parse(TABLES), tmp_path / "search"
    claim = Claim.of_new(folder, space, "its first command")
    claim.logbook.write(Entry.SEARCHED, ended_by="trials")
    claim.logbook.trial_started(TrialRecord(-1, "confirm-trial-0000-seed1000", {}))
    claim.logbook.release()
    (folder / CHECKPOINTS).mkdir()
    for trial_id in ("confirm-trial-0000-seed1000", "0007"):
        checkpoint_of(folder, trial_id).touch()
    claim = Claim.of_old(folder, "its second command")
    fitted = Fitted(space, Limits(space.config.limits, preparation.dataset), {})
    phase = SearchPhase(claim, fitted, Budget(8), 1, Reporter(SteadyConsole(), quiet=True))
    phase.run(preparation.prepared, HERE, TensorBoardWatcher(folder / "tensorboard", space, "val/accuracy", 1))
    phase.ledger.close()
    claim.logbook.release()
    assert [path.stem for path in (folder / CHECKPOINTS).iterdir()] == ["confirm-trial-0000-seed1000"]


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A search of the same space that has trained six trials."""
    folder, space = tmp_path / "other", Space.parse(TABLES)
    folder.mkdir()
    write_search_toml(folder, space, "its command")
    study = Study(folder / JOURNAL, "other", space)
    for _ in range(6):
        proposal = study.ask()
        reports = [{"epoch": 9, "val/accuracy": 0.5, "val/loss": 0.5}]
        study.tell(TrialRecord(proposal.number, "t", proposal.values, reports=reports), Status.COMPLETED)
    return folder


@pytest.mark.parametrize(
    ("optim", "learned", "said"),
    [
        ({}, 6, "search.start_from: knows 6 of 6 trials"),
        (
            {"weight_decay": {"log": [1e-5, 1e-2]}},
            0,
            "warning: search.start_from: none of 6 trials has a value for each",
        ),
    ],
)
def test_a_search_begins_in_the_middle_unless_it_knows_trials_of_others_and_says_which(
    optim: dict[str, Any], learned: int, said: str, tmp_path: Path, preparation: Any, other: Path
) -> None:
    tables = {**TABLES, "optim": TABLES["optim"] | optim, "search": TABLES["search"] | {"start_from": [str(other)]}}
    space, told = Space.parse(tables), list[str]()
    reporter = Mock(spec=Reporter, quiet=True, tell=lambda *lines: told.extend(lines))
    fitted = Fitted(space, Limits(space.config.limits, preparation.dataset), {})
    claim = Claim.of_new(tmp_path / "search", space, "its first command")
    for turn in range(2):
        phase = SearchPhase(claim, fitted, Budget(8), 1, reporter)
        phase.ledger.watchers.append(claim.logbook)
        conductor = phase._take_up()
        proposal = conductor.propose()
        assert proposal is not None
        assert (phase.learned, proposal.number) == (learned, learned), "the same one again where it is taken up"
        assert (proposal.values == space.middle()) is (not learned)
        claim.logbook.release()
        claim = Claim.of_old(tmp_path / "search", "its second command") if not turn else claim
    assert [line[: len(said)] for line in told] == [said], "once, when they are learnt"


def test_a_dry_run_says_what_a_search_would_learn_from_others(
    tmp_path: Path, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in other.iterdir()}
    space = Space.parse({**TABLES, "search": TABLES["search"] | {"start_from": [str(other)]}})
    assert dry_run(space, tmp_path / "search") == 0
    assert "  search.start_from: knows 6 of 6 trials\n" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in other.iterdir()} == before


def test_a_search_of_failures_that_is_tried_again_begins_as_it_did(
    tmp_path: Path, preparation: Any, other: Path
) -> None:
    search = TABLES["search"] | {"start_from": [str(other)], "sampler": "random"}
    space = Space.parse({**TABLES, "search": search})
    fitted = Fitted(space, Limits(space.config.limits, preparation.dataset), {})
    reporter = Mock(spec=Reporter, quiet=True)
    claim = Claim.of_new(tmp_path / "search", space, "its first command")
    phase = SearchPhase(claim, fitted, Budget(8), 1, reporter)
    phase.ledger.watchers.append(claim.logbook)
    conductor = phase._take_up()
    proposal = conductor.propose()
    assert proposal is not None
    conductor.ended(proposal.trial_id, "it cannot be trained")
    claim.logbook.write(Entry.FAILED)
    claim.logbook.release()
    claim = Claim.of_old(tmp_path / "search", "its second command")
    phase = SearchPhase(claim, fitted, Budget(8), 1, reporter)
    again = phase._take_up().propose()
    assert again is not None
    assert (phase.learned, again.values) == (0, proposal.values)
    claim.logbook.release()


def test_a_search_that_its_time_has_ended_writes_down_how_much_it_had(tmp_path: Path, preparation: Any) -> None:
    space = Space.parse(TABLES).with_fixed("search", "time", "1m")
    fitted = Fitted(space, Limits(space.config.limits, preparation.dataset), {})
    claim = Claim.of_new(tmp_path / "search", space, "its first command")
    phase = SearchPhase(claim, fitted, Budget(8, time_s=0.0), 1, Mock(spec=Reporter, quiet=True))
    phase._say_how_it_ended(phase._take_up())
    claim.logbook.release()
    history = History.of(claim.folder)
    assert (history.ended_by, history.ended_with) == ("time", "1m")


def test_a_search_that_a_node_without_room_has_ended_says_once_how_to_go_on(tmp_path: Path, preparation: Any) -> None:
    space, told = Space.parse(TABLES), list[str]()
    reporter = Mock(spec=Reporter, quiet=True, tell=lambda *lines: told.extend(lines))
    fitted = Fitted(space, Limits(space.config.limits, preparation.dataset), {})
    claim = Claim.of_new(tmp_path / "search", space, "its first command")
    phase = SearchPhase(claim, fitted, Budget(8), 1, reporter)
    conductor, why = phase._take_up(), "node B takes no files; mend its disk, and --resume"
    conductor.out_of_room(f"{why}.")
    with pytest.raises(DistillTuneError) as caught:
        phase._say_how_it_ended(conductor)
    claim.logbook.release()
    assert told == [f"the search ends: files cannot be written ({why})"]
    assert str(caught.value) == f"{claim.folder}: {why}."
    assert History.of(claim.folder).ended_by is None, "it can be resumed"


def test_a_search_begins_without_what_only_its_end_needs() -> None:
    lines = (
        "import sys",
        "import distill_tune.tuning.session",
        "from distill_tune.tuning.samplers.tpe import Tpe",
        "Tpe().build(0, 0)",
        "assert 'torch' in sys.modules and not {'scipy', 'sklearn', 'torch._dynamo'} & set(sys.modules)",
    )
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


def test_what_can_be_refused_is_without_ray_which_takes_its_time() -> None:
    lines = (
        "import sys",
        "import distill_tune.tuning.job, distill_tune.tuning.dry_run",
        "assert 'torch' in sys.modules and 'ray' not in sys.modules",
    )
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)
