"""A teacher whose classes are in another order: its logits are put in the order of the data, if its own is given."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from loaded_teachers import IMAGES, ROWS, loaded_from
from runs import run_space
from safetensors.torch import save_file
from torch import nn

from distill_tune.config.sections import TeacherConfig
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.errors import TeacherError
from distill_tune.teachers import DataSpec, LoadedTeacher

Section = dict[str, Any]
THEIRS = ["c", "a", "b"]
"""The data's are a, b, c."""
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")  # Keras


def load(section: Section, data_spec: DataSpec, said: list[str] | None = None, **options: Any) -> LoadedTeacher:
    """Load the way `prepare` does, with `options` of the source."""
    config = TeacherConfig(**{**section, section["source"]: {**section.get(section["source"], {}), **options}})
    return loaded_from(config, data_spec, Path(), list[str]().append if said is None else said.append)


def network(*ending: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(7, 8), nn.ReLU(), nn.Linear(8, 3), *ending)


def tied() -> nn.Module:
    """Its last layer is another one's too."""
    torch.manual_seed(0)
    inner = nn.Linear(3, 3)
    return nn.Sequential(nn.Linear(7, 3), inner, nn.ReLU(), inner)


class Scaled(nn.Linear):
    """Has something for each class that is no parameter."""

    def __init__(self, *sizes: int):
        super().__init__(*sizes)
        self.register_buffer("scale", torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input) * self.get_buffer("scale")


def scaled() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(Scaled(7, 3))


def ends_in_log_softmax() -> nn.Module:
    return network(nn.LogSoftmax(1))


def of_torch(folder: Path, factory: str = "network") -> Section:
    state = globals()[factory]().state_dict()
    save_file({name: tensor.clone() for name, tensor in state.items()}, folder / "w.safetensors")
    table = {"factory": f"test_class_order:{factory}"}
    return {"source": "torch", "path": str(folder / "w.safetensors"), "torch": table}


def of_onnx(folder: Path) -> Section:
    from onnx_models import Model

    return {"source": "onnx", "path": str(Model(ending=("Softmax",)).write(folder / "m.onnx"))}


def of_keras(folder: Path) -> Section:
    from keras_models import keras

    keras.Sequential([keras.Input((7,)), keras.layers.Dense(3, "softmax")]).save(folder / "m.keras")
    return {"source": "keras", "path": str(folder / "m.keras")}


def of_timm(folder: Path) -> Section:
    timm = pytest.importorskip("timm", reason="pip install timm")
    made = timm.create_model("test_resnet", in_chans=2, num_classes=3)
    save_file(made.state_dict(), folder / "w.safetensors")
    return {"source": "timm", "path": str(folder / "w.safetensors"), "timm": {"model": "test_resnet"}}


def of_huggingface(folder: Path) -> Section:
    from huggingface_models import vit

    vit(folder / "vit", num_channels=2, id2label={0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"})
    return {"source": "huggingface", "path": str(folder / "vit")}


SECTIONS: dict[str, tuple[Callable[[Path], Section], DataSpec]] = {
    "torch": (of_torch, ROWS),
    "torch that ends in a log-softmax": (lambda folder: of_torch(folder, "ends_in_log_softmax"), ROWS),
    "torch with a tied layer": (lambda folder: of_torch(folder, "tied"), ROWS),
    "torch with a last layer of its own kind": (lambda folder: of_torch(folder, "scaled"), ROWS),
    "onnx": (of_onnx, ROWS),
    "keras": (of_keras, ROWS),
    "timm": (of_timm, replace(IMAGES, input_shape=(2, 32, 32))),
    "huggingface": (of_huggingface, replace(IMAGES, input_shape=(2, 16, 16))),
}


@pytest.mark.parametrize("name", SECTIONS)
def test_logits_in_an_order_that_is_given_are_put_in_the_datas(tmp_path: Path, name: str) -> None:
    make, data_spec = SECTIONS[name]
    section, inputs = make(tmp_path), torch.randn(5, *data_spec.input_shape)
    as_they_are, ordered = load(section, data_spec).module, load(section, data_spec, classes=THEIRS).module
    assert as_they_are is not None
    assert ordered is not None
    expected = as_they_are(inputs)[:, [1, 2, 0]]
    torch.testing.assert_close(ordered(inputs), expected)
    torch.testing.assert_close(pickle.loads(pickle.dumps(ordered))(inputs), expected)


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        (["a", "b"], "but lacks c."),
        (["a", "b", "d"], "but lacks c and also names d."),
        (["a", "b", "c", "b"], "but also names b."),
        ([], "but lacks a, b, c."),
    ],
)
def test_an_order_of_other_classes_is_refused(tmp_path: Path, classes: list[str], told: str) -> None:
    with pytest.raises(TeacherError) as caught:
        load(of_torch(tmp_path), ROWS, classes=classes)
    assert str(caught.value) == (
        "teacher.torch.classes: must name each of the data's 3 classes (a, b, c) once, in the order of the teacher's "
        f"outputs, {told}"
    )


def test_another_order_is_another_teacher_and_none_is_the_one_that_it_was(tmp_path: Path) -> None:
    section = of_torch(tmp_path)

    def identity(**options: Any) -> str:
        config = TeacherConfig(**{**section, "torch": {**section["torch"], **options}})
        told: str = config.chosen("source").identity(config, ROWS)
        return told

    assert '"classes"' not in identity(), "or the outputs of earlier versions would be made again"
    assert len({identity(), identity(classes=THEIRS), identity(classes=sorted(THEIRS))}) == 3


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        (("1", "10", "2"), "1, 10, 2, but timm's reader of folders takes them as 1, 2, 10; if it was trained that way"),
        (("Zebra", "ant", "bee"), "Zebra, ant, bee, but timm's reader of folders takes them as ant, bee, Zebra; if"),
        (("a", "b2", "b10"), ""),
    ],
)
def test_classes_that_timm_numbers_otherwise_are_said_unless_their_order_is_given(
    tmp_path: Path, classes: tuple[str, ...], told: str
) -> None:
    data_spec, section = replace(IMAGES, classes=classes, input_shape=(2, 32, 32)), of_timm(tmp_path)
    said, silent = list[str](), list[str]()
    load(section, data_spec, said)
    assert len(said) == bool(told)
    assert all(line.startswith(f"teacher: the data's classes are in the order {told}") for line in said)
    load(section, data_spec, silent, classes=list(classes))
    assert silent == []


def always_the_first() -> nn.Module:
    return nn.Linear(8, 4)


@pytest.mark.parametrize("is_member", [False, True])
def test_the_warning_of_a_useless_teacher_names_the_key_of_the_order(tmp_path: Path, is_member: bool) -> None:
    first = {"weight": torch.zeros(4, 8), "bias": torch.tensor([3.0, 0.0, 0.0, 0.0])}
    save_file(first, tmp_path / "w.safetensors")
    table = {"factory": "test_class_order:always_the_first"}
    alone = {"source": "torch", "path": str(tmp_path / "w.safetensors"), "torch": table}
    several = {"source": "ensemble", "ensemble": {"members": {"old": alone}}}
    said = list[str]()
    tables = run_space().tables | {"teacher": several if is_member else alone}
    prepare(run_space(tables), tmp_path / "cache", said.append)
    (warning,) = (line for line in said if line.startswith("warning: "))
    key = "teacher.ensemble.members.old.torch.classes" if is_member else "teacher.torch.classes"
    assert warning.endswith(f"and the order of its classes (0, 1, 2, 3; if the teacher has another, name it in {key})")
