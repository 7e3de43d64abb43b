"""One folder of images per class: what is read, in which order, at which size, and what is refused."""

import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torchvision.datasets import ImageFolder

from distill_tune.config.sections import DataConfig
from distill_tune.data import UNLABELLED, Dataset, RawImages
from distill_tune.data.build import build
from distill_tune.data.image_files import decoded, files_in
from distill_tune.data.inputs import read_inputs
from distill_tune.errors import ConfigError, DataError

RED, GREEN, BLUE = (200, 30, 20), (20, 180, 40), (10, 30, 220)


def grey(value: int, height: int = 6, width: int = 5) -> Image.Image:
    return Image.new("L", (width, height), value)


def saved(root: Path, names: Iterable[str], image: Image.Image | None = None) -> Path:
    """Save pictures under these names; without `image`, each has its own shade."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (image or grey(number)).save(path)
    return root


def loaded(root: Path, rest: str = "hidden", **options: Any) -> RawImages:
    config = DataConfig.model_validate(
        {"source": "image_folder", "path": str(root), "rest": rest, "image_folder": options}
    )
    raw = config.chosen("source").load(config)
    assert isinstance(raw, RawImages)
    return raw


def content(root: Path) -> str:
    config = DataConfig.model_validate({"source": "image_folder", "path": str(root)})
    found: str = config.chosen("source").content(config)
    return found


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return saved(tmp_path / "photos", [f"{name}/{n}.png" for name in ("dog", "cat") for n in range(4)])


def test_a_folder_is_a_class_and_classes_are_sorted(photos: Path) -> None:
    raw = loaded(photos)
    assert raw.classes == ("cat", "dog")
    assert list(raw.labels) == [0, 0, 0, 0, 1, 1, 1, 1]
    assert raw.inputs.shape == (8, 1, 6, 5)
    assert list(raw.inputs[:, 0, 0, 0]) == [4, 5, 6, 7, 0, 1, 2, 3]


def test_rows_are_in_the_order_of_torchvision(tmp_path: Path) -> None:
    names = ["b/2.png", "b/10.JPG", "a/z/1.png", "a/z-1/0.png", "a/y.png", "c/deep/er/1.bmp", "c/d.png"]
    root = saved(tmp_path, names)
    theirs = ImageFolder(root)
    ours = [path for name in theirs.classes for path in files_in(root / name)[0]]
    assert [str(path) for path in ours] == [path for path, _ in theirs.samples]
    assert list(loaded(root).labels) == theirs.targets


@pytest.mark.parametrize("beside", ["val", "validation"])
def test_a_test_folder_beside_train_is_the_own_test_and_others_are_left_out(tmp_path: Path, beside: str) -> None:
    splits = {"train": 3, "test": 2, beside: 1}
    names = [f"{split}/{c}/{n}.png" for split, count in splits.items() for c in "xy" for n in range(count)]
    raw = loaded(saved(tmp_path, names))
    assert (raw.classes, raw.rows, raw.own_test) == (("x", "y"), 10, 4)
    assert list(raw.labels) == [0, 0, 0, 1, 1, 1, 0, 0, 1, 1]
    assert any(f"/{beside}: is left out" in note for note in raw.notes)
    other = loaded(tmp_path, test=beside)
    assert (other.rows, other.own_test) == (8, 2)


def test_folders_of_other_names_beside_train_and_test_that_have_classes_are_left_out(tmp_path: Path) -> None:
    names = [f"{split}/{c}/{n}.png" for split in ("train", "test") for c in "xy" for n in range(2)]
    raw = loaded(saved(tmp_path, [*names, "misc/1.png"]))
    assert (raw.classes, raw.rows, raw.own_test) == (("x", "y"), 8, 4)
    assert raw.notes == (f"{tmp_path}/misc: is left out; data.image_folder.test could name it",)


def test_train_is_a_class_like_any_where_others_are_no_splits(tmp_path: Path) -> None:
    raw = loaded(saved(tmp_path, [f"{name}/{n}.png" for name in ("bus", "train", "test") for n in range(2)]))
    assert (raw.classes, raw.own_test) == (("bus", "test", "train"), 0)


def test_folders_may_have_any_names(tmp_path: Path) -> None:
    names = [f"{split}/{c}/{n}.png" for split in ("old", "new") for c in "xy" for n in range(2)]
    raw = loaded(saved(tmp_path, names), train="old", test="new")
    assert (raw.classes, raw.rows, raw.own_test) == (("x", "y"), 8, 4)


def test_images_without_a_label_are_between_the_others_and_the_test(tmp_path: Path) -> None:
    names = [f"{split}/{c}/{n}.png" for split in ("train", "test") for c in "xy" for n in range(2)]
    root = saved(tmp_path, [*names, "more/1.png", "more/deeper/2.png"])
    raw = loaded(root, rest="unlabelled", unlabelled="more")
    assert list(raw.labels) == [0, 0, 1, 1, UNLABELLED, UNLABELLED, 0, 0, 1, 1]
    assert raw.own_test == 4


def test_images_of_a_flat_test_folder_may_be_learned_from_without_a_label_or_left_out(tmp_path: Path) -> None:
    names = [f"train/{c}/{n}.png" for c in "xy" for n in range(2)]
    root = saved(tmp_path, [*names, "test/1.png", "test/2.png"])
    said = r"test: has no folders; .*, or set data\.image_folder\.train = 'train' and no test, to draw one"
    with pytest.raises(DataError, match=said):
        loaded(root)
    raw = loaded(root, rest="unlabelled", unlabelled="test")
    assert list(raw.labels) == [0, 0, 1, 1, UNLABELLED, UNLABELLED]
    assert raw.own_test == 0
    assert (loaded(root, train="train").rows, loaded(root, train="train").own_test) == (4, 0)


def test_images_are_coloured_where_one_is_and_grey_where_all_are(photos: Path) -> None:
    assert loaded(photos).inputs.shape[1] == 1
    saved(photos, ["cat/coloured.png"], Image.new("RGB", (5, 6), RED))
    raw = loaded(photos)
    assert raw.inputs.shape[1] == 3
    assert tuple(raw.inputs[4, :, 0, 0]) == RED
    assert loaded(photos, channels=1).inputs.shape[1] == 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_white_is_white_in_every_mode_of_pixels(tmp_path: Path, mode: str) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    saved(tmp_path, [f"{c}/1.{suffix}" for c in "xy"], Image.new("L", (5, 6), 255).convert(mode))
    assert (loaded(tmp_path).inputs == 255).all()


def test_of_a_larger_picture_the_middle_is_kept_and_scaled(tmp_path: Path) -> None:
    stripes = Image.new("RGB", (90, 30), GREEN)
    stripes.paste(RED, (0, 0, 30, 30))
    stripes.paste(BLUE, (60, 0, 90, 30))
    saved(tmp_path, ["x/1.png", "y/1.png"], stripes)
    images = loaded(tmp_path, size=10).inputs
    assert images.shape == (2, 3, 10, 10)
    assert (images[0, :, :, 1:-1] == np.array(GREEN)[:, None, None]).all(), "but for the edges, which blend"
    assert loaded(tmp_path, size=[5, 15]).inputs.shape == (2, 3, 5, 15)


EXIF = Image.Exif()
EXIF[0x0112] = 6  # turn clockwise by a quarter: the left side comes to the top
XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>"""
BOTH = Image.Exif()
BOTH[0x0112], BOTH[0x02BC] = 6, XMP.encode()
XMP_OF_PNG = PngInfo()
XMP_OF_PNG.add_itxt("XML:com.adobe.xmp", XMP)


