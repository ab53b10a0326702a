"""What people say about drafts of runbooks, in both languages, and what only looks like it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.core.outcome import CannotPlan, ChatCommand
from hub.planning.chat_commands import ChatCommandPlanner
from hub.planning.draft_commands import MAX_PHRASE, MAX_REASON, NAME
from tests.each import each_of
from tests.hub.planning.runbooks.world import context


def read(text: str) -> object:
    return ChatCommandPlanner().plan(context(text))


@each_of(
    ("text", "act"),
    [
        ("make this a runbook restart-cache", ChatCommand("propose", name="restart-cache")),
        ("Make R42 a runbook Restart-Cache.", ChatCommand("propose", 42, name="restart-cache")),
        ("please save r42 as a runbook called x", ChatCommand("propose", 42, name="x")),
        ("turn that into a run-book named y_2", ChatCommand("propose", name="y_2")),
        (
            "make r42 a runbook x: clean the cache on web-1",
            ChatCommand("propose", 42, name="x", phrase="clean the cache on web-1"),
        ),
        ("把 r42 做成操作手册 clean-cache", ChatCommand("propose", 42, name="clean-cache")),
        ("把r42存为一个操作手册clean", ChatCommand("propose", 42, name="clean")),
        ("请把这个做成操作手册 x：清理 web-1 的缓存。", ChatCommand("propose", name="x", phrase="清理 web-1 的缓存。")),
        ("存为操作手册 clean-cache", ChatCommand("propose", name="clean-cache")),
        ("保存为手册 叫做 x", ChatCommand("propose", name="x")),
        ("drafts", ChatCommand("drafts")),
        ("草稿", ChatCommand("drafts")),
        ("show d3", ChatCommand("draft", 3)),
        ("查看 d3", ChatCommand("draft", 3)),
        ("accept d3", ChatCommand("accept", 3)),
        ("采纳ｄ３", ChatCommand("accept", 3)),
        ("accept draft 3.", ChatCommand("accept", 3)),
        ("reject d3", ChatCommand("decline", 3)),
        ("reject d3: too narrow", ChatCommand("decline", 3, why="too narrow")),
        ("拒绝 d3，太窄了", ChatCommand("decline", 3, why="太窄了")),
    ],
)
def test_what_is_said(text: str, act: ChatCommand) -> None:
    """Every form in the module's head, in either language, courteous or in haste."""
    assert read(text) == act


@each_of(
    ("text", "key"),
    [
        ("make this a runbook", "draft_form"),
        ("make r42 a runbook two words", "draft_form"),
        ("make r42 a runbook ../../etc", "draft_form"),
        ("把 r42 做成操作手册 清理缓存", "draft_form"),
        ("accept d3 but only on web-1", "draft_accept_form"),
    ],
)
def test_what_is_almost_said_is_told(text: str, key: str) -> None:
    """Nothing is proposed or accepted; the answer shows the form."""
    answer = read(text)
    assert isinstance(answer, CannotPlan)
    assert answer.sentence.key == key
    assert answer.sentence.render("en")
    assert answer.sentence.render("zh")


@each_of(
    "text",
    [
        "could we make this a runbook x some day", "a runbook is a file", "accept", "accept the offer",
        "show disk on web-1", "reject", "drafty", "做成蛋糕", "I will make this a runbook x",
    ],
)  # fmt: skip
def test_what_is_none_of_it(text: str) -> None:
    """It is left to the other planners, or it is another act."""
    answer = read(text)
    assert not isinstance(answer, CannotPlan)
    assert answer is None or (isinstance(answer, ChatCommand) and answer.verb == "reject")


def test_what_is_kept_has_bounds() -> None:
    """A phrase and a reason are cut."""
    proposal, refusal = read(f"make this a runbook x: {'y' * 9_000}"), read(f"reject d1 {'y' * 9_000}")
    assert isinstance(proposal, ChatCommand)
    assert isinstance(refusal, ChatCommand)
    assert (len(proposal.phrase), len(refusal.why)) == (MAX_PHRASE, MAX_REASON)


@given(st.text(max_size=200), st.sampled_from(["make this a runbook ", "accept d", "存为操作手册", "reject d3", ""]))
def test_nothing_breaks_it(text: str, head: str) -> None:
    """Any text is an act with a name of the form, a refusal, or nothing."""
    answer = read(head + text)
    if isinstance(answer, ChatCommand) and answer.verb == "propose":
        assert NAME.fullmatch(answer.name)
