"""Configuration tables of the distillations whose parts `_variants.py` varies."""

from __future__ import annotations

from typing import Any

Tables = dict[str, dict[str, Any]]
BLOBS: Tables = {
    "data": {"source": "blobs", "blobs": {"classes": 20}},
    "teacher": {
        "source": "train",
        "family": "mlp",
        "mlp": {"widths": [100, 200, 300]},
        "train": {"epochs": 40, "learning_rate": 2e-3, "weight_decay": 0.01, "batch_size": 128},
    },
    "student": {"family": "mlp", "mlp": {"widths": [20, 20, 20]}},
    "loss": {"temperature": 2.0, "soft_weight": 0.5},
    "optim": {"weight_decay": 1e-4, "batch_size": 64},
    "search": {"max_epochs": 27},
}
"""The question that the project started with; see `search_spaces/original_request.toml`."""
RECIPE = {
    "epochs": 60,
    "learning_rate": 2e-3,
    "weight_decay": 0.05,
    "batch_size": 256,
    "augmentation": {"mixup": 0.2},
}
TEACHER = {"source": "train", "family": "mlp", "mlp": {"widths": [512, 512, 512], "dropout": 0.1}, "train": RECIPE}
LETTER: Tables = {
    "data": {"source": "letter", "student_samples": 1_000, "passes": 16},
    "teacher": {**TEACHER, "views": 216},
    "student": {"family": "mlp", "mlp": {"widths": [32, 32], "activation": "gelu"}},
    "loss": {"temperature": 1.3, "soft_weight": 0.9},
    "optim": {"weight_decay": 1e-3, "batch_size": 64, "schedule": "one_cycle"},
    "augmentation": {"noise": 0.3},
    "search": {"max_epochs": 27},
}
"""A student with few labels and a teacher with mixup, as in `search_spaces/letter_few.toml` until 2026-11-27."""
LETTER_ALL: Tables = {
    **LETTER,
    "data": {"source": "letter"},
    "teacher": {**TEACHER, "views": 27},
    "optim": {"weight_decay": 1e-3, "batch_size": 128, "schedule": "one_cycle"},
    "augmentation": {},
    "search": {"max_epochs": 81},
}
"""The same with all labels, as in `search_spaces/letter.toml` then."""
FEW = {
    **LETTER,
    "teacher": {**TEACHER, "mlp": {"widths": [256, 256], "dropout": 0.1}, "views": 216},
    "student": {"family": "mlp", "mlp": {"widths": [33, 33], "activation": "silu"}},
    "optim": {"weight_decay": 1e-3, "batch_size": 32, "schedule": "one_cycle"},
}
"""The student with few labels that `search_spaces/letter_few.toml` starts with, and its former teacher."""
SAME_LABELS: Tables = {**FEW, "data": {"source": "letter", "validation": 0.9375, "passes": 16}}
"""Neither student nor teacher sees more than a thousand labels: all other training rows are for validation."""
FASHION_FEW: Tables = {
    "data": {"source": "fashion_mnist", "student_samples": 2_000, "passes": 8},
    "teacher": {
        "source": "train",
        "family": "resnet",
        "resnet": {"width": 32, "depth": 1, "stages": 3},
        "train": {"epochs": 4, "learning_rate": 4e-3, "augmentation": {"flip": 0.5, "shift": 1}},
        "views": 8,
    },
    "student": {"family": "convnet", "convnet": {"width": 16, "depth": 3}},
    "loss": {"temperature": 2.0, "soft_weight": 0.75},
    "optim": {"weight_decay": 1e-3, "batch_size": 64, "schedule": "one_cycle"},
    "augmentation": {"flip": 0.5, "shift": 1, "mixup": 0.5},
    "search": {"max_epochs": 9},
}
"""A student with few images, whose features are maps, like its teacher's."""


def laid_over(base: Tables, changes: Tables) -> Tables:
    """The tables overridden by `changes`, section by section; a teacher with another source replaces the section."""
    merged = {name: {**base.get(name, {}), **changes.get(name, {})} for name in (*base, *changes)}
    if "source" in changes.get("teacher", {}):
        merged["teacher"] = changes["teacher"]
    return merged


PATIENT = laid_over(
    LETTER_ALL,
    {
        "teacher": {"views": 81},
        "student": {"mlp": {"widths": [33, 33], "activation": "silu"}},
        "optim": {"batch_size": 64},
        "search": {"max_epochs": 243},
    },
)
"""All labels, trained three times as long as in `search_spaces/letter.toml`."""
