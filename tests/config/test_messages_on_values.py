"""A wrong value is reported in one line: the key, the rule, the value and a fix."""

import pytest
from refusals import cases, check, parse, refused


@cases("""
loss.temperature = -3
    loss.temperature: must be greater than 0, but got -3.
loss.temperature = 1e-320
    loss.temperature: must be from 1e-6 to 1e6, beyond which single precision gives nothing or NaN, but got 1e-320.
loss.temperature_end = 1e300
    loss.temperature_end: must be from 1e-6 to 1e6, beyond which single precision gives nothing or NaN, but got 1e+300.
loss.temperature = { log = [1e-9, 8] }
    loss.temperature: must be from 1e-6 to 1e6, beyond which single precision gives nothing or NaN, but got 1e-09.
    Every value of { log = [1e-09, 8.0] } must be allowed.
loss.logit_standardization.base_temperature = 1e7
    loss.logit_standardization.base_temperature: must be from 1e-6 to 1e6, beyond which single precision gives nothing
    or NaN, but got 10000000.0.
loss.mlkd.temperatures = [2.0, 1e-7]
    loss.mlkd.temperatures[1]: must be from 1e-6 to 1e6, beyond which single precision gives nothing or NaN, but got
    1e-07.
loss.temperature = 'four'
    loss.temperature: must be a number, but got 'four'.
loss.temperature = '4'
    loss.temperature: must be a number, but got '4'. Write 4 without quotes.
loss.temperature = '.5e-1'
    loss.temperature: must be a number, but got '.5e-1'. Write 0.05.
loss.temperature = '-1.'
    loss.temperature: must be a number, but got '-1.'. Write -1.0.
loss.temperature = '1.5E+3'
    loss.temperature: must be a number, but got '1.5E+3'. Write 1.5E+3 without quotes.
loss.temperature = '.'
    loss.temperature: must be a number, but got '.'.
search.trials = '4.'
    search.trials: must be an integer, but got '4.'. Write 4.
search.trials = '1.5'
    search.trials: must be an integer, but got '1.5'.
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
export.formats = ['onnx', 'pt2', 'onnx']
    export.formats: must name each format once, but got 'onnx' twice.
export.formats = 'onnx'
    export.formats: must be a list, but got 'onnx'.
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


@pytest.mark.parametrize("key", ["search.trials", "data.passes", "teacher.views", "optim.batch_size", "confirm.top"])
def test_a_count_beyond_all_counting(key: str) -> None:
    assert parse(f"{key} = {2**53}\nteacher.family = 'mlp'")
    check(f"{key} = {2**53 + 1}\nteacher.family = 'mlp'", f"{key}: must be at most 2^53, but got {2**53 + 1}.")
    assert f"{key}: must be at most 2^53, but got 1000" in refused(f"{key} = {10**400}\nteacher.family = 'mlp'")


def test_the_corners_of_a_cube_are_not_counted_one_by_one() -> None:
    blobs = "data = { source = 'blobs', blobs = { classes = 2, features = 9007199254740992, informative = "
    assert parse(f"{blobs}9007199254740992 }} }}")
    check(f"{blobs}1 }} }}", "data.blobs.informative: must be at least 2 for 2 classes, but got 1.")
