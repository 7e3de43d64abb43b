"""Image files in one folder per class, as in torchvision's `ImageFolder` and most published data sets.

photos/cat/1.jpg, photos/cat/2.jpg, photos/dog/1.jpg                   all images are one pool
photos/train/cat/1.jpg, ..., photos/test/cat/9.jpg, ...                with a separate test split
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from distill_tune.config.messages import named_apart
from distill_tune.config.numbers import Positive
from distill_tune.data.files import check_is_no_uri
from distill_tune.data.image_files import Kind, decoded, digest_of, files_in, is_image, kinds_of, skipped
from distill_tune.data.sources._base import Source, required_path
from distill_tune.errors import DataError
from distill_tune.paths import exists, expanded, is_folder
from distill_tune.registry import DATA_SOURCES, did_you_mean

if TYPE_CHECKING:
    from distill_tune.config.sections import DataConfig
    from distill_tune.data.raw import RawImages

_SPLITS = frozenset({"test", "train", "val", "valid", "validation"})
"""Usual names of split folders."""
_LIKE_A_SPLIT = re.compile(
    r"(.*[-_ ])?(train(ing)?|test(ing)?|val(id(ation)?)?)([-_ ]?(set|data|images|\d+))?", re.IGNORECASE
)
"""Other names that split folders may have; a class may also have such a name."""


def _is_name(text: str) -> str:
    if not text or "/" in text or text.startswith("."):
        raise ValueError("must be the name of a folder in data.path, without / and with no dot in front")
    return text


_Name = Annotated[str, AfterValidator(_is_name)]


@DATA_SOURCES.register
class ImageFolder(Source):
    """`data.path` names the folder; classes are sorted by name."""

    needs: ClassVar[tuple[str, ...]] = ("path",)
    size: Positive | Annotated[list[Positive], Field(min_length=2, max_length=2)] | None = None
    """Height and width to scale all images to, or one number for both; None: their own, if it is the same for all."""
    channels: Literal[1, 3] | None = None
    """None: 1 if all images are grey, else 3."""
    train: _Name | None = None
    """Folder in `data.path` with one folder per class; None: `train` if it is not a class (`_has_splits`), else
    `data.path` itself."""
    test: _Name | None = None
    """Folder of the data's own test split; None: `test`, if there is one next to `train` and not `unlabelled`."""
    unlabelled: _Name | None = None
    """Folder of images without a label, with `data.rest = "unlabelled"`."""

    def content(self, config: DataConfig) -> str:
        """SHA-256 of the names and contents of all files."""
        parts = self._parts(config)
        return digest_of([path for folder in parts.folders for path in files_in(folder)[0]], parts.root)

    def load(self, config: DataConfig) -> RawImages:
        """Images class by class, each in the order of `files_in`; then unlabelled ones, then the test split."""
        import numpy as np

        from distill_tune.data.dataset import UNLABELLED
        from distill_tune.data.raw import RawImages

        parts = self._parts(config)
        classes = [folder.name for folder in parts.class_folders]
        paths, labels = _labelled(parts.class_folders, classes)
        more = [] if parts.unlabelled is None else _some_files(parts.unlabelled)
        tested, their_labels = _labelled(parts.test_folders, classes)
        paths, labels = paths + more + tested, labels + [UNLABELLED] * len(more) + their_labels
        kinds = kinds_of(paths)
        return RawImages(
            inputs=decoded(paths, self._shape(paths, kinds, parts.root)),
            labels=np.array(labels, dtype=np.int64),
            classes=tuple(classes),
            where=str(parts.root),
            own_test=len(tested),
            notes=(*parts.notes(), *_said_of_several(paths, kinds)),
        )

    def _parts(self, config: DataConfig) -> _Parts:
        if self.unlabelled is not None and config.rest != "unlabelled":
            raise DataError(
                f"data.image_folder.unlabelled: images without a label ({self.unlabelled!r}) are seen through the "
                "teacher alone; set data.rest = 'unlabelled', or leave the key out."
            )
        root = _root(config)
        names = {path.name for path in _subfolders(root)}
        has_splits = self.train is None and self._has_splits(root, names)
        found = {
            "train": self.train or ("train" if has_splits else None),
            "test": self.test or ("test" if has_splits and "test" in names - {self.unlabelled} else None),
            "unlabelled": self.unlabelled,
        }
        for key, name in found.items():
            if name is not None and not is_folder(root / name):
                hint = did_you_mean(name, sorted(names))
                raise DataError(f"data.image_folder.{key}: {root} has no folder {name!r}.{hint}")
        train, test, unlabelled = (None if name is None else root / name for name in found.values())
        return _Parts(root, train or root, test, unlabelled)

    def _has_splits(self, root: Path, names: set[str]) -> bool:
        """Whether `train` is a split: it is next to other splits only, or both it and `test` have subfolders."""
        if "train" not in names:
            return False
        are_splits = names - {self.test, self.unlabelled} <= _SPLITS
        return are_splits or ("test" in names and all(_subfolders(root / name) for name in ("train", "test")))

    def _shape(self, paths: Sequence[Path], kinds: Sequence[Kind], root: Path) -> tuple[int, int, int]:
        channels = self.channels or max(kind.channels for kind in kinds)
        if self.size is None:
            return channels, *_common_size(paths, kinds, root)
        height, width = (self.size, self.size) if isinstance(self.size, int) else self.size
        return channels, height, width


