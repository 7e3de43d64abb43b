"""A student as a program of its own: written as is wanted, and kept where it says what the student says.

Some networks cannot be exported, such as those that look at their inputs to decide what to do next. They are used from
Python, as before; the student's folder then lacks what could not be written, and whoever wrote it says why.
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
"""By how much logits may differ: other kernels add up in another order."""


def write_programs(folder: Path, network: nn.Module, inputs: NDArray[Any], names: Iterable[str]) -> dict[str, str]:
    """Write a network into a folder, in some formats.

    Args:
        folder: of the student.
        network: in eval mode, on the CPU.
        inputs: [some, *input_shape], as the network takes them; each program must say of these what the network does.
        names: of the formats.

    Returns:
        Why a file is not there, by its name.
    """
    formats: list[Format] = [FORMATS.get(name)() for name in names]
    left_out = {
        each.file: f"it needs {each.missing}, which `pip install {each.missing}` installs"
        for each in formats
        if each.missing
    }
    formats = [each for each in formats if not each.missing]
    if formats:  # else PyTorch's exporter is not loaded
        with _no_collecting():
            left_out |= _write_all(formats, folder, network, np.array(inputs))  # which are of a read-only map
    return left_out


@contextmanager
def _no_collecting() -> Iterator[None]:
    """The exporter's modules and tables are there to stay: a search for garbage among them costs and finds little."""
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
    except (Exception, SystemExit) as error:  # of a user's own network; and PyTorch has many kinds of errors of its own
        why = f"PyTorch cannot export the network ({one_line(error)})"
        return {each.file: why for each in formats}
    found = {each.file: _written(each, program, folder / each.file, network, inputs) for each in formats}
    return {file: why for file, why in found.items() if why}


@contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch tells at length of what it cannot export: it logs, and prints all of the graph that it has by then."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def program_of(network: nn.Module, inputs: NDArray[Any]) -> ExportedProgram:
    """The network with what it does as a graph, for any number of rows of such inputs.

    Raises:
        Exception: PyTorch cannot make one of it.
    """
    import torch

    example = torch.from_numpy(np.repeat(inputs[:1], 2, axis=0))  # of one row, a network for one row would be made
    rows = torch.export.Dim("rows", min=1)
    return torch.export.export(network, (example,), dynamic_shapes=({0: rows},))


def _written(
    kind: Format, program: ExportedProgram, path: Path, network: nn.Module, inputs: NDArray[Any]
) -> str | None:
    """Why it is not there; None where it is."""
    try:
        kind.write(program, path)
        why = _difference(kind, path, network, inputs) if kind.can_run else None
    except (Exception, SystemExit) as error:  # as above; and a full disk is no loss of the student, who is there
        why = f"it cannot be written ({one_line(error)})"
    if why is not None:
        path.unlink(missing_ok=True)
    return why


def _difference(kind: Format, path: Path, network: nn.Module, inputs: NDArray[Any]) -> str | None:
    """How what was written differs from the network, for one row and for many."""
    from distill_tune.evaluation.predicting import predict_logits

    asked = (inputs[:1], inputs)
    for some, found in zip(asked, kind.answers(path, *asked), strict=True):
        expected = predict_logits(network, some)
        if not np.allclose(found, expected, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True):
            return f"its logits differ from the student's by up to {np.abs(found - expected).max():.2g}"
    return None
