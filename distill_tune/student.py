"""A trained student in Python: `load_student("results/NAME/best")`; on the command line, see `predict.py`.

student = distill_tune.load_student("results/NAME/best")
student.predict("new_rows.csv")            # the most probable class of each row
student.probabilities(frame)               # [rows, classes], of a pandas.DataFrame or a NumPy array too
student.export_onnx("student.onnx")
"""

from __future__ import annotations

import inspect
import shlex
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from distill_tune.config.messages import named_apart
from distill_tune.errors import InputError, one_line
from distill_tune.paths import expanded, is_file, is_folder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from torch import nn

    from distill_tune.students._folder import StudentFolder

    Rows: TypeAlias = "str | Path | list[Path] | pd.DataFrame | npt.NDArray[Any]"


_FAR_ABOVE = 2
"""An array's largest pixel value, divided by that of the training images, above which it is in other units."""
_PICTURES_BYTES = 1 << 28


def _warn_caller(line: str) -> None:
    """Warn at the line that called this package: what it does inside is of no use to its user.

    Python 3.11 has no `skip_file_prefixes`.
    """
    frame, level = inspect.currentframe(), 1
    while frame and frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        frame, level = frame.f_back, level + 1
    warnings.warn(line, stacklevel=level)


def load_student(folder: str | Path, warn: Callable[[str], object] = _warn_caller) -> LoadedStudent:
    """Load the student of a folder, `best/` of a search or `seed-N/` of a training; needs neither Ray nor the data.

    `warn` is called if the code of the student's own family has changed since it was trained.

    Raises:
        InputError: it is not a student's folder, a file is damaged, or the student's family cannot be imported.
    """
    _check_search(expanded(str(folder)))
    from distill_tune.students._folder import open_student_folder

    opened = open_student_folder(expanded(str(folder)))
    _check_inputs(folder, opened)
    if opened.warning:
        warn(opened.warning)
    of_data = opened.separator, opened.array, opened.brightest
    return LoadedStudent(opened.student, opened.classes, opened.input_shape, opened.encoder, *of_data)


def _check_search(folder: Path) -> None:
    """Refuse the student of a search that has none yet."""
    from distill_tune.export.result_folder import SEARCH_TOML
    from distill_tune.students._folder import BEST

    search = folder.parent if folder.name == BEST else folder
    is_search = is_file(search / SEARCH_TOML) and not is_file(search.parent / SEARCH_TOML)  # not a baseline's folder
    if is_search and not is_folder(search / BEST):
        where = f"--name {shlex.quote(search.name)} --storage {shlex.quote(str(search.parent))}"
        raise InputError(
            f"{search / BEST}: does not exist yet, because the search is unfinished; wait for it, or continue it with "
            f"`python -m distill_tune.search --resume {where}`."
        )


def _check_inputs(folder: str | Path, opened: StudentFolder) -> None:
    """Check that what student.json says of the inputs is consistent."""
    if opened.encoder is None and len(opened.input_shape) == 3:
        return
    from distill_tune.data.encoder import TableEncoder

    try:
        features = TableEncoder.from_dict(opened.encoder or {}).feature_names
        if opened.input_shape != (len(features),):
            raise ValueError(f"its encoder makes {len(features)} features, not {opened.input_shape}")
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{folder}: the student cannot be read ({one_line(error)}); copy the folder again.") from error


