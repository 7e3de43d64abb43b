"""Real jobs, submitted to a head node that this module starts and stops."""

import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from ray.job_submission import JobSubmissionClient
from searches import NO_PROGRAMS, summary

from distill_tune.tuning.cluster.places import cores

PROJECT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
TINY = [
    *("--trials", "2", "--set", "search.max_epochs=2", "--set", "confirm.top=1", "--set", "confirm.seeds=2"),
    *("--set", "teacher.train.epochs=1", "--set", "teacher.views=1", *NO_PROGRAMS),
]

SEEN_BY_PYTORCH = (
    "from distill_tune.search import main; main(['nowhere.toml']); "
    "import torch; print('threads', torch.get_num_threads())"
)

pytestmark = pytest.mark.ray


@dataclass(frozen=True)
class Head:
    """A running head node: its dashboard's address, and an environment that finds it and this Python."""

    address: str
    environment: dict[str, str]

    def run(self, *command: str | Path, folder: Path = PROJECT) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.environment | {"RAY_API_SERVER_ADDRESS": self.address},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def jobs(self) -> Iterator[JobSubmissionClient]:
        """Ray's client for jobs; its command line takes seconds to start."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HOME", self.environment["HOME"])  # of the token, if Ray wants one
            yield JobSubmissionClient(self.address)


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """`ray start --head` on free ports with two CPUs; only its own processes are ended."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    environment = inherited | {"PATH": f"{BIN}{os.pathsep}{inherited['PATH']}"}
    port, dashboard, client, agent = free_ports(4)
    with tempfile.TemporaryDirectory(
        prefix="rj", dir="/tmp", ignore_cleanup_errors=True
    ) as folder:  # sockets need short paths
        environment["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"] = "0"  # nothing is running when it ends
        environment["HOME"] = folder  # Ray asks for a token if an earlier Ray has left one in ~/.ray
        log = Path(folder) / "head.log"
        command = [
            BIN / "ray", "start", "--head", "--block", "--num-cpus=2", "--disable-usage-stats",
            f"--port={port}", f"--dashboard-port={dashboard}", f"--ray-client-server-port={client}",
            f"--dashboard-agent-listen-port={agent}", "--min-worker-port=0", "--max-worker-port=0",
            f"--temp-dir={folder}/ray",
        ]  # fmt: skip
        with log.open("w") as output:
            process = psutil.Popen(command, env=environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        try:
            address = f"http://127.0.0.1:{dashboard}"
            await_dashboard(address, process, log)
            yield Head(address, environment)
        finally:
            end(process)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, below those that the kernel assigns itself, which begin at 32768."""
    found: list[int] = []
    with ExitStack() as stack:
        for port in random.sample(range(20_000, 32_000), 1000):
            with suppress(OSError):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
                found.append(port)
            if len(found) == count:
                break
    return found


def await_dashboard(address: str, process: psutil.Popen, log: Path, tries: int = 400) -> None:
    """Return once the dashboard answers, even if only to ask for a token, which `ray job submit` finds itself."""
    host = urlsplit(address).netloc
    for _ in range(tries):
        with closing(HTTPConnection(host, timeout=5)) as connection, suppress(OSError, HTTPException):
            connection.request("GET", "/api/version")
            connection.getresponse()
            return
        with suppress(psutil.TimeoutExpired):
            process.wait(0.2)
            break
    pytest.fail(f"ray start ended, or its dashboard never came up:\n{log.read_text()}")


def end(process: psutil.Popen) -> None:
    """End the head and everything it started."""
    if not process.is_running():
        return
    family = [*process.children(recursive=True), process]
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=40)
    for one in alive:
        one.kill()
    psutil.wait_procs(alive, timeout=10)


def test_what_git_and_ray_ignore_does_not_travel(head, tmp_path):
    for name in (".gitignore", ".rayignore"):
        shutil.copy(PROJECT / name, tmp_path)
    stays = [
        ".venv/lib/large.so",
        "data/letter/x.rda",
        "results/one/best/run.toml",
        "tests/test_x.py",
        ".ruff_cache/x",
    ]
    travels = ["distill_tune/data/raw.py", "search_spaces/mine.toml", "my_students/tests/x.py"]
    for path in (*stays, *travels):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    listing = ["find", ".", "-type", "f", "-printf", "there %P\n"]
    result = head.run(BIN / "ray", "job", "submit", "--working-dir", ".", "--", *listing, folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    there = {line.removeprefix("there ") for line in result.stdout.splitlines() if line.startswith("there ")}
    assert there == {".gitignore", ".rayignore", *travels}


@pytest.mark.slow
def test_a_submitted_search_leaves_its_results_in_the_storage(head, tmp_path):
    result = head.run(
        PROJECT / "cluster/submit.sh",
        "search_spaces/digits.toml",
        *TINY,
        "--name",
        "job",
        "--storage",
        str(tmp_path),
    )
    assert result.returncode == 0, result.stdout + result.stderr
    found = summary(tmp_path / "job")
    assert found["status"] == "complete"
    assert found["trials"]["total"] == 2
    assert (tmp_path / "job/best/run.toml").is_file()


@pytest.mark.slow
def test_a_submitted_search_that_is_refused_fails_the_job_and_writes_nothing(head, tmp_path):
    result = head.run(
        PROJECT / "cluster/submit.sh",
        "search_spaces/digits.toml",
        "--set",
        "loss.temprature=4",
        "--storage",
        str(tmp_path),
    )
    assert result.returncode == 1
    assert "temprature" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(cores() < 2, reason="one thread is right where there is one core")
def test_a_submitted_search_has_all_cores_of_the_head_and_not_the_one_that_ray_gives_a_job(head, tmp_path):
    command = ["--working-dir", ".", "--", "python", "-c", SEEN_BY_PYTORCH]
    result = head.run(BIN / "ray", "job", "submit", *command, folder=tmp_path)
    assert f"threads {cores()}\n" in result.stdout, result.stdout + result.stderr


def test_a_job_that_is_stopped_has_more_than_rays_three_seconds_to_end_in_order(head, tmp_path):
    (tmp_path / "job.sh").write_text(
        "trap 'sleep 5; echo has ended; exit' TERM\necho is up\nwhile :; do sleep 0.2; done\n"
    )
    options = ["--working-dir", ".", "--runtime-env", PROJECT / "cluster/runtime_env.yaml", "--no-wait"]
    begun = head.run(BIN / "ray", "job", "submit", *options, "--", "bash", "job.sh", folder=tmp_path)
    job = re.search(r"raysubmit_\w+", begun.stdout)
    assert job is not None, begun.stdout + begun.stderr
    with head.jobs() as jobs:
        await_line(jobs, job[0], "is up")
        jobs.stop_job(job[0])
        await_line(jobs, job[0], "has ended")


def await_line(jobs, job: str, line: str, tries: int = 300) -> None:
    """Return once a job has printed the line; fail if it has come to its end without it."""
    for _ in range(tries):
        is_over = jobs.get_job_status(job).is_terminal()
        if line in (said := jobs.get_job_logs(job)):
            return
        if is_over:
            break
        time.sleep(0.1)  # polling interval; nothing is assumed to be done by then
    pytest.fail(f"the job has not printed {line!r}:\n{said}")
