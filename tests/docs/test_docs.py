"""The documents say what the code does: every key, option, default, bound, field, column, tag, command and link."""

import importlib
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from distill_tune.cli import BAD_INPUT, INTERRUPTED
from distill_tune.config import Config, Space, load_space
from distill_tune.config.choosing import Choosing
from distill_tune.config.ranges import KINDS
from distill_tune.config.searching import LATENCY
from distill_tune.config.sections import SEARCHED, SECTIONS
from distill_tune.config.shipped import OF_ALL_LOSSES
from distill_tune.distillation.materials.materials import CORRUPTED, Materials
from distill_tune.distillation.preparation.prepare import Preparation, prepare
from distill_tune.distillation.training.loop import distill
from distill_tune.evaluation.verdict import Word
from distill_tune.export.versions import versions
from distill_tune.registry import AUGMENTATIONS, CORRUPTIONS, Options
from distill_tune.teachers import LoadedTeacher
from distill_tune.teachers.mixing import Mix
from distill_tune.tuning.deciding.budget import Reason
from distill_tune.tuning.planning.limits import Limits
from distill_tune.tuning.schedulers import Rung
from distill_tune.tuning.showing.tensorboard import CHARTS, TensorBoardWatcher
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Report, Status, TrialRecord
from distill_tune.tuning.verdict import summary
from distill_tune.tuning.verdict.clock import Clock
from distill_tune.tuning.verdict.confirmation import DEFAULT_DISTILLATION, Candidate, Confirmation, baselines_of
from distill_tune.tuning.verdict.examination import Examination
from distill_tune.tuning.verdict.front import front_rows
from distill_tune.tuning.verdict.outcome import complete, failed, interrupted
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.worker_group import train

PROJECT = Path(__file__).parents[2]
DOCS = PROJECT / "docs"
Cells = dict[str, str]


def read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


# Reading the pages


@cache
def tables_under_headings(page: str) -> dict[str, list[Cells]]:
    """Heading to the rows of the tables below it, each a dictionary by the table's head."""
    found: dict[str, list[Cells]] = {}
    heading, head = "", None
    for line in without_code(read(page)).splitlines():
        if line.startswith("#"):
            heading, head = line.lstrip("#").strip().strip("`"), None
            assert heading not in found, f"{page} has two headings {heading!r}"
            found[heading] = []
        elif not line.startswith("|"):
            head = None
        elif head is None:
            head = cells_of(line)
        elif not set(line) <= set("|- "):
            found[heading].append(dict(zip(head, cells_of(line), strict=True)))
    return found


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def without_code(markdown: str) -> str:
    return re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def first_name(cell: str) -> str:
    return names_in(cell)[0]


def code_block(page: str, name: str) -> str:
    """The fenced block of a page that opens with a comment of this file's name."""
    (block,) = re.findall(rf"^```\w+\n(# {re.escape(name)}\n.*?)^```", read(page), flags=re.MULTILINE | re.DOTALL)
    return str(block)


# The configuration


@dataclass(frozen=True)
class Part:
    """A section, or the options of a registered entry, as the code has it."""

    heading: str
    model: type[Options]


def parts() -> Iterator[Part]:
    for section, model in SECTIONS.items():
        yield Part(f"[{section}]", model)
        if not issubclass(model, Choosing):
            continue
        for field, registry in model.chooses.items():
            if (section, field) != ("teacher", "family"):  # those are the student's
                yield from (Part(f"[{section}.{name}]", registry.get(name)) for name in registry.names)


PARTS = {part.heading: part.model for part in parts()}
FIELDS = [(heading, key) for heading, model in PARTS.items() for key in model.model_fields]
every_part = pytest.mark.parametrize("heading", PARTS)
every_field = pytest.mark.parametrize(("heading", "key"), FIELDS)


@cache
def documented(heading: str) -> dict[str, Cells]:
    rows = tables_under_headings("docs/configuration.md")[heading]
    return {first_name(row["key"]): row for row in rows}


