"""approve, reject, cancel, status, machines, help, who am I."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.outcome import CannotPlan, ChatCommand
from hub.planning.chat_commands import MAX_REASON, REDACTED, ChatCommandPlanner, redact
from tests.hub.planning.runbooks.world import context


def act(text: str) -> ChatCommand | CannotPlan | None:
    outcome = ChatCommandPlanner().plan(context(text))
    assert outcome is None or isinstance(outcome, (ChatCommand, CannotPlan))
    return outcome


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("link r42", ChatCommand("page", 42)),
        ("Link #42.", ChatCommand("page", 42)),
        ("链接 r42", ChatCommand("page", 42)),
        ("链接４２", ChatCommand("page", 42)),
        ("file r42", ChatCommand("file", 42)),
        ("File #42, please", ChatCommand("file", 42)),
        ("download r42", ChatCommand("file", 42)),
        ("more r42 as a file", ChatCommand("file", 42)),
        ("show r42 as file", ChatCommand("file", 42)),
        ("output r42 as a text file?", ChatCommand("file", 42)),
        ("文件 r42", ChatCommand("file", 42)),
        ("下载４２", ChatCommand("file", 42)),
        ("附件 r42", ChatCommand("file", 42)),
        ("输出 r42 的文件", ChatCommand("file", 42)),
        ("approve r42", ChatCommand("approve", 42)),
        ("Approve R42.", ChatCommand("approve", 42)),
        ("approve #42", ChatCommand("approve", 42)),
        ("approve 42", ChatCommand("approve", 42)),
        ("please approve r42", ChatCommand("approve", 42)),
        ("approve", ChatCommand("approve")),
        ("approve!", ChatCommand("approve")),
        ("approve r42 123456", ChatCommand("approve", 42, code="123456")),
        ("approve r42 k7f2", ChatCommand("approve", 42, plan_code="k7f2")),
        ("approve 42 K7F2", ChatCommand("approve", 42, plan_code="k7f2")),
        ("批准 r42 k7f2", ChatCommand("approve", 42, plan_code="k7f2")),
        ("approve r42 k7f2 123456", ChatCommand("approve", 42, code="123456", plan_code="k7f2")),
        ("approve r42, k7f2, code: 123456", ChatCommand("approve", 42, code="123456", plan_code="k7f2")),
        ("approve r42 123 456", ChatCommand("approve", 42, code="123456")),
        ("approve r42, code: 123456", ChatCommand("approve", 42, code="123456")),
        ("approve 42 123456", ChatCommand("approve", 42, code="123456")),
        ("approve 123456 654321", ChatCommand("approve", 123456, code="654321")),
        ("批准 r42", ChatCommand("approve", 42)),
        ("批准r42", ChatCommand("approve", 42)),
        ("批准 r42 验证码 123456", ChatCommand("approve", 42, code="123456")),
        ("批准４２　１２３４５６", ChatCommand("approve", 42, code="123456")),
        ("ａｐｐｒｏｖｅ ｒ４２", ChatCommand("approve", 42)),
        ("请批准 r42。", ChatCommand("approve", 42)),
        ("同意", ChatCommand("approve")),
        ("同意 42", ChatCommand("approve", 42)),
        ("reject r42", ChatCommand("reject", 42)),
        ("reject r42 too risky now", ChatCommand("reject", 42, why="too risky now")),
        ("reject r42: wrong host", ChatCommand("reject", 42, why="wrong host")),
        ("reject", ChatCommand("reject")),
        ("拒绝 r42 太危险了，改天再说", ChatCommand("reject", 42, why="太危险了，改天再说")),
        ("驳回 ＃42：不是这台", ChatCommand("reject", 42, why="不是这台")),
        ("cancel r42", ChatCommand("cancel", 42)),
        ("cancel", ChatCommand("cancel")),
        ("取消 r42", ChatCommand("cancel", 42)),
        ("status", ChatCommand("status")),
        ("status r42", ChatCommand("status", 42)),
        ("状态 42", ChatCommand("status", 42)),
        ("Approve request no. 42", ChatCommand("approve", 42)),
        ("approve request number 42", ChatCommand("approve", 42)),
        ("show r42 output", ChatCommand("output", 42)),
        ("show r42's output", ChatCommand("output", 42)),
        ("查看 r42 的输出", ChatCommand("output", 42)),
        ("help me", ChatCommand("help")),
        ("commands", ChatCommand("help")),
        ("How do I run a command?", ChatCommand("help")),
        ("求助", ChatCommand("help")),
        ("怎么执行命令？", ChatCommand("help")),
        ("how do I approve?", ChatCommand("help", phrase="approve")),
        ("how can I approve r42?", ChatCommand("help", phrase="approve")),
        ("如何批准？", ChatCommand("help", phrase="批准")),
        ("start", ChatCommand("hello")),
        ("are you there?", ChatCommand("hello")),
        ("what machines do you have?", ChatCommand("machines")),
        ("你有哪些机器？", ChatCommand("machines")),
        ("machines", ChatCommand("machines")),
        ("机器", ChatCommand("machines")),
        ("HELP", ChatCommand("help")),
        ("？", ChatCommand("hello")),
        ("帮助", ChatCommand("help")),
        ("who am i?", ChatCommand("whoami")),
        ("r12", ChatCommand("status", 12)),
        ("R12?", ChatCommand("status", 12)),
        ("show r12", ChatCommand("show", 12)),
        ("查看 r12", ChatCommand("show", 12)),
        ("output r12", ChatCommand("output", 12)),
        ("show the output of r12 please", ChatCommand("output", 12)),
        ("输出 r12", ChatCommand("output", 12)),
        ("jobs", ChatCommand("jobs")),
        ("jobs?", ChatCommand("jobs")),
        ("任务", ChatCommand("jobs")),
        ("history", ChatCommand("history")),
        ("历史", ChatCommand("history")),
        ("retry r31", ChatCommand("retry", 31)),
        ("Retry #31, thanks", ChatCommand("retry", 31)),
        ("重试 r31", ChatCommand("retry", 31)),
        ("approve request 46", ChatCommand("approve", 46)),
        ("approve the request #46", ChatCommand("approve", 46)),
        ("approve number 46", ChatCommand("approve", 46)),
        ("approve r 25", ChatCommand("approve", 25)),
        ("ok approve r31 please", ChatCommand("approve", 31)),
        ("OK, approve R31, thanks!", ChatCommand("approve", 31)),
        ("yes, please approve r31 now", ChatCommand("approve", 31)),
        ("批准 第17号", ChatCommand("approve", 17)),
        ("批准第１７号请求", ChatCommand("approve", 17)),
        ("好的，请批准 r17 吧", ChatCommand("approve", 17)),
        ("stop r12", ChatCommand("cancel", 12)),
        ("撤回 r12", ChatCommand("cancel", 12)),
        ("reject r42 WHY", ChatCommand("reject", 42)),
        ("拒绝 r42 原因", ChatCommand("reject", 42)),
        ("reject r42 please", ChatCommand("reject", 42)),
        ("reject r42 2 of them failed", ChatCommand("reject", 42, why="2 of them failed")),
        ("yes", ChatCommand("yes")),
        ("Yes!", ChatCommand("yes")),
        ("ok.", ChatCommand("yes")),
        ("好", ChatCommand("yes")),
        ("好的。", ChatCommand("yes")),
        ("👍", ChatCommand("yes")),
        ("no", ChatCommand("no")),
        ("不行", ChatCommand("no")),
        ("hi", ChatCommand("hello")),
        ("Hello there!", ChatCommand("hello")),
        ("what can you do?", ChatCommand("hello")),
        ("你好！", ChatCommand("hello")),
        ("Thanks a lot!", ChatCommand("thanks")),
        ("谢谢", ChatCommand("thanks")),
        ("help approvals", ChatCommand("help", phrase="approvals")),
        ("help with disk", ChatCommand("help", phrase="disk")),
        ("帮助：审批", ChatCommand("help", phrase="审批")),
        ("yes?", None),
        ("cancel it", ChatCommand("cancel")),
        ("please cancel that one", ChatCommand("cancel")),
        ("取消这个", ChatCommand("cancel")),
        ("reject this", ChatCommand("reject")),
        ("who am i", ChatCommand("whoami")),
        ("我是谁", ChatCommand("whoami")),
    ],
)
def test_acts(text: str, wanted: ChatCommand | None) -> None:
    """Both languages, every way to write a request, full width like half width."""
    assert act(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "file /etc/passwd on web-1",
        "file r42.txt on web-1",
        "file 42 is missing",
        "files",
        "文件系统用了多少",
        "下载速度怎么样",
        "approve the budget",
        "I approve r42",
        "don't approve",
        "stop 2 services",
        "retry 3 times",
        "show disk on web-1",
        "看看 web-1 的磁盘",
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
        ("批准r42吗", "act_question"),
        ("reject r42?", "act_question"),
        ("reject r42 ？", "act_question"),
        ("拒绝 r42 吗", "act_question"),
        ("reject r42 why?", "act_question"),
        ("cancel r42?", "act_question"),
        ("retry r42?", "act_question"),
        ("should I reject r42?", "act_question"),
        ("要不要批准 r42", "act_question"),
        ("reject?", "act_question_bare"),
        ("reject r1 and r2", "act_one"),
        ("reject r1, r2", "act_one"),
        ("approve r42 and 43", "act_one"),
        ("approve all", "act_which"),
        ("批准全部", "act_which"),
        ("cancel both please", "act_which"),
        ("stop it", "act_which"),
        ("aprove r42", "act_meant"),
        ("ok r42", "act_meant"),
        ("r42 approved", "act_meant"),
        ("r42: ok", "act_meant"),
        ("r42 好", "act_meant"),
        ("r42 批准", "act_meant"),
        ("do not approve r42", "act_meant"),
        ("Don’t approve request 42", "act_meant"),
        ("不批准 r42", "act_meant"),
        ("别批准 第42号", "act_meant"),
        ("stop", "act_which"),
        ("停！", "act_which"),
        ("output", "act_number"),
        ("more", "act_number"),
        ("file", "act_number"),
        ("file r42 and r43", "act_one"),
        ("file r42 on web-1", "act_only"),
        ("输出", "act_number"),
        ("approved r42", "act_meant"),
        ("不同意 r42", "act_meant"),
        ("approve r42 CODE", "code_needed"),
        ("reject d3?", "draft_decline_form"),
        ("approve r42 12345", "act_approve_form"),
        ("cancel r42 tomorrow", "act_only"),
        ("status r42 and r43", "act_one"),
        ("approve 123456", "act_approve_which"),
        (f"approve r42 {REDACTED}", "act_code_gone"),
    ],
)
def test_a_near_act_does_nothing_and_says_how(text: str, key: str) -> None:
    """Where a request is clearly meant but not clearly what; a code alone is not taken for a request's number."""
    outcome = act(text)
    assert isinstance(outcome, CannotPlan)
    assert outcome.sentence.key == key
    assert outcome.sentence.render("zh")


