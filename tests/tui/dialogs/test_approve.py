"""Approving: exactly what runs, every answer that a hub can give, by keys and by mouse."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from common.api.codec import encode
from common.api.requests import RequestDetails
from common.command.line import quote_argv
from tests.tui.demo_console import Drive, demo_console
from tests.tui.fake_source import HOSTILE, NOW, console_driver
from tests.tui.rows import request
from tui.client.errors import CallFailed, CallRefused, LinkLost
from tui.demo.cast import CODE
from tui.dialogs.approve import ApproveDialog
from tui.dialogs.edit import EditDialog
from tui.dialogs.reject import RejectDialog
from tui.terminal.sanitize import is_safe
from tui.widgets.digits import CodeInput
from tui.widgets.text import TextPane


def with_step(request: RequestDetails, **changes: Any) -> RequestDetails:
    """The request with its first step changed, and no other."""
    assert request.plan is not None
    return replace(request, plan=replace(request.plan, steps=(replace(request.plan.steps[0], **changes),)))


async def opened(d: Drive, with_code: bool = True) -> Any:
    await d.open_mode("3", "approve")
    row = await d.select_row(lambda row: bool(row.second_factor) is with_code)
    await d.press("a")
    dialog = await d.wait_for_dialog(ApproveDialog)
    assert dialog.request.number == row.number
    return dialog


async def test_it_shows_exactly_what_would_run() -> None:
    """The vector, the machines, who asked, why, how many must agree, the hash, and how long there is."""
    async with demo_console() as d:
        dialog = await opened(d)
        request = dialog.request
        shown = "".join(line.strip(" │|\n") + " " for line in d.lines)
        assert quote_argv(request.steps[0].argv) in shown
        for part in (request.person, request.reason, request.plan_hash[:4], "second factor", "expires in"):
            assert part in shown, part
        for name in request.steps[0].targets:
            assert name in shown


async def test_a_long_plan_is_never_cut() -> None:
    """It scrolls instead, and every machine of it can be reached."""
    async with demo_console((80, 24)) as d:
        dialog = await opened(d)
        names = [f"machine-{index:04d}" for index in range(400)]
        dialog.request = with_step(dialog.request, targets=tuple(names))
        dialog._show_facts()
        await d.flush()
        seen = d.text
        for _ in range(40):
            await d.press("pagedown")
            seen += d.text
        missing = [name for name in names if name not in seen]
        assert not missing


async def test_six_digits_and_enter_approve_that_plan() -> None:
    """The hash on the screen, the code and a nonce are sent; the queue says so."""
    async with demo_console() as d:
        dialog = await opened(d)
        await d.press(*CODE, "enter")
        await d.wait_no_dialog()
        (sent,) = d.source.calls_of("approve")
        assert sent["plan_hash"] == dialog.request.plan_hash
        assert (sent["number"], sent["code"], len(sent["nonce"])) == (dialog.request.number, CODE, 16)
        await d.wait_for_text(f"r{dialog.request.number} is approved")


async def test_fewer_digits_are_not_sent() -> None:
    """It says what a code is."""
    async with demo_console() as d:
        await opened(d)
        await d.press("1", "2", "enter")
        await d.wait_for_text("a code has six digits")
        assert not d.source.calls_of("approve")


async def test_a_wrong_code_can_be_tried_again_and_is_kept_nowhere() -> None:
    """The hub's words with the tries left; the field is empty, the code is in no place of the console."""
    async with demo_console() as d:
        dialog = await opened(d)
        await d.press(*"987650", "enter")
        await d.wait_for_text("4 more wrong codes")
        assert dialog.query_one("#code").value == ""
        assert "987650" not in repr(vars(dialog)) + repr(vars(d.console))
        await d.press(*CODE, "enter")
        await d.wait_no_dialog()
        nonces = {sent["nonce"] for sent in d.source.calls_of("approve")}
        assert len(nonces) == 1


async def test_letters_reach_the_dialog_while_the_code_has_the_focus() -> None:
    """x rejects and e edits the same request; nothing of it lands in the field."""
    for key, kind in (("x", RejectDialog), ("e", EditDialog)):
        async with demo_console() as d:
            dialog = await opened(d)
            await d.press("1", key)
            follower = await d.wait_for_dialog(kind)
            assert follower.request.number == dialog.request.number


