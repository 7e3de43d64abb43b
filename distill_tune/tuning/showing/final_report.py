"""The report at the end of a search (rich): verdict, compared students, winner, and where everything is."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from distill_tune.config.messages import shown
from distill_tune.config.searching import COSTS
from distill_tune.export.caveats import caveat_sentences
from distill_tune.export.model_card import openings
from distill_tune.export.result_folder import REPORT, TENSORBOARD
from distill_tune.export.student_folder import BEST
from distill_tune.export.verdict_words import (
    choice_sentences,
    curse_sentence,
    p_value_sentences,
    verdict_sentences,
)
from distill_tune.mirror import Mirror
from distill_tune.tuning.showing.wording import amount, latencies, milliseconds, show

_USUAL_OPTIMIZER = "adamw"
_SHORT = 20
"""The most characters of an option in the line on the winner."""
_OF_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set in the environment of jobs started by `ray job submit`."""


def final_report(
    console: Console, found: dict[str, Any], folder: Path, address: str | None = None, mirror: Mirror | None = None
) -> None:
    """Print the results in `summary.json`, and where the files are."""
    say = partial(console.print, soft_wrap=True, highlight=False, markup=False)
    if found["status"] == "interrupted":
        say(f"Interrupted; what is known so far is in {folder}")
        store = None if mirror is None else mirror.store.uri
        say(f"go on with   {command_to_go_on(folder, address, store)}")
        return
    _say_verdict(say, found)
    say("")
    console.print(verdict_table(verdict_rows(found)))
    say(winner_in_words(found))
    if found.get("front"):
        say("")
        say_front(console, found["front"])
    say("")
    say(f"student      {folder / BEST}")
    if (folder / REPORT).is_file():  # a full disk leaves no page, and a warning was printed
        say(f"report       {folder / REPORT}")
    say(f"TensorBoard  tensorboard --logdir {shlex.quote(str(folder / TENSORBOARD))}")
    if mirror is not None and not mirror.problem:
        say(f"copy         {mirror.store.place(folder.name)}")


def command_to_go_on(folder: Path, address: str | None = None, store: str | None = None) -> str:
    """The command that resumes the search; `store` is the URI of its storage if `folder` is but a mirror of that."""
    is_job = _OF_A_JOB in os.environ
    place = store or str(folder.parent)
    storage = "" if place == str(_usual()) and not is_job else f" --storage {shlex.quote(place)}"
    cluster = f" --address {shlex.quote(address)}" if address else ""
    command = "cluster/submit.sh --address URL" if is_job else "python -m distill_tune.search"
    return f"{command} --resume --name {shlex.quote(folder.name)}{storage}{cluster}"


def _usual() -> Path | None:
    """The default folder of results; None if the current folder is gone, as a job's may be."""
    try:
        return Path("results").absolute()
    except FileNotFoundError:
        return None


def _say_verdict(say: Callable[[str], None], found: dict[str, Any]) -> None:
    say("")
    verdict = (*verdict_sentences(found), *caveat_sentences(found), *p_value_sentences(found))
    for sentence in (*verdict, *choice_sentences(found), curse_sentence(found)):
        say(sentence)
    if found["test_opened"] > 1:
        say(f"The test split has been opened {openings(found)}.")


