"""A source of one's own: its code is part of the data, and images that it gives the wrong way round are said."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from source_files import Prepare

from distill_tune.config.sections import DataConfig
from distill_tune.data.build import build
from distill_tune.data.dataset import fingerprint_of

NAME = "noise_source:Noise"
SOURCE = """
import numpy as np
from distill_tune.data import RawImages
from distill_tune.data.sources import Source


class Noise(Source):
    def content(self, config):
        return "noise"

    def load(self, config):
        inputs = {least} + np.random.default_rng(0).integers(0, 9, {shape})
        return RawImages(inputs=inputs.astype("uint8"), labels=np.arange(40) % 2, classes=("a", "b"), where="noise")
"""
Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """`write(least=0, shape=(40, 1, 4, 4))`: the module with this source, as a new process would load it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # of two versions within a second the first would be loaded

    def written(least: int = 0, shape: tuple[int, ...] = (40, 1, 4, 4)) -> None:
        (tmp_path / "noise_source.py").write_text(SOURCE.format(least=least, shape=shape))
        sys.modules.pop("noise_source", None)
        importlib.invalidate_caches()

    yield written
    sys.modules.pop("noise_source", None)


def test_data_are_made_anew_after_their_source_has_been_edited(prepare: Prepare, write: Write) -> None:
    write()
    before = prepare(NAME)
    write(least=100)
    after = prepare(NAME)
    assert after.split("train").inputs.min() >= 100
    assert after.fingerprint != before.fingerprint
    assert after.split_fingerprint != before.split_fingerprint
    write()
    assert prepare(NAME) == before


def test_data_of_code_that_is_edited_after_it_was_loaded_do_not_pass_for_data_of_the_new(
    write: Write, tmp_path: Path
) -> None:
    write()
    before = fingerprint_of(DataConfig(source=NAME))
    with (tmp_path / "noise_source.py").open("a") as module:
        module.write("# edited\n")
    assert fingerprint_of(DataConfig(source=NAME)) == before


@pytest.mark.parametrize("shape", [(40, 32, 32, 3), (40, 6, 8, 1)])
def test_images_whose_channels_seem_to_be_last_are_said(write: Write, shape: tuple[int, ...]) -> None:
    write(shape=shape)
    assert build(DataConfig(source=NAME)).notes == (
        f"noise: images are read as {shape[1]} channels of {shape[2]} x {shape[3]} pixels; if the channels are last, "
        "return inputs.transpose(0, 3, 1, 2)",
    )


@pytest.mark.parametrize("shape", [(40, 3, 8, 3), (40, 1, 8, 1), (40, 6, 8, 8), (40, 3, 8, 8)])
def test_images_whose_channels_are_first_need_no_word(write: Write, shape: tuple[int, ...]) -> None:
    write(shape=shape)
    assert build(DataConfig(source=NAME)).notes == ()
