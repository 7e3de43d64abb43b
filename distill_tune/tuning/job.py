"""The whole job after the command line: all checks that can refuse it, the claim to a folder, then the session."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from distill_tune.config.searching import ResourcesConfig
from distill_tune.distillation.preparation.prepare import announced_data, prepare
from distill_tune.distillation.preparation.teacher_work import OnlyKept, TeacherWork
from distill_tune.errors import DistillTuneError, one_line
from distill_tune.export.cache_use import nothing_left_on_refusal
from distill_tune.export.result_folder import CACHE, LOGS, REPORT, SHARED_CACHE, SUMMARY, write_json
from distill_tune.export.versions import versions
from distill_tune.tuning.cluster.connection import Connection, check_answers, check_sockets, is_there_already
from distill_tune.tuning.cluster.last_word import last_word
from distill_tune.tuning.cluster.places import idle_gpus, nodes_of_ray, places_of_the_cluster, places_of_this_machine
from distill_tune.tuning.interrupts import Interrupt, heard
from distill_tune.tuning.order import Order
from distill_tune.tuning.planning.fitting import Fitted, fit, known_to_fit
from distill_tune.tuning.planning.footprint import Footprint
from distill_tune.tuning.planning.laning import too_many_at_once, with_lanes
from distill_tune.tuning.search_context import Ready, SearchContext
from distill_tune.tuning.showing.display import Reporter
from distill_tune.tuning.showing.final_report import command_to_go_on
from distill_tune.tuning.state.claim import Claim
from distill_tune.tuning.state.logbook import Entry
from distill_tune.tuning.state.origin import Origin
from distill_tune.tuning.state.own_parts import loaded_by_trials
from distill_tune.tuning.verdict.clock import Clock
from distill_tune.users_faults import users_faults_refused

if TYPE_CHECKING:
    from distill_tune.tuning.session import Session


@dataclass
class Job:
    """One session of a search, from its order to its report."""

    order: Order
    reporter: Reporter
    clock: Clock = field(default_factory=Clock)
    interrupt: Interrupt = field(default_factory=Interrupt)
    connection: Connection | None = None
    """The connection to Ray, once it has begun."""
    teacher_work: TeacherWork = field(default_factory=TeacherWork)
    """Trains and runs the teacher."""

    def run(self) -> dict[str, Any]:
        """Run the session; returns what was written to `summary.json`.

        Raises:
            InputError: something that the user can fix; nothing is left of it, except what took long.
            DistillTuneError: no trial could be used, or a phase could not be finished.
        """
        began_s = time.monotonic()
        with heard(self.interrupt), ExitStack() as stack:
            session = self._begin(stack)
            with last_word(self._gone_in_words()):
                document = session.work()
            if session.has_failures and self.connection is not None:
                self.connection.keeps_logs = True
            self.interrupt.is_done = True
            self.clock.total_s = time.monotonic() - began_s
            document |= {**session.effort(), "versions": versions()}
            write_json(self.order.folder / SUMMARY, document)
            if document["status"] != "interrupted":
                session.claim.logbook.write(Entry.FINISHED if document["status"] == "complete" else Entry.FAILED)
            self._write_report()
        if document["status"] == "failed":
            logs = self.order.folder / LOGS
            seen = f"; see {logs}" if logs.exists() else ""
            raise DistillTuneError(f"{document['message']}{seen}; --resume tries it again.")
        return document

    def _gone_in_words(self) -> str:
        """The message to print if this program dies without a word."""
        from distill_tune.tuning.cluster.own_ray import own_session

        session = own_session()
        logs = "" if session is None else f" (its logs: {session / 'logs'})"
        order = self.order
        return (
            f"error: {order.folder.name} was ended from outside, or by Ray, one of whose own processes has gone{logs}; "
            f"go on with   {self._onward()}"
        )

    def _onward(self) -> str:
        """The command that resumes the search."""
        order = self.order
        return command_to_go_on(order.folder, order.address, None if order.mirror is None else order.mirror.store.uri)

    def _write_report(self) -> None:
        """Write the report page; the search is complete even without it."""
        from distill_tune.tuning.reporting.page import write_report  # here: its imports would delay the trials

        folder = self.order.folder
        try:
            write_report(folder, self._onward())
        except Exception as error:  # of any kind: the results stand, and the command shows a bug of ours
            why = (isinstance(error, OSError) and error.strerror) or one_line(error)
            again = f"python -m distill_tune.report {shlex.quote(str(folder))}"
            self.reporter.tell(f"warning: {REPORT} cannot be written ({why}); {again} writes it")

    def _begin(self, stack: ExitStack) -> Session:
        with ExitStack() as linking:
            with nothing_left_on_refusal(self.order.folder.parent, linking), users_faults_refused():
                context = self._search_context(stack)
            stack.callback(context.claim.logbook.release)
            context = context.linked()
        from distill_tune.tuning.workers.files_on_nodes import check_nodes_have_room, files_of

        context = replace(context, files=stack.enter_context(files_of(context.claim.folder)))
        if self.order.mirror is not None:
            stack.enter_context(self._copied(self.order.mirror.kept(context.claim.folder, self.reporter.tell)))
        check_nodes_have_room(context.files, context.preparation.prepared, self.resources)
        from distill_tune.tuning.session import Session

        return Session(self.order.space_name, self.reporter, self.interrupt, self.clock, context)

    @contextmanager
    def _copied(self, kept: AbstractContextManager[None]) -> Iterator[None]:
        """Keep the last copy interruptible by a signal, although everything else is done by then."""
        with kept:
            try:
                yield
            finally:
                is_done, self.interrupt.is_done = self.interrupt.is_done, False
                self.interrupt.last_step = "The results are being copied"
        self.interrupt.is_done = is_done

    def _search_context(self, stack: ExitStack) -> SearchContext:
        """Check everything that can refuse the search, then claim the folder."""
        began_s, joins = time.monotonic(), is_there_already(self.order.address)
        check_answers(self.order.address)
        if not joins:
            check_sockets()
        places = self._connect(stack) if joins else places_of_this_machine(self.resources, must_fit=True)
        ready = self._prepared(places) if self.order.is_new else self._taken_up()
        self.clock.prepare_s, prepared_s = time.monotonic() - began_s, time.time()
        places = places if joins else self._connect(stack)
        stack.enter_context(self.interrupt.in_order())
        claim, fitted = self._claimed(ready, places)
        return SearchContext(claim, fitted, ready.preparation, places, prepared_s)

    def _claimed(self, ready: Ready, places: int) -> tuple[Claim, Fitted]:
        if ready.claim is not None:
            self.order.enter(ready.claim, ready.fitted.space)
            if (history := ready.claim.history).ended_by is None:
                self.reporter.tell(*too_many_at_once(ready.fitted.space.config, places, history.places))
            return ready.claim, ready.fitted
        trials = ready.fitted.space.config.search.trials
        fitted = with_lanes(ready.fitted, ready.preparation.prepared, min(places, trials), self.reporter.tell)
        origin = Origin.of(ready.preparation, fitted.space)
        order = self.order
        claim = Claim.of_new(order.folder, fitted.space, order.command, origin, order.is_named)
        self.order = replace(order, folder=claim.folder)
        return claim, fitted

    @property
    def resources(self) -> ResourcesConfig:
        """The resources of a trial."""
        return self.order.space.config.resources

    def _prepared(self, places: int) -> Ready:
        self.reporter.say("Preparing", self.order.space_name)
        storage, space = self.order.folder.parent, self.order.space
        cache = storage / SHARED_CACHE
        dataset = announced_data(space.config, cache, self.reporter.tell)
        fitted = fit(space, dataset, places, self.reporter.tell)
        Footprint.of(fitted.space, dataset, fitted.limits, places).check(storage)
        return Ready(fitted, prepare(fitted.space, cache, self.reporter.tell, dataset, self.teacher_work))

    def _taken_up(self) -> Ready:
        order = self.order
        claim = Claim.of_old(order.folder, order.command, order.check_still_right, order.space)
        self.reporter.say("Taking up", order.folder.name)
        self.reporter.tell(*filter(None, [claim.history.loss]), *order.notes)
        try:
            return self._prepared_again(claim)
        except BaseException:
            claim.logbook.release()
            raise

    def _prepared_again(self, claim: Claim) -> Ready:
        order = self.order
        known, cache = list(claim.history.records.values()), order.folder / CACHE
        work = OnlyKept(self.teacher_work, cache) if any(record.reports for record in known) else self.teacher_work
        preparation = prepare(order.space, cache, self.reporter.tell, work=work)
        return Ready(known_to_fit(order.space, preparation.dataset, known), preparation, claim)

    def _connect(self, stack: ExitStack) -> int:
        """Connect to a cluster whose nodes match; returns how many trials it has room for at a time."""
        self.reporter.say("Starting", "Ray, and a worker for each place")
        connection = stack.enter_context(Connection(self.order.address, self.resources, self.reporter.tell))
        self.connection = connection
        import distill_tune.tuning.session  # noqa: F401  takes a second, in which Ray can start
        from distill_tune.tuning.cluster.nodes import look_at_nodes
        from distill_tune.tuning.workers.teacher_places import TeacherPlaces

        connection.wait()
        places = places_of_the_cluster(self.resources)
        storage = self.order.folder.parent
        needs_gpus, parts = self.resources.gpus_per_worker > 0, loaded_by_trials(self.order.space)
        nodes = look_at_nodes(storage, needs_gpus, self.reporter.tell, parts)
        if nodes.count > 1:
            self.reporter.tell(f"{nodes.in_words(storage)}; there is room for {places} trials at a time")
            self.teacher_work = TeacherPlaces(places, self.resources, self.reporter.tell)
        if idle := idle_gpus(nodes_of_ray(), self.resources):
            self.reporter.tell(idle)
        return places
