"""docs/architecture.md lists what this package uses of Ray's internals: nothing else, and all of it."""

import ast

import pytest
from pages import PROJECT, first_name, names_in, rows_of

PACKAGE = PROJECT / "distill_tune"


def is_private(name: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in name.split("."))


def imported(tree: ast.AST, package: str) -> dict[str, str]:
    """What a file imports from a package, by the name that it has there."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.asname or each.name.partition(".")[0]: each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return {name: full for name, full in found.items() if full.partition(".")[0] == package}


def of_others(tree: ast.AST) -> set[str]:
    """Private attributes of anything but `self`, and what a private method of a base class overrides."""
    found = {node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_private(node.attr)}
    return {each.attr for each in found if ast.unparse(each.value) not in ("self", "cls", "os")}


def inherited(kind: ast.ClassDef) -> set[str]:
    """Private names of `self` that a class has not made: it reads them, or defines what it never calls."""
    of_self = {node for node in ast.walk(kind) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"}
    made = {each.attr for each in of_self if isinstance(each.ctx, ast.Store)}
    methods = {node.name for node in kind.body if isinstance(node, ast.FunctionDef)}
    read = {each.attr for each in of_self}
    return {name for name in (read - made - methods) | (methods - read) if is_private(name)}


def declared(tree: ast.AST) -> set[str]:
    """Attributes that the classes of a file annotate: they are its own, whoever sets them."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return {ast.unparse(each.target) for kind in classes for each in kind.body if isinstance(each, ast.AnnAssign)}


def private_names(code: str, package: str = "ray") -> set[str]:
    """The private names of a package that a file uses."""
    tree = ast.parse(code)
    names = imported(tree, package)
    if not names:
        return set()
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    theirs = [kind for kind in classes if {ast.unparse(base).partition(".")[0] for base in kind.bases} & names.keys()]
    attributes = of_others(tree).union(*map(inherited, theirs)) - declared(tree)
    return attributes | {full for full in names.values() if is_private(full)}


def test_the_page_lists_every_private_name_of_ray_that_is_used_and_no_other() -> None:
    rows = rows_of("docs/architecture.md", "What is private in Ray", "private names")
    listed = {first_name(row["in `distill_tune/`"]): {*names_in(row["private names"])} for row in rows}
    used = {str(path.relative_to(PACKAGE)): private_names(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
    assert listed == {name: names for name, names in used.items() if names}


def test_what_the_page_says_to_look_at_is_there() -> None:
    rows = rows_of("docs/architecture.md", "What is private in Ray", "private names")
    named = [name for row in rows for name in names_in(row["with a newer Ray, look at"]) if name.endswith(".py")]
    assert len(named) == len(rows)
    assert all((PROJECT / name).is_file() for name in named)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("import ray._raylet", "ray._raylet"),
        ("from ray._private import node", "ray._private.node"),
        ("from ray.tune import _x", "ray.tune._x"),
        ("import ray; ray.worker._node", "_node"),
        ("from ray import tune\nclass A(tune.Trainable):\n    def step(self): return self._of_tune", "_of_tune"),
        ("from ray import tune\nclass A(tune.Trainable):\n    def _of_tune(self): pass", "_of_tune"),
        ("from ray import tune\nclass A(tune.Trainable):\n    def _step(self): super()._step(); self._step", "_step"),
    ],
)
def test_no_way_to_a_private_name_is_missed(line: str, name: str) -> None:
    assert private_names(line) == {name}


@pytest.mark.parametrize(
    "line",
    [
        "import ray; ray.get(1)",
        "class A:\n    def step(self): return self._own",
        "from ray import tune\nclass A(tune.Trainable):\n    def step(self): self._own = 1; self._own",
        "from ray import tune\nclass A(tune.Trainable):\n    def step(self): self._own()\n    def _own(self): pass",
    ],
)
def test_a_name_of_ones_own_is_none_of_rays(line: str) -> None:
    assert not private_names(line)
