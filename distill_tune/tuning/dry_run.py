"""`--dry-run`: print the resolved configuration, the search space, the resources and a time estimate; start nothing.

The data are loaded and checked in a temporary folder; no teacher is trained, but a batch of its training is timed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path

import tomli_w

from distill_tune.config import Config, Space, tables_of
from distill_tune.config.corners import of_some_trial
from distill_tune.config.leaves import FAMILY
from distill_tune.config.messages import dotted, named_apart, shown
from distill_tune.config.ranges import Choice, Range
from distill_tune.data import Dataset, prepare_data
from distill_tune.data.build import build
from distill_tune.data.encoder import TableEncoder
from distill_tune.distillation.preparation.prepare import check_fold, check_students, dealt_out
from distill_tune.distillation.preparation.ready_teachers import try_to_load
from distill_tune.distillation.preparation.teacher_training import Recipe
from distill_tune.export.result_folder import CACHE, SHARED_CACHE
from distill_tune.teachers import LoadedTeacher, Teacher, family_trained_here, unread_keys
from distill_tune.tuning.cluster.connection import check_sockets
from distill_tune.tuning.cluster.places import cores, idle_gpus, places_of_this_machine, this_machine
from distill_tune.tuning.planning.estimate import estimated_epoch_s, estimated_examination_s, samples_per_epoch
from distill_tune.tuning.planning.fitting import Fitted, fit, known_to_fit
from distill_tune.tuning.planning.footprint import Footprint
from distill_tune.tuning.planning.teacher_time import TeacherTime, estimated_teacher_time
from distill_tune.tuning.planning.time_budget import Times
from distill_tune.tuning.proposals.warm_start import known_of_others
from distill_tune.tuning.schedulers import Scheduler
from distill_tune.tuning.showing.display import SteadyConsole
from distill_tune.tuning.showing.wording import counted, duration
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.plan import ConfirmationPlan
from distill_tune.tuning.state.records import Status


def dry_run(
    space: Space, folder: Path, must_fit: bool = True, notes: Sequence[str] = (), past: History | None = None
) -> int:
    """Print the plan; returns the exit status.

    Args:
        space: what would be searched.
        folder: the result folder.
        must_fit: whether a trial must fit on this machine, since no cluster is given.
        notes: remarks to print about an old search that would be resumed or extended.
        past: the history of such a search, whose space leaves nothing open.

    Raises:
        InputError: anything that a search would refuse, except what shows only once its teacher is ready.
    """
    console = SteadyConsole(soft_wrap=True, highlight=False, markup=False)
    if must_fit:
        check_sockets()
    with tempfile.TemporaryDirectory() as temporary:
        dataset = prepare_data(space.config.data, Path(temporary), key="TMPDIR")
        for number in range(space.config.data.folds or 0):
            check_fold(space.config, dataset, number, build(space.config.data, number).input_shape)
        places = places_of_this_machine(space.config.resources, must_fit)
        for note in (*notes, *unread_keys(space.config.teacher)):
            console.print(note)
        known = [] if past is None else list(past.records.values())
        fitted = fit(space, dataset, places, console.print) if past is None else known_to_fit(space, dataset, known)
        check_students(fitted.space, dataset)
        _show(console, fitted.space, dataset)  # needed by users who have yet to write the teacher's logits
        teachers = try_to_load(fitted.space, dataset, Path(temporary), lambda line: console.print(f"  {line}"))
        plan = _plan(fitted, dataset, folder, teachers, places, must_fit, past)
    console.print("\nPlan\n", style="bold")
    for line in plan:
        console.print(f"  {line}")
    return 0


def _plan(
    fitted: Fitted,
    dataset: Dataset,
    folder: Path,
    teachers: Mapping[str, LoadedTeacher | Recipe],
    places: int,
    is_here: bool,
    past: History | None,
) -> list[str]:
    """The lines of the plan.

    Raises:
        InputError: the disk has no room.
    """
    space, config, storage = fitted.space, fitted.space.config, folder.parent
    footprint = Footprint.of(space, dataset, fitted.limits, places)
    if past is None:  # else most of it is already written
        footprint.check(storage)
    cache = storage / SHARED_CACHE if past is None else folder / CACHE
    teacher_time = estimated_teacher_time(space, dataset, teachers, cache)
    samples, epoch_s = samples_per_epoch(config, dataset), estimated_epoch_s(space, dataset)
    each_s = estimated_examination_s(space, dataset)
    of_others, left, openers = list[str](), _trials_left(config, past), 0
    if past is None or not past.study_bytes:  # others are learned from only once
        openers = _num_openers(fitted, len(known_of_others(space, of_others.append)))
    idle = idle_gpus([this_machine()], config.resources) if is_here else ""
    return [
        *of_others,
        _budget(config, left, places, is_here),
        *_times(config, epoch_s, samples, left, places, openers, past),
        _examination((past and past.plan) or ConfirmationPlan.of(config), each_s),
        _before(teacher_time, config.resources.workers_per_trial),
        *filter(None, [idle]),
        *footprint.lines(storage),
        f"result folder {folder}; nothing has been started or written",
    ]


def _show(console: SteadyConsole, space: Space, dataset: Dataset) -> None:
    console.print("Configuration (each range at its first value)\n", style="bold")
    console.print(tomli_w.dumps(tables_of(space.config)))
    console.print("Searched\n", style="bold")
    searched = of_some_trial(space)
    for path, found in searched.items():
        console.print(f"  {dotted(path)}: {_in_words(found)}")
    if in_vain := [dotted(path) for path in space.ranges if path not in searched]:
        console.print(f"  in no trial, as the space is: {', '.join(in_vain)}")
    console.print("\nData\n", style="bold")
    console.print(f"  {dealt_out(dataset)}, of shape {dataset.input_shape}")
    for note in dataset.notes:
        console.print(f"  {note}")
    console.print(f"  classes, in order: {named_apart(dataset.classes, len(dataset.classes))}")
    if dataset.encoder is not None:
        names = TableEncoder.from_dict(dataset.encoder).feature_names
        console.print(f"  features, in order: {named_apart(names, len(names))}")


def _trials_left(config: Config, past: History | None) -> int:
    """Trials that the search itself has yet to train; those of the baseline search are not known here."""
    if past is None:
        return config.search.trials
    if past.ended_by is not None and not past.is_finished:  # a finished one is extended
        return 0
    never_ended = (Status.RUNNING, Status.INFEASIBLE)
    return max(0, config.search.trials - sum(record.status not in never_ended for record in past.records.values()))


def _budget(config: Config, left: int, places: int, is_here: bool) -> str:
    search, workers, searches = config.search, config.resources.workers_per_trial, ConfirmationPlan.of(config).searches
    to_come = f", of which {left:,} are still to be trained" if left < search.trials else ""
    beside = ", as many again without a teacher" if searches > 1 else ""
    limit = f", at most {counted(search.epochs, 'epoch')} of all of them" if search.epochs else ""
    limit += f", at most {search.time} with confirmation and examination" if search.time else ""
    where = f"this machine's {cores()} cores" + ("" if is_here else " (the cluster has room of its own)")
    lanes, count = config.resources.lanes, min(places, search.trials)
    at_a_time = f"{count} at a time" if lanes in (1, "auto") else f"{count} places of {lanes} lanes"
    return (
        f"{counted(search.trials, 'trial')}{to_come}{beside}{limit}; {at_a_time} on {where}, {workers} worker(s) each"
    )


def _num_openers(fitted: Fitted, learned: int) -> int:
    """Trials that train to the end whatever the rungs say: the first of each family."""
    return len({values.get(dotted(FAMILY)) for values in fitted.first_settings_beside(learned)})


def _times(
    config: Config,
    epoch_s: float | None,
    samples: int,
    left: int,
    places: int,
    openers: int = 0,
    past: History | None = None,
) -> list[str]:
    """The lines on time; `openers` trials of each search train to the end.

    The confirmation has all places, while a search with fewer trials leaves some idle.
    """
    past = past or History()
    search, confirmation = config.search, past.plan or ConfirmationPlan.of(config)
    if epoch_s is None:
        return [f"an epoch is {samples:,} samples; what it takes on a GPU cannot be timed here"]
    usual = Scheduler.of(search).expected_epochs(search)
    runs, trials = confirmation.num_runs, [left, *[search.trials] * (confirmation.searches - 1)]
    each = [count * usual + min(count, openers) * (search.max_epochs - usual) for count in trials]
    epochs = sum(each) / sum(trials) if any(trials) else usual
    most_s = Times.of(search, confirmation.searches).search_s or inf
    search_s, spent_s = 0.0, 0.0 if past.is_finished else past.spent_s  # an extension has its own
    for all_epochs, count in zip(each, trials, strict=True):
        all_s = min(all_epochs, search.epochs or inf) * epoch_s / min(places, max(1, count))
        search_s, spent_s = search_s + min(all_s, max(0.0, most_s - spent_s)), 0.0
    confirm_s = confirmation.rounds(places) * search.max_epochs * epoch_s
    return [
        f"an epoch is {samples:,} samples, about {epoch_s:.2g} s for the middle student{_beside_it(config)}",
        f"search about {duration(search_s)} at {epochs:.1f} epochs a trial, then {runs} confirmation runs of "
        f"{counted(search.max_epochs, 'epoch')}, about {duration(confirm_s)}",
    ]


def _beside_it(config: Config) -> str:
    """What the estimate of an epoch leaves out: a live teacher that has yet to be loaded."""
    sections = Teacher.of(config.teacher).member_configs().values() or [config.teacher]
    is_loaded = config.teacher.mode == "live" and not all(map(family_trained_here, sections))
    return ", without the teacher beside it, which runs live" if is_loaded else ""


def _examination(confirmation: ConfirmationPlan, each_s: float | None) -> str:
    students = confirmation.num_examined
    took = "" if each_s is None else f", about {duration(students * each_s)}"
    return f"then the examination of {students} students on test{took}"


def _before(teachers: TeacherTime | None, workers: int) -> str:
    """What is done before the search, and how long it takes; with several workers per trial Ray starts more slowly."""
    start = f"Ray's start, some {5 if workers == 1 else 20} s"
    if teachers is None:
        return f"before the search: the teacher, which cannot be timed here, and {start}"
    training = f"the teacher's training, about {duration(teachers.training_s)}" if teachers.training_s else ""
    labelling = f"the teacher's labelling of {teachers.labelled:,} samples, about {duration(teachers.labelling_s)}"
    showing = f"its features of {teachers.shown:,} samples for losses on them, about {duration(teachers.showing_s)}"
    parts = [training, labelling if teachers.labelled else "", showing if teachers.shown else "", start]
    return f"before the search: {'; '.join(filter(None, parts))}"


def _in_words(found: Range) -> str:
    if isinstance(found, Choice):
        return "one of " + ", ".join(value if isinstance(value, str) else shown(value) for value in found.values)
    kind = "integers" if found.integer else "numbers"
    return f"{kind} from {found.low:g} to {found.high:g}" + (", log-uniform" if found.log else "")
