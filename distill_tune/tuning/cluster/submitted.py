"""What the environment of a submitted job has in it that suits one of Ray's workers, but not a search's driver."""

from __future__ import annotations

import json
import os

_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Ray's name for the variable with the job's settings, which only a submitted job has."""
_THREADS = "OMP_NUM_THREADS"


def use_all_cores_in_a_job() -> None:
    """Let a submitted search use its node's cores; to be called before PyTorch loads, which reads the variable once.

    A worker without CPUs of its own gets OMP_NUM_THREADS=1 from Ray, and Ray's launcher starts all nodes with it. A
    job's supervisor is such a worker and passes its environment on (Ray 2.60), so that the driver would train the
    teacher on one core. Any other number, and one in the job's runtime environment, is the user's.
    """
    if os.environ.get(_THREADS) != "1" or _JOB not in os.environ:
        return
    wanted = json.loads(os.environ[_JOB]).get("runtime_env", {}).get("env_vars") or {}
    if _THREADS not in wanted:
        from distill_tune.tuning.cluster.places import cores

        os.environ[_THREADS] = str(max(1, cores()))
