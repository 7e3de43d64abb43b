"""Searches in real processes that are killed, and continue with `--resume` and `--extend`."""

import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from searches import SMALL, command, ended, ended_twice, entries, has_reported, is_worker, once, run, summary, trials

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]


def written(folder: Path, entry: str, whose: str = "") -> int:
    """How many such entries the logbook has so far, of trials whose names start with `whose`."""
    ledger = folder / "ledger.jsonl"
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    return sum(f'"entry":"{entry}"' in line and f'"trial_id":"{whose}' in line for line in lines)


@pytest.fixture(scope="module")
def undisturbed(storage: Path) -> Path:
    done = run(storage, "--name", "undisturbed", "--quiet", *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    return storage / "undisturbed"


@pytest.fixture(scope="module")
def killed(storage: Path, undisturbed: Path) -> Path:
    folder = storage / "disturbed"
    some_have_ended = once("Starting", lambda: written(folder, "ended") >= 4)
    status, said = ended(storage, signal.SIGKILL, some_have_ended, "--name", folder.name, *SMALL)
    assert status == -signal.SIGKILL, said
    assert said.splitlines()[-1].startswith("error: disturbed was ended from outside, or by Ray, ")
    assert " go on with   python -m distill_tune.search --resume --name disturbed" in said.splitlines()[-1]
    assert not (folder / "summary.json").exists()
    return folder


@pytest.fixture(scope="module")
def timed(storage: Path, killed: Path) -> Path:
    """Interrupted again, as by `timeout`, whose SIGTERM goes to the whole process group."""
    before = written(killed, "reported")
    goes_on = once("Starting", lambda: written(killed, "reported") > before)
    status, said = ended(storage, signal.SIGTERM, goes_on, "--resume", "--name", killed.name)
    assert status == 130, said
    assert summary(killed)["status"] == "interrupted"
    assert said.splitlines()[-1].startswith("go on with   python -m distill_tune.search --resume --name disturbed")
    return killed


@pytest.fixture(scope="module")
def interrupted(storage: Path, timed: Path) -> Path:
    """Interrupted once more, during its confirmation, as by a closed terminal."""
    one_is_trained = once("Confirming", lambda: written(timed, "ended", "confirm-") >= 1)
    status, said = ended(storage, signal.SIGHUP, one_is_trained, "--resume", "--name", timed.name)
    assert status == 130, said
    assert "--resume --name disturbed" in said
    assert summary(timed)["status"] == "interrupted"
    return timed


def test_a_search_ended_in_three_ways_ends_as_if_nothing_had_happened(
    storage: Path, undisturbed: Path, interrupted: Path
) -> None:
    again = run(storage, "--resume")  # the newest unfinished one
    assert again.returncode == 0, again.stdout + again.stderr
    assert trials(interrupted) == trials(undisturbed)
    ours, whole = summary(interrupted), summary(undisturbed)
    assert (ours["best"]["trial"], ours["verdict"]) == (whole["best"]["trial"], whole["verdict"])
    assert ours["test_opened"] == whole["test_opened"] == 1
    told = entries(interrupted)
    kept = {f"data-{told[0]['data']}", *told[0]["teachers"]}
    assert kept == {path.name for path in (interrupted / "cache").iterdir()}
    ends = Counter(entry["trial_id"] for entry in told if entry["entry"] == "ended" and "trial_id" in entry)
    assert set(ends.values()) == {1}, "a trial that had ended was run again"
    began = Counter(entry["trial"]["trial_id"] for entry in told if entry["entry"] == "started")
    assert set(began.values()) == {1}


def test_a_finished_search_is_extended_and_confirmed_anew(storage: Path, undisturbed: Path) -> None:
    before, first = trials(undisturbed), summary(undisturbed)
    more = run(storage, "--extend", "6", "--name", "undisturbed")
    assert more.returncode == 0, more.stdout + more.stderr
    after, second = trials(undisturbed), summary(undisturbed)
    assert after[: len(before)] == before
    assert second["trials"]["total"] == first["trials"]["total"] + 6
    assert (first["test_opened"], second["test_opened"]) == (1, 2)
    assert (first["sessions"], second["sessions"]) == (1, 2)
    assert "opened 2 times" in more.stdout
    seeds = {path.stem.rpartition("seed")[2] for path in (undisturbed / "confirmation").iterdir()}
    assert seeds == {"1000", "1001", "2000", "2001"}
    refused = run(storage, "--resume", "--name", "undisturbed")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "undisturbed is finished; --extend N" in refused.stderr


def test_a_second_ctrl_c_ends_at_once_and_what_is_there_is_saved(storage: Path, undisturbed: Path) -> None:
    status, said = ended_twice(storage, has_reported, "--name", "twice", *SMALL, "--set", "data.passes=40")
    assert status == 130, said
    assert summary(storage / "twice")["status"] == "interrupted"
    assert not (storage / "twice" / "tune").exists()
    rows = pq.read_table(storage / "twice" / "trials.parquet").to_pylist()
    statuses = {row["status"] for row in rows}
    assert statuses & {"interrupted", "paused"}
    assert "running" not in statuses


WITH_SIGNALS = """
import os, signal, sys
import ray
from distill_tune.search import main
from distill_tune.tuning.verdict import outcome

def ends(*what):
    raise KeyboardInterrupt

def asked_twice(before):
    def shutdown():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        before()
    return shutdown

if sys.argv.pop(1) == "in the examination":
    outcome.complete = ends
else:
    ray.shutdown = asked_twice(ray.shutdown)
sys.exit(main(sys.argv[1:]))
"""
"""Sends two signals, either during the examination or when all is done and Ray is shutting down."""


def test_signals_end_the_examination_of_a_test_split_that_is_open_and_nothing_when_all_is_done(storage: Path) -> None:
    def run_with(when: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        begin = [sys.executable, "-c", WITH_SIGNALS, when, *command(storage, "--name", "asked", *arguments)[3:]]
        return subprocess.run(begin, capture_output=True, text=True, timeout=200, check=False)

    short = ["--set", "data.passes=1", "--set", "search.max_epochs=2", "--trials", "2"]
    ended = run_with("in the examination", *SMALL, "--quiet", *short)
    assert ended.returncode == 130, ended.stdout + ended.stderr
    found = summary(storage / "asked")
    assert (found["status"], found["test_opened"]) == ("interrupted", 1)
    done = run_with("when all is done", "--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    found = summary(storage / "asked")
    assert (found["status"], found["test_opened"]) == ("complete", 2)
    assert "test accuracy" in done.stdout


def test_a_search_under_seeded_kills_ends_with_every_trial_accounted_for(storage: Path, undisturbed: Path) -> None:
    """Trial actors are killed in each of three sessions, and the driver at the end of the first two."""
    chance, killed = random.Random(7), 0
    chaos = ["--set", "resources.concurrent_trials=2", "--set", "search.retries=9", "--set", "data.passes=6"]
    begun = ["--name", "chaos", *SMALL, *chaos, "--trials", "10"]
    for session, arguments in enumerate([begun, ["--resume", "--name", "chaos"], ["--resume", "--name", "chaos"]]):
        process = subprocess.Popen(
            command(storage, *arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        with process as search:
            assert search.stdout is not None
            family = list[psutil.Process]()
            for line in search.stdout:
                family = psutil.Process(search.pid).children(recursive=True) if search.poll() is None else family
                if " of 10 tried" in line and killed < 2 * (session + 1):
                    killed += kill_one(family, chance)
                elif " of 10 tried" in line and session < 2:
                    search.kill()
                    break
        _, alive = psutil.wait_procs([each for each in family if is_worker(each)], timeout=60)
        assert alive == []
    assert search.returncode == 0
    found, rows = summary(storage / "chaos"), trials(storage / "chaos")
    assert found["status"] == "complete"
    assert found["trials"]["total"] == found["trials"]["completed"] + found["trials"]["stopped"] == 10
    assert len({row["trial"] for row in rows}) == len(rows)
    ends = Counter(
        each["trial_id"] for each in entries(storage / "chaos") if each["entry"] == "ended" and "trial_id" in each
    )
    assert set(ends.values()) == {1}
    assert killed >= 2


def kill_one(family: list[psutil.Process], chance: random.Random) -> int:
    """Kill one trial actor, if any is up; return how many were killed."""
    actors = [process for process in family if is_worker(process, "::Trial")]
    for actor in chance.sample(actors, min(1, len(actors))):
        with suppress(psutil.NoSuchProcess):
            actor.kill()
            return 1
    return 0
