"""Fetches what the machines of a request printed, for `tui.view.output_groups` to show."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from common.api import verbs
from common.api.queries import JobArgs
from tui.client.source import Source
from tui.model.answers import call_hub
from tui.model.output_lines import OutputLines
from tui.view.output_groups import MAX_GROUPS, OutputGroup

MAX_CONCURRENT: Final = 4


async def fetch_outputs(source: Source, groups: Sequence[OutputGroup]) -> dict[str, OutputLines]:
    """The output of each group's first job, by its id, as far as it is shown; what cannot be had is left out."""
    gate = asyncio.Semaphore(MAX_CONCURRENT)

    async def one(job: str) -> tuple[str, OutputLines | None]:
        async with gate:
            answer = await call_hub(source, verbs.JOB, JobArgs(id=job))
        if answer.result is None:
            return job, None
        lines = OutputLines()
        lines.append_chunks(answer.result.output)
        return job, lines

    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(one(group.first.id)) for group in groups[:MAX_GROUPS] if group.is_final]
    return {job: lines for job, lines in (task.result() for task in asked) if lines is not None}
