"""Pixels become pieces of text. Only the child does this: `rapidocr` finds and reads, what it finds is prepared here.

What this adds to calling rapidocr, each for an error that it makes on screens (tests/bench/ocr.py shows both):

* Wide, low screenshots are not blown up until their shorter side has 736 pixels; text is searched at the size at which
  it is found best, and what is small is searched again in larger tiles. Memory is bounded by the tile.
* No guess for each line whether it is upside down (it turns good lines over); once for the picture, if nothing reads.
* Boxes that all but touch are read as one piece, and a piece is cut out of the full picture where no letter is cut
  through: half letters at the seams read as letters that are not there.
* Spaces that the model drops are put back where the picture has them (`hub.ocr.spaces`).
"""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import cv2
import numpy as np
import rapidocr
from numpy.typing import NDArray
from rapidocr import RapidOCR

from hub.ocr.decode import Pixels
from hub.ocr.rows import Box, Point, Quad, box_of, pieces, rows
from hub.ocr.spaces import Glyph, han_gap, respaced
from hub.ocr.wire import MAX_PIECES, Answer, Piece

MOST_THREADS: Final = 4
TILE: Final = 1024  # the longest side that is searched at once
GLANCE: Final = 1024
LARGER: Final = 2.0  # small pictures are enlarged by at most this
LEGIBLE: Final = 16.0  # height in pixels, at the size searched, from which boxes are found reliably
SEARCHED: Final = 6_000_000  # pixels that are searched at the most
OVERLAP: Final = 96
MARGIN: Final = 32  # text at the very edge is not found
LONGEST: Final = 4_096  # a larger picture is made smaller first

HEIGHT: Final = 48  # what the model reads is that high
SPARE: Final = 0.35  # of a piece's height: how far its ends are looked at for a place to cut
PLAIN: Final = 35.0  # of 255: contrast that neither noise nor a gradient has
BLEED: Final = 6  # blank columns left at both ends
MAX_ASPECT: Final = 150  # a piece is at most so many times as long as high

CERTAIN: Final = 0.8  # confidence from which what lies between two pieces is taken for text
DOUBTFUL: Final = 0.65  # mean confidence below which the picture may be upside down

Matrix = NDArray[np.float32]


def _model(name: str) -> str:
    """A model by its file: rapidocr looks for one that it is only told the name of in the network."""
    path = Path(rapidocr.__file__).parent / "models" / name
    if not path.is_file():
        raise ImportError(f"rapidocr has no {name}: install the version that this hub asks for")
    return str(path)


