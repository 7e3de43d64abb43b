"""What a finished search prints."""

import io
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from distill_tune.tuning.showing.final_report import (
    final_report,
    say_front,
    verdict_rows,
    verdict_table,
    winner_in_words,
)


def console(width: int = 80) -> Console:
    return Console(file=io.StringIO(), width=width, color_system=None)


def lines(on: Console) -> list[str]:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue().splitlines()


def test_the_verdict_table_shows_what_there_is_and_a_dash_for_the_rest() -> None:
    wide = console()
    accuracy = {"mean": 0.961, "low": 0.957, "high": 0.965, "seeds": [1, 2]}
    rows = {
        "best": {"accuracy": accuracy, "nll": 0.12, "ece": 0.021, "agreement": 0.97, "parameters": 14603},
        "default_distillation": {"accuracy": {"mean": 0.95}},
        "teacher": {"accuracy": 0.972, "parameters": None},
    }
    wide.print(verdict_table(json.loads(json.dumps(rows))))
    head, best, default, teacher = (line.split() for line in lines(wide))
    assert head == ["student", "test", "accuracy", "NLL", "ECE", "agreement", "parameters"]
    assert best == ["best", "96.10%", "[95.70,", "96.50]", "0.120", "0.021", "97.0%", "14,603"]
    assert default == ["default", "distillation", "95.00%", "-", "-", "-", "-"]
    assert teacher == ["teacher", "97.20%", "-", "-", "-", "-"]
    assert max(map(len, lines(wide))) <= 80


def test_the_verdict_table_fits_a_terminal_where_all_samples_are_right() -> None:
    narrow = console(80)
    accuracy = {"mean": 0.99998, "low": 0.9876, "high": 1.0}
    row = {"accuracy": accuracy, "nll": 0.12, "ece": 0.021, "agreement": 0.97, "parameters": 11_234_567}
    narrow.print(verdict_table({"default_distillation": row, "teacher": {**row, "accuracy": 1.0}}))
    _, best, teacher = lines(narrow)
    assert " 100% [98.76, 100]  0.120  0.021      97.0%  11,234,567" in best
    assert " 100%  0.120" in teacher


def test_with_a_latency_limit_the_table_has_each_students_latency_and_still_fits_a_terminal() -> None:
    narrow = console(80)
    test = {"accuracy": {"mean": 0.9666, "low": 0.9543, "high": 0.9765}, "nll": 0.12, "ece": 0.021, "agreement": 0.97}
    config = {"search": {"objectives": ["val/accuracy"]}, "limits": {"max_latency_ms": 0.3}}
    own = {"test": test, "trial": 3, "parameters": 90, "latency_ms": 12.3456}
    summary = {
        "best": {"config": config, "test": test, "parameters": 1_655, "latency_ms": 0.21875},
        "baselines": {"default_distillation": {"test": test}, "searched_no_teacher": own},
        "teacher": {"test": {"accuracy": 0.972}, "parameters": 11_234_567},
    }
    narrow.print(verdict_table(verdict_rows(summary)))
    head, best, default, searched, teacher = (line.split() for line in lines(narrow))
    assert head == ["student", "test", "accuracy", "NLL", "ms", "agreement", "parameters"]
    assert best[-4:] == default[-4:] == ["0.120", "0.219", "97.0%", "1,655"]
    assert searched[-4:] == ["0.120", "12.3", "97.0%", "90"]
    assert teacher == ["teacher", "97.20%", "-", "-", "-", "11,234,567"]
    del config["limits"]
    assert all("latency_ms" not in row for row in verdict_rows(summary).values())


def found(loss: dict[str, Any], init: str = "default") -> dict[str, Any]:
    """The summary to put in words."""
    student = {"family": "mlp", "init": init, "mlp": {"width": 20, "depth": 2}}
    optim = {"learning_rate": 0.0123456, "weight_decay": 1e-4}
    return {"best": {"trial": 7, "config": {"student": student, "loss": loss, "optim": optim}}}


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ({"kind": "soft_targets", "temperature": 4.0, "soft_weight": 0.9}, "soft_targets (T 4, soft_weight 0.9)"),
        (
            {"kind": "dkd", "temperature": 8.0, "temperature_end": 1.0, "soft_weight": 0.5, "soft_weight_end": 0.0},
            "dkd (T 8 to 1, soft_weight 0.5 to 0)",
        ),
        ({"kind": "sp", "soft_weight": 0.5, "schedule": "linear"}, "sp (soft_weight 0.5)"),
        (
            {"kind": "mine:Focal", "temperature": 2.828, "soft_weight": 0.5, "mine:Focal": {"gamma": 1.51234}},
            "mine:Focal (T 2.83, soft_weight 0.5, gamma 1.51)",
        ),
        (
            {"kind": "dkd", "soft_weight": 0.5, "dkd": {"non_target_weight": 8, "pairs": [["a", "b"]], "at": "x" * 21}},
            "dkd (soft_weight 0.5, non_target_weight 8)",
        ),
        ({"kind": "my:Own", "my:Own": {"floor": 0.1}}, "my:Own (no teacher, floor 0.1)"),
        ({"kind": "labels"}, "labels (no teacher)"),
        ({"kind": "labels", "also": {"hint": 0.5, "vid": 0.0}}, "labels + 0.5 hint"),
        (
            {"kind": "soft_targets", "temperature": 4.0, "soft_weight": 0.9, "also": {"hint": 0.0312, "sp": 2.0}},
            "soft_targets (T 4, soft_weight 0.9) + 0.0312 hint + 2 sp",
        ),
    ],
)
def test_the_winner_is_named_with_its_student_loss_and_rates(loss: dict[str, Any], words: str) -> None:
    said = f"best: trial 0007, mlp (width 20, depth 2), {words}, learning_rate 0.0123, weight_decay 0.0001"
    assert winner_in_words(found(loss)) == said


