"""The section `[optim]`: how the student's weights are updated, and in which precision and memory format."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from distill_tune.config.choosing import Choosing
from distill_tune.config.messages import unknown_key
from distill_tune.config.numbers import Positive
from distill_tune.registry import OPTIMIZERS, STUDENTS, Options, Registry


class PaceConfig(Options):
    """Precision and memory format for one student family; None: the same as for all."""

    precision: Literal["float32", "bfloat16"] | None = None
    memory_format: Literal["contiguous", "channels_last"] | None = None


class OptimConfig(Choosing):
    """How the student's weights are updated."""

    chooses: ClassVar[dict[str, Registry[Any]]] = {"kind": OPTIMIZERS}
    kind: str = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    batch_size: Positive = 128
    """Samples per batch, over all workers of the trial together."""
    accumulate: Positive = 1
    """Batches per step; their gradients are averaged."""
    schedule: Literal["constant", "cosine", "one_cycle", "step"] = "cosine"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    gradient_clip: Annotated[float, Field(gt=0)] | None = None
    """Largest norm of the gradient over all weights; None does not clip."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the forward pass; auto: measured or, if that is impossible, bfloat16 on a GPU that has it."""
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    """Layout of convolutions' kernels; auto: measured if the precision is, else contiguous."""
    paces: dict[str, PaceConfig] | None = None
    """Student family to its own values of the two above; a search writes it if the fastest differ by family."""

    @field_validator("paces")
    @classmethod
    def _are_of_families(cls, paces: dict[str, PaceConfig] | None) -> dict[str, PaceConfig] | None:
        for family in paces or {}:
            if family not in STUDENTS:
                raise unknown_key(("paces", family), STUDENTS.names)
        return paces
