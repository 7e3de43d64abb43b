"""Both kinds of worker group behind one interface, on a real Ray."""

import gc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
import torch
from ray.util.state import list_actors
from ray_searches import eventually
from seen_processes import commands

from distill_tune.config.searching import ResourcesConfig
from distill_tune.config.space import Space
from distill_tune.errors import StorageError, TrainingError
from distill_tune.tuning.state.records import Report
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.checkpoints import read_checkpoint
from distill_tune.tuning.workers.files import HERE
from distill_tune.tuning.workers.ray_train_group import RayTrainGroup
from distill_tune.tuning.workers.worker_group import InProcessGroup, WorkerGroup, WorkersAreNotUp, train

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120), pytest.mark.usefixtures("a_ray_with_dashboard")]


@pytest.fixture(scope="module")
def two_workers(a_ray_with_dashboard: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerGroup]:
    group = RayTrainGroup(ResourcesConfig(workers_per_trial=2), tmp_path_factory.mktemp("workers"), "two", 1, HERE)
    group.start()
    yield group
    group.shutdown()


@pytest.fixture
def one_worker() -> Iterator[WorkerGroup]:
    group = InProcessGroup(ResourcesConfig())
    group.start()
    yield group
    group.shutdown()


@pytest.fixture(params=["one_worker", "two_workers"])
def group(request: pytest.FixtureRequest) -> WorkerGroup:
    found: WorkerGroup = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def assignment(small_space: Space, preparation: Any) -> Assignment:
    config = small_space.at({"student.mlp.widths": [12], "loss.temperature": 3.0, "optim.learning_rate": 0.01})
    return Assignment("0000", config, 7, preparation.prepared)


def next_report(group: WorkerGroup) -> Report:
    while True:
        with suppress(WorkersAreNotUp):
            return group.next_report()


def all_reports(group: WorkerGroup, assignment: Assignment) -> list[Report]:
    group.assign(assignment)
    return [next_report(group) for _ in range(assignment.max_epochs)]


def diverging(assignment: Assignment) -> Assignment:
    optim = assignment.config.optim.model_copy(update={"kind": "sgd", "learning_rate": 1e30})
    return replace(assignment, config=assignment.config.model_copy(update={"optim": optim}))


def test_an_assignment_gives_a_report_an_epoch_and_leaves_its_weights(
    group: WorkerGroup, assignment: Assignment, tmp_path: Path
) -> None:
    reports = all_reports(group, replace(assignment, keep=tmp_path / "kept" / "student.safetensors"))
    assert [report["epoch"] for report in reports] == list(range(1, 10))
    assert reports[-1]["val/accuracy"] > reports[0]["val/accuracy"]
    assert (tmp_path / "kept" / "student.safetensors").stat().st_size > 0


def test_one_assignment_after_another_trains_as_if_it_were_the_first(
    group: WorkerGroup, assignment: Assignment
) -> None:
    first, second = all_reports(group, assignment), all_reports(group, assignment)
    assert [r["val/loss"] for r in first] == [r["val/loss"] for r in second]


def test_an_assignment_takes_the_place_of_one_that_is_not_finished(group: WorkerGroup, assignment: Assignment) -> None:
    group.assign(assignment)
    next_report(group), next_report(group)
    assert [report["epoch"] for report in all_reports(group, replace(assignment, seed=8))] == list(range(1, 10))


def test_what_goes_on_after_a_pause_at_a_rung_is_the_same_training_to_the_bit(
    group: WorkerGroup, assignment: Assignment, tmp_path: Path
) -> None:
    whole = all_reports(group, assignment)
    paused = replace(assignment, checkpoint=tmp_path / "0000.pt", pauses=frozenset({3}))
    group.assign(paused)
    before = [next_report(group) for _ in range(3)]
    assert (tmp_path / "0000.pt").exists(), "as soon as the epoch is told"
    all_reports(group, replace(assignment, seed=8))
    after = all_reports(group, paused)
    assert [r["val/loss"] for r in after] == [r["val/loss"] for r in whole]
    assert after[:3] == before, "told from the checkpoint and not trained again, down to the times"


