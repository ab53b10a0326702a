"""The files that people may change while the hub serves, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from common.policy.check import Policy
from hub.config import HubConfig
from hub.log import logger
from hub.planning.chain import PlannerChain
from hub.planning.watched_files import FileProblem, WatchedFile, watch_chain, watch_policy

log = logger("hub")


@dataclass(slots=True)
class HubFile:
    """What reading hub.toml again came to: it is read when the hub is asked to, and not when it changes."""

    problem: FileProblem | None = None
    waiting: tuple[str, ...] = ()  # keys whose new values count from the next start


@dataclass(frozen=True, slots=True)
class Files:
    """What people may change while the hub serves; `hub.planning.watched_files` says what a wrong file does."""

    policy: WatchedFile[Policy]
    chain: WatchedFile[PlannerChain]
    hub: HubFile

    def reload(self) -> None:
        for watched in (self.policy, self.chain):
            problem = watched.reload_if_changed()
            if problem:
                log.error("file.refused", file=str(watched.path), problem=problem)

    @classmethod
    def of(cls, config: HubConfig, clock: Callable[[], float]) -> Files:
        return cls(watch_policy(config.policy.file, clock), watch_chain(config.runbooks.file, clock), HubFile())

    def problems(self) -> list[FileProblem]:
        """The files that are not in force as they stand."""
        found = (self.hub.problem, self.policy.problem, self.chain.problem)
        return [problem for problem in found if problem is not None]

    def filter_choices(self, config: HubConfig, field: str) -> list[str]:
        """What configuration and runbooks know for a field of the filter language."""
        match field:
            case "src":
                return [*config.inlets, "console"]
            case "rb" | "plan":
                return [f"runbook:{runbook.name}" for runbook in self.chain.value.runbooks.runbooks]
        return []
