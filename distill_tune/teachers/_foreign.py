"""What models of other frameworks have in common: how they read samples, and what they return.

Many read images channels-last, or flattened, and end in a softmax. If that cannot be removed, the logarithms of the
probabilities, minus each sample's mean, stand for the logits: they differ from them by one number per sample, to which
a softmax is invariant at any temperature, but losses on the logits themselves are not.
"""

from __future__ import annotations

from enum import StrEnum, auto

import torch
from torch import Tensor

from distill_tune.errors import TeacherError
from distill_tune.teachers.mixing import centred

_PROBES = 8
"""Number of normally scaled samples among those that reveal what a model's outputs are."""
_SIZES = (1, 10, 100)
"""Factors applied to the samples: an unsure model's single logit may lie between 0 and 1 for some, but not for all."""


class Ending(StrEnum):
    """What a model's outputs are."""

    LOGITS = auto()
    PROBABILITIES = auto()
    ONE_LOGIT = auto()
    """The logit of the second of two classes."""
    ONE_SHARE = auto()
    """The probability of the second of two classes."""


def probes(input_shape: tuple[int, ...]) -> Tensor:
    """Normalised samples [n, *input_shape], whose outputs are passed to `ending_of`."""
    usual = torch.randn(_PROBES, *input_shape, generator=torch.Generator().manual_seed(0))
    return torch.cat([size * usual for size in _SIZES])


def ending_of(outputs: Tensor, classes: int, is_taken_off: bool) -> Ending:
    """What the outputs of `probes` are; `is_taken_off` if a final softmax or sigmoid was removed already."""
    if classes == 2 and outputs.shape == (len(outputs), 1):
        is_logit = is_taken_off or bool((outputs < 0).any() | (outputs > 1).any())
        return Ending.ONE_LOGIT if is_logit else Ending.ONE_SHARE
    usual = outputs[:_PROBES]  # a softmax of far larger numbers may overflow
    is_share = usual.dim() == 2 and bool((usual >= 0).all())
    sums_to_one = is_share and torch.allclose(usual.sum(1), torch.ones((), dtype=usual.dtype), atol=1e-3)
    return Ending.PROBABILITIES if sums_to_one else Ending.LOGITS


def logits_of(outputs: Tensor, ending: Ending) -> Tensor:
    """Raw logits [batch, classes] from outputs [batch, classes], or [batch, 1] for two classes."""
    match ending:
        case Ending.PROBABILITIES:
            return centred(torch.log(outputs.clamp(min=torch.finfo(outputs.dtype).tiny)))
        case Ending.ONE_LOGIT:
            return torch.cat([torch.zeros_like(outputs), outputs], dim=1)
        case Ending.ONE_SHARE:
            return centred(two_logits(outputs))
    return outputs


def ending_in_words(ending: Ending, taken_off: str) -> str:
    """How a model's last layer is changed, in words; empty if it is not."""
    if taken_off:
        return f"the last {taken_off} is taken off, so that its outputs are raw logits"
    if ending in (Ending.PROBABILITIES, Ending.ONE_SHARE):
        return "its outputs are probabilities; their logarithms stand for the logits"
    return ""


def two_logits(share: Tensor) -> Tensor:
    """[batch, 2] from the second class's probability [batch, 1]; 0 and 1 count as the nearest numbers in between."""
    limits = torch.finfo(share.dtype)
    share = share.clamp(limits.tiny, 1 - limits.eps / 2)
    return torch.cat([torch.log1p(-share), torch.log(share)], dim=1)


def arrangement(
    given: tuple[int, ...], wanted: tuple[int | None, ...], name: str, channels_first: bool = False
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The permutation of a batch, and the resulting shape of a sample, for a model that reads `wanted`.

    Args:
        given: the data's shape: (features,), or (channels, height, width).
        wanted: the model's shape; None in a dimension of any size.
        name: the model's file, for errors.
        channels_first: whether to prefer channels first if both layouts fit.

    Raises:
        TeacherError: the samples cannot be arranged that way.
    """
    as_they_are = tuple(range(len(given) + 1))
    candidates = [(as_they_are, given)]
    if len(given) == 3:
        channels, height, width = given
        last = (0, 2, 3, 1)
        candidates.insert(1 if channels_first else 0, (last, (height, width, channels)))
        flat = (as_they_are if channels_first else last, (channels * height * width,))
        candidates += [(last, (height, width))] * (channels == 1) + [flat]
    for order, shape in candidates:
        if len(shape) == len(wanted) and all(w in (None, s) for w, s in zip(wanted, shape, strict=True)):
            return order, shape
    raise TeacherError(
        f"teacher.path: the model of {name!r} reads samples of shape {wanted}, but the data have {given}."
    )
