"""`python -m distill_tune.search`: find, confirm and export the best student for a teacher and its limits."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import sysconfig
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from distill_tune.atomic import alone_in
from distill_tune.cli import INTERRUPTED, Parser, guarded, leave, storage_at, warn
from distill_tune.config import load_space
from distill_tune.errors import CacheError, ConfigError
from distill_tune.paths import expanded, is_file
from distill_tune.streams import tell
from distill_tune.tuning.cluster.submitted import use_all_cores_in_a_job

if TYPE_CHECKING:
    from distill_tune.mirror import Mirror
    from distill_tune.tuning.order import Order

DEFAULT_SPACE = "search_spaces/digits.toml"
RESUME = "continue an unfinished search: --name, or the newest (of SPACE, if given)"
STORAGE = "folder of the result folders (default: ./results), or s3://bucket/folder, gs://bucket/folder"
EXTEND = "add N trials to a finished search, within --time if given, and confirm again"


def parser() -> Parser:
    """The command-line parser; everything else is in the configuration."""
    made = Parser(prog="python -m distill_tune.search", description=__doc__)
    add = made.add_argument
    add("space", nargs="?", metavar="SPACE", help=f"the search space, a TOML file (default: {DEFAULT_SPACE})")
    add("--name", help="name of the result folder (default: SPACE-DATE-TIME)")
    add("--storage", default="results", metavar="FOLDER", help=STORAGE)
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="set any key, also to a range; repeatable",
    )
    add("--trials", metavar="N", help="number of trials (search.trials)")
    add("--time", metavar="10m", help="time for search, confirmation and examination together (search.time)")
    add("--address", help="address of a Ray cluster (default: RAY_ADDRESS, else a cluster of its own)")
    onward = made.add_mutually_exclusive_group()
    onward.add_argument("--resume", action="store_true", help=RESUME)
    onward.add_argument("--extend", metavar="N", help=EXTEND)
    add("--dry-run", action="store_true", help="check everything, show the plan and a time estimate, start nothing")
    add("--quiet", action="store_true", help="print only the result; warnings go to stderr")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    given = parser().parse_args(arguments)
    use_all_cores_in_a_job()
    return guarded(lambda: _search(given, sys.argv[1:] if arguments is None else arguments))


def _search(given: argparse.Namespace, arguments: list[str]) -> int:
    from distill_tune.tuning.state.logbook import LOGBOOK

    _check_are_text(arguments)
    command = shlex.join(["python", "-m", "distill_tune.search", *arguments])
    storage, mirror = storage_at(given.storage, LOGBOOK, must_lock=True)
    _check_holds_results(storage, given.storage)
    goes_on = given.resume or given.extend is not None
    order = (_onward if goes_on else _new)(given, storage, command, mirror)
    if order is None:
        return 0
    order = replace(order, mirror=mirror)
    if given.dry_run:
        from distill_tune.tuning.cluster.connection import is_there_already
        from distill_tune.tuning.dry_run import dry_run
        from distill_tune.tuning.state.history import History
        from distill_tune.users_faults import users_faults_refused

        with users_faults_refused():
            is_here, past = not is_there_already(order.address), None if order.is_new else History.of(order.folder)
            return dry_run(order.space, order.folder, must_fit=is_here, notes=order.notes, past=past)

    from distill_tune.tuning.job import Job
    from distill_tune.tuning.showing.display import Reporter, SteadyConsole
    from distill_tune.tuning.showing.final_report import final_report

    if mirror is not None:
        mirror.store.check_writable()
    console = SteadyConsole()
    job = Job(order, Reporter(console, given.quiet))
    found = job.run()
    final_report(console, found, job.order.folder, order.address, mirror)
    if mirror is not None:
        mirror.check_copied(job.order.folder, "copy it, or --resume copies it once the store can be reached")
    return INTERRUPTED if found["status"] == "interrupted" else 0


def _check_are_text(arguments: list[str]) -> None:
    """Refuse arguments that are not UTF-8: Ray does not start in a program whose command line has one."""
    for word in arguments:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            raise ConfigError(f"{word!a:.200}: is no UTF-8, as Ray wants each word of a command; rename it.") from error


def _check_holds_results(storage: Path, given: str) -> None:
    """Refuse a result folder as the storage: the teacherless search inside it is not a result of its own."""
    from distill_tune.export.result_folder import SEARCH_TOML
    from distill_tune.tuning.state.logbook import LOGBOOK

    if is_file(storage / SEARCH_TOML) and is_file(storage / LOGBOOK):
        raise ConfigError(
            f"--storage {given}: must be a folder of result folders, but is one itself; give --storage "
            f"{shlex.quote(str(storage.parent))} --name {shlex.quote(storage.name)}."
        )


def _new(given: argparse.Namespace, storage: Path, command: str, mirror: Mirror | None) -> Order:
    settings = list(given.settings)
    settings += [f"search.trials={given.trials}"] if given.trials is not None else []
    settings += [f"search.time={json.dumps(given.time)}"] if given.time is not None else []
    name = DEFAULT_SPACE if given.space is None else given.space
    path = find_space(name)
    space = load_space(path, settings, completing=True)

    from distill_tune.export.result_folder import new_result
    from distill_tune.tuning.order import Order

    folder, is_named = new_result(storage, given.name, path), given.name is not None
    if mirror is not None:
        mirror.store.check_free(folder.name)
    return Order(space, name, folder, command, given.address, is_named=is_named)


def _onward(given: argparse.Namespace, storage: Path, command: str, mirror: Mirror | None) -> Order | None:
    """The order to resume or extend an old search, whose configuration is in its folder.

    None if all that was left to do was to copy it: it had finished while its store could not be reached.
    """
    option = "--resume" if given.resume else "--extend"
    if given.settings or given.trials is not None:
        raise ConfigError(f"{option}: the configuration of a search cannot change; leave out --set and --trials.")
    if given.resume and given.time is not None:
        raise ConfigError("--resume: what is left of the search's time counts on; --time goes with --extend N.")
    if not given.resume and not _is_count(given.extend):
        raise ConfigError(f"--extend {given.extend!r:.40}: must be an integer from 1 on, of at most 15 digits.")

    from distill_tune.export.result_folder import check_name
    from distill_tune.tuning.order import extended, taken_up
    from distill_tune.tuning.state.claim import newest

    space_path = Path(given.space) if given.space else None
    if given.name == "":
        raise ConfigError("--name '': must be the name of a result folder; leave it out to take the newest.")
    if given.name:
        check_name(given.name)
        folder = storage / given.name
        is_ahead = mirror is not None and fetched(given.name, mirror)
        if mirror is not None and is_ahead and given.resume and not given.dry_run and _is_finished(folder):
            _copy(folder, mirror, given.quiet)
            return None
    elif mirror is not None:
        there = ", ".join(mirror.names) or "none"
        raise ConfigError(f"{option}: of a storage that is a URI, --name must say which search; there are: {there}.")
    else:
        folder = newest(storage, space_path, is_finished=not given.resume, warn=warn)
    if given.resume:
        return taken_up(folder, command, given.address)
    return extended(folder, int(given.extend), given.time, command, given.address)


def fetched(name: str, mirror: Mirror) -> bool:
    """`Mirror.fetch`, one program at a time: the folder is claimed only later, and two would delete each other's."""
    if not mirror.store.listed(name):  # nothing to download, so make no folder for it
        return mirror.fetch(name)
    with alone_in(mirror.folder, lambda: warn("another program is bringing a result here; waiting for it")):
        return mirror.fetch(name)


