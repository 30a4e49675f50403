"""Images from files, folders and arrays: what is read is what Pillow wrote, and what cannot be read gets a sentence."""

import re
import struct
import zlib

import numpy as np
import pytest

import pushforward as pf
from pushforward.images.files import Images, grid, is_array_path, read_image, read_images, write_array, write_image
from pushforward.images.fitting import fit_images

pillow = pytest.importorskip("PIL.Image")


def gray(seed=0, height=4, width=6):
    return np.random.default_rng(seed).integers(256, size=(height, width), dtype=np.uint8)


def color(seed=0):
    return np.random.default_rng(seed).integers(256, size=(4, 6, 3), dtype=np.uint8)


def save(folder, **arrays):
    for name, array in arrays.items():
        pillow.fromarray(array).save(folder / f"{name}.png")


def test_gray_images_of_a_folder_in_the_order_of_their_names(tmp_path):
    save(tmp_path, b=gray(1), a=gray(0))
    (tmp_path / "notes.txt").write_text("not an image")
    images = read_images(tmp_path)
    assert images.names == ["a.png", "b.png"] and images.shape == (1, 4, 6) and images.levels == 256
    assert np.array_equal(images.pixels[:, 0], [gray(0), gray(1)]) and images.labels is None
    assert np.array_equal(images.rows().numpy(), images.pixels.reshape(2, -1))


def test_folders_of_folders_are_classes(tmp_path):
    for number, name in enumerate(("cats", "dogs")):
        (tmp_path / name).mkdir()
        save(tmp_path / name, one=gray(number), two=gray(10 + number))
    images = read_images(tmp_path)
    assert images.classes == ["cats", "dogs"] and images.labels.tolist() == [0, 0, 1, 1]
    assert np.array_equal(images.pixels[2, 0], gray(1))


def test_gray_among_colors_is_color(tmp_path):
    save(tmp_path, a=gray(), b=color())
    images = read_images(tmp_path)
    assert images.shape == (3, 4, 6)
    assert np.array_equal(images.pixels[0], [gray()] * 3) and np.array_equal(
        images.pixels[1], color().transpose(2, 0, 1)
    )


def test_images_of_16_bits_keep_them(tmp_path):
    array = np.random.default_rng(0).integers(65536, size=(4, 6), dtype=np.uint16)
    save(tmp_path, a=array)
    images = read_images(tmp_path)
    assert images.levels == 65536 and np.array_equal(images.pixels[0, 0], array)
    assert read_images(tmp_path, (2, 3)).pixels.dtype == np.uint16


