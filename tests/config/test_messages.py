"""What is wrong with a configuration is said in one line: the key, the rule, the value and the way out."""

import pickle
import re
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_tune.config import Config, Space
from distill_tune.config.messages import BrokenRule, dotted, shown
from distill_tune.config.sections import SECTIONS
from distill_tune.errors import ConfigError
from distill_tune.registry import LOSSES

SMALLEST = "data.source = 'digits'\nstudent.family = 'mlp'\n"
KINDS = "Known: choice, int, log, log_int, uniform."
SECTION_NAMES = "data, teacher, student, loss, optim, regularization, augmentation, limits, search, resources, confirm"
STUDENT_KEYS = "family, init, convnet, mlp, resnet, default, gaussian, inherit, inherit_progressive, truncate"
TEACHERS_LOSSES = "attention, crd, dist, dkd, hint, logit_standardization, mlkd, mse_logits, pkt, reviewkd, rkd, "
TEACHERS_LOSSES += "soft_targets, sp, vid"
LOSS_KEYS = (
    "Known: kind, temperature, temperature_end, soft_weight, soft_weight_end, schedule, also, attention, crd, dist, "
    "dkd, hint, label_smoothing, labels, logit_standardization, mlkd, mse_logits, pkt, reviewkd, rkd, soft_targets, "
    "sp, vid."
)
TRANSFORMS = "color, crop, cutmix, cutout, flip, mixup, noise, rotation, shift, swap"


def parse(lines: str) -> Space:
    """The smallest configuration with further lines over it."""
    tables: dict[str, Any] = tomllib.loads(SMALLEST)
    for section, table in tomllib.loads(lines).items():
        both = isinstance(table, dict) and section in tables
        tables[section] = {**tables[section], **table} if both else table
    return Space.parse(tables)


