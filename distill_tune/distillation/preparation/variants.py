"""The augmentations that a space can choose; the teacher labels each once, before the search starts."""

from __future__ import annotations

from collections.abc import Iterator

from distill_tune.config import Config, Space
from distill_tune.config.corners import combinations
from distill_tune.config.messages import dotted
from distill_tune.config.ranges import Choice
from distill_tune.errors import ConfigError


def augmentation_variants(space: Space) -> Iterator[Config]:
    """One configuration per combination of the augmentations' choices.

    Raises:
        ConfigError: an augmentation is a continuous range, so its views cannot be labelled beforehand.
    """
    ranges = {path: found for path, found in space.ranges.items() if path[0] == "augmentation"}
    live = space.config.teacher.mode == "live"
    for path, found in ranges.items():
        if not isinstance(found, Choice) and not live:
            raise ConfigError(
                f"{dotted(path)}: must be a value or {{ choice = [...] }} where the teacher's outputs are cached, "
                "since each amount is labelled once; or set teacher.mode = 'live'."
            )
    yield from map(space.at, combinations(ranges))


def check_logits_suffice(variants: list[Config], source: str) -> None:
    """Refuse augmentations and live mode for `source`, a teacher that has only logits of the unaugmented samples.

    Raises:
        ConfigError: the teacher would have to run.
    """
    if variants[0].teacher.mode == "live":
        raise ConfigError(
            f"teacher.mode: 'live' needs a teacher that can run, but {source} has only logits; use 'cached'."
        )
    for variant in variants:
        for name, amount in variant.augmentation.amounts.items():
            if amount:
                raise ConfigError(
                    f"augmentation.{name}: the teacher must label what the student sees, but {source} has "
                    f"logits of the samples as they are; set it to 0, or name a teacher that can run."
                )
