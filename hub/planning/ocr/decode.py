"""A picture's file becomes pixels, upright. Only the child does this.

Pillow reads headers and pixels, and is told the one format that the first bytes name, so a file that is also something
else (a "polyglot") is only ever read as that picture. The hub looks at nothing but a file's length and first bytes:
reading headers in the child is safer than in the hub, since a mistake there meets a process that can open no file and
no socket, has bounds of memory and time, and is replaced for the next picture; and headers are read by a decoder that
many people test, not by a second reader that may see another picture in the same bytes.

Bounds hold before anything is decoded: declared sizes (Pillow opens without decoding), text and profiles (Pillow
inflates them up to MAX_TEXT_CHUNK), frames, chunks and scans. What Pillow would not tell is looked for here: pixels
that inflate to more than the picture has, and a second file behind the picture's end.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, PngImagePlugin

from hub.planning.ocr.refusal import ImageRefused
from hub.planning.ocr.settings import WorkerSettings, image_format

Pixels = NDArray[np.uint8]
"""Height, width, 3: blue, green, red, as OpenCV has them."""

ImageFile.LOAD_TRUNCATED_IMAGES = False
PngImagePlugin.MAX_TEXT_CHUNK = 1024 * 1024  # bytes that a text or a colour profile may inflate to
PngImagePlugin.MAX_TEXT_MEMORY = 4 * PngImagePlugin.MAX_TEXT_CHUNK  # and all texts of a picture
_TOO_MUCH_TEXT: Final = ("too large for PngImagePlugin", "Too much memory used in text")
_MAX_SCANS: Final = 100  # a decoder works through the whole picture for each scan of a progressive JPEG
_STEP: Final = 256 * 1024
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def decode_image(data: bytes, settings: WorkerSettings) -> Pixels:
    """Raises ImageRefused."""
    kind = image_format(data, settings.size)
    Image.MAX_IMAGE_PIXELS = settings.pixels
    stream = _Stream(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(stream, formats=[kind]) as image:
                if max(image.size) > settings.side:
                    raise ImageRefused("too_big")
                if kind != "JPEG" and getattr(image, "n_frames", 1) > settings.frames:
                    raise ImageRefused("bomb")
                end = _file_end(kind, data, image, stream, settings)
                if end > len(data) or data[end:].strip(b"\0"):
                    raise ImageRefused("not_an_image")  # cut off, or two files in one
                image.load()
                return _flat(ImageOps.exif_transpose(image))
    except (ImageRefused, MemoryError):
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ImageRefused("too_big") from None
    except Exception as error:  # Pillow's decoders raise nearly everything on broken files
        raise ImageRefused("bomb" if any(sign in str(error) for sign in _TOO_MUCH_TEXT) else "not_an_image") from None


class _Stream(io.BytesIO):
    """A file that knows how far it was read."""

    furthest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.furthest = max(self.furthest, self.tell())
        return found


def _file_end(kind: str, data: bytes, image: Any, stream: _Stream, settings: WorkerSettings) -> int:
    """Where the picture's file ends. Raises ImageRefused for what a decoder would pass over."""
    match kind:
        case "PNG":
            return _png_end(data, image, settings)
        case "GIF":  # counting frames has read up to the trailer
            if data[stream.furthest - 1 : stream.furthest] != b";" or image.size != struct.unpack_from("<HH", data, 6):
                raise ImageRefused("not_an_image")  # it breaks off, or a frame is larger than the picture
            return stream.furthest
        case "WEBP":
            if image.is_animated:
                raise ImageRefused("not_an_image")  # no screenshot
            (length,) = struct.unpack_from("<I", data, 4)
            return int(8 + length + (length & 1))
        case "BMP":
            ((decoder, _, offset, arguments),) = image.tile
            if decoder != "raw":
                raise ImageRefused("not_an_image")  # run lengths
            return int(offset + arguments[1] * image.height)
        case _:
            if data.count(b"\xff\xda") > _MAX_SCANS:
                raise ImageRefused("bomb")
            return len(data)  # cameras write previews and depth maps behind a JPEG's end


def _png_end(data: bytes, image: Image.Image, settings: WorkerSettings) -> int:
    """Raises ImageRefused("bomb") where there are too many chunks, or more pixels than the picture has. Inflates in
    steps, and keeps nothing.
    """
    if data[12:16] != b"IHDR" or struct.unpack_from(">II", data, 16) != image.size:
        raise ImageRefused("not_an_image")
    depth, colour, interlaced = data[24], data[25], data[28]
    rest = image.height * (1 + (image.width * depth * _CHANNELS[colour] + 7) // 8)
    rest += 4 * image.height + 16 if interlaced else 0  # seven passes have more rows, and more bits to fill up
    inflater, at = zlib.decompressobj(), 8
    length: int
    for _ in range(settings.blocks):
        length, kind = struct.unpack_from(">I4s", data, at)
        packed = data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        while packed:
            rest -= len(inflater.decompress(packed, _STEP))
            packed = inflater.unconsumed_tail
            if rest < 0:
                raise ImageRefused("bomb")
        at += 12 + length
        if kind == b"IEND":
            return at
    raise ImageRefused("bomb")


# ---- pixels


def _flat(image: Image.Image) -> Pixels:
    """Without transparency: on what stands out from its ink, as a viewer would show it."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image, np.uint16) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise ImageRefused("not_an_image")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, _background_for(image))
        paper.alpha_composite(image)
        image = paper
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])


def _background_for(image: Image.Image) -> tuple[int, int, int, int]:
    """Black under light ink, white under dark."""
    small = np.asarray(image.resize((min(256, image.width), min(256, image.height))), np.float32)
    weight = small[..., 3:] / 255
    seen = float(weight.sum())
    light = float((small[..., :3] * weight).sum()) / (3 * seen) if seen else 0.0
    return (0, 0, 0, 255) if light > 150 else (255, 255, 255, 255)
