"""hub.chat.platforms.feishu_sign: published vectors, and everything that is no authentic delivery."""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import UserError
from hub.chat.platforms.base import BadBody, BadSignature, NotAuthentic, Stale, WebhookRequest
from hub.chat.platforms.feishu_sign import TOLERANCE, FeishuKeys, decrypt, encrypt, signature
from tests.each import each_of
from tests.end_to_end.chats.feishu import ENCRYPT_KEY, TOKEN, event, seal, sign

NOW = 1_700_000_000.0
KEYS = FeishuKeys([TOKEN.encode()], [b"an old encrypt key", ENCRYPT_KEY])
OPEN = FeishuKeys([TOKEN.encode()], [])  # without an Encrypt Key
EVENT = event("im.message.receive_v1", {"what": "日本 🚀"})
HANDSHAKE = {"type": "url_verification", "challenge": "ajls384k", "token": TOKEN}
OFFICIAL = (
    b'{"encrypt":"AAECAwQFBgcICQoLDA0ODw9mLTIAZS9jAmGTQ1wAhHoCSXtbI4+BKgzZzhqaDp9UWzE169gdKQvcwhkRMcBDdbdJ8PJMmy37R2TT'
    b'o4/u1lPoeGlhI8aAgykzKNq5r7BZ"}'
)


def test_known_vectors() -> None:
    """Of the documentation, and one that the official SDK accepts."""
    assert decrypt(b"test key", "P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk=") == b"hello world"
    wanted = "43327a2e7bdea87743c93795072eadc6590831154179d8f14e7d0f595d0ce75a"
    assert signature(b"test key", "1700000000", "n0nce", OFFICIAL) == wanted
    headers = {
        "x-lark-signature": wanted.upper(),
        "x-lark-request-timestamp": "1700000000",
        "x-lark-request-nonce": "n0nce",
    }
    body = FeishuKeys([b"v_token_"], [b"test key"])
    with pytest.raises(BadSignature, match="Verification Token"):
        body.open(WebhookRequest(OFFICIAL, headers), NOW)
    inner = decrypt(b"test key", json.loads(OFFICIAL)["encrypt"])
    assert inner is not None
    assert json.loads(inner) == {"challenge": "ajls384k", "token": "v_token", "type": "url_verification"}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.binary(min_size=1, max_size=60))
def test_what_is_encrypted_is_decrypted(text: bytes, key: bytes) -> None:
    sealed = encrypt(key, text, secrets.token_bytes(16))
    assert decrypt(key, sealed) == text


def test_random_deliveries_agree_with_the_official_package() -> None:
    """Both ways: it decrypts what we encrypt and takes our signature; changed by a bit, both refuse. lark-oapi needs
    another websockets than the hub, so it is not among the test dependencies: this runs where it is importable.
    """
    lark = pytest.importorskip("lark_oapi")
    from lark_oapi.core.model import RawRequest
    from lark_oapi.core.utils import AESCipher

    taken: list[Any] = []
    handler = (
        lark.EventDispatcherHandler.builder(ENCRYPT_KEY.decode(), TOKEN)
        .register_p2_customized_event("made.up", taken.append)
        .build()
    )
    for index in range(1_000):
        words = secrets.token_urlsafe(index % 97) + "日本 🚀" * (index % 3)
        raw, headers = seal(event("made.up", {"words": words}), NOW)
        assert json.loads(AESCipher(ENCRYPT_KEY.decode()).decrypt_str(json.loads(raw)["encrypt"])) == KEYS.open(
            WebhookRequest(raw, headers), NOW
        )
        if changed := index % 2:
            flipped = bytearray(raw)
            flipped[12 + index % (len(raw) - 16)] ^= 1
            raw = bytes(flipped)
        request = RawRequest()
        request.uri, request.body = "/", raw
        request.headers = {"-".join(part.title() for part in name.split("-")): each for name, each in headers.items()}
        status = handler.do(request).status_code
        assert (status == 200) is not bool(changed)
        if changed:
            with pytest.raises((NotAuthentic, BadBody)):
                KEYS.open(WebhookRequest(raw, headers), NOW)
    assert len(taken) == 500


