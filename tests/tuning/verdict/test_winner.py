"""Which candidate wins a confirmation, how failures are reported, and how lucky the winner was in the search."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from small import TABLES

from distill_tune.config import Space
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Report, Status, TrialRecord
from distill_tune.tuning.verdict import summary
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.verdict.confirmation import confirm
from distill_tune.tuning.verdict.remarks import failures_in_words

CONFIG = Space.parse({**TABLES, "student": {"family": "mlp", "mlp": {"widths": [8]}}, "loss": {}, "optim": {}}).config
SEEDS = [5, 6, 7, 8, 9]


def candidate(number: int) -> Candidate:
    return Candidate(f"trial-{number:04d}", CONFIG, SEEDS, TrialRecord(number, f"{number:04d}", {}))


def surviving(**seeds: tuple[int, float]) -> Callable[[list[Candidate]], None]:
    """Trains each named candidate with that many seeds to that accuracy, and all others with all seeds."""

    def train(candidates: list[Candidate]) -> None:
        for each in candidates:
            count, accuracy = seeds.get(each.name.replace("-", "_"), (len(SEEDS), 0.5))
            each.reports = {seed: {"val/accuracy": accuracy, "val/loss": 1.0} for seed in SEEDS[:count]}

    return train


def test_a_candidate_that_fails_in_most_seeds_does_not_win_by_the_few_that_it_survived() -> None:
    train = surviving(trial_0007=(2, 0.99), trial_0003=(5, 0.9), trial_0004=(5, 0.8))
    found = confirm([candidate(7), candidate(3), candidate(4)], train, "val/accuracy")
    assert found is not None
    assert found.winner.name == "trial-0003"
    assert failures_in_words(found) == ["warning: trial-0007 failed in 3 of its 5 seeds from 5 on"]


def test_a_baseline_that_fails_in_a_seed_is_told_too_and_one_with_no_failure_is_not() -> None:
    found = confirm([candidate(7)], surviving(no_teacher=(4, 0.5)), "val/accuracy")
    assert found is not None
    assert failures_in_words(found) == ["warning: no_teacher failed in 1 of its 5 seeds from 5 on"]


def test_where_no_candidate_comes_to_its_end_in_two_seeds_the_next_best_are_tried_in_their_place() -> None:
    train = surviving(trial_0007=(1, 0.99), trial_0003=(0, 0.0), trial_0004=(3, 0.8))
    reserve = iter([candidate(3), candidate(4), candidate(9)])
    found = confirm([candidate(7)], train, "val/accuracy", reserve=reserve)
    assert found is not None
    assert found.winner.name == "trial-0004"
    assert [each.name for each in found.failed] == ["trial-0007", "trial-0003", "trial-0004"]
    assert [each.name for each in reserve] == ["trial-0009"], "nobody is trained for nothing"
    assert confirm([candidate(7)], train, "val/accuracy", reserve=[candidate(3)]) is None


@pytest.mark.parametrize(("survived", "winner"), [(3, "trial-0007"), (2, "trial-0003")])
def test_of_several_objectives_the_most_accurate_wins_unless_it_fails_in_half_of_its_seeds(
    survived: int, winner: str
) -> None:
    search = CONFIG.search.model_copy(update={"objectives": ["val/accuracy", "parameters"]})
    several = CONFIG.model_copy(update={"search": search})
    both = [replace(candidate(number), config=several) for number in (7, 3)]
    found = confirm(both, surviving(trial_0007=(survived, 0.99), trial_0003=(5, 0.9)), "val/accuracy")
    assert found is not None
    assert found.winner.name == winner


def test_what_failed_and_what_could_not_be_compared_stands_in_the_summary() -> None:
    found = confirm([candidate(7)], surviving(trial_0007=(3, 0.9), no_teacher=(1, 0.5)), "val/accuracy")
    assert found is not None
    assert summary.failures(found) == {
        "failed_seeds": {"trial-0007": 2, "no_teacher": 4},
        "not_compared": ["no_teacher"],
    }


def by_seed(accuracies: dict[str, dict[int, float]], trained: list[tuple[str, int]]) -> Callable[..., None]:
    """Trains to the accuracy given for a name and seed, by default 0.5; an accuracy of 0 fails."""

    def train(candidates: list[Candidate]) -> None:
        for each in candidates:
            assert not each.reports, "nothing is trained twice"
            for seed in each.seeds:
                trained.append((each.name, seed))
                if accuracy := accuracies.get(each.name, {}).get(seed, 0.5):
                    each.reports[seed] = {"val/accuracy": accuracy, "val/loss": 1.0}

    return train


FURTHER = [15, 16, 17, 18, 19]


def test_a_winner_that_was_chosen_is_judged_by_further_seeds_in_which_its_baselines_are_trained_too() -> None:
    lucky, trained = {"trial-0007": dict.fromkeys(SEEDS, 0.9)}, list[tuple[str, int]]()
    found = confirm([candidate(3), candidate(7)], by_seed(lucky, trained), "val/accuracy", further=FURTHER)
    assert found is not None
    assert (found.winner.name, found.winner.mean("val/accuracy")) == ("trial-0007", 0.5)
    assert [sorted(each.reports) for each in (found.winner, *found.baselines)] == [FURTHER] * 3
    assert [sorted(each.reports) for each in found.candidates] == [SEEDS, SEEDS]
    assert not found.is_flattered
    assert len(set(trained)) == len(trained) == 2 * 5 + 3 * 5


def test_the_best_of_a_search_without_a_teacher_is_judged_by_them_as_well() -> None:
    rivals = [Candidate(f"searched_no_teacher-{n}", CONFIG, SEEDS, TrialRecord(n, str(n), {})) for n in (1, 2)]
    lucky = {"searched_no_teacher-2": dict.fromkeys(SEEDS, 0.8)}
    found = confirm([candidate(3), candidate(7)], by_seed(lucky, []), "val/accuracy", rivals, FURTHER)
    assert found is not None
    rival = found.baselines[-1]
    assert (rival.name, rival.source.number, rival.mean("val/accuracy")) == ("searched_no_teacher", 2, 0.5)
    assert sorted(rival.reports) == FURTHER


def test_one_that_diverges_in_all_further_seeds_but_one_is_judged_by_those_that_chose_it() -> None:
    unlucky = {"trial-0007": {**dict.fromkeys(SEEDS, 0.9), **dict.fromkeys(FURTHER[1:], 0.0)}}
    found = confirm([candidate(3), candidate(7)], by_seed(unlucky, []), "val/accuracy", further=FURTHER)
    assert found is not None
    assert [sorted(each.reports) for each in (found.winner, *found.baselines)] == [SEEDS] * 3
    assert failures_in_words(found) == [
        "warning: trial-0007 failed in 4 of its 5 seeds from 15 on",
        "warning: trial-0007 is judged by the seeds that chose it, which flatters it: in the further ones too few of "
        "its trainings came to their end",
    ]


@pytest.mark.parametrize("first", ["trial-0003", "trial-0007"])
def test_of_candidates_that_are_equally_accurate_the_one_with_the_lower_loss_wins_whatever_seed_ends_first(
    first: str,
) -> None:
    """Sums of the same three accuracies, of 359 samples, differ in the last digit with their order."""
    right = {5: 350, 6: 345, 7: 344}

    def train(candidates: list[Candidate]) -> None:
        for each in candidates:
            order = (5, 7, 6) if each.name == first else (5, 6, 7)
            loss = 0.2 if each.name == "trial-0007" else 0.3
            each.reports = {seed: {"val/accuracy": right[seed] / 359, "val/loss": loss} for seed in order}

    found = confirm([candidate(3), candidate(7)], train, "val/accuracy")
    assert found is not None
    assert found.winner.name == "trial-0007"
    assert len({each.mean("val/accuracy") for each in found.candidates}) == 1


def test_the_summary_tells_what_the_winner_was_chosen_by_and_which_trial_looked_best() -> None:
    ledger, candidates = Ledger(), [candidate(3), candidate(7)]
    for each, value in zip(candidates, (0.9, 0.8), strict=True):
        ledger.start(each.source)
        ledger.report(each.source.trial_id, {"epoch": 1, "val/accuracy": value, "val/loss": 1.0})
        ledger.end(each.source, Status.COMPLETED)
    means = {"trial-0007": dict.fromkeys(SEEDS, 0.75), "trial-0003": {5: 0.0}}
    found = confirm(candidates, by_seed(means, []), "val/accuracy", further=FURTHER)
    assert found is not None
    assert summary.choice(found, ledger) == {
        "looked_best": 3,
        "candidates": [{"trial": 3, "seeds": 4, "mean": 0.5}, {"trial": 7, "seeds": 5, "mean": 0.75}],
    }, "not the winner's mean in the further seeds, by which it is judged"


def test_of_two_equals_by_the_first_objective_the_one_that_looked_best_is_not_dominated() -> None:
    """The other one is not confirmed, and its lower loss is no objective."""
    ledger, dominated, free = Ledger("val/accuracy", further=["parameters"]), candidate(3), candidate(7)
    for each, loss, parameters in ((dominated, 0.2, 400), (free, 0.3, 100)):
        each.source.values, each.source.parameters = {"optim.learning_rate": loss}, parameters
        ledger.start(each.source)
        ledger.report(each.source.trial_id, {"epoch": 1, "val/accuracy": 0.9, "val/loss": loss})
        ledger.end(each.source, Status.COMPLETED)
    found = confirm([free], surviving(), "val/accuracy")
    assert found is not None
    assert summary.choice(found, ledger)["looked_best"] == 7


def curve(*accuracies: float) -> list[Report]:
    return [{"epoch": epoch, "val/accuracy": each, "val/loss": 1 - each} for epoch, each in enumerate(accuracies, 1)]


def winner(in_the_search: list[Report], *again: list[Report]) -> Candidate:
    source = TrialRecord(7, "0007", {}, reports=in_the_search)
    found = Candidate("trial-0007", CONFIG, SEEDS[: len(again)], source)
    for seed, reports in zip(found.seeds, again, strict=True):
        found.curves[seed], found.reports[seed] = reports, reports[-1]
    return found


@pytest.mark.parametrize(("objective", "sign"), [("val/accuracy", 1), ("val/loss", -1)])
def test_a_winner_that_was_stopped_early_is_compared_after_as_many_epochs(objective: str, sign: int) -> None:
    """At its end it is better than after three epochs, regardless of its luck there."""
    rising = [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95]
    lucky = winner(curve(0.5, 0.6, 0.78), curve(*rising), curve(*rising))
    found = summary.selection_bias(lucky, objective, sign)
    assert found == {"selection_bias": pytest.approx(0.08), "selection_bias_epochs": 3}


def test_the_luck_of_a_winner_is_unknown_where_nothing_was_said_after_as_many_epochs() -> None:
    whole = curve(*[0.5] * 9)
    unknown = winner(curve(0.5, 0.6, 0.78), whole, [*whole[:2], *whole[3:]])
    found = summary.selection_bias(unknown, "val/accuracy", 1)
    assert found == {"selection_bias": None, "selection_bias_epochs": 3}
