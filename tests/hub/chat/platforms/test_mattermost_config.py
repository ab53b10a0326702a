"""hub.chat.platforms.mattermost_config: which secrets an inlet needs in each of its modes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import UserError
from hub.chat.platforms.mattermost_config import Keys, MattermostInlet, read_keys

BEARER, HOOK = b"9xuqwrwgstrb3mzrxb83nb357a", b"xr3j5x3p4pfk7kk6ck7b4e6ghh"
TOLD = MattermostInlet(
    platform="mattermost",
    secret_file=Path("secrets/mm"),
    token_file=Path("secrets/mm-token"),
    api_url="https://chat.example.org",
    callback_url="https://hub.example.org/webhook/mm",
    secrets=(HOOK,),
    other_secrets={"token_file": (BEARER,)},
)
ASKING = replace(TOLD, outbound=True, token_file=None, callback_url="", secrets=(BEARER,), other_secrets={})


def test_the_keys_of_both_modes() -> None:
    """Told by webhooks: their tokens and the bot's. Asking: the bot's token alone."""
    callback = "https://hub.example.org/webhook/mm"
    assert read_keys(TOLD) == Keys((HOOK,), BEARER.decode(), "token_file", (HOOK,), callback)
    assert read_keys(ASKING) == Keys((), BEARER.decode(), "secret_file", (BEARER,), "")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (replace(TOLD, other_secrets={}), "token_file holds no access token"),
        (replace(TOLD, other_secrets={"token_file": (b"short",)}), "token_file holds no access token"),
        (replace(TOLD, secrets=(HOOK, b"short")), "less than 16 bytes"),
        (replace(TOLD, callback_url="hub.example.org"), "callback_url: "),
        (replace(ASKING, secrets=(b"with a space in it",)), "secret_file holds no access token"),
        (replace(ASKING, token_file=Path("secrets/mm-token")), "token_file is not read where outbound = true"),
    ],
    ids=["none", "short", "hook", "callback", "space", "both"],
)
def test_what_is_wrong_is_named(table: MattermostInlet, words: str) -> None:
    """The key, and what to write; never the secret."""
    with pytest.raises(UserError, match=words) as raised:
        read_keys(table)
    assert raised.value.cure
    assert "short" not in str(raised.value)
