"""The folders of a teacher's outputs: named after what they depend on, and trusted only if their checksums match."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from distill_tune.checksum import changed_in, checksums_of
from distill_tune.config import Config
from distill_tune.registry import AUGMENTATIONS
from distill_tune.users_code import source_of

VIEWS, FEATURES = "views-", "features-"
"""Prefixes of the folders of outputs within a teacher's folder."""
_FORMAT = 2
"""Incremented when an augmentation's views, a teacher's logits or the file format change."""
_CHECKSUMS = "checksums.json"
_DEFAULT_VIEWS = 8


def number_of_views(config: Config) -> int:
    """`teacher.views`, or enough for the first epochs; 1 if nothing changes the data, 0 for a live teacher."""
    if config.teacher.mode == "live":
        return 0
    if not any(config.augmentation.amounts.values()):
        return 1
    return views_of_augmentation(config)


def views_of_augmentation(config: Config) -> int:
    """Number of views that a cached teacher labels if an augmentation changes the data."""
    return config.teacher.views or min(_DEFAULT_VIEWS, config.search.max_epochs * config.data.passes)


def own_sources(configs: Iterable[Config]) -> dict[str, str]:
    """The source code of each custom augmentation by name, as it was when this process first read it."""
    names = {name for config in configs for name in config.augmentation.amounts if ":" in name}
    kinds: dict[str, Any] = {name: AUGMENTATIONS.get(name) for name in names}
    return {name: _source_of(kind) for name, kind in kinds.items()}


_source_of = lru_cache(maxsize=64)(source_of)
"""Read once per process: editing the file meanwhile changes neither the loaded code nor the folder of its outputs."""


def outputs_folder(teacher_folder: Path, config: Config, sources: Mapping[str, str] | None = None) -> Path:
    """The folder of the outputs for this augmentation and number of views; a live teacher has one for all.

    `sources` is the result of `own_sources` in the process that wrote the outputs; by default it is read here.
    """
    sources = own_sources([config]) if sources is None else sources
    count = number_of_views(config)
    amounts = sorted((name, amount) for name, amount in config.augmentation.amounts.items() if amount and count)
    own = [sources[name] for name, _ in amounts if ":" in name]
    keep = [] if config.teacher.keep is None or not count else [config.teacher.keep]
    what = json.dumps([_FORMAT, amounts, own, count, config.data.seed, *keep])
    return teacher_folder / f"{VIEWS}{hashlib.sha256(what.encode()).hexdigest()[:12]}"


def outputs_are_whole(folder: Path) -> bool:
    """Whether the outputs exist and match their checksums."""
    try:
        checksums = json.loads((folder / _CHECKSUMS).read_text(encoding="utf-8"))
        return bool(checksums) and not changed_in(folder, checksums)
    except (OSError, ValueError, AttributeError):
        return False


def write_checksums(folder: Path) -> None:
    """Write the checksums of the folder's Arrow files for `outputs_are_whole`."""
    (folder / _CHECKSUMS).write_text(json.dumps(checksums_of(folder.glob("*.arrow"))), encoding="utf-8")
