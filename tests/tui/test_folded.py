"""What many machines said, those alike told once."""

from __future__ import annotations

from typing import Any

from tests.tui.scripted_source import HOSTILE, NOW, ScriptedSource, job_row, request_row, staged
from tui.folded import MAX_GROUPS, MAX_LINES, NAMES, fold, folded_lines, outputs_of
from tui.format import Look
from tui.lines import OutputLines

LOOK = Look("en", False, NOW)


def ended(number: int, digest: str, **more: Any) -> dict[str, Any]:
    values = {"exit_code": 0, "agent": f"web-{number}", "output_digest": digest, "output_bytes": 9, "step": 0, **more}
    return job_row(number, values.pop("state", "succeeded"), **values)


def said(text: str) -> OutputLines:
    lines = OutputLines()
    lines.feed([{"seq": 1, "stream": 1, "data": text.encode("utf-8", "surrogatepass")}])
    return lines


def test_those_alike_are_one_group() -> None:
    """By digest and by how they ended; the most first, among equals what went wrong."""
    jobs = [
        ended(1, "a"),
        ended(2, "b", state="failed", exit_code=1),
        ended(3, "a"),
        ended(4, "c"),
        ended(5, "a", step=1),
    ]
    assert [[job["agent"] for job in group.jobs] for group in fold(jobs)] == [
        ["web-1", "web-3"],
        ["web-2"],
        ["web-4"],
        ["web-5"],
    ]


def test_what_is_not_known_to_be_alike_is_not_folded() -> None:
    """Without a digest each stands for itself, but those that printed nothing, and those that still run."""
    assert len(fold([ended(1, ""), ended(2, "")])) == 2
    assert len(fold([ended(1, "", output_bytes=0), ended(2, "", output_bytes=0)])) == 1
    (group,) = fold([ended(1, "", state="running", exit_code=None), ended(2, "", state="running", exit_code=None)])
    assert not group.ended


def test_a_group_is_told_with_its_machines_and_its_output() -> None:
    """How many, how they ended, the first names, then the lines; standard error has its own sign."""
    groups = fold([ended(number, "a") for number in range(1, 21)])
    output = said("all well\n")
    output.feed([{"seq": 2, "stream": 2, "data": b"a warning\n"}])
    lines = folded_lines(groups, {str(groups[0].first["id"]): output}, LOOK, 0)
    assert lines[0].text.startswith("20 machine(s)")
    assert "exit 0" in lines[0].text
    assert lines[0].text.endswith(f"+{20 - NAMES}")
    assert [(line.mark, line.text) for line in lines[1:]] == [("|", "all well"), ("!", "a warning")]


def test_what_is_not_shown_is_counted() -> None:
    """Lines of a long output, groups beyond a bound, jobs that the hub's answer had no room for."""
    groups = fold([ended(number, f"digest {number}") for number in range(MAX_GROUPS + 3)])
    outputs = {str(groups[0].first["id"]): said("x\n" * (MAX_LINES + 7)), str(groups[1].first["id"]): said("")}
    text = "\n".join(line.text for line in folded_lines(groups, outputs, LOOK, 40))
    assert "7 more lines" in text
    assert "no output" in text
    assert "and 43 more jobs" in text


def test_several_steps_are_told_apart() -> None:
    """Each with its command; of one step the command is the request's."""
    one, two = ended(1, "a", argv=["df"]), ended(2, "a", step=1, argv=["uptime"])
    assert "df" not in "\n".join(line.text for line in folded_lines(fold([one]), {}, LOOK, 0))
    text = "\n".join(line.text for line in folded_lines(fold([one, two]), {}, LOOK, 0))
    assert "df" in text
    assert "uptime" in text


def test_hostile_rows_are_safe_lines() -> None:
    """Names, states and outputs of machines that mean harm; Chinese too."""
    for text in HOSTILE:
        groups = fold([ended(1, text, agent=text, state=text, exit_code=text, signal=text, argv=[text], step=text)])
        for language in ("en", "zh"):
            look = Look(language, False, NOW)  # type: ignore[arg-type]
            for line in folded_lines(groups, {str(groups[0].first["id"]): said(text)}, look, 0):
                assert line.text.isprintable(), repr(line.text)


async def test_only_what_is_shown_is_asked_for() -> None:
    """One output a group, none of what has not ended; what does not come is left out."""
    source = ScriptedSource()
    jobs = [ended(1, "a"), ended(2, "a"), ended(3, "", state="running", exit_code=None)]
    source.answers["job"] = {"output": [{"seq": 1, "stream": 1, "data": b"hi\n"}]}
    outputs = await outputs_of(source, fold(jobs))
    assert [args["id"] for args in source.asked("job")] == [jobs[0]["id"]]
    assert [line.text for line in outputs[str(jobs[0]["id"])].all()] == ["hi"]


async def test_the_detail_of_a_request_shows_them() -> None:
    """A tab of its own, by keys."""
    source = ScriptedSource()
    request = request_row(1, state="done")
    source.rows["requests"] = [request]
    source.answers["request"] = {**request, "jobs": [ended(1, "a"), ended(2, "a")], "job_count": 2}
    source.answers["job"] = {"output": [{"seq": 1, "stream": 1, "data": b"all well\n"}]}
    async with staged(source, "approve") as stage:
        stage.app._screen().set_filter("")
        await stage.settle()
        await stage.press("right_square_bracket")
        await stage.until(lambda: "2 machine(s)" in stage.text)
        assert "all well" in stage.text
