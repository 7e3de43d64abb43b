"""Small runs that the tests of several folders prepare and train: made-up rows, and scikit-learn's digits.

They export no programs, which few tests look at.
"""

from typing import Any

from distill_tune.config import Space

TABLE: dict[str, Any] = {
    "data": {
        "source": "blobs",
        "blobs": {"samples": 600, "features": 8, "classes": 4, "informative": 6, "separation": 2.0},
    },
    "teacher": {"source": "train", "family": "mlp", "mlp": {"widths": [32]}, "train": {"epochs": 10}},
    "student": {"family": "mlp", "mlp": {"widths": [12]}},
    "optim": {"learning_rate": 1e-2, "batch_size": 64},
    "search": {"max_epochs": 3},
    "export": {"formats": []},
}
IMAGES: dict[str, Any] = {
    "data": {"source": "digits"},
    "teacher": {"source": "train", "family": "convnet", "convnet": {"width": 8, "depth": 2}, "train": {"epochs": 2}},
    "student": {"family": "convnet", "convnet": {"width": 4, "depth": 2}},
    "optim": {"learning_rate": 1e-2, "batch_size": 128},
    "search": {"max_epochs": 2},
    "export": {"formats": []},
}

FILES = """
[data]
source = "csv"
path = "data.csv"
[teacher]
source = "logits"
path = "teacher.npy"
[student]
family = "mlp"
"""
"""A run on files of the current folder: a table, and a teacher's logits for its rows."""


def run_space(base: dict[str, Any] = TABLE, **sections: dict[str, Any]) -> Space:
    """The space of `base` with the keys of `sections` laid over it."""
    return Space.parse({name: base.get(name, {}) | sections.get(name, {}) for name in base | sections})
