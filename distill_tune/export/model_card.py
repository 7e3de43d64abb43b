"""The model card of an exported student: what it is, how good, against what, and how it came to be.

Mitchell et al., "Model Cards for Model Reporting", 2019, https://arxiv.org/abs/1810.03993
"""

from __future__ import annotations

from typing import Any


def model_card(summary: dict[str, Any]) -> str:
    """Markdown, written from nothing but `summary.json`."""
    best, test = summary["best"], summary["best"]["test"]
    accuracy = test["accuracy"]
    rows = [_row("**this student**", test, best["parameters"])]
    names = {
        "no_teacher": "same student, no teacher",
        "default_distillation": "same student, T = 4, soft_weight = 0.9",
    }
    rows += [_row(names[name], b["test"], best["parameters"]) for name, b in summary["baselines"].items()]
    teacher = summary["teacher"]
    rows.append(f"| teacher | {teacher['test']['accuracy']:.2%} | | | | {teacher['parameters']:,} |")
    return "\n".join(
        [
            f"# Student of the search `{summary['name']}`",
            "",
            f"{best['parameters']:,} parameters, {best['multiply_adds']:,} multiply-adds, "
            f"{best['latency_ms']:.3f} ms a sample on one thread, {best['bytes']:,} bytes of weights.",
            "",
            f"Test accuracy {accuracy['mean']:.2%} (95 % interval {accuracy['low']:.2%} to {accuracy['high']:.2%}, "
            f"{accuracy['seeds']} seeds; this folder holds the seed with the best validation).",
            "",
            *verdict_sentences(summary),
            "",
            "| | test accuracy | NLL | ECE | agreement with teacher | parameters |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            "## Use",
            "",
            "```",
            "python -m distill_tune.predict FOLDER INPUT",
            "python -m distill_tune.train FOLDER/run.toml",
            "```",
            "",
            f"Chosen on validation data among {summary['trials']['total']} trials; the test split was opened once, "
            "after the choice. Settings: `run.toml`.",
            "",
        ]
    )


def verdict_sentences(summary: dict[str, Any]) -> list[str]:
    """One sentence a baseline."""
    names = {
        "no_teacher": "the same student without a teacher",
        "default_distillation": "the same student with default distillation",
    }
    return [
        f"{found['word']}: {names[name]}, by {100 * found['difference']:+.2f} points of test accuracy "
        f"(95 % interval {100 * found['low']:+.2f} to {100 * found['high']:+.2f})."
        for name, found in summary["verdict"].items()
    ]


def _row(name: str, test: dict[str, Any], parameters: int) -> str:
    accuracy = test["accuracy"]
    return (
        f"| {name} | {accuracy['mean']:.2%} ({accuracy['low']:.2%} to {accuracy['high']:.2%}) | {test['nll']:.4f} "
        f"| {test['ece']:.4f} | {test['agreement']:.2%} | {parameters:,} |"
    )
