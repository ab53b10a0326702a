"""Every answer that a hub gives to an approval, sent by keys and by the mouse; and what is not sent at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from common.plan import Plan, Step
from tests.tui.fake_source import ConsoleDriver, FakeSource, console_driver, request_row
from tests.tui.rows import request
from tui.client.errors import CallFailed, CallRefused, InvalidCall, LinkLost
from tui.dialogs.approve import ApproveDialog
from tui.dialogs.edit import EditDialog
from tui.dialogs.reject import RejectDialog
from tui.widgets.choices import ChoiceList
from tui.widgets.digits import CodeInput

HOUR = 3_600.0
OTHER = request_row(41, made=Plan((Step(("rm", "-rf", "/srv"), ("web-41",)),), "operator"))
LOST = LinkLost("the hub closed the link", "try again")


@dataclass(frozen=True)
class Case:
    """What the hub does, and what becomes of the dialog: closed, stays, over."""

    answer: Any
    words: str
    then: str


CASES = {
    "done": Case({"code": "ok", "text": "r41 is approved and runs (7f3a)"}, "r41 is approved and runs", "closed"),
    "done, no words": Case({}, "r41: approved", "closed"),
    "need more": Case({"code": "ok", "text": "1 of 2 have agreed to r41", "given": 1}, "1 of 2 have agreed", "closed"),
    "heard twice": Case({"code": "ok", "text": "you have approved r41", "again": True}, "you have approved", "closed"),
    "plan changed": Case({"code": "plan_changed", "text": "the plan of r41 is another one"}, "is another one", "look"),
    "too late": Case({"code": "late", "text": "the time to approve r41 is over"}, "the time to approve", "over"),
    "decided": Case({"code": "not_asking", "text": "r41 is working already"}, "r41 is working already", "over"),
    "already": Case({"code": "already", "text": "you have decided on r41"}, "you have decided on", "over"),
    "not allowed": Case({"code": "no_right", "text": "alice may not approve"}, "alice may not approve", "over"),
    "not allowed, raised": Case(CallRefused("no_right", "alice may not approve"), "alice may not approve", "over"),
    "own request": Case(
        {"code": "own_request", "text": "you asked for r41 yourself"}, "asked for r41 yourself", "over"
    ),
    "not enrolled": Case({"code": "not_enrolled", "text": "alice has no second factor"}, "no second factor", "over"),
    "wrong code": Case({"code": "bad_code", "text": "wrong code, 4 more tries", "left": 4}, "4 more tries", "stays"),
    "locked": Case({"code": "bad_code", "text": "codes are locked for 5 m", "left": 0}, "locked for 5 m", "stays"),
    "code needed": Case({"code": "code_needed", "text": "r41 needs a code"}, "r41 needs a code", "stays"),
    "gone": Case({"code": "unknown", "text": "there is no request r41"}, "there is no request r41", "over"),
    "a newer hub": Case({"code": "never_heard_of", "text": "needs a blessing"}, "needs a blessing", "over"),
    "a hub's fault": Case(CallFailed("hub", "the hub failed on this call"), "the hub failed on this", "stays"),
    "busy": Case(CallFailed("busy", "the store is busy"), "the store is busy", "stays"),
    "no such call": Case(InvalidCall("nonce: text is expected"), "nonce: text is expected", "stays"),
    "no answer": Case(LOST, "no answer came", "stays"),
}


async def clicked(stage: ConsoleDriver, choice: str) -> None:
    """A click on a choice of the dialog, where it stands on the screen."""
    lines = stage.text.split("\n")
    y = next((y for y, line in enumerate(lines) if f"[{choice}]" in line), -1)
    assert y >= 0, f"no [{choice}] on the screen:\n{stage.text}"
    await stage.pilot.click(offset=(lines[y].index(f"[{choice}]") + 1, y))
    await stage.pilot.pause()


async def by_keys(stage: ConsoleDriver, code: str) -> None:
    if code:
        await stage.press(*code, "enter")
        return
    if stage.dialog.query_one("#buttons", ChoiceList).highlighted.id != "approve":
        await stage.press("right")
    await stage.press("enter")


async def by_mouse(stage: ConsoleDriver, code: str) -> None:
    if code:
        await stage.press(*code)
    await clicked(stage, "Approve")


Way = Callable[[ConsoleDriver, str], Any]
PAIRS: tuple[tuple[tuple[Way, str], ...], ...] = (
    ((by_keys, "123456"), (by_mouse, "")),
    ((by_keys, ""), (by_mouse, "123456")),
)
"""By keys and by the mouse, with a code and without: each case is tried in one of the two, and `make slow` in both."""


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        pytest.param(name, pair, marks=pytest.mark.slow if (index + pair) % 2 else ())
        for index, name in enumerate(CASES)
        for pair in range(len(PAIRS))
    ],
)
async def test_each_answer(name: str, pair: int) -> None:
    """The hub's words are on the screen; the dialog closes, stays for another try, or can only be closed; one call
    each, with the hash that was on the screen.
    """
    source = FakeSource()
    async with console_driver(source, "approve") as stage:
        for way, code in PAIRS[pair]:
            source.calls.clear()
            await each_answer(stage, CASES[name], way, code)


async def each_answer(stage: ConsoleDriver, case: Case, way: Way, code: str) -> None:
    source, row = stage.source, request_row(41, second_factor=bool(code))
    source.answers["approve"], source.answers["request"] = case.answer, row
    dialog = ApproveDialog(stage.console, request(41, second_factor=bool(code)))
    await stage.push_dialog(dialog)
    source.answers["request"] = {**OTHER, "second_factor": bool(code)}
    await way(stage, code)
    (sent,) = await stage.wait_answered("approve")
    assert (sent["number"], sent["plan_hash"], sent.get("code", "")) == (41, row["plan_hash"], code)
    if case.then == "closed":
        await stage.wait_closed()
        assert case.words in stage.status_line
        return
    await stage.wait_until(lambda: case.words in " ".join(stage.text.split()), case.words)
    assert dialog.query_one("#code", CodeInput).value == ""
    assert dialog.finished is (case.then == "over")
    if case.then == "look":
        assert "+run: rm -rf /srv" in stage.text
        choice = dialog.query_one("#buttons", ChoiceList).highlighted
        assert choice is not None
        assert choice.id == "close"
    if case.then == "over":
        assert "[Approve]" not in stage.text
        await stage.press("x", "e")
        assert stage.app.screen is dialog
        await (stage.press("enter") if way is by_keys else clicked(stage, "Close"))
        await stage.wait_closed()
        assert len(source.calls_of("approve")) == 1
        return
    source.answers["approve"] = {}
    await way(stage, code)
    await stage.wait_closed()
    first, second = source.calls_of("approve")
    assert second["plan_hash"] == (OTHER if case.then == "look" else row)["plan_hash"]
    assert (first["nonce"] == second["nonce"]) is (case.then != "look")


async def test_keys_typed_ahead_of_a_changed_plan_do_not_count() -> None:
    """What is shown has changed by itself: for a moment keys were meant for the plan before it."""
    source = FakeSource()
    source.rows["requests"] = [request_row(41)]
    source.answers["approve"] = CallRefused("plan_changed", "the plan of r41 is another one")
    async with console_driver(source, "approve", guard=HOUR) as stage:
        dialog = await stage.open_dialog("a", ApproveDialog)
        dialog._opened_at -= 2 * HOUR
        source.answers["request"] = OTHER
        await stage.press(*"123456", "enter")
        await stage.wait_until(lambda: "+run: rm -rf /srv" in stage.text)
        await stage.press(*"654321", "enter")
        assert dialog.query_one("#code", CodeInput).value == ""
        assert len(source.calls_of("approve")) == 1
        dialog._opened_at -= 2 * HOUR
        source.answers["approve"] = {}
        await stage.press(*"654321", "enter")
        await stage.wait_closed()
        assert source.calls_of("approve")[1]["code"] == "654321"


async def test_enter_while_the_link_is_lost_keeps_the_code_for_when_it_is_back() -> None:
    """Nothing is sent and the reason stands there; back, the same digits and one enter do it."""
    source = FakeSource()
    source.rows["requests"] = [request_row(41)]
    async with console_driver(source, "approve") as stage:
        dialog = await stage.open_dialog("a", ApproveDialog)
        source.disconnect()
        await stage.flush()
        await stage.press(*"123456", "enter")
        assert "nothing can be sent" in stage.text
        assert (source.calls_of("approve"), dialog.query_one("#code", CodeInput).value) == ([], "123456")
        for key in ("x", "e"):
            await stage.press(key)
            assert stage.app.screen is dialog
        source.reconnect()
        await stage.flush()
        await stage.press("enter")
        await stage.wait_closed()
        assert [sent["code"] for sent in source.calls_of("approve")] == ["123456"]


@pytest.mark.parametrize("expired", [True, False], ids=["its time is over", "decided by another"])
async def test_what_is_over_leads_nowhere(expired: bool) -> None:
    """Neither to rejecting nor to editing: it says that nothing can be decided, and the keys are not offered."""
    source = FakeSource()
    source.rows["requests"] = [request_row(41)]
    source.answers["approve"] = {"code": "not_asking", "text": "carol has approved r41"}
    async with console_driver(source, "approve") as stage:
        dialog = await stage.open_dialog("a", ApproveDialog)
        assert "x reject" in stage.text
        if expired:
            source.clock += 700
        else:
            await stage.press(*"123456", "enter")
            await stage.wait_answered("approve")
        await stage.wait_until(lambda: dialog.finished)
        await stage.flush()
        assert "x reject" not in stage.text
        looks = len(source.calls_of("request"))
        for key in ("x", "e"):
            await stage.press(key)
            await stage.flush()
            assert stage.app.screen is dialog
            assert "nothing more can be decided" in stage.text
        assert len(source.calls_of("request")) == looks
        await stage.press("enter")
        await stage.wait_closed()


@pytest.mark.parametrize(("key", "kind"), [("x", RejectDialog), ("e", EditDialog)])
async def test_before_the_answer_it_leads_nowhere_and_after_a_try_it_does(key: str, kind: type[Any]) -> None:
    """While the hub is asked the other decision waits; after a wrong code the request can be rejected or edited."""
    source = FakeSource()
    source.rows["requests"] = [request_row(41)]
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    source.answers["approve"] = [answer]
    async with console_driver(source, "approve") as stage:
        dialog = await stage.open_dialog("a", ApproveDialog)
        await stage.press(*"123456", "enter")
        await stage.wait_until(lambda: dialog.sending)
        await stage.press(key)
        await stage.flush()
        assert stage.app.screen is dialog
        assert "wait for the hub" in stage.text
        answer.set_result({"code": "bad_code", "text": "wrong code"})
        await stage.wait_until(lambda: not dialog.sending)
        await stage.press(key)
        await stage.wait_until(lambda: isinstance(stage.app.screen, kind))


@pytest.mark.parametrize("size", [(60, 16), (80, 24)])
@pytest.mark.parametrize("name", ["wrong code", "plan changed", "own request"])
async def test_in_chinese_at_small_sizes(name: str, size: tuple[int, int]) -> None:
    """Code, choices, note and keys are on the screen before and after each kind of answer, and no line is too wide."""
    source = FakeSource()
    text = "请重启网站前端的反向代理服务并检查状态" * 3
    source.rows["requests"] = [request_row(41, text=text, reason=text, person="王小明")]
    source.answers["approve"] = {**CASES[name].answer, "text": "验证码不正确，请重新输入后再试" * 3}
    async with console_driver(source, "approve", size=size, language="zh") as stage:
        dialog = await stage.open_dialog("a", ApproveDialog)
        source.answers["request"] = OTHER
        assert "[批准]" in stage.text
        assert "esc" in stage.text
        assert dialog.query_one("#code").region.bottom <= size[1]
        await stage.press("pagedown", "pagedown", "pagedown", *"123456", "enter")
        await stage.wait_answered("approve")
        await stage.wait_until(lambda: "验证码不正确" in stage.text)
        assert ("[批准]" in stage.text) is not dialog.finished
        assert "关闭]" in stage.text
        for name_of in ("#note", "#dialog-keys", "#buttons"):
            region = dialog.query_one(name_of).region
            assert region.height > 0
            assert region.bottom <= size[1] - 1


PLAN = {"ttl": 60, "tainted": False}
STEP = {"argv": ["id"], "targets": ["a"], "env": {}, "time_limit": 60}


@pytest.mark.parametrize("steps", [None, [], [STEP | {"argv": []}], [STEP | {"targets": []}]])
async def test_what_cannot_be_shown_cannot_be_approved(steps: Any) -> None:
    """A plan without a command, or without a machine: it says so, and there is only closing."""
    async with console_driver() as stage:
        dialog = ApproveDialog(stage.console, request(41, plan=None if steps is None else PLAN | {"steps": steps}))
        await stage.push_dialog(dialog)
        assert dialog.finished
        assert "cannot be approved here" in " ".join(stage.text.split())
        await stage.press(*"123456", "enter")
        await stage.wait_closed()
        assert stage.source.calls_of("approve") == []


@pytest.mark.parametrize(
    "plan",
    [{}, PLAN | {"steps": [STEP | {"argv": 7}]}, PLAN | {"steps": [STEP, 7]}]
    + [PLAN | {"steps": [STEP | {"targets": targets}]} for targets in (None, [7], "web-1")],
)
async def test_what_is_no_plan_opens_no_dialog(plan: Any) -> None:
    """A plan of a form that this console does not know: what is wrong is said, and nothing can be approved."""
    source = FakeSource()
    source.rows["requests"] = [request_row(41)]
    source.answers["request"] = request_row(41) | {"plan": plan}
    async with console_driver(source, "approve") as stage:
        await stage.press("a")
        await stage.wait_until(lambda: "is not of its form (plan" in stage.status_line)
        assert not stage.in_dialog


@pytest.mark.parametrize("state", ["working", "rejected", "asking"])
async def test_it_is_decided_by_another_while_it_is_open(state: str) -> None:
    """It leaves the list behind: the hub is asked once what became of it, and where nothing is left to decide the
    dialog says so before a code is typed for nothing.
    """
    source = FakeSource()
    source.rows["requests"] = [request_row(41), request_row(42)]
    async with console_driver(source, "approve") as stage:
        await stage.press("home")
        dialog = await stage.open_dialog("a", ApproveDialog)
        looks = len(source.calls_of("request"))
        source.answers["request"] = request_row(41, state=state)
        source.reorder("approve", [request_row(42)])
        await stage.wait_until(lambda: len(source.calls_of("request")) > looks)
        await stage.flush()
        await stage.flush()
        assert len(source.calls_of("request")) == looks + 1
        assert dialog.finished is (state != "asking")
        assert ("r41 does not wait any more" in stage.text) is (state != "asking")
        if state == "asking":
            await stage.press(*"123456", "enter")
            await stage.wait_answered("approve")
