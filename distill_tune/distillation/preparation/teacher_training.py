"""Train a teacher: the students' training loop, on all labels of the training split, without a teacher."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from torch import nn

from distill_tune.config import Config, tables_of
from distill_tune.config.validate import validate
from distill_tune.data import Dataset
from distill_tune.distillation.cache.folders import outputs_folder
from distill_tune.distillation.cache.outputs import write_outputs
from distill_tune.distillation.cache.progress import EVERY_S, in_minutes
from distill_tune.distillation.devices import device_for
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.distillation.precision import resolved
from distill_tune.distillation.preparation.users_keys import said_of_the_teacher
from distill_tune.distillation.seeds import generators_kept
from distill_tune.distillation.training.loop import distill
from distill_tune.distillation.training.pace import Pace, fastest, laid_out, paces_s, step_s
from distill_tune.distillation.views import check_augmentation
from distill_tune.teachers import LoadedTeacher, Say, Trained
from distill_tune.threads import faster_threads, threads

Recipe = dict[str, Any]
"""How to train a teacher: the sections of its configuration, plus `passes` and `generations`."""
_NUM_LINES = 5
"""About how many progress messages a training prints."""


def train_teacher(recipe: Recipe, config: Config, dataset: Dataset, say: Say) -> Trained:
    """Train a teacher to the end.

    Args:
        recipe: how to train it.
        config: of the run that it is for; the teacher trains on the same data.
        dataset: these data.
        say: reports progress.

    Raises:
        TeacherError: the recipe does not fit the data, or the training diverged.
    """
    device, own = device_for(config), own_config(recipe, config)
    with said_of_the_teacher():
        check_augmentation(own.augmentation, dataset)
        materials = Materials.open(Prepared(dataset.folder, None), own, device, see_all=True)
        pace, num_threads = _fastest(own, materials, say)
        own = own.model_copy(update={"optim": own.optim.model_copy(update=pace._asdict())})
        where = f"in {pace.precision} on {device}"
        epochs = own.search.max_epochs
        say(f"training the teacher ({own.student.family}) for {epochs} epoch{'s' * (epochs > 1)} {where}")
        with threads(num_threads):
            student, accuracy = _train(own, materials, device, say)
            del materials  # each generation opens its own
            accuracies = [accuracy]
            for generation in range(1, recipe["generations"] + 1):
                say(f"generation {generation} of {recipe['generations']}")
                student, accuracy = _born_again(own, generation, student, dataset, device, say)
                accuracies.append(accuracy)
    measured = {} if dataset.has_no_validation else {"validation_accuracies": accuracies}
    return Trained(student.cpu(), {**pace._asdict(), "device": device, **measured})


def own_config(recipe: Recipe, config: Config) -> Config:
    """The teacher's own configuration, as if it were a student of the run `config`.

    Raises:
        TeacherError: the recipe breaks a rule.
    """
    data = {**tables_of(config)["data"], "passes": recipe["passes"]}
    sections = {name: table for name, table in recipe.items() if name not in ("passes", "generations")}
    with said_of_the_teacher():
        return validate({"data": data, **sections})


def _train(config: Config, materials: Materials, device: str, say: Say) -> tuple[nn.Module, float]:
    """The fully trained network and its validation accuracy; the rest of the training's state is released."""
    epochs, lines = config.search.max_epochs, _NUM_LINES if materials.dataset.fold is None else 1
    seen = " (on samples of its training)" if materials.dataset.has_no_validation else ""
    began_s = monotonic()
    for epoch in distill(config, materials, config.search.seed, device):
        number = int(epoch.report["epoch"])
        left_s = (monotonic() - began_s) / number * (epochs - number)
        more = f"; {in_minutes(left_s)} more" if left_s > EVERY_S else ""
        if number % max(1, epochs // lines) == 0 or (number == 1 and more):
            say(f"teacher epoch {number} of {epochs}: val/accuracy {epoch.report['val/accuracy']:.4f}{seen}{more}")
    return epoch.student, epoch.report["val/accuracy"]


def _born_again(
    own: Config, generation: int, before: nn.Module, dataset: Dataset, device: str, say: Say
) -> tuple[nn.Module, float]:
    """Train the next generation with its own seed: half on the labels, half on the previous one, which runs live."""
    tables = tables_of(own)
    tables["loss"] = {"kind": "soft_targets", "temperature": 1.0, "soft_weight": 0.5}
    # The live teacher is the network in `Prepared`; source and family are placeholders that a configuration needs.
    tables["teacher"] = {"source": "train", "family": "mlp", "mode": "live"}
    tables["search"]["seed"] = (own.search.seed + generation) % 2**32
    config, before = validate(tables), before.eval().requires_grad_(False)
    with tempfile.TemporaryDirectory() as folder:
        write_outputs(outputs_folder(Path(folder), config), config, dataset, LoadedTeacher(0, before), say)
        prepared = Prepared(dataset.folder, Path(folder), before)
        return _train(config, Materials.open(prepared, config, device, see_all=True), device, say)


def _fastest(config: Config, materials: Materials, say: Say) -> tuple[Pace, int]:
    """The configured pace, or the one that trains this teacher fastest, and on a CPU the fastest number of threads."""
    batch, asked = slice(0, config.optim.batch_size), config.optim.precision
    labels = materials.labels[batch]
    device = labels.device
    inputs = materials.train_inputs[batch].to(device)

    def make() -> nn.Module:
        return materials.build_student(config).to(device)

    chosen = ["precision"] * (asked == "auto") + ["threads"] * (device.type == "cpu")
    if chosen:
        say(f"timing a step of the teacher's training, to choose its {' and '.join(chosen)}")
    with generators_kept(device):
        pace = Pace(resolved(asked, device), "contiguous")
        if asked == "auto":
            pace = fastest(paces_s(make, inputs, labels))
        if device.type != "cpu":
            return pace, torch.get_num_threads()
        network = laid_out(make(), pace.memory_format)
        return pace, faster_threads(lambda: step_s(network, inputs, labels, pace.precision))
