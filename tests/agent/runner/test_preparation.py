"""agent.runner.preparation, through a real runner: what an order says must be looked at is looked at."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from agent.runner.job_user import own_user
from agent.runner.preparation import Terms, prepare_start
from agent.runner.programs import CannotRun
from agent.runner.real_paths import PathRefused
from common.link.messages import Ended
from common.policy.machine_checks import (
    NO_CHECKS,
    DeniedPrograms,
    MachineChecks,
    PathCheck,
    write_checks,
)
from common.policy.types import PathType

RULES = """
default = "deny"
deny = ["true"]

[[rule]]
id = "read"
about = "x"
program = "/bin/cat"
verdict = "allow"
by_descriptor = true
arguments = [{{ name = "FILE", type = "path", beneath = ["{home}/logs"], max = 4 }}]

[[rule]]
id = "tool"
about = "x"
program = "{home}/tool"
verdict = "allow"
"""


def tree(tmp_path: Path) -> Path:
    home = tmp_path.resolve()
    (home / "logs").mkdir()
    (home / "logs/log").write_text("a line\n")
    (home / "secret").write_text("secret\n")
    (home / "logs/out").symlink_to("../secret")
    (home / "tool").symlink_to("/bin/true")
    return home


async def test_the_orders_checks_hold_on_the_machine(home: Any, kit: Any, tmp_path: Path) -> None:
    """Trust: of a hub's policy: the real name, the digest, where a path leads; each refused before the start, and what
    passes runs, by descriptor where the rule says so. An order without checks, of a hub that has none, runs as before.
    """
    place = tree(tmp_path)
    kind = PathType(beneath=(f"{place}/logs",))

    def path(name: str) -> MachineChecks:
        return MachineChecks(paths=(PathCheck(f"{place}/logs/{name}", (kind,)),), by_descriptor="always")

    digest = hashlib.sha256(Path("/bin/true").read_bytes()).hexdigest()
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        for argv, checks, why in (
            ((f"{place}/tool",), MachineChecks(DeniedPrograms(frozenset({"true"}))), "the hub's policy denies (true)"),
            (("/bin/true",), MachineChecks(sha256=frozenset({"0" * 64})), "the rule wants 000000000000"),
            (("/bin/cat", f"{place}/logs/out"), path("out"), f"logs/out leads to {place}/secret"),
        ):
            job = uplink.order(*argv, checks=write_checks(checks))
            refused = await uplink.end(job)
            assert why in refused.reason
            assert "Started" not in uplink.kinds(job)
            assert home.files(job) == set()
        for argv, checks, output in (
            ((f"{place}/tool",), NO_CHECKS, b""),
            (("/bin/true",), MachineChecks(sha256=frozenset({digest})), b""),
            (("/bin/cat", f"{place}/logs/log"), path("log"), b"a line\n"),
            (("/bin/cat", f"{place}/logs/out"), NO_CHECKS, b"secret\n"),
        ):
            job = uplink.order(*argv, checks=write_checks(checks))
            assert (await uplink.next(Ended, job)).outcome == "succeeded"
            assert uplink.output(job) == output
        refused = await uplink.end(uplink.order("/bin/true", checks="{}x"))
        assert refused.code == "order"


async def test_the_machines_own_rules_are_looked_at_without_a_word_of_the_hub(
    home: Any, kit: Any, tmp_path: Path
) -> None:
    """Trust: an order of an older hub carries no checks; the machine's own policy has its roots and denials."""
    place = tree(tmp_path)
    home.policy(RULES.format(home=place))
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/cat", f"{place}/logs/log")
        assert (await uplink.next(Ended, job)).outcome == "succeeded"
        for argv, why in (
            (("/bin/cat", f"{place}/logs/out"), "logs/out leads to"),
            ((f"{place}/tool",), "this machine's policy denies (true)"),
        ):
            refused = await uplink.end(uplink.order(*argv))
            assert why in refused.reason


def test_a_refused_start_holds_nothing_open(home: Any, tmp_path: Path) -> None:
    """Whatever was opened before the refusal is closed."""
    place, empty = tree(tmp_path), os.open("/", os.O_PATH)
    kind = PathType(beneath=(f"{place}/logs",))
    bad = MachineChecks(paths=(PathCheck(f"{place}/logs/out", (kind,)),))
    before = len(os.listdir("/proc/self/fd"))
    for order, refusal in (
        (home.order("/bin/cat", checks=write_checks(bad)), PathRefused),
        (home.order("/bin/cat", cwd="/none"), Exception),
        (home.order("/bin/none"), CannotRun),
    ):
        with pytest.raises(refusal):
            prepare_start(order, Terms(NO_CHECKS, own_user()), empty)
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(empty)
