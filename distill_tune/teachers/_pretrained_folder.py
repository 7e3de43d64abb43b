"""A folder written by Hugging Face's `save_pretrained`: its location, its files, and how its images are preprocessed.

https://huggingface.co/docs/transformers/main_classes/model describes the files. Only JSON is read here; weights must be
safetensors, and anything else (pickles, code, adapters) is refused or ignored.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_tune.errors import TeacherError, one_line
from distill_tune.paths import exists, expanded, is_folder

_CONFIG, _PREPROCESSOR, _PROCESSOR = "config.json", "preprocessor_config.json", "processor_config.json"
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_ADAPTER = "adapter_config.json"
_FETCHED = [_CONFIG, _PREPROCESSOR, _PROCESSOR, _WEIGHTS, _INDEX, "model-*-of-*.safetensors"]
"""The only files that are fetched from the Hub."""
_NAME_ON_HUB = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_BILINEAR, _BICUBIC = 2, 3
"""`PIL.Image.Resampling.BILINEAR` and `BICUBIC`, as values of `resample`."""

_BEYOND_ANY = 1e30
"""Larger than any number of a real normalisation."""


@dataclass(frozen=True)
class PretrainedFolder:
    """The folder; `path` is as the user wrote it."""

    path: str
    folder: Path

    @classmethod
    def at(cls, path: str) -> PretrainedFolder:
        """The folder at `teacher.path`, or else the model of that name on the Hub, fetched or from the Hub's cache.

        Raises:
            TeacherError: neither exists.
        """
        folder = expanded(path)
        if not exists(folder) and _NAME_ON_HUB.fullmatch(path):
            folder = _fetched(path)
        if not is_folder(folder):
            raise TeacherError(
                f"teacher.path: no folder {path!r:.200}; give one that save_pretrained has written, or a name on the "
                "Hub, 'owner/name'."
            )
        return cls(path, folder)

    def files(self) -> list[Path]:
        """The files that the teacher's logits depend on: configuration, weights and preprocessing.

        Raises:
            TeacherError: configuration or weights are missing, or the weights are not safetensors of a whole model.
        """
        config, weights = self._json(_CONFIG), self._weights()
        if config is None:
            raise TeacherError(
                f"teacher.path: {self.path!r} has no {_CONFIG}; give the folder that save_pretrained has written."
            )
        if (self.folder / _ADAPTER).exists() or "transformers_weights" in config:
            raise TeacherError(
                f"teacher.path: the weights of {self.path!r} are an adapter's, or are said to be elsewhere, but must "
                "be a whole model's; merge them and write the model with save_pretrained."
            )
        prepared = [self.folder / name for name in (_PREPROCESSOR, _PROCESSOR)]
        return [self.folder / _CONFIG, *weights, *(path for path in prepared if path.is_file())]

    def preprocessing(self) -> Preprocessing | None:
        """How its images are preprocessed, from one of three files in transformers' order; None if not stated.

        Models that also read text (CLIP) are saved with all processors in one file, and timm networks keep theirs in
        the model's configuration.

        Raises:
            TeacherError: a file cannot be read.
        """
        nested = (self._json(_PROCESSOR) or {}).get("image_processor")
        if isinstance(nested, dict):
            return Preprocessing(nested, _PROCESSOR)
        if (says := self._json(_PREPROCESSOR)) is not None:
            return Preprocessing(says, _PREPROCESSOR)
        of_timm = (self._json(_CONFIG) or {}).get("pretrained_cfg")
        return Preprocessing(_as_transformers(of_timm), _CONFIG) if isinstance(of_timm, dict) else None

    def _weights(self) -> list[Path]:
        if (self.folder / _WEIGHTS).is_file():
            return [self.folder / _WEIGHTS]
        if (index := self._json(_INDEX)) is None:
            pickles = sorted(path.name for path in self.folder.glob("*.bin"))
            is_pickle = f", but {pickles[0]}, a pickle, which could run code" if pickles else ""
            raise TeacherError(
                f"teacher.path: {self.path!r} has no {_WEIGHTS}{is_pickle}; write it with save_pretrained of "
                "transformers 5, which saves safetensors."
            )
        named = index.get("weight_map")
        parts = sorted({str(name) for name in named.values()}) if isinstance(named, dict) else []
        wrong = [name for name in parts if not name.endswith(".safetensors") or not (self.folder / name).is_file()]
        if wrong or not parts:
            what = f"{wrong[0]!r}, which is no safetensors file that is there" if wrong else "no file of weights"
            raise TeacherError(f"teacher.path: {_INDEX} in {self.path!r} names {what}; copy the whole folder.")
        return [self.folder / _INDEX, *(self.folder / name for name in parts)]

    def _json(self, name: str) -> dict[str, Any] | None:
        try:
            read = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise TeacherError(
                f"teacher.path: {name} in {self.path!r} cannot be read ({one_line(error)}); write it again with "
                "save_pretrained."
            ) from error
        if not isinstance(read, dict):
            raise TeacherError(f"teacher.path: {name} in {self.path!r} must hold an object, but holds {read!r:.40}.")
        return read


@dataclass(frozen=True)
class Preprocessing:
    """A folder's settings for images."""

    says: dict[str, Any]
    file: str
    """The file they are from."""

    def normalisation(self, channels: int) -> tuple[list[float], list[float]]:
        """Mean and deviation of each of the model's channels, in stored units (0 to 255).

        Raises:
            TeacherError: mean or deviation is missing or unusable, or images are shifted or normalised twice.
        """
        factor = self.says.get("rescale_factor", 1 / 255) if self.says.get("do_rescale", True) else 1.0
        mean: Any = [0.0] * channels
        std: Any = [1.0] * channels
        if self.says.get("do_normalize", not self._is_of_mobilevit):
            mean, std = self.says.get("image_mean"), self.says.get("image_std")
        is_more = self.says.get("rescale_offset") or self.says.get("include_top")
        if is_more or not (_numbers(mean, channels) and _numbers(std, channels) and _numbers([factor], 1)):
            what = (
                "shifts or normalises images twice"
                if is_more
                else f"has image_mean = {mean!s:.80} and image_std = {std!s:.80}"
            )
            raise TeacherError(
                f"teacher.path: {self.file} {what}, but must have {channels} number{'s' * (channels > 1)} of each; "
                "write teacher.huggingface.mean and std, of pixels divided by 255."
            )
        if min(*std, factor) <= 0:
            raise TeacherError(
                f"teacher.path: image_std and rescale_factor in {self.file} must be greater than 0, but are {std} "
                f"and {factor}; write teacher.huggingface.mean and std, of pixels divided by 255."
            )
        return [value / factor for value in mean], [value / factor for value in std]

    @property
    def channels(self) -> int | None:
        """Channels of the images that the model reads, from the length of `image_mean`; None if not given."""
        mean = self.says.get("image_mean")
        return len(mean) if isinstance(mean, list) else None

    @property
    def is_flipped(self) -> bool:
        """Whether the model reads channels in the order blue, green, red."""
        return bool(self.says.get("do_flip_channel_order", False))

    @property
    def _is_of_mobilevit(self) -> bool:
        """Whether it is MobileViT's, the only one with a flip; it ignores the mean that it is saved with."""
        return "do_flip_channel_order" in self.says

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the images that the model sees; None if not stated."""
        size = None
        if self.says.get("do_resize", True):
            size = _size(self.says.get("size"))
        if self.says.get("do_center_crop", False):
            size = _size(self.says.get("crop_size")) or size
        return size

    @property
    def mode(self) -> str:
        """The resizing mode, as named by `torch.nn.functional.interpolate`."""
        return "bicubic" if self.says.get("resample") == _BICUBIC else "bilinear"


def _as_transformers(of_timm: dict[str, Any]) -> dict[str, Any]:
    """The image settings of a timm configuration under the names that transformers uses."""
    shape = of_timm.get("input_size")
    return {
        "image_mean": of_timm.get("mean"),
        "image_std": of_timm.get("std"),
        "size": shape[1:] if isinstance(shape, list) else None,
        "resample": _BILINEAR if of_timm.get("interpolation") == "bilinear" else _BICUBIC,
    }


def _fetched(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=_FETCHED))
    except Exception as error:  # from the network, the Hub, or the name
        raise TeacherError(
            f"teacher.path: there is no folder {name!r}, and the Hub gives no model of that name ({one_line(error)}); "
            "check the path, or the name and the connection."
        ) from error


def _numbers(values: Any, count: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == count
        and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        and all(abs(value) < _BEYOND_ANY for value in values)  # false for NaN, and for integers beyond any float
    )


def _size(said: Any) -> tuple[int, int] | None:
    """Height and width, given as 224, as [224, 224], or as an object; a shortest edge means a square."""
    if isinstance(said, dict):
        edge = said.get("shortest_edge")
        said = [said.get("height", edge), said.get("width", edge)]
    if isinstance(said, int):
        said = [said, said]
    if isinstance(said, list | tuple) and len(said) == 2 and all(isinstance(side, int) and side > 0 for side in said):
        return said[0], said[1]
    return None


def size_in(config: Any) -> tuple[int, int] | None:
    """Height and width of the images that a transformers model reads, if its configuration states them."""
    return _size(getattr(_vision_part(config), "image_size", None))


def channels_in(config: Any) -> int | None:
    """Channels of the images that a transformers model reads, if its configuration states them."""
    channels = getattr(_vision_part(config), "num_channels", None)
    return channels if isinstance(channels, int) else None


def _vision_part(config: Any) -> Any:
    """The configuration of a model's image part; a sub-configuration if it also reads text (CLIP)."""
    return getattr(config, "vision_config", None) or config