class Recogniser:
    """The models, loaded."""

    def __init__(self, threads: int = 0) -> None:
        threads = threads or min(MOST_THREADS, len(os.sched_getaffinity(0)))
        cv2.setNumThreads(1)
        self._engine: Any = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Det.model_path": _model("PP-OCRv6_det_small.onnx"),
                "Rec.model_path": _model("PP-OCRv6_rec_small.onnx"),
                "Global.max_side_len": 8_192,  # sizes are decided here
                "Global.use_cls": False,
                "Global.use_vertical_padding": False,
                "Global.return_word_box": True,
                "Det.limit_type": "max",
                "Det.limit_side_len": 8_192,
                "Rec.rec_batch_num": 1,  # in a batch every piece is as wide as the widest
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def warm(self) -> None:
        """Reads something, so that whatever loads late is loaded."""
        image = np.full((96, 320, 3), 255, np.uint8)
        cv2.putText(image, "ready 123", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (0, 0, 0), 2)
        self.read(np.asarray(image, np.uint8))

    def read(self, image: Pixels, until: float = math.inf) -> Answer:
        """What is on the picture; when the monotonic clock passes `until`, what has been read so far."""
        height, width = image.shape[:2]
        shrink = min(1.0, LONGEST / max(height, width))
        if shrink < 1:
            image = _resized(image, shrink)
        found, whole = self._read(image, until)
        if found and _mean(found) < DOUBTFUL and time.monotonic() < until:
            turned, whole_turned = self._read(np.ascontiguousarray(image[::-1, ::-1]), until)
            if _mean(turned) > _mean(found):
                found, whole = turned, whole_turned
        return Answer(tuple(_grown(piece, 1 / shrink) for piece in found), (width, height), whole)

    def _read(self, image: Pixels, until: float) -> tuple[list[Piece], bool]:
        found_quads, whole = self._found(image, until)
        quads = pieces([box_of(quad) for quad in found_quads])[:MAX_PIECES]
        sure = len(quads)
        quads += _overlooked(image, quads)[: MAX_PIECES - sure]
        texts: dict[int, tuple[list[Glyph], float, float, Quad]] = {}
        # From below: where time runs out, the end of a terminal's text says more than its beginning.
        for number in sorted(range(len(quads)), key=lambda index: -quads[index][3][1]):
            if time.monotonic() > until:
                whole = False
                break
            cut = _cut(image, quads[number])
            if cut is None:
                continue
            line, confidence = self._glyphs(cut)
            if line and (number < sure or confidence >= CERTAIN):
                texts[number] = (line, confidence, _letter_height(cut), quads[number])
        usual = {number: gap / em for number, gap, em in _gaps(texts)}
        shared = median(usual.values()) if usual else None
        found = []
        for number in sorted(texts):
            line, confidence, em, quad = texts[number]
            ratio = usual.get(number, shared)
            text = respaced(line, em, None if ratio is None else ratio * em)
            found.append(Piece(text, min(1.0, max(0.0, confidence)), quad))
        return found, whole

    # ---- where text is

    def _found(self, image: Pixels, until: float) -> tuple[list[Quad], bool]:
        """Boxes of text, and whether there was time for all of the picture."""
        height, width = image.shape[:2]
        most = math.sqrt(SEARCHED / (height * width))
        scale = min(LARGER, GLANCE / max(height, width))
        quads = self._search(_resized(image, scale), scale, 0, 0)
        heights = [box_of(quad).height * scale for quad in quads]
        if scale >= LARGER or (heights and median(heights) >= LEGIBLE):
            return quads, True
        wanted = max(1.0, 1.3 * scale * LEGIBLE / median(heights)) if heights else 1.0
        scale = min(LARGER, most, wanted)
        larger = _resized(image, scale)
        found, whole = [], True
        for top, bottom in _spans(larger.shape[0]):
            for left, right in _spans(larger.shape[1]):
                tile = np.ascontiguousarray(larger[top:bottom, left:right])
                if int(tile.max()) - int(tile.min()) < PLAIN:
                    continue
                if time.monotonic() > until:
                    whole = False
                    break
                for quad in self._search(tile, scale, left, top):
                    box = box_of(quad)
                    above = top > 0 and (box.y - box.height / 2) * scale < top + 4
                    below = bottom < larger.shape[0] and (box.y + box.height / 2) * scale > bottom - 4
                    if not (above or below):  # cut through: the next tile has it whole
                        found.append(quad)
        return _distinct(found), whole

    def _search(self, image: Pixels, scale: float, left: float, top: float) -> list[Quad]:
        """Boxes in a part of the picture, in the whole picture's pixels."""
        framed = cv2.copyMakeBorder(image, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE)
        boxes = self._engine(framed, use_det=True, use_rec=False, use_cls=False).boxes
        if boxes is None:
            return []
        quads = []
        for box in np.asarray(boxes, np.float64):
            corners = [((x - MARGIN + left) / scale, (y - MARGIN + top) / scale) for x, y in box]
            quads.append((corners[0], corners[1], corners[2], corners[3]))
        return quads

    # ---- what it says

    def _glyphs(self, cut: Pixels) -> tuple[list[Glyph], float]:
        """The characters of a piece with where they are, and how certain they are."""
        read = self._engine.recognize_txt([cut])
        text, confidence = str(read.txts[0]), float(read.scores[0])
        told = read.word_results[0]
        columns = [column for word in told.word_cols for column in word]
        chars = [char for word in told.words for char in word]
        if not chars or chars != [char for char in text if not char.isspace()]:
            return [Glyph(char, 0.0) for char in chars], confidence
        step = cut.shape[1] / max(1.0, float(told.line_txt_len))
        blank = ~_ink(cut)
        line: list[Glyph] = []
        spaced = False
        at = iter(columns)
        for char in text:
            if char.isspace():
                spaced = True
                continue
            centre = (next(at) + 0.5) * step
            gap = _widest(blank[round(line[-1].at) : round(centre)]) if line else 0
            line.append(Glyph(char, centre, spaced and bool(line), gap))
            spaced = False
        return line, confidence


