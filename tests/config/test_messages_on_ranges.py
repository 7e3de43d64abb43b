"""A range that is invalid, does not fit its key, or is where there can be none."""

from refusals import KINDS, cases, check


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
{{ loguniform = [1, 2] }}
    'loguniform' is no kind of range. Did you mean 'log'? {KINDS}
{{ log_uniform = [1, 2] }}
    'log_uniform' is no kind of range. Did you mean 'log'? {KINDS}
{{ log_float = [1, 2] }}
    'log_float' is no kind of range. Did you mean 'log'? {KINDS}
{{ logint = [1, 2] }}
    'logint' is no kind of range. Did you mean 'log_int'? {KINDS}
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
mlp.widths = [{ int = [8, 32] }, { int = [8, 32] }]
    mlp.widths[0]: must be an integer, but got { int = [8, 32] }. A range stands for a whole value; to choose one of
    several lists, write { choice = [[...], [...]] }.
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


def test_a_choice_of_tables_is_refused_with_the_way_to_write_it() -> None:
    cure = "Write the range at the key inside the table."
    rule = "a choice is of finite numbers, strings, booleans and lists of them, but { hint = 0.1 } is a table."
    for values in ("[{ hint = 0.1 }, { attention = 0.1 }]", "[[1, { hint = 0.1 }]]"):
        check(f"loss.also = {{ choice = {values} }}", f"loss.also: {rule} {cure}")
        check(f"student.mlp = {{ choice = {values} }}", f"student.mlp: {rule} {cure}")
