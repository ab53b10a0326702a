"""What the hub's own pages for people have in common: one form, one style, at most one script, nothing from elsewhere.

Everything that is not ours is escaped. The script is the file passkey.js, which the policy of the page names by its
hash (CSP Level 3, 6.7.3.3); what it needs to know stands in attributes of the form. No page is kept by browsers, told
to other sites, or shown within another one.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Mapping
from html import escape
from importlib import resources
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from common.catalogue import Language, translate
from hub.chat.markup import Block, Code, split_blocks
from hub.core.strict_json import BadBody

MAX_FORM: Final = 6_144
"""Bytes: what a passkey signed in base64url, at most 3 KB, or a reason, a character of which may take 9 bytes."""
_BODY_SECONDS: Final = 10.0
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46em;margin:1em auto;padding:0 1em}"
    "pre{background:#f2f2f2;padding:.6em;white-space:pre-wrap;overflow-wrap:anywhere}"
    "button,input{font:inherit;padding:.5em 1em;margin:.3em .3em .3em 0}"
    "button.approve{background:#0a5;color:#fff;border:0}button.reject{background:#c33;color:#fff;border:0}"
)
SCRIPT: Final = (resources.files("hub.chat") / "passkey.js").read_text(encoding="utf-8")


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _headers(script: str) -> Mapping[str, str]:
    return {
        "Content-Security-Policy": f"default-src 'none'; {script}style-src {_source(_STYLE)}; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


HEADERS: Final = _headers("")
_SCRIPT_HEADERS: Final = _headers(f"script-src {_source(SCRIPT)}; ")


def page(language: Language, body: str, status: int = 200, *, script: bool = False) -> Response:
    """`body` is HTML; with `script` the one that answers for a passkey is part of it."""
    head = (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8"><title>Answerback</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
    )
    more: dict[str, Any] = {"Retry-After": "60"} if status == 429 else {}
    tail = f"<script>{SCRIPT}</script>" if script else ""
    headers = {**(_SCRIPT_HEADERS if script else HEADERS), **more}
    return Response(f"{head}<body>{body}{tail}</body></html>", status, headers, "text/html")


def paragraph(key: str, language: Language | None = None) -> str:
    """A sentence of the catalogue; in both languages where it is not known which one is read."""
    languages: tuple[Language, ...] = ("en", "zh") if language is None else (language,)
    return "".join(f"<p>{escape(translate(one, key))}</p>" for one in languages)


def blocks(text: str) -> str:
    """A text in the marks of `hub.core.chat_text`, as HTML."""
    return "".join(map(_block, split_blocks(text)))


def _block(block: Block) -> str:
    if isinstance(block, Code):
        return f"<pre>{escape(block.text)}</pre>"
    spans = "".join(
        f"<code>{escape(span.text)}</code>" if span.code else escape(span.text) for span in block.spans
    )  # fmt: skip
    return f"<blockquote>{spans}</blockquote>" if block.quote else f"<p>{spans}</p>"


def data_attributes(values: Mapping[str, str]) -> str:
    """What the script is to know, as attributes of its form."""
    return "".join(f' data-{name}="{escape(value)}"' for name, value in values.items())


def passkey_button(language: Language, label: str) -> str:
    """The button that the script shows and what it says; without scripts, what else can be done."""
    return (
        f"<noscript>{paragraph('passkey_no_script', language)}</noscript>"
        f'<p id="said" role="status"></p><button type="button" id="answer" class="approve" hidden>'
        f"{escape(translate(language, label))}</button>"
    )


def is_from_here(request: Request) -> bool:
    """False where the browser says that another site sent the form (Fetch Metadata, 2.3). One that says nothing has to
    have the form's secret all the same.
    """
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


async def read_body(request: Request) -> bytes:
    """Raises BadBody where it is none of our forms, and TimeoutError."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise BadBody("not a form")
    data = bytearray()
    async with asyncio.timeout(_BODY_SECONDS):
        async for piece in request.stream():
            data += piece
            if len(data) > MAX_FORM:
                raise BadBody("the form is too large")
    return bytes(data)