def rules(schema: dict[str, Any]) -> set[str]:
    """What a JSON schema allows, in the words of the page."""
    words = {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false", "array": "list"}
    bounds = {"minimum": ">=", "maximum": "<=", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
    chosen = schema.get("enum", [schema["const"]] if "const" in schema else [])
    said = {f"`{value!r}`".replace("'", '"') for value in chosen}
    said |= {words[schema["type"]]} if schema.get("type") in words and not chosen else set()
    said |= {f"{sign} {schema[bound]}" for bound, sign in bounds.items() if bound in schema}
    inner = [*schema.get("anyOf", []), *filter(None, [schema.get("items")])]
    return said.union(*(rules(each) for each in inner))


def test_configuration_has_a_heading_for_every_section_and_entry_and_for_nothing_else() -> None:
    headings = {name for name in tables_under_headings("docs/configuration.md") if name.startswith("[")}
    assert headings == set(PARTS)


@every_part
def test_a_table_has_every_key_and_no_key_that_does_not_exist(heading: str) -> None:
    keys = AUGMENTATIONS.names if heading == "[augmentation]" else PARTS[heading].model_fields
    assert sorted(documented(heading)) == sorted(keys)


@every_part
def test_what_has_no_options_says_so(heading: str) -> None:
    text = read("docs/configuration.md").partition(f"# `{heading}`\n")[2].partition("\n#")[0]
    assert ("No options." in text) == (not documented(heading))


@every_field
def test_a_default_is_the_models(heading: str, key: str) -> None:
    field, said = PARTS[heading].model_fields[key], documented(heading)[key]["default"]
    if field.is_required():
        assert said == "required"
        return
    default = field.get_default(call_default_factory=True)
    if default is None:
        assert said == "-"
        return
    value = tomllib.loads(f"value = {first_name(said)}")["value"]
    assert (value, type(value)) == (default, type(default))


@every_field
def test_what_is_allowed_names_the_type_the_bounds_and_every_choice(heading: str, key: str) -> None:
    allowed = documented(heading)[key]["allowed"].replace("2^32", str(2**32))
    for rule in rules(PARTS[heading].model_json_schema()["properties"][key]):
        assert rule in allowed


@pytest.mark.parametrize("name", AUGMENTATIONS.names)
def test_an_amount_has_its_bounds_and_does_nothing_by_default(name: str) -> None:
    row = documented("[augmentation]")[name]
    assert first_name(row["default"]) == "0"
    for rule in rules(AUGMENTATIONS.get(name).model_json_schema()["properties"]["amount"]):
        assert rule in row["allowed"]


@pytest.mark.parametrize("section", [name for name, model in SECTIONS.items() if issubclass(model, Choosing)])
def test_a_key_that_chooses_lists_what_there_is_to_choose(section: str) -> None:
    model = SECTIONS[section]
    assert issubclass(model, Choosing)
    for field, registry in model.chooses.items():
        assert names_in(documented(f"[{section}]")[field]["allowed"]) == registry.names


def test_every_kind_of_range_is_shown_and_can_be_read() -> None:
    shown = [tomllib.loads(f"value = {first_name(row['range'])}")["value"] for row in rows_of("Ranges", "range")]
    assert sorted(next(iter(each)) for each in shown) == sorted(KINDS)


def rows_of(heading: str, head: str) -> list[Cells]:
    return [row for row in tables_under_headings("docs/configuration.md")[heading] if head in row]


def test_every_range_that_is_shipped_is_listed() -> None:
    rows = tables_under_headings("docs/configuration.md")["Ranges that are shipped"]
    listed = {first_name(row["key"]): tomllib.loads(f"x = {first_name(row['shipped range'])}")["x"] for row in rows}
    own = {f"{part.heading[1:-1]}.{key}": written for part in parts() for key, written in part.model.ranges.items()}
    assert listed == {f"loss.{key}": written for key, written in OF_ALL_LOSSES.items()} | own


def test_the_sections_that_may_have_ranges_are_named() -> None:
    sentence = re.search(r"Ranges may stand in (.*?);", read("docs/configuration.md"))
    assert sentence
    assert names_in(sentence[1]) == [f"[{name}]" for name in SEARCHED]


# The user's own parts


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the page's own module and space, as somebody would write them down, on the module path."""
    folder = tmp_path_factory.mktemp("own_parts")
    for name in ("my_parts.py", "my_space.toml", "my_images.py"):
        (folder / name).write_text(code_block("docs/configuration.md", name))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
        for name in ("my_parts", "my_images"):
            sys.modules.pop(name, None)


class Middle:
    """Stands for an Optuna trial: the names that it is told to choose, else the middle of everything."""

    def __init__(self, *chosen: str):
        self._chosen = chosen

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return next((value for value in choices if value in self._chosen), choices[len(choices) // 2])

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return (low + high) // 2

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return (low + high) / 2


@pytest.fixture(scope="module")
def own_space(example: Path) -> Space:
    """The example on little data."""
    tables = tomllib.loads((example / "my_space.toml").read_text())
    tables["data"]["my_parts:Spirals"]["samples"] = 200
    tables["teacher"]["train"]["epochs"] = 2
    return Space.parse({**tables, "search": {"max_epochs": 2}})


@pytest.fixture(scope="module")
def preparation(own_space: Space, tmp_path_factory: pytest.TempPathFactory) -> Preparation:
    return prepare(own_space, tmp_path_factory.mktemp("cache"), lambda line: None)


@pytest.fixture(scope="module")
def trained(own_space: Space, preparation: Preparation) -> dict[tuple[str, str], list[Report]]:
    """Family and loss to the reports of each epoch."""
    found = {}
    families, losses = (own_space.ranges[path].corners() for path in [("student", "family"), ("loss", "kind")])
    for chosen in product(families, losses):
        config = own_space.at(own_space.suggest(Middle(*chosen)))
        assert (config.student.family, config.loss.kind) == chosen
        found[chosen] = [
            epoch.report for epoch in distill(config, Materials.open(preparation.prepared, config), seed=0)
        ]
    return found


def test_the_users_own_student_loss_and_data_train(trained: dict[tuple[str, str], list[Report]]) -> None:
    assert ("my_parts:Waves", "my_parts:Between") in trained
    for reports in trained.values():
        assert [report["epoch"] for report in reports] == [1, 2]
        assert all(isfinite(value) for report in reports for value in report.values())


def test_the_users_own_loss_agrees_with_the_formula_at_both_ends(example: Path) -> None:
    import torch

    own = importlib.import_module("my_parts")
    random = np.random.default_rng(0)
    student, teacher = random.standard_normal((2, 5, 3))
    p, q = (np.exp(logits / 3) / np.exp(logits / 3).sum(1, keepdims=True) for logits in (teacher, student))
    for part, first, second in ((0.0, p, q), (1.0, q, p)):
        expected = 9 * (first * np.log(first / second)).sum(1).mean()
        said = own.Between(part=part).soft(torch.from_numpy(student), torch.from_numpy(teacher), 3.0)
        assert said.item() == pytest.approx(expected)


def test_parameters_of_ones_own_parts_exist_only_where_they_are_chosen(own_space: Space) -> None:
    mine = own_space.suggest(Middle("my_parts:Waves", "my_parts:Between"))
    other = own_space.suggest(Middle("mlp", "soft_targets"))
    assert {'student."my_parts:Waves".pitch', 'loss."my_parts:Between".part'} <= set(mine)
    assert not any("my_parts" in name for name in other)


def test_every_base_class_that_the_page_names_is_what_the_registry_asks_for() -> None:
    from distill_tune import registry

    told = {
        tuple(found.split(":")) for row in rows_of("Your own parts", "part") for found in names_in(row["what it is"])
    }
    classes = {getattr(importlib.import_module(module), name) for module, name in filter(lambda t: len(t) == 2, told)}
    registries = [value for value in vars(registry).values() if isinstance(value, registry.Registry)]
    assert classes == {each.base for each in registries if each is not CORRUPTIONS}


# The results


@pytest.fixture(scope="module")
def document(own_space: Space, preparation: Preparation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A whole `summary.json`, of one trial that was confirmed in two seeds beside its baselines."""
    folder = tmp_path_factory.mktemp("result")
    values = own_space.suggest(Middle("my_parts:Waves", "my_parts:Between"))
    record = TrialRecord(0, "0000", values)
    winner = Candidate("trial-0000", own_space.at(values), [1, 2], record)
    searched = Candidate("searched_no_teacher", winner.config, [1, 2], TrialRecord(1, "0001", values))
    confirmation = Confirmation(winner, [*baselines_of(winner), searched])
    for candidate, seed in product([winner, *confirmation.baselines], winner.seeds):
        weights = folder / f"{candidate.name}-{seed}.safetensors"
        reports = train(Assignment(candidate.name, candidate.config, seed, preparation.prepared, keep=weights), "cpu")
        candidate.weights[seed], candidate.reports[seed] = weights, list(reports)[-1]
    ledger = Ledger()
    ledger.start(record)
    ledger.report("0000", winner.reports[1])
    searched.source.reports.append(searched.reports[1])
    ledger.end(record, Status.COMPLETED)
    limits = Limits(own_space.config.limits, preparation.dataset)
    found = complete(
        {"name": "own", "space": "", "test_opened": 1}, confirmation, preparation, limits, ledger, folder / "best"
    )
    spent = summary.effort(ledger, Clock(), 1, 1, [Rung(1)], Reason.TRIALS, place_s=1.0)
    beside = {"baseline_search": summary.effort_beside(ledger, Reason.TRIALS)}
    return {**found, **spent, **beside, "versions": versions()}


def fields_of(document: dict[str, Any]) -> set[str]:
    """Dotted names of a summary as the page has them: NAME for a baseline's, test blocks once."""
    kept = {name: value for name, value in document.items() if name not in ("baselines", "verdict", "baseline_search")}
    blocks = {"best.test": document["best"]["test"]}
    blocks |= {f"baselines.NAME.{key}": each[key] for each in document["baselines"].values() for key in ("test",)}
    searched = document["baselines"]["searched_no_teacher"].keys() - {"test"}
    best = {name: value for name, value in document["best"].items() if name != "test"}
    verdicts = {f"verdict.NAME.{name}" for each in document["verdict"].values() for name in each}
    (tests,) = {tuple(flat(block, "test.")) for block in blocks.values()}
    beside = {f"baselines.searched_no_teacher.{key}" for key in searched}
    beside |= {f"baseline_search.{key}" for key in document["baseline_search"]}
    return {*flat({**kept, "best": best}), *blocks, *verdicts, *tests, *beside}


def flat(tables: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in tables.items():
        is_table = isinstance(value, dict) and name not in ("config", "by_corruption", "versions")
        yield from flat(value, f"{prefix}{name}.") if is_table else [f"{prefix}{name}"]


def fields_of_a_member() -> set[str]:
    """What is told of each of several teachers beside what is told of one."""
    members = {"NAME": LoadedTeacher(parameters=1)}
    teacher = LoadedTeacher(1, members=members, mix=Mix({"NAME": 1.0}, "logits"))
    examined = Examination({}, 0.5, {"NAME": 0.5})
    told = set(flat({"teacher": summary.teacher_of(teacher, examined, (8,))}))
    return {name for name in told if ".members." in name} - {"teacher.members.NAME.multiply_adds"}


def documented_in_results(head: str, heading: str) -> set[str]:
    rows = tables_under_headings("docs/results.md")[heading]
    return {first_name(row[head]) for row in rows if head in row}


def test_results_has_every_field_of_the_summary_and_no_other(document: dict[str, Any], own_space: Space) -> None:
    told = documented_in_results("field", "summary.json")
    rungs = {f"rungs.{name}" for name in document["rungs"][0]}
    ledger = Ledger(further=["parameters"])
    ledger.end(TrialRecord(0, "0000", own_space.suggest(Middle()), reports=[{"val/accuracy": 0.9}]), Status.COMPLETED)
    front = {f"front.{name}" for name in front_rows(ledger, own_space, [])[0]}
    others = {"best.validation.agreement", *failed("why")} - {"best"} | fields_of_a_member()
    assert told == (fields_of(document) - {"rungs"}) | rungs | front | others


def test_an_interrupted_search_adds_the_agreement_of_its_best_trial_and_nothing_else(
    document: dict[str, Any], own_space: Space, trained: dict[tuple[str, str], list[Report]]
) -> None:
    ledger = Ledger()
    last = next(iter(trained.values()))[-1]
    ledger.start(TrialRecord(0, "0000", own_space.suggest(Middle()), reports=[{"val/agreement": 0.9} | last]))
    extra = set(flat(interrupted(ledger, own_space))) - fields_of(document)
    assert {name for name in extra if not name.startswith("best.config")} == {"best.validation.agreement"}


def test_results_has_every_column_of_the_table_of_trials_and_no_other(
    trained: dict[tuple[str, str], list[Report]],
) -> None:
    record = TrialRecord(0, "0000", {"NAME": 1.0}, reports=next(iter(trained.values())))
    told = documented_in_results("column", "trials.parquet")
    where_an_objective = {CORRUPTED, LATENCY, "on_front"}
    assert told - set(summary.row_of(record)) == where_an_objective | {"train/NAME_loss"}
    assert told >= set(summary.row_of(record))


def test_every_corruption_is_listed_with_what_it_is_for() -> None:
    rows = {first_name(row["corruption"]): row["for"].split(", ") for row in rows_of("Corruptions", "corruption")}
    entries = {name: CORRUPTIONS.get(name) for name in CORRUPTIONS.names}
    assert rows == {
        name: ["images"] * entry.for_images + ["tables"] * entry.for_tables for name, entry in entries.items()
    }


def test_results_has_every_tag_that_tensorboard_shows(
    own_space: Space, trained: dict[tuple[str, str], list[Report]], tmp_path: Path
) -> None:
    watcher = TensorBoardWatcher(tmp_path, own_space, "val/accuracy")
    ledger = Ledger("val/accuracy", [watcher])
    record = TrialRecord(0, "0000", own_space.suggest(Middle()), parameters=9, multiply_adds=9)
    ledger.start(record)
    for report in next(iter(trained.values())):
        ledger.report("0000", {**report, "epoch": 9}, is_rung=True)
    ledger.end(record, Status.COMPLETED)
    ledger.close()
    shown: set[str] = {tag for charts in CHARTS.values() for tags in charts.values() for tag in tags}
    for run in ("search", "0000"):
        tags = EventAccumulator(str(tmp_path / run)).Reload().Tags()
        texts = {tag.removesuffix("/text_summary") for tag in tags["tensors"]}
        shown |= {*tags["scalars"], *(text for text in texts if not re.match("_hparams|custom_scalars", text))}
    assert shown <= set(names_in(without_code(read("docs/results.md"))))


def test_results_knows_every_status_word_and_exit_status() -> None:
    page = read("docs/results.md")
    column = next(
        row for row in tables_under_headings("docs/results.md")["trials.parquet"] if "`status`" in row["column"]
    )
    assert set(names_in(column["meaning"])) == set(Status) - {Status.RUNNING}
    assert all(f"`{word}`" in page for word in Word)
    rows = tables_under_headings("docs/results.md")["How it ends"]
    assert {int(row["exit status"]) for row in rows} == {0, 1, BAD_INPUT, INTERRUPTED}


def test_baselines_that_results_describes_are_those_that_are_trained() -> None:
    config: Config = Space.parse({"data": {"source": "digits"}, "student": {"family": "mlp"}}).config
    made = baselines_of(Candidate("trial-0000", config, [1, 2], TrialRecord(0, "0000", {})))
    page = read("docs/results.md")
    assert all(f"`{baseline.name}`" in page for baseline in made)
    assert f"T = {DEFAULT_DISTILLATION['temperature']:g}, `soft_weight` = {DEFAULT_DISTILLATION['soft_weight']}" in page


# All pages: links, commands, TOML


def pages() -> list[str]:
    hidden = (".", "build", "data", "results", "venv")
    found = (path.relative_to(PROJECT) for path in PROJECT.rglob("*.md"))
    return sorted(str(path) for path in found if not path.parts[0].startswith(hidden))


every_page = pytest.mark.parametrize("page", pages())


def anchors(page: str) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", without_code(read(page)), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@every_page
def test_links_between_files_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(read(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (PROJECT / page).parent / path if path else PROJECT / page
        assert linked.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in anchors(str(linked.resolve().relative_to(PROJECT))), f"{page} links to {target}"


def commands(page: str) -> Iterator[list[str]]:
    """The words of every `python -m distill_tune.NAME ...` in code; in a sentence, the bare name is no command."""
    text = read(page)
    indented = [line for line in text.splitlines() if line.startswith("    ")]
    fenced = [line for block in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S) for line in block.splitlines()]
    inline = re.findall(r"(?<!`)`([^`\n]+ [^`\n]+ [^`\n]+ [^`\n]+)`(?!`)", without_code(text))
    for line in (*indented, *fenced, *inline):
        if "python -m distill_tune." in line:
            yield shlex.split(line[line.index("python -m distill_tune.") :].partition(" # ")[0])


@every_page
def test_commands_are_understood(page: str) -> None:
    for _, _, module, *arguments in commands(page):
        importlib.import_module(module).parser().parse_args([each.strip("[]") for each in arguments])


def test_the_readme_has_a_command_of_each_kind() -> None:
    assert {words[2] for words in commands("README.md")} == {
        f"distill_tune.{name}" for name in ("search", "train", "predict")
    }


@pytest.mark.parametrize("name", ["search", "train", "predict"])
def test_configuration_lists_every_option_of_a_command(name: str) -> None:
    parser = importlib.import_module(f"distill_tune.{name}").parser()
    lines = [line for line in parser.format_help().splitlines() if re.match(r"  -+\w", line)]
    options = {re.findall(r"--[a-z][\w-]*", line)[0] for line in lines}
    row = next(row for row in rows_of("The command line", "command") if f"distill_tune.{name}" in row["command"])
    assert set(names_in(row["arguments"])) == options - {"--help", "--version"}


@every_page
def test_toml_of_a_page_is_a_space_that_can_be_searched(page: str, example: Path) -> None:
    for block in re.findall(r"^```toml\n(.*?)^```", read(page), flags=re.MULTILINE | re.DOTALL):
        assert Space.parse(tomllib.loads(block)).ranges


def test_settings_that_configuration_shows_can_be_laid_over_its_example(example: Path) -> None:
    lines = [line for line in read("docs/configuration.md").splitlines() if line.startswith("    --set")]
    assert lines
    for line in lines:
        words = shlex.split(re.split(r"\s{3,}", line.strip())[0])  # what follows is a comment
        load_space(example / "my_space.toml", [word for word in words if word != "--set"])
