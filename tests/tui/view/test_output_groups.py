"""What many machines said, those alike told once."""

from __future__ import annotations

from typing import Any

from common.api.codec import decode
from common.api.jobs import JobView
from tests.tui.fake_source import HOSTILE, NOW, FakeSource, console_driver, job_row, request_row
from tests.tui.rows import chunk
from tui.model.output_lines import OutputLines
from tui.text.format import RenderContext
from tui.view.output_groups import MAX_GROUPS, MAX_LINES, MAX_NAMES, group_jobs, group_lines

LOOK = RenderContext("en", False, NOW)


def ended_row(number: int, digest: str, **more: Any) -> dict[str, Any]:
    values = {"exit_code": 0, "agent": f"web-{number}", "output_digest": digest, "output_bytes": 9, "step": 0, **more}
    return job_row(number, values.pop("state", "succeeded"), **values)


def ended(number: int, digest: str, **more: Any) -> JobView:
    return decode(JobView, ended_row(number, digest, **more))


def said(text: str) -> OutputLines:
    lines = OutputLines()
    lines.append_chunks([chunk(1, text.encode("utf-8", "surrogatepass"))])
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
    assert [[job.agent for job in group.jobs] for group in group_jobs(jobs)] == [
        ["web-1", "web-3"],
        ["web-2"],
        ["web-4"],
        ["web-5"],
    ]


def test_what_is_not_known_to_be_alike_is_not_folded() -> None:
    """Without a digest each stands for itself, but those that printed nothing, and those that still run."""
    assert len(group_jobs([ended(1, ""), ended(2, "")])) == 2
    assert len(group_jobs([ended(1, "", output_bytes=0), ended(2, "", output_bytes=0)])) == 1
    (group,) = group_jobs(
        [ended(1, "", state="running", exit_code=None), ended(2, "", state="running", exit_code=None)]
    )
    assert not group.is_final


def test_a_group_is_told_with_its_machines_and_its_output() -> None:
    """How many, how they ended, the first names, then the lines; standard error has its own sign."""
    groups = group_jobs([ended(number, "a") for number in range(1, 21)])
    output = said("all well\n")
    output.append_chunks([chunk(2, b"a warning\n", stream=2)])
    lines = group_lines(groups, {groups[0].first.id: output}, LOOK, 0)
    assert lines[0].text.startswith("20 machine(s)")
    assert "exit 0" in lines[0].text
    assert lines[0].text.endswith(f"+{20 - MAX_NAMES}")
    assert [(line.gutter, line.text) for line in lines[1:]] == [("|", "all well"), ("!", "a warning")]


def test_what_is_not_shown_is_counted() -> None:
    """Lines of a long output, groups beyond a bound, jobs that the hub's answer had no room for."""
    groups = group_jobs([ended(number, f"digest {number}") for number in range(MAX_GROUPS + 3)])
    outputs = {groups[0].first.id: said("x\n" * (MAX_LINES + 7)), groups[1].first.id: said("")}
    text = "\n".join(line.text for line in group_lines(groups, outputs, LOOK, 40))
    assert "7 more lines" in text
    assert "no output" in text
    assert "and 43 more jobs" in text


def test_several_steps_are_told_apart() -> None:
    """Each with its command; of one step the command is the request's."""
    one, two = ended(1, "a", argv=["df"]), ended(2, "a", step=1, argv=["uptime"])
    assert "df" not in "\n".join(line.text for line in group_lines(group_jobs([one]), {}, LOOK, 0))
    text = "\n".join(line.text for line in group_lines(group_jobs([one, two]), {}, LOOK, 0))
    assert "df" in text
    assert "uptime" in text


def test_hostile_rows_are_safe_lines() -> None:
    """Names, states and outputs of machines that mean harm; Chinese too."""
    for text in HOSTILE:
        groups = group_jobs([ended(1, text, agent=text, state=text, exit_code=3, signal=9, argv=[text], step=2)])
        for language in ("en", "zh"):
            look = RenderContext(language, False, NOW)  # type: ignore[arg-type]
            for line in group_lines(groups, {groups[0].first.id: said(text)}, look, 0):
                assert line.text.isprintable(), repr(line.text)


async def test_the_detail_of_a_request_shows_them() -> None:
    """A tab of its own, by keys."""
    source = FakeSource()
    request = request_row(1, state="done")
    source.rows["requests"] = [request]
    source.answers["request"] = {**request, "jobs": [ended_row(1, "a"), ended_row(2, "a")], "job_count": 2}
    source.answers["job"] = {"output": [{"seq": 1, "stream": 1, "data": b"all well\n"}]}
    async with console_driver(source, "approve") as stage:
        stage.app._mode_screen().set_filter("")
        await stage.flush()
        await stage.press("right_square_bracket")
        await stage.wait_until(lambda: "2 machine(s)" in stage.text)
        assert "all well" in stage.text


def test_another_reason_is_another_group() -> None:
    """Those alike say why they ended; what one of them left running is told with that one."""
    jobs = [
        *(ended(number, "a", state="failed", exit_code=1, reason="out of memory") for number in (1, 2)),
        ended(3, "a", state="failed", exit_code=1),
        ended(4, "a", notes=["left 4711 sh"]),
    ]
    groups = group_jobs(jobs)
    assert [len(group.jobs) for group in groups] == [2, 1, 1]
    lines = [line.text for line in group_lines(groups, {}, LOOK, 0)]
    assert "out of memory" in lines[0]
    assert any("4711 sh" in line for line in lines)
