"""A teacher that a cluster's places run together."""

import time
from collections.abc import Iterator

import pytest
import ray
import torch
from placed_teachers import DiesInPlaces, FailsInPlaces, HoldsALock, NotFinite, third
from torch import Tensor, nn

from distill_tune.config.searching import ResourcesConfig
from distill_tune.distillation.cache.labelling import Runner
from distill_tune.errors import TeacherError
from distill_tune.tuning.workers.teacher_places import PlacesRunner, TeacherPlaces

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120), pytest.mark.usefixtures("a_ray")]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def places(said: list[str]) -> TeacherPlaces:
    return TeacherPlaces(2, ResourcesConfig(), said.append)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 4)).eval().requires_grad_(False)


def portions(count: int = 12) -> list[Tensor]:
    return list(torch.randn(count, 5, 6, generator=torch.Generator().manual_seed(1)))


def answers_when_up(runner: Runner, module: nn.Module, given: list[Tensor]) -> list[Tensor]:
    """The answers to portions that are handed out only once a place is up."""
    assert isinstance(runner, PlacesRunner)

    def one_by_one() -> Iterator[Tensor]:
        until_s = time.monotonic() + 60
        while not runner._in_hand and time.monotonic() < until_s:
            ray.wait(list(runner._coming), timeout=0.2)
            runner._look_who_is_up()
        yield from given

    return list(runner.run(module, one_by_one()))


def test_places_say_of_each_portion_what_the_teacher_says_here_and_in_the_same_order(
    places: TeacherPlaces, network: nn.Module, said: list[str]
) -> None:
    given = portions()
    with places.runner(network, 3600.0) as runner:
        found = answers_when_up(runner, network, given)
    assert said == ["2 places of the cluster label, which here would take 60.0 min"]
    torch.testing.assert_close(found, list(Runner().run(network, given)))
    assert [type(each) for each in found] == [Tensor] * len(given)


@pytest.mark.parametrize(("left_s", "count"), [(5.0, 0), (30.0, 1), (300.0, 2)])
def test_no_more_places_run_it_than_it_is_worth(
    places: TeacherPlaces, network: nn.Module, said: list[str], left_s: float, count: int
) -> None:
    with places.runner(network, left_s) as runner:
        assert isinstance(runner, PlacesRunner) is (count > 0)
    assert [line.partition(" ")[0] for line in said] == ([str(count)] if count else [])


def test_what_a_lost_place_does_not_answer_is_run_here(places: TeacherPlaces, said: list[str]) -> None:
    given = [torch.full((2, 3), float(number)) for number in range(8)]
    with places.runner(DiesInPlaces(third), 3600.0) as runner:
        found = answers_when_up(runner, DiesInPlaces(third), given)
    assert [each[0, 0].item() for each in found] == [2.0 * number for number in range(8)]
    assert any(line.startswith("a place that labelled is lost (") for line in said)


def test_a_place_that_cannot_run_the_teacher_gets_no_more_of_it_and_is_told_of(
    places: TeacherPlaces, said: list[str]
) -> None:
    given, module = [torch.full((2, 3), float(number)) for number in range(8)], FailsInPlaces()
    with places.runner(module, 3600.0) as runner:
        found = answers_when_up(runner, module, given)
        assert isinstance(runner, PlacesRunner)
        assert len(runner._in_hand) + len(runner._coming) == 1
    assert [each[0, 0].item() for each in found] == [2.0 * number for number in range(8)]
    assert [line.partition(";")[0] for line in said[1:]] == [
        "a place that labelled is lost (RuntimeError: CUDA out of memory)"
    ]


def test_a_teacher_that_no_other_process_can_load_is_run_here_and_the_reason_told(
    places: TeacherPlaces, said: list[str]
) -> None:
    module = DiesInPlaces(None)
    given = [torch.ones(2, 3)]
    with places.runner(module, 3600.0) as runner:
        assert isinstance(runner, PlacesRunner)
        while runner._coming:
            ray.wait(list(runner._coming), timeout=0.2)
            runner._look_who_is_up()
        found = list(runner.run(module, iter(given)))
    assert torch.equal(found[0], given[0] * 2)
    assert "No module named 'transformers'" in said[1]
    assert said[-1].endswith("0 are left, and what is missing is labelled here")


def test_a_teacher_that_cannot_be_sent_to_places_is_run_here_and_the_reason_told_in_a_line(
    places: TeacherPlaces, said: list[str]
) -> None:
    module, given = HoldsALock(), [torch.ones(2, 3)]
    with places.runner(module, 3600.0) as runner:
        found = list(runner.run(module, iter(given)))
    assert torch.equal(found[0], given[0] * 2)
    why = "TypeError: cannot pickle '_thread.lock' object"
    assert said == [f"the places of the cluster cannot be given the teacher ({why}), so that it labels here"]


def test_a_logit_that_is_not_finite_is_the_teachers_own_fault_wherever_it_ran(places: TeacherPlaces) -> None:
    with places.runner(NotFinite(), 3600.0) as runner, pytest.raises(TeacherError, match="not a finite number"):
        answers_when_up(runner, NotFinite(), portions())


def test_the_places_are_given_back(places: TeacherPlaces, network: nn.Module) -> None:
    with places.runner(network, 3600.0) as runner:
        answers_when_up(runner, network, portions(2))
    until_s = time.monotonic() + 30
    while ray.available_resources().get("CPU", 0) < 3 and time.monotonic() < until_s:
        ray.wait([ray.put(None)], timeout=0.1)
    assert ray.available_resources()["CPU"] == 3
