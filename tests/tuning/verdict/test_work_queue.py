"""The confirmation's work queue with real threads: everything is done once, and no thread waits forever."""

import threading
from collections import Counter

from distill_tune.tuning.verdict.work_queue import WorkQueue

LONG_S = 20.0
"""Longer than any thread here needs."""


def at_work(work: list[threading.Thread]) -> bool:
    """Start all threads, and return whether one is still alive after a while."""
    for thread in work:
        thread.daemon = True
        thread.start()
    for thread in work:
        thread.join(LONG_S)
    return any(thread.is_alive() for thread in work)


def test_every_piece_is_done_once_though_each_is_put_back_first() -> None:
    queue, tries, done = WorkQueue(range(50)), Counter[int](), Counter[int]()

    def work() -> None:
        while (piece := queue.take()) is not None:
            tries[piece] += 1
            if tries[piece] == 1:
                queue.put_back(piece)
            else:
                done[piece] += 1
                queue.done()

    assert not at_work([threading.Thread(target=work) for _ in range(4)])
    assert done == Counter(range(50))
    assert queue.is_done


def test_a_piece_may_be_put_back_in_parts_of_which_each_is_done() -> None:
    queue, done = WorkQueue([["a", "b", "c"]]), list[list[str]]()
    whole = queue.take()
    assert whole is not None
    queue.put_back(*([part] for part in whole))
    assert not queue.is_done

    def work() -> None:
        while (piece := queue.take()) is not None:
            done.append(piece)
            queue.done()

    assert not at_work([threading.Thread(target=work) for _ in range(2)])
    assert sorted(done) == [["a"], ["b"], ["c"]]
    assert queue.is_done


def test_nobody_waits_for_a_piece_whose_taker_has_gone_wrong() -> None:
    queue, taken = WorkQueue(["lost"]), list[str | None]()
    assert queue.take() == "lost"
    waiting = threading.Thread(target=lambda: taken.append(queue.take()))
    closing = threading.Thread(target=queue.close)
    assert not at_work([waiting, closing])
    assert taken == [None]
    assert queue.is_done


def test_a_closed_pile_gives_nothing_and_says_what_nobody_will_do() -> None:
    queue = WorkQueue(["first", "second", "third"])
    first = queue.take()
    assert first == "first"
    queue.close()
    queue.put_back(first)
    assert queue.take() is None
    assert queue.close() == ["first", "second", "third"]
