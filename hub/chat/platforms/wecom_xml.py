"""The XML inside WeCom's callbacks, read strictly and bounded: text fields under one root, and nothing clever. No I/O.

The parser is the standard library's expat. Documents with a DOCTYPE, entities of their own or processing instructions
are refused as soon as they begin, so nothing is ever expanded or fetched.
"""

from __future__ import annotations

from typing import Any, Final
from xml.parsers import expat

from hub.core.strict_json import BadBody

MAX_DEPTH: Final = 8
MAX_ELEMENTS: Final = 200
MAX_TEXT: Final = 65_536  # characters of one field


def read_fields(data: bytes) -> dict[str, str]:
    """The root's children by name, with their text; what is nested deeper is not read. Raises BadBody."""
    try:
        data.decode("utf-8")  # expat itself would follow a byte order mark into UTF-16
    except UnicodeDecodeError:
        raise BadBody("the message is not XML in UTF-8") from None
    reader = _Reader()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse("a DOCTYPE")
    parser.EntityDeclHandler = _refuse("an entity of its own")
    parser.ProcessingInstructionHandler = _refuse("a processing instruction")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise BadBody(f"the message is not XML: {expat.ErrorString(error.code)} (line {error.lineno})") from None
    return reader.fields


def _refuse(what: str) -> Any:
    def refuse(*_: object) -> None:
        raise BadBody(f"the message has {what}")

    return refuse


class _Reader:
    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self._depth = 0
        self._count = 0
        self._name = ""
        self._parts: list[str] = []
        self._size = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._count += 1
        if self._depth > MAX_DEPTH:
            raise BadBody(f"the message is nested deeper than {MAX_DEPTH} levels")
        if self._count > MAX_ELEMENTS:
            raise BadBody(f"the message has more than {MAX_ELEMENTS} elements")
        if self._depth == 2:
            if name in self.fields:
                raise BadBody("the message has the same field twice")
            self._name, self._parts, self._size = name, [], 0

    def end(self, name: str) -> None:
        if self._depth == 2:
            self.fields[self._name] = "".join(self._parts)
        self._depth -= 1

    def text(self, text: str) -> None:
        if self._depth != 2:
            return
        self._size += len(text)
        if self._size > MAX_TEXT:
            raise BadBody(f"a field is longer than {MAX_TEXT} characters")
        self._parts.append(text)
