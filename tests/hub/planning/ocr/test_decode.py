"""Files become pixels in bounds: what declares or holds more than it may is known for it, before it is decoded."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

np = pytest.importorskip("numpy", reason="the extra `ocr` is not installed")
Image = pytest.importorskip("PIL.Image", reason="the extra `ocr` is not installed")

from hub.planning.ocr.decode import decode_image
from hub.planning.ocr.protocol import OcrError, OcrErrorCode, WorkerSettings
from tests.hub.planning.ocr import bombs

LIMITS = WorkerSettings()
SMALL = replace(LIMITS, size=64 * 1024, pixels=10_000, side=200, frames=5, blocks=64)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def refusal(data: bytes, limits: WorkerSettings = LIMITS) -> OcrErrorCode:
    with pytest.raises(OcrError) as refused:
        decode_image(data, limits)
    return refused.value.code


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP"])
def test_pixels_are_those_of_the_picture(kind: str) -> None:
    """Blue, green, red, from every format without loss."""
    image = Image.new("RGB", (5, 3), (250, 120, 10))
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels = decode_image(saved(image, kind, **options), LIMITS)
    assert pixels.shape == (3, 5, 3)
    assert pixels[1, 2].tolist() == [10, 120, 250]


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "I;16"])
def test_every_mode_of_a_png_is_read(mode: str) -> None:
    """Palettes, grey, sixteen bits, transparency."""
    assert decode_image(saved(Image.new(mode, (6, 4))), LIMITS).shape == (4, 6, 3)


def test_an_interlaced_png_is_read() -> None:
    """Its size when inflated is that of seven passes, each with its own rows."""
    # Adam7 over one row of pixels a pass: made by hand, since Pillow writes none.
    width, height = 5, 5
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = sum(
        (1 + (width - x + a - 1) // a) * ((height - y + d - 1) // d)
        for x, y, a, d in passes
        if (width - x + a - 1) // a > 0
    )
    data = bytearray(bombs.png(width, height, body=bombs.zeros(rows)))
    data[28] = 1  # the interlace byte of IHDR
    data[29:33] = bombs.chunk((b"IHDR", bytes(data[16:29])))[-4:]
    assert decode_image(bytes(data), LIMITS).shape == (5, 5, 3)


def test_a_photograph_is_turned_upright() -> None:
    """By EXIF's orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode_image(saved(Image.new("RGB", (8, 2)), "JPEG", exif=exif.tobytes()), LIMITS).shape == (8, 2, 3)


def drawing(kind: str, **options: object) -> bytes:
    picture = Image.new("RGB", (37, 21), (200, 40, 40))
    picture.putpixel((3, 3), (0, 0, 0))
    return saved(picture, kind, **options)


FILES = {
    "PNG": drawing("PNG"),
    "JPEG": drawing("JPEG", progressive=True),
    "WEBP": drawing("WEBP", lossless=True),
    "GIF": drawing("GIF"),
    "BMP": drawing("BMP"),
}


def test_lossy_webp_is_read_too() -> None:
    """VP8 keeps its size elsewhere than VP8L does."""
    assert decode_image(drawing("WEBP", quality=50), LIMITS).shape == (21, 37, 3)


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_breaks_off_is_no_picture(kind: str) -> None:
    """Wherever it does."""
    data = FILES[kind]
    assert decode_image(data, LIMITS).shape == (21, 37, 3)
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


@pytest.mark.parametrize("kind", FILES)
def test_a_file_is_read_as_what_its_first_bytes_say(kind: str) -> None:
    """Each decoder is asked for its own format alone: another's contents behind these bytes are no picture."""
    other = FILES["BMP" if kind == "PNG" else "PNG"]
    assert refusal(FILES[kind][:8] + other[8:]) == "not_an_image"


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "BMP"])
def test_two_files_in_one_are_refused(kind: str) -> None:
    """A picture that is an archive too; padding with zeros is nothing."""
    assert refusal(FILES[kind] + b"PK\5\6" + bytes(18)) == "not_an_image"
    assert decode_image(FILES[kind] + bytes(16), LIMITS).shape == (21, 37, 3)


def test_what_a_camera_writes_behind_a_jpeg_changes_nothing() -> None:
    """Phones put previews and depth maps there."""
    again = decode_image(FILES["JPEG"] + b"PK\5\6" + bytes(18), LIMITS)
    assert again.tolist() == decode_image(FILES["JPEG"], LIMITS).tolist()


def test_only_the_first_of_several_frames_is_read() -> None:
    """Of a GIF, and of a PNG that has frames beside its picture."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    gif = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(gif, LIMITS)[4, 4].tolist() == [0, 0, 255]
    data = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert decode_image(data, LIMITS)[4, 4].tolist() == [0, 0, 255]
    assert decode_image(bombs.png(extra=[(b"acTL", struct.pack(">II", 3, 0))]), LIMITS).shape == (8, 8, 3)


def test_an_animated_webp_is_refused() -> None:
    """It is no screenshot."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    assert refusal(saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])) == "not_an_image"


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
        (bombs.jpeg_head(8, 8, scans=101), "bomb"),
        (bombs.gif(2, 2, frame=(90, 90)), "not_an_image"),
        (bombs.gif(2, 2, frame=(200, 200)), "too_big"),
        (bombs.png(0, 4), "not_an_image"),
        (bombs.bmp(compression=1), "not_an_image"),
        (bombs.bmp(cut=1), "not_an_image"),
    ],
    ids=range(16),
)
def test_what_declares_too_much_is_refused_before_it_is_decoded(data: bytes, code: OcrErrorCode) -> None:
    """Sizes, frames, blocks, scans: each bound is crossed, and little memory is taken to find that out."""
    tracemalloc.start()
    try:
        assert refusal(data, SMALL) == code
        assert tracemalloc.get_traced_memory()[1] < bombs.MEBIBYTE
    finally:
        tracemalloc.stop()


