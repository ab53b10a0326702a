"""What happened, in one line of words an event."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from common.api.verbs import VERBS
from common.catalogue import sentences
from tests.tui.fake_source import HOSTILE, NOW
from tests.tui.rows import event
from tui.terminal.sanitize import is_safe
from tui.text.format import RenderContext
from tui.view.events import AUDIT, event_subject, event_tone, event_words, format_event_data

LOOK = RenderContext("en", False, NOW)
HUB = Path(__file__).resolve().parents[3] / "hub"
AUDITED = re.compile(r'(?:WriteAudit|\.audit)\(\s*"([a-z]+\.[a-z_]+)"')
"""An audit row that the hub writes, by its kind."""


def test_every_kind_that_the_hub_records_has_its_words() -> None:
    """A new kind gets a sentence in common/sentences/console_events.toml, in both languages."""
    kinds = {kind for path in HUB.rglob("*.py") for kind in AUDITED.findall(path.read_text(encoding="utf-8"))}
    assert len(kinds) > 25
    missing = sorted(kind for kind in kinds if f"console_event_{kind.replace('.', '_')}" not in sentences())
    assert not missing, f"no sentence console_event_KIND for {', '.join(missing)}"


@pytest.mark.parametrize(
    ("kind", "more", "words"),
    [
        (
            "message.accepted",
            {"actor": "carol", "data": {"text": "disk on web-1", "images": 0}},
            "carol: disk on web-1",
        ),
        (
            "message.accepted",
            {"actor": "carol", "data": {"text": "what is this", "images": 2}},
            "carol: what is this (with 2 pictures)",
        ),
        ("job.started", {"actor": "web-1", "argv": ["df", "-h"], "data": {"pid": 4711}}, "web-1 began df -h"),
        (
            "job.ended",
            {
                "actor": "web-1",
                "argv": ["df", "-h"],
                "data": {"outcome": "failed", "exit_code": 1, "signal": None, "output_bytes": 2048, "late": False},
            },
            "web-1: FAILED, df -h, exit 1, 2.0 KiB of output",
        ),
        (
            "job.ended",
            {"actor": "web-1", "data": {"outcome": "succeeded", "exit_code": 0, "output_bytes": 0}},
            "web-1: done, its command",
        ),
        (
            "request.ended",
            {"actor": "hub", "data": {"jobs": {"succeeded": 2, "failed": 1}}},
            "all of it has ended: 2 done, 1 FAILED",
        ),
        ("request.approved", {"actor": "bob", "data": {"given": 1, "needed": 2}}, "bob approved it (1 of 2)"),
        (
            "request.edited",
            {"actor": "bob", "data": {"was": 41, "why": "one machine first"}},
            "bob made it of r41 by an edit: one machine first",
        ),
        (
            "inlet.recording",
            {"actor": "terminal", "subject": "ops", "data": {"count": 3, "until": NOW + 60}},
            "deliveries of the inlet ops are recorded, redacted: the next 3 until 14:14:20Z",
        ),
        (
            "inlet.recorded",
            {"actor": "hub", "subject": "ops", "data": {"left": 0, "why": "done"}},
            "the recording of the inlet ops has ended: done",
        ),
        (
            "agent.paused",
            {"actor": "bob", "subject": "web-1", "data": {"reason": "disk swap", "until": NOW + 60}},
            "bob paused web-1 until 14:14:20Z: disk swap",
        ),
        (
            "link.refused",
            {"actor": "10.0.0.9", "subject": "10.0.0.9", "data": {"code": "revoked", "count": 3}},
            "a link from 10.0.0.9 was refused: revoked, 3 times",
        ),
        (
            "comet.landed",
            {"data": {"why": "gravity", "output_bytes": 1048576, "plan_hash": "ab" * 32}},
            "comet landed: why=gravity  output_bytes=1.0 MiB",
        ),
    ],
)
def test_what_happened_in_words(kind: str, more: dict[str, Any], words: str) -> None:
    """What was said, done and come to; nothing that only programs compare, sizes and moments as people read them."""
    assert event_words(event(1, kind=kind, **more), LOOK) == words


def test_in_chinese() -> None:
    row = event(1, kind="job.ended", actor="web-1", argv=["df"], data={"outcome": "failed", "exit_code": 1})
    zh = RenderContext("zh", False, NOW)
    assert event_words(row, zh) == "web-1：失败，df，退出码 1"
    for verdict, word in (("allow", "放行"), ("ask", "需审批"), ("deny", "拒绝"), ("new", "new")):
        row = event(1, kind="plan.judged", data={"verdict": verdict, "rule": "disk"})
        assert event_words(row, zh) == f"策略：{word}，规则 disk"
    for verb, word in (("settle", "认定结果"), ("approve", "批准"), ("new", "new")):
        row = event(1, kind="act.refused", actor="bob", data={"verb": verb})
        assert event_words(row, zh) == f"bob 无权：{word}"


def test_every_act_has_a_word_in_chinese() -> None:
    """Those of operators and of chat that may be refused."""
    acts = {name for name, verb in VERBS.items() if verb.kind == "action"}
    missing = [verb for verb in sorted(acts) if sentences().get(f"verb_{verb}", {}).get("zh", verb).isascii()]
    assert missing == []


@pytest.mark.parametrize("hostile", HOSTILE)
def test_whatever_stands_in_an_event_is_one_safe_line(hostile: str) -> None:
    """In every value that a sentence may name, and in those of kinds that have none."""
    names = ("text", "why", "reason", "code", "verb", "rule", "given", "needed", "was", "priority", "what", "outcome")
    data = dict.fromkeys(names, hostile) | {"jobs": {hostile: hostile}, "until": hostile, "images": hostile}
    for kind in [
        name.removeprefix("console_event_").replace("_", ".", 1) for name in sentences() if "console_event_" in name
    ]:
        row = event(1, kind=kind, actor=hostile, subject=hostile, agent=hostile, argv=[hostile], data=data)
        assert is_safe(event_words(row, LOOK)), kind
        assert all(is_safe(column.render(row, LOOK).text) for column in AUDIT)
    assert is_safe(event_words(event(1, kind=hostile, data=data), LOOK))


def test_an_events_data_on_one_line() -> None:
    """The command first; without what is empty, stands in another column, or is compared by programs alone."""
    row = event(1, data={"reason": "fine", "old": "", "new": None, "argv": ["ls", "-l"]})
    assert format_event_data(row) == "ls -l  reason=fine"
    row = event(1, data={"plan_hash": "ab" * 32, "at": 1.5, "images": 0}, argv=["df"])
    assert format_event_data(row) == "df"
    assert format_event_data(event(1, data={})) == ""


def test_what_an_event_says_is_read_by_people() -> None:
    """What was done comes first, from where last; moments are dates, counts are words, what is not so is left out."""
    data = {
        "from": "10.0.0.1",
        "verb": "reject",
        "why": "not now",
        "late": False,
        "expires_at": 1_790_000_000.5,
        "jobs": {"failed": 2, "done": 1},
        "labels": ["a", "b"],
        "load": 0.123456,
        "before": "x",
        "after": "y",
    }
    said = format_event_data(event(1, data=data))
    assert said.startswith("verb=reject  why=not now  ")
    assert said.endswith("  from=10.0.0.1")
    for part in ("expires_at=2026-09-21 14:13:20Z", "jobs=failed:2 done:1", "labels=a,b", "load=0.123"):
        assert part in said
    assert "late" not in said
    assert "before" not in said


def test_the_tone_of_an_end_is_that_of_its_outcome() -> None:
    ended = {"jobs": {"succeeded": 2, "timed_out": 1}}
    assert event_tone(event(1, kind="request.ended", data=ended)) == "bad"
    assert event_tone(event(1, kind="request.ended", data={"jobs": {"succeeded": 2}})) == ""
    assert event_tone(event(1, kind="job.ended", data={"outcome": "failed"})) == "bad"
    assert event_tone(event(1, kind="agent.paused", data={})) == "warn"


def test_what_an_event_is_about() -> None:
    assert event_subject(event(1, number=7, subject="x" * 26)) == "r7"
    assert event_subject(event(1, number=None, subject="01J00000000000000000ABCDEF")) == "abcdef"
    assert event_subject(event(1, number=None, subject="web-1")) == "web-1"