@pytest.mark.parametrize(
    ("suffix", "said"),
    [
        ("png", {"exif": EXIF}),
        ("jpg", {"exif": EXIF, "quality": 100}),
        ("tif", {"exif": EXIF}),
        ("tif", {"exif": BOTH}),
        ("webp", {"exif": EXIF, "lossless": True}),
        ("png", {"pnginfo": XMP_OF_PNG}),
        ("jpg", {"xmp": XMP.encode(), "quality": 100}),
        ("webp", {"xmp": XMP.encode(), "lossless": True}),
    ],
)
def test_a_picture_taken_sideways_is_upright(tmp_path: Path, suffix: str, said: dict[str, Any]) -> None:
    lying = Image.new("L", (32, 16), 0)
    lying.paste(255, (0, 0, 16, 16))
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        lying.save(tmp_path / name / f"1.{suffix}", **said)
    image = loaded(tmp_path).inputs[0, 0]
    assert image.shape == (32, 16)
    assert (image[:16] == 255).all()
    assert (image[16:] == 0).all()


def test_what_a_png_says_of_its_orientation_behind_its_pixels_is_not_heard(tmp_path: Path) -> None:
    lying = Image.new("L", (32, 16), 0)
    lying.paste(255, (0, 0, 16, 16))
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "1.png"
        lying.save(path, exif=EXIF)
        path.write_bytes(with_exif_behind_pixels(path.read_bytes()))
    image = loaded(tmp_path).inputs[0, 0]
    assert (image == np.asarray(lying)).all(), "as its head says it lies, and not cropped to that"


