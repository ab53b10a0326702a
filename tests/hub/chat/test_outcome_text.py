"""hub.chat.outcome_text: what became of a request."""

from __future__ import annotations

from typing import Any

from common.catalogue import Language
from common.lifecycle import JobState
from hub.chat.outcome_text import late_text
from tests.each import each_of
from tests.hub.chat.test_reply_text import NOON, job_of, printed, request_of


def test_late_truth_is_told_as_what_it_is() -> None:
    """The request's number, the machine, and the outcome."""
    text = late_text(request_of(), printed("ok\n"), "ok\n", NOON)
    assert text.startswith("r42: what really happened on web-1 is known now.")
    assert "web-1: done in 200 ms" in text
    assert "实际结果现已确认" in late_text(request_of("zh"), printed("ok\n"), "ok\n", NOON)


def outcome(output: str = "", language: Language = "en", **more: Any) -> str:
    job = job_of("web-1", **{"output_bytes": len(output.encode()), "duration": 0.2, **more})
    return late_text(request_of(language), job, output, NOON)


def test_what_a_job_left_behind_is_told_above_its_output() -> None:
    """Which process, how to look, what to do; and that its later output is nowhere. Names come from the machine."""
    text = outcome("ok\n", notes=("left 4711 `x`", "unrecorded"))
    assert "Left running: 4711 'x'" in text
    assert "@web-1 ps -f -p 4711" in text
    assert "not recorded" in text
    assert text.index("Left running") < text.index("ok\n")
    assert "仍在运行" in outcome("ok\n", "zh", notes=("left 4711 sh",))


def test_lost_output_is_never_silent() -> None:
    """How much, and why; not "over its cap", which has another cause and cure; no pointer to what is nowhere."""
    part = outcome("begin\n", notes=("lost 12345",), truncated=True, output_bytes=12_351, chunks=1)
    assert "Lost: 12.1 KiB of the output" in part
    assert "begin" in part
    assert "cap" not in part
    nothing = outcome("", notes=("lost 12345",), truncated=True, output_bytes=12_345)
    assert "Lost: 12.1 KiB of the output" in nothing
    assert "see it with" not in nothing
    silent = outcome("", truncated=True, output_bytes=12_345)  # an older agent says no more than that
    assert "nothing was kept" in silent
    assert "see it with" not in silent
    assert "over its cap" in outcome("begin\n", truncated=True, output_bytes=12_351, chunks=1)
    assert "Output is missing here" in outcome("", notes=("dropped",), truncated=True, output_bytes=5)


def test_a_machine_without_a_record_says_so() -> None:
    """Honest about what a crash would have meant; a full disk is told while it can still be mended."""
    assert "from memory: web-1" in outcome("ok\n", notes=("memory",))
    assert "Make room there soon" in outcome("ok\n", notes=("disk",))


WHY = "the runner was stopped"


@each_of(
    ("more", "told"),
    [
        ({"state": JobState.FAILED, "exit_code": 3}, ["failed with exit status 3", f"Reason: {WHY}"]),
        ({"state": JobState.FAILED, "exit_code": None, "signal": 9}, ["signal SIGKILL", f"Reason: {WHY}"]),
        ({"state": JobState.FAILED, "exit_code": None}, [f"could not be run: {WHY}"]),
        ({"state": JobState.TIMED_OUT}, ["stopped at its time limit", f"Reason: {WHY}"]),
        ({"state": JobState.CANCELLED, "started_at": 1.0}, [f"cancelled after 200 ms: {WHY}"]),
        (
            {"state": JobState.CANCELLED, "started_at": 1.0, "cancel_asked_by": "bob"},
            ["cancelled by bob after 200 ms", f"Reason: {WHY}"],
        ),
        ({"state": JobState.CANCELLED, "started_at": None}, [f"not run: {WHY}"]),
        ({"state": JobState.SUCCEEDED, "exit_code": None}, ["done in 200 ms", f"Reason: {WHY}"]),
        ({"state": JobState.NOT_STARTED}, [f"not run: {WHY}"]),
        ({"state": JobState.UNKNOWN}, [f"the outcome is unknown: {WHY}"]),
    ],
)
def test_the_reason_stands_with_every_end(more: dict[str, Any], told: list[str]) -> None:
    """Once, whatever became of the job; without one nothing is said."""
    text = outcome(reason=WHY, **more)
    assert all(part in text for part in told), text
    assert text.count(WHY) == 1
    plain = outcome(reason="", **more)
    assert "Reason" not in plain
