"""Which versions of user-defined parts trials used: editing them between sessions is allowed, but must be known.

Data and teachers have fingerprints (`origin.py`) that a resumed search must match; that of data from a user-defined
source includes the code. Other code may be edited for harmless reasons, such as a comment; so a session that finds it
changed warns and continues.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from distill_tune.config import Space
from distill_tune.config.choosing import Choosing
from distill_tune.config.sections import SECTIONS
from distill_tune.distillation.preparation.users_keys import said_of_member
from distill_tune.registry import load_dotted
from distill_tune.teachers import Teacher
from distill_tune.users_code import source_of

_SECTIONS_OF_TRIALS = ("student", "loss", "optim")
Seen = dict[str, set[str]]
"""Digests of each user-defined part's code seen in a search's sessions, by dotted path."""


def own_parts(space: Space) -> dict[str, str]:
    """Digest of the code of each user-defined part that a search may use, except its data source, by dotted path."""
    names = sorted({name for name in _named(space) if name and ":" in name})
    return {name: hashlib.sha256(source_of(load_dotted(name)).encode()).hexdigest()[:16] for name in names}


def loaded_by_trials(space: Space) -> list[str]:
    """Dotted paths of the parts that each worker loads; the driver loads data and samplers, and a cached teacher."""
    names = {*_of_trials(space), *_of_a_live_teacher(space)}
    return sorted(name for name in names if name and ":" in name)


def _named(space: Space) -> Iterator[str | None]:
    """All names that a space chooses or chooses from, except the data source, whose fingerprint is compared instead."""
    yield from _chosen(space, SECTIONS.keys() - {"data"})
    yield from _of_trials(space)
    for member in Teacher.of(space.config.teacher).member_configs().values():
        yield from (member.source, member.family)


def _of_trials(space: Space) -> Iterator[str | None]:
    yield from _chosen(space, _SECTIONS_OF_TRIALS)
    yield from space.added
    yield from space.config.augmentation.amounts


def _of_a_live_teacher(space: Space) -> Iterator[str | None]:
    """What a teacher is made of that travels to the workers as a network."""
    teacher = space.config.teacher
    if teacher.mode == "live":
        for name, section in ({"": teacher} | Teacher.of(teacher).member_configs()).items():
            with said_of_member(name):
                yield from (section.source, section.family, *Teacher.of(section).network_parts(section))


def _chosen(space: Space, sections: Iterable[str]) -> Iterator[str | None]:
    for section in sections:
        if issubclass(model := SECTIONS[section], Choosing):
            for key in model.chooses:
                yield from space.names(section, key)


def seen_beside(before: Seen, session: Mapping[str, str]) -> Seen:
    """The digests seen before, merged with those of another session."""
    return before | {name: before.get(name, set()) | {digest} for name, digest in session.items()}


def changes_in_words(before: Seen, now: Mapping[str, str]) -> list[str]:
    """A warning if an earlier session had code that differs from `now`.

    Parts that no session has recorded, as in folders from before this was written down, are not mentioned.
    """
    changed = [name for name, digest in now.items() if before.get(name, set()) - {digest}]
    if not changed:
        return []
    each, is_of = ("has", "it is") if len(changed) == 1 else ("have", "they are")
    return [
        f"warning: {', '.join(map(repr, changed))} {each} changed since earlier trials were trained, in the code that "
        f"{is_of} made of or in a library's version: those trials are of the other version, and are ranked with the new"
    ]
