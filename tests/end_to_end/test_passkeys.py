"""A passkey from the page that makes it to the machine that counts it: a real hub over HTTP, a real runner, a browser
and an authenticator in software (`tests.software_authenticator`).
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from typing import Any

from common.identity.passkey import decode_base64, encode_base64
from tests.end_to_end.system import SystemHarness
from tests.software_authenticator import UP, SoftwareAuthenticator

ALONE = {"conversation": "alice"}


@dataclass(frozen=True)
class Page:
    """What a browser has of a page of the hub's."""

    url: str
    status: int
    text: str
    policy: str

    @property
    def ask(self) -> dict[str, Any]:
        found = re.search(r'data-ask="([^"]*)"', self.text)
        assert found is not None, self.text
        asked: dict[str, Any] = json.loads(html.unescape(found[1]))
        return asked

    @property
    def challenge(self) -> bytes:
        challenge = decode_base64(self.ask["challenge"])
        assert challenge is not None
        return challenge

    @property
    def form(self) -> str:
        found = re.search(r'name="form" value="([^"]+)"', self.text)
        assert found is not None, self.text
        return found[1]


async def open_page(rig: SystemHarness, url: str) -> Page:
    assert rig.session is not None
    async with rig.session.get(url) as answer:
        policy = answer.headers["Content-Security-Policy"]
        return Page(url, answer.status, await answer.text(), policy)


async def send(rig: SystemHarness, page: Page, **fields: str) -> tuple[int, str]:
    assert rig.session is not None
    async with rig.session.post(page.url, data={"form": page.form, **fields}) as answer:
        return answer.status, html.unescape(await answer.text())


async def make_passkey(rig: SystemHarness, device: SoftwareAuthenticator) -> str:
    """As alice does: the link of her console in a browser; the line that machines are given."""
    _, out, _ = await rig.operator("passkey", "add", "--name", "phone", "--json")
    page = await open_page(rig, json.loads(out)["url"])
    assert "script-src 'sha256-" in page.policy
    made = device.create(page.challenge)
    answer = {"act": "add", "client_data": encode_base64(made.client_data)}
    status, text = await send(rig, page, **answer, authenticator_data=encode_base64(made.authenticator_data))
    assert status == 200, text
    assert f"answerback-agent approvers add alice {device.passkey.line}" in text
    _, out, _ = await rig.operator("passkey", "list")
    assert device.passkey.line in out
    return device.passkey.line


async def link_to(rig: SystemHarness, number: str) -> str:
    event, _, _ = await rig.post("alice", f"link {number}", **ALONE)
    text = (await rig.receiver.wait_final(event))["text"]
    found = re.search(r"http://localhost:\d+/confirm/[\w-]{43}", text)
    assert found is not None, text
    return found[0]


async def sign(rig: SystemHarness, page: Page, device: SoftwareAuthenticator, **says: Any) -> tuple[int, str]:
    """Whatever the page asks for, as a browser answers it; `says`: what browser and authenticator do otherwise."""
    assert page.ask["userVerification"] == "required"
    given = device.get(says.pop("asked", page.challenge), **says)
    return await send(
        rig,
        page,
        act="approve",
        credential=encode_base64(device.credential_id),
        client_data=encode_base64(given.client_data),
        authenticator_data=encode_base64(given.authenticator_data),
        signature=encode_base64(given.signature),
    )


async def test_a_critical_command_is_signed_on_the_page_and_started_once(rig: SystemHarness) -> None:
    """Trust: not by the machine before it was given the passkey, nor for an answer to anything else; then once."""
    mark = rig.folder / "mark"
    rig.add_program("mark", f"echo x >> {mark}\n", verdict="ask", more="critical = true")
    origin = f"http://localhost:{rig.http}"
    rig.edit_config(r"^# ?public_url = .*$", f'public_url = "{origin}"')
    await rig.start_hub()
    await rig.add_agent("web-1")
    device = SoftwareAuthenticator("es256", origin)
    line = await make_passkey(rig, device)

    event, _, answer = await rig.post("carol", "@web-1 mark")
    await rig.receiver.wait_question(event)
    number = f"r{answer['number']}"
    told = await rig.ask("alice", f"approve {number}")
    assert f"link {number}" in told["text"]
    page = await open_page(rig, await link_to(rig, number))
    assert "asked for by carol" in page.text
    assert "this hub&#x27;s word" in page.text
    status, text = await sign(rig, page, device, flags=UP)
    assert (status, "did not check that it was you" in text) == (403, True)
    status, text = await sign(rig, page, device, asked=b"another plan's")
    assert (status, "answered to another question" in text) == (403, True)
    status, text = await sign(rig, page, SoftwareAuthenticator("es256", origin))
    assert (status, "not one of yours" in text) == (409, True)  # the third one ends the link
    page = await open_page(rig, await link_to(rig, number))
    status, text = await sign(rig, page, device)
    assert status == 200, text
    refused = await rig.receiver.wait_final(event)
    assert "answerback-agent approvers add NAME KEY" in refused["text"], refused["text"]
    assert not mark.exists()

    state = rig.state_folder("web-1")
    _, out, _ = await rig.run("agent", "approvers", "add", "alice", line, "--state", str(state))
    assert f"alice  {line}" in out
    event, _, answer = await rig.post("carol", "@web-1 mark")
    await rig.receiver.wait_question(event)
    page = await open_page(rig, await link_to(rig, f"r{answer['number']}"))
    status, text = await sign(rig, page, device)
    assert status == 200, text
    done = await rig.receiver.wait_final(event)
    assert done["jobs"][0]["state"] == "succeeded", done["text"]
    assert mark.read_text() == "x\n"
    assert (await open_page(rig, page.url)).status == 404
    (approved,) = [row for row in rig.events() if row["kind"] == "request.approved"][1:]
    assert approved["data"]["own_key"] == device.passkey.id
