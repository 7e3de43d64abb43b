"""Run a teacher over every view that a student may see, and store the features that losses compare."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from distill_tune.atomic import outlives_a_refusal
from distill_tune.config import Config
from distill_tune.data import Dataset
from distill_tune.distillation.cache.features import features_folder, missing_features, write_features
from distill_tune.distillation.cache.folders import number_of_views, outputs_are_whole
from distill_tune.distillation.cache.labelling import Runner
from distill_tune.distillation.cache.labelling_pace import threads_that_label_fastest
from distill_tune.distillation.cache.outputs import write_outputs
from distill_tune.distillation.cache.seen import num_visible
from distill_tune.distillation.devices import device_for, where_there_is_room
from distill_tune.distillation.preparation.teacher_work import TeacherWork
from distill_tune.teachers import LoadedTeacher, Say

_SHORT = "the GPU has no memory left for the teacher (other programs may use it); it labels on the CPU"


def run_teacher(
    folder: Path,
    apart: dict[Path, Config],
    layers: list[str],
    config: Config,
    dataset: Dataset,
    teacher: LoadedTeacher,
    say: Say,
    work: TeacherWork,
) -> None:
    """Compute the teacher's missing logits and features; `apart` maps each folder of outputs to its variant.

    If a GPU is short of memory even for one sample at a time, the CPU goes on with what is still missing.
    """
    unlabelled = {where: variant for where, variant in apart.items() if not outputs_are_whole(where)}
    unseen = [(variant, missing_features(folder, variant, layers)) for variant in apart.values()]
    if not unlabelled and not any(new for _, new in unseen):
        return
    module, inputs = teacher.module, dataset.split("train").inputs

    def run() -> None:
        with threads_that_label_fastest(module, inputs) as sample_s:
            left_s = sample_s * num_visible(dataset) * sum(map(number_of_views, unlabelled.values()))
            with nullcontext() if module is None else work.runner(module, left_s) as runner:
                for where in list(unlabelled):
                    _label(where, unlabelled[where], dataset, teacher, say, runner)
                    del unlabelled[where]
            while unseen:
                variant, new = unseen[0]
                write_features(folder, variant, dataset, teacher, new, say)
                for layer in new:
                    outlives_a_refusal(features_folder(folder, variant, layer))
                del unseen[0]

    where_there_is_room(device_for(config), module, run, lambda: say(_SHORT))


def _label(
    folder: Path, config: Config, dataset: Dataset, teacher: LoadedTeacher, say: Say, runner: Runner | None
) -> None:
    if folder.exists():
        say(f"the cached teacher outputs in {folder.name} do not match their checksums; they are made again")
    write_outputs(folder, config, dataset, teacher, say, runner)
    if teacher.module is not None:  # a table is copied in no time
        outlives_a_refusal(folder)
