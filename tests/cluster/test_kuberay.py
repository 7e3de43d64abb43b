"""The RayJob, checked against the fields of KubeRay's definition (ray.io/v1, KubeRay 1.7).

That definition is 1.4 MB long. `FIELDS` copies from it the names of the fields that our file may use,
and which of them are required.
"""

import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

PROJECT = Path(__file__).parents[2]
COUNT = {"type": "integer", "minimum": 0}
TEXT = {"type": "string", "minLength": 1}


def exactly(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": list(required),
        "additionalProperties": False,
    }


QUANTITIES = {"type": "object", "additionalProperties": {"type": "string", "pattern": r"^\d+(m|Mi|Gi)?$"}}
MOUNT = exactly({"name": TEXT, "mountPath": {"type": "string", "pattern": "^/"}})
CONTAINER = exactly(
    {"name": TEXT, "image": TEXT, "resources": exactly({"requests": QUANTITIES, "limits": QUANTITIES})},
    {
        "ports": {"type": "array", "items": exactly({"name": TEXT, "containerPort": COUNT})},
        "volumeMounts": {"type": "array", "items": MOUNT},
    },
)
POD = exactly(
    {"spec": exactly(
        {"containers": {"type": "array", "items": CONTAINER, "minItems": 1}},
        {
            "volumes": {"type": "array"},
            "tolerations": {"type": "array"},
            "securityContext": exactly({"fsGroup": COUNT}),
        },
    )}
)  # fmt: skip
START = {"type": "object", "additionalProperties": {"type": "string"}}
GROUP = exactly(
    {"groupName": TEXT, "minReplicas": COUNT, "maxReplicas": COUNT, "template": POD},
    {"replicas": COUNT, "rayStartParams": START},
)
CLUSTER = exactly(
    {"headGroupSpec": exactly({"template": POD}, {"rayStartParams": START})},
    {"rayVersion": TEXT, "workerGroupSpecs": {"type": "array", "items": GROUP}},
)
FIELDS = exactly(
    {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayJob"},
        "metadata": exactly({"name": {"type": "string", "pattern": "^[a-z0-9-]{1,47}$"}}),
        "spec": exactly(
            {"entrypoint": TEXT, "rayClusterSpec": CLUSTER},
            {
                "submissionMode": {"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
                "runtimeEnvYAML": TEXT,
                "submitterConfig": exactly({"backoffLimit": COUNT}),
                "backoffLimit": COUNT,
                "activeDeadlineSeconds": {"type": "integer", "minimum": 1},
                "shutdownAfterJobFinishes": {"type": "boolean"},
                "ttlSecondsAfterFinished": COUNT,
            },
        ),
    }
)


@pytest.fixture
def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((PROJECT / "cluster/kuberay.yaml").read_text()))


@pytest.fixture
def job(documents) -> dict[str, Any]:
    return next(document for document in documents if document["kind"] == "RayJob")


@pytest.fixture
def pods(job) -> list[dict[str, Any]]:
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def test_the_job_has_only_fields_that_kuberay_knows(job):
    jsonschema.validate(job, FIELDS)


def test_a_misspelt_field_is_found_however_deep(job):
    job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["minReplica"] = 1
    with pytest.raises(jsonschema.ValidationError, match="minReplica"):
        jsonschema.validate(job, FIELDS)


def test_the_cluster_is_taken_down_when_the_job_has_ended(job):
    assert job["spec"]["shutdownAfterJobFinishes"] is True
    assert job["spec"]["ttlSecondsAfterFinished"] > 0


def test_every_node_runs_the_same_image(pods):
    assert len({container["image"] for pod in pods for container in pod["containers"]}) == 1


def test_the_ray_of_the_cluster_is_that_of_the_image(job):
    image = re.search(r"^FROM rayproject/ray:([\d.]+)-", (PROJECT / "cluster/Dockerfile").read_text(), re.MULTILINE)
    assert image is not None
    assert image[1] == job["spec"]["rayClusterSpec"]["rayVersion"]


def test_results_go_to_a_volume_of_the_head_and_outlive_the_cluster(job, pods, documents):
    words = shlex.split(job["spec"]["entrypoint"])
    storage = Path(words[words.index("--storage") + 1])
    claims = {document["metadata"]["name"] for document in documents if document["kind"] == "PersistentVolumeClaim"}
    head, *_ = pods
    claim_of = {volume["name"]: volume["persistentVolumeClaim"]["claimName"] for volume in head["volumes"]}
    mounts = [mount for container in head["containers"] for mount in container["volumeMounts"]]
    mounted = [mount for mount in mounts if storage.is_relative_to(mount["mountPath"])]
    assert mounted, f"{storage} is on no volume"
    assert claim_of[mounted[0]["name"]] in claims


def test_the_search_space_that_the_job_runs_is_shipped(job):
    words = shlex.split(job["spec"]["entrypoint"])
    assert words[:3] == ["python", "-m", "distill_tune.search"]
    assert (PROJECT / words[3]).is_file()


def test_nodes_ask_for_what_they_are_limited_to(pods):
    for pod in pods:
        for container in pod["containers"]:
            assert container["resources"]["requests"].items() <= container["resources"]["limits"].items()


def test_the_job_has_a_name_to_be_taken_up_by(job):
    assert "--name" in shlex.split(job["spec"]["entrypoint"])


def test_whoever_mounts_the_volume_may_write_to_it_as_the_images_user_and_one_node_alone_does(pods):
    assert [pod.get("securityContext") for pod in pods if "volumes" in pod] == [{"fsGroup": 100}]


def test_no_trial_takes_what_the_head_has(job):
    start = job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]
    assert (start["num-cpus"], start["num-gpus"]) == ("0", "0")
