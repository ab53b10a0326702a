"""Tells of a file that is not in force as it stands: an audit row, a line in the log, a message to every admin in chat.

A policy that does not read must not go unnoticed: who denied something in a hurry has to know at once whether it holds.
It is told once, and once more when the file reads again; readiness, metrics and the operators' list of what needs a
person show it as long as it lasts. In chat an admin is told where they last spoke.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from common.catalogue import Sentence
from common.roles import ROLES
from hub.engine.unit_of_work import UnitOfWork, UnitOfWorkRunner
from hub.identity.people import PeopleDirectory
from hub.log import logger
from hub.planning.watched_files import FileName, FileProblem

MAX_PROBLEMS: Final = 5
"""Problems of one file in its audit row."""
MAX_ADMINS: Final = 20
"""Admins who are told in chat."""
ADMIN: Final = ROLES[-1]

log = logger("files")


class FileNotices:
    """`tell` is called after each look at the files."""

    def __init__(
        self,
        units: UnitOfWorkRunner,
        people: PeopleDirectory,
        problems: Callable[[], Sequence[FileProblem]],
        hub_id: str,
    ) -> None:
        self._units = units
        self._people = people
        self._problems = problems
        self._hub_id = hub_id
        self._told: dict[FileName, FileProblem] = {}

    async def tell(self) -> None:
        now = {problem.name: problem for problem in self._problems()}
        fresh = [problem for problem in now.values() if problem.looks > 1 and self._is_news(problem)]
        mended = [problem for name, problem in self._told.items() if name not in now]
        if fresh or mended:
            admins = [name for name in self._people.names() if ADMIN in self._people.roles(name)][:MAX_ADMINS]
            await self._units.write(lambda uow: _record(uow, fresh, mended, admins, self._hub_id))
        for problem in fresh:
            self._told[problem.name] = problem
            log.error("file.not_in_force", file=str(problem.path), what=str(problem.sentence))
        for problem in mended:
            del self._told[problem.name]
            log.info("file.in_force", file=str(problem.path))

    def _is_news(self, problem: FileProblem) -> bool:
        told = self._told.get(problem.name)
        return told is None or (told.problems, told.closed) != (problem.problems, problem.closed)


def _record(
    uow: UnitOfWork, fresh: Iterable[FileProblem], mended: Iterable[FileProblem], admins: Iterable[str], hub_id: str
) -> None:
    sentences: list[Sentence] = []
    for problem in fresh:
        data = {
            "file": problem.path.name,
            "problems": [text[:300] for text in problem.problems[:MAX_PROBLEMS]],
            "count": len(problem.problems),
            "closed": problem.closed,
        }
        uow.audit("file.refused", problem.path.name, hub_id, data)
        sentences.append(problem.sentence)
    for problem in mended:
        uow.audit("file.taken", problem.path.name, hub_id, {"file": problem.path.name})
        sentences.append(Sentence("file_mended", {"file": problem.path.name}))
    for admin in admins:
        for sentence in sentences:
            uow.notify_person(admin, sentence)