def refused(lines: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(lines)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    return str(caught.value)


def check(lines: str, said: str) -> None:
    assert refused(lines) == said


def cases(text: str) -> Any:
    """Each case is a line of a configuration and, indented below, what is said about it."""
    found = re.findall(r"^(\S.*)\n((?: +.*\n)+)", text, flags=re.MULTILINE)
    return pytest.mark.parametrize(("line", "said"), [(line, " ".join(said.split())) for line, said in found])


@cases("""
loss.temperature = -3
    loss.temperature: must be greater than 0, but got -3.
loss.temperature = 'four'
    loss.temperature: must be a number, but got 'four'.
loss.temperature = '4'
    loss.temperature: must be a number, but got '4'. Write 4 without quotes.
loss.temperature = true
    loss.temperature: must be a number, but got true.
loss.temperature = nan
    loss.temperature: must be a finite number, but got nan.
loss.temperature = inf
    loss.temperature: must be a finite number, but got inf.
loss.temperature = []
    loss.temperature: must be a number, but got [].
loss.temperature = { low = 1, high = 2 }
    loss.temperature: must be a number, but got { low = 1, high = 2 }.
loss.soft_weight = 1.5
    loss.soft_weight: must be at most 1, but got 1.5.
limits.max_parameters = 25000.0
    limits.max_parameters: must be an integer, but got 25000.0. Write 25000.
limits.max_parameters = 0
    limits.max_parameters: must be at least 1, but got 0.
search.trials = true
    search.trials: must be an integer, but got true.
search.objectives = []
    search.objectives: must have at least 1 item, but got [].
search.objectives = 5
    search.objectives: must be a list, but got 5.
confirm.seeds = 1
    confirm.seeds: must be at least 2, but got 1.
data.path = 5
    data.path: must be a string, but got 5. Write '5' in quotes.
data.seed = -1
    data.seed: must be at least 0, but got -1.
data.validation = 1
    data.validation: must be less than 1, but got 1.
student.convnet.separable = 1
    student.convnet.separable: must be true or false, but got 1.
student.mlp.widths = [20, 'a']
    student.mlp.widths[1]: must be an integer, but got 'a'.
teacher = { family = 'mlp', views = true }
    teacher.views: must be an integer, but got true.
augmentation.shift = 0.5
    augmentation.shift: must be an integer, but got 0.5.
optim.sgd.momentum = 1
    optim.sgd.momentum: must be less than 1, but got 1.
optim.schedule = 'cosin'
    optim.schedule: must be 'constant', 'cosine', 'one_cycle' or 'step', but got 'cosin'.
    Did you mean 'cosine'?
search = { min_epochs = 9, max_epochs = 3 }
    search.min_epochs: must be at most search.max_epochs (3), but got 9.
""")
def test_a_value_of_a_wrong_kind_or_size(line: str, said: str) -> None:
    check(line, said)


METRICS = "'val/accuracy', 'val/loss', 'val/worst_class_accuracy', 'val/corrupted_accuracy'"
BEGINS = "must begin with a metric of validation, by which the winner is named, but begins with"


@cases(f"""
search.objectives = 'val/los'
    search.objectives: must be {METRICS}, 'parameters', 'multiply_adds' or 'latency_ms', but got 'val/los'.
    Did you mean 'val/loss'?
search.objectives = ['val/accuracy', 'parameter']
    search.objectives[1]: must be {METRICS}, 'parameters', 'multiply_adds' or 'latency_ms', but got 'parameter'.
    Did you mean 'parameters'?
search.objectives = ['val/accuracy', 'parameters', 'val/accuracy']
    search.objectives: must name each objective once, but got 'val/accuracy' twice.
search.objectives = ['parameters', 'val/accuracy']
    search.objectives: {BEGINS} 'parameters'; write ['val/accuracy', 'parameters'].
search.objectives = 'multiply_adds'
    search.objectives: {BEGINS} 'multiply_adds'; write ['val/accuracy', 'multiply_adds'].
search = {{ objectives = ['val/accuracy', 'latency_ms'], sampler = 'cmaes' }}
    search.sampler: 'cmaes' knows one objective, but search.objectives has 2;
    use one of gp, grid, nsgaii, qmc, random, tpe.
""")
def test_objectives_that_do_not_go_together(line: str, said: str) -> None:
    check(line, said)


@cases(f"""
serach.trials = 3
    [serach]: unknown section. Did you mean 'search'? Known: {SECTION_NAMES}.
trials = 3
    trials: a key must stand in a section. Did you mean search.trials?
zzz = 3
    zzz: a key must stand in a section. Sections: {SECTION_NAMES}.
loss = 'labels'
    [loss]: must be a section with keys of its own, but got 'labels'.
loss.temprature = 3
    loss.temprature: unknown key. Did you mean 'temperature'? {LOSS_KEYS}
loss.temprature = {{ log = [1, 2] }}
    loss.temprature: unknown key. Did you mean 'temperature'? {LOSS_KEYS}
loss.batch_size = 3
    loss.batch_size: unknown key. {LOSS_KEYS} Did you mean optim.batch_size?
loss.also.hnit = 1
    loss.also.hnit: no loss is named 'hnit'. Did you mean 'hint'? Known: {TEACHERS_LOSSES}.
loss.also.labels = 1
    loss.also.labels: has no term to add: it is of labels alone.
loss.also.hint = -1
    loss.also.hint: must be at least 0, but got -1.
loss.also = 'hint'
    loss.also: must be a table, but got 'hint'.
augmentation.shfit = 1
    augmentation.shfit: unknown key. Did you mean 'shift'? Known: {TRANSFORMS}.
student.kernel = 3
    student.kernel: unknown key. Known: {STUDENT_KEYS}. Did you mean student.convnet.kernel?
student.convnet.widht = 3
    student.convnet.widht: unknown key. Did you mean 'width'?
    Known: width, depth, kernel, norm, separable, first_stride.
student.mlp = 3
    student.mlp: must be a table of options, but got 3.
student.family = 'convnte'
    student.family: no student family is named 'convnte'. Did you mean 'convnet'? Known: convnet, mlp, resnet.
student.family = 3
    student.family: must be a string, but got 3. Write '3' in quotes.
optim.kind = 'sdg'
    optim.kind: no optimizer is named 'sdg'. Did you mean 'sgd'? Known: adamw, sgd.
teacher.source = 'logits'
    teacher.path: this key is required with source = 'logits'.
teacher.source = 'train'
    teacher.family: this key is required with source = 'train'.
teacher = {{ source = 'torch', path = 'x' }}
    teacher.torch.factory: this key is required.
data.source = 'csv'
    data.path: this key is required with source = 'csv'.
""")
def test_a_key_or_name_that_is_not_known_or_is_missing(line: str, said: str) -> None:
    check(line, said)


SAYS_IT = "Write 0.9 in place of 1, or add a term that does, such as loss.also.soft_targets = 1.0."


@cases(f"""
loss = {{ kind = 'hint', soft_weight = 1 }}
    loss.soft_weight: must be below 1 with kind = 'hint', which does not say which class is which, but got 1. {SAYS_IT}
loss = {{ kind = ['soft_targets', 'sp'], soft_weight = 1.0 }}
    loss.soft_weight: must be below 1 with kind = 'sp', which does not say which class is which, but got 1.0. {SAYS_IT}
loss = {{ kind = 'rkd', soft_weight = {{ choice = [0.5, 1.0] }} }}
    loss.soft_weight: must be below 1 with kind = 'rkd', which does not say which class is which,
    but got {{ choice = [0.5, 1.0] }}. {SAYS_IT}
loss = {{ kind = 'crd', soft_weight = 1, soft_weight_end = 1 }}
    loss.soft_weight: must be below 1 with kind = 'crd', which does not say which class is which, but got 1. {SAYS_IT}
loss = {{ kind = 'crd', soft_weight = 1, soft_weight_end = {{ choice = [0.5, 1] }} }}
    loss.soft_weight: must be below 1 with kind = 'crd', which does not say which class is which, but got 1. {SAYS_IT}
loss = {{ kind = 'vid', soft_weight = 1, also = {{ pkt = 1 }} }}
    loss.soft_weight: must be below 1 with kind = 'vid', which does not say which class is which, but got 1. {SAYS_IT}
loss = {{ kind = 'vid', soft_weight = 1, also = {{ dkd = 0 }} }}
    loss.soft_weight: must be below 1 with kind = 'vid', which does not say which class is which, but got 1. {SAYS_IT}
loss = {{ kind = 'vid', soft_weight = 1, also = {{ dkd = {{ choice = [0, 1] }} }} }}
    loss.soft_weight: must be below 1 with kind = 'vid', which does not say which class is which, but got 1. {SAYS_IT}
""")
def test_a_weight_that_leaves_nobody_to_say_which_class_is_which(line: str, said: str) -> None:
    check(line, said)


@pytest.mark.parametrize("kind", LOSSES.names)
def test_only_the_losses_that_compare_features_or_samples_alone_cannot_have_all_the_weight(kind: str) -> None:
    lines = f"loss = {{ kind = '{kind}', soft_weight = 1 }}"
    if kind in ("attention", "crd", "hint", "pkt", "reviewkd", "rkd", "sp", "vid"):
        assert f"with kind = {kind!r}" in refused(lines)
    else:
        parse(lines)


@pytest.mark.parametrize(
    "loss",
    [
        "{ kind = 'hint', soft_weight = 0.9, soft_weight_end = 1 }",
        "{ kind = 'hint', soft_weight = 1, soft_weight_end = 0.9 }",
        "{ kind = 'hint', soft_weight = 1, soft_weight_end = { uniform = [0, 1] } }",
        "{ kind = 'hint', soft_weight = { uniform = [0, 1] } }",
        "{ kind = 'hint', soft_weight = 1, also = { pkt = 1, soft_targets = 0.1 } }",
        "{ kind = 'hint', soft_weight = 1, also = { soft_targets = { uniform = [0, 1] } } }",
        "{ kind = 'soft_targets', soft_weight = 1, also = { hint = 1 } }",
        "{ kind = 'labels', soft_weight = 1, also = { hint = 1 } }",
    ],
)
def test_a_weight_of_1_is_allowed_where_somebody_says_which_class_is_which(loss: str) -> None:
    parse(f"loss = {loss}")


@pytest.mark.parametrize(("missing", "key"), [("data", "source"), ("student", "family")])
def test_a_section_that_is_missing(missing: str, key: str) -> None:
    tables = {name: table for name, table in tomllib.loads(SMALLEST).items() if name != missing}
    with pytest.raises(ConfigError) as caught:
        Space.parse(tables)
    assert str(caught.value) == f"[{missing}]: this section is required; it needs {missing}.{key} at least."


@cases(f"""
{{ log = [0, 1] }}
    low > 0 must hold for log, but got {{ log = [0, 1] }}. Use uniform, or a positive low.
{{ log_int = [0, 3] }}
    low > 0 must hold for log_int, but got {{ log_int = [0, 3] }}. Use int, or a positive low.
{{ uniform = [3, 1] }}
    low < high must hold, but got {{ uniform = [3, 1] }}. Write {{ uniform = [1, 3] }}.
{{ int = [2, 2] }}
    low < high must hold, but got {{ int = [2, 2] }}. Write the value itself, 2.
{{ int = [1.5, 4] }}
    the ends of int must be integers, but got {{ int = [1.5, 4] }}. For numbers in between, write
    {{ uniform = [1.5, 4] }}.
{{ log = [1] }}
    must be {{ log = [low, high] }} with two numbers, but got {{ log = [1] }}.
{{ log = [1, nan] }}
    must be {{ log = [low, high] }} with two numbers, but got {{ log = [1, nan] }}.
{{ log = [1, inf] }}
    must be {{ log = [low, high] }} with two numbers, but got {{ log = [1, inf] }}.
{{ log = [true, 2] }}
    must be {{ log = [low, high] }} with two numbers, but got {{ log = [true, 2] }}.
{{ log = 3 }}
    must be {{ log = [low, high] }} with two numbers, but got {{ log = 3 }}.
{{ int = [1, 1_000_000_000_000_000_000] }}
    a range must lie between -2^53 and 2^53, but got {{ int = [1, 1000000000000000000] }}.
{{ choice = [] }}
    must have at least one value to choose from, but got [].
{{ choice = 3 }}
    must have at least one value to choose from, but got 3.
{{ choice = [1, 2, 1] }}
    the values of a choice must differ, but 1 stands twice in [1, 2, 1].
{{ choice = [1, nan] }}
    a choice is of finite numbers, strings, booleans and lists of them, but got [1, nan].
{{ choice = [2020-01-01] }}
    a choice is of finite numbers, strings, booleans and lists of them, but got [2020-01-01].
{{ choice = [1, 'a'] }}
    must be a number, but got 'a'.
{{ unifrom = [0, 1] }}
    'unifrom' is no kind of range. Did you mean 'uniform'? {KINDS}
{{ zzz = [0, 1] }}
    must be a number, but got {{ zzz = [0, 1] }}. 'zzz' is no kind of range. {KINDS}
{{ uniform = [-1, 4] }}
    must be greater than 0, but got -1.0. Every value of {{ uniform = [-1.0, 4.0] }} must be allowed.
[1, 2, 4]
    must be a number, but got [1, 2, 4]. To choose one of them, write {{ choice = [1, 2, 4] }}.
""")
def test_a_range_that_is_none(line: str, said: str) -> None:
    check(f"loss.temperature = {line}", f"loss.temperature: {said}")


@cases("""
mlp.width = { uniform = [4, 8] }
    mlp.width: must be an integer, but got 4.0. Write { int = [4, 8] }.
mlp.width = { log = [3.5, 8] }
    mlp.width: must be an integer, but got 3.5. Write { log_int = [4, 8] }.
mlp.width = { uniform = [4.2, 4.8] }
    mlp.width: must be an integer, but got 4.2. There are no two integers in { uniform = [4.2, 4.8] }.
mlp.activation = { int = [0, 1] }
    mlp.activation: must be 'relu', 'gelu' or 'silu', but got 0.
    Write { choice = [...] } with those to choose from.
mlp.widths = [[20], [30]]
    mlp.widths[0]: must be an integer, but got [20]. To choose one of several lists, write
    { choice = [[...], [...]] }.
mlp.widths = { choice = [[20], [30, 0]] }
    mlp.widths[1]: must be at least 1, but got 0.
convnet.separable = { int = [0, 1] }
    convnet.separable: must be true or false, but got 0. Write { choice = [false, true] }.
convnet.kernel = { int = [3, 5] }
    convnet.kernel: must be 3 or 5, but got 4. Write { choice = [...] } with those to choose from.
resnet.depth = { int = [1, 90] }
    resnet.depth: must be at most 8, but got 90. Every value of { int = [1, 90] } must be allowed.
family = []
    family: must have at least one value to choose from, but got [].
family = ['mlp', 'mlp']
    family: the values of a choice must differ, but 'mlp' stands twice in ['mlp', 'mlp'].
family = ['mlp', 'convnte']
    family: no student family is named 'convnte'. Did you mean 'convnet'? Known: convnet, mlp, resnet.
""")
def test_a_range_of_a_kind_that_does_not_fit_the_key(line: str, said: str) -> None:
    check(f"student.{line}", f"student.{said}")


@cases("""
data.validation = { uniform = [0.1, 0.2] }
    data.validation: must be a number, but got { uniform = [0.1, 0.2] }.
data.source = { choice = ['digits'] }
    data.source: must be a string, but got { choice = ['digits'] }.
teacher.family = ['mlp', 'convnet']
    teacher.family: must be a string, but got ['mlp', 'convnet'].
teacher = { family = 'mlp', convnet = { width = { choice = [8, 16] } } }
    teacher.convnet.width: must be an integer, but got { choice = [8, 16] }.
teacher = { family = 'mlp', train = { augmentation = { shift = { choice = [0, 1] } } } }
    teacher.train.augmentation.shift: must be a number, but got { choice = [0, 1] }.
limits.max_parameters = { int = [1, 2] }
    limits.max_parameters: must be an integer, but got { int = [1, 2] }.
search.trials = { int = [1, 2] }
    search.trials: must be an integer, but got { int = [1, 2] }.
resources.workers_per_trial = { choice = [1, 2] }
    resources.workers_per_trial: must be an integer, but got { choice = [1, 2] }.
confirm.top = { choice = [1, 2] }
    confirm.top: must be an integer, but got { choice = [1, 2] }.
""")
def test_a_range_in_a_section_that_is_the_same_for_every_trial(line: str, said: str) -> None:
    section = said.partition(".")[0]
    able = "[student], [loss], [optim], [regularization] and [augmentation]"
    cure = f"[{section}] is the same for every trial; {able} may have ranges."
    check(line, f"{said} {cure}")


@cases("""
3, batch_size = 64
    (3), but got 64. Each worker gets an equal part; write 63 or 66.
128, batch_size = 64
    (128), but got 64. Each worker gets an equal part; write 128.
2, batch_size = { choice = [32, 65] }
    (2), but got 65. Each worker gets an equal part; write 64 or 66.
2, batch_size = { int = [32, 64] }
    (2), but got 33. Every value of { int = [32, 64] } must be allowed.
8, batch_size = { log_int = [32, 3200] }
    (8), but got 33. Every value of { log_int = [32, 3200] } must be allowed.
""")
def test_a_batch_that_cannot_be_dealt_out_to_the_workers(line: str, said: str) -> None:
    workers, batch = line.split(", ", maxsplit=1)
    lines = f"resources.workers_per_trial = {workers}\noptim.{batch}"
    check(lines, f"optim.batch_size: must be a multiple of resources.workers_per_trial {said}")


@cases("""
gpus_per_worker = 1.5
    above 1, but got 1.5. Write 2.
gpus_per_worker = 0.5, workers_per_trial = 2
    where a trial has 2 workers, but got 0.5. Write 1.
gpus_per_worker = 2.5, workers_per_trial = 2
    above 1, but got 2.5. Write 2.
""")
def test_parts_of_gpus_that_cannot_be_given(line: str, said: str) -> None:
    check(f"resources = {{ {line} }}", f"resources.gpus_per_worker: must be whole {said}")


@pytest.mark.parametrize("line", ["gpus_per_worker = 0.25", "gpus_per_worker = 2, workers_per_trial = 2"])
def test_gpus_that_can_be_given(line: str) -> None:
    assert parse(f"resources = {{ {line} }}").config.resources.gpus_per_worker


@pytest.mark.parametrize("text", ["'10'", "'0m'", "'-3m'", "'10x'", "''", "10", "'1 m 3 s'"])
def test_a_time_that_is_no_duration(text: str) -> None:
    check(
        f"search.time = {text}",
        f"search.time: must be a positive number and a unit, such as '90s', '10m', '1.5h' or '2d', but got {text}.",
    )


@pytest.mark.parametrize("samples", ["0", "-1", "1.0", "1.5", "0.0", "100.0"])
def test_student_samples_that_are_neither_a_count_nor_a_share(samples: str) -> None:
    rule = "must be a count (an integer from 1 on) or a share (a number between 0 and 1)"
    check(f"data.student_samples = {samples}", f"data.student_samples: {rule}, but got {samples}.")


@pytest.mark.parametrize(("samples", "read"), [("1", 1), ("1_000", 1000), ("0.5", 0.5)])
def test_student_samples_are_a_count_or_a_share(samples: str, read: float) -> None:
    found = parse(f"data.student_samples = {samples}").config.data.student_samples
    assert found == read
    assert type(found) is type(read)


def test_a_rule_about_several_options_of_an_entry_names_section_and_table() -> None:
    said = refused("data = { source = 'blobs', blobs = { features = 5, informative = 9 } }")
    assert said == "data.blobs.informative: must be at most blobs.features (5), but got 9."


def test_options_of_what_is_not_chosen_are_checked_too() -> None:
    assert "optim.adamw.beta1: must be less than 1" in refused("optim = { kind = 'sgd', adamw = { beta1 = 2.0 } }")


def test_a_value_with_line_breaks_or_of_great_length_stays_one_short_line() -> None:
    said = refused(f'optim.schedule = "a\\nb{"c" * 5000}"')
    assert "\n" not in said
    assert len(said) < 250


# One's own entries


def test_ones_own_family_is_checked_like_any_other(own_module: Callable[[str, str], None]) -> None:
    own_module("my_models", "def net(input_shape, classes, width: int, deep: bool = False): ...")
    chosen = "student.family = ['mlp', 'my_models:net']\n"
    table = 'student."my_models:net"'
    assert parse(f"{chosen}{table} = {{ width = 3 }}").config.student.tables == {"my_models:net": {"width": 3}}
    check(chosen, f"{table}.width: this key is required.")
    check(
        f"{chosen}{table} = {{ width = 3, wdith = 3 }}",
        f"{table}.wdith: unknown key. Did you mean 'width'? Known: width, deep.",
    )
    check(
        f"{chosen}{table} = {{ width = {{ unifrom = [1, 3] }} }}",
        f"{table}.width: 'unifrom' is no kind of range. Did you mean 'uniform'? {KINDS}",
    )
    check(
        f"{chosen}{table} = {{ width = {{ uniform = [1.5, 3.5] }} }}",
        f"{table}.width: must be an integer, but got 1.5. Every value of {{ uniform = [1.5, 3.5] }} must be allowed.",
    )


def test_a_teacher_of_ones_own_family_takes_its_options(own_module: Callable[[str, str], None]) -> None:
    own_module("my_models", "def net(input_shape, classes, width: int): ...")
    table = 'teacher."my_models:net"'
    check("teacher.family = 'my_models:net'", f"{table}.width: this key is required.")
    assert parse(f"teacher.family = 'my_models:net'\n{table}.width = 3").config.teacher.tables


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import absent_thing", "ModuleNotFoundError: No module named 'absent_thing' ({path}, line 1)."),
        ("import absent.thing", "ModuleNotFoundError: No module named 'absent' ({path}, line 1)."),
        ("\n1 / 0", "ZeroDivisionError: division by zero ({path}, line 2)."),
        ("raise SystemExit(0)", "SystemExit: 0 ({path}, line 1)."),
        ("x = = 1", "SyntaxError: invalid syntax (broken.py, line 1)."),
    ],
)
def test_a_module_that_cannot_be_imported_says_why_and_where(
    own_module: Callable[[str, str], None], tmp_path: Any, text: str, reason: str
) -> None:
    own_module("broken", text)
    told = reason.format(path=tmp_path / "broken.py")
    check("student.family = 'broken:net'", f"student.family: 'broken:net': broken cannot be imported: {told}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("my_models:nte", "'my_models:nte': module 'my_models' has no 'nte'. Did you mean 'my_models:net'?"),
        ("my_models:", "'my_models:': must be written 'package.module:name'."),
        (":net", "':net': must be written 'package.module:name'."),
        ("my-models:net", "'my-models:net': must be written 'package.module:name'."),
        (
            "my_models:number",
            "'my_models:number' is no student family: it must be a class that inherits from "
            "distill_tune.students:Student.",
        ),
        (
            "my_models:Loss",
            "'my_models:Loss' is no student family: it must be a class that inherits from "
            "distill_tune.students:Student.",
        ),
    ],
)
def test_a_dotted_path_that_leads_to_no_family(own_module: Callable[[str, str], None], name: str, said: str) -> None:
    own_module("my_models", "from distill_tune.distillation.losses import Loss\nnumber = 3\ndef net(): ...")
    check(f"student.family = '{name}'", f"student.family: {said}")


