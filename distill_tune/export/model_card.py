"""The model card of an exported student: what it is, how good, compared with what, and how it was found.

Mitchell et al., "Model Cards for Model Reporting", 2019, https://arxiv.org/abs/1810.03993
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod
from typing import Any

from distill_tune.config.messages import listed, shown
from distill_tune.export.caveats import caveat_sentences
from distill_tune.export.verdict_words import baseline_in_words, evidence_sentences, verdict_sentences
from distill_tune.students._folder import is_dark

_LISTED = 20
"""The most columns that a card lists."""
_NAMED = 10
"""The most classes that it names."""
_DEFAULT_MIX = ", from the mix of teachers that the space gives to all trials, which may be another than this student's"
_CHOSEN_LATER = ": later choices may have been influenced by earlier results"

_CARD = """\
# Student of the search `{name}`

{parameters:,} parameters, {multiply_adds:,} multiply-adds, {latency_ms:.3f} ms per sample on one thread, \
{bytes:,} bytes of weights.

Test accuracy {mean:.2%} (95 % interval {low:.2%} to {high:.2%}, {seeds} seeds; this folder holds that of seed \
{seed}, which is best on validation{folds}).

{verdict}

{evidence}

| | test accuracy | NLL | ECE | agreement with teacher | parameters |
|---|---|---|---|---|---|
{rows}

Default distillation is T = 4 and soft_weight = 0.9{mix}.{taught_by}{tells_apart}

## Use

```
python -m distill_tune.predict FOLDER INPUT
python -m distill_tune.train FOLDER/run.toml
```

FOLDER is the folder of this card. {says_input}

`student.pt2` (PyTorch) and `student.onnx`, if present, are the network alone, for programs without \
distill_tune.

Chosen on validation data among {num_trials} trials{failed}; the test split was opened {openings}{choice}. Settings: \
`run.toml`.
"""


def model_card(
    summary: dict[str, Any],
    says_input: str = "INPUT is laid out as the training data.",
    classes: Sequence[str] = (),
) -> str:
    """The card in Markdown, from `summary.json`, `input_sentence` and the names of the classes alone."""
    best, teacher = summary["best"], summary["teacher"]
    students = {"**this student**": best}
    students |= {baseline_in_words(name, summary): best | baseline for name, baseline in summary["baselines"].items()}
    rows = [_row(name, student["test"], student["parameters"]) for name, student in students.items()]
    rows.append(f"| teacher | {share(teacher['test']['accuracy'])} | | | | {known(teacher['parameters'])} |")
    return _CARD.format(
        **best,
        **best["test"]["accuracy"],
        name=summary["name"],
        num_trials=summary["trials"]["total"],
        folds=_of_folds(best["config"]["data"].get("folds")),
        mix=_DEFAULT_MIX if "members" in teacher else "",
        failed=_failed(summary["trials"].get("failed", 0)),
        openings=openings(summary),
        choice=", after the choice" if summary["test_opened"] == 1 else _CHOSEN_LATER,
        verdict="\n".join([*verdict_sentences(summary), *caveat_sentences(summary)]),
        evidence="\n".join(f"- {sentence}" for sentence in evidence_sentences(summary)),
        rows="\n".join(rows),
        says_input=says_input,
        taught_by=_teacher(best["config"].get("teacher", {})),
        tells_apart=_classes(classes),
    )


def _teacher(section: dict[str, Any]) -> str:
    """Where the teacher is from, as configured; of several, each by its name."""
    members = section.get("ensemble", {}).get("members", {})
    sources = [f"{as_code(name)} is {_source(member)}" for name, member in members.items()] or [_source(section)]
    return f"\n\nTeacher: {'; '.join(sources)}." if section else ""


def _source(section: dict[str, Any]) -> str:
    told = {"source": "train"} | {key: section[key] for key in ("source", "family", "path") if section.get(key)}
    return ", ".join(as_code(f"{key} = {shown(value)}") for key, value in told.items())


def _classes(names: Sequence[str]) -> str:
    more = ", ..., all in `student.json`" if len(names) > _NAMED else ""
    named = ", ".join(map(as_code, names[:_NAMED]))
    return f"\n\nClasses ({len(names):,}): {named}{more}." if names else ""


def training_card(name: str, seed: int, accuracy: float) -> str:
    """The card of a student that was trained without a search.

    `name` is that of its training, `accuracy` is on validation samples.
    """
    return f"# Student of {name}, seed {seed}\n\nval/accuracy {accuracy:.4f}\n"


def input_sentence(
    input_shape: Sequence[int],
    encoder: dict[str, Any] | None,
    separator: str | None = None,
    brightest: int | None = None,
) -> str:
    """What `predict` reads for a student, as in its `student.json` and, for a CSV's separator, its `run.toml`."""
    if encoder is None:
        shape, pixels = ", ".join(map(str, input_shape)), prod(input_shape)
        fit_pictures = input_shape[0] in (1, 3) and not is_dark(brightest)  # else `predict` refuses or warns of them
        pictures = " a picture, a folder of pictures, or" if fit_pictures else ""
        most = brightest if is_dark(brightest) else 255
        return (
            f"INPUT is{pictures} a file of images in the training data's units, integers from 0 to {most}: .npy or "
            f".npz, [n, {shape}] (channels, height, width), or CSV or Parquet with {pixels} columns, a row an "
            "image with its pixels in that order."
        )
    needed = {*(number["name"] for number in encoder["numbers"]), *encoder["categories"]}
    used = [name for name in encoder["columns"] if name in needed]
    names = ", ".join(map(as_code, used[:_LISTED]))
    more = ", ..., all in `student.json`" if len(used) > _LISTED else ""
    csv = f"CSV (separated by {separator!r})" if separator else "CSV"
    return (
        f"INPUT is a table, {csv} with a header line or Parquet, with the columns {names}{more} (in any order; others "
        f"are ignored), or .npy or .npz, [n, {len(encoder['columns'])}], with all input columns in the order of "
        f'"columns" in student.json{_with_dropped(encoder["columns"], used)}.'
    )


def _with_dropped(columns: Sequence[str], used: Sequence[str]) -> str:
    dropped = [as_code(name) for name in columns if name not in used]
    return f", also those that training dropped, {listed(dropped)}" if dropped else ""


def as_code(text: str) -> str:
    """A user's text as Markdown code: on one line, fenced by more backticks than it has in a row."""
    text = text if text.isprintable() else repr(text)[1:-1]
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    room = " " * (text.strip("` ") != text and not text.isspace())
    return f"{fence}{room}{text}{room}{fence}"


def _of_folds(folds: int | None) -> str:
    return "" if folds is None else f" in {folds}-fold cross-validation, trained on all of its folds together"


def _failed(count: int) -> str:
    return f", of which {count:,} failed" if count else ""


def openings(summary: dict[str, Any]) -> str:
    """How often the test split has been opened; after the first time, a choice may have been based on it."""
    times = summary["test_opened"]
    return "once" if times == 1 else f"{times} times"


def _row(name: str, test: dict[str, Any], parameters: int) -> str:
    accuracy = test["accuracy"]
    return (
        f"| {name} | {accuracy['mean']:.2%} ({accuracy['low']:.2%} to {accuracy['high']:.2%}) | {test['nll']:.4f} "
        f"| {test['ece']:.4f} | {share(test['agreement'])} | {parameters:,} |"
    )


def share(value: float | None) -> str:
    """A fraction in percent; a dash if there is none."""
    return "-" if value is None else f"{value:.2%}"


def known(count: int) -> str:
    """How many parameters a teacher has; a dash if only its logits are known."""
    return f"{count:,}" if count else "-"
