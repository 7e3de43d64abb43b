"""Results for reports: searches played without Ray, with a summary as a finished search writes it."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import tomli_w
from played_sessions import TABLES, Session, report_of

from distill_tune.tuning.reporting.result import Result
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.records import Status, TrialRecord

TEST: dict[str, Any] = {
    "accuracy": {"mean": 0.97, "low": 0.96, "high": 0.98, "seeds": 5},
    "nll": 0.1,
    "ece": 0.02,
    "brier": 0.05,
    "worst_class_accuracy": 0.9,
    "agreement": 0.95,
    "corrupted_accuracy": 0.7,
    "by_corruption": {"noise": 0.8, "blur": 0.6},
}
WORD: dict[str, Any] = {
    "word": "BEATS",
    "difference": 0.0089,
    "low": 0.0003,
    "high": 0.0175,
    "bootstrap_low": -0.0004,
    "bootstrap_high": 0.0182,
    "interval_p_value": 0.02,
    "interval_p_value_holm": 0.04,
    "p_value": 0.3,
    "p_value_holm": 0.6,
}


def played(folder: Path, kind: type[Session] = Session, **search: Any) -> Session:
    """A search that has finished its trials, but has no summary yet."""
    session = kind(folder, **search)
    session.run()
    tables = {**TABLES, "search": TABLES["search"] | search}
    made_with = {"command": "python -m distill_tune.search", "machine": "x86_64 Linux", "cpus": 2, "python": "3.11"}
    (folder / "search.toml").write_text(tomli_w.dumps({**tables, "made_with": made_with}))
    return session


def summed_up(folder: Path, session: Session, status: str = "complete", **more: Any) -> None:
    """Write `summary.json` for the best played trial, and as a search does then, how it ended into the logbook."""
    best = session.conductor.ledger.incumbent
    number = None if best is None else best.number
    found: dict[str, Any] = {"name": folder.name, "space": "digits.toml", "status": status}
    found["test_opened"] = int(status == "complete")
    if status == "complete":
        found |= _verdict(number)
    found |= {"time": {"total_s": 20.0, "search_s": 9.0, "export_s": 0.0}, "trials_per_hour": 9600.0}
    found |= {"concurrent_trials": 1, "training_share": 0.9, "ended_by": "trials", "rungs": []}
    if status != "complete":
        found |= {"best": {} if number is None else {"trial": number}}
    (folder / "summary.json").write_text(json.dumps(found | more))
    if end := {"complete": "finished", "failed": "failed"}.get(status):
        with (folder / "ledger.jsonl").open("a") as file:
            file.write(json.dumps({"entry": end, "at_s": 0.0}) + "\n")


def _verdict(number: int | None) -> dict[str, Any]:
    config = {"search": {"objectives": ["val/accuracy"], "max_epochs": 9}}
    cost = {"parameters": 320, "multiply_adds": 300, "latency_ms": 0.03, "bytes": 8000}
    baseline = {"test": {**TEST, "accuracy": {"mean": 0.96, "low": 0.95, "high": 0.97, "seeds": 5}}}
    return {
        "best": {"trial": number, "seed": 1001, "config": config, **cost, "test": TEST},
        "teacher": {"test": {"accuracy": 0.98}, "parameters": 94186},
        "baselines": {"no_teacher": baseline, "default_distillation": baseline},
        "verdict": {"no_teacher": WORD, "default_distillation": {**WORD, "word": "INCONCLUSIVE", "low": -0.002}},
        "selection_bias": 0.004,
        "selection_bias_epochs": 9,
        "flattered": False,
    }


_SEVERAL = {"objectives": ["val/accuracy", "parameters"], "scheduler": "none", "trials": 12}


def complete(folder: Path) -> None:
    summed_up(folder, played(folder))


def unfinished(folder: Path) -> None:
    played(folder)


def interrupted(folder: Path) -> None:
    summed_up(folder, played(folder, trials=3), "interrupted")


def without_a_trial(folder: Path) -> None:
    summed_up(folder, played(folder, trials=1), "failed", message="no trial could be used")
    lines = (folder / "ledger.jsonl").read_text().splitlines(keepends=True)
    (folder / "ledger.jsonl").write_text(lines[0])
    (folder / "study.journal").unlink()


class Failing(Session):
    """A session in which every trial fails, some after an epoch."""

    def _train(self, trial_id: str) -> None:
        if int(trial_id) % 2:
            self.conductor.take_reports(trial_id, [report_of(self.conductor, trial_id, 1)])
        self.conductor.ended(trial_id, "ValueError: always")


def all_failed(folder: Path) -> None:
    summed_up(folder, played(folder, Failing), "failed", message="no trial could be used")


def of_a_loss(folder: Path) -> None:
    summed_up(folder, played(folder, objectives=["val/loss"]))


def of_several_objectives(folder: Path) -> None:
    front = [{"trial": 0, "config": {}, "values": {"val/accuracy": 0.9, "parameters": 160}, "parameters": 160}]
    front.append({**front[0], "trial": 1, "confirmed": None})
    front[0]["confirmed"] = {"seeds": 2, "values": {"val/accuracy": 0.89}}
    summed_up(folder, played(folder, **_SEVERAL), front=front)


STATES = {
    each.__name__: each
    for each in (complete, unfinished, interrupted, without_a_trial, all_failed, of_a_loss, of_several_objectives)
}
"""For each state, the function that puts a folder in it."""


def of_trials(values: list[dict[str, Any]], scores: list[float], **ranges: Any) -> Result:
    """A search whose trials had these values and reached these scores after one epoch."""
    records = {
        f"{place:04d}": TrialRecord(
            place, f"{place:04d}", each, status=Status.COMPLETED, reports=[{"epoch": 1, "val/accuracy": score}]
        )
        for place, (each, score) in enumerate(zip(values, scores, strict=True))
    }
    for record in records.values():
        record.heard_s[1] = float(record.number)
    tables = {"search": {"max_epochs": 1}, "optim": ranges}
    return Result(Path("results/told"), tables, {}, History(records=records))


class Read(HTMLParser):
    """A page's text, chart places, and what it loads from elsewhere."""

    def __init__(self, page: str):
        super().__init__()
        self.text, self.charts, self.elsewhere = "", set[str](), list[str]()
        self._in_code = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._in_code = tag in ("script", "style")
        if given.get("class") == "chart":
            self.charts.add(given["id"] or "")
        if tag in ("link", "img", "iframe") or given.get("src"):
            self.elsewhere.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._in_code = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._in_code else f"{' '.join(data.split())} "


def is_well_made(figure: dict[str, Any]) -> None:
    """Plotly's own checks refuse what plotly.js would not take."""
    json.dumps(figure, allow_nan=False)
    go.Figure(figure)
    for trace in figure["data"]:
        assert len({len(trace[each]) for each in ("x", "y", "text") if isinstance(trace.get(each), list)}) <= 1
