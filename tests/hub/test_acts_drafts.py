"""Drafts of runbooks: who proposes, who reviews, what is written, and that a crash in between loses nothing."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any

import pytest

from common.errors import UserError
from common.lifecycle import RequestState
from hub import acts_drafts, draft_file
from hub.acts import By
from hub.acts_drafts import FITS_CHAT
from hub.files import read_chain, read_policy
from hub.plan.runbook_file import default_text
from hub.records import Draft, Person, Request
from tests.hub.house import House, ended
from tests.hub.rooms import Rooms

RESTART = "@web-1 systemctl restart nginx.service"
PHRASE = "bounce nginx on web-1"


@pytest.fixture(autouse=True)
def few(inside: House) -> None:
    """A file of few runbooks, with its comments: trying out dozens takes a second each time."""
    head, *tables = default_text().split("[runbooks.")
    kept = [table for table in tables if table.startswith(("NAME]", "disk]", "memory]"))]
    inside.config.runbooks.file.write_text("[runbooks.".join([head, *kept]), encoding="utf-8")


async def done(inside: House, line: str = RESTART, user: str = "carol", **outcome: Any) -> Request:
    """A request that was approved where it had to be, and has run."""
    request = await inside.ask(line, user)
    if request.state is RequestState.ASKING:
        await inside.ask(f"approve r{request.number}", "bob")
    for job in inside.jobs(request):
        await inside.claim(job.agent)
        await inside.heard(job.agent, ended(job.id, **outcome))
    return inside.request(request.id)


async def proposed(inside: House, name: str = "bounce", phrase: str = PHRASE, user: str = "carol") -> str:
    """The answer to a proposal about carol's last plan."""
    return await inside.said(f"make this a runbook {name}: {phrase}", user)


def draft(inside: House, number: int = 1) -> Draft:
    found = inside.read(lambda txn: txn.draft(number))
    assert found is not None
    return found


def file_text(inside: House) -> str:
    return inside.config.runbooks.file.read_text(encoding="utf-8")


def reload(inside: House) -> None:
    """What the hub's timer does every other second."""
    inside.chain = read_chain(inside.config.runbooks.file)


# ---- the whole way


async def test_from_a_plan_to_plain_words(inside: House) -> None:
    """Approved, done, proposed, shown as TOML, accepted by an admin, written behind what is there, and understood with
    other values; policy asks as it did before.
    """
    await inside.machine("web-2")
    before = file_text(inside)
    first = await done(inside)
    answer = await proposed(inside)
    assert 'steps = [["/usr/bin/systemctl", "--no-pager", "restart", "--no-ask-password", "{unit}.service"]]' in answer
    assert "d1" in answer
    assert file_text(inside) == before
    assert "d1 bounce, proposed by carol" in await inside.said("drafts", "alice")
    assert "{unit}" in await inside.said("show d1", "alice")
    assert "accepted" in await inside.said("accept d1", "alice")
    text = file_text(inside)
    assert text.startswith(before)
    assert f"# d1, from r{first.number}: proposed by carol, accepted by alice\n[runbooks.bounce]" in text
    reload(inside)
    request = await inside.ask("bounce redis on web-2", "dave")
    assert request.plan is not None
    assert request.plan.source == "runbook:bounce"
    assert request.plan.steps[0].argv[-1] == "redis.service"
    assert request.state is RequestState.ASKING
    kinds = [event.kind for event in inside.events("runbook.")]
    assert kinds == ["runbook.proposed", "runbook.accepted"]
    (accepted,) = inside.events("runbook.accepted")
    assert (accepted.actor, accepted.subject, accepted.data["draft"], accepted.data["own"]) == (
        "alice",
        first.id,
        1,
        False,
    )


async def test_the_message_itself_is_the_phrase_where_it_was_plain_words(inside: House) -> None:
    """A plan of a model, say: the words that led to it."""
    request = await done(inside, "@web-1 uptime")
    spoken = replace(request, text="is web-1 still breathing")
    inside.write(lambda txn: txn.save_request(request, spoken))
    answer = await inside.said(f"make r{request.number} a runbook breathing")
    assert 'examples.en = ["is {machine} still breathing?"]' in answer or '"is {machine} still breathing"' in answer
    assert "changes" not in answer  # policy let it run by itself


async def test_chinese_in_chinese_out(inside: House) -> None:
    """The example goes under the phrase's language, and the answer speaks it."""
    await done(inside)
    answer = await inside.said("存为操作手册 bounce：弹一下 web-1 的 nginx")
    assert "等待管理员" in answer
    assert 'examples.zh = ["弹一下 {machine} 的 {unit}"]' in answer