@pytest.mark.parametrize(
    ("name", "but_is"),
    [
        ("instance", "but is an object of class Linear; name what makes one."),
        ("partial", "but is an object of class partial; name what makes one."),
        ("builtin", "but is <class 'dict'>, which does not say what it takes."),
    ],
)
def test_something_that_can_be_called_but_says_nothing_of_its_options_is_no_family(
    own_module: Callable[[str, str], None], name: str, but_is: str
) -> None:
    text = "import functools, torch\ndef net(input_shape, classes): ...\nbuiltin = dict\n"
    own_module("my_models", f"{text}instance = torch.nn.Linear(2, 2)\npartial = functools.partial(net)")
    rule = f"'my_models:{name}': must be a function or an nn.Module class"
    check(f"student.family = ['mlp', 'my_models:{name}']", f"student.family: {rule}, {but_is}")


def test_a_module_that_does_not_exist() -> None:
    said = refused("student.family = 'no_such_module.at_all:net'")
    assert "there is no module 'no_such_module' in " in said


@pytest.mark.parametrize("value", ["2026-11-25", "2026-11-25T12:00:00", "12:00:00", "inf", "-inf", "nan"])
@pytest.mark.parametrize(("place", "key"), [("x = {}", "x"), ("x = [1, [{}]]", "x[1][0]"), ("x.below = {}", "x.below")])
@pytest.mark.parametrize("table", ['student."my_models:net"', "teacher.torch.arguments", "teacher.timm.arguments"])
def test_a_value_that_no_record_of_the_search_could_hold(
    own_module: Callable[[str, str], None], table: str, place: str, key: str, value: str
) -> None:
    own_module("my_models", "def net(input_shape, classes, **options): ...")
    chosen = "student.family = 'my_models:net'\nteacher.family = 'mlp'\n"
    chosen += "teacher.torch.factory = 'my_models:net'\nteacher.timm.model = 'resnet18'\n"
    assert parse(f"{chosen}{table}.{place.format(3)}")
    rule = "must be a finite number, text, true or false, or lists and tables of them"
    check(f"{chosen}{table}.{place.format(value)}", f"{table}.{key}: {rule}, but got {value.replace('T', ' ')}.")


