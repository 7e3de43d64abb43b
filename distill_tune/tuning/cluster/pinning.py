"""Where an actor or a task must run: elsewhere it could be lost without its driver. A soft wish Ray takes lightly."""

from __future__ import annotations

from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


def on_node(node_id: str) -> NodeAffinitySchedulingStrategy:
    """On that node or not at all."""
    return NodeAffinitySchedulingStrategy(node_id, soft=False)


def on_this_node() -> NodeAffinitySchedulingStrategy:
    """On the node of whoever asks."""
    return on_node(ray.get_runtime_context().get_node_id())


def other_nodes() -> list[dict[str, Any]]:
    """Those that are alive, as Ray tells of them, but for the node of whoever asks."""
    here = ray.get_runtime_context().get_node_id()
    return [node for node in ray.nodes() if node["Alive"] and node["NodeID"] != here]
