"""The machine's own policy: policy.toml, and the profile that it begins with.

A profile is a set of rules that comes with the program (`common/defaults/agent-*.toml`), named by `profile = "…"`:

    read-only   what the hub's default policy allows without a yes, and nothing else
    trust-hub   whatever the hub has signed, but for what runs anything it is told

The file adds rules, denials, types and variables to it; its rules come first, and the profile's are those of the
installed version. A file without the line, as machines of version 0.1.0 have it, is a whole policy by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from common.errors import UserError
from common.files import write_file
from common.policy.check import Policy
from common.policy.file import PolicyErrors, load_policy_bytes, read_policy_source
from common.policy.source import read_source
from common.read_file import parse_toml, read_bytes

READ_ONLY: Final = "read-only"
TRUST_HUB: Final = "trust-hub"
PROFILES: Final[Mapping[str, str]] = {
    READ_ONLY: "what only reads, as the hub's default policy allows it, and nothing else",
    TRUST_HUB: "whatever the hub has signed, but for shells, interpreters and their like",
}
"""Each profile and what it lets a hub do; the first is what a machine joins with."""
_LINE: Final = re.compile(r"""(?m)^[ \t]*profile[ \t]*=[ \t]*(?:"[^"\n]*"|'[^'\n]*')""")
_TABLE: Final = re.compile(r"(?m)^[ \t]*\[")


@dataclass(frozen=True, slots=True)
class MachinePolicy:
    """What policy.toml says. `own_rules` and `own_denials` are counted without the profile's."""

    policy: Policy
    profile: str  # "" where the file is a whole policy by itself
    own_rules: int
    own_denials: int

    def describe(self) -> str:
        """One line for people."""
        own = _counted(self.own_rules, "rule") + _counted(self.own_denials, "denial")
        if not self.profile:
            return f'a file of its own, default = "{self.policy.default}"' + (f", {', '.join(own)}" if own else "")
        return f"{self.profile}: {PROFILES[self.profile]}" + (f"; edited: {' and '.join(own)} more" if own else "")

    def to_json(self) -> dict[str, Any]:
        return {
            "profile": self.profile,
            "default": self.policy.default,
            "own_rules": self.own_rules,
            "own_denials": self.own_denials,
        }


def _counted(count: int, word: str) -> list[str]:
    return [f"{count} {word}{'' if count == 1 else 's'}"] if count else []


def read_machine_policy(data: bytes, file: str = "policy.toml") -> MachinePolicy:
    """The policy of the file's bytes; raises UserError with every problem."""
    source = read_source(data)
    profile = source.data.pop("profile", None)
    if profile is None:
        policy = load_policy_bytes(data, file)
        return MachinePolicy(policy, "", len(policy.rules), len(policy.denies))
    place = f"{file}: line {source.span.line_of('profile')}"
    if not isinstance(profile, str) or profile not in PROFILES:
        raise PolicyErrors((f"{place}: profile: {profile!r:.60} is none: there are {' and '.join(PROFILES)}",))
    if "default" in source.data:
        line = source.span.line_of("default")
        raise PolicyErrors((f"{file}: line {line}: default: the profile has one: leave one of the two lines out",))
    given, base = profile_data(profile), profile_policy(profile)
    source.data["default"] = base.default
    for key in ("types", "programs"):
        own = source.data.get(key, {})
        if isinstance(own, dict):
            source.data[key] = {**given.get(key, {}), **own}
    reading = read_policy_source(source, file)
    if reading.policy is None:
        raise PolicyErrors(reading.problems)
    return MachinePolicy(_join(reading.policy, base), profile, len(reading.policy.rules), len(reading.policy.denies))


def _join(own: Policy, base: Policy) -> Policy:
    return replace(
        base,
        rules=(*own.rules, *base.rules),
        denies=(*own.denies, *base.denies),
        environment={**base.environment, **own.environment},
        real_names=own.real_names | base.real_names,
    )


def load_machine_policy(path: Path) -> MachinePolicy:
    """The policy of the file at `path`; raises UserError."""
    return read_machine_policy(read_bytes(path, trusted=True), str(path))


@dataclass(frozen=True, slots=True)
class PolicySummary:
    """What `status` and `join` say of the policy in one line."""

    text: str
    profile: str = ""
    usable: bool = True


def summarize(path: Path) -> PolicySummary:
    """One line, also where the file cannot be used; never raises."""
    try:
        found = load_machine_policy(path)
    except UserError as error:
        return PolicySummary(f"CANNOT BE USED, every order is refused: {error.problem.splitlines()[0]}", usable=False)
    return PolicySummary(found.describe(), found.profile)


# ---- profiles


def profile_text(name: str) -> bytes:
    from importlib import resources  # the runner reads a policy that is there already

    return resources.files("common").joinpath("defaults", f"agent-{name}.toml").read_bytes()


@cache
def profile_data(name: str) -> Mapping[str, Any]:
    return parse_toml(profile_text(name), f"agent-{name}.toml")


@cache
def profile_policy(name: str) -> Policy:
    return load_policy_bytes(profile_text(name), f"agent-{name}.toml")


def new_file(profile: str) -> bytes:
    """policy.toml as `join` writes it; raises UserError where there is no such profile."""
    check_profile(profile)
    from importlib import resources

    template = resources.files("common").joinpath("defaults", "agent-policy.toml").read_text(encoding="utf-8")
    return template.replace("@PROFILE@", profile).encode()


def check_profile(name: str) -> None:
    if name not in PROFILES:
        raise UserError(f"there is no profile {name[:60]!r}", f"there are {' and '.join(PROFILES)}")


def use_profile(path: Path, profile: str) -> Path | None:
    """Has the file begin with another profile. Its rules stay; a whole policy without a profile is kept beside it, and
    its new place returned. Raises UserError.
    """
    check_profile(profile)
    kept: Path | None = None
    data = read_bytes(path) if path.exists() else b""
    text = data.decode("utf-8", "surrogateescape")
    table = _TABLE.search(text)
    head, rest = (text[: table.start()], text[table.start() :]) if table else (text, "")
    head, count = _LINE.subn(f'profile = "{profile}"', head, count=1)
    changed = (head + rest).encode("utf-8", "surrogateescape")
    if not count:
        changed = new_file(profile)
        kept = _keep(path, data) if data.strip() else None
    read_machine_policy(changed, str(path))
    write_file(path, changed)
    return kept


def _keep(path: Path, data: bytes) -> Path:
    for number in range(1, 1000):
        kept = path.with_name(f"{path.name}.{number}")
        if not kept.exists():
            write_file(kept, data)
            return kept
    raise UserError(f"{path.parent} is full of old policies", f"remove some of {path.name}.1 and so on")
