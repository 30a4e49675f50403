"""Images from folders, files and arrays, and back: whole numbers, all of one size."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.images.labels import labels_among
from pushforward.support.atomic import atomic_path, check_writable

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
ARRAYS = (".npy", ".npz")
LEVELS: dict[Any, int] = {np.dtype(np.uint8): 256, np.dtype(np.uint16): 65536}
# Gray, and red, green and blue.
CHANNELS = (1, 3)


@dataclass(frozen=True)
class Images:
    """Images of one size.

    Attributes:
        pixels: (n, C, H, W), uint8 or uint16; C is 1 for gray and 3 for color.
        names: of the files, or numbers of an array.
        labels: the number of each image's class, (n,), or None.
        classes: the names of the classes.
        obstacle: why there are no classes, though the source has something like them, as a sentence; else "".
    """

    pixels: np.ndarray
    names: list[str]
    labels: np.ndarray | None = None
    classes: list[str] = field(default_factory=list)
    obstacle: str = ""

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        _, channels, height, width = self.pixels.shape
        return channels, height, width

    @property
    def levels(self) -> int:
        """The levels that a number may have: 256, or 65536 of 16 bits."""
        return LEVELS[self.pixels.dtype]

    def rows(self) -> Tensor:
        """As vectors, (n, C · H · W), float32."""
        return torch.from_numpy(self.pixels.reshape(len(self), -1).astype(np.float32))


def read_images(source: str | os.PathLike[str], size: tuple[int, int] | None = None) -> Images:
    """Read images of one size.

    Arguments:
        source: an image, a folder of images, a folder of such folders, whose names are then the classes, or an array
            (.npy, .npz) of whole numbers, (n, H, W) or (n, H, W, channels); in an .npz file a vector of n whole numbers
            or names beside it holds the classes.
        size: (H, W) to which images are resized, default none.

    Returns:
        The images in the order of their names; in color if one of them is.

    Raises:
        InputError: no image, a file that cannot be read, sizes or bits that differ, or an alpha channel that hides
            something; the message names the file.
    """
    path = Path(source)
    if path.suffix.lower() in ARRAYS and path.is_file():
        if size is not None:
            raise InputError(f"Arrays are not resized, and {path} is one.")
        return _of_array(path)
    found, labels, classes = _files_of(path)
    arrays = [_read(file, size) for file in found]
    _check_alike(found, arrays)
    colors = max(len(array) for array in arrays)
    pixels = np.stack([np.broadcast_to(array, (colors, *array.shape[1:])) for array in arrays])
    names = [str(file.relative_to(path)) if path.is_dir() else str(file) for file in found]
    return Images(pixels, names, None if labels is None else np.array(labels), classes)


def read_image(source: str | os.PathLike[str], size: tuple[int, int] | None = None) -> Images:
    """Read an image, as `read_images` does, from a source that holds no more than one.

    Raises:
        InputError: those of `read_images`, or there are several.
    """
    images = read_images(source, size)
    if len(images) > 1:
        raise InputError(
            f"{os.fspath(source)} holds {len(images)} images where one is wanted: name a file of one image."
        )
    return images


def write_image(path: str | os.PathLike[str], pixels: np.ndarray) -> None:
    """Write one image, (C, H, W) of uint8 or uint16, as a PNG file, atomically."""
    check_image_path(path)
    pillow = _pillow()
    array = pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)
    with atomic_path(path) as temporary:
        pillow.fromarray(np.ascontiguousarray(array)).save(temporary, format="PNG")


def write_array(path: str | os.PathLike[str], pixels: np.ndarray, labels: Sequence[str] | None = None) -> None:
    """Write images, (n, C, H, W), as the array "images" of an .npz file, (n, H, W) or (n, H, W, C), atomically.

    Arguments:
        path: of the file.
        pixels: the images.
        labels: the class of each image, written as the array "labels"; default none.
    """
    array = pixels[:, 0] if pixels.shape[1] == 1 else np.moveaxis(pixels, 1, -1)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        # Of a name, numpy would write another one if it ends in .NPZ.
        if labels is None:
            np.savez_compressed(file, images=array)
        else:
            np.savez_compressed(file, images=array, labels=np.array(labels))


def check_image_path(path: str | os.PathLike[str]) -> None:
    """Raise an InputError if an image cannot be written under this name, before the work is done."""
    if Path(path).suffix.lower() != ".png":
        raise InputError(f"The name of an image to write ends in .png, {os.fspath(path)} does not.")
    check_writable(path)
    _pillow()


def is_array_path(path: str | os.PathLike[str]) -> bool:
    """Whether images are to be written as an array, .npz, under this name, rather than as a picture, .png.

    Raises:
        InputError: neither can be written under this name.
    """
    ending = Path(path).suffix.lower()
    if ending not in (".png", ".npz"):
        raise InputError(f"Images are written to a picture, .png, or to an array, .npz, not to {os.fspath(path)}.")
    if ending == ".npz":
        check_writable(path)
    else:
        check_image_path(path)
    return ending == ".npz"


def grid(pixels: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Images, (n, C, H, W), in rows beside each other, with lines of one pixel between them: (C, height, width).

    Example:
        >>> grid(np.zeros((5, 1, 2, 2), np.uint8), columns=3).shape
        (1, 7, 10)
    """
    count, channels, height, width = pixels.shape
    columns = min(count, int(np.ceil(np.sqrt(count)))) if columns is None else columns
    rows = -(-count // columns)
    gray = LEVELS[pixels.dtype] // 2
    page = np.full((channels, rows * (height + 1) + 1, columns * (width + 1) + 1), gray, pixels.dtype)
    for number, image in enumerate(pixels):
        top, left = (number // columns) * (height + 1) + 1, (number % columns) * (width + 1) + 1
        page[:, top : top + height, left : left + width] = image
    return page


def _files_of(path: Path) -> tuple[list[Path], list[int] | None, list[str]]:
    """The images of a source, their classes, and the names of these."""
    if path.is_file():
        return [path], None, []
    if not path.is_dir():
        raise InputError(f"There is no file or folder {path}.")
    within = _images_in(path)
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    by_class = [(folder.name, _images_in(folder)) for folder in folders]
    by_class = [(name, files) for name, files in by_class if files]
    if within and by_class:
        raise InputError(
            f"{path} holds images, such as {within[0].name}, and folders of images, such as {by_class[0][0]}; it is "
            "not known whether folders are classes: move the images into a folder, or name one folder."
        )
    deeper = next((found for folder in folders if (found := _image_below(folder)) is not None), None)
    if deeper is not None:
        raise InputError(
            f"{deeper} lies too deep to be read: images lie in {path} itself, or in folders in it, which are classes; "
            "move the images, or name another folder."
        )
    if within:
        return within, None, []
    if not by_class:
        raise InputError(f"There is no image ({', '.join(ENDINGS)}) in {path}, and none in the folders in it.")
    files = [file for _, found in by_class for file in found]
    labels = [number for number, (_, found) in enumerate(by_class) for _ in found]
    return files, labels, [name for name, _ in by_class]


def _images_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if _is_image(file))


def _image_below(folder: Path) -> Path | None:
    """An image in the folders in a folder, however deep, if there is one."""
    seen: set[str] = set()
    for inner, names, _ in os.walk(folder, followlinks=True):
        place = os.path.realpath(inner)
        # A link may lead back to where it lies.
        names[:] = [] if place in seen else sorted(name for name in names if not name.startswith("."))
        images = _images_in(Path(inner)) if place not in seen and Path(inner) != folder else []
        if images:
            return images[0]
        seen.add(place)
    return None


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file()


def _read(path: Path, size: tuple[int, int] | None) -> np.ndarray:
    """One image, (C, H, W), uint8 or uint16."""
    pillow = _pillow()
    try:
        with pillow.open(path) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise InputError(f"{path} holds {image.n_frames} images, of which only one can be read; save each.")
            _check_bits(path, image)
            image.load()
            return _numbers_of(path, image, size)
    except InputError:
        raise
    # Pillow raises many kinds for files that are damaged, or far too large.
    except Exception as error:
        raise InputError(f"{path} cannot be read as an image: {error}.") from error


def _check_bits(path: Path, image: Any) -> None:
    """Refuse colors of 16 bits, of which Pillow would keep 8."""
    coding = image.tile[0][3] if image.tile else ()
    parts = coding if isinstance(coding, tuple) else (coding,)
    # Pillow tells the bits of a file by the name of its raw mode, or by the largest number of a PPM file.
    deep = any(isinstance(part, str) and ";16" in part for part in parts)
    deep |= image.format == "PPM" and any(isinstance(part, int) and part > 255 for part in parts)
    if deep and not image.mode.startswith("I"):
        raise InputError(f"{path} holds 16 bits for each color, of which 8 would be lost; save it with 8 bits.")


def _numbers_of(path: Path, image: Any, size: tuple[int, int] | None) -> np.ndarray:
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise InputError(f"{path} holds floating-point numbers; images hold whole ones.")
    if image.mode.startswith("I"):
        array = np.asarray(image).astype(np.int64)
        if array.min() < 0 or array.max() > 65535:
            raise InputError(f"{path} holds numbers beyond 16 bits.")
        if size is not None:
            resized = _pillow().fromarray(array.astype(np.float32)).resize(size[::-1], _pillow().Resampling.BOX)
            array = np.rint(np.asarray(resized)).clip(0, 65535)
        return array.astype(np.uint16)[None]
    has_alpha = image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
    if has_alpha:
        rgba = image.convert("RGBA")
        if rgba.getextrema()[3][0] < 255:
            raise InputError(
                f"{path} is transparent in places, and it is not known what lies behind; save it without an alpha "
                "channel."
            )
        image = image.convert("L") if image.mode in ("LA", "La") else rgba.convert("RGB")
    if image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if size is not None:
        image = image.resize(size[::-1], _pillow().Resampling.LANCZOS)
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)


