"""What the policy and the runbooks that `init` writes mean is found out once a process, not by each hub of a test.

It takes half a second of a core, most of it to try every example of a runbook against all others, and hundreds of
tests start a hub. The files themselves are read and their owners and rights looked at as ever, and any other text is
parsed as ever. What the default texts mean is tested where they are parsed themselves (`tests.hub.planning.defaults`),
and the demo and the benches start hubs that parse them.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import common.policy.file
import hub.cli.file_check
import hub.planning.runbooks.file
import hub.planning.watched_files
from common.policy.file import PolicyReading
from hub.planning.runbooks.matcher import RunbookMatcher

_read_policy = common.policy.file.read_policy
_parse_runbooks = hub.planning.runbooks.file.parse_runbooks
_DEFAULTS = resources.files("hub") / "defaults"
_POLICY = (_DEFAULTS / "policy.toml").read_bytes()


@functools.cache
def default_policy() -> PolicyReading:
    return _read_policy(_POLICY, "policy.toml")


@functools.cache
def _default_tables() -> dict[str, Any]:
    return tomllib.loads((_DEFAULTS / "runbooks.toml").read_text(encoding="utf-8"))


@functools.cache
def default_runbooks() -> RunbookMatcher:
    return _parse_runbooks(_default_tables(), Path("runbooks.toml"))


def read_policy(data: bytes, file: str) -> PolicyReading:
    """In place of `common.policy.file.read_policy`. The name of the file stands in problems and notes alone."""
    if data == _POLICY and not default_policy().problems and not default_policy().notes:
        return default_policy()
    return _read_policy(data, file)


def parse_runbooks(body: Mapping[str, Any], path: Path) -> RunbookMatcher:
    """In place of `hub.planning.runbooks.file.parse_runbooks`. The path stands in problems alone."""
    return default_runbooks() if body == _default_tables() else _parse_runbooks(body, path)


def install() -> None:
    """For this process and what is forked from it."""
    for module in (common.policy.file, hub.cli.file_check, hub.planning.watched_files):
        module.read_policy = read_policy
    hub.planning.runbooks.file.parse_runbooks = parse_runbooks