@cases("""
flipp = 0.5
    .flipp: unknown key. Did you mean 'flip'? Known: color, crop, cutmix, cutout,
flip = 7
    .flip: must be at most 1, but got 7.
shift = 'a'
    .shift: must be a number, but got 'a'.
'absent:Turn' = 1
    ."absent:Turn": 'absent:Turn': there is no module 'absent' in
""")
def test_the_augmentation_of_a_teacher_that_is_trained_here_is_checked_like_any_other(line: str, said: str) -> None:
    key, _, amount = line.partition(" = ")
    told = refused(f"teacher.family = 'mlp'\nteacher.train.augmentation.{key} = {amount}")
    assert told.startswith(f"teacher.train.augmentation{said}")


@pytest.mark.parametrize("key", ["search.trials", "data.passes", "teacher.views", "optim.batch_size", "confirm.top"])
def test_a_count_beyond_all_counting(key: str) -> None:
    assert parse(f"{key} = {2**53}\nteacher.family = 'mlp'")
    check(f"{key} = {2**53 + 1}\nteacher.family = 'mlp'", f"{key}: must be at most 2^53, but got {2**53 + 1}.")
    assert f"{key}: must be at most 2^53, but got 1000" in refused(f"{key} = {10**400}\nteacher.family = 'mlp'")


