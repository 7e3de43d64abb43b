"""Views: the augmented inputs of some samples, as a pure function of (seed, index, view).

Any view without augmentation is the data itself. The same view always gives the same inputs, so the teacher's outputs
for it can be computed once and replayed: see `teacher_cache.py`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from distill_tune.config.sections import AugmentationConfig
from distill_tune.data import Dataset
from distill_tune.distillation.augmentation import Draw, Transform
from distill_tune.errors import ConfigError
from distill_tune.registry import AUGMENTATIONS


@dataclass(frozen=True)
class Mixed:
    """Inputs of a view, and whom they were blended with."""

    inputs: Tensor
    partner: Tensor | None = None
    """int64 [batch]: position of each sample's partner."""
    share: Tensor | None = None
    """float32 [batch]: weight of the sample itself; the partner has the rest."""


class Views:
    """The augmentation of one configuration over one set of samples; partners come from the same set."""

    def __init__(self, config: AugmentationConfig, inputs: Tensor, mean: tuple[float, ...], seed: int):
        """`inputs` are all samples that a view may show, in stored units: [n, channels, h, w] or [n, features]."""
        chosen: list[Transform] = [
            AUGMENTATIONS.get(name)(amount=amount) for name, amount in sorted(config.amounts.items()) if amount
        ]
        self._transforms = [transform for transform in chosen if not transform.mixes]
        self._mixing = next((transform for transform in chosen if transform.mixes), None)
        self._inputs, self._seed = inputs, seed
        self._fill = torch.tensor(mean, device=inputs.device) if mean else None

    @property
    def sample_bytes(self) -> int:
        """Of one sample as it is stored."""
        return self._inputs[0].numel() * self._inputs.element_size()

    def take(self, index: Tensor, view: int) -> Mixed:
        """The inputs of the samples at `index` (int64 [batch]) in `view`."""
        inputs = self._transformed(index, view)
        if self._mixing is None:
            return Mixed(inputs)
        draw = Draw(self._seed, view, index)
        partner = draw.below(len(self._inputs), "mixing partner")
        share = self._mixing.share(draw)
        weight = share.view(-1, *[1] * (inputs.dim() - 1))
        return Mixed(weight * inputs + (1 - weight) * self._transformed(partner, view), partner, share)

    def _transformed(self, index: Tensor, view: int) -> Tensor:
        inputs = self._inputs[index]
        for transform in self._transforms:
            inputs = transform.apply(inputs, Draw(self._seed, view, index, self._fill))
        return inputs


def check_augmentation(config: AugmentationConfig, dataset: Dataset) -> None:
    """Refuse a transform that does not fit the data, and a second one that mixes.

    Raises:
        ConfigError: an image transform on a table, or two mixing transforms.
    """
    chosen = {name: AUGMENTATIONS.get(name) for name, amount in config.amounts.items() if amount}
    kind = "images" if dataset.is_image else "tables"
    for name, transform in chosen.items():
        if not getattr(transform, f"for_{kind}"):
            able = [n for n in AUGMENTATIONS.names if getattr(AUGMENTATIONS.get(n), f"for_{kind}")]
            raise ConfigError(
                f"augmentation.{name}: cannot be used on {kind}; for {kind} there are: {', '.join(able)}."
            )
    mixing = [name for name, transform in chosen.items() if transform.mixes]
    if len(mixing) > 1:
        raise ConfigError(f"augmentation.{mixing[1]}: samples are mixed by {mixing[0]} already; set one of them to 0.")
