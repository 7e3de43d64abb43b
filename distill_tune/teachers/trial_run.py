"""A trial run of a network on two samples: what does not fit the data is refused before anything is labelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distill_tune.errors import TeacherError, one_line

if TYPE_CHECKING:
    from torch import Tensor, nn

    from distill_tune.teachers._base import DataSpec


def try_two(module: nn.Module, data_spec: DataSpec, key: str, of: str = "") -> Tensor:
    """Run two samples through a network and return their logits, on the CPU.

    Errors begin with `key`, and `of` says whose network it is.

    Raises:
        TeacherError: it cannot take them, or does not return logits for the data's classes.
    """
    import torch

    from distill_tune.evaluation.portions import device_of

    try:
        with torch.inference_mode():
            logits = module(torch.zeros(2, *data_spec.input_shape, device=device_of(module)))
    except TeacherError:
        raise
    except Exception as error:  # whatever the user's network raises
        raise TeacherError(
            f"{key}: the network{of} cannot take inputs of shape {data_spec.input_shape} ({one_line(error)}); name "
            "a teacher for such data."
        ) from error
    classes = len(data_spec.classes)
    if not isinstance(logits, torch.Tensor) or logits.shape != (2, classes):
        got = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise TeacherError(
            f"{key}: the network{of} must return logits [batch, {classes}] for the {classes} classes of the data, "
            f"but returned {got} for a batch of 2."
        )
    return logits.cpu()
