"""A picture's file becomes pixels, upright. Only the child does this; Pillow decodes, and is told the format.

What is compressed is inflated once beforehand, within bounds, so that a file that holds more than its size says is
known for what it is: Pillow stops at the picture's end and would not tell.
"""

from __future__ import annotations

import io
import warnings
import zlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

from hub.ocr.formats import Limits, Picture, check_size, look, png_chunks
from hub.ocr.refusal import Refused

Pixels = NDArray[np.uint8]
"""Height, width, 3: blue, green, red, as OpenCV has them."""

MAX_ASIDE: Final = 1024 * 1024  # bytes that a text or a colour profile may inflate to
_STEP: Final = 256 * 1024
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS: Final = frozenset({1, 2, 4, 8, 16})

ImageFile.LOAD_TRUNCATED_IMAGES = False


def pixels_of(data: bytes, limits: Limits) -> Pixels:
    """Raises Refused."""
    picture = look(data, limits)
    if picture.format == "PNG":
        check_png(data, picture, limits)
    Image.MAX_IMAGE_PIXELS = limits.pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(picture.still), formats=[picture.format]) as image:
                check_size(*image.size, limits)
                image.load()
                return _flat(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Refused("bomb") from None
    except (Refused, MemoryError):
        raise
    except Exception:  # Pillow's decoders raise nearly everything on broken files
        raise Refused("not_an_image") from None


def _flat(image: Image.Image) -> Pixels:
    """Without transparency: on what stands out from its ink, as a viewer would show it."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image, np.uint16) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise Refused("not_an_image")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, _paper_for(image))
        paper.alpha_composite(image)
        image = paper
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])


def _paper_for(image: Image.Image) -> tuple[int, int, int, int]:
    """Black under light ink, white under dark."""
    small = np.asarray(image.resize((min(256, image.width), min(256, image.height))), np.float32)
    weight = small[..., 3:] / 255
    seen = float(weight.sum())
    light = float((small[..., :3] * weight).sum()) / (3 * seen) if seen else 0.0
    return (0, 0, 0, 255) if light > 150 else (255, 255, 255, 255)


# ---- PNG


def check_png(data: bytes, picture: Picture, limits: Limits) -> None:
    """Raises Refused("bomb") where something inflates to more than it may, ("not_an_image") where to too little."""
    chunks = png_chunks(data, limits)
    header = data[chunks[0][1] + 8 : chunks[0][1] + 21]
    expected = _raw_size(picture, header[8], header[9], header[12])
    body = b"".join(data[at + 8 : at + 8 + length] for kind, at, length in chunks if kind == b"IDAT")
    inflated = _inflated(body, expected)
    if inflated > expected:
        raise Refused("bomb")
    if inflated < expected:
        raise Refused("not_an_image")
    for kind, at, length in chunks:
        if _inflated(_packed(kind, data[at + 8 : at + 8 + length]), MAX_ASIDE) > MAX_ASIDE:
            raise Refused("bomb")


def _raw_size(picture: Picture, depth: int, colour: int, interlaced: int) -> int:
    """Bytes of all rows, each with its filter's byte; of seven passes where it is interlaced."""
    if depth not in _DEPTHS or colour not in _CHANNELS:
        raise Refused("not_an_image")
    bits = depth * _CHANNELS[colour]
    if not interlaced:
        return picture.height * (1 + (picture.width * bits + 7) // 8)
    total = 0
    for left, top, across, down in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        width = (picture.width - left + across - 1) // across
        height = (picture.height - top + down - 1) // down
        total += height * (1 + (width * bits + 7) // 8) if width > 0 else 0
    return total


def _packed(kind: bytes, content: bytes) -> bytes:
    """The compressed part of a chunk of text or of a colour profile; empty where there is none."""
    _, _, rest = content.partition(b"\0")
    if kind in (b"zTXt", b"iCCP"):
        return rest[1:]
    if kind == b"iTXt" and rest[:1] == b"\1":
        return rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    return b""


def _inflated(packed: bytes, most: int) -> int:
    """How many bytes it comes to; counts to a little over `most` and keeps nothing."""
    if not packed:
        return 0
    machine: Any = zlib.decompressobj()
    total = 0
    try:
        while not machine.eof and total <= most:
            step = len(machine.decompress(packed, _STEP))
            total += step
            packed = machine.unconsumed_tail
            if not step:
                break  # it breaks off
    except zlib.error:
        raise Refused("not_an_image") from None
    return total
