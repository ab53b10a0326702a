"""approve, reject, cancel, status, machines, help, who am I."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.plan.acts import MAX_WHY, REDACTED, Acts, redact
from hub.plan.outcome import Act, Cannot
from tests.hub.plan.world import context


def act(text: str) -> Act | Cannot | None:
    outcome = Acts().plan(context(text))
    assert outcome is None or isinstance(outcome, (Act, Cannot))
    return outcome


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("approve r42", Act("approve", 42)),
        ("Approve R42.", Act("approve", 42)),
        ("approve #42", Act("approve", 42)),
        ("approve 42", Act("approve", 42)),
        ("please approve r42", Act("approve", 42)),
        ("approve", Act("approve")),
        ("approve!", Act("approve")),
        ("approve r42 123456", Act("approve", 42, code="123456")),
        ("approve r42 123 456", Act("approve", 42, code="123456")),
        ("approve r42, code: 123456", Act("approve", 42, code="123456")),
        ("approve 42 123456", Act("approve", 42, code="123456")),
        ("approve 123456 654321", Act("approve", 123456, code="654321")),
        ("批准 r42", Act("approve", 42)),
        ("批准r42", Act("approve", 42)),
        ("批准 r42 验证码 123456", Act("approve", 42, code="123456")),
        ("批准４２　１２３４５６", Act("approve", 42, code="123456")),
        ("ａｐｐｒｏｖｅ ｒ４２", Act("approve", 42)),
        ("请批准 r42。", Act("approve", 42)),
        ("同意", Act("approve")),
        ("同意 42", Act("approve", 42)),
        ("reject r42", Act("reject", 42)),
        ("reject r42 too risky now", Act("reject", 42, why="too risky now")),
        ("reject r42: wrong host", Act("reject", 42, why="wrong host")),
        ("reject", Act("reject")),
        ("拒绝 r42 太危险了，改天再说", Act("reject", 42, why="太危险了，改天再说")),
        ("驳回 ＃42：不是这台", Act("reject", 42, why="不是这台")),
        ("cancel r42", Act("cancel", 42)),
        ("cancel", Act("cancel")),
        ("取消 r42", Act("cancel", 42)),
        ("status", Act("status")),
        ("status r42", Act("status", 42)),
        ("状态 42", Act("status", 42)),
        ("machines", Act("machines")),
        ("机器", Act("machines")),
        ("HELP", Act("help")),
        ("？", Act("help")),
        ("帮助", Act("help")),
        ("who am i?", None),
        ("who am i", Act("whoami")),
        ("我是谁", Act("whoami")),
    ],
)
def test_acts(text: str, wanted: Act | None) -> None:
    """Both languages, every way to write a request, full width like half width."""
    assert act(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "approve the budget",
        "approved r42",
        "I approve r42",
        "do not approve r42",
        "don't approve",
        "不同意 r42",
        "不批准",
        "我同意 r42 的做法",
        "同意你的看法",
        "approve of it",
        "approve 2 more days off",
        "approve 42.5",
        "approve r42-b",
        "reject the proposal",
        "cancel my meeting",
        "cancel 2 tickets",
        "status of nginx on web-1",
        "statuses",
        "状态怎么样",
        "机器很慢",
        "help me with nginx",
        "machines are slow",
        "",
    ],
)
def test_what_only_looks_like_an_act_is_none(text: str) -> None:
    """The whole message must be of the form; anything else is for other planners."""
    assert act(text) is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("approve r42 only if bob agrees", "act_approve_form"),
        ("批准r42吗", "act_approve_form"),
        ("approve r42 12345", "act_approve_form"),
        ("cancel r42 tomorrow", "act_cancel_form"),
        ("status r42 and r43", "act_status_form"),
        ("approve 123456", "act_approve_which"),
        (f"approve r42 {REDACTED}", "act_code_gone"),
    ],
)
def test_a_near_act_does_nothing_and_says_how(text: str, key: str) -> None:
    """Where a request is clearly meant but not clearly what; a code alone is not taken for a request's number."""
    outcome = act(text)
    assert isinstance(outcome, Cannot)
    assert outcome.sentence.key == key
    assert outcome.sentence.say("zh")


def test_a_reason_is_bounded() -> None:
    """A long reason is cut, not refused."""
    outcome = act("reject r42 " + "x" * 3_000)
    assert isinstance(outcome, Act)
    assert len(outcome.why) == MAX_WHY


@pytest.mark.parametrize(
    "text",
    [
        "approve r42 123456",
        "approve r42 123 456",
        "批准 r42 验证码123456",
        "批准４２　１２３４５６",
        "approve 123456",
        "my code is 123456",
        "123456",
        "  123-456 ",
    ],
)
def test_a_code_is_not_stored(text: str) -> None:
    """Neither in an approval nor where it was sent by mistake."""
    kept = redact(text)
    assert REDACTED in kept
    assert not any(part in kept for part in ("123456", "123 456", "123-456", "１２３４５６"))


@pytest.mark.parametrize(
    "text", ["approve r42", "批准 r123456", "logs of job-123456 on web-1", "port 443", "disk on web-1"]
)
def test_other_text_is_stored_as_it_is(text: str) -> None:
    """Requests' numbers and other digits stay."""
    assert redact(text) == text


def test_a_redacted_approval_planned_again_asks_for_a_fresh_code() -> None:
    """After a restart the stored text is planned again; it must not count as a wrong code."""
    outcome = act(redact("approve r42 123456"))
    assert isinstance(outcome, Cannot)
    assert outcome.sentence.key == "act_code_gone"


@given(st.text(max_size=30), st.sampled_from(["approve", "批准", "reject", "拒绝", "cancel", "status", "help"]))
def test_any_text_is_an_act_a_reason_or_nothing(text: str, verb: str) -> None:
    """And redacting any text twice is redacting it once."""
    assert act(f"{verb} {text}") is None or act(f"{verb} {text}") is not None
    assert redact(redact(text)) == redact(text)
