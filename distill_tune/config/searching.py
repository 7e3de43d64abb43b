"""The sections about the search around a run: `[limits]`, `[search]`, `[resources]` and `[confirm]`."""

import re
from math import isfinite
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from distill_tune.config.choosing import Choosing
from distill_tune.config.messages import BrokenRule
from distill_tune.config.numbers import Finite, Positive, Seed
from distill_tune.registry import SAMPLERS, SCHEDULERS, Options, Registry

_OF_BYTES = "Write max_parameters, the bytes / 4: weights are float32, of 4 bytes each."


class LimitsConfig(Options):
    """Limits of a student, checked before it is trained."""

    elsewhere: ClassVar[dict[str, str]] = {
        "max_macs": "Write max_multiply_adds.",
        "max_flops": "Write max_multiply_adds, half the number: each of them is two FLOPs.",
        "max_bytes": _OF_BYTES,
        "max_size": _OF_BYTES,
    }
    max_parameters: Positive | None = None
    max_multiply_adds: Positive | None = None
    max_latency_ms: Annotated[float, Field(gt=0)] | None = None
    """Median time for one sample on one thread of this machine."""


Objective = Literal[
    "val/accuracy",
    "val/loss",
    "val/worst_class_accuracy",
    "val/corrupted_accuracy",
    "parameters",
    "multiply_adds",
    "latency_ms",
]
"""What every epoch reports (`val/corrupted_accuracy` only if it is an objective), and what a student costs."""
LATENCY = "latency_ms"
COSTS = ("parameters", "multiply_adds", LATENCY)
"""Objectives known before a student is trained; smaller is better, as for names that end in "loss"."""


