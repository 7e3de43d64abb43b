"""The desk between a search and its lane hosts: due trials, and suspects when a process dies."""

import pytest

from distill_tune.tuning.running.lane_desk import LaneDesk
from distill_tune.tuning.verdict.work_queue import dealt

HAND = {"0000": "{}", "0001": "{}", "0002": "{}"}


def desk(retries: int = 2) -> LaneDesk:
    made = LaneDesk(retries)
    made.give(0, HAND)
    return made


def test_everyone_in_hand_is_due() -> None:
    turn = desk().take(0, is_new=True)
    assert (turn.hand, turn.due, turn.given_up) == (HAND, list(HAND), [])


def test_places_have_hands_of_their_own() -> None:
    both = desk()
    both.give(1, {"0003": "{}"})
    assert both.take(1, is_new=True).due == ["0003"]
    assert both.take(0, is_new=True).due == list(HAND)


def test_after_a_death_each_is_tried_alone_and_then_all_are_together_again() -> None:
    place = desk()
    place.take(0, is_new=True)
    dues = [place.take(0, is_new=True).due, *(place.take(0, is_new=False).due for _ in range(3))]
    assert dues == [["0000"], ["0001"], ["0002"], list(HAND)]


def test_the_one_that_ends_its_process_alone_is_given_up_and_no_other_is() -> None:
    place = desk()
    place.take(0, is_new=True)
    assert place.take(0, is_new=True).due == ["0000"]  # the first death, of all three
    assert place.take(0, is_new=True).due == ["0000"]  # the second and the third, of the first alone
    turn = place.take(0, is_new=True)
    assert turn.given_up == ["0000"]
    assert turn.due == ["0001"]


def test_who_was_at_work_in_two_deaths_stays_alone() -> None:
    place = desk()
    place.give(0, {"0000": "{}", "0001": "{}"})
    for is_new in (True, True, False, False, True):  # a second death of both, after each was cleared
        turn = place.take(0, is_new)
    assert [turn.due, *(place.take(0, is_new=False).due for _ in range(2))] == [["0000"]] * 3


def test_without_retries_who_dies_alone_is_given_up_and_who_was_in_company_is_cleared() -> None:
    place = desk(retries=0)
    place.take(0, is_new=True)
    turn = place.take(0, is_new=True)
    assert (turn.due, turn.given_up) == (["0000"], [])
    turn = place.take(0, is_new=True)
    assert (turn.due, turn.given_up) == (["0001"], ["0000"])
    assert [place.take(0, is_new=False).due for _ in range(2)] == [["0002"], ["0001", "0002"]]


def test_trainings_are_dealt_to_workers_in_equal_parts() -> None:
    trainings = [(None, seed) for seed in range(25)]
    parts = dealt(trainings, takers=2, most=8)  # type: ignore[arg-type]
    assert sorted(map(len, parts)) == [6, 6, 6, 7]
    assert [each for part in parts for each in part] == trainings
    assert [len(part) for part in dealt(trainings, 2, 1)] == [1] * 25  # type: ignore[arg-type]
    assert dealt([], 2, 8) == []


@pytest.mark.parametrize("retries", [0, 2])
def test_after_a_lack_of_memory_each_is_tried_alone_and_after_a_second_stays_alone_but_none_is_given_up(
    retries: int,
) -> None:
    place = desk(retries)
    place.take(0, is_new=True)
    place.had_no_room(0)
    dues = [place.take(0, is_new=False).due for _ in range(4)]
    assert dues == [["0000"], ["0001"], ["0002"], list(HAND)]
    place.had_no_room(0)
    for left in (["0000", "0001", "0002"], ["0001", "0002"], ["0002"]):
        place.give(0, {trial: "{}" for trial in left})
        for _ in range(3):
            turn = place.take(0, is_new=False)
            assert (turn.due, turn.given_up) == (left[:1], [])


def test_a_suspect_that_has_only_waited_for_memory_is_not_cleared() -> None:
    place = desk(1)
    place.take(0, is_new=True)
    assert place.take(0, is_new=True).due == ["0000"]
    place.waits(0)
    assert place.take(0, is_new=False).due == ["0000"]
    assert place.take(0, is_new=False).due == ["0001"]
