"""Progress messages of a teacher that labels for long."""

from collections.abc import Iterator

from distill_tune.distillation.cache.progress import Progress


def _every(seconds: float) -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += seconds


def _heard(portions: int, seconds_each: float) -> list[str]:
    lines: list[str] = []
    clock = _every(seconds_each)
    progress = Progress(100 * portions, lines.append, lambda: next(clock))
    for _ in range(portions):
        progress.seen(100)
    return lines


def test_a_long_labelling_says_how_far_it_is_and_how_long_it_goes_on() -> None:
    assert _heard(4, 100) == [
        "teacher has seen 25%, about 5 min more",
        "teacher has seen 50%, about 3 min more",
        "teacher has seen 75%, about 2 min more",
    ]


def test_portions_of_a_second_are_told_together() -> None:
    assert _heard(65, 1) == ["teacher has seen 46%, a minute more", "teacher has seen 92%, a minute more"]


def test_while_there_is_more_to_come_it_is_not_all() -> None:
    assert _heard(400, 30)[-1] == "teacher has seen 99%, a minute more"


def test_a_short_labelling_says_nothing_more() -> None:
    assert _heard(100, 0.01) == []
