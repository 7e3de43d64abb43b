"""`inherit_progressive`: inherited units are frozen, and released in the order of their norms."""

import pytest
import torch
from beginnings import begun, copied, space_of
from small_trainings import Ready, epochs_of


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_inherited_units_stand_still_until_their_turn_the_largest_first(optimizer: str, ready: Ready) -> None:
    space = space_of(
        "inherit_progressive",
        "mlp",
        {"widths": [12, 10]},
        optim={"kind": optimizer, "weight_decay": 0.1, "batch_size": 64, "schedule": "constant"},
        search={"max_epochs": 5},
    ).with_fixed("student", "inherit_progressive", {"free_by": 0.8})
    run = ready(space)
    begin = copied(begun(ready(space_of("inherit", "mlp", {"widths": [12, 10]})))[0].state_dict())
    steps = 6  # per epoch: 384 rows in batches of 64
    for epoch in epochs_of(run):
        progress = (epoch.report["epoch"] * steps - 1) / (5 * steps)
        for name, count in (("network.1", 12), ("network.3", 10)):
            for kind in ("weight", "bias"):
                now, old = epoch.student.state_dict()[f"{name}.{kind}"], begin[f"{name}.{kind}"]
                moved = [not torch.equal(a, b) for a, b in zip(now, old, strict=True)]
                assert moved == [unit / count * 0.8 <= progress + 1e-9 for unit in range(count)]
        assert not torch.equal(epoch.student.state_dict()["network.5.weight"], begin["network.5.weight"])
    assert all(moved)


def test_units_of_normalised_layers_stand_still_with_their_scale_and_shift(ready: Ready) -> None:
    space = space_of("inherit_progressive", "convnet", {"width": 3, "depth": 2}, search={"max_epochs": 2})
    config, preparation = ready(space.with_fixed("student", "inherit_progressive", {"free_by": 1.0}))
    begin = copied(begun((config, preparation))[0].state_dict())
    first = next(epochs_of((config, preparation))).student
    for name, parameter in first.named_parameters():
        if not name.startswith("network.8"):  # all but the head
            last = len(parameter) - 1
            assert torch.equal(parameter[last], begin[name][last])
            assert not torch.equal(parameter[0], begin[name][0])
