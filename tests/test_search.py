"""A whole search as a user runs it: a real process, a real Ray, and what it leaves behind."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import psutil
import pyarrow.parquet as pq
import pytest
import searches
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from safetensors.torch import load_file
from searches import command, run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from distill_tune.data.dataset import open_dataset, open_test
from distill_tune.evaluation.predicting import predict_logits
from distill_tune.export.student_folder import open_student_folder
from distill_tune.export.verdict_words import curse_sentence, p_value_sentences, verdict_sentences
from distill_tune.train import main as train

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]

SPACE = "search_spaces/digits.toml"
SMALL = [
    *("--set", "teacher.train.epochs=8", "--set", "teacher.views=2", "--set", "search.max_epochs=6"),
    *("--set", "confirm.top=2", "--set", "confirm.seeds=2"),
]


@pytest.fixture(scope="module")
def done(storage: Path) -> subprocess.CompletedProcess[str]:
    return run(storage, SPACE, "--name", "small", "--trials", "8", *SMALL)


@pytest.fixture(scope="module")
def folder(storage: Path, done: subprocess.CompletedProcess[str]) -> Path:
    assert done.returncode == 0, done.stdout + done.stderr
    return storage / "small"


@pytest.fixture(scope="module")
def summary(folder: Path) -> dict[str, Any]:
    return searches.summary(folder)


def test_it_says_a_verdict_a_table_and_where_things_are(
    done: subprocess.CompletedProcess[str], folder: Path, summary: dict[str, Any]
) -> None:
    said = done.stdout
    verdicts = verdict_sentences(summary)
    assert len(verdicts) == 2
    assert {*verdicts} <= {*said.splitlines()}
    heads = re.findall(r"^(\w+(?: \w+)?)  .*%", said.rpartition("test accuracy  ")[2], re.MULTILINE)
    assert heads == ["best", "no teacher", "default distillation", "teacher"]
    assert f"tensorboard --logdir {folder / 'tensorboard'}" in said
    assert done.stderr == ""


def test_the_end_and_the_model_card_tell_corrected_p_values_and_the_winners_curse(
    done: subprocess.CompletedProcess[str], folder: Path, summary: dict[str, Any]
) -> None:
    card = (folder / "best" / "README.md").read_text().splitlines()
    corrected = p_value_sentences(summary)
    assert corrected
    for sentence in (*corrected, curse_sentence(summary)):
        assert sentence in done.stdout.splitlines()
        assert f"- {sentence}" in card


def test_the_summary_holds_what_others_rely_on(summary: dict[str, Any]) -> None:
    best, test = summary["best"], summary["best"]["test"]
    assert (summary["name"], summary["status"]) == ("small", "complete")
    assert best["parameters"] <= 2500
    assert best["bytes"] > 4 * best["parameters"]
    assert best["latency_ms"] > 0
    assert best["multiply_adds"] > 0
    assert 0 <= test["accuracy"]["low"] <= test["accuracy"]["mean"] <= test["accuracy"]["high"] <= 1
    assert test["accuracy"]["seeds"] == 2
    assert {"nll", "ece", "agreement", "corrupted_accuracy"} <= set(test)
    assert set(summary["baselines"]) == set(summary["verdict"]) == {"no_teacher", "default_distillation"}
    for verdict in summary["verdict"].values():
        assert verdict["low"] <= verdict["difference"] <= verdict["high"]
        assert verdict["bootstrap_low"] <= verdict["difference"] <= verdict["bootstrap_high"]
    assert summary["teacher"]["parameters"] > best["parameters"]
    assert isinstance(summary["selection_bias"], float)
    assert 0 < summary["training_share"] <= 1
    phases = ("prepare_s", "start_s", "search_s", "confirm_s", "export_s")
    assert sum(summary["time"][phase] for phase in phases) <= summary["time"]["total_s"] + 1
    assert {"python", "torch", "ray", "optuna", "distill_tune"} <= set(summary["versions"])


def test_every_trial_is_accounted_for_alike_in_summary_table_study_and_tensorboard(
    folder: Path, summary: dict[str, Any]
) -> None:
    rows = pq.read_table(folder / "trials.parquet").to_pylist()
    counts = summary["trials"]
    trained = [row for row in rows if row["status"] != "infeasible"]
    assert counts["total"] == len(trained) == 8
    assert counts["infeasible"] == len(rows) - 8
    assert counts["completed"] + counts["stopped"] + counts["failed"] == 8
    assert summary["epochs_trained"] == sum(row["epochs"] for row in rows)
    study = optuna.load_study(
        study_name="small", storage=JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    )
    states = {trial.number: trial.state for trial in study.trials}
    assert states.keys() == {row["number"] for row in rows}
    told = {"completed": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "infeasible": TrialState.PRUNED}
    assert all(states[row["number"]] is told[row["status"]] for row in rows)
    for row in trained:
        events = EventAccumulator(str(folder / "tensorboard" / row["trial"])).Reload()
        last = events.Scalars("val/accuracy")[-1]
        assert (last.step, last.value) == (row["epochs"], pytest.approx(row["val/accuracy"]))


def test_the_best_two_trials_are_confirmed_and_the_winner_is_one_of_them(folder: Path, summary: dict[str, Any]) -> None:
    trained = [row for row in pq.read_table(folder / "trials.parquet").to_pylist() if row["val/accuracy"] is not None]
    trained.sort(key=lambda row: (row["val/accuracy"], -row["val/loss"]), reverse=True)
    best = dict[str, str]()
    for row in trained:
        best.setdefault(str([value for key, value in row.items() if key.startswith("config/")]), row["trial"])
    weights = (folder / "confirmation").glob("confirm-trial-*-seed*.safetensors")
    confirmed = {path.name.removeprefix("confirm-trial-").partition("-seed")[0] for path in weights}
    assert confirmed == set(list(best.values())[:2])
    best_trial, seed = summary["best"]["trial"], summary["best"]["seed"]
    assert f"{best_trial:04d}" in confirmed
    ours = folder / "confirmation" / f"confirm-trial-{best_trial:04d}-seed{seed}.safetensors"
    assert ours.read_bytes() == (folder / "best" / "student.safetensors").read_bytes()


def test_the_winners_folder_has_the_student_in_every_format(folder: Path, summary: dict[str, Any]) -> None:
    found = {path.name for path in (folder / "best").iterdir()}
    assert found == {"run.toml", "student.safetensors", "student.json", "student.pt2", "student.onnx", "README.md"}
    assert summary["best"]["left_out"] == {}


def test_the_winner_trains_again_from_its_folder(folder: Path, tmp_path: Path) -> None:
    run = [sys.executable, "-m", "distill_tune.train", str(folder / "best" / "run.toml"), "--seeds", "2"]
    again = subprocess.run(
        [*run, *searches.NO_PROGRAMS, "--storage", str(tmp_path), "--name", "again"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "mean of 2 seed(s)" in again.stdout
    report = json.loads((tmp_path / "again" / "train.json").read_text())["seeds"]
    assert {"0", "1"} == set(report)
    assert open_student_folder(tmp_path / "again" / "seed-0").classes == tuple("0123456789")


def test_the_exported_student_predicts_as_it_was_examined(
    folder: Path, summary: dict[str, Any], tmp_path: Path
) -> None:
    opened, test = (
        open_student_folder(folder / "best"),
        open_test(open_dataset(next((folder / "cache").glob("data-*")))),
    )
    examined = summary["best"]["test"]["accuracy"]
    trained = sorted((folder / "confirmation").glob(f"confirm-trial-{summary['best']['trial']:04d}-seed*"))
    assert len(trained) == 2 * examined["seeds"], "the seeds that chose it, and those that judge it"
    answers = dict[bytes, np.ndarray]()
    for path in trained[examined["seeds"] :]:
        opened.student.load_state_dict(load_file(path))
        answers[path.read_bytes()] = predict_logits(opened.student, test.inputs).argmax(1)
    right = [np.mean(classes == test.labels) for classes in answers.values()]
    assert (len(right), np.mean(right)) == (examined["seeds"], pytest.approx(examined["mean"]))
    np.save(tmp_path / "new.npy", test.inputs)
    predict = [sys.executable, "-m", "distill_tune.predict", str(folder / "best"), str(tmp_path / "new.npy")]
    subprocess.run([*predict, "-o", str(tmp_path / "out.csv")], timeout=60, check=True)
    head, *rows = (tmp_path / "out.csv").read_text().splitlines()
    exported = answers[(folder / "best" / "student.safetensors").read_bytes()]
    assert head == "class," + ",".join("0123456789")
    assert [row.partition(",")[0] for row in rows] == [opened.classes[each] for each in exported]


def test_nothing_but_the_promised_is_left_in_the_folder(folder: Path) -> None:
    promised = {
        "search.toml",
        "study.journal",
        "ledger.jsonl",
        "trials.parquet",
        "summary.json",
        "report.html",
        "best",
        "tensorboard",
        "cache",
    }
    assert {path.name for path in folder.iterdir()} == promised | {"confirmation"}


def test_its_page_says_what_was_said_and_can_be_had_again(folder: Path, done: subprocess.CompletedProcess[str]) -> None:
    page = (folder / "report.html").read_text()
    verdicts = [line for line in done.stdout.splitlines() if "points of test accuracy" in line]
    assert len(verdicts) == 2
    for sentence in verdicts:
        assert sentence in page
    again = [sys.executable, "-m", "distill_tune.report", str(folder)]
    (folder / "report.html").unlink()
    subprocess.run(again, check=True, timeout=60)
    assert (folder / "report.html").read_text() == page


def test_a_folder_that_holds_a_search_is_refused(storage: Path, folder: Path) -> None:
    refused = run(storage, SPACE, "--name", "small")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "holds another result" in refused.stderr


def test_ctrl_c_ends_trials_saves_what_is_there_and_leaves_no_process(storage: Path, folder: Path) -> None:
    with subprocess.Popen(
        command(storage, SPACE, "--name", "stopped", "--trials", "500", *SMALL),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as search:
        assert search.stdout is not None
        next(line for line in search.stdout if line.startswith("trial"))
        family = psutil.Process(search.pid).children(recursive=True)
        assert family
        search.send_signal(signal.SIGINT)
        said, errors = search.communicate(timeout=100)
    assert search.returncode == 130, said + errors
    found = searches.summary(storage / "stopped")
    rows = pq.read_table(storage / "stopped" / "trials.parquet").to_pylist()
    assert found["status"] == "interrupted"
    assert found["trials"]["total"] == sum(row["status"] != "infeasible" for row in rows) < 500
    assert not any(row["status"] == "running" for row in rows)
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []


def test_a_search_with_folds_exports_a_student_of_all_of_them_that_can_be_trained_again(tmp_path: Path) -> None:
    space = tmp_path / "few.toml"
    space.write_text(
        '[data]\nsource = "blobs"\nfolds = 3\n[data.blobs]\nsamples = 400\nclasses = 4\nseparation = 2.0\n'
        '[teacher]\nfamily = "mlp"\n[teacher.train]\nepochs = 5\n[student]\nfamily = "mlp"\n[student.mlp]\n'
        "widths = { choice = [[8], [12]] }\n[optim]\nlearning_rate = 0.02\nprecision = 'float32'\n"
        "[search]\nmax_epochs = 3\ntrials = 2\n[confirm]\ntop = 1\nseeds = 2\n"
    )
    done = run(tmp_path, str(space), "--name", "few", *searches.NO_PROGRAMS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "320 samples in 3 folds, 80 to test" in done.stdout
    found = searches.summary(tmp_path / "few")
    assert "3-fold cross-validation, trained on all of its folds" in (tmp_path / "few/best/README.md").read_text()
    exported = (tmp_path / "few/best/student.safetensors").read_bytes()
    winner = f"confirm-trial-{found['best']['trial']:04d}-seed"
    kept = {path.stem: path for path in (tmp_path / "few" / "confirmation").glob(f"{winner}*")}
    assert len(kept) == 2 * (1 + 3)
    (seed,) = (name.rpartition("seed")[2] for name, path in kept.items() if path.read_bytes() == exported)
    again = ["--set", f"search.seed={seed}", "--storage", str(tmp_path), "--name", "again", *searches.NO_PROGRAMS]
    assert train([str(tmp_path / "few/best/run.toml"), *again]) == 0
    assert (tmp_path / f"again/seed-{seed}/student.safetensors").read_bytes() == exported
