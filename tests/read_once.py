"""The policy and the runbooks that `init` writes are read once a process, and not by each hub of a test.

Reading them takes half a second of a core, most of it to try every example of a runbook against all others, and
hundreds of tests start a hub. Any other text is read as ever; what the default texts mean is tested where they are
read themselves (`tests.hub.planning.defaults`), and the demo and the benches start hubs that read them.
"""

from __future__ import annotations

import functools
from importlib import resources
from pathlib import Path

import common.policy.file
import hub.cli.file_check
import hub.planning.runbooks.file
import hub.planning.watched_files
from common.policy.file import PolicyReading
from hub.planning.runbooks.matcher import RunbookMatcher

_read_policy = common.policy.file.read_policy
_read_runbooks = hub.planning.runbooks.file.read_runbooks
_DEFAULTS = resources.files("hub") / "defaults"
_POLICY = (_DEFAULTS / "policy.toml").read_bytes()
_RUNBOOKS = (_DEFAULTS / "runbooks.toml").read_bytes()


@functools.cache
def default_policy() -> PolicyReading:
    return _read_policy(_POLICY, "policy.toml")


@functools.cache
def default_runbooks() -> RunbookMatcher:
    return _read_runbooks(Path(str(_DEFAULTS / "runbooks.toml")))


def read_policy(data: bytes, file: str) -> PolicyReading:
    """In place of `common.policy.file.read_policy`. The name of the file stands in problems and notes alone."""
    if data == _POLICY and not default_policy().problems and not default_policy().notes:
        return default_policy()
    return _read_policy(data, file)


def read_runbooks(path: Path) -> RunbookMatcher:
    """In place of `hub.planning.runbooks.file.read_runbooks`."""
    try:
        same = path.read_bytes() == _RUNBOOKS
    except OSError:
        same = False
    return default_runbooks() if same else _read_runbooks(path)


def install() -> None:
    """For this process and what is forked from it."""
    for module in (common.policy.file, hub.cli.file_check, hub.planning.watched_files):
        module.read_policy = read_policy
    hub.planning.watched_files.read_runbooks = read_runbooks
