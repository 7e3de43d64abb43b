"""GPU memory: it is released for the trials after use, and data that do not fit stay in their files."""

from unittest.mock import Mock

import pytest
import torch
from runs import run_space
from torch._subclasses.fake_tensor import FakeTensorMode

from distill_tune.config.sections import AugmentationConfig
from distill_tune.distillation.cache.seen import home_of_outputs
from distill_tune.distillation.devices import in_parts, memory_given_back
from distill_tune.distillation.materials.opened import home_of
from distill_tune.distillation.preparation.prepare import announced_data
from distill_tune.distillation.views import Views
from distill_tune.tuning.planning.estimate import estimated_epoch_s


@pytest.mark.parametrize(("device", "times"), [("cuda", 1), ("cpu", 0)])
def test_memory_is_given_back_also_where_something_was_raised(
    device: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back: list[str] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: given_back.append(device))
    with pytest.raises(ZeroDivisionError), memory_given_back(device):
        raise ZeroDivisionError
    assert given_back == [device] * times


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_an_epoch_that_was_timed_on_a_gpu_leaves_its_memory_to_the_trials(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    space = run_space(resources={"gpus_per_worker": 1})
    data = announced_data(space.config, tmp_path_factory.mktemp("data"), lambda line: None)
    before = torch.cuda.memory_reserved()
    assert estimated_epoch_s(space, data) is not None
    assert torch.cuda.memory_reserved() <= before


@pytest.mark.parametrize("augmentation", [{}, {"flip": 0.5}, {"shift": 1}])
def test_images_are_gathered_where_they_are_and_augmented_where_they_are_wanted(augmentation: dict[str, float]) -> None:
    with FakeTensorMode(allow_non_fake_inputs=True):  # tensors without values, on devices that need not exist
        images = torch.empty(8, 3, 6, 6, dtype=torch.uint8)
        index = torch.zeros(3, dtype=torch.long, device="cuda")
        views = Views(AugmentationConfig(**augmentation), images, (0.0, 0.0, 0.0), 0)
        assert views.take(index, 0).inputs.device.type == "cuda"


@pytest.mark.parametrize(
    ("num_bytes", "share", "is_image", "where"),
    [(3, 1.0, True, "cuda"), (4, 1.0, True, "cpu"), (3, 0.5, True, "cpu"), (4, 1.0, False, "cuda")],
)
def test_images_for_which_a_gpu_has_no_room_stay_in_their_files(
    monkeypatch: pytest.MonkeyPatch, num_bytes: int, share: float, is_image: bool, where: str
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (7, 10))
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda device: share)
    assert home_of(num_bytes, is_image, torch.device("cuda")).type == where
    assert home_of(num_bytes, is_image, torch.device("cpu")).type == "cpu"


@pytest.mark.parametrize(
    ("share", "reserved", "allocated", "where"),
    [(1.0, 4, 1, "cuda"), (1.0, 4, 4, "cpu"), (0.5, 4, 1, "cpu"), (0.6, 4, 1, "cuda")],
)
def test_what_pytorch_keeps_of_an_earlier_trial_is_room_for_the_images_of_the_next(
    monkeypatch: pytest.MonkeyPatch, share: float, reserved: int, allocated: int, where: str
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3, 10))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: reserved)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: allocated)
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda device: share)
    assert home_of(2, True, torch.device("cuda")).type == where


@pytest.mark.parametrize(
    ("num_bytes", "free", "where"), [(1 << 30, 5 << 30, "cuda"), (1 << 30, 3 << 30, "cpu"), (3 << 29, 40 << 30, "cpu")]
)
def test_outputs_of_a_teacher_are_on_a_gpu_if_they_are_small_beside_what_is_left_of_its_memory(
    monkeypatch: pytest.MonkeyPatch, num_bytes: int, free: int, where: str
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 80 << 30))
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda device: 1.0)
    assert home_of_outputs(num_bytes, "cuda").type == where
    assert home_of_outputs(num_bytes, "cpu").type == "cpu"


def test_work_for_which_a_gpu_has_no_memory_is_done_in_halves_and_other_faults_are_not_tried_again() -> None:
    sizes = list[int]()

    def work(part: torch.Tensor) -> list[int]:
        sizes.append(len(part))
        if len(part) > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return part.tolist()

    assert in_parts(work, torch.arange(7)) == [[0, 1], [2, 3], [4, 5], [6]]
    assert sizes == [7, 4, 2, 2, 3, 2, 1]
    for said in ("CUDA out of memory", "CUDA error: device-side assert triggered"):
        with pytest.raises(RuntimeError, match=said):
            in_parts(Mock(side_effect=RuntimeError(said)), torch.arange(2))
