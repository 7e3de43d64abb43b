"""Does distillation help? The rows of docs/experiments.md: each a search next to an equal one without a teacher.

    .venv/bin/python benchmarks/experiments.py [--row letter-1000] [--trials 64] [--seeds 5]

Each row is `python -m distill_tune.search` with `confirm.baseline_search`: a search with the teacher and one in the
same space without, with the same numbers of trials and epochs. The best of both are retrained in the same fresh seeds,
and test is opened once. So "no teacher" is the best that the same effort finds without one, with its architecture,
augmentation, rate and regularisation tuned as well.
"""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from _measure import conclude, parser, run_search, settings, show

LETTER, LETTER_FEW = "search_spaces/letter.toml", "search_spaces/letter_few.toml"
FASHION, FASHION_FEW = "search_spaces/fashion_mnist.toml", "search_spaces/fashion_mnist_few.toml"
TAUGHT = ("loss.kind='soft_targets'",)
"""Otherwise the search with the teacher may find a student that does not use it."""
ROWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "letter-1000-2500": (LETTER_FEW, ("limits.max_parameters=2600", "student.mlp.width={log_int=[20,44]}")),
    "letter-1000-2500-unlabelled": (
        LETTER_FEW,
        (
            "limits.max_parameters=2600",
            "student.mlp.width={log_int=[20,44]}",
            "data.rest='unlabelled'",
            "data.passes=1",
            "augmentation.noise={choice=[0.0,0.15,0.3]}",
        ),
    ),
    "letter-1000-2500-same": (
        LETTER_FEW,
        (
            "limits.max_parameters=2600",
            "student.mlp.width={log_int=[20,44]}",
            "data.validation=0.9375",
            "data.student_samples=1000",
            "loss.soft_weight={uniform=[0.0,1.0]}",
            "teacher.train.passes=16",
            "teacher.train.batch_size=64",
        ),
    ),
    "letter-1000-20000": (LETTER_FEW, ()),
    "letter-1000": (LETTER, (*TAUGHT, "limits.max_parameters=1100", "student.mlp.width={log_int=[14,24]}")),
    "letter-2500": (LETTER, (*TAUGHT, "limits.max_parameters=2600", "student.mlp.width={log_int=[20,44]}")),
    "letter-20000": (LETTER, TAUGHT),
    "digits": ("search_spaces/digits.toml", ()),
    "fashion-2000-25000": (FASHION_FEW, ()),
    "fashion-5000": (FASHION, ("limits.max_parameters=5000",)),
    "fashion-25000": (FASHION, ()),
    "fashion-100000": (
        FASHION,
        (
            "limits.max_parameters=100000",
            "student.resnet.width={choice=[8,12,16,24]}",
            "student.convnet.width={choice=[12,16,24,32]}",
        ),
    ),
}
"""Name to search space and what differs from it.

A name has the data, the number of labelled samples that the student sees (if not all), and its maximum parameters.
"""
NAMES = {
    "best": "distilled",
    "searched_no_teacher": "no teacher, searched as long",
    "no_teacher": "the same student without a teacher",
    "default_distillation": "the same with T = 4, soft_weight = 0.9",
}


def main() -> None:
    """Search, row by row."""
    given = _arguments()
    found = {}
    for name in given.row or ROWS:
        found[name] = _row(name, given)
        print(name, _told(found[name]), flush=True)
    show(
        ("row", *NAMES.values(), "teacher", "gain over the search without", "word"),
        [(name, *_told(row)) for name, row in found.items()],
    )
    conclude("experiments", rows=found)


def _arguments() -> Namespace:
    made = parser(__doc__, takes_settings=True)
    made.add_argument("--row", action="append", choices=list(ROWS), help="one of them; all, unless given")
    made.add_argument("--trials", type=int, default=64, help="of each search")
    made.add_argument("--seeds", type=int, default=5, help="of the confirmation")
    return made.parse_args()


def _row(name: str, given: Namespace) -> dict[str, Any]:
    space, chosen = ROWS[name]
    fixed = settings(f"confirm.seeds={given.seeds}", "confirm.baseline_search=true", *chosen, *given.settings)
    search = run_search(space, given.storage, "--trials", str(given.trials), *fixed)
    summary = search.summary
    parts = {"best": summary["best"], **summary["baselines"]}
    return {
        "accuracy": {part: one["test"]["accuracy"] for part, one in parts.items()},
        "teacher": summary["teacher"]["test"]["accuracy"],
        "parameters": summary["best"]["parameters"],
        "config": summary["best"]["config"],
        "verdict": summary["verdict"],
        "wall_s": search.wall_s,
    }


def _told(row: dict[str, Any]) -> tuple[str, ...]:
    accuracies = [_accuracy(row["accuracy"].get(part)) for part in NAMES]
    verdict = row["verdict"]["searched_no_teacher"]
    gain = " ".join(f"{100 * verdict[key]:+.2f}" for key in ("difference", "low", "high"))
    return (*accuracies, f"{row['teacher']:.2%}", gain, verdict["word"])


def _accuracy(found: dict[str, float] | None) -> str:
    return "-" if found is None else f"{found['mean']:.2%} [{100 * found['low']:.2f}, {100 * found['high']:.2f}]"


if __name__ == "__main__":
    main()