def with_exif_behind_pixels(png: bytes) -> bytes:
    at = png.index(b"eXIf") - 4
    end = at + 12 + int.from_bytes(png[at : at + 4])
    tail = png.index(b"IEND") - 4
    return png[:at] + png[end:tail] + png[at:end] + png[tail:]


def test_a_large_photograph_is_scaled_as_if_it_were_decoded_as_it_is(tmp_path: Path) -> None:
    across = np.linspace(0, 255, 640).astype(np.uint8)
    photo = Image.fromarray(np.stack([np.tile(across, (480, 1))] * 3, -1))
    photo.save(tmp_path / "photo.jpg", quality=95)
    with Image.open(tmp_path / "photo.jpg") as image:
        whole = np.asarray(image.crop((80, 0, 560, 480)).resize((24, 24), Image.Resampling.BILINEAR))
    found = decoded([tmp_path / "photo.jpg"], (3, 24, 24))[0].transpose(1, 2, 0)
    assert np.abs(found.astype(int) - whole).max() <= 3


def test_the_same_pictures_elsewhere_are_the_same_data_and_other_bytes_or_names_are_not(photos: Path) -> None:
    before = content(photos)
    elsewhere = shutil.copytree(photos, photos.parent / "copy")
    assert content(elsewhere) == before
    (elsewhere / "cat" / "0.png").rename(elsewhere / "cat" / "00.png")
    assert content(elsewhere) != before
    saved(photos, ["cat/0.png"], grey(99))
    assert content(photos) not in (before, content(elsewhere))


def test_other_files_are_left_out_and_said_and_hidden_ones_do_not_count(photos: Path) -> None:
    (photos / "cat" / "notes.txt").write_text("of a cat")
    (photos / "dog" / ".DS_Store").write_text("of a computer")
    saved(photos, [".cache/1.png", "dog/.thumbnails/1.png", "dog/.1.png", "loose.png"])
    raw = loaded(photos)
    assert raw.rows == 8
    assert raw.notes == (
        f"{photos}/cat/notes.txt does not have an image file name and is skipped, 1 in all",
        f"{photos}/loose.png is in no class's folder and left out, 1 in all",
    )


@pytest.mark.parametrize("names", [("Testing", "Training"), ("test_set", "training_set"), ("seg_test", "seg_train")])
def test_classes_that_seem_to_be_splits_are_said(tmp_path: Path, names: tuple[str, str]) -> None:
    root = saved(tmp_path, [f"{name}/{kind}/{n}.png" for name in names for kind in ("cat", "dog") for n in range(3)])
    raw = loaded(root)
    assert raw.classes == names
    said = f"{names[0]!r} and {names[1]!r} are read as classes; if they are splits, name them by data.image_folder."
    assert any(note.startswith(said) for note in raw.notes)
    assert loaded(root, train=names[1], test=names[0]).notes == ()


@pytest.mark.parametrize("names", [("Train/1", "Test/1"), ("train/old/1", "bus/1"), ("valley/a/1", "train/a/1")])
def test_classes_that_are_called_like_splits_may_be_classes(tmp_path: Path, names: tuple[str, str]) -> None:
    assert loaded(saved(tmp_path, [f"{name}{n}.png" for name in names for n in range(3)])).notes == ()


@pytest.mark.parametrize("suffix", ["gif", "png", "tif", "webp"])
def test_of_several_pictures_in_a_file_the_first_is_read_which_is_said(photos: Path, suffix: str) -> None:
    first, then = photos / "dog" / f"9.{suffix}", photos / "dog" / "8.jpg"
    Image.new("RGB", (5, 6), RED).save(first, save_all=True, append_images=[Image.new("RGB", (5, 6), BLUE)])
    Image.new("RGB", (5, 6), RED).save(then, "MPO", save_all=True, append_images=[Image.new("RGB", (5, 6), BLUE)])
    raw = loaded(photos)
    assert np.abs(raw.inputs[-1].astype(int) - np.array(RED)[:, None, None]).max() < 5
    assert raw.notes == (f"{first} holds several pictures, of which the first is read, 1 such files in all",)


def test_what_is_left_out_may_have_a_name_that_is_no_utf_8(photos: Path, prepare: Callable[..., Dataset]) -> None:
    (photos / "cat" / os.fsdecode(b"gr\xf6sse.txt")).write_text("of a cat")
    said = f"{photos}/cat/gr\\udcf6sse.txt does not have an image file name and is skipped, 1 in all"
    assert said in prepare("image_folder", photos).notes


