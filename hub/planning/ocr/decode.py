"""A picture's file becomes pixels, upright. Only the child does this.

Pillow reads headers and pixels, and is told the one format that the first bytes name, so a file that is also something
else (a "polyglot") is only ever read as that picture. Headers too are read here and not in the hub: by a decoder that
many people test, in a process that has little to lose (`hub.planning.ocr.sandbox`), and not by a second reader that may
see another picture in the same bytes.

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
from PIL import Image, ImageOps, PngImagePlugin

from hub.planning.ocr.protocol import OcrError, WorkerSettings, image_format

Pixels = NDArray[np.uint8]
"""Height, width, 3: blue, green, red, as OpenCV has them."""

PngImagePlugin.MAX_TEXT_CHUNK = 1024 * 1024  # bytes that a text or a colour profile may inflate to
PngImagePlugin.MAX_TEXT_MEMORY = 4 * PngImagePlugin.MAX_TEXT_CHUNK  # and all texts of a picture
_TOO_MUCH_TEXT: Final = ("too large for PngImagePlugin", "Too much memory used in text")
_MAX_SCANS: Final = 100  # a decoder works through the whole picture for each scan of a progressive JPEG
_STEP: Final = 256 * 1024
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def decode_image(data: bytes, settings: WorkerSettings) -> Pixels:
    """Raises OcrError."""
    kind = image_format(data, settings.size)
    Image.MAX_IMAGE_PIXELS = settings.pixels
    stream = _Stream(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(stream, formats=[kind]) as image:
                if max(image.size) > settings.side:
                    raise OcrError("too_big")
                if kind != "JPEG" and getattr(image, "n_frames", 1) > settings.frames:
                    raise OcrError("bomb")
                end = _file_end(kind, data, image, stream.furthest, settings)
                if end > len(data) or data[end:].strip(b"\0"):
                    raise OcrError("not_an_image")  # cut off, or two files in one
                return _flat(ImageOps.exif_transpose(image))
    except (OcrError, MemoryError):
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise OcrError("too_big") from None
    except Exception as error:  # Pillow's decoders raise nearly everything on broken files
        raise OcrError("bomb" if any(sign in str(error) for sign in _TOO_MUCH_TEXT) else "not_an_image") from None


class _Stream(io.BytesIO):
    """A file that knows how far it was read."""

    furthest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.furthest = max(self.furthest, self.tell())
        return found


def _file_end(kind: str, data: bytes, image: Any, furthest: int, settings: WorkerSettings) -> int:
    """Where the picture's file ends. Raises OcrError for what a decoder would pass over."""
    match kind:
        case "PNG":
            return _png_end(data, image, settings)
        case "GIF":  # counting frames has read up to the trailer
            if data[furthest - 1 : furthest] == b";" and image.size == struct.unpack_from("<HH", data, 6):
                return furthest  # else it breaks off, or a frame is larger than the picture
        case "WEBP":
            if not image.is_animated:  # which is no screenshot
                (length,) = struct.unpack_from("<I", data, 4)
                return int(8 + length + (length & 1))
        case "BMP":
            ((decoder, _, offset, arguments),) = image.tile
            if decoder == "raw":  # no run lengths
                return int(offset + arguments[1] * image.height)
        case _:
            if data.count(b"\xff\xda") > _MAX_SCANS:
                raise OcrError("bomb")
            return len(data)  # cameras write previews and depth maps behind a JPEG's end
    raise OcrError("not_an_image")


def _png_end(data: bytes, image: Image.Image, settings: WorkerSettings) -> int:
    """Raises OcrError("bomb") where there are too many chunks, or more pixels than the picture has. Inflates in
    steps, and keeps nothing.
    """
    if data[12:16] != b"IHDR" or struct.unpack_from(">II", data, 16) != image.size:
        raise OcrError("not_an_image")
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
                raise OcrError("bomb")
        at += 12 + length
        if kind == b"IEND":
            return at
    raise OcrError("bomb")


def _flat(image: Image.Image) -> Pixels:
    """Without transparency: on black under light ink, on white under dark, as a viewer would show it."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image, np.uint16) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise OcrError("not_an_image")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        small = np.asarray(image.resize((256, 256)), np.float32)
        light = np.average(small[..., :3].mean(axis=2), weights=small[..., 3] + 1e-3)
        paper = Image.new("RGBA", image.size, "black" if light > 150 else "white")
        image = Image.alpha_composite(paper, image)
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])
