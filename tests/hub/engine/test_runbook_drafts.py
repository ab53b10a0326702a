"""Drafts of runbooks: who proposes, who reviews, what is written, and that a crash in between loses nothing."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any

import pytest

from common.errors import UserError
from common.lifecycle import RequestState
from hub.core.records import Draft, Person, Request
from hub.engine import runbook_drafts
from hub.engine.actor import Actor
from hub.engine.runbook_drafts import MAX_CHAT_BODY
from hub.planning.runbooks import publish
from hub.planning.runbooks.file import default_text
from hub.planning.watched_files import load_chain, load_policy
from tests.hub.api_harness import ApiHarness
from tests.hub.hub_harness import HubHarness, ended_message

RESTART = "@web-1 systemctl restart nginx.service"
PHRASE = "bounce nginx on web-1"


@pytest.fixture(autouse=True)
def few(harness: HubHarness) -> None:
    """A file of few runbooks, with its comments: trying out dozens takes a second each time."""
    head, *tables = default_text().split("[runbooks.")
    kept = [table for table in tables if table.startswith(("NAME]", "disk]", "memory]"))]
    harness.config.runbooks.file.write_text("[runbooks.".join([head, *kept]), encoding="utf-8")


async def done(harness: HubHarness, line: str = RESTART, user: str = "carol", **outcome: Any) -> Request:
    """A request that was approved where it had to be, and has run."""
    request = await harness.submit(line, user)
    if request.state is RequestState.ASKING:
        await harness.submit(f"approve r{request.number}", "bob")
    for job in harness.jobs(request):
        await harness.claim(job.agent)
        await harness.handle_agent_events(job.agent, ended_message(job.id, **outcome))
    return harness.request(request.id)


async def proposed(harness: HubHarness, name: str = "bounce", phrase: str = PHRASE, user: str = "carol") -> str:
    """The answer to a proposal about carol's last plan."""
    return await harness.reply_text(f"make this a runbook {name}: {phrase}", user)


def draft(harness: HubHarness, number: int = 1) -> Draft:
    found = harness.read(lambda txn: txn.draft(number))
    assert found is not None
    return found


def file_text(harness: HubHarness) -> str:
    return harness.config.runbooks.file.read_text(encoding="utf-8")


def reload(harness: HubHarness) -> None:
    """What the hub's timer does every other second."""
    harness.chain = load_chain(harness.config.runbooks.file)


# ---- the whole way


async def test_from_a_plan_to_plain_words(harness: HubHarness) -> None:
    """Approved, done, proposed, shown as TOML, accepted by an admin, written behind what is there, and understood with
    other values; policy asks as it did before.
    """
    await harness.add_machine("web-2")
    before = file_text(harness)
    first = await done(harness)
    answer = await proposed(harness)
    assert 'steps = [["/usr/bin/systemctl", "--no-pager", "restart", "--no-ask-password", "{unit}.service"]]' in answer
    assert "d1" in answer
    assert file_text(harness) == before
    assert "d1 bounce, proposed by carol" in await harness.reply_text("drafts", "alice")
    assert "{unit}" in await harness.reply_text("show d1", "alice")
    assert "accepted" in await harness.reply_text("accept d1", "alice")
    text = file_text(harness)
    assert text.startswith(before)
    assert f"# d1, from r{first.number}: proposed by carol, accepted by alice\n[runbooks.bounce]" in text
    reload(harness)
    request = await harness.submit("bounce redis on web-2", "dave")
    assert request.plan is not None
    assert request.plan.source == "runbook:bounce"
    assert request.plan.steps[0].argv[-1] == "redis.service"
    assert request.state is RequestState.ASKING
    kinds = [event.kind for event in harness.events("runbook.")]
    assert kinds == ["runbook.proposed", "runbook.accepted"]
    (accepted,) = harness.events("runbook.accepted")
    assert (accepted.actor, accepted.subject, accepted.data["draft"], accepted.data["own"]) == (
        "alice",
        first.id,
        1,
        False,
    )


async def test_the_message_itself_is_the_phrase_where_it_was_plain_words(harness: HubHarness) -> None:
    """A plan of a model, say: the words that led to it."""
    request = await done(harness, "@web-1 uptime")
    spoken = replace(request, text="is web-1 still breathing")
    harness.write(lambda txn: txn.save_request(request, spoken))
    answer = await harness.reply_text(f"make r{request.number} a runbook breathing")
    assert 'examples.en = ["is {machine} still breathing?"]' in answer or '"is {machine} still breathing"' in answer
    assert "changes" not in answer  # policy let it run by itself


async def test_chinese_in_chinese_out(harness: HubHarness) -> None:
    """The example goes under the phrase's language, and the answer speaks it."""
    await done(harness)
    answer = await harness.reply_text("存为操作手册 bounce：弹一下 web-1 的 nginx")
    assert "等待管理员" in answer
    assert 'examples.zh = ["弹一下 {machine} 的 {unit}"]' in answer


# ---- what may be proposed


