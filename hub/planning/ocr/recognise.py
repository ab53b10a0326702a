"""Pixels become pieces of text. Only the child does this: `rapidocr` finds and reads, what it finds is prepared here.

What this adds to calling rapidocr, each for an error that it makes on screens (tests/bench/ocr.py shows both):

* Wide, low screenshots are not blown up until their shorter side has 736 pixels; text is searched at the size at which
  it is found best, and what is small is searched again in enlarged tiles. Memory is bounded by the tile.
* No guess for each line whether it is upside down (it turns good lines over); once for the picture, if nothing reads.
* Boxes that all but touch are read as one piece, cut out of the full picture.
* Spaces that the model drops are put back where the picture has them (`hub.planning.ocr.spaces`).
"""

from __future__ import annotations

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

from hub.planning.ocr.decode import Pixels
from hub.planning.ocr.protocol import MAX_PIECES, OcrAnswer, TextPiece
from hub.planning.ocr.rows import Quad, box_from_quad, join_pieces
from hub.planning.ocr.spaces import Glyph, restore_spaces, usual_han_gap

DETECTOR: Final = "PP-OCRv6_det_small.onnx"
READER: Final = "PP-OCRv6_rec_small.onnx"
MOST_THREADS: Final = 4
TILE: Final = 1024  # the longest side that is searched at once
OVERVIEW_SIDE: Final = 1024
LARGER: Final = 2.0  # small pictures are enlarged by at most this
LEGIBLE: Final = 16.0  # height in pixels, at the size searched, from which boxes are found reliably
SEARCHED: Final = 6_000_000  # pixels that are searched at the most
OVERLAP: Final = 96
MARGIN: Final = 32  # text at the very edge is not found

HEIGHT: Final = 48  # what the model reads is that high
PLAIN: Final = 35.0  # of 255: contrast that neither noise nor a gradient has
BLEED: Final = 6  # blank columns left at both ends
MAX_ASPECT: Final = 150  # a piece is at most so many times as long as high

MIN_UPRIGHT_CONFIDENCE: Final = 0.65  # mean confidence below which the picture may be upside down

Matrix = NDArray[np.float32]


