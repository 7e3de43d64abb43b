"""Trainings side by side: each joins, reports and leaves independently; those that can be fused are."""

from __future__ import annotations

from collections.abc import Collection

import torch

from distill_tune.config import Config
from distill_tune.distillation.lanes.fused import Fused, fusing_key
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.training.run import Checkpoint, Epoch, Run
from distill_tune.users_faults import no_end_of_the_process

Outcome = Epoch | Exception
"""The result of an epoch, or the exception that its training raised."""


class Lanes:
    """Any set of trainings; one that cannot be fused with another trains alone, as in `distill`."""

    def __init__(self, device: torch.device | str = "cpu"):
        self._device = torch.device(device)
        self._runs: dict[str, Run] = {}
        self._keys: dict[str, str | None] = {}
        """Each run's `fusing_key`."""
        self._fused: dict[str, Fused] = {}
        """By the `fusing_key` that its runs share."""

    def __len__(self) -> int:
        return len(self._runs)

    def join(
        self, name: str, config: Config, materials: Materials, seed: int, resume: Checkpoint | None = None
    ) -> None:
        """Begin a training, or resume one."""
        run = Run(config, materials, seed, self._device)
        if resume is not None:
            run.restore(resume)
        self._runs[name], self._keys[name] = run, fusing_key(run)

    @property
    def can_fuse(self) -> bool:
        """Whether any two of them can be fused."""
        keys = [key for key in self._keys.values() if key is not None]
        return len(set(keys)) < len(keys)

    def leave(self, name: str) -> None:
        """Drop a training, if it is here."""
        run = self._runs.pop(name, None)
        if run is not None:
            run.close()
            del self._keys[name]
        if not self._runs:
            self._fused.clear()

    def next_epochs(self, names: Collection[str] | None = None) -> dict[str, Outcome]:
        """Train one epoch of each, or of each of `names`; a training that raised should leave."""
        names_of = {id(run): name for name, run in self._runs.items() if names is None or name in names}
        alike: dict[str, list[Run]] = {}
        for name in names_of.values():
            alike.setdefault(self._keys[name] or name, []).append(self._runs[name])
        self._regroup(alike)
        outcomes: dict[str, Outcome] = {}
        for key, runs in alike.items():
            for run, outcome in self._trained(key, runs):
                outcomes[names_of[id(run)]] = outcome
        return {name: outcomes[name] for name in names_of.values()}

    def _regroup(self, alike: dict[str, list[Run]]) -> None:
        """Release groups whose members have changed."""
        for key, fused in list(self._fused.items()):
            if set(map(id, alike.get(key, []))) != set(map(id, fused.runs)):
                self._fused.pop(key).release()

    def _trained(self, key: str, runs: list[Run]) -> list[tuple[Run, Outcome]]:
        """Train one epoch of runs that are fused, or of a single one; an error in user-defined code ends only these."""
        try:
            with no_end_of_the_process():
                if len(runs) == 1:
                    return [(runs[0], runs[0].next_epoch())]
                if key not in self._fused:
                    self._fused[key] = Fused(runs)
                return list(self._fused[key].next_epochs())
        except Exception as error:
            self._fused.pop(key, None)  # and with it what it has of a GPU's memory
            return [(run, error) for run in runs]