def test_a_checkpoint_for_which_there_is_no_room_costs_no_training(
    group: WorkerGroup, assignment: Assignment, tmp_path: Path
) -> None:
    unwritable = tmp_path / f"{'0' * 250}.pt"  # its temporary name is too long
    whole = all_reports(group, assignment)
    found = all_reports(group, replace(assignment, checkpoint=unwritable, pauses=frozenset({1, 3})))
    assert [report["val/loss"] for report in found] == [report["val/loss"] for report in whole]
    assert list(tmp_path.iterdir()) == []


def test_a_student_that_cannot_be_written_is_no_fault_of_its_training_and_the_group_serves_the_next(
    group: WorkerGroup, assignment: Assignment, tmp_path: Path
) -> None:
    (tmp_path / "kept").touch()  # in place of a folder
    with pytest.raises(StorageError, match=r"^kept/a\.safetensors cannot be written .*make room, --resume"):
        all_reports(group, replace(assignment, keep=tmp_path / "kept" / "a.safetensors"))
    assert len(all_reports(group, assignment)) == 9


def test_a_training_that_diverges_raises_and_the_group_serves_the_next(
    group: WorkerGroup, assignment: Assignment
) -> None:
    group.assign(diverging(assignment))
    with pytest.raises(TrainingError, match="diverged"):
        [next_report(group) for _ in range(9)]
    assert len(all_reports(group, assignment)) == 9


@pytest.mark.timeout(120)  # workers start twice
def test_a_group_that_was_shut_down_leaves_nothing_and_serves_the_next_assignment(
    group: WorkerGroup, assignment: Assignment, a_ray_with_dashboard: str
) -> None:
    before = all_reports(group, assignment)
    group.assign(assignment)
    next_report(group)  # in the middle of training
    own = alive_actors(a_ray_with_dashboard) if isinstance(group, RayTrainGroup) else set()
    assert bool(own) == isinstance(group, RayTrainGroup)
    group.shutdown()
    group.shutdown()
    eventually(lambda: not (alive_actors(a_ray_with_dashboard) & own))
    eventually(lambda: not own or all(p["state"] != "CREATED" for p in own_placement_groups("two")))
    assert [r["val/loss"] for r in all_reports(group, assignment)] == [r["val/loss"] for r in before]


def test_two_workers_report_what_one_reports(
    one_worker: WorkerGroup, two_workers: WorkerGroup, assignment: Assignment
) -> None:
    for alone, together in zip(all_reports(one_worker, assignment), all_reports(two_workers, assignment), strict=True):
        for name in ("train/loss", "train/hard_loss", "train/soft_loss", "val/loss", "val/accuracy", "val/agreement"):
            assert together[name] == pytest.approx(alone[name], abs=2e-4), name


def test_a_killed_worker_costs_no_trial_its_reports_go_on(two_workers: WorkerGroup, assignment: Assignment) -> None:
    two_workers.assign(assignment)
    before = [next_report(two_workers) for _ in range(3)]
    a_process_of("RayTrainWorker").kill()
    after = [next_report(two_workers) for _ in range(6)]
    undisturbed = all_reports(two_workers, assignment)
    assert [r["epoch"] for r in before + after] == list(range(1, 10))
    assert [r["val/loss"] for r in after] == pytest.approx([r["val/loss"] for r in undisturbed[3:]], abs=1e-6)


