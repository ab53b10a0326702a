"""Bodies of multipart/form-data (RFC 7578), as APIs of chats take files. Pure.

Names, file names and types are of a few ASCII characters, so that none of them can end a header or a quotation. The
boundary is derived from the parts' contents: nothing in a file can foretell it, and the same parts make the same body.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z0-9_.\[\]-]{1,100}", re.ASCII)
_TYPE: Final = re.compile(r"[a-z]+/[a-z0-9.+-]+(?:; charset=utf-8)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """A field of the form; a file where it has a `filename`."""

    name: str
    data: bytes
    filename: str = ""
    content_type: str = ""
    parameters: tuple[tuple[str, int], ...] = ()  # of Content-Disposition, beside name and filename


def multipart(parts: Sequence[Part]) -> tuple[bytes, str]:
    """The body and its Content-Type. Raises ValueError for a name or type with other characters, which is a programming
    error.
    """
    digest = hashlib.sha256(b"answerback multipart")
    for part in parts:
        digest.update(hashlib.sha256(part.data).digest())
    boundary = f"answerback-{digest.hexdigest()[:40]}"
    pieces: list[bytes] = []
    for part in parts:
        pieces += [f"--{boundary}\r\n{_headers(part)}\r\n".encode("ascii"), part.data, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode("ascii"))
    return b"".join(pieces), f"multipart/form-data; boundary={boundary}"


def _headers(part: Part) -> str:
    for value in (part.name, *([part.filename] if part.filename else ()), *(name for name, _ in part.parameters)):
        if _NAME.fullmatch(value) is None:
            raise ValueError("a part's name has characters that no header of ours may have")
    if part.content_type and _TYPE.fullmatch(part.content_type) is None:
        raise ValueError("a part's type is none of ours")
    disposition = f'Content-Disposition: form-data; name="{part.name}"'
    disposition += f'; filename="{part.filename}"' if part.filename else ""
    disposition += "".join(f"; {name}={number}" for name, number in part.parameters)
    return f"{disposition}\r\n" + (f"Content-Type: {part.content_type}\r\n" if part.content_type else "")
