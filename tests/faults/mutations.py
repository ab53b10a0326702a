"""Real bodies and frames made odd, cheaply and from a seed: what a broken or hostile end may send. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from random import Random
from typing import Any, Final

from common.link.codec import BadFrame, encode
from common.link.messages import Accepted, Call, Ended, KnownKeys, Message, Output, Refused, Started, Unsure

TOKENS: Final = (
    b"\x00",
    b"\xff\xfe",
    b"\xc0\xaf",
    b"{" * 40,
    b"[" * 400,
    b'"\\ud800"',
    b"1e999",
    b"-0",
    b"9" * 200,
    b"null",
    b"NaN",
    b'{"id":1,"id":2}',
    "\u202e\u2066".encode(),
    b"\x1b[2J",
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
)
ODD: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    2**63,
    1e308,
    "",
    "\x00",
    "\u202e",
    "x" * 5_000,
    [],
    {},
    [[[[]]]],
    {"": {"": {}}},
    b"\xff" * 64,
)
WORDS: Final = ("A" * 26, "0" * 26, "web-1", "../../etc/passwd", "\x1b]0;x\x07", "@everyone", "", "\u0000", "名" * 30)


def mutated(chance: Random, sample: bytes) -> bytes:
    """One to three changes of the bytes."""
    data = bytearray(sample)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(data) + 1) if data else 0
        match chance.randrange(6):
            case 0 if data:
                data[at - 1] ^= 1 << chance.randrange(8)
            case 1:
                del data[at : at + chance.randint(1, 16)]
            case 2:
                data[at:at] = chance.choice(TOKENS)
            case 3:
                del data[at:]
            case 4:
                data[at:at] = data[at : at + chance.randint(1, 64)]
            case _:
                data[at:at] = chance.randbytes(chance.randint(1, 8))
    return bytes(data)


def odd_body(chance: Random, message: dict[str, Any]) -> bytes:
    """A webhook's message with a field that is something else, or is gone, or one that nobody knows."""
    body = dict(message)
    name = chance.choice([*body, "unknown"])
    if chance.random() < 0.2:
        body.pop(name, None)
    else:
        body[name] = chance.choice([value for value in ODD if not isinstance(value, bytes)])
    return json.dumps(body).encode()


JOB: Final = "01M8S4XCG283X9BM5J2RWFVJK7"
MACHINE_SAYS: Final[tuple[Message, ...]] = (
    Accepted(JOB, "0" * 64),
    Refused(JOB, "policy", "no"),
    Started(JOB, 17, 1.0),
    Output(JOB, 1, 1, b"hello\n", 1.0),
    Unsure(JOB, "who knows"),
    KnownKeys("", False, "no", {"0" * 64: "bob"}),
)
OPERATOR_SAYS: Final[tuple[Message, ...]] = (
    Call(1, "jobs", {"limit": 20}),
    Call(2, "requests", {"where": "state = asking"}),
    Call(3, "job", {"id": JOB}),
    Call(4, "agents", {"where": "labels.role = web"}),
    Call(5, "audit", {"limit": 5}),
    Call(6, "whoami", {}),
)


def odd_message(chance: Random, samples: Sequence[Message], number: int) -> bytes:
    """A frame that is one, and whose values make no sense; numbered `number` where such are."""
    while True:
        sample = chance.choice(samples)
        if isinstance(sample, Call):
            args = dict(sample.args)
            args[chance.choice([*args, "limit", "where", "id", "cursor"])] = chance.choice(
                [one for one in (*ODD, *WORDS) if not isinstance(one, bytes)]
            )
            changed: Message = replace(sample, id=chance.randrange(1 << 31), args=args)
        else:
            changed = replace(sample, **_odd_field(chance, sample))
        try:
            return encode(changed, seq=0 if isinstance(sample, Call) else number)
        except BadFrame:
            continue  # such a value is no frame's


def _odd_field(chance: Random, sample: Message) -> dict[str, Any]:
    name = chance.choice([one.name for one in fields(sample)])
    value = getattr(sample, name)
    odd: dict[type, Callable[[], Any]] = {
        str: lambda: chance.choice(WORDS),
        int: lambda: chance.choice((0, 1, -1, 2**31, 2**53)),
        float: lambda: chance.choice((0.0, -1.0, 1e12)),
        bytes: lambda: chance.randbytes(chance.randint(0, 300)),
    }
    return {name: odd[type(value)]()} if type(value) in odd else {}


def odd_end(chance: Random) -> Message:
    """The end of a job that this machine never had."""
    outcome = chance.choice(("succeeded", "failed", "timed_out", "cancelled"))
    return Ended(chance.choice(WORDS[:2]), outcome, 0, None, "", 0, 0, "0" * 64, False, 1.0, 2.0, 0.1, 0.1, 4_096)
