"""A GPU's memory belongs to the trials: whoever has used some of it before them gives it back."""

import pytest
import torch
from runs import run_space

from distill_tune.distillation.devices import memory_given_back
from distill_tune.distillation.preparation.prepare import announced_data
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
