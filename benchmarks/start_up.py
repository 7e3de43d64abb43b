"""How long a user waits: from the command to the first trial's first step, and to the end of a default search.

    .venv/bin/python benchmarks/start_up.py [--repeats 3]

Each repeat has a separate storage and measures (A) `python -m distill_tune.search search_spaces/digits.toml` as it is,
teacher and confirmation included, from the start of its process to its end; then (B) the same command again, now with
data, teacher and teacher's outputs in the cache, from the start of its process to the first step of its first trial. B
is kept short (two trials), which changes nothing before the first step.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from _measure import SHORT_CONFIRMATION, Search, conclude, parser, run_search, settings, show, spread

SHORT = ("--trials", "2", *settings("search.max_epochs=2"), *SHORT_CONFIRMATION)


def main() -> None:
    """Measure, in turns."""
    made = parser(__doc__)
    made.add_argument("--space", default="search_spaces/digits.toml")
    made.add_argument("--repeats", type=int, default=3)
    given = made.parse_args()
    given.storage.mkdir(parents=True, exist_ok=True)
    whole, starts = [], []
    for _ in range(given.repeats):
        with tempfile.TemporaryDirectory(dir=given.storage, prefix="start-up-") as storage:
            whole.append(_whole(run_search(given.space, Path(storage))))
            starts.append(_start(run_search(given.space, Path(storage), *SHORT)))
    show(("whole default, in s", ""), [(part, spread([run[part] for run in whole], 1)) for part in whole[0]])
    show(("to the first step, in s", ""), [(part, spread([run[part] for run in starts], 1)) for part in starts[0]])
    medians = {"whole_s": median(run["process"] for run in whole), "start_s": median(run["all"] for run in starts)}
    conclude("start_up", space=given.space, whole=whole, starts=starts, **medians)


def _whole(search: Search) -> dict[str, float]:
    return {"process": search.wall_s, **search.summary["time"]}


def _start(search: Search) -> dict[str, float]:
    """The whole time, and the parts of it that the search itself measures."""
    time = search.summary["time"]
    whole_s = search.start_up_s
    known = {
        "finding data and teacher in the cache": time["prepare_s"],
        "Ray, Tune, the workers, and their PyTorch": time["start_s"],
    }
    return {"all": whole_s, **known, "Python, the configuration, PyTorch": whole_s - sum(known.values())}


if __name__ == "__main__":
    main()