def test_a_reason_is_bounded() -> None:
    """A long reason is cut, not refused."""
    outcome = act("reject r42 " + "x" * 3_000)
    assert isinstance(outcome, ChatCommand)
    assert len(outcome.why) == MAX_REASON


@pytest.mark.parametrize(
    "text",
    [
        "approve r42 123456",
        "approve r42 123 456",
        "批准 r42 验证码123456",
        "批准４２　１２３４５６",
        "approve 123456",
        "ok r12 123456",
        "approve r12 123456\u200b",
        "approve r12 123\u200b456",
        "approve r12 \u0661\u0662\u0663\u0664\u0665\u0666",
        "my code is 123456",
        "123456",
        "  123-456 ",
        "approve r42 123456.",
        "my code is 123456. thanks",
    ],
)
def test_a_code_is_not_stored(text: str) -> None:
    """Neither in an approval nor where it was sent by mistake."""
    kept = redact(text)
    assert REDACTED in kept
    assert not any(part in kept for part in ("123456", "123 456", "123-456", "１２３４５６"))


@pytest.mark.parametrize(
    "text",
    [
        "approve r42",
        "批准 r123456",
        "logs of job-123456 on web-1",
        "port 443",
        "disk on web-1",
        "r42 has 123456.5 rows",
    ],
)
def test_other_text_is_stored_as_it_is(text: str) -> None:
    """Requests' numbers and other digits stay."""
    assert redact(text) == text


def test_a_redacted_approval_planned_again_asks_for_a_fresh_code() -> None:
    """After a restart the stored text is planned again; it must not count as a wrong code."""
    outcome = act(redact("approve r42 123456"))
    assert isinstance(outcome, CannotPlan)
    assert outcome.sentence.key == "act_code_gone"


@given(st.text(max_size=30), st.sampled_from(["approve", "批准", "reject", "拒绝", "cancel", "status", "help"]))
def test_any_text_is_an_act_a_reason_or_nothing(text: str, verb: str) -> None:
    """And redacting any text twice is redacting it once."""
    assert act(f"{verb} {text}") is None or act(f"{verb} {text}") is not None
    assert redact(redact(text)) == redact(text)
