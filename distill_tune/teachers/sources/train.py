"""A teacher that is trained here to completion on the labels, and reused as long as nothing about it has changed.

It may be born again (`generations`): Furlanello et al. 2018, "Born-Again Neural Networks"
(https://arxiv.org/abs/1805.04770), train a network of the same kind on its predecessor's outputs and the labels.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from distill_tune.atomic import alone_in, outlives_a_refusal
from distill_tune.config.messages import BrokenRule
from distill_tune.config.numbers import Positive, Seed
from distill_tune.registry import OPTIMIZERS, TEACHERS, load_dotted
from distill_tune.students import Student, student_on
from distill_tune.teachers import DataSpec, LoadedTeacher, Teacher, TeacherContext, Trained
from distill_tune.users_code import source_of
from distill_tune.weights import write_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

    from distill_tune.config.sections import TeacherConfig

KEPT = "teacher.safetensors"
"""File of the trained teacher in its folder."""
_VERSION = 2
"""Increased when the same recipe comes to give a different teacher."""
_KEY, _DIGEST = "training", "sha256"
"""The key in the kept file's metadata (only one, since several have no order), and the digest's key in its value."""


def _known_optimizer(name: str) -> str:
    if name not in OPTIMIZERS:
        raise ValueError(f"must be one of {', '.join(OPTIMIZERS.names)} or a dotted path")
    return name


@TEACHERS.register
class Train(Teacher):
    """`[teacher] family = "resnet"`, that family's table, and `[teacher.train]` for the recipe."""

    needs: ClassVar[tuple[str, ...]] = ("family",)
    ignores: ClassVar[tuple[str, ...]] = ("path", "trust")
    trains_here: ClassVar[bool] = True
    epochs: Positive = 20
    optimizer: Annotated[str, AfterValidator(_known_optimizer)] = "adamw"
    learning_rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(5e-2, ge=0)
    batch_size: Positive = 128
    schedule: Literal["constant", "cosine", "one_cycle", "step"] = "one_cycle"
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """0 by default: a teacher trained on smoothed labels teaches less (Mueller et al. 2019, arXiv 1906.02629)."""
    augmentation: dict[str, float | int] = Field(default_factory=dict)
    passes: Positive = 1
    generations: int = Field(0, ge=0)
    """How often a new network of the same family is trained, half on the labels and half on its predecessor (T = 1),
    which it replaces."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """As `optim.precision`; the choice that auto measures is recorded with the kept teacher."""
    seed: Seed = 0

    @model_validator(mode="after")
    def _check_augmentation(self) -> Self:
        from distill_tune.config.sections import AugmentationConfig  # it depends on teachers in turn

        try:
            AugmentationConfig(**self.augmentation)
        except BrokenRule as error:
            raise error.within("augmentation") from error
        return self

    def identity(self, config: TeacherConfig, data_spec: DataSpec) -> str:
        """The recipe and the family, with the source code of user-defined parts."""
        names = (config.family, self.optimizer, *self.augmentation)
        own = [source_of(load_dotted(name)) for name in names if name and ":" in name]
        return f"{_VERSION} {self._recipe(config)} {own}"

    def load(self, config: TeacherConfig, data_spec: DataSpec, context: TeacherContext) -> LoadedTeacher:
        """The kept weights, or a new training."""
        recipe = self._recipe(config)
        kept = context.folder / KEPT
        found = _read_kept(kept) or self._trained_once(recipe, context, kept)
        module = _build(config, data_spec)
        module.load_state_dict(found.weights)
        module.eval().requires_grad_(False)
        parameters = sum(p.numel() for p in module.parameters())
        return LoadedTeacher(parameters=parameters, module=module, record={"training": found.record})

    def _trained_once(self, recipe: dict[str, Any], context: TeacherContext, kept: Path) -> _Kept:
        """Train in one program only; others that need the same teacher wait for it and share the result."""
        waiting = "another program is training this teacher; waiting for it"
        with alone_in(context.folder, lambda: context.say(waiting)):
            return _read_kept(kept) or self._trained(recipe, context, kept)

    def _trained(self, recipe: dict[str, Any], context: TeacherContext, kept: Path) -> _Kept:
        if kept.exists():
            context.say("the kept teacher does not match its checksum")
        trained = context.fit(recipe)  # may be refused, which leaves everything as it is
        if (others := _read_kept(kept)) is not None:  # by a faster program, if folders cannot be locked
            return others
        for outputs in (*context.folder.glob("views-*"), *context.folder.glob("features-*")):
            shutil.rmtree(outputs)  # made by weights that no longer exist
        _keep(trained, kept)
        return _Kept(trained.module.state_dict(), trained.record)

    def _recipe(self, config: TeacherConfig) -> dict[str, Any]:
        """The sections of a configuration that trains this teacher."""
        assert config.family is not None, "this source needs it"
        table = (config.model_extra or {}).get(config.family, {})
        return {
            "student": {"family": config.family, config.family: table},
            "loss": {"kind": "labels"},
            "optim": {
                "kind": self.optimizer,
                "learning_rate": self.learning_rate,
                "weight_decay": self.weight_decay,
                "batch_size": self.batch_size,
                "schedule": self.schedule,
                "label_smoothing": self.label_smoothing,
                "precision": self.precision,
            },
            "augmentation": self.augmentation,
            "search": {"max_epochs": self.epochs, "seed": self.seed},
            "passes": self.passes,
            "generations": self.generations,
        }


def _build(config: TeacherConfig, data_spec: DataSpec) -> nn.Module:
    return student_on(Student.of(config), data_spec)


@dataclass(frozen=True)
class _Kept:
    weights: dict[str, Tensor]
    record: dict[str, Any]


def _keep(trained: Trained, path: Path) -> None:
    """Write the weights, their digest and their record atomically; two programs may do so at once."""
    weights = trained.module.state_dict()
    write_weights(path, weights, {_KEY: json.dumps({_DIGEST: _digest(weights), **trained.record})})
    outlives_a_refusal(path)


def _read_kept(path: Path) -> _Kept | None:
    """The kept weights; None if missing or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            record: dict[str, Any] = json.loads((file.metadata() or {})[_KEY])
            return _Kept(weights, record) if record.pop(_DIGEST) == _digest(weights) else None
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def _digest(weights: dict[str, Tensor]) -> str:
    import torch

    whole = hashlib.sha256()
    for name in sorted(weights):
        whole.update(f"{name} {weights[name].dtype} {tuple(weights[name].shape)} ".encode())
        whole.update(weights[name].reshape(-1).view(torch.uint8).numpy().tobytes())  # NumPy has no bfloat16
    return whole.hexdigest()