def test_a_run_that_has_failed_by_itself_is_started_again_and_costs_no_trial(
    two_workers: WorkerGroup, assignment: Assignment
) -> None:
    two_workers.assign(assignment)
    before = [next_report(two_workers) for _ in range(3)]
    workers = processes_of("RayTrainWorker")
    a_process_of("TrainController").kill()
    assert psutil.wait_procs(workers, timeout=60)[1] == []  # until Ray ends them with it, they go on
    after = list[Report]()
    while not after or after[-1]["epoch"] < 9:
        after.append(next_report(two_workers))
    found = {report["epoch"]: report["val/loss"] for report in before + after}  # earlier reports are repeated
    undisturbed = all_reports(two_workers, assignment)
    assert [*found] == list(range(1, 10))
    assert [*found.values()] == pytest.approx([r["val/loss"] for r in undisturbed], abs=1e-6)


@pytest.mark.parametrize("verb", ["start", "assign", "next_report", "shutdown"])
def test_a_group_that_lacks_a_verb_cannot_be_made(verb: str) -> None:
    lacking = type("Lacking", (InProcessGroup,), {verb: getattr(WorkerGroup, verb)})
    with pytest.raises(TypeError, match=f"abstract method '?{verb}'?"):
        lacking(ResourcesConfig())


def tensors_alive() -> int:
    gc.collect()
    return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())


def processes_of(name: str) -> list[psutil.Process]:
    seen = commands()
    processes = [process for process, command in seen.items() if name in command]
    assert processes, list(seen.values())
    return processes


def a_process_of(name: str) -> psutil.Process:
    return processes_of(name)[-1]


def alive_actors(address: str) -> set[str]:
    """Actors that belong to a group; Train's one coordinator per cluster stays for the next group."""
    actors = list_actors(address=address, filters=[("state", "=", "ALIVE")], limit=1000)
    return {a["actor_id"] for a in actors if "Coordinator" not in a["class_name"]}


def own_placement_groups(name: str) -> list[dict[str, Any]]:
    return [p for p in ray.util.placement_group_table().values() if name in (p["name"] or "")]


def with_loss(assignment: Assignment, kind: str) -> Assignment:
    loss = assignment.config.loss.model_copy(update={"kind": kind})
    return replace(assignment, config=assignment.config.model_copy(update={"loss": loss}))


def test_a_loss_that_raises_costs_its_own_assignment_alone(group: WorkerGroup, assignment: Assignment) -> None:
    group.assign(with_loss(assignment, "broken_loss:Broken"))
    with pytest.raises(Exception, match="this loss is broken"):
        next_report(group)
    assert len(all_reports(group, assignment)) == 9


def test_a_fault_of_one_worker_alone_starts_all_of_them_again_and_is_named_in_the_end(
    two_workers: WorkerGroup, assignment: Assignment
) -> None:
    two_workers.assign(with_loss(assignment, "broken_loss:Damaged"))
    with pytest.raises(TrainingError, match="CacheError: a file of the cache is damaged here"):
        next_report(two_workers)
    assert len(all_reports(two_workers, assignment)) == 9


def test_a_worker_goes_on_from_what_another_has_read_though_it_cannot_see_the_file(
    one_worker: WorkerGroup, assignment: Assignment, tmp_path: Path
) -> None:
    seen = replace(assignment, checkpoint=tmp_path / "seen.pt", pauses=frozenset({3}))
    one_worker.assign(seen)
    told = [next_report(one_worker) for _ in range(3)]
    unseen = replace(seen, checkpoint=tmp_path / "unseen.pt")
    resumed = list(train(unseen, "cpu", found=read_checkpoint(seen.checkpoint, HERE)))
    begun_anew = list(train(seen, "cpu", found=b""))
    assert resumed[:3] == told
    assert [r["val/loss"] for r in resumed] == [r["val/loss"] for r in begun_anew]
    assert begun_anew[:3] != told


def test_after_its_last_epoch_a_group_holds_nothing_of_its_assignment(
    one_worker: WorkerGroup, assignment: Assignment
) -> None:
    all_reports(one_worker, assignment)
    before = tensors_alive()
    one_worker.assign(assignment)
    next_report(one_worker)
    assert tensors_alive() > before
    all_reports(one_worker, assignment)
    assert tensors_alive() == before
