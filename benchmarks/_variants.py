"""The variants that `parts.py` compares: configuration tables, and what each variant overrides in them."""

from __future__ import annotations

from typing import Any, NamedTuple

from _distillations import (
    BLOBS,
    FASHION_FEW,
    FEW,
    LETTER,
    LETTER_ALL,
    PATIENT,
    RECIPE,
    SAME_LABELS,
    TEACHER,
    Tables,
    laid_over,
)


class Group(NamedTuple):
    """Variants of one distillation."""

    base: Tables
    variants: dict[str, Tables]
    """Name to overrides of `base`; the first variant is the reference for the others."""


def _begun(init: str, **options: Any) -> Tables:
    return {"student": {"init": init, **({init: options} if options else {})}}


def _ensemble(average: str, teacher: dict[str, Any]) -> dict[str, Any]:
    """An ensemble of three such teachers with different seeds."""
    members = {f"of-seed-{seed}": {**teacher, "train": {**teacher["train"], "seed": seed}} for seed in range(3)}
    return {"source": "ensemble", "views": 216, "ensemble": {"members": members, "average": average}}


def _patient(**augmentation: float) -> dict[str, Any]:
    """A teacher trained on few rows that sees them as often as its students do."""
    recipe = {**RECIPE, "passes": 16, "batch_size": 64, "augmentation": augmentation}
    return {"source": "train", "family": "mlp", "mlp": {"widths": [256, 256], "dropout": 0.1}, "train": recipe}


def _also(name: str, **options: Any) -> Tables:
    return {"loss": {"also": {name: 1.0}, **({name: options} if options else {})}}


def _of_widths(*widths: int) -> Tables:
    return {"teacher": {"mlp": {"widths": list(widths), "dropout": 0.1}}}


_SIZES = {"512-512-512": Tables()} | {
    "-".join(map(str, widths)): _of_widths(*widths) for widths in ((256, 256), (128, 128), (128, 128, 128), (64, 64))
}


def _loss(kind: str, temperature: float, soft_weight: float) -> Tables:
    return {"loss": {"kind": kind, "temperature": temperature, "soft_weight": soft_weight}}


