"""The cluster launcher's file, checked against the schema that Ray ships."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def launcher() -> dict[str, Any]:
    return yaml.safe_load((PROJECT / "cluster/launcher.yaml").read_text())


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json.loads((files("ray.autoscaler") / "ray-schema.json").read_text())


def test_the_file_is_valid_for_ray(launcher, schema):
    jsonschema.validate(launcher, schema)


def test_ray_refuses_the_file_with_a_key_it_does_not_know(launcher, schema):
    with pytest.raises(jsonschema.ValidationError, match="setup_command"):
        jsonschema.validate(launcher | {"setup_command": []}, schema)


def test_the_head_is_one_of_the_node_types_and_the_workers_fit_the_maximum(launcher):
    types = launcher["available_node_types"]
    assert launcher["head_node_type"] in types
    assert sum(node.get("min_workers", 0) for node in types.values()) <= launcher["max_workers"]


def test_results_go_to_a_bucket_that_outlives_the_cluster_and_are_fetched_from_there():
    head, _, _ = (PROJECT / "cluster/launcher.yaml").read_text().partition("cluster_name:")
    assert "--storage s3://BUCKET/results " in head
    assert head.index("submit.sh") < head.index("aws s3 sync s3://BUCKET/results results") < head.index("ray down")


def test_what_is_large_or_secret_is_not_copied_to_the_nodes(launcher):
    assert {".git", ".venv", "results"} <= set(launcher["rsync_exclude"])


def test_the_dashboard_is_not_open_to_the_network(launcher):
    start = " ".join(launcher["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in start


def test_a_search_is_submitted_once_the_workers_are_up_and_uses_their_gpus(launcher):
    text = (PROJECT / "cluster/launcher.yaml").read_text()
    head = text[: text.index("cluster_name:")]
    assert head.index("ray up") < head.index("ray status") < head.index("submit.sh")
    has_gpus = launcher["available_node_types"]["worker"]["node_config"]["InstanceType"].startswith("g5")
    assert ("resources.gpus_per_worker=1" in head) is has_gpus


def test_no_node_is_started_that_a_search_would_not_count(launcher):
    for name, node in launcher["available_node_types"].items():
        if name != launcher["head_node_type"]:
            assert node["min_workers"] == node["max_workers"]
