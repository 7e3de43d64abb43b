"""Checksums of files: they tell one input from another, and an intact file from a damaged one."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path


def sha256_of(*paths: Path) -> str:
    """One SHA-256 of the contents of `paths`, in this order; names and folders do not count."""
    whole = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def checksums_of(paths: Iterable[Path]) -> dict[str, str]:
    """The SHA-256 of each of these files of a folder, by its name, for `changed_in`."""
    return {path.name: sha256_of(path) for path in sorted(paths)}


def changed_in(folder: Path, checksums: Mapping[str, str]) -> str:
    """The name of the first file of a folder that is missing or does not match its checksum; empty if all match."""
    for name, kept in checksums.items():
        path = folder / name
        if not path.is_file() or sha256_of(path) != kept:
            return name
    return ""
