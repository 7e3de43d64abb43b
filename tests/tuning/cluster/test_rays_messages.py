"""Ray's messages to a driver, in brief: the first sentence of each, whole, and once."""

from distill_tune.tuning.cluster.connection import _tell_in_brief

LOST = (
    "The node with node id: {node} and address: 10.0.0.{number} and node name: 10.0.0.{number} has been marked dead "
    "because the detector has missed too many heartbeats from it. This can happen when a (1) raylet crashes."
)


def told(*lines: str) -> list[str]:
    from ray._private import worker

    said: list[str] = []
    undo = _tell_in_brief(said.append)
    try:
        worker.print_to_stdstream({"lines": list(lines)}, False)
    finally:
        undo()
    return said


def test_each_lost_node_is_told_with_its_address() -> None:
    first, second = (LOST.format(node=letter * 8, number=number) for letter, number in (("a", 1), ("b", 2)))
    said = told(first, first, second)
    assert len(said) == 2
    assert said[0].startswith("Ray: The node with node id: aaaaaaaa and address: 10.0.0.1 and ")
    assert said[0].endswith("has missed too many heartbeats from it")


def test_what_has_a_colon_is_told_to_the_end_of_its_sentence() -> None:
    assert told("WARNING: 9 workers have been started on node x. This could be a result of ...") == [
        "Ray: WARNING: 9 workers have been started on node x"
    ]
