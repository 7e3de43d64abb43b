"""A teacher from Hugging Face's transformers (https://github.com/huggingface/transformers): a classifier's folder.

Weights are read only as safetensors, and no code from the folder runs: `trust_remote_code` is off, whatever
`teacher.trust` says. The model must classify images.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from distill_tune.config.messages import listed, named_apart
from distill_tune.errors import TeacherError, one_line
from distill_tune.optional import imported
from distill_tune.registry import TEACHERS
from distill_tune.teachers import DataSpec, LoadedTeacher, TeacherContext
from distill_tune.teachers._network import NetworkTeacher
from distill_tune.teachers._pretrained_folder import PretrainedFolder, channels_in, size_in

if TYPE_CHECKING:
    from distill_tune.config.sections import TeacherConfig


_FORMAT = 2
"""Increased when the same folder comes to give different logits."""


@TEACHERS.register
class HuggingFace(NetworkTeacher):
    """`[teacher] source = "huggingface", path = "folder"`, or a name on the Hub, `path = "owner/name"`."""

    needs: ClassVar[tuple[str, ...]] = ("path",)
    ignores: ClassVar[tuple[str, ...]] = ("trust",)

    def identity(self, config: TeacherConfig, data_spec: DataSpec) -> str:
        """The checksum of configuration, weights and preprocessing, the options, and transformers' version."""
        from distill_tune.checksum import sha256_of

        version = _transformers().__version__
        return f"{_FORMAT} {sha256_of(*_folder(config).files())} {self.options_as_text} {version}"

    def load(self, config: TeacherConfig, data_spec: DataSpec, context: TeacherContext) -> LoadedTeacher:
        """Open the model, put its resize and normalisation in front, reorder its labels, and try two samples."""
        if len(data_spec.input_shape) != 3:
            raise TeacherError(
                "teacher.source: Hugging Face's image classifiers read images, but the data are rows of a table."
            )
        transformers, folder = _transformers(), _folder(config)
        folder.files()  # refused before transformers looks for other files
        model = _opened(transformers, folder)
        _check_classes(model, folder, data_spec)
        return self._prepared(model, folder, data_spec, context)

    def _prepared(
        self, model: Any, folder: PretrainedFolder, data_spec: DataSpec, context: TeacherContext
    ) -> LoadedTeacher:
        from distill_tune.teachers._huggingface import ImageClassifier, check_channels

        says = folder.preprocessing()
        channels = channels_in(model.config) or (says and says.channels) or data_spec.input_shape[0]
        check_channels(data_spec.input_shape[0], channels)
        if says is None or self.mean is not None or self.std is not None:
            units = self.normalisation(replace(data_spec, input_shape=(channels, *data_spec.input_shape[1:])))
        else:
            units = says.normalisation(channels)
        size = (says and says.size) or size_in(model.config)
        how = (says.mode, says.is_flipped) if says else ()
        network = ImageClassifier(model.eval(), channels, size, *how)
        labels = _labels(model) if self.classes is None else self.classes
        order = _order(labels, data_spec.classes) if self.classes is None else self.order(data_spec)
        teacher = self.ready(network, data_spec, units, order)
        for line in _told(data_spec, network, order, labels):
            context.say(f"teacher: {line}")
        return teacher


def _folder(config: TeacherConfig) -> PretrainedFolder:
    assert config.path is not None, "this source needs it"
    return PretrainedFolder.at(config.path)


def _opened(transformers: Any, folder: PretrainedFolder) -> Any:
    """The model in float32, with all of its weights."""
    import torch

    try:
        with _quiet(transformers):
            model, report = transformers.AutoModelForImageClassification.from_pretrained(
                str(folder.folder),
                trust_remote_code=False,
                use_safetensors=True,
                local_files_only=True,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,  # they are listed in the report
                output_loading_info=True,
            )
    except Exception as error:  # from transformers, safetensors, or a file
        raise TeacherError(
            f"teacher.path: transformers {transformers.__version__} makes no image classifier of {folder.path!r} "
            f"({one_line(error)})."
        ) from error
    _check_whole(model, report, folder)
    return model


def _check_whole(model: Any, report: dict[str, Any], folder: PretrainedFolder) -> None:
    """Refuse a folder without all of the weights: transformers would initialise missing ones at random."""
    lacking = sorted({*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])})
    if not lacking:
        return
    body = f"{model.base_model_prefix}."
    if any(name.startswith(body) for name in lacking):
        what = f"the weights of {folder.path!r} do not fit its config.json"
        cure = "write both again with save_pretrained"
    else:
        what = f"{folder.path!r} is a model without a classification head"
        cure = "train one on the data's classes and write the whole classifier with save_pretrained"
    raise TeacherError(f"teacher.path: {what} ({type(model).__name__} lacks {listed(lacking)}); {cure}.")


def _check_classes(model: Any, folder: PretrainedFolder, data_spec: DataSpec) -> None:
    theirs, ours = model.config.num_labels, len(data_spec.classes)
    if theirs != ours:
        raise TeacherError(
            f"teacher.path: {folder.path!r} knows {theirs} classes ({named_apart(_labels(model))}), but the data have "
            f"{ours} ({named_apart(data_spec.classes)}), and they must be the same; train its head on the data's "
            f"classes, with num_labels = {ours}."
        )


def _labels(model: Any) -> list[str]:
    """The model's class names, in the order of its logits."""
    return [str(name) for _, name in sorted(model.config.id2label.items())]


def _order(labels: list[str], classes: tuple[str, ...]) -> list[int]:
    """For each of the data's classes, the index of its logit; the model's own order if the names differ."""
    if sorted(labels) != sorted(classes):
        return list(range(len(classes)))
    return [labels.index(name) for name in classes]


def _told(data_spec: DataSpec, network: Any, order: list[int], labels: list[str]) -> Iterator[str]:
    """Lines about what is done to images and logits."""
    wanted = (network.channels, *(network.size or data_spec.input_shape[1:]))
    if wanted != data_spec.input_shape:
        given, read = ("x".join(map(str, shape)) for shape in (data_spec.input_shape, wanted))
        yield f"images of {given} are turned into the {read} that it reads"
    if network.is_flipped:
        yield "it reads the channels of images from last to first (blue, green, red)"
    if order != sorted(order):
        yield f"its logits are put in the order of the data's classes ({named_apart(data_spec.classes)})"
    elif labels != list(data_spec.classes):
        classes = named_apart(data_spec.classes)
        yield f"its labels ({listed(labels)}) stand for the data's classes ({classes}), in this order"


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Silence transformers' progress bars and reports: what matters in them is raised as an error here."""
    logging = transformers.utils.logging
    verbosity, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bars:
            logging.enable_progress_bar()


def _transformers() -> Any:
    return imported("transformers", "teacher.source: 'huggingface'", TeacherError, oldest="5")
