"""submit.sh, with a fake `ray` that records its arguments."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PROJECT = Path(__file__).parents[2]
SUBMIT = PROJECT / "cluster/submit.sh"
BASH = shutil.which("bash") or "bash"
WRITES_DOWN = """#!/bin/sh
{ printf '%s\\0' "$@"; } > "$TOLD"
printf '%s' "${RAY_API_SERVER_ADDRESS-unset}" > "$TOLD.address"
printf '%s' "${RAY_AUTH_MODE-unset}" > "$TOLD.auth"
exit "${RAY_EXITS-0}"
"""


@dataclass(frozen=True)
class Submit:
    """Runs submit.sh in its own folder; `told` is what `ray` was given."""

    folder: Path

    def run(self, *arguments: str, script: Path = SUBMIT, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        path = f"{self.folder}{os.pathsep}{inherited['PATH']}"
        return subprocess.run(
            [BASH, script, *arguments],
            env=inherited | {"PATH": path, "TOLD": str(self.folder / "told")} | environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def told(self) -> list[str]:
        return (self.folder / "told").read_bytes().decode().split("\0")[:-1]

    @property
    def address(self) -> str:
        return (self.folder / "told.address").read_text()

    def of_the_search(self) -> list[str]:
        start = ["--", "python", "-m", "distill_tune.search"]
        at = self.told.index("--")
        assert self.told[at : at + 4] == start
        return self.told[at + 4 :]


@pytest.fixture
def submit(tmp_path) -> Submit:
    ray = tmp_path / "ray"
    ray.write_text(WRITES_DOWN)
    ray.chmod(0o755)
    return Submit(tmp_path)


@pytest.mark.parametrize(
    ("token", "set_by_user", "told"), [(True, None, "token"), (False, None, "unset"), (True, "disabled", "disabled")]
)
def test_rays_token_is_sent_where_there_is_one_unless_the_user_says_otherwise(
    submit, tmp_path, token, set_by_user, told
):
    if token:
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").write_text("secret")
    chosen = {} if set_by_user is None else {"RAY_AUTH_MODE": set_by_user}
    assert submit.run("space.toml", "--storage", "/s", HOME=str(tmp_path), **chosen).returncode == 0
    assert (tmp_path / "told.auth").read_text() == told


def test_the_current_folder_travels_with_the_environment_beside_the_script(submit):
    assert submit.run("space.toml", "--storage", "/shared").returncode == 0
    environment = str(PROJECT / "cluster/runtime_env.yaml")
    assert submit.told[:6] == ["job", "submit", "--working-dir", ".", "--runtime-env", environment]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12), max_size=4))
def test_the_search_is_told_every_argument_unchanged(submit, words):
    arguments = ["my space.toml", *words]
    assert submit.run(*arguments).returncode == 0
    assert submit.of_the_search() == arguments


def test_the_options_of_the_script_end_where_those_of_the_search_begin(submit):
    assert submit.run("--no-wait", "space.toml", "--address", "auto").returncode == 0
    assert submit.told[2] == "--no-wait"
    assert submit.of_the_search() == ["space.toml", "--address", "auto"]


@pytest.mark.parametrize(
    "environment", [{}, {"RAY_API_SERVER_ADDRESS": "http://other:8265"}, {"RAY_ADDRESS": "http://other:8265"}]
)
def test_an_address_that_is_given_comes_before_those_of_the_environment(submit, environment):
    """It is put into the variable that Ray looks at first, which overrides the option."""
    submit.run("--address", "http://head:8265", "space.toml", **environment)
    assert submit.address == "http://head:8265"
    assert submit.of_the_search() == ["space.toml"]


def test_an_option_and_its_value_may_be_one_word(submit):
    (submit.folder / "an environment=.yaml").touch()
    submit.run("--runtime-env=an environment=.yaml", "--address=http://head:8265", "space.toml", "--set=a.b=c")
    assert submit.address == "http://head:8265"
    assert submit.told[submit.told.index("--runtime-env") + 1] == "an environment=.yaml"
    assert submit.of_the_search() == ["space.toml", "--set=a.b=c"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "http://127.0.0.1:8265"),
        ({"RAY_API_SERVER_ADDRESS": "http://head:8265"}, "http://head:8265"),
        ({"RAY_ADDRESS": "http://other:8265"}, "unset"),
    ],
)
def test_the_address_of_the_environment_comes_before_this_machine(submit, environment, expected):
    submit.run("space.toml", **environment)
    assert submit.address == expected


def test_a_job_that_failed_fails_here(submit):
    assert submit.run("space.toml", RAY_EXITS="1").returncode == 1


def test_results_that_would_be_lost_are_warned_of(submit):
    assert "--storage" in submit.run("space.toml").stderr
    assert submit.run("space.toml", "--storage", "/shared").stderr == ""
    assert submit.run("space.toml", "--storage=/shared").stderr == ""


def test_without_ray_one_line_says_how_to_get_it(submit):
    away = submit.folder / "elsewhere/cluster"
    away.mkdir(parents=True)
    script = Path(shutil.copy(SUBMIT, away))
    tools = submit.folder / "tools"
    tools.mkdir()
    (tools / "dirname").symlink_to(shutil.which("dirname") or "/usr/bin/dirname")
    result = submit.run("space.toml", script=script, PATH=str(tools))
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "pip install" in result.stderr


@pytest.mark.parametrize(
    "arguments", [["--address"], ["--runtime-env"], ["--runtime-env", "missing.yaml", "space.toml"]]
)
def test_an_option_that_cannot_be_used_is_refused_in_one_line(submit, arguments):
    result = submit.run(*arguments)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert not (submit.folder / "told").exists()


def test_help_is_shown_and_nothing_submitted(submit):
    result = submit.run("--help")
    assert result.returncode == 0
    assert result.stdout.startswith("usage: cluster/submit.sh")
    assert not (submit.folder / "told").exists()


@pytest.mark.parametrize("late", [["--address", "http://head:8265"], ["--address=https://head"]])
def test_a_dashboards_address_after_the_space_is_refused_and_nothing_submitted(submit, late):
    result = submit.run("space.toml", "--trials", "3", *late)
    assert result.returncode == 2
    assert result.stderr.startswith("submit.sh: --address of a dashboard must stand before SPACE")
    assert not (submit.folder / "told").exists()


def test_the_clusters_own_address_goes_to_the_search(submit):
    assert submit.run("space.toml", "--address", "auto", "--storage", "/shared").returncode == 0
    assert submit.of_the_search() == ["space.toml", "--address", "auto", "--storage", "/shared"]
