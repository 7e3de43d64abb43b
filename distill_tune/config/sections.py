"""The sections of a run's configuration, one frozen pydantic model each; a field's rule is its error.

A search space has the same sections, with ranges in place of some values (`space.py`). Sections that choose a named
thing (a data source, a teacher, a student family, a loss, an optimizer) carry one further table a name, checked by that
thing's own class: `[student.convnet]` holds the fields of `students/convnet.py`.
"""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from distill_tune.errors import ConfigError
from distill_tune.registry import (
    AUGMENTATIONS,
    DATA_SOURCES,
    LOSSES,
    OPTIMIZERS,
    STUDENTS,
    TEACHERS,
    Options,
    Registry,
    did_you_mean,
)

Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]


class Choosing(Options):
    """A section in which one field names a registry entry, and whose tables are options of entries."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)
    chooses: ClassVar[dict[str, Registry[Any]]]

    @model_validator(mode="after")
    def _check_names_and_tables(self) -> "Choosing":
        for field, registry in self.chooses.items():
            if (name := getattr(self, field)) is not None:
                registry.get(name)
        for name, table in (self.model_extra or {}).items():
            _check_table(self, name, table)
        return self

    def chosen(self, field: str) -> Any:
        """The registry entry that `field` names, built with the options of its table."""
        name = getattr(self, field)
        return self.chooses[field].get(name)(**(self.model_extra or {}).get(name, {}))


def _check_table(section: Choosing, name: str, table: Any) -> None:
    registries = [registry for registry in section.chooses.values() if name in registry]
    if not registries:
        fields = list(type(section).model_fields)
        names = [n for registry in section.chooses.values() for n in registry.names]
        raise UnknownKey(name, [*fields, *names])
    if not isinstance(table, dict):
        raise ConfigError(f"{name}: must be a table of options, but got {table!r}.")
    entry = registries[0].get(name)
    try:
        entry(**table)
    except ValidationError as error:
        raise InTable(name, entry, error) from error


class UnknownKey(ConfigError):
    """A key that a section does not have."""

    def __init__(self, key: str, known: list[str]):
        super().__init__(f"{key}: unknown key.{did_you_mean(key, known)}")


class InTable(ConfigError):
    """The options of a registry entry break a rule; `error` says which."""

    def __init__(self, table: str, entry: type[Options], error: ValidationError):
        super().__init__(table)
        self.table, self.known, self.error = table, list(entry.model_fields), error


class DataConfig(Choosing):
    """What the student learns from, and how it is split."""

    chooses: ClassVar[dict[str, Registry[Any]]] = {"source": DATA_SOURCES}
    source: str
    path: str | None = None
    """Where the data is; sources that know a place of their own need none."""
    validation: Fraction = 0.2
    """Share of the samples that are not test; trials are compared on it."""
    test: Fraction | None = None
    """Share of all samples; None takes the source's own test split, or 0.2 where it has none."""
    student_samples: Annotated[float, Field(gt=0)] | None = None
    """What the student may see labelled: a count (an integer) or a share (below 1) of the training split."""
    passes: Positive = 1
    """Passes over the training samples in an epoch, each with a view of its own; raise it where samples are few."""
    rest: Literal["hidden", "unlabelled"] = "hidden"
    """Whether the student sees the other training samples, without labels, through the teacher."""
    seed: int = 0

    @model_validator(mode="after")
    def _count_is_whole(self) -> "DataConfig":
        if self.student_samples is not None and self.student_samples >= 1 and self.student_samples % 1:
            raise ConfigError(f"student_samples: a count must be an integer, but got {self.student_samples}.")
        return self


class TeacherConfig(Choosing):
    """Where the teacher's outputs come from."""

    chooses: ClassVar[dict[str, Registry[Any]]] = {"source": TEACHERS, "family": STUDENTS}
    source: str = "train"
    path: str | None = None
    family: str | None = None
    """The family of a teacher that is trained here; one of the student families, with a table of its own."""
    mode: Literal["cached", "live"] = "cached"
    views: Positive | None = None
    """Augmented views of each sample that the teacher labels; None: one without augmentation, else up to 8."""
    trust: bool = False
    """Allow code of the teacher's files to run."""


class StudentConfig(Choosing):
    """What the student is made of."""

    chooses: ClassVar[dict[str, Registry[Any]]] = {"family": STUDENTS}
    family: str
    init: Literal["default"] = "default"


