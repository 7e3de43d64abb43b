"""A timm teacher: its logits are timm's own, and what does not fit is refused in one line."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from loaded_teachers import ROWS_OF_FIVE, Malicious, loaded_from
from safetensors.torch import save_file

from distill_tune.config.sections import TeacherConfig
from distill_tune.errors import TeacherError
from distill_tune.teachers import DataSpec, LoadedTeacher

timm = pytest.importorskip("timm", reason="pip install timm")
IMAGES = DataSpec(("a", "b", "c"), (3, 32, 32), (100.0, 90.0, 80.0), (50.0, 60.0, 70.0), "data", 10)


def load(path: Path, model: str = "test_resnet", data_spec: DataSpec = IMAGES, **options: Any) -> LoadedTeacher:
    """Load the way `prepare` does."""
    config = TeacherConfig(source="timm", path=str(path), timm={"model": model, **options})  # type: ignore[call-arg]
    return loaded_from(config, data_spec, path.parent)


def saved(path: Path) -> Any:
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=3).eval()
    if path.suffix == ".safetensors":
        save_file(network.state_dict(), path)
    else:
        torch.save(network.state_dict(), path)
    return network


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_its_logits_are_timms_own(tmp_path: Path, name: str) -> None:
    network = saved(tmp_path / name)
    pixels = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8)
    loaded = load(tmp_path / name, mean=[0.5, 0.4, 0.3], std=[0.2, 0.2, 0.1])
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in ([0.5, 0.4, 0.3], [0.2, 0.2, 0.1]))
    torch.testing.assert_close(loaded.module(pixels), network((pixels / 255 - mean) / std), rtol=1e-4, atol=1e-5)
    assert loaded.parameters == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "test_resnt"}, r"^teacher\.timm\.model: timm .* has no 'test_resnt'\. Did you mean 'test_resnet"),
        ({"model": "test_efficientnet"}, r"^teacher\.path: timm cannot make 'test_efficientnet' of 'w\.pth' with "),
        ({"arguments": {"no_such": 1}}, r"^teacher\.path: timm cannot make .*no_such"),
        ({"arguments": {"num_classes": 4}}, r"^teacher\.path: timm cannot make .*size mismatch"),
        ({"data_spec": ROWS_OF_FIVE}, r"^teacher\.source: timm's networks read images"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    saved(tmp_path / "w.pth")
    with pytest.raises(TeacherError, match=message) as caught:
        load(tmp_path / "w.pth", **options)
    assert "\n" not in str(caught.value)


def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    torch.save({"weight": Malicious(tmp_path / "made")}, tmp_path / "w.pth")
    with pytest.raises(TeacherError, match=r"^teacher\.path: timm cannot make"):
        load(tmp_path / "w.pth")
    assert not (tmp_path / "made").exists()


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path / "w.pth")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(TeacherError, match=r"^teacher\.source: 'timm' needs timm .*pip install timm"):
        load(tmp_path / "w.pth")
