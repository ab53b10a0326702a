"""hub.chat.platforms.callback_crypto: what WeCom and DingTalk share; their own vectors stand in the tests of both."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from hub.chat.platforms.callback_crypto import RANDOM, seal, signature_of, unseal

KEY = bytes(range(32))


@given(st.binary(max_size=300), st.binary(max_size=40), st.binary(min_size=RANDOM, max_size=RANDOM))
def test_what_was_sealed_is_unsealed(message: bytes, receiver: bytes, random: bytes) -> None:
    """Message and receiver, whatever bytes they are; another key gives neither."""
    sealed = seal(KEY, message, receiver, random)
    assert unseal(KEY, sealed) == (message, receiver)
    assert unseal(bytes(32), sealed) != (message, receiver)


@given(st.binary(max_size=200))
def test_any_bytes_are_unsealed_or_not(data: bytes) -> None:
    """Truncated, badly padded, of a wrong length: None, and never another error."""
    assert unseal(KEY, base64.b64encode(data).decode()) is None or len(data) % 16 == 0
    assert unseal(KEY, "no base64!") is None
    assert unseal(KEY, "") is None


def test_the_signature_is_of_the_sorted_parts() -> None:
    """The sample of Tencent's documentation (WXBizMsgCrypt): the echo of a URL that is verified."""
    echo = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
    assert signature_of("QDG6eK", "1409659589", "263014780", echo) == "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3"