def test_a_folder_that_links_to_itself_is_read_once(photos: Path) -> None:
    (photos / "cat" / "again").symlink_to(photos / "cat", target_is_directory=True)
    assert loaded(photos).rows == 8


def test_pictures_train_what_their_arrays_train(photos: Path) -> None:
    saved(photos, [f"{name}/more{n}.png" for name in ("cat", "dog") for n in range(30)])
    raw = loaded(photos)
    np.savez(photos.parent / "a.npz", inputs=raw.inputs, labels=raw.labels, classes=np.array(raw.classes))
    ours, theirs = (
        build(DataConfig(source=source, path=str(path), validation=0.2))
        for source, path in (("image_folder", photos), ("npz", photos.parent / "a.npz"))
    )
    assert (ours.classes, ours.mean, ours.std, ours.num_rows) == (
        theirs.classes,
        theirs.mean,
        theirs.std,
        theirs.num_rows,
    )
    for split in ("train", "validation", "test"):
        for name, array in theirs.splits[split].items():
            assert np.array_equal(ours.splits[split][name], array), (split, name)


def test_new_pictures_are_brought_to_the_size_and_channels_of_the_training_images(photos: Path, tmp_path: Path) -> None:
    assert np.array_equal(read_inputs(photos / "cat", None, (1, 6, 5)), loaded(photos).inputs[:4])
    saved(tmp_path / "new", ["1.png"], Image.new("RGB", (50, 60), (9, 9, 9)))
    for rows in (tmp_path / "new", tmp_path / "new" / "1.png"):
        assert (read_inputs(rows, None, (1, 6, 5)) == np.full((1, 1, 6, 5), 9)).all()
    with pytest.raises(DataError, match=r"1\.png: pictures are of 1 or 3 channels, but this student reads 4; give arr"):
        read_inputs(tmp_path / "new" / "1.png", None, (4, 6, 5))


def test_files_of_a_folder_that_are_not_predicted_are_said(photos: Path) -> None:
    said: list[str] = []
    read_inputs(photos / "cat", None, (1, 6, 5), said.append)
    assert said == []
    for name in ("1.heic", "2.heic"):
        (photos / "cat" / name).write_bytes(b"of a telephone")
    assert len(read_inputs(photos / "cat", None, (1, 6, 5), said.append)) == 4
    assert said == [f"{photos}/cat/1.heic does not have an image file name and is skipped, 2 in all"]