def test_what_is_nested_too_deeply_is_refused_and_what_is_not_is_kept(own_module: Callable[[str, str], None]) -> None:
    own_module("my_models", "def net(input_shape, classes, **options): ...")
    chosen = "student.family = 'my_models:net'\nstudent.'my_models:net'.x = "
    deepest = 29  # below section, name and key
    assert parse(f"{chosen}{'[' * deepest}{']' * deepest}")
    said = 'student."my_models:net".x: must not be nested more than 32 deep; flatten it.'
    check(f"{chosen}{'[' * deepest}[3]{']' * deepest}", said)
    check(f"{chosen}{'{a=' * 99}3{'}' * 99}", said)


def test_the_corners_of_a_cube_are_not_counted_one_by_one() -> None:
    blobs = "data = { source = 'blobs', blobs = { classes = 2, features = 9007199254740992, informative = "
    assert parse(f"{blobs}9007199254740992 }} }}")
    check(f"{blobs}1 }} }}", "data.blobs.informative: must be at least 2 for 2 classes, but got 1.")


def test_a_choice_of_tables_is_refused_with_the_way_to_write_it() -> None:
    cure = "Write the range at the key inside the table."
    rule = "a choice is of finite numbers, strings, booleans and lists of them, but { hint = 0.1 } is a table."
    for values in ("[{ hint = 0.1 }, { attention = 0.1 }]", "[[1, { hint = 0.1 }]]"):
        check(f"loss.also = {{ choice = {values} }}", f"loss.also: {rule} {cure}")
        check(f"student.mlp = {{ choice = {values} }}", f"student.mlp: {rule} {cure}")