def _model_path(name: str) -> str:
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
                "Det.model_path": _model_path(DETECTOR),
                "Rec.model_path": _model_path(READER),
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

    def read(self, image: Pixels, until: float = math.inf) -> OcrAnswer:
        """What is on the picture; when the monotonic clock passes `until`, what has been read so far."""
        found, whole = self._read_image(image, until)
        if found and _mean(found) < MIN_UPRIGHT_CONFIDENCE and time.monotonic() < until:
            turned, whole_turned = self._read_image(np.ascontiguousarray(image[::-1, ::-1]), until)
            if _mean(turned) > _mean(found):
                found, whole = turned, whole_turned
        return OcrAnswer(tuple(found), (image.shape[1], image.shape[0]), whole)

    def _read_image(self, image: Pixels, until: float) -> tuple[list[TextPiece], bool]:
        found_quads, whole = self._find_boxes(image, until)
        quads = join_pieces([box_from_quad(quad) for quad in found_quads])[:MAX_PIECES]
        read: list[tuple[Quad, list[Glyph], float, float]] = []
        # From below: where time runs out, the end of a terminal's text says more than its beginning.
        for quad in sorted(quads, key=lambda quad: -quad[3][1]):
            if time.monotonic() > until:
                whole = False
                break
            cut = _cut_line(image, quad)
            line, confidence = ([], 0.0) if cut is None else self._recognise(cut)
            if cut is not None and line:
                read.append((quad, line, confidence, _letter_height(cut)))
        usual = usual_han_gap((line, em) for _, line, _, em in read)
        pieces = [
            TextPiece(restore_spaces(line, em, usual), min(1.0, max(0.0, confidence)), quad)
            for quad, line, confidence, em in reversed(read)
        ]
        return pieces, whole

    # ---- where text is

    def _find_boxes(self, image: Pixels, until: float) -> tuple[list[Quad], bool]:
        """Boxes of text, and whether there was time for all of the picture."""
        height, width = image.shape[:2]
        most = math.sqrt(SEARCHED / (height * width))
        scale = min(LARGER, OVERVIEW_SIDE / max(height, width))
        quads = self._find_in_tile(_scaled(image, scale), scale, 0, 0)
        heights = [box_from_quad(quad).height * scale for quad in quads]
        if scale >= LARGER or (heights and median(heights) >= LEGIBLE):
            return quads, True
        wanted = max(1.0, 1.3 * scale * LEGIBLE / median(heights)) if heights else 1.0
        scale = min(LARGER, most, wanted)
        larger = _scaled(image, scale)
        found, whole = [], True
        for top, bottom in _tile_spans(larger.shape[0]):
            for left, right in _tile_spans(larger.shape[1]):
                tile = np.ascontiguousarray(larger[top:bottom, left:right])
                if int(tile.max()) - int(tile.min()) < PLAIN:
                    continue
                if time.monotonic() > until:
                    whole = False
                    break
                for quad in self._find_in_tile(tile, scale, left, top):
                    box = box_from_quad(quad)
                    above = top > 0 and (box.y - box.height / 2) * scale < top + 4
                    below = bottom < larger.shape[0] and (box.y + box.height / 2) * scale > bottom - 4
                    if not (above or below):  # cut through: the next tile has it whole
                        found.append(quad)
        return found, whole

    def _find_in_tile(self, image: Pixels, scale: float, left: float, top: float) -> list[Quad]:
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

    def _recognise(self, cut: Pixels) -> tuple[list[Glyph], float]:
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
            gap = _longest_run(blank[round(line[-1].at) : round(centre)]) if line else 0
            line.append(Glyph(char, centre, spaced and bool(line), gap))
            spaced = False
        return line, confidence


def _mean(found: Sequence[TextPiece]) -> float:
    """Confidence, weighted by length."""
    length = sum(len(piece.text) for piece in found)
    return sum(piece.confidence * len(piece.text) for piece in found) / length if length else 0.0


def _scaled(image: Pixels, scale: float) -> Pixels:
    height, width = image.shape[:2]
    return _resized(image, (max(1, round(width * scale)), max(1, round(height * scale))))


def _resized(image: Pixels, size: tuple[int, int]) -> Pixels:
    """With this width and height; averages where it becomes smaller."""
    how = cv2.INTER_CUBIC if size[1] > image.shape[0] else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


def _tile_spans(length: int) -> list[tuple[int, int]]:
    """Overlapping stretches of at most TILE pixels."""
    if length <= TILE:
        return [(0, length)]
    count = math.ceil((length - OVERLAP) / (TILE - OVERLAP))
    step = (length - TILE) / (count - 1)
    return [(round(index * step), round(index * step) + TILE) for index in range(count)]


# ---- cutting pieces out


def _cut_line(image: Pixels, quad: Quad) -> Pixels | None:
    """The piece, level, HEIGHT pixels high; None where there is nothing to read."""
    box = box_from_quad(quad)
    if box.height < 4 or box.width < 4 or box.width > MAX_ASPECT * box.height:
        return None
    width, height = round(box.width), round(box.height)
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(np.array(quad, np.float32), flat)
    piece = cv2.warpPerspective(image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    piece = _resized(np.asarray(piece, np.uint8), (max(8, round(width * HEIGHT / height)), HEIGHT))
    return np.asarray(cv2.copyMakeBorder(piece, 0, 0, BLEED, BLEED, cv2.BORDER_REPLICATE), np.uint8)


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


def _longest_run(blank: NDArray[np.bool_]) -> int:
    """The longest run of True."""
    if not blank.any():
        return 0
    edges = np.flatnonzero(np.diff(np.concatenate(([0], blank.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max())
