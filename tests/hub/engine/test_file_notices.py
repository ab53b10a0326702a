"""Who is told of a file that is not in force, and how often."""

from __future__ import annotations

import json
from pathlib import Path

from hub.engine.file_notices import FileNotices
from hub.planning.watched_files import FileProblem
from tests.hub.hub_harness import HubHarness

PATH = Path("/etc/x/policy.toml")
WRONG = "policy.toml: line 7: rule x: wrong: mend it"


def notices(harness: HubHarness, problems: list[FileProblem]) -> FileNotices:
    return FileNotices(harness.engine.units, harness.people, lambda: problems, "h1")


def texts(harness: HubHarness) -> list[str]:
    return [json.loads(reply.body)["text"] for reply in harness.replies() if reply.request_id == ""]


async def test_admins_are_told_where_they_last_spoke(harness: HubHarness) -> None:
    """Once, in their language, beside an audit row; others are not; and once more when the file reads again."""
    await harness.submit("help", "alice", conversation="old")
    await harness.submit("@web-1 uptime", "carol")
    await harness.submit("帮助", "alice", conversation="new")
    problems = [FileProblem("policy", PATH, (WRONG,), looks=1)]
    told = notices(harness, problems)
    await told.tell()
    assert texts(harness) == []  # an editor may be in the middle of it
    problems[:] = [FileProblem("policy", PATH, (WRONG,), looks=2)]
    await told.tell()
    await told.tell()
    (reply,) = [reply for reply in harness.replies() if reply.request_id == ""]
    body = json.loads(reply.body)
    assert (body["conversation"], body["request"]) == ("new", None)
    assert "无法读取" in body["text"]
    assert "line 7" in body["text"]
    (row,) = harness.events("file.refused")
    assert (row.subject, row.data["count"], row.data["problems"]) == ("policy.toml", 1, [WRONG])
    problems[:] = [FileProblem("policy", PATH, (WRONG, "another"), looks=2)]
    await told.tell()
    problems.clear()
    await told.tell()
    await told.tell()
    assert len(harness.events("file.refused")) == 2
    assert len(harness.events("file.taken")) == 1
    assert len(texts(harness)) == 3


async def test_nobody_in_chat_is_no_obstacle(harness: HubHarness) -> None:
    """The audit has it all the same; the problems in a row have a bound."""
    problems = [FileProblem("runbooks", Path("/etc/x/runbooks.toml"), (WRONG,) * 40, looks=2)]
    await notices(harness, problems).tell()
    assert texts(harness) == []
    (row,) = harness.events("file.refused")
    assert (len(row.data["problems"]), row.data["count"]) == (5, 40)
