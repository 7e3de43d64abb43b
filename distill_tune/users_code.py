"""The source behind a user-defined class or function: its module and the user's modules that this imports.

Read from files rather than from loaded modules, so that it is the same in every process, whatever has run there.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import sys
from collections.abc import Iterator
from functools import lru_cache, partial
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Any

from distill_tune.paths import is_installed, is_users_code

_SAME_IN_ALL_VERSIONS = ("torch", "distill_tune")
"""Packages that build the same network in every version."""


def source_of(thing: Any) -> str:
    """A digest of the source of a user-defined class or function, which changes with every edit.

    It includes the versions of imported packages that may build networks. For a thing that is itself installed it is
    the name and the version, and for one without a file the name.
    """
    if isinstance(thing, partial):
        given = re.sub(r" at 0x[0-9a-f]+", "", repr((thing.args, thing.keywords)))
        return f"{source_of(thing.func)} {given}"
    module = inspect.getmodule(thing)
    path = _python_file(getattr(module, "__file__", None))
    if module is None or path is None:
        return _named(thing)
    if not _is_users(module.__name__, path):
        return f"{_named(thing)} {_version(module.__name__)}".rstrip()
    sources = {module.__name__: path.read_bytes(), **_users_imports(module.__name__, path)}
    whole = hashlib.sha256()
    for name in sorted(sources):
        whole.update(f"{name} {len(sources[name])} ".encode() + sources[name])
    for package in sorted({package for source in sources.values() for package in _installed(source)}):
        whole.update(f"{package} {_version(package)} ".encode())
    return whole.hexdigest()


def _installed(source: bytes) -> Iterator[str]:
    """The installed packages that a source imports and that may build networks: those that require PyTorch or Keras."""
    for name in {imported.partition(".")[0] for imported in _imports(source, "")}:
        spec = None if name in (*_SAME_IN_ALL_VERSIONS, *sys.stdlib_module_names) else _top_spec(name)
        if spec is not None and spec.origin is not None and is_installed(Path(spec.origin)):
            asked_for = {need for each in _distributions(name) for need in requires(each) or []}
            if any(re.match(r"(torch|keras)\b", need) for need in asked_for):
                yield name


def _named(thing: Any) -> str:
    return f"{thing.__module__}:{getattr(thing, '__qualname__', type(thing).__qualname__)}"


def _version(name: str) -> str:
    package = name.partition(".")[0]
    if package in _SAME_IN_ALL_VERSIONS:
        return ""
    told = [version(each) for each in _distributions(package)]
    return " ".join(told) or str(getattr(sys.modules.get(package), "__version__", ""))  # not installed, only loaded


def _distributions(package: str) -> list[str]:
    """The distributions that provide a package; most have its name."""
    try:
        version(package)
    except PackageNotFoundError:
        return list(packages_distributions().get(package, []))
    return [package]


def _users_imports(name: str, path: Path) -> dict[str, bytes]:
    """Module name to source, for every user file that importing a module runs or that it may import later."""
    found, waiting = dict[str, bytes](), [(name, path), *_users_files(name)]
    while waiting:
        name, path = waiting.pop()
        if name not in found:
            found[name] = path.read_bytes()
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            waiting += [each for imported in _imports(found[name], package) for each in _users_files(imported)]
    return found


@lru_cache(maxsize=256)
def _imports(source: bytes, package: str) -> tuple[str, ...]:
    """Names of all modules that a source may import, also inside functions; some may be names in a module."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # a file that nothing has imported yet
        return ()
    return tuple(dict.fromkeys(name for node in ast.walk(tree) for name in _imported_by(node, package)))


def _imported_by(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        relative = "." * node.level + (node.module or "")
        try:
            base = resolve_name(relative, package)
        except ImportError:  # relative beyond the top
            return
        yield from (f"{base}.{alias.name}" for alias in node.names)


def _users_files(name: str) -> Iterator[tuple[str, Path]]:
    """Name and file of a module and of its parent packages, which importing it runs first."""
    top, *below = name.split(".")
    spec = None if top in _SAME_IN_ALL_VERSIONS else _top_spec(top)
    while spec is not None:
        path = _python_file(spec.origin)
        if path is not None and _is_users(spec.name, path):
            yield spec.name, path
        inside = spec.submodule_search_locations
        if not below or inside is None:
            return
        spec = PathFinder.find_spec(f"{spec.name}.{below.pop(0)}", inside)


def _top_spec(name: str) -> ModuleSpec | None:
    """The spec of a top-level module, found without importing it."""
    try:
        return find_spec(name)
    except (ImportError, ValueError):  # a loaded module without a spec, such as a script
        return None


def _python_file(path: str | None) -> Path | None:
    return Path(path) if path is not None and path.endswith(".py") and Path(path).is_file() else None


def _is_users(name: str, path: Path) -> bool:
    return name.partition(".")[0] not in _SAME_IN_ALL_VERSIONS and is_users_code(path)
