"""One thread: tensors here are small, so a second thread costs more than it helps."""

import pytest
import torch

# So that failures there are shown in full.
pytest.register_assert_rewrite("huggingface_models", "keras_models", "loaded_teachers", "onnx_models")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
