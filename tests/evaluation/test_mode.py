"""Evaluation mode, also where a program of `torch.export` refuses to change its own, and the way back."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from distill_tune.evaluation.mode import in_evaluation, put_in_evaluation


def exported() -> nn.Module:
    return torch.export.export(nn.Sequential(nn.Linear(3, 2), nn.ReLU()).eval(), (torch.zeros(2, 3),)).module()


def alone() -> nn.Module:
    return exported()


def among_others() -> nn.Module:
    return nn.Sequential(nn.Dropout(), exported(), nn.Dropout())


@pytest.mark.parametrize("make", [alone, among_others])
def test_an_exported_program_and_what_is_around_it_are_put_in_evaluation_mode(make: Callable[[], nn.Module]) -> None:
    module = make()
    with pytest.raises(NotImplementedError, match="not supported yet"):
        module.eval()
    assert put_in_evaluation(module) is module
    assert not any(each.training for each in module.modules())


@pytest.mark.parametrize("make", [alone, among_others])
def test_each_of_its_parts_has_its_own_mode_again_afterwards(make: Callable[[], nn.Module]) -> None:
    module = make()
    before = [each.training for each in module.modules()]
    with in_evaluation(module):
        assert not any(each.training for each in module.modules())
    assert [each.training for each in module.modules()] == before


def test_a_network_with_a_mode_of_its_own_making_is_asked_for_it() -> None:
    class Folding(nn.Linear):
        is_folded = False

        def train(self, mode: bool = True) -> nn.Module:
            self.is_folded = not mode
            return super().train(mode)

    module = nn.Sequential(Folding(3, 2))
    put_in_evaluation(module)
    assert module[0].is_folded
