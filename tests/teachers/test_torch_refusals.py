"""A PyTorch teacher is read without running code of its file, and refused in one line if it does not fit."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import torch_models
from loaded_teachers import ROWS_OF_FIVE, Malicious
from torch_models import IMAGES, network, refused, weights_of

from distill_tune.teachers import DataSpec


@pytest.mark.parametrize("how", ["torch.save", "pickle"])
def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(tmp_path: Path, how: str) -> None:
    made, path = tmp_path / "made", tmp_path / "w.pt"
    content = {"weight": Malicious(made)}
    if how == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    refused(path, r"^teacher\.path: 'w\.pt' is no safetensors file or state dict of tensors ")
    assert not made.exists()
    pickle.loads(pickle.dumps(content))
    assert made.exists()  # so it would have


def test_with_trust_a_pickle_is_read_and_what_code_is_in_it_runs(tmp_path: Path) -> None:
    made, path = tmp_path / "made", tmp_path / "w.pt"
    torch.save({**network(seed=5).state_dict(), "left over": Malicious(made)}, path)
    refused(path, r"teacher\.path: the weights of 'w\.pt' do not fit", trust=True)
    assert made.exists()


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("nodot", r"^teacher\.torch\.factory: must be 'package\.module:function', but got 'nodot'\.$"),
        ("no_such_module:build", r"^teacher\.torch\.factory: .*no_such_module"),
        ("no_such_function", r"^teacher\.torch\.factory: .*no_such_function"),
        ("a_number", r"^teacher\.torch\.factory: .* must be a function, but is int"),
        ("asserting", r"^teacher\.torch\.factory: .* failed with arguments {} \(AssertionError"),
        ("failing", r"^teacher\.torch\.factory: .* failed with arguments {} \(KeyError"),
        ("NeedsMore", r"^teacher\.torch\.factory: .* failed with arguments {} \(TypeError"),
        ("dict_maker", r"^teacher\.torch\.factory: .* must return a torch\.nn\.Module, but returned dict\.$"),
        ("of_rows", r"^teacher\.path: the weights of 'w\.pt' do not fit the factory's network "),
    ],
)
def test_a_factory_that_is_none_is_refused(tmp_path: Path, factory: str, message: str) -> None:
    refused(weights_of(network(), tmp_path / "w.pt"), message, factory=factory)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("Named", r"must return logits \[batch, 3\] for the 3 classes of the data, but returned dict"),
        ("Picky", r"cannot take inputs of shape \(1, 4, 4\) \(TypeError: not these inputs\)"),
        ("of_four", r"must return logits \[batch, 3\] .* but returned \[2, 4\]"),
        ("of_rows", r"cannot take inputs of shape \(1, 4, 4\)"),
    ],
)
def test_a_network_that_does_not_fit_the_data_is_refused(tmp_path: Path, factory: str, message: str) -> None:
    path = weights_of(getattr(torch_models, factory)(), tmp_path / "w.pt")
    refused(path, rf"^teacher\.torch: the network {message}", factory=factory)


@pytest.mark.parametrize(
    ("options", "data_spec", "message"),
    [
        ({"mean": [0.5]}, IMAGES, r"^teacher\.torch\.mean: mean and std belong together, 1 number each"),
        (
            {"mean": [0.5] * 3, "std": [0.5] * 3},
            IMAGES,
            r"^teacher\.torch\.mean: mean and std belong together, 1 number",
        ),
        ({"mean": [0.5], "std": [0.0]}, IMAGES, r"^teacher\.torch\.std: must be greater than 0"),
        ({"mean": [0.5] * 5, "std": [0.5] * 5}, ROWS_OF_FIVE, r"^teacher\.torch\.mean: is for images"),
    ],
)
def test_a_normalisation_that_does_not_fit_is_refused(
    tmp_path: Path, options: dict[str, Any], data_spec: DataSpec, message: str
) -> None:
    refused(weights_of(network(), tmp_path / "w.pt"), message, data_spec=data_spec, **options)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
@pytest.mark.parametrize("content", ["truncated", "text"])
def test_a_damaged_file_of_weights_is_refused(tmp_path: Path, name: str, content: str) -> None:
    path = weights_of(network(), tmp_path / name)
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[: len(whole) // 2], "text": b"weights: none\n"}[content])
    refused(path, rf"^teacher\.path: '{name}' is no safetensors file or state dict of tensors \(.*\); (write|save)")
    path.write_bytes(b"")
    refused(path, rf"^teacher\.path: .*{name}: is empty, but must be the teacher's file")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "must hold a state dict, but holds a list"),
        (torch.zeros(3), "must hold a state dict, but holds a Tensor"),
        ({"state_dict": {}}, "do not fit the factory's network"),
        ({1: torch.zeros(3)}, "do not fit the factory's network"),
    ],
)
def test_what_is_no_state_dict_of_the_network_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "w.pt")
    refused(tmp_path / "w.pt", rf"^teacher\.path: .*{message}")


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # such files still exist
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")  # as of PyTorch 2.15
def test_a_torchscript_file_and_an_onnx_file_are_told_what_they_are(tmp_path: Path) -> None:
    traced = torch.jit.trace(network(seed=5).eval(), torch.zeros(2, 16))
    torch.jit.save(traced, tmp_path / "w.pt")
    refused(
        tmp_path / "w.pt",
        r"tensors \(a TorchScript archive\); give the state_dict\(\) of what it was made of, or write it as ONNX\.$",
    )
    (tmp_path / "w.onnx").write_bytes(b"\x08\x09")
    refused(tmp_path / "w.onnx", r"; name it with teacher\.source = 'onnx'\.$")


def test_a_program_of_torch_export_is_told_what_it_is(tmp_path: Path) -> None:
    program = torch.export.export(network(seed=5).eval(), (torch.zeros(2, 16),))
    torch.export.save(program, tmp_path / "w.pt2")
    refused(
        tmp_path / "w.pt2",
        r"tensors \(a program of torch\.export\); write it as ONNX, or, if it is the student of a search, name its "
        r"folder with teacher\.source = 'result'\.$",
    )


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "w.pt", r"^teacher\.path: .*w\.pt: no such file; it must be the teacher")