def test_the_winner_is_named_with_its_teachers_its_optimizer_and_what_its_inputs_were() -> None:
    told = found({"kind": "soft_targets", "temperature": 4.0, "soft_weight": 0.9})
    told["best"]["config"] |= {"augmentation": {"noise": 0.2, "swap": 0.0, "my:Own": "strong"}}
    told["best"]["config"]["optim"] |= {"kind": "sgd", "weight_decay": 0.0, "batch_size": 1024}
    told["teacher"] = {"members": {"a": {"weight": 0.25}, "b": {"weight": 0.75}, "c": {"weight": 0.0}}}
    assert winner_in_words(told).endswith(
        "soft_targets (T 4, soft_weight 0.9) of a 0.25 + b 0.75, sgd, learning_rate 0.0123, batch_size 1024, noise "
        "0.2, my:Own strong"
    )
    told["best"]["config"]["loss"] = {"kind": "labels"}
    assert " labels (no teacher), sgd, " in winner_in_words(told)


def test_the_winner_is_said_to_have_begun_otherwise_where_it_was_told_to() -> None:
    assert ", mlp (width 20, depth 2), init inherit, labels (no teacher), learning_rate" in winner_in_words(
        found({"kind": "labels"}, init="inherit")
    )


def test_a_value_of_the_winner_is_written_as_in_toml() -> None:
    told = found({"kind": "labels"})
    told["best"]["config"]["student"]["mlp"] = {"widths": [16, 8], "skip": True}
    assert ", mlp (widths [16, 8], skip true), " in winner_in_words(told)


def test_what_confirmed_means_is_said_below_the_front_in_a_line_that_is_not_broken() -> None:
    narrow = console(61)  # the note has a letter more
    sure = {
        "trial": 3,
        "values": {"val/accuracy": 0.9, "parameters": 1200},
        "confirmed": {"values": {"val/accuracy": 0.8}},
    }
    say_front(narrow, [sure, {**sure, "trial": 4, "confirmed": None}])
    told = lines(narrow)
    assert told[0].split() == ["front", "val/accuracy", "parameters", "val/accuracy,", "confirmed"]
    assert told[-1] == "confirmed: mean of the fresh seeds in which they were compared"
    assert told[-2].split() == ["trial", "0004", "0.9000", "1,200", "-"]
    alone = console()
    say_front(alone, [{**sure, "confirmed": None}])
    assert "mean of" not in "".join(lines(alone))


def test_after_an_interrupt_the_command_to_go_on_with_is_one_that_a_shell_takes() -> None:
    plain, folder = console(width=40), Path("/else where/a search")
    final_report(plain, {"status": "interrupted"}, folder, "head:6379")
    *_, last = lines(plain)
    command = shlex.split(last.removeprefix("go on with   "))
    assert command[:3] == ["python", "-m", "distill_tune.search"]
    assert command[3:] == [
        "--resume",
        "--name",
        folder.name,
        "--storage",
        "/else where",
        "--address",
        "head:6379",
    ]


def test_results_in_the_usual_place_need_no_storage_to_go_on() -> None:
    plain = console()
    final_report(plain, {"status": "interrupted"}, Path("results").absolute() / "digits")
    assert lines(plain)[-1] == "go on with   python -m distill_tune.search --resume --name digits"


def test_a_job_goes_on_as_a_job_with_its_storage_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    plain = console()
    final_report(plain, {"status": "interrupted"}, Path("/shared/results/digits"))
    assert (
        lines(plain)[-1]
        == "go on with   cluster/submit.sh --address URL --resume --name digits --storage /shared/results"
    )


def test_a_current_folder_that_is_gone_costs_no_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    plain = console()
    final_report(plain, {"status": "interrupted"}, Path("/shared/results/digits"))
    assert lines(plain)[-1].endswith("--resume --name digits --storage /shared/results")
