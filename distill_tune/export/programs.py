"""A student as a standalone program: written in the requested formats, and kept if its logits match the student's.

Some networks cannot be exported, such as those with data-dependent control flow. They remain usable from Python; the
student's folder then lacks the files that could not be written, and the caller reports why.
"""

from __future__ import annotations

import gc
import io
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from distill_tune.errors import one_line
from distill_tune.export.formats import Format
from distill_tune.registry import FORMATS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn
    from torch.export import ExportedProgram

_RELATIVE, _ABSOLUTE = 1e-3, 1e-4
"""Tolerances of logits: other kernels add up in another order."""


def write_programs(folder: Path, network: nn.Module, inputs: NDArray[Any], names: Iterable[str]) -> dict[str, str]:
    """Write a network into a folder in the given formats.

    Args:
        folder: The student's folder.
        network: The network in eval mode, on the CPU.
        inputs: [some, *input_shape], as the network takes them; each program must agree with the network on these.
        names: The names of the formats.

    Returns:
        For each file that is missing, by its name, why.
    """
    formats: list[Format] = [FORMATS.get(name)() for name in names]
    left_out = {
        each.file: f"it needs {each.missing}, which `pip install {each.missing}` installs"
        for each in formats
        if each.missing
    }
    formats = [each for each in formats if not each.missing]
    if formats:  # otherwise PyTorch's exporter need not be loaded
        with _no_collecting():
            left_out |= _write_all(
                formats, folder, network, np.array(inputs)
            )  # a copy: they are a read-only memory map
    return left_out


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Without garbage collection: the exporter's modules and tables stay, so it would cost time and find little."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _write_all(formats: list[Format], folder: Path, network: nn.Module, inputs: NDArray[Any]) -> dict[str, str]:
    try:
        with _quiet():
            program = program_of(network, inputs)
    except (Exception, SystemExit) as error:  # from a user-defined network, or one of PyTorch's many kinds
        why = f"PyTorch cannot export the network ({one_line(error)})"
        return {each.file: why for each in formats}
    found = {each.file: _written(each, program, folder / each.file, network, inputs) for each in formats}
    return {file: why for file, why in found.items() if why}


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence PyTorch, which logs what it cannot export and prints the whole graph that it has by then."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def program_of(network: nn.Module, inputs: NDArray[Any]) -> ExportedProgram:
    """The network exported as a graph that takes any number of rows of such inputs.

    Raises:
        Exception: PyTorch cannot export it.
    """
    import torch

    example = torch.from_numpy(np.repeat(inputs[:1], 2, axis=0))  # one row would be exported as a fixed size
    rows = torch.export.Dim("rows", min=1)
    return torch.export.export(network, (example,), dynamic_shapes=({0: rows},))


def _written(
    kind: Format, program: ExportedProgram, path: Path, network: nn.Module, inputs: NDArray[Any]
) -> str | None:
    """Why the file could not be written or was discarded; None if it is there."""
    try:
        kind.write(program, path)
        why = _difference(kind, path, network, inputs) if kind.can_run else None
    except (Exception, SystemExit) as error:  # as above; and a full disk must not lose the student
        why = f"it cannot be written ({one_line(error)})"
    if why is not None:
        path.unlink(missing_ok=True)
    return why


def _difference(kind: Format, path: Path, network: nn.Module, inputs: NDArray[Any]) -> str | None:
    """How the written file's logits differ from the network's, for one row and for many; None if they agree."""
    from distill_tune.evaluation.predicting import predict_logits

    asked = (inputs[:1], inputs)
    for some, found in zip(asked, kind.answers(path, *asked), strict=True):
        expected = predict_logits(network, some)
        if not np.allclose(found, expected, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True):
            return f"its logits differ from the student's by up to {np.abs(found - expected).max():.2g}"
    return None
