"""The whole job after the command line: everything that can be refused, the claim to a folder, and then the sitting."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from distill_tune.config.searching import ResourcesConfig
from distill_tune.distillation.prepare import Preparation, announced_data, prepare
from distill_tune.errors import DistillTuneError
from distill_tune.export.result_folder import SHARED_CACHE, nothing_left_on_refusal, write_json
from distill_tune.export.versions import versions
from distill_tune.tuning import cluster, summary
from distill_tune.tuning.claim import Claim
from distill_tune.tuning.display import Voice
from distill_tune.tuning.fitting import Fitted, fit, known_to_fit
from distill_tune.tuning.footprint import Footprint
from distill_tune.tuning.interrupts import Interrupt, heard
from distill_tune.tuning.laning import with_lanes
from distill_tune.tuning.order import Order
from distill_tune.tuning.origin import Origin
from distill_tune.tuning.places import concurrency, places_of_this_machine

if TYPE_CHECKING:
    from distill_tune.tuning.sitting import Sitting


@dataclass
class Job:
    """One sitting of a search: what was ordered, and what people see of it."""

    order: Order
    voice: Voice
    clock: summary.Clock = field(default_factory=summary.Clock)
    interrupt: Interrupt = field(default_factory=Interrupt)

    def run(self) -> dict[str, Any]:
        """Do it all; returns what was written to `summary.json`.

        Raises:
            InputError: something that the user can mend; nothing has been written.
            DistillTuneError: no trial could be used, or a phase could not be finished.
        """
        began_s = time.monotonic()
        with heard(self.interrupt), ExitStack() as stack:
            sitting = self._begin(stack)
            document = sitting.work()
            self.clock.total_s = time.monotonic() - began_s
            document |= {**sitting.effort(), "versions": versions()}
            write_json(self.order.folder / "summary.json", document)
            if document["status"] == "complete":
                sitting.claim.logbook.write("finished")
        if document["status"] == "failed":
            raise DistillTuneError(f"{document['message']}; see {self.order.folder / 'logs'}.")
        return document

    def _begin(self, stack: ExitStack) -> Sitting:
        """Everything that can be refused, and then the claim to the folder."""
        began_s = time.monotonic()
        joins = cluster.is_there_already(self.order.address)
        with nothing_left_on_refusal(self.order.folder.parent):
            cluster.check_answers(self.order.address)
            places = self._connect(stack) if joins else places_of_this_machine(self.resources, must_fit=True)
            if self.order.is_new:
                fitted, preparation = self._prepared(places)
            else:
                claim = Claim.of_old(self.order.folder, self.order.command)
                fitted, preparation = self._known_preparation()
            self.clock.prepare_s, prepared_s = time.monotonic() - began_s, time.time()
            places = places if joins else self._connect(stack)
            stack.enter_context(self.interrupt.in_order())
            if self.order.is_new:
                fitted = with_lanes(fitted, preparation.prepared, places, self.voice.tell)
                origin = Origin.of(preparation)
                claim = Claim.of_new(self.order.folder, fitted.space, self.order.command, origin)
            else:
                self.order.enter(claim, fitted.space)
        stack.callback(claim.logbook.release)
        preparation = replace(preparation, prepared=claim.link(preparation.prepared))
        from distill_tune.tuning.sitting import Sitting

        name = self.order.space_name
        return Sitting(name, self.voice, self.interrupt, self.clock, claim, fitted, preparation, places, prepared_s)

    @property
    def resources(self) -> ResourcesConfig:
        """What a trial gets."""
        return self.order.space.config.resources

    def _prepared(self, places: int) -> tuple[Fitted, Preparation]:
        self.voice.say("Preparing", self.order.space_name)
        storage, space = self.order.folder.parent, self.order.space
        cache = storage / SHARED_CACHE
        dataset = announced_data(space.config, cache, self.voice.tell)
        fitted = fit(space, dataset, places, self.voice.tell)
        Footprint.of(fitted.space, dataset, fitted.limits, places).check(storage)
        return fitted, prepare(fitted.space, cache, self.voice.tell, dataset)

    def _known_preparation(self) -> tuple[Fitted, Preparation]:
        self.voice.say("Taking up", self.order.folder.name)
        preparation = prepare(self.order.space, self.order.folder / "cache", self.voice.tell)
        return known_to_fit(self.order.space, preparation.dataset), preparation

    def _connect(self, stack: ExitStack) -> int:
        """A cluster whose nodes go together, and how many trials it has room for."""
        self.voice.say("Starting", "Ray, and a worker for each place")
        connection = stack.enter_context(cluster.Connection(self.order.address, self.resources, self.voice.tell))
        import distill_tune.tuning.sitting  # noqa: F401  takes a second, in which Ray can start
        from distill_tune.tuning.nodes import check_nodes

        connection.wait()
        places = concurrency(self.resources, self.order.space.config.search.trials)
        storage = self.order.folder.parent
        if (count := check_nodes(storage, needs_gpus=self.resources.gpus_per_worker > 0)) > 1:
            self.voice.tell(f"{count} nodes share {storage}, with places for {places} trials at a time")
        return places
