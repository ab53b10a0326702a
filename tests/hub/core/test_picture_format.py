"""Pictures by their first bytes."""

from __future__ import annotations

import pytest

from hub.core.picture_format import picture_format


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x89PNG\r\n\x1a\n...", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"RIFF....WEBP", "WEBP"),
        (b"GIF89a", "GIF"),
        (b"GIF87a", "GIF"),
        (b"BM....", "BMP"),
        (b"<!doctype html>", None),
        (b'{"errcode":40007}', None),
        (b"%PDF-1.7", None),
        (b"", None),
    ],
)
def test_the_one_format_that_a_file_is_read_as(data: bytes, name: str | None) -> None:
    assert picture_format(data) == name