@dataclass(frozen=True)
class _Parts:
    """The folders by purpose."""

    root: Path
    train: Path
    test: Path | None
    unlabelled: Path | None

    @property
    def class_folders(self) -> list[Path]:
        """One folder per class, sorted by name."""
        found = [path for path in _subfolders(self.train) if path not in (self.test, self.unlabelled)]
        if not found:
            raise DataError(f"{self.train}: has no folders; it must have one with images for each class.")
        if odd := [path.name for path in found if not path.name.isprintable()]:
            raise DataError(f"{self.train}: a folder's name, {odd[0]!r}, cannot be printed; rename it.")
        return found

    @property
    def test_folders(self) -> list[Path]:
        """The class folders of the data's own test split; empty without one."""
        if self.test is None:
            return []
        if not (found := _subfolders(self.test)):
            more = f", or set data.image_folder.train = {self.train.name!r} and no test, to draw one from there"
            raise DataError(
                f"{self.test}: has no folders; it must have one with images for each class, as training has"
                f"{more if self.train != self.root else ''}."
            )
        return found

    @property
    def folders(self) -> list[Path]:
        """All folders whose images are read."""
        unlabelled = [] if self.unlabelled is None else [self.unlabelled]
        return [*self.class_folders, *unlabelled, *self.test_folders]

    def notes(self) -> tuple[str, ...]:
        """Notes on what is in the folder but not read, and on classes that look like splits."""
        used = {self.train, self.test, self.unlabelled}
        aside = [path for path in _subfolders(self.root) if path not in used] if self.train != self.root else []
        others = [path for folder in self.folders for path in files_in(folder)[1]]
        of_classes = [self.train, *filter(None, [self.test])]
        loose = sorted(path for folder in of_classes for path in folder.iterdir() if is_image(path))
        return (
            *(f"{_written(path)}: is left out; data.image_folder.test could name it" for path in aside),
            *self._said_of_split_like_classes(),
            *([skipped(_written(others[0]), len(others))] if others else []),
            *([f"{_written(loose[0])} is in no class's folder and left out, {len(loose):,} in all"] if loose else []),
        )

    def _said_of_split_like_classes(self) -> list[str]:
        """A note that folders named like splits are read as classes; the real classes may be inside them."""
        found = [path for path in self.class_folders if _LIKE_A_SPLIT.fullmatch(path.name)]
        if len(found) < 2 or not any(map(_subfolders, found)):
            return []
        names = " and ".join(repr(path.name) for path in found)
        return [f"{names} are read as classes; if they are splits, name them by data.image_folder.train and test"]


def _root(config: DataConfig) -> Path:
    path = required_path(config)
    check_is_no_uri(path, "a folder of images")
    root = expanded(path)
    if not is_folder(root):
        what = "is no folder" if exists(root) else "no such folder"
        raise DataError(f"{root}: {what}; data.path must name a folder with a folder of images for each class.")
    return root


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if is_folder(path) and not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); mend that.") from error


def _labelled(folders: list[Path], classes: list[str]) -> tuple[list[Path], list[int]]:
    """The files of these folders, and for each the number of the class that its folder is named after."""
    paths, labels = list[Path](), list[int]()
    for folder in folders:
        if folder.name not in classes:
            raise DataError(
                f"{folder.parent}: has a class {folder.name!r} that is missing from the training images "
                f"({named_apart(classes)}); rename it, add training images of it, or take it away."
            )
        found = _some_files(folder)
        paths += found
        labels += [classes.index(folder.name)] * len(found)
    return paths, labels


def _some_files(folder: Path) -> list[Path]:
    files, _ = files_in(folder)
    if not files:
        raise DataError(f"{folder}: has no image files; add some, or take the folder away.")
    return files


def _told(path: Path) -> str:
    """A file name with its folder, the class: in many data sets each class numbers its images anew."""
    return repr(f"{path.parent.name}/{path.name}")


def _said_of_several(paths: Sequence[Path], kinds: Sequence[Kind]) -> list[str]:
    found = [path for path, kind in zip(paths, kinds, strict=True) if kind.is_several]
    if not found:
        return []
    return [
        f"{_written(found[0])} holds several pictures, of which the first is read, {len(found):,} such files in all"
    ]


def _written(path: Path) -> str:
    """A path as valid UTF-8, to be stored with the data."""
    return str(path).encode(errors="backslashreplace").decode()


def _common_size(paths: Sequence[Path], kinds: Sequence[Kind], root: Path) -> tuple[int, int]:
    first = kinds[0]
    for path, kind in zip(paths, kinds, strict=True):
        if kind[:2] != first[:2]:
            raise DataError(
                f"{root}: images must have one size, but {_told(paths[0])} has {first.height} x {first.width} and "
                f"{_told(path)} {kind.height} x {kind.width}; set data.image_folder.size, such as 32."
            )
    return first.height, first.width
