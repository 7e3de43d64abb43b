"""The sections of a run's configuration, one frozen pydantic model each; a field's rule is its error.

A search space has the same sections, with ranges in place of some values (`space.py`). Sections that choose a named
entry (a data source, a teacher, a student family, a loss, an optimizer) have one more table per name; see
`choosing.py`.
"""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from distill_tune.config.choosing import Choosing
from distill_tune.config.messages import BrokenRule, broken_rule, unknown_key
from distill_tune.config.numbers import CountOrShare, Fraction, Positive, Seed, Temperature
from distill_tune.config.optim import OptimConfig
from distill_tune.config.searching import ConfirmConfig, LimitsConfig, ResourcesConfig, SearchConfig
from distill_tune.errors import ConfigError
from distill_tune.registry import (
    AUGMENTATIONS,
    DATA_SOURCES,
    FORMATS,
    INITIALISATIONS,
    LOSSES,
    STUDENTS,
    TEACHERS,
    Options,
    Registry,
    did_you_mean,
)

SEARCHED = ("student", "loss", "optim", "regularization", "augmentation")
"""The sections that may have ranges; the others are the same for every trial."""
SEARCHED_OF_TEACHERS = (("teacher", "ensemble", "weights"), ("teacher", "ensemble", "use"))
"""Keys elsewhere that may have ranges: how several teachers' outputs are mixed, which needs no new teacher run."""


class DataConfig(Choosing):
    """What the student learns from, and how it is split."""

    chooses: ClassVar[dict[str, Registry[Any]]] = {"source": DATA_SOURCES}
    source: str
    path: Annotated[str, Field(min_length=1)] | None = None
    """Where the data is; sources with a known place need none."""
    validation: Fraction = 0.2
    """Share of the non-test samples that trials are compared on. Not with `folds`."""
    folds: Annotated[int, Field(ge=2)] | None = None
    """Number of folds for cross-validation on the non-test samples; a trial trains one student per fold."""
    test: Fraction | None = None
    """Share of all samples; None: the source's own test split, or 0.2 if it has none."""
    student_samples: CountOrShare | None = None
    """Training samples whose labels the student sees: a count (an integer) or a share (below 1); None: all."""
    passes: Positive = 1
    """Passes over the training samples per epoch, each with a different view; raise it for small data sets."""
    rest: Literal["hidden", "unlabelled"] = "hidden"
    """Whether the student sees the other training samples, without labels, through the teacher."""
    seed: Seed = 0

    @model_validator(mode="after")
    def _one_way_to_validate(self) -> Self:
        if self.folds is not None and "validation" in self.model_fields_set:
            rule = f"cannot stand beside data.folds ({self.folds}), which validate on every sample that is not test."
            raise BrokenRule(("validation",), rule, cure="Leave one of them out.")
        return self


class TeacherConfig(Choosing):
    """Where the teacher's outputs come from."""

    chooses: ClassVar[dict[str, Registry[Any]]] = {"source": TEACHERS, "family": STUDENTS}
    source: str = "train"
    path: Annotated[str, Field(min_length=1)] | None = None
    family: str | None = None
    """The family of a teacher that is trained here; one of the student families, with its own table."""
    mode: Literal["cached", "live"] = "cached"
    views: Positive | None = None
    """Augmented views that the teacher labels per sample; None: one without augmentation, else up to 8."""
    keep: Positive | Literal["all"] | None = None
    """How many of a view's largest logits are cached; None: all, or 100 above 300 classes (`cache/sparse.py`)."""
    trust: bool = False
    """Whether code in the teacher's files may run."""


class StudentConfig(Choosing):
    """The student's architecture, and how its weights are initialised."""

    chooses: ClassVar[dict[str, Registry[Any]]] = {"family": STUDENTS, "init": INITIALISATIONS}
    family: str
    init: str = "default"


class LossConfig(Choosing):
    """What the student is trained to minimise; see `distillation/losses/`."""

    chooses: ClassVar[dict[str, Registry[Any]]] = {"kind": LOSSES}
    kind: str = "soft_targets"
    temperature: Temperature = 4.0
    """Divides both sets of logits before the softmax; 1 leaves them unchanged."""
    temperature_end: Temperature | None = None
    """The temperature at the last step, reached from `temperature`; None: constant."""
    soft_weight: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Weight of the teacher's term; the labels' term has the rest."""
    soft_weight_end: Annotated[float, Field(ge=0, le=1)] | None = None
    """The weight at the last step, reached from `soft_weight`; None: constant."""
    schedule: Literal["linear", "cosine"] = "linear"
    """How the two move to their ends over the whole run."""
    also: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Additional teacher terms: the name of a loss to its weight in the total; 0: absent."""

    @property
    def added(self) -> dict[str, float]:
        """`also` without terms of weight 0 and without the kind itself."""
        return {name: weight for name, weight in self.also.items() if weight and name != self.kind}

    def named(self, name: str) -> Any:
        """The loss of that name with the options of its table."""
        return LOSSES.get(name)(**self.tables.get(name, {}))

    @classmethod
    def without_unchosen(cls, table: dict[str, Any]) -> dict[str, Any]:
        """The section without unchosen tables; those of added terms are kept, and the kind is not added again."""
        kind = table.get("kind", cls.model_fields["kind"].default)
        also = {name: weight for name, weight in table.get("also", {}).items() if name != kind}
        kept = super().without_unchosen(table)
        kept |= {name: table[name] for name, weight in also.items() if weight and name in table}
        return {key: value for key, value in kept.items() if key != "also"} | ({"also": also} if also else {})

    @model_validator(mode="after")
    def _adds_terms_of_a_teacher(self) -> Self:
        for name in self.also:
            if name not in LOSSES:
                cure = did_you_mean(name, [each for each in LOSSES.names if LOSSES.get(each).uses_teacher]).strip()
                raise BrokenRule(("also", name), f"no loss is named {name!r}.", cure=cure)
            try:
                uses_teacher = LOSSES.get(name).uses_teacher
            except ConfigError as error:
                raise BrokenRule(("also", name), str(error)) from error
            if not uses_teacher:
                raise BrokenRule(("also", name), "has no term to add: it is of labels alone.")
        return self


