"""Files become pixels in bounds: what inflates beyond its size is known for it."""

from __future__ import annotations

import io
import tracemalloc

import pytest

np = pytest.importorskip("numpy", reason="the extra `ocr` is not installed")
Image = pytest.importorskip("PIL.Image", reason="the extra `ocr` is not installed")

from hub.ocr.decode import pixels_of  # noqa: E402  after the extra is known to be there
from hub.ocr.formats import Limits  # noqa: E402
from hub.ocr.refusal import Code, Refused  # noqa: E402
from tests.hub.ocr import bombs  # noqa: E402

LIMITS = Limits()


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def refusal(data: bytes, limits: Limits = LIMITS) -> Code:
    with pytest.raises(Refused) as refused:
        pixels_of(data, limits)
    return refused.value.code


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP"])
def test_pixels_are_those_of_the_picture(kind: str) -> None:
    """Blue, green, red, from every format without loss."""
    image = Image.new("RGB", (5, 3), (250, 120, 10))
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels = pixels_of(saved(image, kind, **options), LIMITS)
    assert pixels.shape == (3, 5, 3)
    assert pixels[1, 2].tolist() == [10, 120, 250]


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "I;16"])
def test_every_mode_of_a_png_is_read(mode: str) -> None:
    """Palettes, grey, sixteen bits, transparency."""
    assert pixels_of(saved(Image.new(mode, (6, 4))), LIMITS).shape == (4, 6, 3)


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
    assert pixels_of(bytes(data), LIMITS).shape == (5, 5, 3)


def test_a_photograph_is_turned_upright() -> None:
    """By EXIF's orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6
    assert pixels_of(saved(Image.new("RGB", (8, 2)), "JPEG", exif=exif.tobytes()), LIMITS).shape == (8, 2, 3)


def test_a_photograph_with_previews_is_read() -> None:
    """Phones write several pictures into one file; the first one counts, and the others were left out before."""
    image = Image.new("RGB", (40, 30), (10, 20, 200))
    data = saved(image, "MPO", save_all=True, append_images=[image.resize((20, 15))])
    assert pixels_of(data, LIMITS).shape == (30, 40, 3)


@pytest.mark.parametrize(("ink", "paper"), [((255, 255, 255), 0), ((0, 0, 0), 255)])
def test_transparent_pictures_get_paper_their_ink_stands_out_from(ink: tuple[int, int, int], paper: int) -> None:
    """White text without a background would be gone on white."""
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    image.paste((*ink, 255), (5, 5, 10, 10))
    pixels = pixels_of(saved(image), LIMITS)
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
    ],
    ids=["IDAT", "zTXt", "iCCP", "iTXt", "one byte too many"],
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
    assert pixels_of(data, LIMITS).shape == (4_000, 5_000, 3)
    assert refusal(bombs.png(5_000, 4_001)) == "too_big"
