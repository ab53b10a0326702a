"""What many machines printed, folded: those that ended alike with the same output are one group, shown once. Pure.

Two outputs are the same where their digests are: the machines' runners count what each stream printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from common.api.jobs import JobView
from common.catalogue import translate
from common.lifecycle import JobState
from tui.model.output_lines import STDERR, OutputLines
from tui.text.format import PaneLine, RenderContext, Tone, format_command, format_number, one_line
from tui.view.columns import job_state
from tui.view.detail import describe_end, note_lines

MAX_GROUPS: Final = 12
"""Groups whose output is asked for; the others are counted."""
MAX_LINES: Final = 60
"""Lines of one group's output that are shown."""
MAX_NAMES: Final = 8


@dataclass(frozen=True, slots=True)
class OutputGroup:
    """Jobs that came to the same; `jobs` begins with the one whose output is shown for all."""

    jobs: tuple[JobView, ...]

    @property
    def first(self) -> JobView:
        return self.jobs[0]

    @property
    def is_final(self) -> bool:
        """Whether what they printed is known, and so is known to be the same."""
        return self.first.is_settled


def group_jobs(jobs: Iterable[JobView]) -> list[OutputGroup]:
    """By what was run, how it ended and what was printed; the most first, among equals what did not go well."""
    found: dict[tuple[Any, ...], list[JobView]] = {}
    for job in jobs:
        alike = (job.step, job.state, job.exit_code, job.signal, job.reason, job.notes, _output_key(job))
        found.setdefault(alike, []).append(job)
    groups = [OutputGroup(tuple(alike)) for alike in found.values()]
    return sorted(groups, key=lambda group: (-len(group.jobs), group.first.state == JobState.SUCCEEDED))


def _output_key(job: JobView) -> str:
    """What tells one output from another; of a job whose digest is not known, the job itself."""
    if not job.is_settled:
        return ""
    return job.output_digest or (job.id if job.output_bytes else "")


def group_lines(
    groups: Sequence[OutputGroup], outputs: Mapping[str, OutputLines], ctx: RenderContext, missing: int
) -> list[PaneLine]:
    """The groups, each with its machines and its output; `outputs` by the id of each group's first job, `missing` is
    how many jobs there are beside these.
    """
    lines: list[PaneLine] = []
    steps = {job.step for group in groups for job in group.jobs}
    for group in groups[:MAX_GROUPS]:
        lines += _head(group, ctx, with_command=len(steps) > 1)
        lines += _output(outputs.get(group.first.id), ctx)
    beside = sum(len(group.jobs) for group in groups[MAX_GROUPS:]) + max(0, missing)
    if beside:
        lines.append(PaneLine(translate(ctx.language, "console_fold_beside", count=format_number(beside)), "dim"))
    return lines


def _head(group: OutputGroup, ctx: RenderContext, *, with_command: bool) -> list[PaneLine]:
    first, state = group.first, job_state(group.first, ctx)
    names = sorted(one_line(job.agent, 64) for job in group.jobs)
    named = ", ".join(names[:MAX_NAMES]) + (f" +{len(names) - MAX_NAMES}" if len(names) > MAX_NAMES else "")
    words = (
        f"{state.text}  {describe_end(first, ctx)}".rstrip()
        if len(group.jobs) == 1
        else _describe_end(first, state.text)
    )
    told = translate(ctx.language, "console_fold_group", count=format_number(len(names)), how=words, names=named)
    tone: Tone = state.tone or "head"
    command = [PaneLine(format_command(first.argv, first.filters), "key", "|")] if with_command else []
    return [PaneLine(told, tone), *note_lines(first, ctx), *command]


def _describe_end(job: JobView, state: str) -> str:
    """How all of a group ended, and why: what differs from machine to machine, as its time, is left out."""
    if job.signal:
        state = f"{state} signal {one_line(job.signal, 4)}"
    elif job.exit_code is not None:
        state = f"{state} exit {one_line(job.exit_code, 6)}"
    return f"{state}  {one_line(job.reason, 300)}" if job.reason else state


def _output(lines: OutputLines | None, ctx: RenderContext) -> list[PaneLine]:
    if lines is None:
        return []
    told = lines.to_list()
    shown = [
        PaneLine(line.text, "warn" if line.stream == STDERR else "", "!" if line.stream == STDERR else "|")
        for line in told
    ]
    if not shown:
        return [PaneLine(translate(ctx.language, "console_fold_silent"), "dim")]
    if len(shown) > MAX_LINES:
        more = translate(ctx.language, "console_fold_more", count=format_number(len(shown) - MAX_LINES))
        return [*shown[:MAX_LINES], PaneLine(more, "dim")]
    return shown
