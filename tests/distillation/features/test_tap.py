"""Features by name: what hooks catch of a layer's output, and how large it may be."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_networks import IMAGE, Own, hooks_of, network
from torch import Tensor, nn

from distill_tune.distillation.features.anatomy import anatomy_of
from distill_tune.distillation.features.tap import Tap, bounded, bring_down, feature_of, see_hooks_that_come_and_go
from distill_tune.errors import TrainingError

SHAPES = st.one_of(
    st.tuples(st.integers(1, 5000)), st.tuples(st.integers(1, 3000), st.integers(1, 300), st.integers(1, 300))
)


def test_a_tap_catches_what_a_layer_put_out_though_the_next_one_writes_over_it() -> None:
    module, inputs = network("convnet", depth=1).eval(), torch.randn(3, *IMAGE)
    normalised = module.network[1](module.network[0](module.normalise(inputs)))  # type: ignore[index, operator]
    _, (before, after) = Tap(module, ["1", "2"]).run(module, inputs)
    torch.testing.assert_close(before, normalised)
    torch.testing.assert_close(after, normalised.relu())
    assert (before < 0).any()


class InPlace(nn.Module):
    """Adds its shortcut in place, by a function instead of a module."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, rows: Tensor) -> Tensor:
        found = self.layer(rows)
        found += rows
        logits: Tensor = self.head(found)
        return logits


def test_a_tap_catches_what_a_layer_put_out_though_a_function_writes_over_it() -> None:
    module, rows = InPlace(), torch.randn(3, 8)
    logits, (caught,) = Tap(module, ["layer"]).run(module, rows)
    assert torch.equal(caught, module.layer(rows))
    assert torch.equal(logits, module(rows))


def test_what_a_function_wrote_into_is_no_more_what_a_layer_put_out() -> None:
    found = anatomy_of(InPlace(), (8,))
    assert (found.last, found.shapes["input:head"]) == ("input:head", (8,))


def test_a_tap_catches_what_a_layer_is_given() -> None:
    module, rows = InPlace(), torch.randn(3, 8)
    _, (caught,) = Tap(module, ["input:head"]).run(module, rows)
    assert torch.equal(caught, module.layer(rows) + rows)


def test_a_tap_turns_maps_whose_channels_are_last() -> None:
    module, maps = nn.Sequential(nn.Linear(3, 5), nn.Flatten()), torch.randn(2, 4, 6, 3)
    _, (turned,) = Tap(module, ["0"], channels_last=["0"]).run(module, maps)
    assert torch.equal(turned, module[0](maps).permute(0, 3, 1, 2))


def test_a_tap_hears_nothing_but_what_runs_through_it_and_leaves_no_hook() -> None:
    module, inputs = network("mlp"), torch.randn(3, *IMAGE)
    tap = Tap(module, ["2"])
    logits, (feature,) = tap.run(module, inputs)
    module(torch.randn(5, *IMAGE))
    assert torch.equal(tap.run(module, inputs)[1][0], feature)
    assert torch.equal(logits, module(inputs))
    tap.close()
    assert not hooks_of(module)


def test_code_that_was_compiled_without_hooks_is_not_taken_for_one_with_them() -> None:
    """A worker alternates trainings with and without features, each with a fresh student of the same architecture."""

    def trained(layers: list[str]) -> None:
        see_hooks_that_come_and_go()
        student, rows = torch.compile(InPlace(), backend="eager"), torch.randn(3, 8)
        tap = Tap(student, layers)
        features = tap.run(student, rows)[1]
        assert [torch.equal(found, student.layer(rows)) for found in features] == [True] * len(layers)
        tap.close()

    torch.compiler.reset()
    with torch._dynamo.config.patch(skip_nnmodule_hook_guards=True):
        for layers in ([], ["layer"], ["layer"], [], ["layer"]):
            trained(layers)
    torch.compiler.reset()


def test_a_layer_that_is_not_called_is_an_error_and_no_loss_of_zero() -> None:
    with pytest.raises(TrainingError, match="layer 'unused' has put out no feature in this pass"):
        Tap(own := Own(), ["unused"]).run(own, torch.randn(2, *IMAGE))


@pytest.mark.parametrize(
    ("output", "shape"),
    [
        (torch.zeros(2, 3), (2, 3)),
        (torch.zeros(2, 3, 4, 5), (2, 3, 4, 5)),
        (torch.zeros(2, 7, 3), (2, 3, 7, 1)),
        ((torch.zeros(2, 3), None), (2, 3)),
        ({"hidden": torch.zeros(2, 3)}, (2, 3)),
        (torch.zeros(2), None),
        (torch.zeros(2, 3, dtype=torch.int64), None),
        (torch.zeros(1, 2, 3, 4, 5), None),
        ([], None),
        (3, None),
    ],
)  # fmt: skip
def test_what_a_module_puts_out_is_a_vector_a_map_or_no_feature(output: Any, shape: tuple[int, ...] | None) -> None:
    feature = feature_of(output)
    assert (None if feature is None else tuple(feature.shape)) == shape


# Size limits


@given(SHAPES)
def test_a_large_map_is_brought_down_and_nothing_else(shape: tuple[int, ...]) -> None:
    found = bounded(shape)
    assert found[0] == shape[0]
    assert bounded(found) == found
    if len(shape) == 1:
        assert found == shape
    else:
        places = found[1] * found[2]
        assert places <= 64
        assert places <= 4 or places * found[0] <= 8192
        assert all(small <= large for small, large in zip(found, shape, strict=True))


def test_a_map_is_brought_down_by_the_mean_over_its_places() -> None:
    maps = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(bring_down(maps), maps.view(2, 3, 8, 2, 8, 2).mean((3, 5)))
