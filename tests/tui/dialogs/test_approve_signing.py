"""Approving what is critical: signed with the profile's own key, over a hash that is computed from what was shown. And
what may be allowed for a while.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from common.approval_proof import CONSOLE, PERSON, ApprovalProof
from common.files import write_file
from common.identity.signing import PERSON_APPROVAL_PURPOSE, SigningKey, verify
from common.plan import Plan, Step, plan_hash
from tests.tui.fake_source import ConsoleDriver, FakeSource, console_driver
from tests.tui.live_hub import LiveHub
from tests.tui.rows import request
from tui.app import ConsoleApp
from tui.client.approval_key import ApprovalSigner, approval_key, key_path
from tui.client.hub_source import HubSource
from tui.client.profile import Profile, read_profile
from tui.dialogs.approve import ApproveDialog, allowances
from tui.dialogs.dialog import Dialog
from tui.model.context import ConsoleContext
from tui.model.settings import ConsoleSettings
from tui.terminal.key_repeat import KeyRepeat
from tui.widgets.choices import OptionRow

PLAN = Plan(
    (Step(("/usr/bin/systemctl", "reload", "nginx"), ("web-1",), cwd="/srv", env=(("LANG", "C"),)),), "explicit"
)


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return Profile(tmp_path, "alice", "wss://h:1", "h1")


async def opened(stage: ConsoleDriver, **more: Any) -> ApproveDialog:
    shown = request(41, **{"made": PLAN, "critical": True, "second_factor": False, **more})
    dialog = ApproveDialog(stage.console, shown)
    await stage.push_dialog(dialog)
    return dialog


def proves(sent: dict[str, Any], key: SigningKey, *, second_factor: bool = False) -> bool:
    """Whether what was sent is this key's signature of the plan that was shown."""
    signed = sent["signed"]
    proof = ApprovalProof(
        "alice", signed["at"], second_factor, signed["expires"], CONSOLE, PERSON + key.id, asked_by=("bob",)
    )
    statement = proof.statement(request(41).id, plan_hash(PLAN))
    return verify(
        bytes.fromhex(signed["public"]), statement, bytes.fromhex(signed["signature"]), PERSON_APPROVAL_PURPOSE
    )


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_second_yes_signs_what_was_shown(profile: Profile, language: str) -> None:
    """Trust: the first yes asks, with the hash that is computed here; the next one signs that and no other. All of
    it is readable at 80x24.
    """
    key = approval_key(profile)
    async with console_driver(size=(80, 24), signer=ApprovalSigner(profile), language=language) as stage:
        dialog = await opened(stage)
        shown = stage.text
        for part in ("systemctl reload nginx", "web-1", "/srv", "LANG=C"):
            assert part in shown, part
        assert dialog.query_one("#passphrase").parent.display is False  # type: ignore[union-attr]
        await stage.press("y")
        await stage.flush()
        assert stage.source.calls_of("approve") == []
        assert plan_hash(PLAN)[:4] in dialog.note_text
        assert ("Sign and approve" if language == "en" else "签署并批准") in stage.text
        await stage.press("enter")  # on the button that does nothing
        await stage.wait_closed()
        assert stage.source.calls_of("approve") == []
        await opened(stage)
        await stage.press("y", "y")
        (sent,) = await stage.wait_answered("approve")
        assert (sent["plan_hash"], sent.get("allow_for")) == (plan_hash(PLAN), None)
        assert proves(sent, key)


async def test_a_hub_that_shows_one_plan_and_names_another_gets_no_signature(profile: Profile) -> None:
    """Trust: it is told, and nothing more can be decided here."""
    approval_key(profile)
    async with console_driver(signer=ApprovalSigner(profile)) as stage:
        dialog = await opened(stage, plan_hash="ab" * 32)
        await stage.press("y", "y")
        await stage.flush()
        assert "shows one plan and asks for another" in dialog.note_text
        assert dialog.finished
        assert stage.source.calls_of("approve") == []


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_who_has_no_key_is_told_how_to_get_one(profile: Profile, language: str) -> None:
    """The command, and who takes the key to the machines; the console makes none by itself."""
    for signer in (ApprovalSigner(profile), None):
        async with console_driver(size=(80, 24), signer=signer, language=language) as stage:
            await opened(stage)
            told = "".join(stage.text.replace("│", "").split())
            assert "answerbackwhoami--approval-key" in told
            assert "answerback-agentapproversadd" in told
            await stage.press("y", "y")
            await stage.flush()
            assert stage.source.calls_of("approve") == []
    assert not key_path(profile).exists()


async def test_a_key_under_a_passphrase(profile: Profile) -> None:
    """It is asked for, hidden; a wrong one is told and can be typed again; none of them stays anywhere."""
    key = SigningKey.generate()
    write_file(key_path(profile), key.to_pem(b"open sesame"))
    async with console_driver(signer=ApprovalSigner(profile)) as stage:
        dialog = await opened(stage, second_factor=True)
        field = dialog.query_one("#passphrase")
        await stage.press(*"123456", "enter")
        await stage.flush()
        assert stage.app.focused is field
        await stage.press("enter")
        await stage.wait_until(lambda: "passphrase" in dialog.note_text)
        await stage.type("wrong")
        assert "wrong" not in stage.text
        await stage.press("enter")
        await stage.wait_until(lambda: "the passphrase is another" in dialog.note_text)
        assert stage.source.calls_of("approve") == []
        await stage.type("open sesame")
        await stage.press("enter")
        (sent,) = await stage.wait_answered("approve")
        assert sent["code"] == "123456"
        assert proves(sent, key, second_factor=True)
        assert "sesame" not in repr(sent) + repr(vars(stage.console))