async def test_an_explicit_command_needs_a_phrase(harness: HubHarness) -> None:
    """And so does what leaned on the message before; the answer says how."""
    await done(harness)
    assert "behind a colon" in await harness.reply_text("make this a runbook bounce")
    request = await done(harness, "@web-1 uptime")
    harness.write(lambda txn: txn.save_request(request, replace(request, text="and on web-1?")))
    assert "behind a colon" in await harness.reply_text(f"make r{request.number} a runbook again")
    assert harness.read(lambda txn: txn.proposed_drafts()) == []


@pytest.mark.parametrize(
    ("say", "told"),
    [
        ("make r99 a runbook x: y web-1", "r99"),
        ("make this a runbook disk: zap nginx on web-1", "a runbook disk already"),
        ("make this a runbook x: disk on web-1", "does not fit with the other runbooks"),
        ("make this a runbook x: bounce nginx on web-2", "must name the machines"),
        ("make this a runbook x: bounce it", "must name the machines"),
        ("make this a runbook approve: zap nginx on web-1", "Answerback's own"),
        ("make this a runbook x: why not bounce nginx on web-1?", "would not give the same commands"),
    ],
)
async def test_what_does_not_do_is_told(harness: HubHarness, say: str, told: str) -> None:
    """With the reason; no draft comes of it, and the file stays."""
    await harness.add_machine("web-2")
    before = file_text(harness)
    await done(harness)
    assert told in await harness.reply_text(say)
    assert harness.read(lambda txn: txn.proposed_drafts()) == []
    assert file_text(harness) == before


async def test_only_what_was_done_well(harness: HubHarness) -> None:
    """Not what failed, waits, was refused, or was never planned."""
    failed = await done(harness, "@web-1 uptime", outcome="failed", exit_code=1)
    waits = await harness.submit(RESTART)
    denied = await harness.submit("@web-1 rm -rf /")
    for request in (failed, waits, denied):
        assert "only of a plan that has ended well" in await harness.reply_text(
            f"make r{request.number} a runbook x: y web-1"
        )
    words = await harness.submit("help")
    assert "plan" in await harness.reply_text(f"make r{words.number} a runbook x: y web-1")
    assert "no plan of yours" in await harness.reply_text("make this a runbook x: y web-1", "dave")


async def test_who_may_propose(harness: HubHarness) -> None:
    """The requester and approvers; nobody else, and viewers never."""
    request = await done(harness)
    say = f"make r{request.number} a runbook bounce: {PHRASE}"
    assert "carol's" in await harness.reply_text(say, "dave")
    assert "may not" in await harness.reply_text(say, "vera")
    assert harness.read(lambda txn: txn.proposed_drafts()) == []
    assert "d1" in await harness.reply_text(say, "bob")
    assert {row.data["code"] for row in harness.events("act.refused")} == {"no_right"}


async def test_said_twice_it_is_one_draft(harness: HubHarness) -> None:
    """After a restart the slow lane may do it again."""
    await done(harness)
    await proposed(harness)
    assert "proposed already, as d1" in await proposed(harness)
    assert len(harness.read(lambda txn: txn.proposed_drafts())) == 1


