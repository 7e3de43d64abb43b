"""Pin actors and tasks to nodes: elsewhere they could be lost without their driver. Ray may ignore soft affinity."""

from __future__ import annotations

from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


def on_node(node_id: str) -> NodeAffinitySchedulingStrategy:
    """A strategy that runs on that node or not at all."""
    return NodeAffinitySchedulingStrategy(node_id, soft=False)


def on_this_node() -> NodeAffinitySchedulingStrategy:
    """A strategy that runs on the caller's node."""
    return on_node(ray.get_runtime_context().get_node_id())


def other_nodes() -> list[dict[str, Any]]:
    """The other nodes that are alive, as Ray describes them."""
    here = ray.get_runtime_context().get_node_id()
    return [node for node in ray.nodes() if node["Alive"] and node["NodeID"] != here]


def this_node() -> dict[str, Any]:
    """The caller's node, as Ray describes it."""
    here = ray.get_runtime_context().get_node_id()
    return next(node for node in ray.nodes() if node["NodeID"] == here)