def _is_finished(folder: Path) -> bool:
    from distill_tune.tuning.state.history import History

    with suppress(CacheError):  # reported when the search is resumed
        return History.of(folder).is_finished
    return False


def _copy(folder: Path, mirror: Mirror, quiet: bool) -> None:
    with mirror.kept(folder, lambda warning: tell(warning, sys.stderr)):
        if not quiet:
            tell(f"Copying {folder.name}, which is finished, to {mirror.store.uri}", sys.stdout)
    mirror.check_copied(folder)


def _is_count(text: str) -> bool:
    return text.isdecimal() and len(text) <= 15 and int(text) > 0


def find_space(text: str) -> Path:
    """The path of a search space; a shipped one is found from any folder, in a checkout or where pip put it.

    Raises:
        ConfigError: there is no such file.
    """
    of_pip = [sysconfig.get_path("data"), sysconfig.get_path("data", sysconfig.get_preferred_scheme("user"))]
    places = [Path(__file__).parents[1], *(Path(root) / "share" / "distill_tune" for root in of_pip)]
    here_first = (expanded(text), *(place / text for place in places))
    path = next((p for p in here_first if is_file(p)), None)
    if not text:
        raise ConfigError("SPACE '': must be a file; leave it out to search the default.")
    if is_file(expanded(text) / "search.toml"):
        raise ConfigError(f"{text}: no such file, but a result folder; name its search.toml, or go on with --resume.")
    if path is None:
        known = sorted({p.name for place in places for p in (place / "search_spaces").glob("*.toml")})
        raise ConfigError(f"{text}: no such file; shipped in search_spaces/: {', '.join(known)}.")
    return path


if __name__ == "__main__":
    leave(main())
