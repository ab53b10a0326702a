"""Pictures are decoded in this process by some tests, which sets a bound for the whole process: it is put back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

_PILLOWS_OWN = 1024 * 1024 * 1024 // 4 // 3


@pytest.fixture(autouse=True)
def pixels_as_they_were() -> Iterator[None]:
    yield
    image: Any = sys.modules.get("PIL.Image")
    if image is not None:
        image.MAX_IMAGE_PIXELS = _PILLOWS_OWN
