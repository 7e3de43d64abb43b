"""The overhead of the search engine at ten thousand trials, with training that costs nothing.

    .venv/bin/python benchmarks/scale.py [--trials 10000] [--sampler tpe]        (Linux: it reads /proc/self)

The product's own search (Ray Tune around the conductor, Optuna's study with its journal, logbook, TensorBoard; no
display) runs with a worker group that trains nothing: seven parameters, four reports per trial, two places. Each report
is a separate step for Tune, as if an epoch took longer than a fraction of a second. What remains is the search's own
cost. In this process, the driver, these are measured for each thousand trials that have ended or first paused:

    trials/s         by the clock, and per second of the driver's own CPU time, which is less affected by the load of
                     other programs
    memory           proportional and resident set size at the end; the growth per trial is the slope after the first
                     thousand, when everything has been imported and the sampler's memory is full
    share of a part  seconds of the driver inside a proposal (Optuna), telling Optuna, saving (logbook and study's
                     journal), TensorBoard, and waiting for the workers; the rest is Ray Tune's

Saving happens inside proposing and telling too, and is counted once, as saving.
"""

from __future__ import annotations

import os
import resource
import time
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path

from _idle_group import EPOCHS, SPACE, idle
from _measure import conclude, free_folder, parser, show
from _parts_of_time import Parts

from distill_tune.config import Space
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.tuning.cluster.connection import Connection
from distill_tune.tuning.deciding.budget import Budget
from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.planning.limits import Limits
from distill_tune.tuning.proposals.storage import SearchJournal
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.running.run import run_search
from distill_tune.tuning.showing.tensorboard import TensorBoardWatcher
from distill_tune.tuning.state.ledger import Ledger, Watcher
from distill_tune.tuning.state.logbook import JOURNAL, Logbook
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.workers.checkpoints import CheckpointSweeper
from distill_tune.tuning.workers.trial import TrialContext

KIBIBYTE = 1024
GOALS = {"trials_per_s": 25.0, "growth_kib": 30.0, "saving_share": 0.05, "mib_at_1000": 500.0}


class Meter(Watcher):
    """Measures the driver after every `every` trials."""

    def __init__(self, parts: Parts, every: int):
        self._parts, self._every, self._ended = parts, every, 0
        self.looks: list[dict[str, float]] = []
        self._began_s, self._began_cpu_s = time.perf_counter(), _cpu_s()

    def trial_paused(self, record: TrialRecord) -> None:
        """Count the first pause as an end."""
        if record.paused_s == record.ended_s:
            self._count()

    def trial_ended(self, record: TrialRecord) -> None:
        """Count the end, unless it had paused before."""
        if record.paused_s is None:
            self._count()

    def _count(self) -> None:
        """Count a trial, and measure the driver if it is time."""
        self._ended += 1
        if self._ended % self._every:
            return
        now_s, cpu_s = time.perf_counter(), _cpu_s()
        span_s, seconds = now_s - self._began_s, self._parts.taken()
        look = {
            "trials": float(self._ended),
            "trials_per_s": self._every / span_s,
            "trials_per_cpu_s": self._every / (cpu_s - self._began_cpu_s),
            "proposal_ms": 1000 * seconds["Optuna: propose"] / self._every,
            **_memory_kib(),
            **{f"share: {part}": part_s / span_s for part, part_s in sorted(seconds.items())},
        }
        self.looks.append(look)
        print(f"{self._ended} trials, {look['trials_per_s']:.1f} a second", flush=True)
        self._parts.taken()
        self._began_s, self._began_cpu_s = time.perf_counter(), _cpu_s()


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _memory_kib() -> dict[str, float]:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: float(line.split()[1]) for line in lines}
    return {"pss_kib": sizes["Pss"], "rss_kib": sizes["Rss"]}


def main() -> None:
    """Run the search and show each thousand."""
    given = _arguments()
    given.storage.mkdir(parents=True, exist_ok=True)
    resources = {"workers_per_trial": 1, "concurrent_trials": 2}
    search = {"trials": given.trials, "sampler": given.sampler, "scheduler": given.scheduler, "max_epochs": EPOCHS}
    space = Space.parse({**SPACE, "resources": resources, "search": search})
    parts = Parts()
    meter = Meter(parts, min(given.every, given.trials))
    with Connection(None, space.config.resources) as connection:
        connection.wait()
        _watch(parts)
        ledger = _search(space, free_folder(given.storage, "scale"), given, meter)
    _tell(meter.looks, ledger, given)


def _arguments() -> Namespace:
    made = parser(__doc__)
    made.add_argument("--trials", type=int, default=10_000)
    made.add_argument("--every", type=int, default=1000, help="trials between two looks at the driver")
    made.add_argument("--sampler", default="tpe")
    made.add_argument("--scheduler", default="none", help="none lets every trial make its four reports")
    return made.parse_args()


def _watch(parts: Parts) -> None:
    import ray

    parts.watch("Optuna: propose", Study, "ask")
    parts.watch("Optuna: tell", Study, "tell", "note", "take_up")
    parts.watch("saving", Logbook, "write")
    parts.watch("saving", SearchJournal, "append_logs")
    parts.watch("TensorBoard", TensorBoardWatcher, "trial_started", "trial_reported", "trial_paused", "trial_ended")
    parts.watch("waiting for workers", ray, "wait", "get")


def _search(space: Space, folder: Path, given: Namespace, meter: Meter) -> Ledger:
    """Run the search as `tuning/session.py` does."""
    preparation = prepare(space, given.storage / "cache", lambda line: None)
    search = space.config.search
    with ExitStack() as stack:
        logbook = Logbook(folder)
        stack.callback(logbook.release)
        ledger = Ledger(search.objectives[0], say=print)
        tensorboard = TensorBoardWatcher(folder / "tensorboard", space, ledger.objective)
        ledger.watchers += [logbook, tensorboard, CheckpointSweeper(folder), meter]
        study = Study(folder / JOURNAL, folder.name, space)
        logbook.study_bytes = lambda: study.num_bytes
        judge, limits = search.chosen("scheduler").judge(search), Limits(space.config.limits, preparation.dataset)
        conductor = Conductor(study, judge, ledger, Budget(search.trials), limits, concurrency=2)
        run_search(conductor, TrialContext(space, preparation.prepared, folder, group_of=idle), print)
        ledger.close()
    return ledger


def _tell(looks: list[dict[str, float]], ledger: Ledger, given: Namespace) -> None:
    names = ("trials", "trials_per_s", "trials_per_cpu_s", "proposal_ms", "pss_kib")
    shares = sorted({name for look in looks for name in look if name.startswith("share")})
    show([*names, *shares], [[f"{look.get(name, 0.0):.4g}" for name in (*names, *shares)] for look in looks])
    first, last = looks[0], looks[-1]
    between = max(1.0, last["trials"] - first["trials"])
    found = {
        "trials_per_s": last["trials_per_s"],
        "growth_kib": (last["pss_kib"] - first["pss_kib"]) / between,
        "saving_share": last["share: saving"],
        "mib_at_1000": min(looks, key=lambda look: abs(look["trials"] - 1000))["pss_kib"] / KIBIBYTE,
    }
    show(("", "found", "goal"), [(name, f"{found[name]:.4g}", GOALS[name]) for name in GOALS])
    ended = {str(status): ledger.count(status) for status in Status}
    conclude("scale", sampler=given.sampler, scheduler=given.scheduler, ended=ended, found=found, looks=looks)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