def _gaps(texts: dict[int, tuple[list[Glyph], float, float, Quad]]) -> list[tuple[int, float, float]]:
    """(piece, usual gap between its Han characters, height of its letters), of pieces that tell."""
    gaps = [(number, han_gap([line]), em) for number, (line, _, em, _) in texts.items()]
    return [(number, gap, em) for number, gap, em in gaps if gap is not None]


def _mean(found: Sequence[Piece]) -> float:
    """Confidence, weighted by length."""
    length = sum(len(piece.text) for piece in found)
    return sum(piece.confidence * len(piece.text) for piece in found) / length if length else 0.0


def _grown(piece: Piece, by: float) -> Piece:
    corners = [(x * by, y * by) for x, y in piece.quad]
    return Piece(piece.text, piece.confidence, (corners[0], corners[1], corners[2], corners[3]))


def _resized(image: Pixels, scale: float) -> Pixels:
    if scale == 1:
        return image
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


def _spans(length: int) -> list[tuple[int, int]]:
    """Overlapping stretches of at most TILE pixels."""
    if length <= TILE:
        return [(0, length)]
    count = math.ceil((length - OVERLAP) / (TILE - OVERLAP))
    step = (length - TILE) / (count - 1)
    return [(round(index * step), round(index * step) + TILE) for index in range(count)]


def _distinct(quads: Sequence[Quad]) -> list[Quad]:
    """Without those that lie within another: two tiles see what is in both."""
    boxes = sorted((box_of(quad) for quad in quads), key=lambda box: -box.width * box.height)
    kept: list[Box] = []
    for box in boxes:
        if not any(_within(box, other) for other in kept):
            kept.append(box)
    return [box.quad for box in kept]


def _within(box: Box, other: Box) -> bool:
    return (
        abs(box.y - other.y) < 0.4 * other.height
        and box.left > other.left - 0.5 * other.height
        and box.right < other.right + 0.5 * other.height
    )


def _overlooked(image: Pixels, quads: Sequence[Quad]) -> list[Quad]:
    """Where there is ink between two pieces of a row: a lone figure in a table is too small to be found."""
    boxes = [box_of(quad) for quad in quads]
    found: list[Quad] = []
    for row in rows(boxes):
        for left, right in itertools.pairwise(boxes[index] for index in row):
            height = min(left.height, right.height)
            if not 1.2 * height <= right.left - left.right <= 10 * height:
                continue
            between = (left.quad[1], right.quad[0], right.quad[3], left.quad[2])
            strip = _level(image, between, box_of(between))
            columns = np.flatnonzero((_contrast(strip)[6:-6] > PLAIN).any(axis=0))
            if len(columns) >= 3 and columns[-1] - columns[0] < 0.9 * strip.shape[1]:
                begin, end = (columns[0] - 8) / strip.shape[1], (columns[-1] + 9) / strip.shape[1]
                found.append(_part(between, max(0.0, float(begin)), min(1.0, float(end))))
    return found