_AS_USUAL = {"as PyTorch begins": Tables()}
_FIRST_WIDTH: Tables = {"student": {"mlp": {"widths": [100, 20, 20]}}}
GROUPS = {
    "beginnings": Group(
        BLOBS,
        _AS_USUAL
        | {f"gaussian, {std}": _begun("gaussian", std=std) for std in (0.02, 0.1, 0.3)}
        | {"inherit": _begun("inherit")}
        | {f"inherit_progressive, by {by}": _begun("inherit_progressive", free_by=by) for by in (0.25, 0.5, 1.0)},
    ),
    "truncation": Group(
        laid_over(BLOBS, _FIRST_WIDTH), _AS_USUAL | {"truncate, one layer": _begun("truncate", layers=1)}
    ),
    "norms": Group(
        BLOBS,
        {"no limit": {}}
        | {f"norm_ratio {ratio}": {"regularization": {"norm_ratio": ratio}} for ratio in (1, 0.5, 0.3, 0.2, 0.1)},
    ),
    "live": Group(
        {**BLOBS, "augmentation": {"noise": 0.1}},
        {
            "cached, 8 views": {"teacher": {"views": 8}},
            "cached, 27 views": {"teacher": {"views": 27}},
            "live": {"teacher": {"mode": "live"}},
            "live, steps of 4 batches of 16": {
                "teacher": {"mode": "live"},
                "optim": {"batch_size": 16, "accumulate": 4},
            },
        },
    ),
    "teachers": Group(
        LETTER,
        {
            "one": {},
            "born again, once": {"teacher": {"train": {**RECIPE, "generations": 1}}},
            "born again, twice": {"teacher": {"train": {**RECIPE, "generations": 2}}},
            "three, mean logits": {"teacher": _ensemble("logits", TEACHER)},
            "three, mean probabilities": {"teacher": _ensemble("probabilities", TEACHER)},
            "a smaller one, 128-128": _of_widths(128, 128),
        },
    ),
    "sizes": Group(LETTER, _SIZES),
    "sizes, all labels": Group(LETTER_ALL, {"labels alone": {"loss": {"soft_weight": 0.0}}} | _SIZES),
    "losses": Group(
        FEW,
        {f"soft_targets, T {t}, {weight}": _loss("soft_targets", t, weight) for t, weight in ((0.8, 0.95), (1.2, 0.95))}
        | {f"dist, T {t}, {weight}": _loss("dist", t, weight) for t, weight in ((2.2, 0.825), (1.2, 0.95))},
    ),
    "losses, images": Group(
        FASHION_FEW,
        {f"{kind}, T {t}": _loss(kind, t, 0.75) for t in (2.0, 4.0, 1.0) for kind in ("soft_targets", "dist", "dkd")}
        | {kind: _loss(kind, 1.0, 0.75) for kind in ("mlkd", "logit_standardization")}
        | {f"mse_logits, {weight}": _loss("mse_logits", 1.0, weight) for weight in (0.01, 0.1, 0.75)},
    ),
    "same labels": Group(
        SAME_LABELS,
        {
            "labels alone": {"loss": {"soft_weight": 0.0}},
            "labels alone, plain rows": {"loss": {"soft_weight": 0.0}, "augmentation": {"noise": 0.0}},
            "a teacher of one pass an epoch": {},
            "of 16 passes": {"teacher": {**_patient(), "views": 216}},
            "of 16 passes with noise": {"teacher": {**_patient(noise=0.3), "views": 216}},
            "of 16 passes with noise and mixup": {"teacher": {**_patient(noise=0.3, mixup=0.2), "views": 216}},
            "three of 16 passes with noise": {"teacher": _ensemble("logits", _patient(noise=0.3))},
            "of 16 passes with mixup": {"teacher": {**_patient(mixup=0.2), "views": 216}},
            "three of 16 passes": {"teacher": _ensemble("logits", _patient())},
        },
    ),
    "activations": Group(
        laid_over(LETTER_ALL, {"optim": {"batch_size": 64}, "search": {"max_epochs": 27}}),
        {name: {"student": {"mlp": {"widths": [33, 33], "activation": name}}} for name in ("relu", "silu", "gelu")},
    ),
    "patience, all labels": Group(
        PATIENT,
        {
            f"{name}{beside}": laid_over(taught, {"augmentation": {"noise": noise}})
            for noise, beside in ((0.0, ""), (0.1, ", noise 0.1"))
            for name, taught in {
                "labels alone": {"loss": {"soft_weight": 0.0}},
                "T = 1.3, soft_weight = 0.9": {},
                "T = 1.3, soft_weight = 1": {"loss": {"soft_weight": 1.0}},
            }.items()
        },
    ),
    "a teacher that knows the noise": Group(
        laid_over(PATIENT, {"teacher": {"train": {**RECIPE, "augmentation": {"noise": 0.1}}}}),
        {
            f"{name}, noise {noise}": {"loss": {"soft_weight": weight}, "augmentation": {"noise": noise}}
            for name, weight in (("labels alone", 0.0), ("soft_weight = 0.9", 0.9), ("soft_weight = 0.5", 0.5))
            for noise in (0.1, 0.2)
        },
    ),
    "a teacher of plain rows": Group(
        laid_over(PATIENT, {"teacher": {"train": {**RECIPE, "augmentation": {}}}}),
        {
            f"soft_weight = {weight}, noise {noise}": {
                "loss": {"soft_weight": weight},
                "augmentation": {"noise": noise},
            }
            for noise in (0.1, 0.2)
            for weight in (0.0, 0.9)
        },
    ),
    "a teacher that knows the noise, few labels": Group(
        FEW,
        {
            f"{shown}, {seen}": {
                "teacher": {
                    "mlp": {"widths": widths, "dropout": 0.1},
                    "train": {**RECIPE, "augmentation": augmentation},
                }
            }
            for shown, widths in (("256-256", [256, 256]), ("512-512-512", [512, 512, 512]))
            for seen, augmentation in (
                ("mixup 0.2", {"mixup": 0.2}),
                ("plain rows", {}),
                ("noise 0.15", {"noise": 0.15}),
                ("noise 0.3", {"noise": 0.3}),
                ("noise 0.3 and mixup 0.2", {"noise": 0.3, "mixup": 0.2}),
            )
        },
    ),
    "features": Group(
        LETTER,
        {"soft_targets alone": {}}
        | {f"and {name}": _also(name) for name in ("hint", "pkt", "vid", "crd")}
        | {f"and {name}": _also(name, on="features") for name in ("rkd", "sp")},
    ),
    "maps": Group(
        FASHION_FEW,
        {"soft_targets alone": {}}
        | {f"and {name}": _also(name) for name in ("attention", "reviewkd", "hint", "pkt", "vid", "crd")}
        | {f"and {name}": _also(name, on="features") for name in ("rkd", "sp")},
    ),
}
