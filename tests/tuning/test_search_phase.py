"""A search as far as it goes without Ray: what it loads, and what it finds where it had come to its end."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from small import TABLES

from distill_tune.config import Space
from distill_tune.tuning.deciding.budget import Budget
from distill_tune.tuning.planning.fitting import Fitted
from distill_tune.tuning.planning.limits import Limits
from distill_tune.tuning.search_phase import SearchPhase
from distill_tune.tuning.showing.display import Reporter, SteadyConsole
from distill_tune.tuning.showing.tensorboard import TensorBoardWatcher
from distill_tune.tuning.state.claim import Claim
from distill_tune.tuning.state.logbook import Entry
from distill_tune.tuning.state.records import TrialRecord
from distill_tune.tuning.workers.checkpoints import CHECKPOINTS, checkpoint_of


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
    phase.run(preparation.prepared, TensorBoardWatcher(folder / "tensorboard", space, "val/accuracy", 1))
    phase.ledger.close()
    claim.logbook.release()
    assert [path.stem for path in (folder / CHECKPOINTS).iterdir()] == ["confirm-trial-0000-seed1000"]


def test_a_search_begins_without_what_only_its_end_needs() -> None:
    lines = (
        "import sys",
        "import distill_tune.tuning.session",
        "from distill_tune.tuning.samplers.tpe import Tpe",
        "Tpe().build(0, 0)",
        "assert 'torch' in sys.modules and not {'scipy', 'sklearn', 'torch._dynamo'} & set(sys.modules)",
    )
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)