@dataclass(frozen=True, repr=False)
class LoadedStudent:
    """A trained student, ready to classify."""

    network: nn.Module
    """In eval mode: maps what `inputs` returns, as a tensor, to logits [rows, classes]."""
    classes: tuple[str, ...]
    input_shape: tuple[int, ...]
    """The shape of a row that `inputs` returns: (features,), or (channels, height, width)."""
    encoder: dict[str, Any] | None
    """How a table's columns become features, as in `student.json`; None for images."""
    separator: str | None
    """The column separator of the CSV file that it learned from, if it did."""
    array: str | None = None
    """The name of the inputs in the .npz file that it learned from, if that gave them a custom name."""
    brightest: int | None = None
    """The largest pixel value in the images that it learned from, unless these were pictures."""

    def __repr__(self) -> str:
        """Its size, input shape and classes in one line; `network` and `encoder` would fill a page."""
        parameters = sum(each.numel() for each in self.network.parameters())
        return (
            f"<{type(self).__name__} with {parameters:,} parameters: rows {list(self.input_shape)} to "
            f"{len(self.classes)} classes ({named_apart(self.classes)})>"
        )

    def inputs(self, rows: Rows, warn: Callable[[str], object] = _warn_caller) -> npt.NDArray[Any]:
        """Rows in the layout of the training data, as the network takes them.

        Args:
            rows: a CSV, Parquet, .npy or .npz file, a picture, a list or a folder of pictures, a `pandas.DataFrame`,
                or an array: [rows, columns] of a table, or images [rows, channels, height, width] in bytes.
            warn: called for categories and gaps that the training data did not have; if no pixel of the training data
                was above 127, for pictures (pixels up to 255) and for arrays with a pixel more than twice as large; and
                for files of a folder that are no pictures.

        Returns:
            float32 [rows, features] for a table, uint8 [rows, channels, height, width] for images.

        Raises:
            DataError: the rows have another layout, or a file cannot be read.
        """
        from distill_tune.data.inputs import read_inputs

        given = _given(rows)
        are_pictures = self._warn_of_pictures(given, warn)
        found = read_inputs(given, self.encoder, self.input_shape, warn, self.separator, self.array)
        if not are_pictures:
            self._warn_of_units(found, warn)
        return found

    def _warn_of_pictures(self, given: Any, warn: Callable[[str], object]) -> bool:
        """Warn if pictures are given that have other units than the training images; returns whether they are given."""
        from distill_tune.data.inputs import picture_files
        from distill_tune.students._folder import is_dark

        are_given = picture_files(given) is not None
        if are_given and is_dark(self.brightest):
            warn(
                f"pixels of pictures go from 0 to 255, but this student has learned from images that end at "
                f"{self.brightest}; give arrays in the same units"
            )
        return are_given

    def _warn_of_units(self, images: npt.NDArray[Any], warn: Callable[[str], object]) -> None:
        from distill_tune.students._folder import is_dark

        if self.brightest is None or not is_dark(self.brightest):
            return
        if (most := int(images.max())) > _FAR_ABOVE * self.brightest:
            warn(
                f"a pixel of the rows is {most}, but this student has learned from images that end at "
                f"{self.brightest}; give them in the same units"
            )

    def probabilities(self, rows: Rows, warn: Callable[[str], object] = _warn_caller) -> npt.NDArray[np.float32]:
        """Probabilities [rows, classes] in the order of `classes`; arguments and errors as for `inputs`.

        Each row sums to 1, unless its logits are not finite: then they are NaN, and `warn` is called.
        """
        import numpy as np

        from distill_tune.evaluation.predicting import probabilities

        found = np.concatenate([probabilities(self.network, each) for each in self._portions(rows, warn)])
        if len(odd := np.flatnonzero(~np.isfinite(found).all(axis=1))):
            have = "1 row has" if len(odd) == 1 else f"{len(odd):,} rows have"
            warn(
                f"{have} a logit that is not finite, the first is row {odd[0]}; their probabilities are no numbers, "
                "and their class says nothing"
            )
        return found

    def _portions(self, rows: Rows, warn: Callable[[str], object]) -> Iterator[npt.NDArray[Any]]:
        """The inputs; those of many pictures a part at a time, because all together may not fit into memory."""
        from distill_tune.data.inputs import picture_files

        step, said = _pictures_at_a_time(self.input_shape), list[str]()
        files = picture_files(_given(rows), said.append)
        if files is None or len(files) <= step:
            yield self.inputs(rows, warn)
            return
        for line in said:
            warn(line)
        for at in range(0, len(files), step):
            yield self.inputs(files[at : at + step], warn if at == 0 else lambda line: None)

    def predict(self, rows: Rows, warn: Callable[[str], object] = _warn_caller) -> list[str]:
        """The most probable class of each row; arguments and errors as for `inputs`."""
        return [self.classes[best] for best in self.probabilities(rows, warn).argmax(1)]

    def export_onnx(self, path: str | Path) -> None:
        """Write the network as ONNX, as in `best/student.onnx`, if that is missing or needed elsewhere.

        It maps any number of rows, `inputs` as that method returns them, to `logits`. Images are normalised inside the
        program; a table's encoder is not part of it.

        Raises:
            InputError: `onnxscript` is not installed.
        """
        import numpy as np

        from distill_tune.export.formats.onnx import Onnx
        from distill_tune.export.programs import program_of

        if (package := Onnx().missing) is not None:
            raise InputError(f"export_onnx: needs the package {package}; pip install {package}.")
        inputs = np.zeros((1, *self.input_shape), dtype="float32" if self.encoder else "uint8")
        Onnx().write(program_of(self.network, inputs), expanded(str(path)))


def _given(rows: Any) -> Any:
    return expanded(str(rows)) if isinstance(rows, str | Path) else rows


def _pictures_at_a_time(input_shape: tuple[int, ...]) -> int:
    """How many pictures are decoded at a time: whole portions of those that go through the network together."""
    from distill_tune.evaluation.portions import samples_at_a_time

    portion = samples_at_a_time(input_shape)
    return portion * max(1, _PICTURES_BYTES // (portion * prod(input_shape)))
