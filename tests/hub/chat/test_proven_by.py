"""Which secret proved a delivery: told by every platform that verifies with one, and kept across a reload."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.chat.inlets import Inlet
from hub.chat.platforms import dingtalk, feishu, generic, mattermost, slack, standard, teams, telegram, wecom
from hub.chat.platforms.base import BadSignature, OutboundReply, PlatformKind, WebhookRequest
from hub.chat.proven_by import receive_noting, remember_secrets
from hub.core.inlet_table import InletTable
from hub.core.secret_uses import SecretUses, fingerprint

NOW = 1_700_000_000.0


def secret(kind: str, number: int) -> bytes:
    """The line of a secret file of a platform; another one for another number."""
    raw = bytes([number]) * 32
    special = {
        "standard": b"whsec_" + base64.b64encode(raw),
        "teams": base64.b64encode(raw),
        "wecom": b"token%d " % number + base64.b64encode(raw).rstrip(b"="),
    }
    return special.get(kind, b"%d" % number * 32)


MORE: dict[str, tuple[type[InletTable], dict[str, Any]]] = {
    "generic": (InletTable, {}),
    "standard": (InletTable, {}),
    "slack": (slack.SlackInlet, {"token_file": b"xoxb-1234-abcdefgh"}),
    "teams": (teams.TeamsInlet, {"reply_hosts": ("flow.example",), "flow_file": b"https://flow.example/workflows/1"}),
    "mattermost": (mattermost.MattermostInlet, {"api_url": "https://chat.example", "token_file": b"b" * 26}),
    "dingtalk": (dingtalk.DingTalkInlet, {}),
    "feishu": (
        feishu.FeishuInlet,
        {"app_id": "cli_a1b2c3d4e5f6g7h8", "app_secret_file": b"s" * 32, "encrypt_key_file": b"e" * 32},
    ),
    "wecom": (wecom.WecomInlet, {"corp_id": "ww1234567890abcdef", "agent_id": 7, "app_secret_file": b"s" * 43}),
}
KINDS: dict[str, PlatformKind] = {
    module.PLATFORM.name: module.PLATFORM
    for module in (generic, standard, slack, teams, mattermost, dingtalk, feishu, wecom, telegram)
}


def inlet(kind: str, *numbers: int) -> Inlet:
    lines = tuple(secret(kind, number) for number in numbers)
    if kind == "telegram":
        others = {"webhook_secret_file": lines}
        made = telegram.TelegramInlet(
            platform=kind, secret_file=Path("s"), secrets=(b"123456:" + b"A" * 35,), other_secrets=others
        )
    else:
        table, more = MORE[kind]
        files = {key: (value,) for key, value in more.items() if key.endswith("_file")}
        keys = {key: Path(key) if key.endswith("_file") else value for key, value in more.items()}
        made = table(platform=kind, secret_file=Path("s"), **keys)
        made = replace(made, secrets=lines, other_secrets=files)
    return Inlet("ops", KINDS[kind].create(made), table=made)


def delivery(kind: str, number: int) -> WebhookRequest:
    made: Any = inlet(kind, number).platform
    return made.example(NOW)


def test_every_platform_tells_which_of_its_secrets_proved_a_delivery() -> None:
    """Trust: the last use of each secret is shown, so that the old one is ended when it is not in use. The second of
    two; a delivery of a third is refused and is nobody's use.
    """
    for kind in KINDS:
        uses, hub = SecretUses(), inlet(kind, 1, 2)
        for number, at in ((2, NOW), (1, NOW + 1)):
            receive_noting(hub, delivery(kind, number), at, uses)
            mark = fingerprint(secret(kind, number))
            assert uses.due(at)[("inlets.ops", mark)] == at, kind
            assert hub.platform.proven_by == secret(kind, number), kind
        with pytest.raises(BadSignature):
            receive_noting(hub, delivery(kind, 3), NOW + 2, uses)
        assert len(uses.due(NOW + 2)) == 2, kind
        assert max(uses.due(NOW + 2).values()) == NOW + 1, kind
        assert hub.platform.proven_by == secret(kind, 1), kind


def test_replies_are_signed_with_what_their_reader_knows_also_after_a_reload() -> None:
    """Trust: a new secret comes first in the file; before the sender has it, it cannot check its replies."""
    uses, reply = SecretUses(), OutboundReply("r.1", "https://chat.example/r", '{"text": "done"}')

    def signed_with(made: Any) -> set[int]:
        call = made.render(reply, NOW)
        return {
            number
            for number in (1, 2)
            if call.headers["X-Signature"] == generic.sign(secret("generic", number), call.body)
        }

    before = inlet("generic", 1)
    receive_noting(before, delivery("generic", 1), NOW, uses)
    after = inlet("generic", 2, 1)
    assert signed_with(after.platform) == {2}
    remember_secrets({"ops": after}, uses)
    assert signed_with(after.platform) == {1}
    receive_noting(after, delivery("generic", 2), NOW + 1, uses)
    assert signed_with(after.platform) == {2}
    alone = inlet("generic", 2)
    remember_secrets({"ops": alone}, uses)
    assert uses.latest("inlets.ops", (secret("generic", 1),)) == b""


def test_a_platform_that_does_not_tell_is_received_as_it_is() -> None:
    class Silent:
        def receive(self, request: WebhookRequest, now: float) -> str:
            return "received"

    made: Any = Inlet("own", Silent())  # type: ignore[arg-type]
    uses = SecretUses()
    assert receive_noting(made, WebhookRequest(b""), NOW, uses) == "received"
    remember_secrets({"own": made}, uses)
    assert uses.due(NOW) == {}
