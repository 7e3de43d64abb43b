"""Where an actor or a task must run: elsewhere it could be lost without its driver. A soft wish Ray takes lightly."""

from __future__ import annotations

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


def on_node(node_id: str) -> NodeAffinitySchedulingStrategy:
    """On that node or not at all."""
    return NodeAffinitySchedulingStrategy(node_id, soft=False)


def on_this_node() -> NodeAffinitySchedulingStrategy:
    """On the node of whoever asks."""
    return on_node(ray.get_runtime_context().get_node_id())