def test_an_opaque_alpha_channel_and_a_palette_lose_nothing(tmp_path):
    opaque = np.concatenate([color(), np.full((4, 6, 1), 255, np.uint8)], -1)
    pillow.fromarray(opaque).save(tmp_path / "a.png")
    few = (color() // 128) * 255
    pillow.fromarray(few).quantize(8).save(tmp_path / "b.png")
    pillow.fromarray(gray() > 127).save(tmp_path / "c.png")
    images = read_images(tmp_path)
    assert np.array_equal(images.pixels[0], color().transpose(2, 0, 1))
    assert np.array_equal(images.pixels[1], few.transpose(2, 0, 1))
    assert np.array_equal(images.pixels[2, 0], (gray() > 127) * np.uint8(255))


def test_images_are_resized_on_demand(tmp_path):
    save(tmp_path, a=gray(), b=gray(1, 8, 8))
    assert read_images(tmp_path, (2, 4)).shape == (1, 2, 4)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_is_read_again(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(256, size=(5, channels, 4, 6), dtype=np.uint8)
    write_image(tmp_path / "one.png", pixels[0])
    assert np.array_equal(read_images(tmp_path / "one.png").pixels[0], pixels[0])
    write_array(tmp_path / "all.npz", pixels)
    assert np.array_equal(read_images(tmp_path / "all.npz").pixels, pixels)
    page = grid(pixels, columns=3)
    assert page.shape == (channels, 11, 22)
    assert np.array_equal(page[:, 6:10, 8:14], pixels[4])


def test_an_array_with_its_classes(tmp_path):
    images = np.random.default_rng(0).integers(17, size=(5, 4, 4))
    np.savez(tmp_path / "digits.npz", images=images, target=np.array([3, 1, 3, 7, 1]))
    read = read_images(tmp_path / "digits.npz")
    assert read.pixels.dtype == np.uint8 and np.array_equal(read.pixels[:, 0], images)
    assert read.classes == ["1", "3", "7"] and read.labels.tolist() == [1, 0, 1, 2, 0]


def transparent(folder):
    pillow.fromarray(np.zeros((4, 6, 4), np.uint8)).save(folder / "clear.png")


def truncated(folder):
    save(folder, half=gray(0, 64, 64))
    (folder / "half.png").write_bytes((folder / "half.png").read_bytes()[:500])


def no_image(folder):
    (folder / "text.png").write_text("not an image")


def animated(folder):
    frames = [pillow.fromarray(gray(seed)) for seed in range(2)]
    frames[0].save(folder / "film.gif", save_all=True, append_images=frames[1:])


def of_two_sizes(folder):
    save(folder, a=gray(), b=gray(1, 5, 6))


def of_two_depths(folder):
    save(folder, a=gray(), b=np.full((4, 6), 1000, np.uint16))


def of_real_numbers(folder):
    pillow.fromarray(np.zeros((4, 6), np.float32)).save(folder / "real.tif")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (transparent, r"clear\.png is transparent in places"),
        (truncated, r"half\.png cannot be read as an image"),
        (no_image, r"text\.png cannot be read as an image"),
        (animated, r"film\.gif holds 2 images"),
        (of_two_sizes, r"a\.png has 4 × 6 pixels and .*b\.png 5 × 6; .* --size 4x6"),
        (of_two_depths, r"a\.png has 8 bits and .*b\.png 16"),
        (of_real_numbers, r"real\.tif holds floating-point numbers"),
        (lambda folder: None, "There is no image"),
    ],
)
def test_folders_that_cannot_be_read(tmp_path, make, sentence):
    make(tmp_path)
    with pytest.raises(pf.InputError, match=sentence):
        read_images(tmp_path)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"x": np.zeros((4, 4))}, "must hold one array of images"),
        ({"x": np.zeros((4, 4, 4)), "y": np.zeros((4, 4, 4))}, "must hold one array of images"),
        ({"x": np.zeros((4, 4, 4))}, "holds float64"),
        ({"x": np.full((4, 4, 4), -1)}, "numbers from -1 to -1"),
        ({"x": np.zeros((4, 4, 4, 9), np.uint8)}, "images are .n, H, W. of gray"),
        ({"x": np.zeros((0, 4, 4), np.uint8)}, "holds no images"),
        ({"x": np.array([["a"]], dtype=object)}, r"cannot be read as an array: it does not hold numbers\.$"),
    ],
)
def test_arrays_that_hold_no_images(tmp_path, arrays, sentence):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(pf.InputError, match=sentence):
        read_images(tmp_path / "x.npz")


def test_names_that_no_image_can_have(tmp_path):
    with pytest.raises(pf.InputError, match=r"ends in \.png"):
        write_image(tmp_path / "x.jpg", np.zeros((1, 2, 2), np.uint8))
    with pytest.raises(pf.InputError, match="There is no file or folder"):
        read_images(tmp_path / "nowhere")


def test_a_damaged_archive_is_named(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).integers(0, 255, (20, 8, 8)).astype(np.uint8))
    whole = path.read_bytes()
    for damaged in (whole[:300], whole[:100] + bytes(200) + whole[300:], b"PK" + whole[2:-40] + bytes(40)):
        path.write_bytes(damaged)
        with pytest.raises(pf.InputError, match=r"x\.npz cannot be read as an array"):
            read_images(path)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((4, 4, 4, 2), np.uint8), r"has the shape \(4, 4, 4, 2\); images are"),
        (np.zeros((4, 4, 4, 4), np.uint8), "images are .* of color"),
        (np.zeros((9, 3, 8, 8), np.uint8), "put the channels last"),
        (np.zeros((9, 8, 8, 3), np.uint16), "colors of 16 bits"),
    ],
)
def test_arrays_that_no_picture_could_show(tmp_path, array, sentence):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(pf.InputError, match=sentence):
        read_images(tmp_path / "x.npy")


def _color_of_16_bits(kind):
    samples = np.full((2, 3, 3), 40_000, np.uint16)
    if kind == "ppm":
        return b"P6\n3 2\n65535\n" + samples.astype(">u2").tobytes()
    if kind == "png":
        lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
        head = struct.pack(">IIBBBBB", 3, 2, 16, 2, 0, 0, 0)
        chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
        framed = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
        return b"\x89PNG\r\n\x1a\n" + b"".join(framed)
    entries = [
        (256, 3, 1, 3), (257, 3, 1, 2), (258, 3, 3, 122), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 128),
        (277, 3, 1, 3), (278, 3, 1, 2), (279, 4, 1, samples.nbytes),
    ]  # fmt: skip
    directory = struct.pack("<H", 9) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    return (
        (b"II*\0" + struct.pack("<I", 8) + directory).ljust(122, b"\0")
        + struct.pack("<3H", 16, 16, 16)
        + (samples.astype("<u2").tobytes())
    )