def verdict_rows(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The best student, baselines and teacher, as `verdict_table` takes them."""
    best = {**found["best"]["test"], "parameters": found["best"]["parameters"]}
    of_best = best["parameters"]
    baselines = {
        name: {"parameters": b.get("parameters", of_best), **b["test"]} for name, b in found["baselines"].items()
    }
    teacher = {**found["teacher"]["test"], "parameters": found["teacher"]["parameters"]}
    rows = {"best": best, **baselines, "teacher": teacher}
    return {name: {**rows[name], "latency_ms": ms} for name, ms in latencies(found).items()} or rows


def winner_in_words(found: dict[str, Any]) -> str:
    """The best student's trial and settings, on one line."""
    best, config = found["best"], found["best"]["config"]
    family, init, loss, optim = config["student"]["family"], config["student"]["init"], config["loss"], config["optim"]
    begun = "" if init == "default" else f"init {init}, "
    options = ", ".join(f"{name} {_briefly(value)}" for name, value in config["student"].get(family, {}).items())
    taught = {"T": "temperature", "soft_weight": "soft_weight"}
    further = "".join(f" + {weight:.3g} {name}" for name, weight in loss.get("also", {}).items() if weight)
    said = [f"{short} {_way(loss, key)}" for short, key in taught.items() if key in loss]
    inside = [*(said or ["no teacher"] * (not further)), *_short_options(loss.get(loss["kind"], {}))]
    teaching = f" ({', '.join(inside)})" if inside else ""
    taught_by = _mix_in_words(found) if said or further else ""
    student = (
        f"best: trial {best['trial']:04d}, {family} ({options}), {begun}{loss['kind']}{teaching}{further}{taught_by}"
    )
    return ", ".join([student, *_training_in_words(optim, config.get("augmentation", {}))])


def _short_options(options: Mapping[str, Any]) -> list[str]:
    """The options that are short enough for the line; all are in `best/run.toml`."""
    told = {name: show(value) for name, value in options.items() if isinstance(value, int | float | str)}
    return [f"{name} {value}" for name, value in told.items() if len(value) <= _SHORT]


def _mix_in_words(found: Mapping[str, Any]) -> str:
    """The teachers, of several, that the winner learned from, with their weights."""
    members = found.get("teacher", {}).get("members", {})
    shares = [f"{name} {member['weight']:.3g}" for name, member in members.items() if member["weight"]]
    return f" of {' + '.join(shares)}" if shares else ""


def _training_in_words(optim: Mapping[str, Any], amounts: Mapping[str, Any]) -> Iterator[str]:
    """The optimizer if it is not the usual one, its settings, and the augmentation."""
    if optim.get("kind", _USUAL_OPTIMIZER) != _USUAL_OPTIMIZER:
        yield optim["kind"]
    numbers = {name: optim.get(name) for name in ("learning_rate", "weight_decay", "batch_size")}
    yield from (f"{name} {_briefly(value)}" for name, value in {**numbers, **amounts}.items() if value)


def _briefly(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else shown(value)


def _way(loss: dict[str, Any], key: str) -> str:
    """A value of the loss, and the value that it ends at if it changes during training."""
    return " to ".join(f"{loss[each]:.3g}" for each in (key, f"{key}_end") if each in loss)


def say_front(console: Console, front: Sequence[Mapping[str, Any]]) -> None:
    """Print the front of a search; its note may be wider than the table, to whose width rich would break a caption."""
    console.print(front_table(front))
    if any(row["confirmed"] for row in front):
        note = "confirmed: mean of the fresh seeds in which they were compared"
        console.print(note, soft_wrap=True, highlight=False, markup=False)


def front_table(front: Sequence[Mapping[str, Any]]) -> Table:
    """The front of a search as in the summary; what was not confirmed has a dash."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("front")
    metrics = [name for name in front[0]["values"] if name not in COSTS]
    for head in (*front[0]["values"], *(f"{name}, confirmed" for name in metrics)):
        table.add_column(head, justify="right")
    for row in front:
        again = (row["confirmed"] or {"values": {}})["values"]
        numbers = [*row["values"].values(), *(again.get(name) for name in metrics)]
        table.add_row(f"trial {row['trial']:04d}", *("-" if number is None else amount(number) for number in numbers))
    return table


def verdict_table(rows: Mapping[str, Mapping[str, Any]]) -> Table:
    """The final table; `rows` maps "best", "no_teacher", ... to their test metrics and size.

    A row may have `accuracy` (a fraction, or a mapping with `mean`, `low` and `high`), `nll`, `ece`, `agreement` and
    `parameters`; whatever it lacks is shown as a dash. With `latency_ms`, that takes the place of `ece`, for which a
    terminal of 80 columns has no room; the report has both.
    """
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("student")
    are_timed = any("latency_ms" in row for row in rows.values())
    for head in ("test accuracy", "NLL", "ms" if are_timed else "ECE", "agreement", "parameters"):
        table.add_column(head, justify="right")
    for name, row in rows.items():
        parameters = f"{row['parameters']:,}" if row.get("parameters") else "-"
        means = [
            _number(row.get("nll"), ".3f"),
            milliseconds(row.get("latency_ms")) if are_timed else _number(row.get("ece"), ".3f"),
            _number(row.get("agreement"), ".1%"),
        ]
        style = "bold" if name == "best" else ""
        table.add_row(name.replace("_", " "), _accuracy(row.get("accuracy")), *means, parameters, style=style)
    return table


def _accuracy(value: Any) -> str:
    if isinstance(value, Mapping) and value.get("low") is not None and value.get("high") is not None:
        return f"{_percent(value['mean'])}% [{_percent(value['low'])}, {_percent(value['high'])}]"
    share = value.get("mean") if isinstance(value, Mapping) else value
    return "-" if share is None else f"{_percent(share)}%"


def _percent(share: float) -> str:
    """A fraction in percent; 100 has no decimals, with which the table would not fit a terminal of 80 columns."""
    told = f"{100 * share:.2f}"
    return "100" if told == "100.00" else told


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