def test_authentic_deliveries_are_opened() -> None:
    """Signed ones, within the window, with any of the keys; the handshake without a signature; all with the token."""
    for at in (NOW - TOLERANCE, NOW, NOW + TOLERANCE):
        raw, headers = seal(EVENT, at)
        assert KEYS.open(WebhookRequest(raw, headers), NOW) == EVENT
        millis = sign(raw, at * 1000)
        assert KEYS.open(WebhookRequest(raw, millis), NOW) == EVENT
    raw, headers = seal(EVENT, NOW, b"an old encrypt key")
    assert KEYS.open(WebhookRequest(raw, headers), NOW) == EVENT
    raw, headers = seal(HANDSHAKE, NOW)
    assert KEYS.open(WebhookRequest(raw), NOW) == HANDSHAKE
    assert KEYS.open(WebhookRequest(raw, headers), NOW) == HANDSHAKE
    for body in (EVENT, HANDSHAKE):
        assert OPEN.open(WebhookRequest(json.dumps(body).encode()), NOW) == body
    for keys in (KEYS, OPEN):
        made = keys.sign(json.dumps({"type": "url_verification", "challenge": "x"}).encode(), NOW)
        assert keys.open(made, NOW)["challenge"] == "x"


def test_a_wrong_key_that_seems_to_fit_does_not_hide_the_right_one() -> None:
    """Of what a wrong key decrypts, one in 256 ends like padding."""
    text = json.dumps(HANDSHAKE).encode()
    sealed = (encrypt(ENCRYPT_KEY, text, number.to_bytes(16, "big")) for number in range(100_000))
    found = next(one for one in sealed if decrypt(b"another key", one) is not None)
    keys = FeishuKeys([TOKEN.encode()], [b"another key", ENCRYPT_KEY])
    assert keys.open(WebhookRequest(json.dumps({"encrypt": found}).encode()), NOW) == HANDSHAKE


RAW, HEADERS = seal(EVENT, NOW)
HANDSHAKE_RAW, _ = seal(HANDSHAKE, NOW)


def sealed(plain: bytes) -> bytes:
    return json.dumps({"encrypt": encrypt(ENCRYPT_KEY, plain, bytes(16))}).encode()


def short(size: int) -> bytes:
    """A body whose ciphertext has so many bytes."""
    return json.dumps({"encrypt": base64.b64encode(secrets.token_bytes(size)).decode()}).encode()


BAD_TOKEN = {**EVENT, "header": {**EVENT["header"], "token": "another_token"}}
NO_TOKEN = {**EVENT, "header": {key: each for key, each in EVENT["header"].items() if key != "token"}}
INNER_BAD = (b"[]", b"", b"{", b'{"a":1,"a":2}', b"[" * 100, b'{"a":NaN}', b"\xff", b'{"a":1e999}')


