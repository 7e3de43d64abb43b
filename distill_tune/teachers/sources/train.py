"""A teacher that is trained here, on the labels, to the end; kept, and found again while nothing of it has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from distill_tune.registry import STUDENTS, TEACHERS
from distill_tune.teachers._base import LoadedTeacher, Pupils, Teacher, Workshop

if TYPE_CHECKING:
    from distill_tune.config.sections import TeacherConfig

_VERSION = 1
"""Raised when the recipe changes what comes out of it."""


@TEACHERS.register
class Train(Teacher):
    """`[teacher] family = "resnet"`, that family's table, and `[teacher.train]` for the recipe."""

    needs: ClassVar[tuple[str, ...]] = ("family",)
    epochs: int = Field(20, ge=1)
    optimizer: str = "adamw"
    learning_rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(5e-2, ge=0)
    batch_size: int = Field(128, ge=1)
    schedule: Literal["constant", "cosine", "one_cycle", "step"] = "one_cycle"
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Kept at 0: a teacher trained on smoothed labels has less to tell (Mueller et al. 2019, arXiv 1906.02629)."""
    augmentation: dict[str, float | int] = {}
    passes: int = Field(1, ge=1)
    seed: int = Field(0, ge=0, lt=2**32)

    def identity(self, config: TeacherConfig, pupils: Pupils) -> str:
        """The recipe, the family and the data."""
        return f"{_VERSION} {self._recipe(config)} {pupils.data_fingerprint}"

    def load(self, config: TeacherConfig, pupils: Pupils, workshop: Workshop) -> LoadedTeacher:
        """Its kept weights, or a training from the start."""
        from safetensors.torch import load_file, save_file

        from distill_tune.students import build_student

        recipe = self._recipe(config)
        kept = workshop.folder / "teacher.safetensors"
        if kept.exists():
            family = STUDENTS.get(recipe["student"]["family"])(**recipe["student"].get(recipe["student"]["family"], {}))
            module = build_student(family, pupils.input_shape, len(pupils.classes), pupils.mean, pupils.std)
            module.load_state_dict(load_file(kept))
        else:
            module = workshop.fit(recipe)
            workshop.folder.mkdir(parents=True, exist_ok=True)
            temporary = kept.with_suffix(".part")
            save_file(module.state_dict(), temporary)
            temporary.replace(kept)
        module.eval().requires_grad_(False)
        return LoadedTeacher(parameters=sum(p.numel() for p in module.parameters()), module=module)

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
            },
            "augmentation": self.augmentation,
            "search": {"max_epochs": self.epochs, "seed": self.seed},
            "passes": self.passes,
        }
