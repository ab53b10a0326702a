"""Strict, bounded form bodies (application/x-www-form-urlencoded, WHATWG URL standard): each field once, UTF-8, no more
fields than a chat sends. A BadBody is all that they raise, and it never quotes the body.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from hub.core.strict_json import BadBody

MAX_FIELDS: Final = 64
MAX_VALUE: Final = 262_144
"""Characters of one field: a click comes with the whole message that was clicked, as JSON in one of them."""


def parse(data: bytes) -> dict[str, str]:
    """The fields of a form, by name; raises BadBody."""
    try:
        text = data.decode("ascii")
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise BadBody(f"the body is no form of at most {MAX_FIELDS} fields in UTF-8") from None
    fields = dict(pairs)
    if not fields:
        raise BadBody("the form is empty")
    if len(fields) != len(pairs):
        raise BadBody("the form has the same field twice")
    if any(len(value) > MAX_VALUE for value in fields.values()):
        raise BadBody(f"a field of the form is longer than {MAX_VALUE} characters")
    return fields
