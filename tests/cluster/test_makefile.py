"""The Makefile and CI's script: what they would run, without running it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
MAKE = shutil.which("make")

pytestmark = pytest.mark.skipif(MAKE is None, reason="make is not here")


def make(*arguments: str, folder: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    """Run make as from a terminal, even if make runs these tests."""
    environment = {
        key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ARGS")
    }
    return subprocess.run(
        [str(MAKE), *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def clone(tmp_path) -> Path:
    """A folder in which nothing is installed."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(PROJECT / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize("target", ["search", "test", "check", "lint", "format", "benchmarks", "data", "clean"])
def test_every_target_knows_what_to_do_in_a_fresh_clone(clone, target):
    result = make("-n", target, folder=clone)
    assert result.returncode == 0, result.stderr


def test_search_installs_first_and_hands_its_arguments_on(clone):
    lines = make("-n", "search", "ARGS=space.toml --trials 2", folder=clone).stdout.splitlines()
    venv, install, search = (
        next(i for i, line in enumerate(lines) if part in line)
        for part in ("-m venv .venv", "-e .", "-m distill_tune.search space.toml --trials 2")
    )
    assert venv < install < search


def test_all_tests_are_shared_by_two_processes_and_those_asked_for_are_run_as_asked(clone):
    whole, some = (make("-n", "test", f"ARGS={words}", folder=clone) for words in ("", "tests/config -k ranges"))
    assert whole.stdout.splitlines()[-1].split("-m pytest ")[1].startswith("--numprocesses 2 --dist loadfile")
    assert some.stdout.splitlines()[-1].split("-m pytest ")[1] == "tests/config -k ranges"


def test_what_is_installed_is_not_installed_again_until_pyproject_changes(clone):
    stamps = [clone / ".venv" / name for name in (".created", ".installed", ".dev")]
    stamps[0].parent.mkdir()
    for age, stamp in zip((3, 2, 1), stamps, strict=True):
        stamp.touch()
        os.utime(stamp, (2_000_000_000 - age, 2_000_000_000 - age))
    os.utime(clone / "pyproject.toml", (1_000_000_000, 1_000_000_000))
    assert "pip install" not in make("-n", "test", folder=clone).stdout
    os.utime(clone / "pyproject.toml", (2_000_000_000, 2_000_000_000))
    assert "pip install" in make("-n", "test", folder=clone).stdout


def test_what_tests_need_is_installed_in_one_go_and_serves_a_search(clone):
    shown = make("-n", "test", folder=clone).stdout
    assert shown.count("pip install") == 1
    assert "touch .venv/.installed .venv/.dev" in shown


def test_check_runs_every_checker_and_then_the_tests(clone):
    shown = make("-n", "check", folder=clone).stdout
    order = [shown.index(tool) for tool in ("ruff format --check", "ruff check", "/mypy", "lint-imports", "-m pytest")]
    assert order == sorted(order)


def test_an_old_python_is_refused_before_anything_is_made(clone):
    old = clone / "python2"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 2.7.18\n[ "$1" = --version ]\n')
    old.chmod(0o755)
    result = make("search", f"PYTHON={old}", folder=clone)
    assert result.returncode != 0
    assert "needs Python 3.11 or newer" in result.stderr.splitlines()[0]
    assert "Python 2.7.18" in result.stderr.splitlines()[0]
    assert not (clone / ".venv").exists()


def test_data_that_is_there_is_left_alone(clone):
    for path in ("data/fashion-mnist/train-labels-idx1-ubyte.gz", "data/letter/LetterRecognition.rda"):
        (clone / path).parent.mkdir(parents=True)
        (clone / path).touch()
    assert "apt-get" not in make("-n", "data", folder=clone).stdout


def test_clean_spares_the_environment_the_data_and_the_results(clone):
    kept = [clone / path for path in (".venv/x", "data/x", "results/x")]
    gone = [clone / path for path in ("build/x", "a.egg-info/x", ".mypy_cache/x", "package/__pycache__/x")]
    for path in kept + gone:
        path.parent.mkdir(parents=True)
        path.touch()
    assert make("clean", folder=clone).returncode == 0
    assert all(path.exists() for path in kept)
    assert not any(path.parent.exists() for path in gone)


@pytest.mark.parametrize("script", [".ci/run", "cluster/submit.sh"])
def test_scripts_are_executable_and_stop_at_the_first_error(script):
    path = PROJECT / script
    assert os.access(path, os.X_OK)
    assert "set -euo pipefail" in path.read_text()
    subprocess.run(["bash", "-n", path], check=True)
