"""Settings of git that take away what a checkout's own configuration could have it do, as variables. Pure.

The default policy has them as the variables of its program `git`, so that a command's words are those that people
typed. A git before 2.31 does not read them: a machine starts none that does not (`agent.runner.git_support`). As they
only take something away, a step may always set them, each exactly so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

GIT_COUNT: Final = "GIT_CONFIG_COUNT"
GIT_CONFIG: Final = (
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.pager", "cat"),
    ("core.attributesFile", "/dev/null"),
    ("gpg.program", "/bin/false"),
    ("gpg.ssh.program", "/bin/false"),
    ("gpg.x509.program", "/bin/false"),
    ("log.showSignature", "false"),
    ("format.pretty", "medium"),
    ("blame.ignoreRevsFile", ""),
    ("diff.autoRefreshIndex", "false"),
    ("status.submoduleSummary", "false"),
    ("submodule.recurse", "false"),
    ("protocol.allow", "never"),
    ("safe.bareRepository", "explicit"),
)
GIT_SETTINGS: Final = frozenset(
    pair
    for index, (key, value) in enumerate(GIT_CONFIG)
    for pair in ((f"GIT_CONFIG_KEY_{index}", key), (f"GIT_CONFIG_VALUE_{index}", value))
)
GIT_VARIABLES: Final = GIT_SETTINGS | {(GIT_COUNT, str(len(GIT_CONFIG))), ("GIT_PAGER", "cat")}


def told_variables(env: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What people are shown of a step's variables: where git has all of these settings, their count stands for them."""
    pairs = list(env)
    return [pair for pair in pairs if pair not in GIT_SETTINGS] if set(pairs) >= GIT_VARIABLES else pairs
