"""A PyTorch teacher: a factory and its weights, read without running code of the file, and refused in one line."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from distill_tune.config.sections import TeacherConfig
from distill_tune.errors import TeacherError
from distill_tune.teachers import DataSpec, LoadedTeacher, TeacherContext, source_of

IMAGES = DataSpec(("a", "b", "c"), (1, 4, 4), (100.0,), (50.0,), "data", 10)
TABLE = DataSpec(("a", "b", "c"), (5,), (), (), "data", 10)


def network(inputs: int = 16, outputs: int = 3, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, outputs))


def of_rows(**options: int) -> nn.Module:
    return network(inputs=5, **options)


class Named(nn.Module):
    """Returns its logits in a dictionary, as some libraries do."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        return {"logits": self.inner(inputs)}


class Picky(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        raise TypeError("not these\ninputs")


def failing() -> nn.Module:
    raise KeyError("nothing\nworks")


a_number = 7


def unused(*_: Any) -> Any:
    raise AssertionError("this teacher trains nothing")


def load(
    path: Path, data_spec: DataSpec = IMAGES, factory: str = "network", trust: bool = False, **options: Any
) -> LoadedTeacher:
    """After what `prepare` does."""
    dotted = factory if ":" in factory or factory == "nodot" else f"test_torch_teacher:{factory}"
    table = {"factory": dotted} | options
    config = TeacherConfig(source="torch", path=str(path), trust=trust, torch=table)  # type: ignore[call-arg]
    source = config.chosen("source")
    source.identity(config, data_spec)
    loaded: LoadedTeacher = source.load(config, data_spec, TeacherContext(path.parent, unused, unused))
    return loaded


def weights_of(module: nn.Module, path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(module.state_dict(), path)
    else:
        torch.save(module.state_dict(), path)
    return path


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_the_teacher_is_the_network_behind_the_datas_normalisation(tmp_path: Path, name: str) -> None:
    own = network(seed=5).eval()
    loaded = load(weights_of(own, tmp_path / name))
    assert loaded.module is not None
    pixels = torch.randint(256, (9, 1, 4, 4), dtype=torch.uint8)
    torch.testing.assert_close(loaded.module(pixels), own((pixels.float() - 100) / 50))
    assert loaded.parameters == sum(p.numel() for p in own.parameters())


def test_its_own_mean_and_std_are_of_pixels_divided_by_255(tmp_path: Path) -> None:
    own = network(seed=5).eval()
    loaded = load(weights_of(own, tmp_path / "w.pt"), mean=[0.25], std=[0.5])
    assert loaded.module is not None
    pixels = torch.randint(256, (9, 1, 4, 4), dtype=torch.uint8)
    expected = own((pixels.float() / 255 - 0.25) / 0.5)
    torch.testing.assert_close(loaded.module(pixels), expected, rtol=1e-4, atol=1e-5)


def test_rows_of_a_table_reach_the_network_as_they_are(tmp_path: Path) -> None:
    own = of_rows(seed=5).eval()
    loaded = load(weights_of(own, tmp_path / "w.pt"), TABLE, "of_rows")
    assert loaded.module is not None
    rows = torch.randn(9, 5)
    assert torch.equal(loaded.module(rows), own(rows))


def test_the_factory_gets_its_arguments(tmp_path: Path) -> None:
    load(weights_of(network(outputs=3), tmp_path / "w.pt"), arguments={"inputs": 16, "outputs": 3})
    refused(
        weights_of(network(outputs=4), tmp_path / "w.pt"), r"teacher\.path: .* do not fit", arguments={"outputs": 3}
    )


def test_the_teacher_is_frozen_and_in_eval_mode(tmp_path: Path) -> None:
    loaded = load(weights_of(network(), tmp_path / "w.pt"))
    assert loaded.module is not None
    assert not any(module.training for module in loaded.module.modules())
    assert not any(parameter.requires_grad for parameter in loaded.module.parameters())


class Malicious:
    """Unpickled with leave to run code, it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


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
    assert made.exists()  # it would have


def test_with_trust_a_pickle_is_read_and_what_code_is_in_it_runs(tmp_path: Path) -> None:
    made, path = tmp_path / "made", tmp_path / "w.pt"
    torch.save({**network(seed=5).state_dict(), "left over": Malicious(made)}, path)
    refused(path, r"teacher\.path: the weights of 'w\.pt' do not fit", trust=True)
    assert made.exists()


def test_the_identity_follows_weights_options_and_the_factorys_module(tmp_path: Path) -> None:
    path = weights_of(network(), tmp_path / "w.pt")

    def identity(**options: Any) -> str:
        table = {"factory": "test_torch_teacher:network"} | options
        config = TeacherConfig(source="torch", path=str(path), torch=table)  # type: ignore[call-arg]
        told: str = config.chosen("source").identity(config, IMAGES)
        return told

    first = identity()
    assert identity() == first
    assert identity(factory="test_torch_teacher:of_rows") != first
    assert source_of(network) in first
    assert identity(arguments={"seed": 1}) != first
    weights_of(network(seed=1), path)
    assert identity() != first


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("nodot", r"^teacher\.torch\.factory: must be 'package\.module:function', but got 'nodot'\.$"),
        ("no_such_module:build", r"^teacher\.torch\.factory: .*no_such_module"),
        ("no_such_function", r"^teacher\.torch\.factory: .*no_such_function"),
        ("a_number", r"^teacher\.torch\.factory: .* must be a function, but is int"),
        ("unused", r"^teacher\.torch\.factory: .* failed with arguments {} \(AssertionError"),
        ("failing", r"^teacher\.torch\.factory: .* failed with arguments {} \(KeyError"),
        ("Malicious", r"^teacher\.torch\.factory: .* failed with arguments {} \(TypeError"),
        ("dict_maker", r"^teacher\.torch\.factory: .* must return a torch\.nn\.Module, but returned dict\.$"),
        ("of_rows", r"^teacher\.path: the weights of 'w\.pt' do not fit the factory's network "),
    ],
)
def test_a_factory_that_is_none_is_refused(tmp_path: Path, factory: str, message: str) -> None:
    refused(weights_of(network(), tmp_path / "w.pt"), message, factory=factory)


def dict_maker() -> dict[str, int]:
    return {}


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
    refused(
        weights_of(globals()[factory](), tmp_path / "w.pt"), rf"^teacher\.torch: the network {message}", factory=factory
    )


def of_four() -> nn.Module:
    return network(outputs=4)


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
        ({"mean": [0.5] * 5, "std": [0.5] * 5}, TABLE, r"^teacher\.torch\.mean: is for images"),
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


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "w.pt", r"^teacher\.path: .*w\.pt: no such file; it must be the teacher")


def refused(path: Path, message: str, **options: Any) -> None:
    """In one line, not too long to read."""
    with pytest.raises(TeacherError, match=message) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 450
