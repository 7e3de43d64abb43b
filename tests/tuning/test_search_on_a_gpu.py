"""What a search does on a GPU besides student steps, on a pretended one (`pretended_gpu.py`)."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pretended_gpu import pretended_gpu
from runs import IMAGES, TABLE, run_space
from safetensors.torch import load_file
from torch import Tensor, nn

from distill_tune.config import Space
from distill_tune.data import open_dataset
from distill_tune.distillation.devices import where_there_is_room
from distill_tune.distillation.preparation.prepare import Preparation, announced_data, prepare
from distill_tune.distillation.preparation.ready_teachers import try_to_load
from distill_tune.evaluation.predicting import predict_logits
from distill_tune.tuning.planning.estimate import chosen_paces, estimated_epoch_s, estimated_examination_s
from distill_tune.tuning.planning.fitting import fit
from distill_tune.tuning.planning.laning import with_lanes
from distill_tune.tuning.planning.teacher_time import estimated_teacher_time
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.verdict.examination import examine
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.lane_group import LaneGroup
from distill_tune.tuning.workers.teacher_places import TeachersPlace
from distill_tune.tuning.workers.worker_group import InProcessGroup, WorkerGroup

GPU: dict[str, Any] = {"resources": {"gpus_per_worker": 0.5}}
SPACES: dict[str, Space] = {
    "rows": run_space(TABLE, **GPU),
    "pictures": run_space(IMAGES, **GPU, augmentation={"flip": 0.5}, loss={"kind": "hint", "also": {"dkd": 0.5}}),
    "a live teacher": run_space(TABLE, **GPU, teacher={"mode": "live", "train": {"epochs": 2, "generations": 1}}),
    "folds": run_space(TABLE, **GPU, data={**TABLE["data"], "folds": 2}),
}


def trained(group: WorkerGroup, assignment: Assignment) -> dict[str, float]:
    group.start()
    group.assign(assignment)
    *_, last = (group.next_report() for _ in range(assignment.max_epochs))
    return last


def examined(space: Space, preparation: Preparation, weights: Path, device: str) -> Any:
    folds = [open_dataset(fold.data_folder) for fold in preparation.prepared.folds]
    candidate = Candidate("best", space.config, [0, 1], None, weights={0: weights, 1: weights})  # type: ignore[arg-type]
    return examine([candidate], preparation.teacher, preparation.dataset, folds, device)


@pytest.mark.parametrize("name", SPACES)
def test_everything_of_a_search_runs_on_a_gpu(name: str, tmp_path: Path) -> None:
    space, weights = SPACES[name], tmp_path / "weights.safetensors"
    with pretended_gpu() as waits:
        dataset = announced_data(space.config, tmp_path, lambda line: None)
        assert estimated_epoch_s(space, dataset)
        assert estimated_examination_s(space, dataset)
        assert estimated_teacher_time(space, dataset, try_to_load(space, dataset, tmp_path, print), tmp_path)
        assert waits["torch.cuda.synchronize"]  # student and teacher steps
        waits.clear()
        assert chosen_paces(space, dataset)
        assert waits["torch.cuda.synchronize"]
        fitted = fit(space, dataset, 1, lambda line: None)
        preparation = prepare(fitted.space, tmp_path, lambda line: None, dataset)
        fitted = with_lanes(fitted, preparation.prepared, 1, lambda line: None)
        config = fitted.space.config
        trained(InProcessGroup(config.resources), Assignment("one", config, 0, preparation.prepared, keep=weights))
        there = examined(fitted.space, preparation, weights, "cuda")
    here = examined(fitted.space, preparation, weights, "cpu")
    assert there.teacher_accuracy == here.teacher_accuracy
    assert repr(there.by_candidate) == repr(here.by_candidate)


class Crowded(nn.Module):
    """A network that fails on a GPU with a given message."""

    def __init__(self, said: str):
        super().__init__()
        self.layer, self.said = nn.Linear(8, 4), said

    def forward(self, inputs: Tensor) -> Tensor:
        if inputs.is_cuda:
            raise RuntimeError(self.said)
        return self.layer(inputs)


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        ("CUDA error: out of memory", True),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", True),
        ("cuDNN error: CUDNN_STATUS_ALLOC_FAILED", True),
        ("CUDA error: device-side assert triggered", False),
    ],
)
def test_a_student_for_which_a_gpu_has_no_room_is_examined_on_the_cpu(said: str, answers: bool) -> None:
    """Whichever runs out of memory: PyTorch, or CUDA before PyTorch asked for any."""
    network, inputs = Crowded(said).eval(), np.zeros((3, 8), np.float32)
    with pretended_gpu(), nullcontext() if answers else pytest.raises(RuntimeError, match="device-side"):
        assert where_there_is_room("cuda", network, lambda: predict_logits(network, inputs)).shape == (3, 4)
    assert {each.device.type for each in network.parameters()} == {"cpu"}


def test_a_place_that_labels_does_so_on_its_gpu() -> None:
    network, inputs = nn.Linear(8, 4), np.ones((3, 8), np.float32)
    expected = TeachersPlace(network, "cpu", 1).logits(inputs)
    with pretended_gpu():
        place = TeachersPlace(network, "cuda", 1)
        assert network.weight.is_cuda
        assert np.array_equal(place.logits(inputs), expected)


def test_lanes_train_assignments_on_a_gpu(tmp_path: Path) -> None:
    space = run_space(TABLE, **GPU, optim={**TABLE["optim"], "precision": "float32"})
    with pretended_gpu():
        prepared = prepare(space, tmp_path, lambda line: None).prepared
        group = LaneGroup(space.config.resources)
        group.start()
        for seed in (0, 1):
            keep = tmp_path / f"{seed}.safetensors"
            group.join(Assignment(str(seed), space.config, seed, prepared, tmp_path / f"{seed}.pt", keep))
        while group.trials:
            assert not any(isinstance(found, Exception) for found in group.next_reports(group.trials).values())
    assert load_file(tmp_path / "0.safetensors").keys() == load_file(tmp_path / "1.safetensors").keys()
