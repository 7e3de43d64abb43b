"""What a Ray started by the search leaves in its temporary folder: nothing, if all went well."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.timeout(200)]

USE = """
import os, sys
from pathlib import Path
from distill_tune.config.searching import ResourcesConfig
from distill_tune.tuning.cluster.connection import Connection

with Connection(None, ResourcesConfig()) as connection:
    connection.wait()
    latest = Path(os.environ["RAY_TMPDIR"], "ray", "session_latest")
    print(latest.readlink().name)
    exec(sys.argv[1])
"""


@pytest.fixture
def below() -> Iterator[Path]:
    """Ray's folder, with a path short enough for sockets and the remains of an earlier Ray."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        below = Path(folder, "ray")
        (below / "session_of_another").mkdir(parents=True)
        (below / "session_of_another" / "logs.txt").touch()
        yield below


def use(below: Path, line: str, **more: str) -> str:
    """The session name of a Ray that is started, runs `line`, and is shut down."""
    environment = {**os.environ, "RAY_TMPDIR": str(below.parent), **more}
    done = subprocess.run(
        [sys.executable, "-c", USE, line], capture_output=True, text=True, timeout=150, check=False, env=environment
    )
    assert (done.returncode == 0) is (line != "raise OSError"), done.stderr
    return done.stdout.split()[0]


def test_a_search_that_ended_well_leaves_nothing_of_its_own_and_all_of_anothers(below: Path) -> None:
    assert use(below, "pass") != use(below, "pass"), "no link that leads nowhere is in the way of the second"
    assert [path.name for path in below.iterdir()] == ["session_of_another"]
    assert (below / "session_of_another" / "logs.txt").exists()


def test_a_link_that_leads_to_anothers_session_stays(below: Path) -> None:
    use(below, "latest.unlink(); latest.symlink_to(latest.parent / 'session_of_another')")
    assert sorted(path.name for path in below.iterdir()) == ["session_latest", "session_of_another"]
    assert (below / "session_latest").readlink() == below / "session_of_another"


def test_it_starts_where_nothing_can_be_written_to_the_home_folder_and_wants_a_token_all_the_same(below: Path) -> None:
    use(below, "import ray; assert ray.nodes() and len(os.environ['RAY_AUTH_TOKEN']) == 64", HOME="/dev/null/nobody")


@pytest.mark.parametrize("line", ["raise OSError", "connection.keeps_logs = True"])
def test_the_logs_stay_where_something_has_failed(below: Path, line: str) -> None:
    name = use(below, line)
    assert any((below / name / "logs").iterdir())
    assert (below / "session_latest").readlink() == below / name
