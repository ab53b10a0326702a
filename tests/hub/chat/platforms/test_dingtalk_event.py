"""hub.chat.platforms.dingtalk_event: the published vector, another implementation, and what is no event."""

from __future__ import annotations

import base64
import json
import secrets
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from hub.chat.platforms.base import BadSignature, ImmediateResponse, Stale, WebhookRequest
from hub.chat.platforms.callback_crypto import seal, signature_of, unseal
from hub.chat.platforms.dingtalk import DingTalkInlet, DingTalkPlatform
from hub.chat.platforms.dingtalk_event import TOLERANCE
from tests.each import each_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own strings, wherever it was installed without its bytecode
    from dingtalk.crypto import DingTalkCrypto

TOKEN = "123456"
AES_KEY = "4g5j64qlyl3zvetqxz5jiocdr586fn2zvjpa8zls3ij"
OWNER = "suite4xxxxxxxxxxxxxxx"
ENCRYPTED = (
    "1a3NBxmCFwkCJvfoQ7WhJHB+iX3qHPsc9JbaDznE1i03peOk1LaOQoRz3+nlyGNhwmwJ3vDMG+OzrHMeiZI7gTRWVdUBmfxjZ8Ej23JVYa9VrYeJ5as7"
    "XM/ZpulX8NEQis44w53h1qAgnC3PRzM7Zc/D6Ibr0rgUathB6zRHP8PYrfgnNOS9PhSBdHlegK+AGGanfwjXuQ9+0pZcy0w9lQ=="
)
AT = 1445827045.067
THEIRS = DingTalkCrypto(TOKEN, AES_KEY, OWNER)
TABLE = DingTalkInlet(
    platform="dingtalk",
    secret_file=Path("secret"),
    app_key=OWNER,
    secrets=(b"an app secret of the tests",),
    other_secrets={"event_token_file": (TOKEN.encode(),), "event_aes_key_file": (AES_KEY.encode(),)},
)
PLATFORM = DingTalkPlatform(TABLE)
QUERY = {"signature": "5a65ceeef9aab2d149439f82dc191dd6c5cbe2c0", "timestamp": "1445827045067", "nonce": "nEXhMP4r"}


def deliver(query: dict[str, str], encrypted: object = ENCRYPTED, now: float = AT) -> dict[str, str]:
    raw = encrypted if isinstance(encrypted, bytes) else json.dumps({"encrypt": encrypted}).encode()
    got = PLATFORM.receive(WebhookRequest(raw, {}, query), now)
    assert isinstance(got, ImmediateResponse)
    answer: dict[str, str] = json.loads(got.body)
    return answer


def test_the_published_vector() -> None:
    assert signature_of(TOKEN, "1445827045067", "nEXhMP4r", ENCRYPTED) == QUERY["signature"]
    opened = unseal(base64.b64decode(AES_KEY + "="), ENCRYPTED)
    assert opened is not None
    assert json.loads(opened[0]) == {
        "EventType": "check_create_suite_url",
        "Random": "LPIdSnlF",
        "TestSuiteKey": OWNER,
    }
    assert opened[1] == OWNER.encode()


def test_an_event_is_acknowledged_as_another_implementation_reads_it() -> None:
    """Signed by theirs and read by ours, answered by ours and read by theirs; `msg_signature` is the newer name."""
    deliver(QUERY)
    for index in range(300):
        message = json.dumps({"EventType": "check_url", "x": secrets.token_hex(index % 50)})
        made = THEIRS.encrypt_message(message, nonce=secrets.token_hex(4), timestamp=int(AT * 1000))
        name = "msg_signature" if index % 2 else "signature"
        query = {name: made["msg_signature"], "timestamp": str(made["timeStamp"]), "nonce": made["nonce"]}
        answer = deliver(query, made["encrypt"])
        assert set(answer) == {"msg_signature", "encrypt", "timeStamp", "nonce"}
        said = THEIRS.decrypt_encrypt_str(
            answer["msg_signature"], answer["timeStamp"], answer["nonce"], answer["encrypt"]
        )
        assert said == "success"


def resigned(encrypted: str, timestamp: str = "1445827045067") -> dict[str, str]:
    return {"signature": signature_of(TOKEN, timestamp, "n", encrypted), "timestamp": timestamp, "nonce": "n"}


FOREIGN = seal(base64.b64decode(AES_KEY + "="), b"{}", b"another app", bytes(16))
GARBAGE = base64.b64encode(bytes(64)).decode()


@each_of(
    ("query", "encrypted"),
    [
        ({"signature": ""}, ENCRYPTED),
        ({**QUERY, "signature": QUERY["signature"][:-1] + "1"}, ENCRYPTED),
        ({**QUERY, "signature": "é" * 40}, ENCRYPTED),
        ({**QUERY, "msg_signature": "0" * 40}, ENCRYPTED),
        ({**QUERY, "nonce": "x"}, ENCRYPTED),
        ({**QUERY, "timestamp": "1445827045068"}, ENCRYPTED),
        (QUERY, ENCRYPTED[:-4]),
        (resigned(ENCRYPTED[:-4]), ENCRYPTED[:-4]),
        (resigned(GARBAGE), GARBAGE),
        (resigned(FOREIGN), FOREIGN),
        (resigned(ENCRYPTED, "soon"), ENCRYPTED),
        (resigned(""), b""),
        (resigned(""), b"[]"),
        (resigned(""), b'{"encrypt":7}'),
        (resigned("é"), "é"),
    ],
)
def test_what_is_wrong_gets_one_answer(query: dict[str, str], encrypted: object) -> None:
    """Signature, padding and receiver alike: no oracle."""
    with pytest.raises(BadSignature, match="the event is not signed and encrypted for this inlet"):
        deliver(query, encrypted)


def test_an_old_event_is_stale() -> None:
    for off in (TOLERANCE + 1, -TOLERANCE - 1):
        with pytest.raises(Stale):
            deliver(QUERY, now=AT + off)
    deliver(QUERY, now=AT + TOLERANCE - 1)


def test_without_keys_no_event_is_taken() -> None:
    made = DingTalkPlatform(replace(TABLE, other_secrets={}))
    with pytest.raises(BadSignature, match="event_token_file"):
        made.receive(WebhookRequest(b"{}", {}, QUERY), AT)