@each_of(
    ("keys", "raw", "headers", "refusal"),
    [
        (KEYS, RAW, {**HEADERS, "x-lark-signature": ""}, BadSignature),
        (KEYS, RAW, {**HEADERS, "x-lark-signature": "0" * 64}, BadSignature),
        (KEYS, RAW, {**HEADERS, "x-lark-signature": "é" * 64}, BadSignature),
        (KEYS, RAW, {**HEADERS, "x-lark-signature": HEADERS["x-lark-signature"] + ", x"}, BadSignature),
        (KEYS, RAW, {**HEADERS, "x-lark-request-nonce": ""}, BadSignature),
        (KEYS, RAW, {**HEADERS, "x-lark-request-nonce": "é" * 300}, BadSignature),
        (KEYS, RAW, {**HEADERS, "x-lark-request-timestamp": "soon"}, BadSignature),
        (KEYS, RAW, {**HEADERS, "x-lark-request-timestamp": ""}, BadSignature),
        (KEYS, RAW, {**HEADERS, "x-lark-request-timestamp": "9" * 40}, BadSignature),
        (KEYS, RAW, {**HEADERS, "x-lark-request-timestamp": "１７０００００００００"}, BadSignature),
        (KEYS, RAW, sign(RAW, NOW, b"a wrong key"), BadSignature),
        (KEYS, RAW[:-1], HEADERS, BadSignature),
        (KEYS, RAW, sign(RAW, NOW - TOLERANCE - 1), Stale),
        (KEYS, RAW, sign(RAW, NOW + TOLERANCE + 1), Stale),
        (KEYS, RAW, sign(RAW, (NOW - TOLERANCE - 1) * 1000), Stale),
        (KEYS, RAW, {}, BadSignature),  # an event without a signature
        (KEYS, json.dumps(EVENT).encode(), {}, BadSignature),
        (KEYS, json.dumps(HANDSHAKE).encode(), {}, BadSignature),  # not encrypted
        (KEYS, sealed(json.dumps({**HANDSHAKE, "token": "another_token"}).encode()), {}, BadSignature),
        (KEYS, b"", {}, BadSignature),
        (KEYS, *seal(BAD_TOKEN, NOW), BadSignature),
        (KEYS, *seal(NO_TOKEN, NOW), BadSignature),
        (KEYS, *seal({**EVENT, "header": None}, NOW), BadSignature),
        *((KEYS, raw, {}, BadSignature) for raw in map(short, (0, 15, 16, 17, 32, 33, 48))),
        *((KEYS, raw, sign(raw, NOW), BadBody) for raw in map(short, (0, 16, 17))),
        *((KEYS, raw, sign(raw, NOW), BadBody) for raw in (b"", b"[]", b'{"encrypt":1}', b'{"encrypt":"\\u00e9"}')),
        *(
            (KEYS, raw, sign(raw, NOW), BadBody)
            for raw in (b'{"encrypt":"a","encrypt":"b"}', json.dumps(EVENT).encode())
        ),
        *((KEYS, sealed(plain), sign(sealed(plain), NOW), BadBody) for plain in INNER_BAD),
        *((KEYS, sealed(plain), {}, BadSignature) for plain in INNER_BAD),
        (OPEN, RAW, HEADERS, BadSignature),  # encrypted, and there is no key
        (OPEN, json.dumps(BAD_TOKEN).encode(), {}, BadSignature),
        (OPEN, json.dumps(NO_TOKEN).encode(), {}, BadSignature),
        (OPEN, json.dumps({**HANDSHAKE, "token": "é\ud800"}).encode(), {}, BadBody),
        (OPEN, json.dumps({**HANDSHAKE, "token": ["x"]}).encode(), {}, BadSignature),
        *((OPEN, plain, {}, BadBody) for plain in INNER_BAD),
    ],
)
def test_what_is_not_authentic(keys: FeishuKeys, raw: bytes, headers: dict[str, str], refusal: type[Exception]) -> None:
    """The right refusal, and none that quotes a key."""
    with pytest.raises(refusal) as caught:
        keys.open(WebhookRequest(raw, headers), NOW)
    assert TOKEN not in str(caught.value)
    assert ENCRYPT_KEY.decode() not in str(caught.value)


def test_unsigned_ciphertexts_get_one_answer() -> None:
    """No difference between wrong padding, a wrong key, wrong content and a wrong token: no oracle."""
    answers = set()
    for raw in (short(32), short(48), *map(sealed, INNER_BAD), sealed(b'{"type":"url_verification"}'), RAW, b"{"):
        with pytest.raises(BadSignature) as caught:
            KEYS.open(WebhookRequest(raw), NOW)
        answers.add((caught.value.code, str(caught.value)))
    assert len(answers) == 1


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(RAW) - 1), st.integers(1, 255), st.booleans())
def test_a_changed_byte_is_refused(at: int, change: int, resigned: bool) -> None:
    """In the body as sent; and where the sender could sign it, never another error than a refusal."""
    raw = bytearray(RAW)
    raw[at] ^= change
    request = WebhookRequest(bytes(raw), sign(bytes(raw), NOW) if resigned else HEADERS)
    try:
        KEYS.open(request, NOW)
    except BadBody:
        assert resigned
    except NotAuthentic:
        pass
    else:
        assert resigned


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.dictionaries(st.sampled_from(sorted(HEADERS)), st.text(max_size=70)))
def test_any_bytes_are_refused(raw: bytes, headers: dict[str, str]) -> None:
    for keys in (KEYS, OPEN):
        with pytest.raises((NotAuthentic, BadBody)):
            keys.open(WebhookRequest(raw, headers), NOW)


def test_a_short_token_is_no_token() -> None:
    with pytest.raises(UserError, match="too short"):
        FeishuKeys([b"x"], [])
