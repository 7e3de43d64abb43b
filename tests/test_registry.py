"""What every registry guarantees, whatever its entries."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distill_tune import registry
from distill_tune.config.ranges import KINDS
from distill_tune.config.sections import SECTIONS, DataConfig
from distill_tune.errors import ConfigError
from distill_tune.registry import Options, Registry, did_you_mean, load_dotted
from distill_tune.teachers import Teacher

PROJECT = Path(__file__).parents[1]
REGISTRIES = {name: found for name, found in vars(registry).items() if isinstance(found, Registry)}
ENTRIES = [(name, entry) for name, found in REGISTRIES.items() for entry in found.names]
each_entry = pytest.mark.parametrize(("registry_name", "name"), ENTRIES)
each_registry = pytest.mark.parametrize("registry_name", REGISTRIES)


def folder_of(found: Registry[Any]) -> Path:
    return Path(next(iter(importlib.import_module(found._package).__path__)))


@each_registry
def test_names_are_the_public_files_of_the_folder(registry_name: str) -> None:
    found = REGISTRIES[registry_name]
    files = {path.stem for path in folder_of(found).glob("*.py") if not path.name.startswith("_")}
    assert found.names == sorted(files)
    assert files


@each_entry
def test_an_entry_is_registered_by_its_own_file_and_no_other(registry_name: str, name: str) -> None:
    found = REGISTRIES[registry_name]
    assert found.get(name).__module__ == f"{found._package}.{name}"
    tree = ast.parse((folder_of(found) / f"{name}.py").read_text())
    registered = [
        ast.unparse(mark) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for mark in node.decorator_list
    ]
    assert registered.count(f"{registry_name}.register") == 1


@each_entry
def test_an_entry_inherits_from_the_base_of_its_registry(registry_name: str, name: str) -> None:
    found = REGISTRIES[registry_name]
    assert issubclass(found.base, Options)
    assert issubclass(found.get(name), found.base)


@each_entry
def test_options_are_frozen_strict_finite_and_closed(registry_name: str, name: str) -> None:
    rules = REGISTRIES[registry_name].get(name).model_config
    assert (rules["frozen"], rules["strict"], rules["extra"], rules["allow_inf_nan"]) == (True, True, "forbid", False)


@each_entry
def test_no_option_is_called_like_a_kind_of_range(registry_name: str, name: str) -> None:
    assert not set(REGISTRIES[registry_name].get(name).model_fields) & set(KINDS)


@each_entry
def test_an_entry_says_what_it_is(registry_name: str, name: str) -> None:
    assert REGISTRIES[registry_name].get(name).__doc__


def test_no_section_has_two_meanings_for_one_table() -> None:
    for model in SECTIONS.values():
        names = list(model.model_fields)
        for found in getattr(model, "chooses", {}).values():
            names += found.names
        assert len(names) == len(set(names))


@each_registry
def test_an_unknown_name_is_refused_with_the_known_ones(registry_name: str) -> None:
    found = REGISTRIES[registry_name]
    with pytest.raises(ConfigError) as caught:
        found.get("no_such_name")
    assert f"no {found.what} is named 'no_such_name'" in str(caught.value)
    assert f"Known: {', '.join(found.names)}." in str(caught.value)


@each_registry
def test_modules_of_shared_parts_are_no_entries(registry_name: str) -> None:
    found = REGISTRIES[registry_name]
    assert "_base" not in found
    with pytest.raises(ConfigError, match="is named '_base'"):
        found.get("_base")


@each_registry
def test_what_one_inherits_from_is_public(registry_name: str) -> None:
    module, _, name = REGISTRIES[registry_name]._base.partition(":")
    assert not [part for part in (*module.split("."), name) if part.startswith("_")]
    assert name in importlib.import_module(module).__all__


@each_registry
def test_a_class_of_ones_own_stands_where_a_name_stands(
    registry_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, name = REGISTRIES[registry_name], f"own_{registry_name.lower()}"
    methods = "; ".join(f"{each} = lambda *_: None" for each in found.base.missing_methods()) or "..."
    base = found._base.replace(":", " import ")
    (tmp_path / f"{name}.py").write_text(f"from {base} as Base\nclass Own(Base): {methods}\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert found.get(f"{name}:Own").__name__ == "Own"
    assert f"{name}:Own" in found


@each_entry
def test_an_entry_has_every_method_that_it_needs(registry_name: str, name: str) -> None:
    assert REGISTRIES[registry_name].get(name).missing_methods() == []


NEEDED = [(name, method) for name, found in REGISTRIES.items() for method in found.base.missing_methods()]


@pytest.mark.parametrize(("registry_name", "method"), NEEDED)
def test_a_class_of_ones_own_without_a_method_that_it_needs_is_refused(
    registry_name: str, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, name = REGISTRIES[registry_name], f"part_{registry_name.lower()}_{method}"
    others = "; ".join(f"{each} = lambda *_: None" for each in found.base.missing_methods() if each != method) or "..."
    base = found._base.replace(":", " import ")
    (tmp_path / f"{name}.py").write_text(f"from {base} as Base\nclass Own(Base): {others}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError) as caught:
        found.get(f"{name}:Own")
    assert str(caught.value) == (
        f"'{name}:Own' lacks {method}, without which it is no {found.what}; write what {found._base} says of it."
    )


def test_what_must_be_written_follows_what_a_part_says_that_it_is() -> None:
    from distill_tune.distillation.augmentation import Transform
    from distill_tune.distillation.losses import FeatureLoss, Loss
    from distill_tune.distillation.optimizers import OptimizerKind
    from distill_tune.evaluation.corruptions import Corruption
    from distill_tune.teachers import Teacher

    def lacking(base: type[Options], **attributes: Any) -> list[str]:
        return type("Own", (base,), {"__module__": __name__, "__annotations__": {}, **attributes}).missing_methods()

    def does(*_: Any) -> None: ...

    assert lacking(Loss, uses_teacher=False) == []
    assert lacking(Loss, soft_with_labels=does) == []
    assert lacking(FeatureLoss) == ["compare"]
    assert lacking(FeatureLoss, compare=does) == []
    assert lacking(FeatureLoss, compare=does, reads_features=property(does)) == ["soft"]
    assert lacking(OptimizerKind, build=does, over_lanes=True) == ["step_lanes"]
    assert lacking(Transform, mixes=True) == ["share"]
    assert lacking(Transform, mixes=True, mix=does) == []
    assert lacking(Corruption, for_images=True, for_tables=True) == ["on_images", "on_rows"]
    assert lacking(Corruption, for_images=True, apply=does) == []
    assert lacking(Teacher, member_configs=does) == ["identity"]


@each_registry
def test_an_entry_of_another_registry_is_refused(registry_name: str) -> None:
    found = REGISTRIES[registry_name]
    other = "distill_tune.registry:Options"
    with pytest.raises(ConfigError, match=f"is no {found.what}: it must be a class that inherits from {found._base}"):
        found.get(other)


def test_a_section_is_asked_only_for_what_it_chooses() -> None:
    with pytest.raises(TypeError, match="source = 'digits' chooses a Digits, which is no Teacher"):
        Teacher.of(DataConfig(source="digits"))  # type: ignore[arg-type]


def test_a_slip_is_met_with_the_closest_name() -> None:
    assert did_you_mean("convnte", ["mlp", "convnet"]) == " Did you mean 'convnet'? Known: mlp, convnet."
    assert did_you_mean("zzz", ["mlp", "convnet"]) == " Known: mlp, convnet."


def test_a_dotted_path_leads_to_its_object() -> None:
    assert load_dotted("distill_tune.registry:Options") is Options


# What importing costs


HEAVY = ("torch", "ray", "sklearn", "pandas", "pyarrow", "optuna", "scipy")
ALL_ENTRIES = "".join(f"import {REGISTRIES[name]._package}.{entry}\n" for name, entry in ENTRIES)
ALL_BUILT = "from distill_tune.registry import CORRUPTIONS, STUDENTS\n" + (
    "for found in (CORRUPTIONS, STUDENTS): [found.get(name)() for name in found.names]\n"
)
ALL_SPACES = "from pathlib import Path\nfrom distill_tune.config import load_space\n" + "".join(
    f"load_space(Path({str(path)!r}), [])\n" for path in sorted((PROJECT / "search_spaces").glob("*.toml"))
)


EACH_FIRST = """
import importlib, sys
for module in sys.argv[1:]:
    for loaded in [each for each in sys.modules if each.partition(".")[0] == "distill_tune"]:
        del sys.modules[loaded]
    try:
        importlib.import_module(module)
    except Exception as error:
        print(f"{module}: {error!r}")
"""


def imported_by(program: str) -> Iterator[str]:
    shown = f"{program}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", shown], cwd=PROJECT, capture_output=True, text=True, check=True)
    yield from done.stdout.split()


@pytest.mark.parametrize(
    "program",
    ["import distill_tune", "import distill_tune.config", ALL_SPACES, "import distill_tune.search"],
    ids=["the package", "the configuration", "every shipped space", "the command"],
)
def test_a_configuration_is_read_without_anything_heavy(program: str) -> None:
    assert not set(imported_by(program)) & set(HEAVY)


def test_no_entry_imports_anything_heavy_nor_does_a_student_or_a_corruption_that_is_made() -> None:
    assert not set(imported_by(ALL_ENTRIES + ALL_BUILT)) & set(HEAVY)


def test_every_entry_can_be_the_first_module_that_is_imported() -> None:
    modules = [f"{REGISTRIES[name]._package}.{entry}" for name, entry in ENTRIES]
    command = [sys.executable, "-c", EACH_FIRST, *modules]
    assert subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout == ""


def test_no_entry_is_imported_with_the_configuration() -> None:
    packages = tuple(f"{found._package}." for found in REGISTRIES.values())
    assert [each for each in imported_by("import distill_tune.config") if each.startswith(packages)] == []
