"""How good is each loss, tuned as long as the others? A search for each, in the same space and budget.

    .venv/bin/python benchmarks/losses.py [--trials 32] [--loss dkd --loss crd] [--set KEY=VALUE]

By default, `search_spaces/letter.toml` with MLPs of at most 2,600 parameters, 27 epochs and plain inputs. Each search
has one loss of the registry and its shipped ranges; what losses share (learning rate, weight decay, temperature,
architecture) is searched with each. The best of a search is retrained in five fresh seeds, next to the same student
without a teacher, and test is opened once. `labels` and `label_smoothing` need no teacher: what the others gain over
these is what a teacher adds. There is one search per loss, so each figure includes the luck of the sampler.
"""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from _measure import conclude, parser, run_search, settings, show

from distill_tune.registry import LOSSES

SPACE = "search_spaces/letter.toml"
FIXED = (
    "limits.max_parameters=2600",
    "student.mlp.width={log_int=[20,44]}",
    "augmentation.noise=0.0",
    "teacher.views=1",
    "search.max_epochs=27",
    "confirm.top=1",
)
NEED_MAPS = ("attention",)
"""Losses on the feature maps of convolutional networks, which students for rows lack: only run if named."""


def main() -> None:
    """Search, loss by loss."""
    given = _arguments()
    found = {}
    for name in given.loss or [name for name in LOSSES.names if name not in NEED_MAPS]:
        found[name] = _searched(name, given)
        print(name, *_told(found[name]), flush=True)
    ranked = sorted(found.items(), key=lambda item: item[1]["accuracy"]["mean"], reverse=True)
    heads = ("loss", "test, % [95 %]", "against the same student without a teacher, points [95 %]", "word")
    show(heads, [(name, *_told(row)) for name, row in ranked])
    conclude("losses", space=given.space, trials=given.trials, rows=found)


def _arguments() -> Namespace:
    made = parser(__doc__, takes_settings=True)
    made.add_argument("--space", default=SPACE)
    made.add_argument(
        "--loss", action="append", choices=LOSSES.names, help="one of them; all but attention, if none is"
    )
    made.add_argument("--trials", type=int, default=32, help="of each search")
    made.add_argument("--seeds", type=int, default=5, help="of the confirmation")
    return made.parse_args()


def _searched(name: str, given: Namespace) -> dict[str, Any]:
    fixed = FIXED if given.space == SPACE else ()
    chosen = settings(*fixed, f"confirm.seeds={given.seeds}", *given.settings, f"loss.kind={name!r}")
    search = run_search(given.space, given.storage, "--trials", str(given.trials), *chosen)
    summary = search.summary
    return {
        "accuracy": summary["best"]["test"]["accuracy"],
        "verdict": summary["verdict"]["no_teacher"],
        "loss": summary["best"]["config"]["loss"],
        "wall_s": search.wall_s,
    }


def _told(row: dict[str, Any]) -> tuple[str, ...]:
    accuracy, verdict = row["accuracy"], row["verdict"]
    gain, low, high = (100 * verdict[key] for key in ("difference", "low", "high"))
    mean = f"{100 * accuracy['mean']:.2f} [{100 * accuracy['low']:.2f}, {100 * accuracy['high']:.2f}]"
    return mean, f"{gain:+.2f} [{low:+.2f}, {high:+.2f}]", verdict["word"]


if __name__ == "__main__":
    main()
