"""A configuration that breaks a rule: its error names the key, the rule, the value and a fix."""

from pathlib import Path

import pytest
from good import SPACE, Refuse


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("loss.temprature=3", "loss.temprature: unknown key. Did you mean 'temperature'? Known: kind, "),
        ("serach.trials=3", "[serach]: unknown section. Did you mean 'search'?"),
        ("search.trials='3'", "search.trials: must be an integer, but got '3'. Write 3 without quotes."),
        ("student.mlp.width={ choice = [] }", "student.mlp.width: must have at least one value to choose from"),
        ("student.mlp.width={ choice = [4, { int = [8, 9] }] }", "a choice is of values, but { int = [8, 9] } is"),
        ("student.mlp.width={ int = [8, 4] }", "student.mlp.width: low < high must hold, but got { int = [8, 4] }."),
        ("optim.learning_rate={ log = [0, 1] }", "optim.learning_rate: low > 0 must hold for log, but got"),
        ("student.family=mpl", "student.family: no student family is named 'mpl'. Did you mean 'mlp'? Known: "),
        ("data.source=cvs", "data.source: no data source is named 'cvs'. Did you mean 'csv'? Known: blobs, csv, "),
        ("teacher.source=keras3", "teacher.source: no teacher source is named 'keras3'. Did you mean 'keras'?"),
        ("student.family=absent:net", "student.family: 'absent:net': there is no module 'absent' in "),
        ("search.trials={ int = [1, 9] }", "[search] is the same for every trial; [student], [loss], [optim], ["),
        ("loss={ kind = 'sp', soft_weight = 1 }", "loss.soft_weight: must be below 1 with kind = 'sp', which does "),
        ("confirm.seeds=1", "confirm.seeds: must be at least 2, but got 1."),
        ("resources.workers_per_trial=3", "optim.batch_size: must be a multiple of resources.workers_per_trial (3)"),
    ],
)  # fmt: skip
def test_a_configuration_that_breaks_a_rule(refuse: Refuse, setting: str, said: str) -> None:
    assert said in refuse(setting)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("9" * 5000, "has a number of more than 4,300 digits; shorten it."),
        ("[" * 5000 + "]" * 5000, "has lists or tables that are nested too deeply; flatten them."),
        ("{a=" * 5000 + "3" + "}" * 5000, "has lists or tables that are nested too deeply; flatten them."),
    ],
)
def test_toml_that_is_more_than_can_be_read(refuse: Refuse, folder: Path, text: str, said: str) -> None:
    told = refuse(f"loss.temperature={text}")
    assert told.startswith("error: --set loss.temperature=")
    assert told.endswith(f": {said}\n")
    assert len(told) < 250
    (folder / "space.toml").write_text(f"{SPACE}depth = {text}\n")
    assert refuse() == f"error: space.toml: {said}\n"


def test_rows_that_no_machine_has_the_memory_for(refuse: Refuse) -> None:
    told = refuse("data.source=blobs", "data.blobs.samples=1_000_000_000_000")
    assert "data.blobs.samples: 1,000,000,000,000 samples of 20 features need 160 TB, but this machine has " in told


def test_a_file_that_breaks_a_rule_is_named(refuse: Refuse, folder: Path) -> None:
    (folder / "space.toml").write_text(SPACE.replace("width =", "widht ="))
    assert refuse().startswith("error: space.toml: student.mlp.widht: unknown key. Did you mean 'width'?")
