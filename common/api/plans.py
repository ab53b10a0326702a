"""A plan as operators see it: in full, as an approval is about it, or cut, as a row of a list shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from common.api.constraints import OMIT
from common.command.output_filters import DEFAULT_OUTPUT_CAP
from common.script import ScriptWord

if TYPE_CHECKING:  # no cycle: `answerback run` shows plans and makes none
    from common.plan import Plan, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """One command on one or more machines, nothing left out."""

    argv: tuple[str, ...]
    targets: Annotated[tuple[str, ...], "machines by name, sorted"]
    cwd: Annotated[str, "empty is the runner's own folder"] = ""
    env: Mapping[str, str]
    time_limit: Annotated[int, "seconds"]
    output_cap: Annotated[int, "bytes kept"] = DEFAULT_OUTPUT_CAP
    filters: Annotated[tuple[tuple[str, ...], ...], OMIT, "what the agent does to standard output, in order"] = ()
    script_word: Annotated[int, OMIT, "place in argv of a script of the hub; 0 where there is none"] = 0
    script_sha256: Annotated[str, OMIT, "hex digest of that script, which runs in the word's place"] = ""

    @property
    def script(self) -> ScriptWord | None:
        return ScriptWord(self.script_word, self.script_sha256) if self.script_sha256 else None

    @property
    def is_cut(self) -> bool:
        return False

    @property
    def machine_count(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """A step with texts cut and few of its machines: for a list, never for an approval."""

    argv: tuple[str, ...]
    argv_cut: Annotated[bool, OMIT, "argv is not all of it"] = False
    targets: Annotated[tuple[str, ...], "the first 8 machines"]
    target_count: int
    cwd: str = ""
    time_limit: Annotated[int, "seconds"] = 0
    filters: Annotated[tuple[tuple[str, ...], ...], OMIT, "what the agent does to standard output, in order"] = ()

    @property
    def is_cut(self) -> bool:
        return self.argv_cut or self.target_count > len(self.targets)

    @property
    def machine_count(self) -> int:
        return self.target_count


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """A plan in full. Its hash, which an approval is bound to, stands in the request."""

    steps: tuple[StepView, ...]
    source: Annotated[str, "explicit, runbook:NAME, model:NAME, operator"] = "explicit"
    ttl: Annotated[int, "seconds that a job may wait for its machine"]
    tainted: Annotated[bool, "text that no person wrote took part"]
    explanation: str = ""
    proposed: Annotated[bool, OMIT, "a model wrote the commands"] = False

    @classmethod
    def of(cls, plan: Plan) -> PlanView:
        """Of the plan that the hub keeps."""
        return cls(
            steps=tuple(map(_step, plan.steps)),
            source=plan.source,
            ttl=plan.ttl,
            tainted=plan.tainted,
            explanation=plan.explanation,
            proposed=plan.proposed,
        )

    @property
    def is_cut(self) -> bool:
        return False

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(sorted({name for step in self.steps for name in step.targets}))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """A plan for a list: its first 3 steps. `is_cut` says whether it shows less than there is."""

    steps: tuple[StepRow, ...]
    step_count: int
    source: str = "explicit"
    ttl: Annotated[int, "seconds"] = 0
    tainted: bool = False
    explanation: str = ""

    @property
    def is_cut(self) -> bool:
        return self.step_count > len(self.steps) or any(step.is_cut for step in self.steps)

    @property
    def targets(self) -> tuple[str, ...]:
        """Machines that the row names; not all of them where it is cut."""
        return tuple(sorted({name for step in self.steps for name in step.targets}))


AnyStep = StepView | StepRow
AnyPlan = PlanView | PlanRow


def _step(step: Step) -> StepView:
    return StepView(
        argv=step.argv,
        targets=step.targets,
        cwd=step.cwd,
        env=dict(step.env),
        time_limit=step.time_limit,
        output_cap=step.output_cap,
        filters=step.filters,
        script_word=step.script.word if step.script is not None else 0,
        script_sha256=step.script.sha256 if step.script is not None else "",
    )
