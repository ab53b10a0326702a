"""What each inlet did since the hub started."""

from __future__ import annotations

from hub.core.inlet_activity import MAX_REASON, InletActivity


def test_refusals_are_counted_with_the_last_one() -> None:
    """Of inlets that there are: a delivery to none counts nowhere."""
    activity = InletActivity()
    activity.note_refusal("ops", "rate", 5.0)
    activity.note_refusal("ops", "bad_signature", 6.0)
    activity.note_refusal("", "unknown_inlet", 7.0)
    (told,) = activity.refused.items()
    assert (told[0], told[1].count, told[1].code, told[1].at) == ("ops", 2, "bad_signature", 6.0)


def test_replies_fail_until_one_arrives() -> None:
    """Why, since when, whether one was given up; how many were stays told."""
    activity = InletActivity()
    activity.note_reply("ops")
    assert activity.replies == {}
    activity.note_reply_failure("ops", "no answer", 5.0)
    activity.note_reply_failure("ops", "x" * 1_000, 9.0, given_up=True)
    tally = activity.replies["ops"]
    assert (tally.since, tally.failed_at, tally.lost, tally.given_up) == (5.0, 9.0, True, 1)
    assert tally.problem == "x" * MAX_REASON
    activity.note_reply("ops")
    assert (tally.problem, tally.lost, tally.given_up) == ("", False, 1)
    activity.note_reply_failure("ops", "no answer", 20.0)
    assert tally.since == 20.0


def test_what_went_is_forgotten() -> None:
    """Inlets that hub.toml has no more."""
    activity = InletActivity()
    for name in ("ops", "old"):
        activity.note_refusal(name, "rate", 1.0)
        activity.note_reply_failure(name, "no answer", 1.0)
        activity.quiet.note(name, 1.0)
    activity.keep(["ops"])
    assert (list(activity.refused), list(activity.replies), list(activity.heard)) == (["ops"], ["ops"], ["ops"])