class LossConfig(Choosing):
    """How the student is told what to do; see `distillation/losses/`."""

    chooses: ClassVar[dict[str, Registry[Any]]] = {"kind": LOSSES}
    kind: str = "soft_targets"
    temperature: Annotated[float, Field(gt=0)] = 4.0
    """Divides both sets of logits before the softmax; 1 leaves them unchanged."""
    soft_weight: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Weight of the teacher's term; the labels' term has the rest."""


class OptimConfig(Choosing):
    """How the student's weights are moved."""

    chooses: ClassVar[dict[str, Registry[Any]]] = {"kind": OPTIMIZERS}
    kind: str = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    batch_size: Positive = 128
    """Samples a step, over all workers of the trial together."""
    schedule: Literal["constant", "cosine", "one_cycle", "step"] = "cosine"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    gradient_clip: Annotated[float, Field(gt=0)] | None = None
    """Largest norm of the gradient over all weights; None does not clip."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the forward pass; auto is bfloat16 on a GPU that has it, else float32."""


class AugmentationConfig(Options):
    """One key a transform, each with its amount; what is absent or 0 does nothing."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    @model_validator(mode="after")
    def _check_transforms(self) -> "AugmentationConfig":
        for name, amount in self.amounts.items():
            if name not in AUGMENTATIONS:
                raise UnknownKey(name, AUGMENTATIONS.names)
            entry = AUGMENTATIONS.get(name)
            try:
                entry(amount=amount)
            except ValidationError as error:
                raise InTable(name, entry, error) from error
        return self

    @property
    def amounts(self) -> dict[str, Any]:
        """Transform name to amount, as configured."""
        return dict(self.model_extra or {})


class LimitsConfig(Options):
    """What a student may not exceed; checked before it is trained."""

    max_parameters: Positive | None = None
    max_multiply_adds: Positive | None = None
    max_latency_ms: Annotated[float, Field(gt=0)] | None = None
    """Median time of one sample on one thread of this machine."""


def _is_duration(text: str) -> str:
    parse_duration_s(text)
    return text


def parse_duration_s(text: str) -> float:
    """Seconds of `"90s"`, `"10m"`, `"1.5h"` or `"2d"`.

    Raises:
        ConfigError: the text is no positive duration.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip())
    if match is None or float(match[1]) <= 0:
        raise ConfigError(
            f"a duration is a positive number and a unit, such as '90s', '10m', '1.5h' or '2d', but got {text!r}."
        )
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


class SearchConfig(Options):
    """How long and how to search."""

    trials: Positive = 64
    time: Annotated[str, AfterValidator(_is_duration)] | None = None
    """For search and confirmation together, without preparation; such as '10m'."""
    min_epochs: Positive = 1
    """No trial is stopped before; the lowest rung."""
    max_epochs: Positive = 27
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    """Of the trials that reach a rung, one in so many goes on."""
    sampler: Literal["tpe", "random"] = "tpe"
    scheduler: Literal["asha", "none"] = "asha"
    objectives: Annotated[list[Literal["val/accuracy", "val/loss"]], Field(min_length=1, max_length=1)] = [
        "val/accuracy"
    ]
    seed: int = 0

    @model_validator(mode="after")
    def _floor_below_ceiling(self) -> "SearchConfig":
        if self.min_epochs > self.max_epochs:
            raise ConfigError(
                f"min_epochs: min_epochs <= max_epochs must hold, but got {self.min_epochs} > {self.max_epochs}."
            )
        return self


class ResourcesConfig(Options):
    """What a trial gets and how many run at a time."""

    workers_per_trial: Positive = 1
    concurrent_trials: Positive | None = None
    """None: as many as the cluster has room for."""
    cpus_per_worker: Positive = 1
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0.0


class ConfirmConfig(Options):
    """How the best trials are trained again before one is named the winner."""

    top: Positive = 3
    seeds: Annotated[int, Field(ge=2)] = 5
    """Fresh seeds a configuration; two are the least that an interval can be computed from."""


class Config(Options):
    """A whole run; `[search]`, `[resources]` and `[confirm]` say how a space around it is searched."""

    data: DataConfig
    teacher: TeacherConfig = TeacherConfig(family="mlp")
    student: StudentConfig
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    limits: LimitsConfig = LimitsConfig()
    search: SearchConfig = SearchConfig()
    resources: ResourcesConfig = ResourcesConfig()
    confirm: ConfirmConfig = ConfirmConfig()