# ---- what may be proposed


async def test_an_explicit_command_needs_a_phrase(inside: House) -> None:
    """And so does what leaned on the message before; the answer says how."""
    await done(inside)
    assert "behind a colon" in await inside.said("make this a runbook bounce")
    request = await done(inside, "@web-1 uptime")
    inside.write(lambda txn: txn.save_request(request, replace(request, text="and on web-1?")))
    assert "behind a colon" in await inside.said(f"make r{request.number} a runbook again")
    assert inside.read(lambda txn: txn.proposed_drafts()) == []


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
async def test_what_does_not_do_is_told(inside: House, say: str, told: str) -> None:
    """With the reason; no draft comes of it, and the file stays."""
    await inside.machine("web-2")
    before = file_text(inside)
    await done(inside)
    assert told in await inside.said(say)
    assert inside.read(lambda txn: txn.proposed_drafts()) == []
    assert file_text(inside) == before


async def test_only_what_was_done_well(inside: House) -> None:
    """Not what failed, waits, was refused, or was never planned."""
    failed = await done(inside, "@web-1 uptime", outcome="failed", exit_code=1)
    waits = await inside.ask(RESTART)
    denied = await inside.ask("@web-1 rm -rf /")
    for request in (failed, waits, denied):
        assert "only of a plan that has ended well" in await inside.said(f"make r{request.number} a runbook x: y web-1")
    words = await inside.ask("help")
    assert "plan" in await inside.said(f"make r{words.number} a runbook x: y web-1")
    assert "no plan of yours" in await inside.said("make this a runbook x: y web-1", "dave")


async def test_who_may_propose(inside: House) -> None:
    """The requester and approvers; nobody else, and viewers never."""
    request = await done(inside)
    say = f"make r{request.number} a runbook bounce: {PHRASE}"
    assert "carol's" in await inside.said(say, "dave")
    assert "may not" in await inside.said(say, "vera")
    assert inside.read(lambda txn: txn.proposed_drafts()) == []
    assert "d1" in await inside.said(say, "bob")
    assert {row.data["code"] for row in inside.events("act.refused")} == {"no_right"}


async def test_said_twice_it_is_one_draft(inside: House) -> None:
    """After a restart the slow lane may do it again."""
    await done(inside)
    await proposed(inside)
    assert "proposed already, as d1" in await proposed(inside)
    assert len(inside.read(lambda txn: txn.proposed_drafts())) == 1


