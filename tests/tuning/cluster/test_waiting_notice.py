"""What is said if nothing is at work for too long; on a pretended clock, without Ray."""

from types import SimpleNamespace

import pytest

from distill_tune.tuning.cluster import waiting_notice
from distill_tune.tuning.cluster.waiting_notice import WaitingNotice


def test_what_is_waited_for_is_said_once_each_time_that_the_wait_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now_s=1000.0)
    monkeypatch.setattr(waiting_notice, "time", SimpleNamespace(monotonic=lambda: clock.now_s))
    monkeypatch.setattr(waiting_notice, "free_places", lambda: "the cluster has 0 of 2 CPUs free")
    said = list[str]()
    notice = WaitingNotice(20.0, said.append, "the search waits")
    numbers_said = []
    for after_s, is_at_work in [(20, False), (1, False), (99, False), (99, True), (20, False), (1, False), (9, False)]:
        clock.now_s += after_s
        notice.look(is_at_work)
        numbers_said.append(len(said))
    assert numbers_said == [0, 1, 1, 1, 1, 2, 2]
    assert set(said) == {
        "the search waits for a place, or for a process to start in it: the cluster has 0 of 2 CPUs free"
    }
