"""Custom teacher sources that do not return what they declare."""

from pathlib import Path

import pytest
from good import Refuse

from distill_tune.search import main

OWN_TEACHERS = """
import numpy as np
import torch
from distill_tune.teachers import LoadedTeacher, Teacher

class Table(Teacher):
    def identity(self, config, data_spec):
        return "a table"

    def load(self, config, data_spec, context):
        return LoadedTeacher(parameters=0, table=np.zeros((data_spec.num_rows, len(data_spec.classes)), np.float32))

class OnlyTable(Table):
    has_network = False

class Network(OnlyTable):
    def load(self, config, data_spec, context):
        return LoadedTeacher(parameters=12, module=torch.nn.Linear(3, 3).eval().requires_grad_(False))

class Nothing(OnlyTable):
    def load(self, config, data_spec, context):
        return LoadedTeacher(parameters=0)

class Short(OnlyTable):
    def load(self, config, data_spec, context):
        return LoadedTeacher(parameters=0, table=np.zeros((7, 2)))

class Holes(OnlyTable):
    def load(self, config, data_spec, context):
        return LoadedTeacher(parameters=0, table=np.full((data_spec.num_rows, len(data_spec.classes)), np.nan))

class Learning(OnlyTable):
    def load(self, config, data_spec, context):
        return LoadedTeacher(parameters=0, table=torch.ones(data_spec.num_rows, 3, requires_grad=True))

class Pair(torch.nn.Linear):
    def forward(self, inputs):
        return super().forward(inputs), inputs

class Pairs(Table):
    def load(self, config, data_spec, context):
        return LoadedTeacher(parameters=12, module=Pair(3, 3))

class TooMany(Table):
    def load(self, config, data_spec, context):
        return LoadedTeacher(parameters=16, module=torch.nn.Linear(3, 4))

class OneForAll(Table):
    def load(self, config, data_spec, context):
        return LoadedTeacher(parameters=4, module=torch.nn.Linear(3, 1))

class OfOthers(Table):
    def load(self, config, data_spec, context):
        return LoadedTeacher(parameters=18, module=torch.nn.Linear(5, 3))

class Shares(OnlyTable):
    def load(self, config, data_spec, context):
        return LoadedTeacher(parameters=0, table=[[1.0, 0.0, 0.0]] * data_spec.num_rows)
"""


@pytest.mark.parametrize("arguments", [("space.toml",), ("space.toml", "--dry-run")])
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["Table"], "must load a module, since its has_network is True, but has loaded table; change has_network, or"),
        (["Table", "loss.kind=hint"], "must load a module, since its has_network is True, but has loaded table; ch"),
        (["Network"], "must load a table alone, since its has_network is False, but has loaded module; change"),
        (["Nothing"], "must load a table alone, since its has_network is False, but has loaded neither module nor"),
        (["Short"], "must have one row of logits for each row of the data, shape (60, 3), but has shape (7, 2); let"),
        (["Learning"], "must be an array of logits, but NumPy says: RuntimeError: Can't call numpy() on Tensor that"),
        (["Shares"], "holds probabilities, which a temperature cannot soften; give raw logits, or"),
    ],
)
def test_a_teacher_of_ones_own_that_is_not_what_its_source_says(
    refuse: Refuse, folder: Path, arguments: tuple[str, ...], settings: list[str], said: str
) -> None:
    (folder / "teachers_of_mine.py").write_text(OWN_TEACHERS)
    name, *others = settings
    told = refuse(f"teacher.source=teachers_of_mine:{name}", *others, arguments=arguments)
    assert f"error: teacher.source: 'teachers_of_mine:{name}' {said}" in told


@pytest.mark.parametrize("arguments", [("space.toml",), ("space.toml", "--dry-run")])
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Pairs", "must return logits [batch, 3] for the 3 classes of the data, but returned tuple for a batch of 2."),
        ("TooMany", "must return logits [batch, 3] for the 3 classes of the data, but returned [2, 4] for a batch of"),
        ("OneForAll", "must return logits [batch, 3] for the 3 classes of the data, but returned [2, 1] for a batch"),
        ("OfOthers", "cannot take inputs of shape (3,) (RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
    ],
)
def test_a_network_of_ones_own_source_that_does_not_fit_the_data(
    refuse: Refuse, folder: Path, arguments: tuple[str, ...], name: str, told: str
) -> None:
    (folder / "teachers_of_mine.py").write_text(OWN_TEACHERS)
    said = refuse(f"teacher.source=teachers_of_mine:{name}", arguments=arguments)
    assert f"error: teacher.source: the network of 'teachers_of_mine:{name}' {told}" in said


def test_logits_of_a_source_of_ones_own_must_be_finite(refuse: Refuse, folder: Path) -> None:
    (folder / "teachers_of_mine.py").write_text(OWN_TEACHERS)
    told = refuse("teacher.source=teachers_of_mine:Holes")
    assert (
        "teacher.source: the logits of 'teachers_of_mine:Holes' must be finite numbers of float32, but row 0 " in told
    )