# Whatever stands in a key


KEYS = [(name, key) for name, model in SECTIONS.items() for key in [*model.model_fields, "mlp", "shift", "sgd", "zzz"]]
scalars = st.one_of(
    st.booleans(), st.integers(), st.integers(0, 300), st.floats(), st.text(max_size=8), st.dates(),
    st.sampled_from(["mlp", "labels", "convnet", "digits", "10m", "a:b", 10**400]),
)  # fmt: skip
names = st.sampled_from(["choice", "int", "log", "log_int", "uniform", "unifrom", "width", "widths", "momentum", "x y"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=2), max_leaves=6
)


def said_of(tables: dict[str, Any]) -> str:
    """What is wrong with the tables; nothing where they are a space."""
    try:
        assert isinstance(Space.parse(tables).config, Config)
    except ConfigError as error:
        return str(error)
    return ""


@given(st.dictionaries(st.sampled_from(KEYS), values, min_size=1, max_size=3))
def test_whatever_stands_in_a_key_the_answer_is_a_space_or_one_line(changes: dict[tuple[str, str], Any]) -> None:
    tables: dict[str, Any] = tomllib.loads(SMALLEST)
    for (section, key), value in changes.items():
        tables.setdefault(section, {})[key] = value
    said = said_of(tables)
    assert len(said.splitlines()) <= 1


@given(st.dictionaries(st.sampled_from(["data", "loss", "zzz", "student"]), values, max_size=3))
def test_whatever_stands_in_a_section_the_answer_is_a_space_or_one_line(sections: dict[str, Any]) -> None:
    assert len(said_of(tomllib.loads(SMALLEST) | sections).splitlines()) <= 1


def test_keys_are_quoted_where_toml_needs_it() -> None:
    assert dotted(("student", "my_models:net", "widths", 1)) == 'student."my_models:net".widths[1]'
    assert dotted(("a-b", 'say "x"')) == r'a-b."say \"x\""'


def test_values_are_shown_as_toml() -> None:
    assert shown({"choice": [True, 1.5, "a", {"x y": []}]}) == "{ choice = [true, 1.5, 'a', { \"x y\" = [] }] }"


def test_a_broken_rule_says_its_key_from_wherever_it_is_seen() -> None:
    assert str(BrokenRule(("width",), "must be odd.").within("student", "mlp")) == "student.mlp.width: must be odd."