async def test_a_changed_plan_shows_what_changed_and_wants_a_new_code() -> None:
    """The answer plan_changed: the new plan is fetched, the difference shown, the next try sends the new hash."""
    async with demo_console() as d:
        dialog = await opened(d)
        changed = with_step(dialog.request, argv=("/usr/bin/rm", "-rf", "/srv"))
        other = encode(replace(changed, plan_hash="f" * 64))
        d.source.queue_answers("approve", CallRefused("plan_changed", "the plan is another one now (ffffffff)"))
        d.source.queue_answers("request", other)
        await d.press(*CODE, "enter")
        await d.wait_for_text("the plan is another one now; this is what changed:")
        await d.wait_for_text("+run: /usr/bin/rm -rf /srv")
        assert dialog.query_one("#code").value == ""
        await d.press(*CODE, "enter")
        await d.wait_until(lambda: len(d.source.calls_of("approve")) == 2)
        assert d.source.calls_of("approve")[1]["plan_hash"] == "f" * 64


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("already_decided", "r1 has been approved by carol"),
        ("not_asking", "r1 does not wait for approval: it is working"),
        ("expired", "the time to approve r1 is over"),
        ("late", "the time to approve r1 is over"),
        ("needs_second_person", "you asked for r1 yourself"),
        ("own_request", "you asked for r1 yourself"),
        ("no_right", "alice may not approve"),
        ("not_enrolled", "alice has no second factor yet"),
        ("locked", "alice is locked for 5 minutes"),
        ("something_new", "a word of a newer hub"),
    ],
)
@pytest.mark.parametrize("raised", [True, False], ids=["raised", "answered"])
async def test_an_end_is_said_and_nothing_more_can_be_sent(code: str, words: str, raised: bool) -> None:
    """Whichever way the hub puts it; the dialog stays until it is closed, and enter closes it."""
    async with demo_console() as d:
        dialog = await opened(d)
        d.source.queue_answers("approve", CallRefused(code, words) if raised else {"code": code, "text": words})
        await d.press(*CODE, "enter")
        await d.wait_for_text(words)
        assert dialog.finished
        await d.press(*CODE, "enter")
        await d.wait_no_dialog()
        assert len(d.source.calls_of("approve")) == 1


async def test_no_answer_is_told_as_that() -> None:
    """The link broke while it was sent: it may count or not, and the same nonce makes a second try safe."""
    async with demo_console() as d:
        await opened(d)
        d.source.queue_answers("approve", LinkLost("the hub closed the link", "try again"))
        await d.press(*CODE, "enter")
        await d.wait_for_text("no answer came")
        await d.press(*CODE, "enter")
        await d.wait_no_dialog()
        first, second = d.source.calls_of("approve")
        assert first["nonce"] == second["nonce"]


async def test_a_fault_of_the_hub_can_be_tried_again() -> None:
    """Its reason stands in the dialog."""
    async with demo_console() as d:
        dialog = await opened(d)
        d.source.queue_answers("approve", CallFailed("hub", "the hub failed on this call"))
        await d.press(*CODE, "enter")
        await d.wait_for_text("the hub failed on this call")
        assert not dialog.finished


async def test_without_a_second_factor_enter_alone_does_nothing() -> None:
    """The first choice is to close; approving takes a step to the right."""
    async with demo_console() as d:
        await opened(d, with_code=False)
        await d.press("enter")
        await d.wait_no_dialog()
        assert not d.source.calls_of("approve")
        await d.press("a")
        await d.wait_for_dialog(ApproveDialog)
        await d.press("right", "enter")
        await d.wait_no_dialog()
        assert len(d.source.calls_of("approve")) == 1


async def test_the_mouse_approves_too() -> None:
    """CodeInput typed, the choice clicked."""
    async with demo_console() as d:
        await opened(d)
        await d.press(*CODE)
        choices = d.dialog.query_one("#buttons")
        await d.pilot.click(choices, offset=(14, 0))
        await d.wait_no_dialog()
        assert d.source.calls_of("approve")[0]["code"] == CODE


async def test_a_lost_link_refuses_at_once() -> None:
    """Nothing is sent, it says why, and it says when the link is back."""
    async with demo_console() as d:
        await opened(d)
        d.source.lose_link()
        await d.wait_for_text("nothing can be sent from here until it is back")
        await d.press(*CODE, "enter")
        assert not d.source.calls_of("approve")
        d.source.restore_link()
        await d.wait_for_text("the link is back")