class RegularizationConfig(Options):
    """Constraints on the student's weights; see `distillation/training/norm_limit.py`."""

    norm_ratio: Annotated[float, Field(gt=0)] | None = None
    """Limit on the norm of all of the student's weights together, as a multiple of the teacher's; None: no limit."""


class AugmentationConfig(Options):
    """One key per transform, with its amount; a transform that is absent or 0 does nothing."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="after")
    def _check_transforms(self) -> Self:
        for name, amount in self.amounts.items():
            _check_transform(name, amount)
        return self

    @property
    def amounts(self) -> dict[str, Any]:
        """Transform name to amount, as configured."""
        return dict(self.model_extra or {})


def _check_transform(name: str, amount: Any) -> None:
    if name not in AUGMENTATIONS:
        raise unknown_key((name,), AUGMENTATIONS.names)
    try:
        AUGMENTATIONS.get(name)(amount=amount)
    except ValidationError as error:
        broken = broken_rule(error, {"amount": amount}, AUGMENTATIONS.get(name))
        raise BrokenRule((name, *broken.path[1:]), broken.rule, broken.kind, broken.value, broken.cure) from error
    except ConfigError as error:
        raise BrokenRule((name,), str(error)) from error


class ExportConfig(Options):
    """The program formats in which a student is written, besides its weights; see `export/formats/`."""

    formats: list[str] = Field(default_factory=lambda: list(FORMATS.names))
    """Names of formats; with none, the student can only be used with this package."""

    @field_validator("formats")
    @classmethod
    def _are_known_and_named_once(cls, formats: list[str]) -> list[str]:
        for place, name in enumerate(formats):
            if name not in FORMATS.names:
                cure = did_you_mean(name, FORMATS.names).strip()
                raise BrokenRule(("formats", place), f"no format is named {name!r}.", cure=cure)
            if name in formats[:place]:
                raise BrokenRule(("formats",), f"must name each format once, but got {name!r} twice.")
        return formats


class Config(Options):
    """A whole run; `[search]`, `[resources]` and `[confirm]` say how a space around it is searched.

    A default that names registry entries is made when a run needs it, not when this module is imported: an entry's
    module may import `config` in turn.
    """

    data: DataConfig
    teacher: TeacherConfig = Field(default_factory=lambda: TeacherConfig(family="mlp"))
    student: StudentConfig
    loss: LossConfig = Field(default_factory=LossConfig)
    optim: OptimConfig = Field(default_factory=OptimConfig)
    regularization: RegularizationConfig = RegularizationConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    limits: LimitsConfig = LimitsConfig()
    search: SearchConfig = Field(default_factory=SearchConfig)
    resources: ResourcesConfig = ResourcesConfig()
    confirm: ConfirmConfig = ConfirmConfig()
    export: ExportConfig = Field(default_factory=ExportConfig)

    @model_validator(mode="after")
    def _lanes_have_no_folds(self) -> Self:
        if self.data.folds is not None and self.resources.lanes not in (1, "auto"):
            rule = f"must be 1 beside data.folds ({self.data.folds}), but got {self.resources.lanes}."
            raise BrokenRule(("resources", "lanes"), rule, cure="Leave one of them out.")
        return self

    @model_validator(mode="after")
    def _teacher_fits_folds(self) -> Self:
        source = self.teacher.chosen("source")
        for section in [self.teacher, *source.member_configs().values()] if self.data.folds is not None else []:
            if not section.chosen("source").fits_folds:
                rule = (
                    f"cannot stand beside teacher.source = {section.source!r}, a student that has learned every fold."
                )
                raise BrokenRule(("data", "folds"), rule, cure="Leave it out, or name another teacher.")
        return self

    @model_validator(mode="after")
    def _batches_can_be_dealt_out(self) -> Self:
        batch, workers = self.optim.batch_size, self.resources.workers_per_trial
        if batch % workers:
            below = batch - batch % workers
            near = f"{below} or {below + workers}" if below else str(workers)
            rule = f"must be a multiple of resources.workers_per_trial ({workers}), but got {batch}."
            raise BrokenRule(("optim", "batch_size"), rule, cure=f"Each worker gets an equal part; write {near}.")
        return self


SECTIONS: dict[str, type[Options]] = {name: field.annotation for name, field in Config.model_fields.items()}  # type: ignore[misc]
"""Name of a section to its model."""
