"""Every refusal is a clear message to whoever caused it, and an audit row."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket

import aiohttp
import pytest

from tests.end_to_end.system import SystemHarness


async def raw(
    rig: SystemHarness, body: bytes, *, path: str = "ops", signature: str | None = None, sender: str = ""
) -> tuple[int, dict[str, object]]:
    assert rig.session is not None
    headers = {"X-Signature": rig.sign(body) if signature is None else signature}
    headers |= {"X-Forwarded-For": sender} if sender else {}
    async with rig.session.post(f"http://127.0.0.1:{rig.http}/webhook/{path}", data=body, headers=headers) as answer:
        return answer.status, await answer.json()


def audited(rig: SystemHarness, code: str) -> bool:
    return any(event["kind"].endswith("refused") and event["data"].get("code") == code for event in rig.events())


async def test_what_the_webhook_turns_away(rig: SystemHarness) -> None:
    """Forged 401, oversized 413, malformed 400, unknown inlet 404, foreign reply address 400; each with a cure and a
    row.
    """
    await rig.start_hub()
    body = json.dumps({"id": "1", "user": "carol", "conversation": "ops", "text": "help"}).encode()
    for expected, code, (status, answer) in (
        (401, "bad_signature", await raw(rig, body, signature="0" * 64)),
        (401, "bad_signature", await raw(rig, body, signature="é")),
        (413, "too_large", await raw(rig, b"x" * (300 * 1024))),
        (400, "bad_body", await raw(rig, b"{]")),
        (400, "bad_body", await raw(rig, b'{"id": 1}')),
        (400, "bad_body", await raw(rig, b"[" * 5000)),
        (404, "unknown_inlet", await raw(rig, body, path="nope")),
        (400, "reply_url", await raw(rig, body.replace(b'"text"', b'"reply_url": "https://example.org/x", "text"'))),
    ):
        assert (status, answer["error"]) == (expected, code)
        assert answer["message"]
        assert audited(rig, code)


async def test_the_same_delivery_again_does_nothing(rig: SystemHarness) -> None:
    """A repeat is answered 2xx and makes no second request."""
    await rig.start_hub()
    event, status, first = await rig.post("carol", "help")
    _, again, second = await rig.post("carol", "help", event=event)
    assert (status, again, second) == (200, 200, {"ok": True, "duplicate": True})
    await rig.receiver.wait_final(event)
    assert len([e for e in rig.events() if e["kind"] == "message.accepted"]) == 1
    assert first["number"] == 1


async def test_what_chat_is_told(rig: SystemHarness) -> None:
    """Unknown person or machine, empty target, grammar, policy: the reply names the thing; nothing runs."""
    await rig.start_hub()
    await rig.join("web-1", "role=web")
    cases: list[tuple[str, str, list[str]]] = [
        ("mallory", "@web-1 df", ["ops:mallory"]),
        ("carol", "@web-9 df", ["web-9"]),
        ("carol", "@role=db df", ["role=db"]),
        ("carol", "@ df", ["@"]),
        ("carol", "@web-1 df | sh", ["|"]),
        ("carol", "@web-1 df $(id)", ["$"]),
        ("carol", "@web-1 df\nid", []),
        ("carol", "@web-1 dff -h", ["df"]),
        ("carol", "@web-1 df --outpu", ["--outpu"]),
        ("carol", "make me a sandwich", []),
        ("vera", "@web-1 df -h", []),
        ("carol", "approve r999", ["approver"]),
        ("bob", "approve r999", ["r999"]),
        ("bob", "cancel r999", ["r999"]),
    ]
    for number, (user, text, words) in enumerate(cases):
        # Each in a conversation of its own: one refusal after another gets shorter.
        event, status, _ = await rig.post(user, text, conversation=f"ops-{number}")
        assert status == 200, text
        reply = await rig.receiver.wait_final(event)
        assert reply["request"]["state"] in ("refused", "done"), text
        assert reply["jobs"] == [], text
        assert all(word in reply["text"] for word in words), (text, reply["text"])
    assert not any(event["kind"] in ("jobs.queued", "job.dispatched") for event in rig.events())


async def test_a_refusal_speaks_the_language_of_the_message(rig: SystemHarness) -> None:
    """Chinese in, Chinese out."""
    await rig.start_hub()
    await rig.join("web-1")
    reply = await rig.ask("carol", "@web-9 磁盘")
    assert any("\u4e00" <= char <= "\u9fff" for char in reply["text"])


async def test_a_full_queue_is_a_polite_refusal(rig: SystemHarness) -> None:
    """Back-pressure is said in chat, and what is queued stays."""
    rig.edit_config(r"^# max_agent = .*$", "max_agent = 2")
    await rig.start_hub()
    await rig.join("web-1")
    for _ in range(2):
        await rig.post("carol", "@web-1 uptime")
    await rig.wait_until(lambda: queued(rig, 2))
    reply = await rig.ask("carol", "@web-1 uptime")
    assert reply["request"]["state"] == "refused"
    assert "full" in reply["text"]


async def queued(rig: SystemHarness, count: int) -> bool:
    _, out, _ = await rig.operator("jobs", "--json", "--state", "queued")
    return len(json.loads(out)) == count


async def test_output_over_the_cap_is_cut_with_its_digest(rig: SystemHarness) -> None:
    """The reply says that it is cut, how much there was, and the digest of the whole."""
    rig.add_program(
        "flood", "i=0; while [ $i -lt 300 ]; do i=$((i+1)); printf '%01000d\\n' $i; done\n", more="output_cap = 20000"
    )
    await rig.start_hub()
    await rig.add_agent("web-1")
    reply = await rig.ask("carol", "@web-1 flood")
    (job,) = reply["jobs"]
    assert job["state"] == "succeeded"
    assert len(job["output"]) <= 20_000
    _, out, _ = await rig.operator("job", job["id"], "--json")
    stored = json.loads(out)
    assert (stored["truncated"], stored["output_bytes"]) == (True, 300 * 1001)
    assert stored["output_digest"][:8] in reply["text"]


async def test_tokens_are_for_one_use_one_name_and_not_for_long(rig: SystemHarness) -> None:
    """Used, expired, for another name, unknown: each refusal says which, and the machine is not joined."""
    await rig.start_hub()
    command = await rig.join("web-1")
    words = command.split()[1:]
    used = await rig.run("agent", *words, "--state", str(rig.state_folder("again")), check=False)
    assert used[0] == 1
    assert "used" in used[2]
    _, out, _ = await rig.hub("token", "--agent", "web-2", "--ttl", "1s", "--json")
    token = json.loads(out)
    await asyncio.sleep(1.2)  # a token's life is a time: there is no event to wait for
    late = [
        "join",
        token["url"],
        "--token",
        token["token"],
        "--ca-pin",
        token["ca_pin"],
        "--state",
        str(rig.state_folder("w2")),
    ]
    expired = await rig.run("agent", *late, check=False)
    assert "expired" in expired[2]
    _, out, _ = await rig.hub("token", "--agent", "web-3", "--json")
    token = json.loads(out)
    secret = "web-4." + token["token"].rpartition(".")[2]
    other = [
        "join",
        token["url"],
        "--token",
        secret,
        "--ca-pin",
        token["ca_pin"],
        "--state",
        str(rig.state_folder("w3")),
    ]
    foreign = await rig.run("agent", *other, check=False)
    assert foreign[0] == 1
    pinned = [*other[:5], "sha256:" + "0" * 64, *other[6:]]
    wrong = await rig.run("agent", *pinned, check=False)
    assert "authority" in wrong[2]
    assert "sha256:" + "0" * 64 in wrong[2]


async def test_nobody_home(rig: SystemHarness) -> None:
    """Hub unreachable: join, agents and the command line say where they looked and what to check, without a
    traceback.
    """
    place = f"wss://127.0.0.1:{rig.links}"
    join = ["join", place, "--token", f"web-1.{secrets.token_hex(16)}", "--ca-pin", "sha256:" + "0" * 64]
    code, _, error = await rig.run("agent", *join, "--state", str(rig.state_folder("x")), check=False)
    assert code == 1
    assert str(rig.links) in error
    assert "Traceback" not in error
    code, _, error = await rig.operator("agents", check=False)
    assert code == 1
    assert str(rig.links) in error
    assert "Traceback" not in error


async def test_ports_that_are_taken(rig: SystemHarness) -> None:
    """serve names the address and the key to change, and exits 2."""
    for port in (rig.http, rig.links):
        with socket.socket() as squatter:
            squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            squatter.bind(("127.0.0.1", port))
            squatter.listen()
            code, _, error = await rig.hub("serve", check=False)
        assert code == 2
        assert f"127.0.0.1:{port}" in error
        assert "hub.toml" in error
        assert "Traceback" not in error


async def test_two_hubs_on_one_store(rig: SystemHarness) -> None:
    """The second one is refused, and says why."""
    await rig.start_hub()
    text = rig.config.read_text()
    rig.config.write_text(text.replace(str(rig.http), "0").replace(str(rig.links), "1"))
    code, _, error = await rig.hub("serve", check=False)
    rig.config.write_text(text)
    assert code == 2
    assert "another hub" in error


@pytest.mark.parametrize(
    ("pattern", "replacement", "words"),
    [
        (r"^listen = .*$", 'listne = "127.0.0.1:1"', ["listne", "listen"]),
        (r"^listen = .*$", "listen = 8080", ["[http] listen"]),
        (r"^\[http\]$", "[http", ["hub.toml"]),
        (r"^secret_file = .*$", 'secret_file = "secrets/none"', ["secrets/none"]),
        (r'^roles = \["admin"\]$', 'roles = ["king"]', ["king", "admin"]),
    ],
)
async def test_a_wrong_configuration_is_named(
    rig: SystemHarness, pattern: str, replacement: str, words: list[str]
) -> None:
    """check names file, key and cure and exits 2; nothing is lost."""
    rig.edit_config(pattern, replacement)
    code, _, error = await rig.hub("check", check=False)
    assert code == 2
    assert all(word in error for word in words), error
    assert "Traceback" not in error


async def test_a_wrong_policy_keeps_the_old_one_in_force(rig: SystemHarness) -> None:
    """A serving hub that finds a broken policy.toml says so in its log and goes on with the rules it had."""
    await rig.start_hub()
    await rig.add_agent("web-1")
    policy = rig.hub_dir / "policy.toml"
    policy.write_text(policy.read_text() + "\n[[rule]]\nid = 5\n")

    async def refused() -> bool:
        return "file.refused" in rig.programs["hub"].log.read_text()

    await rig.wait_until(refused)
    reply = await rig.ask("carol", "@web-1 uptime")
    assert reply["jobs"][0]["state"] == "succeeded"


async def test_a_forged_flood_is_counted_and_does_not_fill_the_audit(rig: SystemHarness) -> None:
    """Failures from one address (as the proxy in front names it) are limited; the audit keeps a few rows and counts."""
    await rig.start_hub()
    statuses = [(await raw(rig, b"{}", signature="0" * 64, sender="203.0.113.7"))[0] for _ in range(60)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert len([event for event in rig.events() if event["kind"] == "message.refused"]) <= 30


async def test_a_foreign_certificate_gets_nowhere(rig: SystemHarness) -> None:
    """No certificate on /agent and /console: 403; other paths: 404; the authority is public."""
    await rig.start_hub()
    assert rig.session is not None
    base = f"https://127.0.0.1:{rig.links}"
    for path, status in (("/agent", 403), ("/console", 403), ("/nothing", 404), ("/ca", 200)):
        async with rig.session.get(
            base + path,
            ssl=False,
            headers={
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            },
        ) as answer:
            assert answer.status == status
    with pytest.raises(aiohttp.ClientError):
        async with rig.session.get(f"http://127.0.0.1:{rig.links}/ca"):
            pass


async def test_filters_behind_a_command_leave_what_was_asked_for(rig: SystemHarness) -> None:
    """From the chat's words to the machine's output: no shell, and the line that is shown runs."""
    rig.add_program("counts", "for i in 3 1 2 10; do echo item $i; done; echo other\n")
    await rig.start_hub()
    await rig.add_agent("web-1")
    reply = await rig.ask("carol", "@web-1 counts | grep item | sort -k 2n | tail -n 2")
    assert [job["output"] for job in reply["jobs"]] == ["item 3\nitem 10\n"]
    assert "counts | grep item | sort -n -k 2 | tail -n 2`" in reply["text"]
    refused = await rig.ask("carol", "@web-1 counts | sh")
    assert "“sh” is no filter" in refused["text"]
