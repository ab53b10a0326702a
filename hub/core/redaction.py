"""A delivery of a chat with what is private replaced, so that it can be kept as a test's fixture. Pure.

Keys, kinds ("type": "message"), booleans, small numbers and times stay; every other value is replaced by one of the
same type, length and shape. A value gets the same replacement wherever it stands, in another field or within a text
("<@U1> restart" and "user": "U1"), so that what reads the delivery finds what it looks for. The key of the replacements
is random and kept nowhere: nobody finds by trying what a word was.

What is not JSON or a form, what is encrypted and what is too large is not kept at all, with a note that says so.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from hub.core import strict_form, strict_json
from hub.core.strict_json import BadBody

MAX_BODY: Final = 256 * 1024  # bytes
MAX_VALUE: Final = 4_096  # characters of a value; a longer one is cut to `CUT`
CUT: Final = 64
SMALL: Final = 10_000  # numbers below it stay: offsets, versions, kinds
_SHORT: Final = 2  # digits in a text that stay
_NESTED: Final = 3  # JSON in a value of JSON in a value …

_WORD: Final = re.compile(r"[A-Za-z0-9]+|[^\x00-\x7f]+")
_PREFIXED: Final = re.compile(r"([a-z]{1,4}_)[A-Za-z0-9]+")
_SHOUTED_ID: Final = re.compile(r"[A-Z][A-Z0-9]{7,}")
_KEY: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_.$:\- ]{0,63}")
_DIGITS: Final = re.compile(r"\d{5,}")
_KIND: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:/\-]{0,63}|\d\.\d")
_KINDS: Final = frozenset(
    {
        *("type", "subtype", "kind", "event", "event_type", "msgtype", "msg_type", "message_type", "chat_type"),
        *("channel_type", "conversationtype", "membership", "schema", "tag", "contenttype", "content_type", "locale"),
        *("lang", "language", "language_code", "parse_mode", "format", "msgtype"),
    }
)
"""Keys whose values are words of the platform and not of people."""
_TIME_KEY: Final = re.compile(
    r"(?:^|[_-])(?:ts|time|date|timestamp)$|time(?:stamp)?$|(?<=[a-z])At$|_at$", re.IGNORECASE
)
_AT: Final = re.compile(r"(?<=[a-z])At$|_at$")
_TIME: Final = re.compile(r"\d{9,16}(?:\.\d{1,9})?|\d{4}-\d\d-\d\dT[\d:.]{5,20}(?:Z|[+-]\d\d:?\d\d)?")
_ENCRYPTED: Final = re.compile(rb'"[Ee]ncrypt(?:ed)?"\s*:|<Encrypt>')
_KEPT_HEADERS: Final = frozenset({"content-type"})
_DROPPED_HEADERS: Final = re.compile(
    r"cookie|host|content-length|connection|accept.*|user-agent|via|forwarded|x-forwarded-.*|x-real-ip|cf-.*|traceparent"
)
_FORM: Final = "application/x-www-form-urlencoded"


class Redactor:
    """Of one recording. `key` is random; of URLs to one of `hosts`, which are the platform's, the host stays, and so do
    the words of `bot`, its name there: readers look for it.
    """

    def __init__(self, key: bytes, hosts: Collection[str] = (), bot: str = "") -> None:
        self._key = key
        self._kept = frozenset(_WORD.findall(bot))
        self._hosts = frozenset(urlsplit(host).netloc if "//" in host else host for host in hosts)

    # ---- a delivery

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """What proves the sender is replaced; what belongs to the way and not to the chat is left out."""
        return {
            name: value if name in _KEPT_HEADERS else self._field(name, value)
            for name, value in headers.items()
            if _DROPPED_HEADERS.fullmatch(name) is None
        }

    def query(self, query: Mapping[str, str]) -> dict[str, str]:
        return {self._name(name): self._field(name, value) for name, value in query.items()}

    def body(self, body: bytes, content_type: str = "") -> tuple[str | None, str]:
        """The body, and a note on what is another than it was; None where nothing of it is kept."""
        if not body:
            return "", ""
        if len(body) > MAX_BODY:
            return None, f"not kept: {len(body)} bytes, more than {MAX_BODY}"
        if _ENCRYPTED.search(body):
            return None, f"not kept: encrypted, {len(body)} bytes"
        try:
            if content_type.partition(";")[0].strip().lower() == _FORM:
                form = strict_form.parse(body)
                return urlencode({self._name(name): self._form_field(name, one) for name, one in form.items()}), ""
            return _compact(self.value(strict_json.parse(body))), ""
        except BadBody:
            return None, f"not kept: neither JSON nor a form, {len(body)} bytes"

    # ---- values

    def value(self, value: Any, key: str = "", nested: int = _NESTED) -> Any:
        """A JSON value; `key` is the one that it stands under."""
        match value:
            case dict():
                return {self._name(name): self.value(one, name, nested) for name, one in value.items()}
            case list():
                return [self.value(one, key, nested) for one in value]
            case str():
                return self._string(value, key, nested)
            case bool() | None:
                return value
            case int() | float():
                return self._number(value, key)
        return None

    def _string(self, value: str, key: str, nested: int) -> str:
        if key.lower() in _KINDS and _KIND.fullmatch(value) and not _DIGITS.search(value):
            return value
        if _is_time_key(key) and _TIME.fullmatch(value):
            return value
        if nested and value[:1] in ("{", "["):
            try:
                return _compact(self.value(strict_json.parse(value.encode()), "", nested - 1))
            except (BadBody, UnicodeEncodeError):
                pass
        return self.text(value)

    def _number(self, value: float, key: str) -> float:
        if abs(value) < SMALL or (_is_time_key(key) and _TIME.fullmatch(f"{abs(value)}")):
            return value
        if isinstance(value, float) and not value.is_integer():
            return float(SMALL)
        digits = str(abs(int(value)))
        drawn = self._drawn(digits)
        if len(drawn) > 18:  # beyond it not every number is one of 64 bits
            drawn = "1" + drawn[1:18].ljust(len(drawn) - 1, "0")
        return -int(drawn) if value < 0 else int(drawn)

    def _field(self, name: str, value: str) -> str:
        return value if _is_time_key(name) and _TIME.fullmatch(value) else self.text(value, short=0)

    def _form_field(self, name: str, value: str) -> str:
        return self._string(value, name, _NESTED)

    def _name(self, name: str) -> str:
        """A key: the platform's word, or an id of somebody under which something stands."""
        is_word = _KEY.fullmatch(name) and not _DIGITS.search(name) and not _SHOUTED_ID.fullmatch(name)
        return name if is_word else self.text(name)

    def text(self, text: str, short: int = _SHORT) -> str:
        """Any text: letters become letters and digits digits, punctuation stays. Numbers of up to `short` digits do."""
        if len(text) > MAX_VALUE:
            text = text[:CUT]
        if text in ("true", "false", "null"):
            return text
        head = ""
        if text.startswith(("https://", "http://")):
            parts = text.split("/", 3)
            if len(parts) > 2 and parts[2] in self._hosts:
                head, text = "/".join(parts[:3]), text[len("/".join(parts[:3])) :]
            else:
                head, text = f"{parts[0]}//", text[len(parts[0]) + 2 :]
        elif (prefixed := _PREFIXED.fullmatch(text)) is not None:
            head, text = prefixed[1], text[len(prefixed[1]) :]
        return head + _WORD.sub(lambda found: self._word(found[0], short), text)

    def _word(self, word: str, short: int) -> str:
        if word in self._kept or (word.isascii() and word.isdigit() and len(word) <= short):
            return word
        drawn = self._drawn(word)
        return word[0] + drawn[1:] if _SHOUTED_ID.fullmatch(word) else drawn

    def _drawn(self, word: str) -> str:
        """The same characters' kinds, drawn by the key: the same for the same word."""
        stream = b""
        while len(stream) < 2 * len(word):
            stream += hmac.digest(self._key, f"{len(stream)} {word}".encode("utf-8", "surrogatepass"), "sha256")
        return "".join(
            _like(char, int.from_bytes(stream[2 * at : 2 * at + 2], "big"), first=at == 0)
            for at, char in enumerate(word)
        )


def _like(char: str, draw: int, *, first: bool) -> str:
    """A character of the same kind: a digit, a small or capital letter, a Chinese one, another letter; else itself."""
    if "0" <= char <= "9":
        return str(1 + draw % 9) if first and char != "0" else str(draw % 10)
    if "a" <= char <= "z":
        return chr(ord("a") + draw % 26)
    if "A" <= char <= "Z":
        return chr(ord("A") + draw % 26)
    if "\u4e00" <= char <= "\u9fff":
        return chr(0x4E00 + draw % 0x5000)
    return "àéîõüßøłčž"[draw % 10] if char.isalnum() else char


def _is_time_key(key: str) -> bool:
    return _TIME_KEY.search(key) is not None and (not key.lower().endswith("at") or _AT.search(key) is not None)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