@pytest.mark.parametrize("setting", ["teacher.mode=live", "augmentation.noise=0.1", "student.init=inherit"])
def test_a_source_of_ones_own_that_has_only_logits_is_told_of_by_its_name(
    refuse: Refuse, folder: Path, setting: str
) -> None:
    (folder / "teachers_of_mine.py").write_text(OWN_TEACHERS)
    told = refuse("teacher.source=teachers_of_mine:OnlyTable", setting)
    assert "but source = 'teachers_of_mine:OnlyTable' has " in told


TRAINED_HERE = """
from distill_tune.teachers import Teacher

class Recipe(Teacher):
    needs = ("family",)
    trains_here = True
    augmentation: dict[str, float] = {}

    def identity(self, config, data_spec):
        return "a recipe"

    def load(self, config, data_spec, context):
        raise AssertionError("training the teacher")
"""


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["teacher.'trained_here:Recipe'.augmentation={ flip = 0.5 }"],
            'teacher."trained_here:Recipe".augmentation.flip: cannot be used on tables; for tables there are: mixup,',
        ),
        (
            ["loss.kind=hint", "loss.hint.teacher_layers=['layer_2']"],
            "loss.hint.teacher_layers: the teacher has no feature 'layer_2'. Known: 1, 2, 3, 4.",
        ),
        (["augmentation.noise=0.1", "teacher.views=900000000000"], "error: --storage: "),
    ],
)
def test_a_source_of_ones_own_that_trains_here_is_looked_at_as_ours_is(
    refuse: Refuse, folder: Path, settings: list[str], said: str
) -> None:
    (folder / "trained_here.py").write_text(TRAINED_HERE)
    told = refuse("teacher.source=trained_here:Recipe", "teacher.family=mlp", *settings)
    assert said in told
    assert ("B, teacher " in told) == ("--storage" in said)  # the space that its weights need


BARE = """
import torch
from distill_tune.students import behind_normalisation
from distill_tune.teachers import LoadedTeacher, Teacher

def network(input_shape, classes):
    first, last = torch.nn.Linear(input_shape[0], 4), torch.nn.Linear(4, classes)
    return torch.nn.Sequential(torch.nn.Sequential(first, torch.nn.ReLU()), last)

class Bare(Teacher):
    def identity(self, config, data_spec):
        return "bare"

    def load(self, config, data_spec, context):
        return LoadedTeacher(0, self.dressed(network(data_spec.input_shape, len(data_spec.classes)), data_spec))

    def dressed(self, network, data_spec):
        return network

class Dressed(Bare):
    def dressed(self, network, data_spec):
        return behind_normalisation(network, data_spec.input_shape, data_spec.mean, data_spec.std)
"""


@pytest.mark.parametrize("arguments", [("space.toml",), ("space.toml", "--dry-run")])
@pytest.mark.parametrize(
    "settings",
    [
        ["student={ family = 'bare_teachers:network', init = 'truncate' }"],
        ["student.init=inherit", "teacher.family=mlp"],
    ],
    ids=["truncate", "inherit"],
)
def test_a_module_of_ones_own_source_in_which_nobody_finds_the_network_is_refused(
    refuse: Refuse, folder: Path, arguments: tuple[str, ...], settings: list[str]
) -> None:
    (folder / "bare_teachers.py").write_text(BARE)
    told = refuse("teacher.source=bare_teachers:Bare", *settings, arguments=arguments)
    assert (
        "student.init: the teacher's weights are looked for in the `network` of its module, but the module that its "
        "source has loaded (Sequential) has none; load one of distill_tune.students:behind_normalisation, or" in told
    )


def test_one_behind_its_normalisation_may_be_truncated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bare_teachers.py").write_text(BARE)
    student = "student={ family = 'bare_teachers:network', init = 'truncate' }"
    settings = ["--set", "teacher.source=bare_teachers:Dressed", "--set", student]
    assert main(["space.toml", "--dry-run", *settings]) == 0, capsys.readouterr().err


KEYS = """
from distill_tune.teachers import Teacher

class Whole(Teacher):
    def identity(self, config, data_spec):
        return "keys"

    def load(self, config, data_spec, context):
        raise AssertionError("it was loaded")

class NeedsText(Whole):
    needs = ("path")

class IgnoresText(Whole):
    ignores = "path"

class NeedsMore(Whole):
    needs = ("path", "password")

class IgnoresMore(Whole):
    ignores = ("widths",)
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NeedsText", "needs must be a tuple of names, such as (\"path\",), but is 'path'; mend it."),
        ("IgnoresText", "ignores must be a tuple of names, such as (\"path\",), but is 'path'; mend it."),
        (
            "NeedsMore",
            "'own_keys:NeedsMore' needs 'password', which is no key of the section; mend its `needs`. Known:",
        ),
        ("IgnoresMore", "'own_keys:IgnoresMore' ignores 'widths', which is no key of the section; mend its `ignores`."),
    ],
)
def test_keys_that_a_source_of_ones_own_says_it_needs_or_ignores_must_be_there(
    refuse: Refuse, folder: Path, name: str, said: str
) -> None:
    (folder / "own_keys.py").write_text(KEYS)
    assert said in refuse(f"teacher.source=own_keys:{name}")