def parse_duration_s(text: Any) -> float:
    """Seconds of a duration such as `"90s"`, `"10m"`, `"1.5h"` or `"2d"`.

    Raises:
        ValueError: it is not a positive duration.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip() if isinstance(text, str) else "")
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]] if match else 0.0
    if not (seconds > 0 and isfinite(seconds)):
        raise ValueError("must be a positive number and a unit, such as '90s', '10m', '1.5h' or '2d'")
    return seconds


def _is_duration(text: Any) -> Any:
    parse_duration_s(text)
    return text


def _listed(objectives: Any) -> Any:
    return [objectives] if isinstance(objectives, str) else objectives


class SearchConfig(Choosing):
    """How long and how to search."""

    chooses: ClassVar[dict[str, Registry[Any]]] = {"sampler": SAMPLERS, "scheduler": SCHEDULERS}
    trials: Positive = 64
    time: Annotated[str, BeforeValidator(_is_duration)] | None = None
    """Time for search, confirmation and examination together, without preparation; such as '10m'."""
    epochs: Positive | None = None
    """Epochs of all trials together; None: as many as the trials need."""
    target: Finite | None = None
    """A good enough value of the first objective: the search ends when an epoch of any trial reaches it."""
    patience: Positive | None = None
    """The search ends after this many trials in a row without an improvement."""
    min_epochs: Positive = 1
    """The lowest rung: no trial is stopped before it."""
    max_epochs: Positive = 27
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    """One in this many of the trials that reach a rung continues."""
    sampler: str = "tpe"
    scheduler: str = "promotion"
    objectives: Annotated[list[Objective], BeforeValidator(_listed), Field(min_length=1)] = Field(["val/accuracy"])
    """One, or several to search for a Pareto front; the winner is the best by the first."""
    start_with: Literal["middle"] | list[dict[str, Any]] = "middle"
    """Settings to try first: dotted names to values; what a table leaves out is sampled.

    middle: the middle of every range, once per student family and then once per other name, unless the search learns
    from others (`start_from`). No rung stops the first trial of each family.
    """
    start_from: list[Annotated[str, Field(min_length=1)]] = Field([])
    """Result folders of other searches whose trials the sampler learns from."""
    retries: Annotated[int, Field(ge=0)] = 2
    """How often a trial whose worker died is resumed from its last checkpoint."""
    seed: Seed = 0

    @model_validator(mode="after")
    def _floor_below_ceiling(self) -> Self:
        if self.min_epochs > self.max_epochs:
            rule = f"must be at most search.max_epochs ({self.max_epochs}), but got {self.min_epochs}."
            raise BrokenRule(("min_epochs",), rule)
        return self

    @model_validator(mode="after")
    def _target_can_be_missed_and_reached(self) -> Self:
        if self.target is not None and self.objectives[0].endswith("accuracy") and not 0 < self.target <= 1:
            rule = f"must be above 0 and at most 1, as {self.objectives[0]} is, but got {self.target:g}."
            raise BrokenRule(("target",), rule)
        return self

    @model_validator(mode="after")
    def _objectives_go_together(self) -> Self:
        names = self.objectives
        if double := [name for place, name in enumerate(names) if name in names[:place]]:
            raise BrokenRule(("objectives",), f"must name each objective once, but got {double[0]!r} twice.")
        if names[0] in COSTS:
            rule = (
                f"must begin with a metric of validation, by which the winner is named, but begins with {names[0]!r}; "
            )
            raise BrokenRule(("objectives",), rule + f"write ['val/accuracy', {names[0]!r}].")
        if len(names) > 1:
            self._check_who_can_do_several()
        return self

    def _check_who_can_do_several(self) -> None:
        for field, registry in self.chooses.items():
            name = getattr(self, field)
            if not registry.get(name).several_objectives:
                able = [each for each in registry.names if registry.get(each).several_objectives]
                rule = f"{name!r} knows one objective, but search.objectives has {len(self.objectives)}; use one of "
                raise BrokenRule((field,), f"{rule}{', '.join(able)}.")


def _is_number_of_lanes(value: int | str) -> int | str:
    if value != "auto" and (isinstance(value, str) or not 1 <= value <= 64):
        raise ValueError("must be a number from 1 to 64, or 'auto'")
    return value


class ResourcesConfig(Options):
    """The resources of a trial, and how many trials run at a time."""

    workers_per_trial: Positive = 1
    concurrent_trials: Positive | None = None
    """None: as many as the cluster has room for."""
    cpus_per_worker: Positive = 1
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0.0
    lanes: Annotated[int | Literal["auto"], AfterValidator(_is_number_of_lanes)] = 1
    """Trials that train together in each place; auto: as many as a short timed training finds fastest."""

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """The device that a worker trains on."""
        return "cuda" if self.gpus_per_worker else "cpu"

    @model_validator(mode="after")
    def _lanes_are_of_one_worker(self) -> Self:
        if self.lanes not in (1, "auto") and self.workers_per_trial > 1:
            rule = f"must be 1 where a trial has {self.workers_per_trial} workers, but got {self.lanes}."
            raise BrokenRule(("lanes",), rule, cure="Set resources.workers_per_trial to 1, or leave lanes out.")
        return self

    @model_validator(mode="after")
    def _gpus_are_whole_where_parts_cannot_be_given(self) -> Self:
        """Ray can only give fractions of a single GPU, and NCCL refuses two ranks on one GPU."""
        gpus, workers = self.gpus_per_worker, self.workers_per_trial
        if gpus.is_integer() or (gpus < 1 and workers == 1):
            return self
        where = "above 1" if gpus > 1 else f"where a trial has {workers} workers"
        rule = f"must be whole {where}, but got {gpus:g}."
        raise BrokenRule(("gpus_per_worker",), rule, cure=f"Write {max(1, round(gpus))}.")


LEAST_SEEDS = 2
"""With fewer, no interval can be computed."""


class ConfirmConfig(Options):
    """How the best trials are retrained before one is named the winner."""

    top: Positive = 3
    seeds: Annotated[int, Field(ge=LEAST_SEEDS, le=500)] = 5
    """Fresh seeds per configuration."""
    baseline_search: bool = False
    """Whether to search again, in the same space and budget, with losses that need no teacher, and compare winners."""
