"""All losses on features at once."""

from typing import Any

ALL = {"hint": 0.5, "vid": 0.5, "crd": 0.5, "reviewkd": 0.5, "pkt": 0.5, "rkd": 0.5, "sp": 0.5, "dkd": 0.5}
EVERYTHING: dict[str, Any] = {
    "kind": "attention",
    "also": ALL,
    "sp": {"on": "features"},
    "rkd": {"on": "features"},
    "soft_weight": 0.5,
}
