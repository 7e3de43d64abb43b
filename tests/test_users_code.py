"""Which user code a kept teacher depends on: the user's modules that its own module imports."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module, invalidate_caches
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from torch import nn

from distill_tune.users_code import source_of

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """`write(**{"mine/nets": text})`: files from which modules are imported afresh."""
    monkeypatch.syspath_prepend(tmp_path)

    def written(**files: str) -> None:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name.replace("/", ".").removesuffix(".__init__"), raising=False)

    return written


@pytest.mark.parametrize(
    "line",
    [
        "from mine.nets import Net",
        "from mine import nets",
        "import mine.nets as nets",
        "from .nets import Net",
        "from . import nets",
        "from .between import Net",
        "from beside_mine import Net",
        "def later():\n    from mine.nets import Net",
    ],
)
def test_an_edit_of_a_module_that_the_factorys_module_imports_shows(write: Write, line: str) -> None:
    write(beside_mine="from mine.nets import Net", **{"mine/__init__": "", "mine/between": "from .nets import Net"})
    write(**{"mine/nets": "class Net: ...", "mine/build": f"{line}\ndef build(): ..."})
    before = source_of(import_module("mine.build").build)
    assert source_of(import_module("mine.build").build) == before
    write(**{"mine/nets": "class Net: 'Another.'"})
    assert source_of(import_module("mine.build").build) != before


@pytest.mark.parametrize(("needs", "shows"), [("torch>=2.0", True), ("keras ; extra == 'all'", True), ("numpy", False)])
def test_another_version_of_an_installed_package_of_networks_that_the_module_imports_shows(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needs: str, shows: bool
) -> None:
    folder = tmp_path / "site-packages"
    (folder / "nets_of_others").mkdir(parents=True)
    (folder / "nets_of_others" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(folder))

    def install(version: str) -> None:
        for old in folder.glob("*.dist-info"):
            shutil.rmtree(old)
        about = folder / f"networks_of_others-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: networks-of-others\nVersion: {version}\nRequires-Dist: {needs}\n"
        )
        (about / "top_level.txt").write_text("nets_of_others\n")
        invalidate_caches()  # caches go by the folder's time, which two installations may share

    install("1.0")
    write(mine="def build():\n    from nets_of_others import blocks")
    before = source_of(import_module("mine").build)
    install("1.1")
    assert (source_of(import_module("mine").build) != before) is shows
    install("1.0")
    assert source_of(import_module("mine").build) == before


def test_an_edit_of_the_package_around_a_module_shows(write: Write) -> None:
    write(**{"mine/__init__": "", "mine/build": "def build(): ..."})
    before = source_of(import_module("mine.build").build)
    write(**{"mine/__init__": "width = 8"})
    assert source_of(import_module("mine.build").build) != before


def test_what_is_not_imported_has_no_say_and_neither_has_what_is_loaded(write: Write) -> None:
    later = "def build():\n    from mine.nets import Net"
    write(**{"mine/__init__": "", "mine/build": later, "mine/nets": "class Net: ...", "mine/losses": ""})
    before = source_of(import_module("mine.build").build)
    write(**{"mine/losses": "weight = 2"})
    import_module("mine.losses")
    import_module("mine.build").build()
    assert source_of(import_module("mine.build").build) == before


def test_modules_that_import_each_other_are_read_once(write: Write) -> None:
    write(**{"mine/__init__": "", "mine/nets": "import mine.build", "mine/build": "import mine.nets\ndef build(): ..."})
    assert source_of(import_module("mine.build").build)


def test_a_partial_is_its_function_with_what_it_is_given(write: Write) -> None:
    write(mine="def build(width, of=None): ...")
    build = import_module("mine").build
    narrow = source_of(partial(build, width=3))
    assert source_of(partial(build, 3)) != narrow != source_of(partial(build, width=4))
    assert source_of(partial(build, of=object())) == source_of(partial(build, of=object()))  # at different addresses
    write(mine="def build(width, of=None): 'Another.'")
    assert source_of(partial(import_module("mine").build, width=3)) != narrow


@pytest.mark.parametrize(
    ("thing", "told"),
    [
        (save_file, f"safetensors.torch:save_file {version('safetensors')}"),
        (nn.Linear, "torch.nn.modules.linear:Linear"),
        (partial(nn.Linear, 3), "torch.nn.modules.linear:Linear ((3,), {})"),
        (source_of, "distill_tune.users_code:source_of"),
        (len, "builtins:len"),
    ],
)
def test_of_what_is_installed_the_version_counts(thing: Any, told: str) -> None:
    assert source_of(thing) == told


def test_a_script_counts_with_what_it_imports(tmp_path: Path) -> None:
    script = (
        "from distill_tune.users_code import source_of\nfrom nets import Net\ndef build(): ...\nprint(source_of(build))"
    )
    (tmp_path / "script.py").write_text(script)
    told = []
    for text in ("class Net: ...", "class Net: ...", "class Net: 'Another.'"):
        (tmp_path / "nets.py").write_text(text)
        run = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=True)
        told.append(run.stdout)
    assert told[0] == told[1] != told[2]