async def test_so_many_and_no_more_wait(harness: HubHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody fills the admins' desk."""
    monkeypatch.setattr(runbook_drafts, "MAX_OPEN", 2)
    await done(harness)
    for name in ("one", "two"):
        await proposed(harness, name)
    assert "2 drafts wait already" in await proposed(harness, "three")


async def test_what_policy_forbids_today_is_no_runbook(harness: HubHarness) -> None:
    """Though it was allowed when it ran."""
    harness.add_rule("old")
    request = await done(harness, "@web-1 old thing")
    assert request.state is RequestState.DONE
    text = harness.config.policy.file.read_text()
    harness.config.policy.file.write_text(text[: text.index('[[rule]]\nid = "test-old"')])
    harness.policy = load_policy(harness.config.policy.file)
    assert "policy does not let" in await harness.reply_text("make this a runbook old: do the old thing on web-1")


async def test_corrections_are_learnt(harness: HubHarness) -> None:
    """A request whose plan was edited stands for the edited plan; its asker may propose it by the old number, or as
    "this".
    """
    asked = await harness.submit(RESTART)
    rooms = ApiHarness(harness)
    steps = [{"argv": ["systemctl", "reload", "nginx.service"]}]
    told = await rooms.call("ann", "edit", number=asked.number, base_hash=asked.plan_hash, steps=steps)
    assert told["code"] == "ok", told
    await harness.submit(f"approve r{told['number']}", "bob")
    (job,) = harness.jobs(harness.request(told["id"]))
    await harness.claim()
    await harness.handle_agent_events("web-1", ended_message(job.id))
    answer = await harness.reply_text(f"make r{asked.number} a runbook soft: freshen nginx on web-1")
    assert '"reload"' in answer
    assert f"made of r{told['number']}" in answer
    (row,) = harness.events("runbook.proposed")
    assert row.data["edited"] is True
    assert "proposed already" in await proposed(harness, "soft", "freshen nginx on web-1")


# ---- deciding


async def test_only_an_admin_accepts(harness: HubHarness) -> None:
    """An approver is none."""
    await done(harness)
    await proposed(harness)
    assert "may not review" in await harness.reply_text("accept d1", "bob")
    assert "may not review" in await harness.reply_text("reject d1", "bob")
    assert draft(harness).state == "proposed"


async def test_four_eyes_where_there_are_four(harness: HubHarness) -> None:
    """An admin does not accept their own while there is another admin; the only one may, and the audit says so."""
    await done(harness, user="alice")
    await proposed(harness, user="alice")
    harness.write(lambda txn: txn.add_person(Person("zoe", ("admin",), harness.clock.now)))
    await harness.people.refresh()
    assert "another admin has to look at it (zoe)" in await harness.reply_text("accept d1", "alice")
    assert draft(harness).state == "proposed"
    assert harness.events("act.refused")[-1].data["code"] == "own_draft"

    def gone(txn: Any) -> None:
        before = txn.person("zoe")
        txn.save_person(before, replace(before, revoked_at=harness.clock.now))

    harness.write(gone)
    await harness.people.refresh()
    assert "accepted" in await harness.reply_text("accept d1", "alice")
    assert harness.events("runbook.accepted")[0].data["own"] is True


async def test_a_no_stays_with_its_reason(harness: HubHarness) -> None:
    """Decided once; what was rejected is not accepted later, and may be proposed again."""
    await done(harness)
    await proposed(harness)
    assert "rejected" in await harness.reply_text("reject d1: too narrow", "alice")
    assert (draft(harness).state, draft(harness).reason, draft(harness).decided_by) == (
        "rejected",
        "too narrow",
        "alice",
    )
    assert "rejected already, by alice" in await harness.reply_text("accept d1", "alice")
    assert "too narrow" in await harness.reply_text("show d1")
    assert "d2" in await proposed(harness)
    assert harness.events("runbook.rejected")[0].data["why"] == "too narrow"


async def test_who_proposed_it_may_take_it_back(harness: HubHarness) -> None:
    """Without being an admin."""
    await done(harness)
    await proposed(harness)
    assert "rejected" in await harness.reply_text("reject d1")
    assert draft(harness).decided_by == "carol"


async def test_what_chat_cannot_show_whole_is_not_accepted_there(harness: HubHarness) -> None:
    """At the command line it is."""
    await done(harness)
    await proposed(harness)
    long = f"{draft(harness).body}# {'x' * MAX_CHAT_BODY}\n"
    request = draft(harness).request_id
    harness.write(lambda txn: txn.add_draft(Draft(0, request, "bounce", long, "proposed", "carol", harness.clock.now)))
    assert "command line" in await harness.reply_text("accept d2", "alice")
    assert "command line" in await harness.reply_text("show d2", "alice")
    assert (await harness.drafts.accept(Actor("alice", "console"), 2)).code == ""


async def test_what_has_come_between_is_noticed(harness: HubHarness) -> None:
    """A draft that fitted when it was proposed and does not any more is not written."""
    await done(harness)
    await proposed(harness, "one")
    await proposed(harness, "two")
    await harness.reply_text("accept d1", "alice")
    before = file_text(harness)
    assert "does not fit with the other runbooks" in await harness.reply_text("accept d2", "alice")
    assert (file_text(harness), draft(harness, 2).state) == (before, "proposed")


async def test_a_file_that_cannot_be_written_leaves_the_draft_waiting(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision is taken back, with its row."""
    await done(harness)
    await proposed(harness)

    def full(*args: object) -> None:
        raise UserError("no space left", "make room")

    with monkeypatch.context() as patch:
        patch.setattr(publish, "write_file", full)
        assert "left as it is: no space left" in await harness.reply_text("accept d1", "alice")
    assert draft(harness).state == "proposed"
    assert [event.kind for event in harness.events("runbook.")][-2:] == ["runbook.accepted", "runbook.unwritten"]
    assert "accepted" in await harness.reply_text("accept d1", "alice")
    assert "runbooks.bounce" in file_text(harness)


async def test_killed_between_the_word_and_the_file(harness: HubHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accepted and not in the file: accepting once more writes it, and after that it is accepted already."""
    await done(harness)
    await proposed(harness)

    class Killed(BaseException):
        pass

    def die(*args: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(publish, "publish", die)
        with pytest.raises(Killed):
            await harness.drafts.accept(Actor("alice", "console"), 1)
    assert draft(harness).state == "accepted"
    assert "runbooks.bounce" not in file_text(harness)
    await harness.restart()
    assert (await harness.drafts.accept(Actor("alice", "console"), 1)).code == ""
    assert "bounce" in tomllib.loads(file_text(harness))["runbooks"]
    assert (await harness.drafts.accept(Actor("alice", "console"), 1)).code == "already_decided"
    assert len(harness.events("runbook.accepted")) == 1


async def test_numbers_that_are_none(harness: HubHarness) -> None:
    """There is no such draft, whatever the number."""
    for number in (0, 7, -1, 10**15, 2**70):
        for act in (harness.drafts.accept, harness.drafts.decline, harness.drafts.show):
            assert (await act(Actor("alice", "console"), number)).code == "unknown"
