"""What is heard of a teacher that takes long."""

from collections.abc import Iterator

from distill_tune.distillation.cache.progress import told


def _every(seconds: float) -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += seconds


def test_a_long_labelling_says_how_far_it_is_and_how_long_it_goes_on() -> None:
    lines: list[str] = []
    clock = _every(100)
    assert list(told(4, lines.append, lambda: next(clock))) == [0, 1, 2, 3]
    assert lines == [
        "teacher is through 1 of 4 views, about 5 min more",
        "teacher is through 2 of 4 views, about 3 min more",
        "teacher is through 3 of 4 views, about 2 min more",
    ]


def test_views_that_take_a_second_are_told_together() -> None:
    lines: list[str] = []
    clock = _every(1)
    assert list(told(65, lines.append, lambda: next(clock))) == list(range(65))
    assert [line.split(" views")[0] for line in lines] == ["teacher is through 30 of 65", "teacher is through 60 of 65"]


def test_a_short_labelling_says_nothing_more() -> None:
    lines: list[str] = []
    list(told(8, lines.append))
    assert lines == []
