"""Checkpoints of the audit, the keys that sign them, and their notes wherever a witness keeps them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from common.audit.event import MAX_LINE, encode

MAX_NOTES: Final = 200_000
"""Of one witness; the newest count."""
_OLD: Final = b"answerback checkpoint 1\n"
_FORK: Final = b"answerback fork 1\n"
_SUCCESSION: Final = b"answerback audit key 1\n"
_LINE: Final = re.compile(
    r"answerback-checkpoint answerback/([\w.-]{1,64}) (\d{1,15}) ([A-Za-z0-9+/]{43}=) ([0-9a-f]{64})"
    r" (\d{1,12}\.\d{1,12}) (\d{1,15}) ([A-Za-z0-9+/]{91}=)",
    re.ASCII,
)
_NOTE: Final = re.compile(
    r"answerback/([\w.-]{1,64})\n(\d{1,15})\n([A-Za-z0-9+/]{43}=)\nchain ([0-9a-f]{64})\ntime (\d{1,12}\.\d{1,12})\n"
    r"after (\d{1,15})\n\n\u2014 answerback/\1 ([A-Za-z0-9+/]{91}=)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The hub's signed word that the log had this chain hash and, since there are trees, this root at this size."""

    seq: int
    hash: str
    signature: bytes
    key: str  # key id; of a note the eight digits of its hint
    at: float
    root: str = ""  # hex; "" in those of before, which job keys signed
    previous: int = 0  # the seq of the one before

    def text(self, hub: str) -> str:
        """What its signature is over."""
        root = base64.b64encode(bytes.fromhex(self.root)).decode()
        return f"{origin(hub)}\n{self.seq}\n{root}\nchain {self.hash}\ntime {self.at!r}\nafter {self.previous}\n"

    def note(self, hub: str, public: bytes) -> str:
        """As a C2SP signed note."""
        return f"{self.text(hub)}\n\u2014 {origin(hub)} {self._stamp(hub, public)}\n"

    def line(self, hub: str, public: bytes) -> str:
        """The same on one line, without a newline."""
        root = base64.b64encode(bytes.fromhex(self.root)).decode()
        words = (origin(hub), self.seq, root, self.hash, repr(self.at), self.previous, self._stamp(hub, public))
        return "answerback-checkpoint " + " ".join(map(str, words))

    def _stamp(self, hub: str, public: bytes) -> str:
        return base64.b64encode(key_hint(hub, public) + self.signature).decode()

    def is_by(self, hub: str, public: bytes) -> bool:
        """Whether the holder of this key signed it, as a word on this hub's log."""
        if not self.root:
            body = encode({"hub": hub, "seq": self.seq, "hash": self.hash, "at": float(self.at)})
            return is_signed(public, _OLD + body.encode(), self.signature)
        try:
            return is_signed(public, self.text(hub).encode(), self.signature)
        except ValueError:
            return False


def origin(hub: str) -> str:
    """The name of a hub's log."""
    return f"answerback/{hub}"


def key_id(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:16]


def key_hint(hub: str, public: bytes) -> bytes:
    """C2SP's id of a key with its name: four bytes."""
    return hashlib.sha256(f"{origin(hub)}\n".encode() + b"\1" + public).digest()[:4]


def verifier_key(hub: str, public: bytes) -> str:
    """The public key as one word that strangers keep: name, hint, key."""
    encoded = base64.b64encode(b"\1" + public).decode()
    return f"{origin(hub)}+{key_hint(hub, public).hex()}+{encoded}"


def parse_key(word: str) -> bytes:
    """The raw public key of `verifier_key`'s form, or of 64 hex digits; raises ValueError."""
    if re.fullmatch(r"[0-9a-f]{64}", word):
        return bytes.fromhex(word)
    name, _, rest = word.partition("+")
    hint, _, encoded = rest.partition("+")
    raw = base64.b64decode(encoded, validate=True)
    hub = name.removeprefix("answerback/")
    if len(raw) != 33 or raw[:1] != b"\1" or hub == name or key_hint(hub, raw[1:]).hex() != hint:
        raise ValueError("not a key of an audit")
    return raw[1:]


def fork_bytes(hub: str, kept: int, at: float) -> bytes:
    """What is signed where an admin says that the history beyond row `kept` was left for a backup at that time."""
    return _FORK + encode({"hub": hub, "kept": kept, "at": float(at)}).encode()


def succession_bytes(hub: str, before: str, public: bytes) -> bytes:
    """What the old key (its id is `before`) signs to name the next one."""
    return _SUCCESSION + encode({"hub": hub, "before": before, "public": public.hex()}).encode()


def is_signed(public: bytes, data: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


# ---- notes of witnesses


def read_notes(lines: Iterable[bytes]) -> Iterator[tuple[str, Checkpoint]]:
    """(hub, note) wherever one stands in the lines."""
    recent: deque[str] = deque(maxlen=8)
    for raw in lines:
        text = raw.decode("utf-8", "replace").rstrip("\r\n")
        recent.append(text)
        if text.startswith('{"checkpoint":'):
            yield from _exported_note(text)
            continue
        found = _NOTE.fullmatch("\n".join(recent)) if text.startswith("\u2014 ") else _LINE.search(text)
        if found is not None:
            hub, size, root, chain, at, previous, stamp = found.groups()
            raw_stamp = base64.b64decode(stamp)
            digest = base64.b64decode(root).hex()
            key = raw_stamp[:4].hex()
            yield hub, Checkpoint(int(size), chain, raw_stamp[4:], key, float(at), digest, int(previous))


def _exported_note(text: str) -> Iterator[tuple[str, Checkpoint]]:
    """A checkpoint of another export, of the same hub as it may be: its signature tells."""
    try:
        yield "", parse_checkpoint(json.loads(text)["checkpoint"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return


def parse_checkpoint(body: dict[str, Any]) -> Checkpoint:
    """Raises KeyError, TypeError or ValueError."""
    mark = Checkpoint(**{**body, "signature": bytes.fromhex(body["signature"])})
    if type(mark.seq) is not int or type(mark.previous) is not int or len(bytes.fromhex(mark.root)) not in (0, 32):
        raise ValueError("not a checkpoint")
    return mark


def read_witness(path: Path) -> list[tuple[str, Checkpoint]]:
    """The newest notes of a file; raises OSError."""
    with path.open("rb") as file:
        lines = iter(lambda: file.readline(MAX_LINE), b"")
        return list(deque(read_notes(lines), MAX_NOTES))
