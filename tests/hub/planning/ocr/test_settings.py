"""What the hub itself looks at of a stranger's file: its length and its first bytes."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from hub.planning.ocr.refusal import ImageRefused
from hub.planning.ocr.settings import WorkerSettings, image_format
from tests.each import each_of
from tests.hub.planning.ocr import bombs


@each_of(
    ("data", "name"),
    [
        (bombs.png(), "PNG"),
        (bombs.jpeg_head(8, 8), "JPEG"),
        (b"RIFF\x04\0\0\0WEBP", "WEBP"),
        (bombs.gif(), "GIF"),
        (b"GIF87a", "GIF"),
        (bombs.bmp(), "BMP"),
    ],
)
def test_a_file_is_what_its_first_bytes_say(data: bytes, name: str) -> None:
    """One format each, which a decoder is told; what stands behind them is not looked at."""
    assert image_format(data, 1_000) == name
    assert image_format(data + b"%PDF-1.7 PK\5\6", 1_000) == name


@each_of("data", [b"", b"\x89PNG", b"%PDF-1.7", b"II*\0", b"<svg/>", b"PK\3\4", b" BM"])
def test_anything_else_is_no_picture(data: bytes) -> None:
    """Formats that are not on the list too."""
    with pytest.raises(ImageRefused, match="not_an_image"):
        image_format(data, 1_000)


def test_a_file_too_large_is_refused_unseen() -> None:
    """Whatever it is."""
    assert image_format(b"BM" + bytes(98), 100) == "BMP"
    for data in (b"BM" + bytes(99), bytes(101)):
        with pytest.raises(ImageRefused, match="too_big"):
            image_format(data, 100)


def test_settings_travel_as_one_argument() -> None:
    """And arrive as they were."""
    given = WorkerSettings(size=1, seconds=2.5, frames=3)
    assert WorkerSettings(**json.loads(json.dumps(asdict(given)))) == given
