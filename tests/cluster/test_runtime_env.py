"""The runtime environments: fields that Ray knows, and the dependencies in pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
ENVIRONMENTS = sorted((PROJECT / "cluster").glob("runtime_env*.yaml"))


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_ray_accepts_the_environment(path):
    from ray.runtime_env import RuntimeEnv

    assert RuntimeEnv(**yaml.safe_load(path.read_text()))["env_vars"]


def test_nodes_that_install_for_themselves_install_what_pyproject_asks_for():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    without_ray = [one for one in project["dependencies"] if re.match(r"\w+", one)[0] != "ray"]
    environment = yaml.safe_load((PROJECT / "cluster/runtime_env_pip.yaml").read_text())
    assert environment["pip"]["packages"] == without_ray


def test_every_job_has_the_same_two_minutes_to_end_in_order():
    documents = yaml.safe_load_all((PROJECT / "cluster/kuberay.yaml").read_text())
    (job,) = (document for document in documents if document["kind"] == "RayJob")
    texts = [*(path.read_text() for path in ENVIRONMENTS), job["spec"]["runtimeEnvYAML"]]
    assert {yaml.safe_load(text)["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"] for text in texts} == {"120"}
