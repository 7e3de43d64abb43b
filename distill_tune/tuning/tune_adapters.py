"""The conductor behind Ray Tune's searcher and scheduler; both only translate."""

from __future__ import annotations

import json
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from distill_tune.tuning.conductor import Conductor
from distill_tune.tuning.trial import FAILURE, REPORTS


class ConductedSearcher(Searcher):
    """Tune asks for trials here, and says here how they ended."""

    def __init__(self, conductor: Conductor):
        super().__init__(metric=conductor.ledger.objective, mode="max" if conductor.ledger.sign > 0 else "min")
        self._conductor = conductor
        self._ours: dict[str, str] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The next trial's configuration, None while all places are taken, FINISHED when the search is over."""
        if self._conductor.is_over:
            return Searcher.FINISHED
        proposal = self._conductor.propose()
        if proposal is None:
            return None
        self._ours[trial_id] = f"{proposal.number:04d}"
        return {"trial": self._ours[trial_id], "values": json.dumps(proposal.values)}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """However a trial ends, it ends here."""
        ours = self._ours.pop(trial_id, None)
        if ours is None:
            return
        result = result or {}
        self._conductor.goes_on(ours, result.get(REPORTS, []))
        self._conductor.ended(ours, result.get(FAILURE) or ("its worker died too often" if error else None))

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher into its own experiment state, which is not used."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study's journal is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing; see `save`."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing; see `save`."""


class ConductedScheduler(FIFOScheduler):
    """Tune asks here, after each step of a trial, whether it goes on."""

    def __init__(self, conductor: Conductor):
        super().__init__()  # type: ignore[no-untyped-call]
        self._conductor = conductor

    def __getstate__(self) -> dict[str, Any]:
        """See `ConductedSearcher`."""
        return {}

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        """Ask the conductor."""
        goes_on = self._conductor.goes_on(trial.config["trial"], result.get(REPORTS, []))
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)