def test_scans_are_bounded_by_themselves() -> None:
    """A decoder works through the whole picture for every scan. A hundred may be, were there something in them."""
    assert refusal(bombs.jpeg_head(8, 8, scans=100)) == "not_an_image"
    assert refusal(bombs.jpeg_head(8, 8, scans=101)) == "bomb"


TEDIOUS = {
    "gif of tiny blocks": b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0, 0, 0) + b"!\xfe" + b"\x01x" * 500_000,
    "gif of tiny frames": bombs.gif(frames=70_000),
    "jpeg of stuffing": b"\xff\xd8\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00" + b"\xff\x00" * 500_000,
    "jpeg of fill": b"\xff\xd8" + b"\xff" * 1_000_000,
    "png of tiny chunks": b"\x89PNG\r\n\x1a\n" + bombs.chunk((b"tEXt", b"")) * 80_000,
    "png of tiny texts": bombs.png(extra=[(b"tEXt", b"")] * 80_000),
}


@pytest.mark.parametrize("name", TEDIOUS)
def test_a_file_made_to_take_time_takes_what_a_picture_may(name: str) -> None:
    """The child's time for a picture is twenty seconds, for eight mebibytes: of one mebibyte each takes little."""
    begun = time.process_time()
    refusal(TEDIOUS[name])
    assert time.process_time() - begun < LIMITS.seconds / 8


@settings(deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_broken_files_are_refused_and_nothing_else(kind: str, data: st.DataObject) -> None:
    """Any few bytes changed or cut: a picture, or OcrError."""
    file = bytearray(FILES[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(file)))
    try:
        assert decode_image(bytes(file[:cut]), SMALL).shape[2] == 3
    except OcrError:
        pass


def test_a_photograph_with_previews_is_read() -> None:
    """Phones write several pictures into one file; the first one counts."""
    image = Image.new("RGB", (40, 30), (10, 20, 200))
    data = saved(image, "MPO", save_all=True, append_images=[image.resize((20, 15))])
    assert decode_image(data, LIMITS).shape == (30, 40, 3)


@pytest.mark.parametrize(("ink", "paper"), [((255, 255, 255), 0), ((0, 0, 0), 255)])
def test_transparent_pictures_get_paper_their_ink_stands_out_from(ink: tuple[int, int, int], paper: int) -> None:
    """White text without a background would be gone on white."""
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    image.paste((*ink, 255), (5, 5, 10, 10))
    pixels = decode_image(saved(image), LIMITS)
    assert pixels[0, 0].tolist() == [paper] * 3
    assert pixels[7, 7].tolist() == list(ink)


BOMB = 256 * bombs.MEBIBYTE


@pytest.mark.parametrize(
    "data",
    [
        bombs.png(64, 64, body=bombs.zeros(BOMB)),
        bombs.png(extra=[(b"zTXt", b"Comment\0\0" + bombs.zeros(BOMB))]),
        bombs.png(extra=[(b"iCCP", b"sRGB\0\0" + bombs.zeros(BOMB))]),
        bombs.png(extra=[(b"iTXt", b"Comment\0\1\0en\0word\0" + bombs.zeros(BOMB))]),
        bombs.png(64, 64, body=bombs.zeros(64 * 65 + 1)),
        bombs.png(extra=[(b"zTXt", b"Comment\0\0" + bombs.zeros(bombs.MEBIBYTE - 9))] * 5),
    ],
    ids=["IDAT", "zTXt", "iCCP", "iTXt", "one byte too many", "many texts"],
)
def test_what_inflates_beyond_its_size_is_a_bomb(data: bytes) -> None:
    """And it is not inflated to find that out: memory stays under four mebibytes."""
    tracemalloc.start()
    try:
        assert refusal(data) == "bomb"
        assert tracemalloc.get_traced_memory()[1] < 4 * bombs.MEBIBYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        bombs.png(64, 64, body=bombs.zeros(64 * 65 - 1)),
        bombs.png(64, 64, body=bombs.zeros(64 * 65)[:-9]),
        bombs.png(64, 64, body=b"not zlib"),
        bombs.jpeg_head(64, 64),
        bombs.gif(40, 40),
    ],
    ids=["too little", "breaks off", "no zlib", "jpeg without a picture", "gif without its pixels"],
)
def test_a_picture_without_its_pixels_is_none(data: bytes) -> None:
    """Decoders that fill up with grey are not asked to."""
    assert refusal(data) == "not_an_image"


def test_a_picture_as_large_as_may_be_is_decoded() -> None:
    """Twenty million pixels from twenty kilobytes are within bounds; one row more is not."""
    data = bombs.png(5_000, 4_000)
    assert len(data) < 64 * 1024
    assert decode_image(data, LIMITS).shape == (4_000, 5_000, 3)
    assert refusal(bombs.png(5_000, 4_001)) == "too_big"