@pytest.mark.parametrize("kind", ["png", "ppm", "tif"])
def test_colors_of_16_bits_are_refused_in_every_format(tmp_path, kind):
    (tmp_path / f"deep.{kind}").write_bytes(_color_of_16_bits(kind))
    with pytest.raises(pf.InputError, match=rf"deep\.{kind} holds 16 bits for each color"):
        read_images(tmp_path)


def test_no_image_is_left_out_without_a_word(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        save(tmp_path / folder, one=gray())
    save(tmp_path, stray=gray())
    with pytest.raises(pf.InputError, match=r"holds images, such as stray\.png, and folders of images, such as a;"):
        read_images(tmp_path)
    (tmp_path / "stray.png").unlink()
    assert len(read_images(tmp_path)) == 2


@pytest.mark.parametrize("shallow", ["", "a/", "b/c/"])
@pytest.mark.parametrize("deep", ["b/c/", "a/c/", "a/c/d/e/"])
def test_an_image_at_another_depth_is_refused_wherever_it_lies(tmp_path, shallow, deep):
    """Images lie in the folder, or all in the folders in it: of any two other places one sentence names an image."""
    for place in (shallow, deep):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
    save(tmp_path / shallow, one=gray())
    save(tmp_path / deep, deeper=gray(1))
    with pytest.raises(pf.InputError, match=r"(one|deeper)\.png lies too deep to be read: images lie in"):
        read_images(tmp_path)


def test_folders_without_images_and_links_in_circles_do_not_matter(tmp_path):
    (tmp_path / "a" / "notes").mkdir(parents=True)
    (tmp_path / "b" / ".hidden").mkdir(parents=True)
    save(tmp_path / "a", one=gray())
    save(tmp_path / "b", one=gray(1))
    save(tmp_path / "b" / ".hidden", two=gray(2))
    try:
        (tmp_path / "a" / "circle").symlink_to(tmp_path / "a", target_is_directory=True)
    except OSError:
        pytest.skip("no links here")
    assert read_images(tmp_path).names == ["a/one.png", "b/one.png"]


def test_one_image_is_one(tmp_path):
    save(tmp_path, a=gray())
    assert len(read_image(tmp_path)) == 1
    save(tmp_path, b=gray(1))
    with pytest.raises(pf.InputError, match="holds 2 images where one is wanted"):
        read_image(tmp_path)


def test_names_of_classes_stand_beside_an_array(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 2, 2), np.uint8), kind=np.array(["cat", "dog", "cat"]))
    images = read_images(tmp_path / "x.npz")
    assert images.classes == ["cat", "dog"] and images.labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("beside", "obstacle"),
    [
        ({"labels": np.arange(4)}, "labels has 4 entries, and classes are a vector of one for each of 5 images"),
        ({"labels": np.zeros((5, 3), int)}, r"labels has the shape \(5, 3\), and classes are a vector"),
        ({"labels": np.array([0.0, 1, 2, 0, 1])}, "labels holds float64, and classes are whole numbers or names"),
        ({"labels": np.array([0.0, 1, np.nan, 0, 1])}, "labels holds float64"),
        ({"labels": np.array([b"a"] * 5)}, r"labels holds \|S1"),
        ({"labels": np.array(["2020-01-01"] * 5, "M8[D]")}, "labels holds datetime64"),
        ({"kind": np.arange(5), "breed": np.arange(5)}, "kind and breed could each be the classes: leave one"),
        ({"labels": np.arange(4), "weight": np.ones(5)}, "labels has 4 entries.*; the array weight holds float64"),
        ({"version": np.array(3)}, ""),
    ],
)
def test_what_is_beside_an_array_and_holds_no_classes_is_named(tmp_path, beside, obstacle):
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).integers(256, size=(5, 2, 2), dtype=np.uint8), **beside)
    images = read_images(tmp_path / "x.npz")
    assert images.labels is None and (re.search(obstacle, images.obstacle) if obstacle else not images.obstacle)
    more = Images(np.concatenate([images.pixels] * 2), ["x"] * 10, None, [], images.obstacle)
    with pytest.raises(pf.InputError, match=f"There are no classes to condition on.*{obstacle}"):
        fit_images(more, by_class=True)


def test_what_cannot_be_written_is_said_before_the_work(tmp_path):
    assert is_array_path(tmp_path / "x.NPZ") and not is_array_path(tmp_path / "x.png")
    with pytest.raises(pf.InputError, match=r"to a picture, \.png, or to an array, \.npz, not to .*x\.npy"):
        is_array_path(tmp_path / "x.npy")
    for name in ("x.npz", "x.png"):
        with pytest.raises(pf.InputError, match="nowhere does not exist; create it first"):
            is_array_path(tmp_path / "nowhere" / name)
    write_array(tmp_path / "x.NPZ", np.zeros((1, 1, 2, 2), np.uint8))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x.NPZ"]