def png_of_16_bits(channels: int) -> bytes:
    """A black picture of 5 x 6 pixels, of a kind that Pillow can read but not write."""

    def block(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    kinds = {2: 4, 3: 2}  # PNG's numbers for grey with alpha, and for colour
    head = struct.pack(">IIBBBBB", 5, 6, 16, kinds[channels], 0, 0, 0)
    rows = (b"\0" + bytes(2 * channels * 5)) * 6
    blocks = [block(b"IHDR", head), block(b"IDAT", zlib.compress(rows)), block(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(blocks)


def test_pictures_of_16_bits_a_pixel_have_fewer_than_8_a_channel(tmp_path: Path) -> None:
    head = struct.pack("<2sIHHI", b"BM", 14 + 52 + 6 * 12, 0, 0, 14 + 52)
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    info = struct.pack("<IiiHHIIiiII", 40, 5, 6, 1, 16, 3, 6 * 12, 0, 0, 0, 0) + masks
    for name in "xy":
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.bmp").write_bytes(head + info + (b"\xff" * 10 + b"\0\0") * 6)
    assert (loaded(tmp_path).inputs == 255).all()


def refused(photos: Path, case: str) -> dict[str, Any]:
    """Break the folder; returns the options to read it with."""
    match case:
        case "another size":
            saved(photos, ["dog/9.png"], grey(1, 7, 5))
        case "16 bits in colour" | "16 bits with alpha":
            channels = 3 if case == "16 bits in colour" else 2
            (photos / "dog" / "9.png").write_bytes(png_of_16_bits(channels))
        case "16 bits in a PPM":
            (photos / "dog" / "9.ppm").write_bytes(b"P6 5 6 65535\n" + bytes(2 * 3 * 5 * 6))
        case "16 bits":
            Image.fromarray(np.zeros((6, 5), dtype=np.uint16)).save(photos / "dog" / "9.png")
        case "damaged" | "damaged pixels":
            noise = np.random.default_rng(0).integers(0, 256, (6, 5) if case == "damaged" else (60, 60), dtype=np.uint8)
            Image.fromarray(noise).save(photos / "dog" / "3.png")
            whole = (photos / "dog" / "3.png").read_bytes()
            (photos / "dog" / "3.png").write_bytes(whole[: len(whole) // 2])
            return {"size": 6}
        case "a test without classes":
            saved(photos, ["test/1.png"])
            return {"test": "test"}
        case "no image":
            (photos / "dog" / "9.png").write_text("a text")
        case "an empty class":
            (photos / "eel").mkdir()
        case "no folders":
            shutil.rmtree(photos)
            saved(photos, ["1.png", "2.png"])
        case "nothing":
            shutil.rmtree(photos)
        case "a file":
            shutil.rmtree(photos)
            photos.write_text("photos")
        case "an unknown class":
            saved(photos.parent / "t", [f"train/{c}/1.png" for c in "xy"] + ["test/z/1.png"])
            (photos.parent / "t").rename(photos.parent / "u")
            shutil.rmtree(photos)
            (photos.parent / "u").rename(photos)
        case "an unknown folder":
            return {"test": "tset"}
        case "unlabelled":
            return {"unlabelled": "dog"}
        case "an odd name":
            saved(photos, ["new\nline/1.png"])
    return {}


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (
            "another size",
            r"one size, but 'cat/0\.png' has 6 x 5 and 'dog/9\.png' 7 x 5; set data\.image_folder\.size",
        ),
        ("16 bits", r"dog/9\.png: has pixels of Pillow's mode I;16, but they must have 8 bits"),
        ("16 bits in colour", r"dog/9\.png: has 16 bits a channel, but pixels must have 8; convert it"),
        ("16 bits in a PPM", r"dog/9\.ppm: has 16 bits a channel, but pixels must have 8; convert it"),
        ("16 bits with alpha", r"dog/9\.png: has 16 bits a channel, but pixels must have 8; convert it"),
        ("damaged", r"dog/3\.png: is no image, or damaged \(.+\); write it again"),
        ("damaged pixels", r"dog/3\.png: is no image, or damaged \(.+\); write it again"),
        ("a test without classes", r"photos/test: has no folders; it must have one with images for each class"),
        ("no image", r"dog/9\.png: is no image, or damaged"),
        ("an empty class", r"eel: has no image files; add some"),
        ("no folders", r"photos: has no folders; it must have one with images for each class"),
        ("nothing", r"photos: no such folder; data\.path must name a folder"),
        ("a file", r"photos: is no folder; data\.path must name a folder"),
        ("an unknown class", r"test: has a class 'z' that is missing from the training images"),
        ("an unknown folder", r"data\.image_folder\.test: .+photos has no folder 'tset'"),
        ("unlabelled", r"data\.image_folder\.unlabelled: .+ set data\.rest = 'unlabelled'"),
        ("an odd name", r"photos: a folder's name, 'new\\nline', cannot be printed; rename it"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(photos: Path, case: str, said: str) -> None:
    options = refused(photos, case)
    with pytest.raises(DataError, match=said) as caught:
        loaded(photos, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", ".", "..", "/etc", "a/b"])
def test_a_folder_is_named_in_data_path_and_nowhere_else(photos: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"image_folder\.train: must be the name of a folder in data\.path"):
        loaded(photos, train=name)


def test_a_student_of_a_table_has_no_use_for_pictures(photos: Path) -> None:
    encoder = json.loads('{"numbers": []}')
    with pytest.raises(DataError, match="holds pictures, but this student has learned from a table"):
        read_inputs(photos, encoder, (3,))


def test_a_folder_without_pictures_has_nothing_to_predict(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder without image files"):
        read_inputs(tmp_path, None, (1, 6, 5))
    with pytest.raises(DataError, match="are an empty list; name some pictures"):
        read_inputs([], None, (1, 6, 5))


def test_a_picture_of_16_bits_is_not_predicted_as_white(tmp_path: Path) -> None:
    Image.fromarray(np.full((6, 5), 1000, dtype=np.uint16)).save(tmp_path / "scan.png")
    with pytest.raises(DataError, match="has pixels of Pillow's mode I;16, but they must have 8 bits"):
        read_inputs(tmp_path / "scan.png", None, (1, 6, 5))


def test_pictures_may_be_named_one_by_one(photos: Path) -> None:
    named = [photos / "dog" / "1.png", photos / "cat" / "3.png"]
    assert list(read_inputs(named, None, (1, 6, 5))[:, 0, 0, 0]) == [1, 7]
