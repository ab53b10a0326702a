"""One request in detail, and many in a line each."""

from __future__ import annotations

from dataclasses import replace

from common.lifecycle import JobState, RequestState
from common.plan import Plan, Step
from hub.chat.approval_text import approval_request_text
from hub.chat.reply_text import MAX_REPLY
from hub.chat.request_text import details_text, history_text, jobs_text
from hub.core.records import Approval, Job, Request

NOW = 1_800_000_000.0
REQUEST = Request(
    id="x", number=7, state=RequestState.DONE, inlet="ops", event_id="e", conversation="room", chat_user="carol",
    person="carol", text="please\u202e df", language="en", reply_url="", received_at=NOW - 60, plan_hash="abcdef0123",
    plan=Plan((Step(("/usr/bin/df", "-h"), ("web-1",)),)),
)  # fmt: skip
JOB = Job(
    "j",
    "x",
    "carol",
    "web-1",
    JobState.RUNNING,
    0,
    "h",
    NOW + 9,
    NOW - 5,
    started_at=NOW - 4,
    number=7,
    command="df -h",
)


def test_details_say_what_was_asked_who_decided_and_what_ran() -> None:
    """In both languages, and nothing invisible of the message goes through."""
    approval = Approval("x", "abcdef0123", "bob", True, "ops", NOW - 50)
    for language, word in (("en", "Approved by bob"), ("zh", "批准")):
        text = details_text(REQUEST, [], [approval], NOW, language)  # type: ignore[arg-type]
        assert word in text
        assert "abcdef01" in text
        assert "/usr/bin/df -h" in text
        assert "\u202e" not in text


def test_lists_fit_a_message() -> None:
    """However many there are, and however long their commands."""
    many = [replace(JOB, command="x" * 500, number=index) for index in range(200)]
    assert len(jobs_text(many, True, NOW, "en")) <= MAX_REPLY
    assert len(history_text([replace(REQUEST, text="y" * 900)] * 60, NOW, "zh")) <= MAX_REPLY
    assert "running for 4.0 s: df -h" in jobs_text([JOB], False, NOW, "en")


def test_a_disguised_word_is_named_where_the_plan_is_shown() -> None:
    """Whoever approves it is told which character is not what it seems."""
    plan = Plan((Step(("/usr/bin/ls", "/srv/\u0430pp"), ("web-1",)),))
    asking = replace(REQUEST, plan=plan, state=RequestState.ASKING, decide_by=NOW + 60, approvers=1)
    for text in (details_text(asking, [], [], NOW, "en"), approval_request_text(asking, "", NOW)):
        assert "U+0430 CYRILLIC SMALL LETTER A" in text
