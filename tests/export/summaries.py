"""The parts of a finished search's `summary.json` that are put in words."""

from typing import Any

ACCURACY = {"mean": 0.97, "low": 0.96, "high": 0.98, "seeds": 5}
TEST = {"accuracy": ACCURACY, "nll": 0.1, "ece": 0.02, "agreement": 0.95}


def verdict(word: str = "BEATS", holm: float = 0.0412) -> dict[str, Any]:
    ends = {"low": 0.0003, "high": 0.0175, "bootstrap_low": -0.0004, "bootstrap_high": 0.0182}
    p_values = {"interval_p_value": holm / 2, "interval_p_value_holm": holm, "p_value": 0.3, "p_value_holm": 0.6}
    return {"word": word, "seeds": 5, "difference": 0.0089, **ends, **p_values, "same_as": None}


def summary(
    verdicts: dict[str, dict[str, Any]], bias: float | None = 0.0042, objective: str = "val/accuracy", epochs: int = 27
) -> dict[str, Any]:
    """The parts of a finished search's summary that the card reports."""
    search = {"objectives": [objective], "max_epochs": 27}
    config: dict[str, Any] = {"data": {}, "search": search, "student": {"family": "mlp", "init": "default"}}
    config |= {"loss": {"kind": "soft_targets", "temperature": 4.0, "soft_weight": 0.9}}
    config |= {"optim": {"learning_rate": 0.01, "weight_decay": 0.0}}
    cost = {"parameters": 1810, "multiply_adds": 1800, "latency_ms": 0.03, "bytes": 8000}
    return {
        "name": "small",
        "status": "complete",
        "best": {"trial": 7, "seed": 1001, "config": config, "from_teacher": ["terms"], **cost, "test": TEST},
        "teacher": {"test": {"accuracy": 0.98}, "parameters": 94186, "kept_logits": None},
        "baselines": {name: {"test": TEST} for name in verdicts},
        "verdict": {**verdicts},
        "selection_bias": bias,
        "selection_bias_epochs": epochs,
        "flattered": False,
        "test_opened": 1,
        "trials": {"total": 64},
    }


TWO = {"no_teacher": verdict(), "default_distillation": verdict("INCONCLUSIVE", 0.2)}
THREE = {**TWO, "searched_no_teacher": verdict()}
