"""A Hugging Face teacher sees images as its own preprocessor makes them; settings we do not know are refused."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_models import (
    GREY,
    IMAGES,
    MEAN,
    STD,
    like,
    load,
    pixels,
    refused,
    resnet,
    transformers,
    vit,
    write_preprocessing,
)
from PIL import Image
from torch import Tensor

from distill_tune.teachers import DataSpec, LoadedTeacher

WIDER = replace(IMAGES, input_shape=(3, 32, 32))


@pytest.mark.parametrize("data_spec", [IMAGES, GREY], ids=["coloured", "grey"])
def test_images_are_normalised_as_its_own_preprocessor_does_and_grey_ones_are_copied(
    tmp_path: Path, data_spec: DataSpec
) -> None:
    model, images = vit(tmp_path / "m"), pixels(4, *data_spec.input_shape)
    processor = transformers.ViTImageProcessor(do_resize=False, image_mean=MEAN, image_std=STD)
    processor.save_pretrained(tmp_path / "m")
    expected = model(**processor(list(images.expand(-1, 3, -1, -1)), return_tensors="pt")).logits
    torch.testing.assert_close(load(tmp_path / "m", data_spec).module(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("resample", "levels"), [(2, 1.0), (3, 1.25)], ids=["bilinear", "bicubic"])
def test_images_are_resized_as_its_own_preprocessor_does_but_for_rounding(
    tmp_path: Path, resample: int, levels: float
) -> None:
    """The original rounds to whole levels (of 255) twice, by rows, then columns; bicubic weights enlarge the first."""
    vit(tmp_path / "m", image_size=24)
    size = {"height": 24, "width": 24}
    processor = transformers.ViTImageProcessor(size=size, resample=resample, image_mean=MEAN, image_std=STD)
    processor.save_pretrained(tmp_path / "m")
    images = 64 + pixels(4, 3, 16, 16) // 2  # far from where bicubic values are clipped
    seen = seen_by(load(tmp_path / "m"), images)
    expected = processor(list(images), return_tensors="pt")["pixel_values"]
    assert ((seen - expected).abs() * like(3, STD)).max() <= levels / 255 + 1e-5


@pytest.mark.parametrize("flips", [True, False])
def test_a_mobilevit_reads_blue_green_and_red_which_are_not_normalised(tmp_path: Path, flips: bool) -> None:
    """Its preprocessor is saved with a mean and a deviation that it ignores."""
    vit(tmp_path / "m")
    processor = transformers.MobileViTImageProcessor(do_resize=False, do_center_crop=False, do_flip_channel_order=flips)
    processor.save_pretrained(tmp_path / "m")
    images, said = pixels(4, 3, 16, 16), list[str]()
    seen = seen_by(load(tmp_path / "m", said=said), images)
    torch.testing.assert_close(seen, processor(list(images), return_tensors="pt")["pixel_values"])
    assert said == ["teacher: it reads the channels of images from last to first (blue, green, red)"] * flips


def test_what_is_saved_with_a_tokenizer_has_its_preprocessing_in_another_file(tmp_path: Path) -> None:
    """As `CLIPProcessor.save_pretrained` writes it; that file overrides `preprocessor_config.json`."""
    vit(tmp_path / "m")
    processor = transformers.CLIPImageProcessor(do_resize=False, do_center_crop=False, image_mean=MEAN, image_std=STD)
    told = {"image_processor": processor.to_dict(), "processor_class": "CLIPProcessor"}
    (tmp_path / "m" / "processor_config.json").write_text(json.dumps(told))
    write_preprocessing(tmp_path / "m", image_mean=[0.1] * 3, image_std=[0.1] * 3, do_resize=False)
    found = transformers.AutoImageProcessor.from_pretrained(tmp_path / "m")
    images = pixels(4, 3, 16, 16)
    seen = seen_by(load(tmp_path / "m"), images)
    torch.testing.assert_close(seen, found(list(images), return_tensors="pt")["pixel_values"])


def test_an_older_file_of_a_processor_says_nothing_of_images(tmp_path: Path) -> None:
    model, images = vit(tmp_path / "m"), pixels(4, 3, 16, 16)
    (tmp_path / "m" / "processor_config.json").write_text(json.dumps({"processor_class": "CLIPProcessor"}))
    write_preprocessing(tmp_path / "m", image_mean=MEAN, image_std=STD, do_resize=False)
    expected = model((images / 255 - like(3, MEAN)) / like(3, STD)).logits
    torch.testing.assert_close(load(tmp_path / "m").module(images), expected, rtol=1e-4, atol=1e-5)


def test_a_network_of_timm_has_its_preprocessing_beside_its_configuration(tmp_path: Path) -> None:
    pytest.importorskip("timm", reason="pip install timm")
    told = {"mean": MEAN, "std": STD, "input_size": [3, 32, 32], "interpolation": "bilinear", "crop_pct": 1.0}
    config = transformers.TimmWrapperConfig(architecture="resnet10t", pretrained_cfg=told, num_labels=3)
    transformers.TimmWrapperForImageClassification(config).save_pretrained(tmp_path / "m")
    images = pixels(4, 3, 32, 32)
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path / "m")
    expected = processor([Image.fromarray(each.permute(1, 2, 0).numpy()) for each in images])["pixel_values"]
    torch.testing.assert_close(seen_by(load(tmp_path / "m", WIDER), images), expected)
    assert load(tmp_path / "m", GREY).module.network.reads == (3, 32, 32)


def seen_by(loaded: LoadedTeacher, images: Tensor) -> Tensor:
    """The images as the model itself gets them."""
    assert loaded.module is not None
    seen = list[Tensor]()
    loaded.module.network.model.register_forward_pre_hook(
        lambda model, args, given: seen.append(given["pixel_values"]), with_kwargs=True
    )
    loaded.module(images)
    return seen[0]


@pytest.mark.parametrize(
    ("says", "config_size", "size"),
    [
        (None, 24, (24, 24)),
        (None, 16, (16, 16)),
        ({"size": 24}, 24, (24, 24)),
        (
            {"size": {"shortest_edge": 32}, "do_center_crop": True, "crop_size": {"height": 24, "width": 24}},
            24,
            (24, 24),
        ),
        ({"size": {"shortest_edge": 24}, "crop_size": 32}, 24, (24, 24)),
        ({"do_resize": False, "size": 32}, 24, (24, 24)),
    ],
)
def test_the_size_is_the_preprocessors_or_else_the_configurations(
    tmp_path: Path, says: dict[str, Any] | None, config_size: int, size: tuple[int, int]
) -> None:
    vit(tmp_path / "m", image_size=config_size)
    if says is not None:
        write_preprocessing(tmp_path / "m", image_mean=MEAN, image_std=STD, **says)
    said: list[str] = []
    assert load(tmp_path / "m", GREY, said).module.network.size == size
    turned = f"teacher: images of 1x16x16 are turned into the 3x{size[0]}x{size[1]} that it reads"
    assert said == [turned]


def test_a_network_of_any_size_gets_images_as_they_are(tmp_path: Path) -> None:
    resnet(tmp_path / "m")
    said: list[str] = []
    assert load(tmp_path / "m", said=said).module.network.size is None
    assert said == [
        "teacher: its labels (LABEL_0, LABEL_1, LABEL_2) stand for the data's classes (a, b, c), in this order"
    ]


def test_coloured_images_turn_grey_for_a_model_of_grey_ones(tmp_path: Path) -> None:
    model, images = vit(tmp_path / "m", num_channels=1), pixels(4, 3, 16, 16)
    write_preprocessing(tmp_path / "m", image_mean=[0.3], image_std=[0.2], do_resize=False)
    grey = (images / 255 * like(3, [0.299, 0.587, 0.114])).sum(1, keepdim=True)
    expected = model((grey - 0.3) / 0.2).logits
    torch.testing.assert_close(load(tmp_path / "m").module(images), expected, rtol=1e-4, atol=1e-5)


def test_mean_and_std_of_the_configuration_go_before_its_own(tmp_path: Path) -> None:
    model, images = vit(tmp_path / "m"), pixels(4, 1, 16, 16)
    write_preprocessing(tmp_path / "m", image_mean=[0.5], image_std=[0.5], rescale_offset=True)
    expected = model((images.expand(-1, 3, -1, -1) / 255 - like(3, MEAN)) / like(3, STD)).logits
    loaded = load(tmp_path / "m", GREY, mean=MEAN, std=STD)
    torch.testing.assert_close(loaded.module(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ({}, "has image_mean = None and image_std = None, but must have 3 numbers of each"),
        ({"image_mean": [0.5], "image_std": [0.5]}, "has image_mean = [0.5] and"),
        ({"image_mean": MEAN, "image_std": [0.1, 0.1, math.nan]}, "and image_std = [0.1, 0.1, nan], but must have 3"),
        ({"image_mean": [10**400, 0, 0], "image_std": STD}, "has image_mean = [1000"),
        ({"image_mean": MEAN, "image_std": STD, "include_top": True}, "shifts or normalises images twice"),
        ({"image_mean": MEAN, "image_std": [0.1, 0.1, 0]}, "must be greater than 0, but are [0.1, 0.1, 0]"),
        ({"image_mean": MEAN, "image_std": STD, "size": 20}, "teacher.huggingface: the network cannot take inputs of"),
    ],
)
def test_a_preprocessing_that_is_not_understood_is_refused(tmp_path: Path, says: dict[str, Any], message: str) -> None:
    vit(tmp_path / "m")
    write_preprocessing(tmp_path / "m", **says)
    assert message in refused(tmp_path / "m")


def test_mean_and_std_that_do_not_fit_the_model_are_refused(tmp_path: Path) -> None:
    vit(tmp_path / "m")
    assert refused(tmp_path / "m", GREY, mean=[0.5], std=[0.5]).startswith(
        "teacher.huggingface.mean: mean and std belong together, 3 numbers each"
    )
