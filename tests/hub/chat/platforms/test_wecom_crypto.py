"""The envelope of WeCom's callbacks, with Tencent's published vectors and wechatpy as an independent judge."""

from __future__ import annotations

import base64
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wechatpy.enterprise.crypto import WeChatCrypto

from common.errors import UserError
from hub.chat.platforms.base import BadSignature
from hub.chat.platforms.callback_crypto import seal
from hub.chat.platforms.wecom_crypto import CallbackKey, open_envelope
from hub.chat.platforms.wecom_xml import read_fields
from tests.each import each_of

# The sample of Tencent's own libraries.
TOKEN, AES_KEY, CORP = "QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "wx5823bf96d3bd56c7"
KEY = CallbackKey.from_line(f"{TOKEN} {AES_KEY}".encode())
ECHO = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
ECHO_SIGNATURE = "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3"
MESSAGE = (
    "RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911L3vg3W/sYYvu"
    "JTs3TUUkSUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLxAUHzM6+kDZ+HMZfJYuR+LtwG"
    "c2hgf5gsijff0ekUNXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9"
    "EL4EhzJWrQUax5wLVMNS0+rUPA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/uh9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0"
    "lXdQ2YoyyH2uyPIGHBZZIs2pDBS8R07+qN+E7Q=="
)
MESSAGE_SIGNATURE = "477715d11cdb4164915debcba66cb864d751f3e6"


def test_the_published_vectors_open() -> None:
    """The echo of the URL's proof and the message of the sample."""
    assert open_envelope([KEY], ECHO, "1409659589", "263014780", ECHO_SIGNATURE, CORP)[0] == b"1616140317555161061"
    message = open_envelope([KEY], MESSAGE, "1409659813", "1372623149", MESSAGE_SIGNATURE, CORP)[0]
    assert b"<Content><![CDATA[hello]]></Content>" in message


def sealed(text: str, key: CallbackKey = KEY, receiver: str = CORP) -> tuple[str, str, str, str]:
    """By wechatpy: encrypted text, timestamp, nonce, signature."""
    aes = base64.b64encode(key.key).decode().rstrip("=")
    theirs = WeChatCrypto(key.token, aes, receiver).encrypt_message(text, "n0nce", "1700000000")
    found = read_fields(theirs.encode())
    return found["Encrypt"], "1700000000", "n0nce", found["MsgSignature"]


def test_what_wechatpy_seals_is_opened() -> None:
    """A thousand random keys, receivers and messages, in many languages and lengths."""
    source = random.Random(6)
    for _ in range(1_000):
        key = CallbackKey("".join(source.choices(string.ascii_letters + string.digits, k=10)), source.randbytes(32))
        receiver = "ww" + source.randbytes(8).hex()
        text = "".join(source.choices("abc <>&中文🙂\n", k=source.randrange(1, 90)))
        encrypted, timestamp, nonce, signature = sealed(text, key, receiver)
        assert open_envelope([KEY, key], encrypted, timestamp, nonce, signature, receiver)[0] == text.encode()


@given(st.binary(max_size=300), st.binary(min_size=16, max_size=16))
def test_what_is_sealed_here_wechatpy_opens(message: bytes, random: bytes) -> None:
    """And so do we."""
    encrypted = seal(KEY.key, message, CORP.encode(), random)
    assert open_envelope([KEY], *resigned(encrypted), CORP)[0] == message
    text = message.decode("latin-1")
    encrypted, timestamp, nonce, signature = resigned(seal(KEY.key, text.encode(), CORP.encode(), random))
    theirs = WeChatCrypto(TOKEN, AES_KEY, CORP).check_signature(signature, timestamp, nonce, encrypted)
    assert theirs == (text or theirs)


def resigned(encrypted: str) -> tuple[str, str, str, str]:
    return encrypted, "1700000000", "n0nce", KEY.signature("1700000000", "n0nce", encrypted)


def _flipped(encrypted: str, at: int) -> str:
    data = bytearray(base64.b64decode(encrypted))
    data[at] ^= 1
    return base64.b64encode(data).decode()


GOOD = sealed("hello")
OTHER = CallbackKey("another", bytes(32))


@each_of(
    ("what", "given"),
    [
        ("a changed signature", (*GOOD[:3], "0" * 40)),
        ("no hex", (*GOOD[:3], "x" * 40)),
        ("capitals", (*GOOD[:3], GOOD[3].upper())),
        ("not ASCII", (*GOOD[:3], "é" * 40)),
        ("an empty signature", (*GOOD[:3], "")),
        ("another time", (GOOD[0], "1700000001", *GOOD[2:])),
        ("another nonce", (*GOOD[:2], "other", GOOD[3])),
        ("one bit of the text", (_flipped(GOOD[0], 5), *GOOD[1:])),
        ("another token", sealed("hello", OTHER)),
        ("another company", sealed("hello", receiver="wwother")),
        ("no company", sealed("hello", receiver="")),
        ("padding broken, signed", resigned(_flipped(GOOD[0], -17))),
        ("length broken, signed", resigned(_flipped(GOOD[0], 0))),
        ("half a block, signed", resigned(base64.b64encode(base64.b64decode(GOOD[0])[:-8]).decode())),
        ("a block short, signed", resigned(base64.b64encode(base64.b64decode(GOOD[0])[:-16]).decode())),
        ("one block, signed", resigned(base64.b64encode(bytes(16)).decode())),
        ("no base64, signed", resigned("!!!")),
        ("nothing, signed", resigned("")),
    ],
)
def test_every_fault_has_the_same_refusal(what: str, given: tuple[str, str, str, str]) -> None:
    """Signature, padding, length or receiver: one sentence, so that nothing is told apart."""
    encrypted, timestamp, nonce, signature = given
    with pytest.raises(BadSignature) as refused:
        open_envelope([KEY], encrypted, timestamp, nonce, signature, CORP)
    assert str(refused.value).startswith("the delivery is not signed and encrypted for this inlet")
    assert refused.value.code == "bad_signature"


@given(st.binary(max_size=120).map(lambda data: base64.b64encode(data).decode()) | st.text(max_size=60))
def test_any_text_signed_with_the_token_is_refused_or_opened(encrypted: str) -> None:
    """Whoever has the token alone gets a refusal and never another exception."""
    try:
        open_envelope([KEY], *resigned(encrypted), CORP)
    except BadSignature:
        pass


@each_of("line", [b"", b"token", f"tok en {AES_KEY}".encode(), b"token short", f"to-ken {AES_KEY}".encode(), b"\xff x"])
def test_a_line_of_another_form_is_an_error_that_does_not_quote_it(line: bytes) -> None:
    """The secret file's lines are TOKEN ENCODINGAESKEY."""
    with pytest.raises(UserError) as error:
        CallbackKey.from_line(line)
    assert AES_KEY not in str(error.value)
    assert AES_KEY not in repr(KEY)
