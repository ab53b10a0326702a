"""What is made of a hub of another version."""

from __future__ import annotations

from typing import Any

import pytest

from common.api.outcome import SubscriptionEnded
from common.api.overview import Overview
from common.api.verbs import VERBS
from common.api.versions import _WORDS, VIEW_VERSIONS, BadAnswer, TooNew, read_push, read_result, version_of
from common.errors import EXIT_FAILED
from common.filter.fields import VIEWS

JOB = {"id": "j", "request": "r", "agent": "a", "person": "p", "state": "queued", "queued_at": 1.0}


def snapshot(*rows: Any, **more: Any) -> dict[str, Any]:
    return {"seq": 1, "total": 1, "all": 1, "lo": 0, "rows": list(rows), **more}


def test_a_newer_list_that_lacks_what_is_needed() -> None:
    """Said in words, with the cure; what was missing is for a log."""
    with pytest.raises(TooNew) as caught:
        read_push("view", snapshot({"id": "j"}, version=2), "jobs")
    assert str(caught.value) == "this hub's list of jobs is newer than this console: upgrade it"
    assert (caught.value.form, caught.value.field, caught.value.exit_code) == ("jobs", "rows.0.request", EXIT_FAILED)
    delta = {"seq": 2, "total": 1, "all": 1, "lo": 0, "upsert": [{}]}
    with pytest.raises(TooNew):
        read_push("view", delta, "jobs", told=2)
    with pytest.raises(TooNew, match="overview is newer"):
        read_push("overview", {"lanes": 1, "version": 9})
    with pytest.raises(TooNew, match="list of jobs is newer"):
        read_result(VERBS["jobs"], [{"id": "j"}], told=2)


def test_a_newer_list_that_has_what_is_needed_is_read() -> None:
    """With states and keys that are not known here."""
    push = read_push("view", snapshot({**JOB, "state": "asleep", "mood": 1}, version=2), "jobs")
    assert (push.rows[0].state, push.version) == ("asleep", 2)


def test_what_is_not_of_its_form_and_not_newer() -> None:
    """A fault, and not to be cured by an upgrade alone; the value is not shown."""
    for data in (
        snapshot({**JOB, "state": 7}),
        snapshot({**JOB, "state": ["secret"]}),
        ["secret"],
        {"error": 1, "x": 2},
    ):
        with pytest.raises(BadAnswer, match="hub's list of jobs is not of its form") as caught:
            read_push("view", data, "jobs")
        assert "secret" not in str(caught.value)
    with pytest.raises(BadAnswer, match="hub's approve is not of its form"):
        read_result(VERBS["approve"], "yes", told=5)


def test_an_older_hub_says_no_version() -> None:
    """Then it is what whoami says, and that is 1 where it does not."""
    assert (version_of({}), version_of([]), version_of({"version": 3}), version_of({}, 2)) == (1, 1, 3, 2)
    assert version_of({"version": "new"}) == 1
    assert read_push("overview", {}) == Overview()


def test_a_right_that_was_taken_away() -> None:
    """The last push of any subscription."""
    assert read_push("watch", {"error": "no"}) == SubscriptionEnded(error="no")


def test_every_form_has_a_version_and_words() -> None:
    """Lists, and each verb whose pushes have one form."""
    followed = {name for name, verb in VERBS.items() if verb.pushes} - {"view"}
    assert VIEW_VERSIONS.keys() == {*VIEWS, *followed} == _WORDS.keys()