async def test_a_live_list_behind_cannot_swap_the_target() -> None:
    """The dialog works on its own copy, by number."""
    async with demo_console() as d:
        dialog = await opened(d)
        number = dialog.request.number
        for row in list(d.source.world.requests.values()):
            if row.is_asking and row.number != number:
                d.source.world.requests[row.id] = replace(row, decide_by=d.source.now() + 1)
                d.source.world.notify_change("requests", row.id)
        await d.advance(0.7)
        await d.press(*CODE, "enter")
        await d.wait_no_dialog()
        assert d.source.calls_of("approve")[0]["number"] == number


async def test_keys_typed_ahead_do_not_count() -> None:
    """In the first quarter of a second a key was meant for what stood there before; escape always closes."""
    async with demo_console(guard=60.0) as d:
        await opened(d)
        await d.press(*CODE, "enter")
        assert d.dialog.query_one("#code").value == ""
        assert not d.source.calls_of("approve")
        await d.press("escape")
        await d.wait_no_dialog()


async def test_time_runs_out_while_it_is_open() -> None:
    """It says so, whatever is on the screen."""
    async with demo_console() as d:
        await opened(d)
        await d.advance(700)
        await d.wait_for_text("EXPIRED")
        await d.wait_for_text("the time to decide is over")


@pytest.mark.parametrize("size", [(80, 24), (60, 16), (200, 50)])
async def test_it_fits_every_size_and_keeps_the_code(size: tuple[int, int]) -> None:
    """Code, choices and keys stay in sight when the window becomes another one."""
    async with demo_console((120, 36)) as d:
        await opened(d)
        await d.press("1", "2", "3")
        await d.pilot.resize_terminal(*size)
        await d.wait_until(lambda: "[Approve]" in d.text and d.app.size == size)
        assert d.dialog.query_one("#code").value == "123"
        assert "esc close" in d.text


async def test_leaving_before_the_answer_is_told() -> None:
    """A second enter sends nothing more; who leaves before the hub has answered is told that it may count."""
    async with console_driver() as stage:
        stage.source.answers["approve"] = [asyncio.get_running_loop().create_future()]
        dialog = ApproveDialog(stage.console, request(41))
        came_to = await stage.push_dialog(dialog)
        for _ in range(2):
            dialog.query_one("#code", CodeInput).value = "123456"
            await stage.press("enter")
            await stage.wait_until(lambda: dialog.sending)
        assert len(stage.source.calls_of("approve")) == 1
        await stage.press("escape")
        await stage.wait_closed()
        assert came_to == [None]
        assert "41" in stage.status_line


async def test_hostile_text_in_every_field() -> None:
    """Nothing of it reaches the screen raw and nothing is parsed."""
    async with console_driver() as stage:
        for text in HOSTILE:
            approvals = [{"person": text, "granted": True, "at": NOW, "via": text}]
            hostile = request(41, text=text, person=text, inlet=text, reason=text, rule=text, approvals=approvals)
            hostile = with_step(hostile, argv=("echo", text[:200]), targets=(text,))
            assert hostile.plan is not None
            hostile = replace(hostile, plan=replace(hostile.plan, source=text))
            dialog = ApproveDialog(stage.console, hostile)
            await stage.push_dialog(dialog)
            assert all(is_safe(line.text) for line in dialog.query_one("#facts", TextPane).lines)
            assert all(is_safe(line) for line in stage.text.split("\n"))
            dialog.dismiss(None)
            await stage.wait_closed()


async def test_nobody_approves_what_was_not_on_the_screen() -> None:
    """A command too long for the dialog is shown to its end before a yes is sent."""
    async with demo_console((60, 16)) as d:
        dialog = await opened(d)
        argv = ["/usr/bin/rm", "-rf", *(f"/srv/some/folder/{index:03d}" for index in range(60))]
        dialog.request = with_step(dialog.request, argv=tuple(argv))
        dialog._show_facts()
        await d.flush()
        await d.press(*CODE, "enter")
        await d.wait_for_text("read the whole command first")
        assert not d.source.calls_of("approve")
        await d.wait_until(lambda: "/srv/some/folder/000" in d.text)
        for _ in range(12):
            await d.press("pagedown")
        await d.press("enter")
        await d.wait_no_dialog()
        assert d.source.calls_of("approve")[0]["code"] == CODE
