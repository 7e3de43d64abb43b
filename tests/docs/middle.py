"""A stand-in for an Optuna trial."""

from typing import Any


class Middle:
    """Stands for an Optuna trial: picks the names it is given, else the middle of everything."""

    def __init__(self, *chosen: str):
        self._chosen = chosen

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return next((value for value in choices if value in self._chosen), choices[len(choices) // 2])

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return (low + high) // 2

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return (low + high) / 2
