"""Checksums of files: they tell one input from another, and an intact file from a damaged one."""

import hashlib
from pathlib import Path


def sha256_of(*paths: Path) -> str:
    """One SHA-256 of the contents of `paths`, in this order; names and folders do not count."""
    whole = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()
