"""The caller's passkeys over the operators' API."""

from __future__ import annotations

from common.identity.passkey import encode_base64
from hub.core.records import PersonPasskey
from tests.hub.api_harness import ApiHarness
from tests.hub.hub_harness import HubHarness
from tests.software_authenticator import ORIGIN, SoftwareAuthenticator


async def test_a_link_a_list_and_taking_one_away(harness: HubHarness) -> None:
    """Each person their own; what is said in the audit has no link; without pages the code says so."""
    api = ApiHarness(harness)
    told = await api.call("bob", "passkey_link", label="phone")
    assert (told["code"], "public_url" in told["text"], "url" in told) == ("no_page", True, False)
    harness.set_http_limits(public_url=ORIGIN)
    await harness.people.refresh()
    api = ApiHarness(harness)
    told = await api.call("bob", "passkey_link", label="a \u202e phone", language="zh")
    assert told["code"] == "ok"
    assert told["url"].startswith(f"{ORIGIN}/passkey/")
    assert told["expires_at"] == harness.clock.now + 600
    link = harness.engine.passkey_links.find(told["url"].rpartition("/")[2], harness.clock.now)
    assert link is not None
    assert (link.person, link.language, "\u202e" in link.label) == ("bob", "zh", False)
    assert not any(told["url"] in str(event.data) for event in harness.events())
    device = SoftwareAuthenticator()
    key, credential = device.passkey, encode_base64(device.credential_id)
    row = PersonPasskey(key.id, "bob", key.line, credential, "phone", harness.clock.now)
    assert harness.write(lambda txn: txn.add_passkey(row))
    shown = {"id": key.id, "line": key.line, "label": "phone", "created_at": harness.clock.now}
    assert await api.call("bob", "passkeys") == [shown]
    assert await api.call("ann", "passkeys") == []
    assert (await api.call("ann", "passkey_remove", id=key.id))["code"] == "unknown"
    told = await api.call("bob", "passkey_remove", id=key.id)
    assert (told["code"], f"answerback-agent approvers remove bob {key.line}" in told["text"]) == ("ok", True)
    assert await api.call("bob", "passkeys") == []
