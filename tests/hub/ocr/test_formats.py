"""What files say of themselves: sizes bounded, ends found, everything but one still picture left out."""

from __future__ import annotations

import io
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ocr.formats import Limits, Picture, look
from hub.ocr.refusal import Code, Refused
from tests.hub.ocr import bombs

Image = pytest.importorskip("PIL.Image", reason="the extra `ocr` is not installed")

LIMITS = Limits()
SMALL = Limits(size=64 * 1024, pixels=10_000, side=200, frames=5, blocks=64)


def saved(kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    picture = Image.new("RGB", (37, 21), (200, 40, 40))
    picture.putpixel((3, 3), (0, 0, 0))
    picture.save(target, kind, **options)
    return target.getvalue()


def refusal(data: bytes, limits: Limits = LIMITS) -> Code:
    with pytest.raises(Refused) as refused:
        look(data, limits)
    return refused.value.code


FILES = {
    "PNG": saved("PNG"),
    "JPEG": saved("JPEG", progressive=True),
    "WEBP": saved("WEBP", lossless=True),
    "GIF": saved("GIF"),
    "BMP": saved("BMP"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_picture_says_its_kind_and_size(kind: str) -> None:
    """And what is cut out of it is a picture of the same kind and the same pixels."""
    picture = look(FILES[kind], LIMITS)
    assert (picture.format, picture.width, picture.height) == (kind, 37, 21)
    with Image.open(io.BytesIO(picture.still), formats=[kind]) as again, Image.open(io.BytesIO(FILES[kind])) as first:
        assert again.convert("RGB").tobytes() == first.convert("RGB").tobytes()


def test_lossy_webp_is_read_too() -> None:
    """VP8 keeps its size elsewhere than VP8L does."""
    picture = look(saved("WEBP", quality=50), LIMITS)
    assert (picture.width, picture.height) == (37, 21)


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_breaks_off_is_no_picture(kind: str) -> None:
    """Wherever it does."""
    data = FILES[kind]
    for length in {len(data) - 1, len(data) // 2, 30, 12, 5, 0}:
        assert refusal(data[:length]) == "not_an_image"


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"%PDF-1.7 " + FILES["PNG"], b"<svg xmlns='x'/>", b"PK\3\4" + bytes(40), b"II*\0" + bytes(40)],
    ids=["empty", "text", "pdf", "svg", "zip", "tiff"],
)
def test_other_kinds_are_refused(data: bytes) -> None:
    """What is not on the list is no picture, whatever a decoder might make of it."""
    assert refusal(data) == "not_an_image"


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "BMP"])
def test_two_files_in_one_are_refused(kind: str) -> None:
    """A picture that is an archive too; padding with zeros is nothing."""
    assert refusal(FILES[kind] + b"PK\5\6" + bytes(18)) == "not_an_image"
    assert look(FILES[kind] + bytes(16), LIMITS).width == 37


def test_what_a_camera_writes_behind_a_jpeg_never_reaches_a_decoder() -> None:
    """Phones put previews and depth maps there."""
    assert look(FILES["JPEG"] + b"PK\5\6" + bytes(18), LIMITS).still == FILES["JPEG"]


def test_only_the_first_of_several_frames_is_kept() -> None:
    """And the texts and profiles of a PNG are left out."""
    first = look(bombs.gif(frames=4), LIMITS).still
    assert first.count(b",") == 1
    data = bombs.png(extra=[(b"tEXt", b"Comment\0secret"), (b"acTL", struct.pack(">II", 3, 0))])
    still = look(data, LIMITS).still
    assert b"secret" not in still
    assert b"acTL" not in still


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (bombs.png(60_000, 60_000, body=b"x"), "too_big"),
        (bombs.png(201, 1), "too_big"),
        (bombs.png(150, 150), "too_big"),
        (bombs.gif(65_535, 65_535), "too_big"),
        (bombs.jpeg_head(65_500, 65_500), "too_big"),
        (bombs.bmp(30_000, 30_000), "too_big"),
        (b"\x89PNG\r\n\x1a\n" + bytes(65 * 1024), "too_big"),
        (bombs.gif(frames=6), "bomb"),
        (bombs.png(extra=[(b"acTL", struct.pack(">II", 6, 0))]), "bomb"),
        (bombs.png(extra=[(b"tEXt", b"")] * 64), "bomb"),
        (bombs.jpeg_head(8, 8, scans=70), "bomb"),
        (bombs.gif(2, 2, frame=(200, 200)), "not_an_image"),
        (bombs.png(0, 4), "not_an_image"),
        (bombs.bmp(compression=1), "not_an_image"),
        (bombs.bmp(cut=1), "not_an_image"),
    ],
    ids=range(15),
)
def test_what_declares_too_much_is_refused_before_it_is_decoded(data: bytes, code: Code) -> None:
    """Sizes, frames, blocks, scans: each bound is crossed."""
    assert refusal(data, SMALL) == code


def test_scans_are_bounded_by_themselves() -> None:
    """A decoder works through the whole picture for every scan."""
    assert look(bombs.jpeg_head(8, 8, scans=100), LIMITS).format == "JPEG"
    assert refusal(bombs.jpeg_head(8, 8, scans=101)) == "bomb"


def test_an_animated_webp_is_refused() -> None:
    """It is no screenshot, and its frames are not cut apart here."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    target = io.BytesIO()
    frames[0].save(target, "WEBP", save_all=True, append_images=frames[1:])
    assert refusal(target.getvalue()) == "not_an_image"


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0, 0, 0) + b"!\xfe" + b"\x01x" * 4_000_000,
        b"\xff\xd8\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00" + b"\xff\x00" * 4_000_000,
        b"\xff\xd8" + b"\xff" * 8_000_000,
        b"\x89PNG\r\n\x1a\n" + bombs.chunk((b"tEXt", b"")) * 600_000,
    ],
    ids=["gif of tiny blocks", "jpeg of stuffing", "jpeg of fill", "png of tiny chunks"],
)
def test_a_file_made_to_take_time_takes_little(data: bytes) -> None:
    """This runs in the hub itself: processor time stays under a tenth of a second for eight mebibytes."""
    begun = time.process_time()
    refusal(data)
    assert time.process_time() - begun < 0.1


@given(st.sampled_from(sorted(FILES)), st.data())
def test_broken_files_are_refused_and_nothing_else(kind: str, data: st.DataObject) -> None:
    """Any few bytes changed or cut: a picture, or Refused."""
    file = bytearray(FILES[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(file)))
    try:
        assert isinstance(look(bytes(file[:cut]), LIMITS), Picture)
    except Refused:
        pass
