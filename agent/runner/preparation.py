"""What is looked at right before a start, and held open until it: the program, the folder, the paths of the command.

Two policies have a say: the hub's, whose checks are in the signed order, and this machine's own.
"""

from __future__ import annotations

import os
from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass

from agent.runner.git_support import verify_git
from agent.runner.job_user import JobUser, acting_as
from agent.runner.process import ChildProcess, Spawner, open_folder
from agent.runner.programs import OpenProgram, open_program
from agent.runner.real_paths import CheckedPaths, check_paths
from agent.runner.repository import verify_repository
from agent.runner.scripts import place_script
from agent.runner.walk import SlowPlace
from common.plan import Order
from common.policy.machine_checks import MachineChecks, read_checks


@dataclass(frozen=True, slots=True)
class Terms:
    """On which an order starts that this machine's policy does not refuse."""

    checks: MachineChecks  # of that policy
    user: JobUser  # whose the job will be


@dataclass(frozen=True, slots=True)
class PreparedStart:
    """Everything that a start needs. The caller closes it."""

    program: OpenProgram
    folder: int
    paths: CheckedPaths
    user: JobUser | None = None  # None: the runner's own

    def spawn(self, spawner: Spawner, variables: tuple[tuple[str, str], ...]) -> ChildProcess:
        """Starts the program; raises OSError."""
        uid = os.geteuid() if self.user is None else self.user.uid
        return spawner.spawn(self.program, self.paths.argv, variables, self.folder, self.paths.descriptors, uid=uid)

    def close(self) -> None:
        self.program.close()
        self.paths.close()
        os.close(self.folder)


def check_program(order: Order, terms: Terms, slow: Container[str]) -> None:
    """Raises CannotRun where the order's program must not run here; one on a slow file system is left to the start."""
    with suppress(SlowPlace), acting_as(terms.user):
        open_program(order.argv[0], terms.user.uid, _policies(order, terms.checks), slow).close()


def prepare_start(order: Order, terms: Terms, empty: int, slow: Container[str] = ()) -> PreparedStart:
    """`empty` is the folder of orders that name none. All is looked at with the rights of whose the job will be. Raises
    CannotRun, CannotEnter or OSError, or SlowPlace before it looks at one of `slow`, and then holds nothing open.
    """
    with acting_as(terms.user):
        return _prepare(order, terms, empty, slow)


def _prepare(order: Order, terms: Terms, empty: int, slow: Container[str]) -> PreparedStart:
    policies, uid = _policies(order, terms.checks), terms.user.uid
    program = open_program(order.argv[0], uid, policies, slow)
    try:
        verify_git(program, order.env)
        folder = open_folder(order.cwd, slow) if order.cwd else os.dup(empty)
        try:
            return PreparedStart(program, folder, _prepare_words(order, policies, uid, slow), terms.user)
        except BaseException:
            os.close(folder)
            raise
    except BaseException:
        program.close()
        raise


def _prepare_words(
    order: Order, policies: tuple[tuple[str, MachineChecks], ...], uid: int, slow: Container[str]
) -> CheckedPaths:
    """The argument vector, with descriptors in place of checked paths and of a script."""
    paths = check_paths(order.argv, policies, uid, slow)
    try:
        verify_repository(order.argv, order.env, order.cwd, uid)
        argv, script = place_script(order, paths.argv)
    except BaseException:
        paths.close()
        raise
    return CheckedPaths(argv, paths.descriptors if script < 0 else (*paths.descriptors, script))


def _policies(order: Order, local: MachineChecks) -> tuple[tuple[str, MachineChecks], ...]:
    return ("the hub's policy", read_checks(order.checks)), ("this machine's policy", local)
