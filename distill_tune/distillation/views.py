"""Views: the augmented inputs of some samples, as a pure function of (seed, index, view).

Without augmentation, every view is the data itself. A view always gives the same inputs, so the teacher's outputs for
it can be computed once and replayed: see `cache/outputs.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distill_tune.config.sections import AugmentationConfig
from distill_tune.data import Dataset
from distill_tune.distillation.augmentation import Draw, Transform
from distill_tune.distillation.devices import gathered, sent
from distill_tune.errors import ConfigError
from distill_tune.registry import AUGMENTATIONS

_TRIED = 8
"""Number of samples on which a user-defined transform is tried before a search starts."""


@dataclass(frozen=True)
class Mixed:
    """Inputs of a view, and the partners that they were blended with."""

    inputs: Tensor
    partner: Tensor | None = None
    """int64 [batch]: position of each sample's partner."""
    share: Tensor | None = None
    """float32 [batch]: weight of the sample itself; the partner gets the rest."""


class Views:
    """The augmentation of one configuration over one set of samples; partners come from the same set."""

    def __init__(self, config: AugmentationConfig, inputs: Tensor, mean: tuple[float, ...], seed: int):
        """`inputs` are all samples that a view may show, in stored units: [n, channels, h, w] or [n, features].

        Images may be on another device than the one that reads them.
        """
        chosen: list[Transform] = [
            AUGMENTATIONS.get(name)(amount=amount) for name, amount in sorted(config.amounts.items()) if amount
        ]
        self._transforms = [transform for transform in chosen if not transform.mixes]
        self._mixing = [transform for transform in chosen if transform.mixes]
        self._has_ones_own = any(":" in name for name, amount in config.amounts.items() if amount)
        self._inputs, self._seed = inputs, seed
        self._rows: Tensor | None = None
        self._fill = torch.tensor(mean, device=inputs.device) if mean else None

    @property
    def sample_bytes(self) -> int:
        """Bytes of one stored sample."""
        return self._inputs[0].numel() * self._inputs.element_size()

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return tuple(self._inputs.shape[1:])

    @property
    def mixes(self) -> bool:
        """Whether samples are blended with partners."""
        return bool(self._mixing)

    def place_for(self, reader: torch.device) -> torch.device:
        """The best device on which to make a view for a network on `reader`: for images, `reader` itself.

        Table rows are cheap to make anywhere; a user-defined transform may read `Draw.pool`, so it runs where that is.
        """
        return reader if self._are_apart else self._inputs.device

    @property
    def _are_apart(self) -> bool:
        """Whether samples may be large and a sample's view depends on no other samples than its partner."""
        return len(self.sample_shape) > 1 and not self._has_ones_own

    def over(self, rows: Tensor) -> Views:
        """The same views over the samples at `rows` only; partners come from among these.

        Images are not copied: they may be in files that are larger than memory.
        """
        made = copy.copy(self)
        if self._are_apart:
            made._rows = rows.cpu() if self._rows is None else self._rows[rows.cpu()]
        else:
            made._inputs = self._inputs[rows.to(self._inputs.device)]
        return made

    def take(self, index: Tensor, view: int, device: torch.device | None = None) -> Mixed:
        """The inputs of the samples at `index` (int64 [batch]) in `view`, on `device`: by default that of the index.

        With the index on the CPU and a GPU as `device`, nothing waits for the GPU, wherever the inputs are.
        """
        where = index.device if device is None else device
        inputs = self._transformed(index, view, where)
        if not self._mixing:
            return Mixed(inputs)
        count = len(self._inputs if self._rows is None else self._rows)
        partner = Draw(self._seed, view, index).below(count, "mixing partner")
        draw = Draw(self._seed, view, sent(index, where))
        return Mixed(*self._mixed(inputs, self._transformed(partner, view, where), draw, sent(partner, where)))

    def _mixed(self, inputs: Tensor, partners: Tensor, draw: Draw, partner: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mix each sample in one way, chosen uniformly if there are several."""
        mixed, share = self._mixing[0].mix(inputs, partners, draw)
        which = draw.below(len(self._mixing), "mixing way") if len(self._mixing) > 1 else None
        for number, transform in enumerate(self._mixing[1:], start=1):
            assert which is not None
            others, other_share = transform.mix(inputs, partners, draw)
            chosen = which == number
            mixed = others.where(chosen.view(-1, *[1] * (inputs.dim() - 1)), mixed)
            share = other_share.where(chosen, share)
        return mixed, partner, share

    def _transformed(self, index: Tensor, view: int, device: torch.device) -> Tensor:
        rows = index if self._rows is None else self._rows[index.cpu()]
        inputs, there = gathered(self._inputs, rows, device), sent(index, device)
        fill = None if self._fill is None else sent(self._fill, device)
        for transform in self._transforms:
            inputs = transform.apply(inputs, Draw(self._seed, view, there, fill, self._inputs))
        return inputs


def check_augmentation(config: AugmentationConfig, dataset: Dataset, devices: Sequence[str] = ("cpu",)) -> None:
    """Refuse a transform that does not fit the data; user-defined ones are tried on each of the `devices`.

    Raises:
        ConfigError: an image transform on a table or vice versa, or a user-defined one with invalid outputs.
    """
    kind = "images" if dataset.is_image else "tables"
    able = [name for name in AUGMENTATIONS.names if getattr(AUGMENTATIONS.get(name), f"for_{kind}")]
    for name, amount in config.amounts.items():
        if amount and not getattr(AUGMENTATIONS.get(name), f"for_{kind}"):
            raise ConfigError(
                f"augmentation.{name}: cannot be used on {kind}; for {kind} there are: {', '.join(able)}."
            )
        for device in devices if amount and ":" in name else ():
            _check_gives(AUGMENTATIONS.get(name)(amount=amount), name, dataset, device)


def _check_gives(transform: Transform, name: str, dataset: Dataset, device: str) -> None:
    """Try a user-defined transform on a few samples; an error that it raises is reported as its own."""
    inputs = torch.from_numpy(dataset.split("train").inputs[:_TRIED].copy()).to(device)
    fill = torch.tensor(dataset.mean, device=device) if dataset.mean else None
    draw = Draw(0, 0, torch.arange(len(inputs), device=device), fill, inputs)
    rule = f"augmentation.{name}: "
    if not transform.mixes:
        given = transform.apply(inputs.clone(), draw)
        _check_like(given, inputs, {inputs.dtype}, f"{rule}`apply` must give inputs as it is given them,")
        return
    if type(transform).mix is Transform.mix:  # the default `mix` calls `share`
        _check_share(transform.share(draw), draw, rule)
    mixed = transform.mix(inputs, inputs.flip(0), draw)
    if not (isinstance(mixed, tuple) and len(mixed) == 2):
        raise ConfigError(f"{rule}`mix` must give (inputs, share), but gave {_described(mixed)}; mend it.")
    blended, share = mixed
    _check_like(blended, inputs, {torch.float32, inputs.dtype}, f"{rule}`mix` must give inputs as it is given them,")
    _check_share(share, draw, rule)


def _check_share(given: object, draw: Draw, rule: str) -> None:
    share = _check_like(given, draw.index, {torch.float32}, f"{rule}the share of a sample must be one number,")
    if not bool(((share >= 0) & (share <= 1)).all()):
        ends = f"{share.min().item():.3g} to {share.max().item():.3g}"
        raise ConfigError(f"{rule}the share of a sample must be from 0 to 1, but those tried are from {ends}; mend it.")


def _check_like(given: object, like: Tensor, kinds: set[torch.dtype], rule: str) -> Tensor:
    if not (isinstance(given, Tensor) and given.shape == like.shape and given.dtype in kinds):
        wanted = " or ".join(sorted(map(str, kinds)))
        raise ConfigError(f"{rule} {list(like.shape)} of {wanted}, but gave {_described(given)}; mend it.")
    if given.device != like.device:
        raise ConfigError(f"{rule} on {like.device}, but gave {_described(given)} on {given.device}; mend it.")
    if like.isfinite().all() and not given.isfinite().all():
        raise ConfigError(f"{rule} finite where these are, but gave numbers that are not; mend it.")
    return given


def _described(given: object) -> str:
    return f"{list(given.shape)} of {given.dtype}" if isinstance(given, Tensor) else f"{given!r:.60}"
