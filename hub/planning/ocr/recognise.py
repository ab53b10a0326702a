"""Pixels become lines of text. Only the child does this: `rapidocr` finds and reads, what it finds is prepared here.

What this adds to calling rapidocr, each for an error that it makes on screens (tests/bench/ocr.py shows both):

* Wide, low screenshots are not blown up until their shorter side has 736 pixels; text is searched at the size at which
  it is found best, and what is small is searched again in enlarged tiles. Memory is bounded by the tile.
* No guess for each line whether it is upside down (it turns good lines over); once for the picture, if nothing reads.
* Boxes that all but touch are read as one piece, cut out of the full picture.
* Spaces that the model drops are put back where the picture has them (`hub.planning.ocr.spaces`).
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
from rapidocr import RapidOCR

from hub.planning.ocr.decode import Pixels
from hub.planning.ocr.layout import TextBox, build_lines, join_pieces
from hub.planning.ocr.protocol import OcrAnswer
from hub.planning.ocr.spaces import Glyph, restore_spaces, usual_han_gap

DETECTOR: Final = "PP-OCRv6_det_small.onnx"
READER: Final = "PP-OCRv6_rec_small.onnx"
MOST_THREADS: Final = 4
MAX_PIECES: Final = 600
TILE: Final = 1024  # the longest side that is searched at once, in pixels as they are searched
LARGER: Final = 2.0  # small pictures are enlarged by at most this
LEGIBLE: Final = 16.0  # height in pixels, at the size searched, from which boxes are found reliably
SEARCHED: Final = 6_000_000  # pixels that are searched at the most
OVERLAP: Final = 96
MARGIN: Final = 32  # text at the very edge is not found
PLAIN: Final = 35  # of 255: contrast that neither noise nor a gradient has

HEIGHT: Final = 48  # what the model reads is that high
EM: Final = 34.0  # and letters on it about that, from the highest to the lowest ink
MAX_ASPECT: Final = 150  # a piece is at most so many times as long as high

MIN_UPRIGHT_CONFIDENCE: Final = 0.65  # mean confidence below which the picture may be upside down


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
        # Something is read, so that whatever loads late is loaded.
        image = np.full((96, 320, 3), 255, np.uint8)
        cv2.putText(image, "ready 123", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (0, 0, 0), 2)
        self.read(np.asarray(image, np.uint8))

    def read(self, image: Pixels, until: float = math.inf) -> OcrAnswer:
        """What is on the picture; when the monotonic clock passes `until`, what has been read so far."""
        found, whole = self._read_image(image, until)
        if found and _mean(found) < MIN_UPRIGHT_CONFIDENCE and time.monotonic() < until:
            turned = self._read_image(np.ascontiguousarray(image[::-1, ::-1]), until)
            found, whole = max((found, whole), turned, key=lambda reading: _mean(reading[0]))
        return OcrAnswer("\n".join(build_lines(found)), whole)

    def _read_image(self, image: Pixels, until: float) -> tuple[list[TextBox], bool]:
        boxes, whole = self._find_boxes(image, until)
        read: list[tuple[TextBox, list[Glyph]]] = []
        # From below: where time runs out, the end of a terminal's text says more than its beginning.
        for box in sorted(join_pieces(boxes)[:MAX_PIECES], key=lambda box: -box.left[1]):
            if time.monotonic() > until:
                whole = False
                break
            if (cut := _cut_line(image, box)) is not None:
                line, box.confidence = self._recognise(cut)
                read.append((box, line))
        usual = usual_han_gap(line for _, line in read)
        for box, line in read:
            box.text = restore_spaces(line, usual)
        return [box for box, _ in read], whole

    # ---- where text is

    def _find_boxes(self, image: Pixels, until: float) -> tuple[list[TextBox], bool]:
        """Boxes of text, and whether there was time for all of the picture."""
        height, width = image.shape[:2]
        scale = min(LARGER, TILE / max(height, width))
        boxes = self._search(image, scale)
        letters = median([box.height * scale for box in boxes] or [0.0])
        if scale >= LARGER or letters >= LEGIBLE:
            return boxes, True
        wanted = max(1.0, 1.3 * scale * LEGIBLE / letters) if letters else 1.0
        scale = min(LARGER, math.sqrt(SEARCHED / (height * width)), wanted)
        found: list[TextBox] = []
        for (top, bottom), (left, right) in itertools.product(_spans(height, scale), _spans(width, scale)):
            tile = image[top:bottom, left:right]
            if int(tile.max()) - int(tile.min()) < PLAIN:
                continue
            if time.monotonic() > until:
                return found, False
            for box in self._search(tile, scale, left, top):
                edge = box.height / 2 + 4 / scale
                above = top > 0 and box.centre[1] - edge < top
                below = bottom < height and box.centre[1] + edge > bottom
                if not (above or below):  # cut through: the next tile has it whole
                    found.append(box)
        return found, True

    def _search(self, part: Pixels, scale: float, left: int = 0, top: int = 0) -> list[TextBox]:
        """Boxes in a part of the picture, searched at this scale, in the whole picture's pixels."""
        size = [max(1, round(side * scale)) for side in part.shape[1::-1]]
        scaled = cv2.resize(part, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
        framed = cv2.copyMakeBorder(scaled, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE)
        boxes = self._engine(framed, use_det=True, use_rec=False, use_cls=False).boxes
        quads: Any = [] if boxes is None else ((np.asarray(boxes, np.float64) - MARGIN) / scale + (left, top)).tolist()
        return [TextBox((tuple(a), tuple(b), tuple(c), tuple(d))) for a, b, c, d in quads]

    # ---- what it says

    def _recognise(self, cut: Pixels) -> tuple[list[Glyph], float]:
        """The characters of a piece with where they are, and how certain they are."""
        read = self._engine.recognize_txt([cut])
        told = read.word_results[0]
        columns = itertools.chain.from_iterable(told.word_cols)  # one for each character that is no space
        step = cut.shape[1] / max(1.0, float(told.line_txt_len))
        blank = _blank_columns(cut)
        line: list[Glyph] = []
        spaced, before = False, 0
        for char in read.txts[0]:
            if char.isspace():
                spaced = bool(line)
                continue
            at = (next(columns) + 0.5) * step
            runs = itertools.groupby(blank[before : round(at)] if line else [])
            gap = max((len(list(run)) for is_blank, run in runs if is_blank), default=0)
            line.append(Glyph(char, at / EM, spaced, gap / EM))
            spaced, before = False, round(at)
        return line, min(1.0, max(0.0, float(read.scores[0])))


def _mean(found: Sequence[TextBox]) -> float:
    """Confidence, weighted by length."""
    return sum(box.confidence * len(box.text) for box in found) / max(1, sum(len(box.text) for box in found))


def _spans(length: int, scale: float) -> list[tuple[int, int]]:
    """Overlapping stretches of at most TILE pixels at this scale."""
    tile, overlap = TILE / scale, OVERLAP / scale
    count = max(1, math.ceil((length - overlap) / (tile - overlap)))
    step = (length - tile) / max(1, count - 1)
    return [(round(index * step), min(length, round(index * step + tile))) for index in range(count)]


def _cut_line(image: Pixels, box: TextBox) -> Pixels | None:
    """The piece, level, HEIGHT pixels high; None where there is nothing to read."""
    if box.height < 4 or box.width < 4 or box.width > MAX_ASPECT * box.height:
        return None
    width = max(8, round(box.width * HEIGHT / box.height))
    level = np.array([[0, 0], [width, 0], [width, HEIGHT], [0, HEIGHT]], np.float32)
    matrix = cv2.getPerspectiveTransform(np.array(box.quad, np.float32), level)
    cut = cv2.warpPerspective(image, matrix, (width, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.uint8)


def _blank_columns(piece: Pixels) -> list[bool]:
    """Which columns have no ink. The outermost rows are left out: neighbouring lines reach into them."""
    grey = cv2.cvtColor(piece, cv2.COLOR_BGR2GRAY)[4:-4].astype(np.float32)
    contrast = np.abs(grey - np.median(grey))  # how far each pixel is from the paper
    blank = (contrast <= max(12.0, 0.3 * float(np.percentile(contrast, 98)))).all(axis=0)
    return [bool(column) for column in blank]