def _part(quad: Quad, begin: float, end: float) -> Quad:
    """The stretch of a quadrilateral between two shares of its length."""

    def along(start: Point, stop: Point, share: float) -> Point:
        return start[0] + (stop[0] - start[0]) * share, start[1] + (stop[1] - start[1]) * share

    return (
        along(quad[0], quad[1], begin),
        along(quad[0], quad[1], end),
        along(quad[3], quad[2], end),
        along(quad[3], quad[2], begin),
    )


# ---- cutting pieces out


def _cut(image: Pixels, quad: Quad) -> Pixels | None:
    """The piece, level, HEIGHT pixels high, cut between letters; None where there is nothing to read."""
    box = box_of(quad)
    if box.height < 4 or box.width < 4 or box.width > MAX_ASPECT * box.height:
        return None
    return _trimmed(_level(image, quad, box, SPARE))


def _level(image: Pixels, quad: Quad, box: Box, spare: float = 0.0) -> Pixels:
    """A quadrilateral with `spare` of its height at both ends, level and HEIGHT pixels high."""
    corners = np.array(quad, np.float32)
    along = corners[1] - corners[0] + corners[2] - corners[3]
    along *= spare * box.height / max(1e-6, float(np.linalg.norm(along)))
    corners += np.stack([-along, along, along, -along])
    width, height = box.width + 2 * spare * box.height, box.height
    large = height > HEIGHT  # then it is made smaller in a second step that averages
    across = max(8, round(width if large else width * HEIGHT / height))
    down = round(height) if large else HEIGHT
    flat = np.array([[0, 0], [across, 0], [across, down], [0, down]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, flat)
    piece = cv2.warpPerspective(image, matrix, (across, down), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    if large:
        size = (max(8, round(width * HEIGHT / height)), HEIGHT)
        piece = cv2.resize(piece, size, interpolation=cv2.INTER_AREA)
    return np.asarray(piece, np.uint8)


def _trimmed(piece: Pixels) -> Pixels:
    """Both ends moved to the nearest column without ink."""
    spare = round(SPARE * HEIGHT)
    ink = _ink(piece)
    left, right = _blank_near(ink, spare, spare), _blank_near(ink, len(ink) - 1 - spare, spare)
    if right - left >= 8:
        piece = piece[:, left : right + 1]
    return np.asarray(cv2.copyMakeBorder(piece, 0, 0, BLEED, BLEED, cv2.BORDER_REPLICATE), np.uint8)


def _blank_near(ink: NDArray[np.bool_], at: int, reach: int) -> int:
    for away in range(reach + 1):
        for place in (at - away, at + away):
            if 0 <= place < len(ink) and not ink[place]:
                return place
    return at


def _contrast(piece: Pixels) -> Matrix:
    """How far each pixel is from the paper."""
    grey = cv2.cvtColor(piece, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return np.asarray(np.abs(grey - np.median(grey)), np.float32)


def _threshold(contrast: Matrix) -> float:
    return max(12.0, 0.3 * float(np.percentile(contrast, 98)))


def _ink(piece: Pixels) -> NDArray[np.bool_]:
    """Which columns have ink. The outermost rows are left out: neighbouring lines reach into them."""
    contrast = _contrast(piece)[4:-4]
    return np.asarray((contrast > _threshold(contrast)).any(axis=0), np.bool_)


def _letter_height(piece: Pixels) -> float:
    """From the highest to the lowest ink of a piece: about an em of the face."""
    contrast = _contrast(piece)
    rows = np.flatnonzero((contrast > _threshold(contrast)).mean(axis=1) > 0.01)
    return float(max(HEIGHT // 3, rows[-1] - rows[0] + 1)) if len(rows) else HEIGHT * 0.7


def _widest(blank: NDArray[np.bool_]) -> int:
    """The longest run of True."""
    if not blank.any():
        return 0
    edges = np.flatnonzero(np.diff(np.concatenate(([0], blank.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max())