def _check_alike(files: Sequence[Path], arrays: Sequence[np.ndarray]) -> None:
    first = arrays[0]
    for file, array in zip(files, arrays, strict=True):
        if array.dtype != first.dtype:
            bits = [8 * one.dtype.itemsize for one in (first, array)]
            raise InputError(f"{files[0]} has {bits[0]} bits and {file} {bits[1]}; save all with the same.")
        if array.shape[1:] != first.shape[1:]:
            (height, width), (other_height, other_width) = first.shape[1:], array.shape[1:]
            raise InputError(
                f"{files[0]} has {height} × {width} pixels and {file} {other_height} × {other_width}; crop them, or "
                f"resize all with --size {height}x{width}."
            )


def _of_array(path: Path) -> Images:
    try:
        stored = np.load(path, allow_pickle=False)
        arrays = {"": stored} if isinstance(stored, np.ndarray) else {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        # Of anything but numbers, numpy says how to load it unsafely.
        reason = "it does not hold numbers" if "pickle" in str(error) else str(error).rstrip(".")
        raise InputError(f"{path} cannot be read as an array: {reason}.") from error
    images = {name: array for name, array in arrays.items() if array.ndim in (3, 4)}
    if len(images) != 1:
        listed = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "none"
        raise InputError(
            f"{path} must hold one array of images, (n, H, W) or (n, H, W, channels); its arrays are {listed}."
        )
    ((name, pixels),) = images.items()
    labels = labels_among({other: array for other, array in arrays.items() if other != name}, len(pixels))
    pixels = _whole(path, pixels)
    pixels = pixels[:, None] if pixels.ndim == 3 else np.moveaxis(pixels, -1, 1)
    shape = next(iter(images.values())).shape
    if not pixels.size:
        raise InputError(f"{path} holds no images: its array has the shape {shape}.")
    if pixels.shape[1] not in CHANNELS:
        first = "; put the channels last" if shape[1] in CHANNELS else ""
        raise InputError(
            f"The array of {path} has the shape {shape}; images are (n, H, W) of gray, or (n, H, W, 3) of color{first}."
        )
    if pixels.shape[1] > 1 and pixels.dtype == np.uint16:
        raise InputError(f"{path} holds colors of 16 bits, which no picture could show; store them with 8 bits.")
    return Images(
        pixels, [str(number) for number in range(len(pixels))], labels.numbers, list(labels.classes), labels.obstacle
    )


def _whole(path: Path, pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * 255
    if pixels.dtype.kind not in "iu":
        raise InputError(f"{path} holds {pixels.dtype}; images hold whole numbers, such as those of numpy.uint8.")
    if pixels.dtype in LEVELS:
        return pixels
    low, high = (int(pixels.min()), int(pixels.max())) if pixels.size else (0, 0)
    if low < 0 or high > 65535:
        raise InputError(f"{path} holds numbers from {low} to {high}; images hold those from 0 to 255, or to 65535.")
    return pixels.astype(np.uint8 if high < 256 else np.uint16)


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ImportError:
        raise InputError(
            "Images need the library Pillow, which is not installed: pip install 'pushforward[images]'."
        ) from None
    return Image