async def test_so_many_and_no_more_wait(inside: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody fills the admins' desk."""
    monkeypatch.setattr(acts_drafts, "MOST_OPEN", 2)
    await done(inside)
    for name in ("one", "two"):
        await proposed(inside, name)
    assert "2 drafts wait already" in await proposed(inside, "three")


async def test_what_policy_forbids_today_is_no_runbook(inside: House) -> None:
    """Though it was allowed when it ran."""
    inside.allow("old")
    request = await done(inside, "@web-1 old thing")
    assert request.state is RequestState.DONE
    text = inside.config.policy.file.read_text()
    inside.config.policy.file.write_text(text[: text.index('[[rule]]\nid = "test-old"')])
    inside.policy = read_policy(inside.config.policy.file)
    assert "policy does not let" in await inside.said("make this a runbook old: do the old thing on web-1")


async def test_corrections_are_learnt(inside: House) -> None:
    """A request whose plan was edited stands for the edited plan; its asker may propose it by the old number, or as
    "this".
    """
    asked = await inside.ask(RESTART)
    rooms = Rooms(inside)
    steps = [{"argv": ["systemctl", "reload", "nginx.service"]}]
    told = await rooms.call("ann", "edit", number=asked.number, base_hash=asked.plan_hash, steps=steps)
    assert told["code"] == "ok", told
    await inside.ask(f"approve r{told['number']}", "bob")
    (job,) = inside.jobs(inside.request(told["id"]))
    await inside.claim()
    await inside.heard("web-1", ended(job.id))
    answer = await inside.said(f"make r{asked.number} a runbook soft: freshen nginx on web-1")
    assert '"reload"' in answer
    assert f"made of r{told['number']}" in answer
    (row,) = inside.events("runbook.proposed")
    assert row.data["edited"] is True
    assert "proposed already" in await proposed(inside, "soft", "freshen nginx on web-1")


# ---- deciding


async def test_only_an_admin_accepts(inside: House) -> None:
    """An approver is none."""
    await done(inside)
    await proposed(inside)
    assert "may not review" in await inside.said("accept d1", "bob")
    assert "may not review" in await inside.said("reject d1", "bob")
    assert draft(inside).state == "proposed"


async def test_four_eyes_where_there_are_four(inside: House) -> None:
    """An admin does not accept their own while there is another admin; the only one may, and the audit says so."""
    await done(inside, user="alice")
    await proposed(inside, user="alice")
    inside.write(lambda txn: txn.add_person(Person("zoe", ("admin",), inside.clock.now)))
    await inside.people.refresh()
    assert "another admin has to look at it (zoe)" in await inside.said("accept d1", "alice")
    assert draft(inside).state == "proposed"
    assert inside.events("act.refused")[-1].data["code"] == "own_draft"

    def gone(txn: Any) -> None:
        before = txn.person("zoe")
        txn.save_person(before, replace(before, revoked_at=inside.clock.now))

    inside.write(gone)
    await inside.people.refresh()
    assert "accepted" in await inside.said("accept d1", "alice")
    assert inside.events("runbook.accepted")[0].data["own"] is True


async def test_a_no_stays_with_its_reason(inside: House) -> None:
    """Decided once; what was rejected is not accepted later, and may be proposed again."""
    await done(inside)
    await proposed(inside)
    assert "rejected" in await inside.said("reject d1: too narrow", "alice")
    assert (draft(inside).state, draft(inside).reason, draft(inside).decided_by) == ("rejected", "too narrow", "alice")
    assert "rejected already, by alice" in await inside.said("accept d1", "alice")
    assert "too narrow" in await inside.said("show d1")
    assert "d2" in await proposed(inside)
    assert inside.events("runbook.rejected")[0].data["why"] == "too narrow"


async def test_who_proposed_it_may_take_it_back(inside: House) -> None:
    """Without being an admin."""
    await done(inside)
    await proposed(inside)
    assert "rejected" in await inside.said("reject d1")
    assert draft(inside).decided_by == "carol"


async def test_what_chat_cannot_show_whole_is_not_accepted_there(inside: House) -> None:
    """At the command line it is."""
    await done(inside)
    await proposed(inside)
    long = f"{draft(inside).body}# {'x' * FITS_CHAT}\n"
    request = draft(inside).request_id
    inside.write(lambda txn: txn.add_draft(Draft(0, request, "bounce", long, "proposed", "carol", inside.clock.now)))
    assert "command line" in await inside.said("accept d2", "alice")
    assert "command line" in await inside.said("show d2", "alice")
    assert (await inside.drafts.accept(By("alice", "console"), 2)).code == ""


async def test_what_has_come_between_is_noticed(inside: House) -> None:
    """A draft that fitted when it was proposed and does not any more is not written."""
    await done(inside)
    await proposed(inside, "one")
    await proposed(inside, "two")
    await inside.said("accept d1", "alice")
    before = file_text(inside)
    assert "does not fit with the other runbooks" in await inside.said("accept d2", "alice")
    assert (file_text(inside), draft(inside, 2).state) == (before, "proposed")


async def test_a_file_that_cannot_be_written_leaves_the_draft_waiting(
    inside: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision is taken back, with its row."""
    await done(inside)
    await proposed(inside)

    def full(*args: object) -> None:
        raise UserError("no space left", "make room")

    with monkeypatch.context() as patch:
        patch.setattr(draft_file, "write_file", full)
        assert "left as it is: no space left" in await inside.said("accept d1", "alice")
    assert draft(inside).state == "proposed"
    assert [event.kind for event in inside.events("runbook.")][-2:] == ["runbook.accepted", "runbook.unwritten"]
    assert "accepted" in await inside.said("accept d1", "alice")
    assert "runbooks.bounce" in file_text(inside)


async def test_killed_between_the_word_and_the_file(inside: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accepted and not in the file: accepting once more writes it, and after that it is accepted already."""
    await done(inside)
    await proposed(inside)

    class Killed(BaseException):
        pass

    def die(*args: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(draft_file, "publish", die)
        with pytest.raises(Killed):
            await inside.drafts.accept(By("alice", "console"), 1)
    assert draft(inside).state == "accepted"
    assert "runbooks.bounce" not in file_text(inside)
    await inside.restart()
    assert (await inside.drafts.accept(By("alice", "console"), 1)).code == ""
    assert "bounce" in tomllib.loads(file_text(inside))["runbooks"]
    assert (await inside.drafts.accept(By("alice", "console"), 1)).code == "already_decided"
    assert len(inside.events("runbook.accepted")) == 1


async def test_numbers_that_are_none(inside: House) -> None:
    """There is no such draft, whatever the number."""
    for number in (0, 7, -1, 10**15, 2**70):
        for act in (inside.drafts.accept, inside.drafts.decline, inside.drafts.shown):
            assert (await act(By("alice", "console"), number)).code == "unknown"
