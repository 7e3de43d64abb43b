"""Unknown or missing sections, keys and names, and which were meant."""

import tomllib

import pytest
from refusals import SMALLEST, cases, check, refused

from distill_tune.config import Space
from distill_tune.errors import ConfigError
from distill_tune.registry import AUGMENTATIONS, INITIALISATIONS, LOSSES, OPTIMIZERS, STUDENTS

SECTION_NAMES = (
    "data, teacher, student, loss, optim, regularization, augmentation, limits, search, resources, confirm, export"
)
FAMILIES, OPTIMIZER_NAMES = ", ".join(sorted(STUDENTS.names)), ", ".join(sorted(OPTIMIZERS.names))
STUDENT_KEYS = f"family, init, {FAMILIES}, {', '.join(sorted(INITIALISATIONS.names))}"
TEACHERS_LOSSES = ", ".join(name for name in sorted(LOSSES.names) if LOSSES.get(name).uses_teacher)
LOSS_KEYS = "Known: kind, temperature, temperature_end, soft_weight, soft_weight_end, schedule, also, "
LOSS_KEYS += f"{', '.join(sorted(LOSSES.names))}."
TRANSFORMS = ", ".join(sorted(AUGMENTATIONS.names))


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
export.formats = ['pt2', 'onxn']
    export.formats[1]: no format is named 'onxn'. Did you mean 'onnx'? Known: onnx, pt2.
export.formats = ['my_formats:Onnx']
    export.formats[0]: no format is named 'my_formats:Onnx'. Known: onnx, pt2.
loss.also.hint = -1
    loss.also.hint: must be at least 0, but got -1.
loss.also = 'hint'
    loss.also: must be a table, but got 'hint'. Write {{ hint = 1.0 }}, each with its weight.
loss.also = ['hint', 'dist']
    loss.also: must be a table, but got ['hint', 'dist']. Write {{ hint = 1.0, dist = 1.0 }}, each with its weight.
loss.also = [1]
    loss.also: must be a table, but got [1].
optim.paces = ['float32']
    optim.paces: must be a table, but got ['float32'].
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
    student.family: no student family is named 'convnte'. Did you mean 'convnet'? Known: {FAMILIES}.
student.family = 3
    student.family: must be a string, but got 3. Write '3' in quotes.
optim.kind = 'sdg'
    optim.kind: no optimizer is named 'sdg'. Did you mean 'sgd'? Known: {OPTIMIZER_NAMES}.
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


LIMITS = "Known: max_parameters, max_multiply_adds, max_latency_ms."
BYTES = "Write max_parameters, the bytes / 4: weights are float32, of 4 bytes each."


@cases(f"""
limits.max_macs = 3
    limits.max_macs: unknown key. Write max_multiply_adds. {LIMITS}
limits.max_flops = 3
    limits.max_flops: unknown key. Write max_multiply_adds, half the number: each of them is two FLOPs. {LIMITS}
limits.max_bytes = 3
    limits.max_bytes: unknown key. {BYTES} {LIMITS}
limits.max_size = '3MB'
    limits.max_size: unknown key. {BYTES} {LIMITS}
limits.max_latency = 3
    limits.max_latency: unknown key. Did you mean 'max_latency_ms'? {LIMITS}
""")
def test_a_limit_in_another_unit_is_said_in_ours(line: str, said: str) -> None:
    check(line, said)


@pytest.mark.parametrize(("missing", "key"), [("data", "source"), ("student", "family")])
def test_a_section_that_is_missing(missing: str, key: str) -> None:
    tables = {name: table for name, table in tomllib.loads(SMALLEST).items() if name != missing}
    with pytest.raises(ConfigError) as caught:
        Space.parse(tables)
    assert str(caught.value) == f"[{missing}]: this section is required; it needs {missing}.{key} at least."


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
