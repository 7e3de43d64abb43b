"""Run on one thread: with tensors this small, a second thread costs more than it saves."""

import pytest
import torch

pytest.register_assert_rewrite("small_lanes", "terms_on_features")  # so that their failing assertions are shown in full


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