async def test_a_policy_that_became_critical(profile: Profile) -> None:
    """The hub wants a signature that the request did not tell of: the dialog asks for it, and the next try has it."""
    key, source = approval_key(profile), FakeSource()
    source.answers["approve"] = {"code": "signature_needed", "text": "r41 is critical"}
    async with console_driver(source, signer=ApprovalSigner(profile)) as stage:
        await opened(stage, critical=False)
        await stage.press("y")
        (sent,) = await stage.wait_answered("approve")
        assert "signed" not in sent
        assert "r41 is critical" in stage.text
        source.answers["approve"] = {"code": "ok", "text": "done"}
        await stage.press("y", "y")
        assert proves((await stage.wait_answered("approve", 2))[1], key)


# ---- for a while


def test_choices_are_bounded() -> None:
    """None beyond the hub's longest, which is one of them; none at all where it allows nothing."""
    assert allowances(0.0) == []
    assert allowances(600.0) == [600]
    assert allowances(3_600.0) == [900, 3_600]
    assert allowances(7 * 86_400.0) == [900, 3_600, 14_400, 86_400, 604_800]


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_it_is_allowed_for_a_while(language: str) -> None:
    """The row says no until another is chosen; what that means stands there plainly, and is what is sent."""
    async with console_driver(size=(80, 24), language=language) as stage:
        dialog = await opened(stage, critical=False, allow_for=7_200.0, allow_uses=20)
        await stage.press("y")
        (sent,) = await stage.wait_answered("approve")
        assert sent.get("allow_for") is None
        dialog = await opened(stage, critical=False, allow_for=7_200.0, allow_uses=20)
        row = dialog.query_one("#allow", OptionRow)
        row.focus()
        assert [choice.id for choice in row.items] == ["", "900", "3600", "7200"]
        await stage.press("right", "right")
        await stage.flush()
        told = "".join(stage.text.replace("│", "").split())
        assert "bob" in told
        assert ("20timesatmost" if language == "en" else "最多20次") in told
        assert "[1h]" in stage.text
        await stage.press("enter", "y")  # enter goes on to the next field, which takes letters
        await stage.press("tab", "y")
        (_, sent) = await stage.wait_answered("approve", 2)
        assert sent["allow_for"] == 3_600


async def test_there_is_no_such_row_where_it_may_not_be(profile: Profile) -> None:
    """Trust: off at the hub, or of what is critical: no row, and nothing of it is sent."""
    async with console_driver(signer=ApprovalSigner(profile)) as stage:
        for more in ({"critical": False}, {"critical": True, "allow_for": 3_600.0}):
            dialog = await opened(stage, **more)
            assert dialog.query_one("#allow").parent.display is False  # type: ignore[union-attr]
            await stage.press("escape")
            await stage.wait_closed()


# ---- a real hub, a real runner


@pytest.mark.xdist_group("live")
def test_a_critical_plan_is_signed_in_the_console_and_run(answerback: LiveHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust: bob's console, over a real link, signs; the machine, which knows his key, runs it once."""
    name, key = answerback.run_as("bob", "whoami", "--approval-key").text.split()
    state = str(answerback.rig.state_folder("web-1"))
    answerback.run_coroutine(answerback.rig.run("agent", "approvers", "add", name, key, "--state", state))
    file = Path(answerback.rig.folder) / "ask-signed.ran"
    before = len(file.read_text().splitlines()) if file.exists() else 0
    asking = answerback.create_asking_request(script="ask-signed")
    monkeypatch.setattr(Dialog, "GUARD_SECONDS", 0.0)
    monkeypatch.setattr(KeyRepeat, "REPEAT_WITHIN", 0.0)  # for who types faster than a held key repeats
    asyncio.run(approve_in_console(answerback.profile("bob"), asking["number"]))
    number = f"r{asking['number']}"
    answerback.wait_until(lambda: answerback("request", number, "--json").json["state"] == "done")
    assert len(file.read_text().splitlines()) == before + 1


async def approve_in_console(folder: Path, number: int) -> None:
    """By keys alone, as bob does it."""
    profile = read_profile(folder)
    app = ConsoleApp(ConsoleContext(HubSource(profile), ConsoleSettings(static=True), signer=ApprovalSigner(profile)))
    async with app.run_test(size=(100, 30)) as pilot:
        stage: Any = ConsoleDriver(app, pilot, app.context.source)  # type: ignore[arg-type]

        async def until(condition: Any) -> None:
            async with asyncio.timeout(60):
                while not condition():
                    app.flush()
                    await pilot.pause(0.02)

        await until(lambda: app.context.link.live)
        await pilot.press("3")
        await until(lambda: app.current_mode == "approve" and app._mode_screen().table().window.loaded)  # type: ignore[union-attr]
        table = app._mode_screen().table()  # type: ignore[union-attr]
        await until(lambda: f"r{number}" in stage.text)
        table.user_moved()
        rows = [table.window.row_at(index) for index in range(table.window.total)]
        table.move_to(next(index for index, row in enumerate(rows) if getattr(row, "number", 0) == number))
        await pilot.pause()
        await pilot.press("a")
        await until(lambda: isinstance(app.screen, ApproveDialog) and app.screen.widgets_ready)
        dialog: Any = app.screen
        assert dialog.request.critical
        await pilot.press("y")
        await until(lambda: dialog._asked_to_sign)
        await pilot.press("y")
        await until(lambda: not isinstance(app.screen, ApproveDialog) or dialog.finished)
        assert not dialog.finished, dialog.note_text
