"""A search small enough for every test."""

from typing import Any

TABLES: dict[str, Any] = {
    "data": {"source": "blobs", "blobs": {"samples": 600, "features": 8, "classes": 4, "informative": 6}},
    "teacher": {"source": "train", "family": "mlp", "mlp": {"widths": [32]}, "train": {"epochs": 3}},
    "student": {"family": "mlp", "mlp": {"widths": {"choice": [[8], [12], [16]]}}},
    "loss": {"temperature": {"log": [1.0, 8.0]}},
    "optim": {"learning_rate": {"log": [1e-3, 3e-2]}, "batch_size": 64},
    "search": {"max_epochs": 9, "trials": 8},
    "export": {"formats": []},
}
VALUES = {"student.mlp.widths": [16], "loss.temperature": 2.0, "optim.learning_rate": 0.02}
"""One trial's values."""
