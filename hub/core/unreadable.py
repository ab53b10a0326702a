"""What stands in the place of a sealed value that does not open: changed outside the hub, or from another row.

Lists and views go on and show it; it says of which value it is the place. It decides nothing: the MAC of a request
covers its text and plan (`hub.core.row_mac`), so a row with one of these is not this hub's, and whoever decides by
itself what is in a value asks `is_unreadable` first. Pure.
"""

from __future__ import annotations

import json
from typing import Any


class Unreadable(str):
    """In the place of a text."""

    __slots__ = ()


class UnreadableBytes(bytes):
    """In the place of output."""

    __slots__ = ()


def is_unreadable(value: Any) -> bool:
    return isinstance(value, Unreadable | UnreadableBytes)


def unreadable(place: str, *, binary: bool = False, is_json: bool = False) -> Unreadable | UnreadableBytes:
    """`place` is `table|column|row`."""
    if is_json:
        return Unreadable(json.dumps({"unreadable": place}))
    text = f"(unreadable: {place} was changed outside the hub)"
    return UnreadableBytes(text.encode("utf-8", "backslashreplace") + b"\n") if binary else Unreadable(text)
