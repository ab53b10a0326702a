"""agent.runner.scripts, through a real runner"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.runner.scripts import place_script
from common.link.messages import Ended
from common.plan import Plan, Step, plan_hash, step_hashes, targets_hash
from common.script import ScriptWord, script_digest

TEXT = "import sys\nprint('ran', sys.argv[1:], sys.flags.isolated)\n"


def script_order(home: Any, *argv: str, word: int, text: str = TEXT) -> Any:
    step = Step(argv, ("web-1",), time_limit=30, script=ScriptWord(word, script_digest(text)))
    plan = Plan((step,))
    return replace(
        home.order(*argv),
        script=step.script,
        script_text=text,
        targets=targets_hash(step.targets),
        steps=step_hashes(plan),
        plan_hash=plan_hash(plan),
    )


async def test_a_script_runs_as_it_was_approved(home: Any, kit: Any, tmp_path: Path) -> None:
    """Trust: the text in the order, whatever lies on the machine under its name; another text starts nothing."""
    (tmp_path / "hello.py").write_text("print('of this machine')")
    python = os.path.realpath(sys.executable)
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        order = script_order(home, python, "-I", "hello.py", "one", word=2)
        order = replace(order, cwd="")
        uplink.send(home.dispatch(order))
        assert (await uplink.next(Ended, order.job)).outcome == "succeeded"
        assert uplink.output(order.job) == b"ran ['one'] 1\n"
        forged = replace(script_order(home, python, "-I", "hello.py", word=2), script_text=TEXT + "#")
        uplink.send(home.dispatch(forged))
        assert (await uplink.end(forged.job)).code == "order"
        shell = script_order(home, "/bin/sh", "it.sh", "a b", word=1, text='echo "$# $1"; readlink "$0" | cut -c1-13\n')
        uplink.send(home.dispatch(shell))
        assert (await uplink.next(Ended, shell.job)).outcome == "succeeded"
        assert uplink.output(shell.job) == b"1 a b\n/memfd:it.sh \n"


async def test_the_machines_own_policy_must_name_the_same_content(home: Any, kit: Any) -> None:
    """Trust: interpreters that it denies by name run a script that a rule of its own names by digest, and no other."""
    rule = f"""
default = "deny"
deny = ["sh", "dash", "bash"]

[[rule]]
id = "it"
about = "x"
program = "/bin/sh"
verdict = "allow"
words = ["it.sh"]
script = "{script_digest("echo it")}"
"""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        home.policy(rule)
        good = script_order(home, "/bin/sh", "it.sh", word=1, text="echo it")
        uplink.send(home.dispatch(good))
        assert (await uplink.next(Ended, good.job)).outcome == "succeeded"
        assert uplink.output(good.job) == b"it\n"
        for order, why in (
            (script_order(home, "/bin/sh", "it.sh", word=1, text="echo other"), "another content of the script it.sh"),
            (home.order("/bin/sh", "it.sh"), "another content of the script it.sh"),
            (script_order(home, "/bin/sh", "no.sh", word=1, text="echo it"), "denied"),
        ):
            uplink.send(home.dispatch(order))
            refused = await uplink.end(order.job)
            assert (refused.code, why in refused.reason) == ("policy", True), refused.reason


def test_nobody_can_change_a_script_that_was_placed(home: Any) -> None:
    """Trust: it is sealed: neither written nor cut, by whoever may open it."""
    order = script_order(home, "/bin/sh", "it.sh", word=1)
    argv, descriptor = place_script(order, order.argv)
    assert argv == ("/bin/sh", f"/proc/self/fd/{descriptor}")
    again = os.open(argv[1], os.O_RDWR)
    for change in (lambda: os.write(again, b"x"), lambda: os.ftruncate(again, 0), lambda: os.truncate(argv[1], 900)):
        with pytest.raises(PermissionError):
            change()
    assert Path(argv[1]).read_text() == TEXT
    os.close(again)
    os.close(descriptor)
    assert place_script(home.order("/bin/x"), ("/bin/x",)) == (("/bin/x",), -1)
