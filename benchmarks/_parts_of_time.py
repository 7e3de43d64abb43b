"""Where a process spends its time: seconds inside named methods."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any


class Parts:
    """Seconds spent in named parts of the driver; time in a nested part counts only for that part."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._inside: list[str] = []
        self._since_s = time.perf_counter()

    def watch(self, part: str, owner: Any, *methods: str) -> None:
        """Time these methods from now on."""
        for method in methods:
            setattr(owner, method, self._timed(part, getattr(owner, method)))

    def _timed(self, part: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*positional: Any, **named: Any) -> Any:
            self._turn()
            self._inside.append(part)
            try:
                return method(*positional, **named)
            finally:
                self._turn()
                self._inside.pop()

        return timed

    def _turn(self) -> None:
        now_s = time.perf_counter()
        self.seconds[self._inside[-1] if self._inside else "Ray Tune"] += now_s - self._since_s
        self._since_s = now_s

    def taken(self) -> dict[str, float]:
        """The seconds since the last call."""
        self._turn()
        seconds, self.seconds = self.seconds, defaultdict(float)
        return seconds
