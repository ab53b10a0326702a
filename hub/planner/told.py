"""The inventory as a model is told it: names and labels, which the hub's people gave, and a few facts. Pure.

Facts come from the machines, and a machine that somebody took over must not be able to speak to the model. So of each
fact only known words and plain numbers are told; addresses, host names, ids and whatever else a fact may hold are not.
Who is online is not told: a plan waits for its machine, and prompts stay the same while links come and go.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from hub.machines import Inventory, Machine
from hub.models.ask import estimate_tokens
from hub.planner.redact import redact

MAX_EXPRESSIONS: Final = 160  # names and labels that are told one by one in the schema
MAX_LABELS: Final = 8  # of a machine
_SYSTEMS: Final = (
    "debian", "ubuntu", "fedora", "centos", "rocky", "almalinux", "red hat", "oracle", "amazon", "suse", "arch",
    "alpine", "gentoo", "nixos", "openeuler", "anolis", "kylin", "deepin", "uos", "raspbian", "freebsd", "macos",
    "windows", "linux",
)  # fmt: skip
_ARCHITECTURES: Final = frozenset(
    ("x86_64", "amd64", "aarch64", "arm64", "armv7l", "i686", "riscv64", "loongarch64", "ppc64le", "s390x")
)
_VERSION: Final = re.compile(r"(?<![0-9.])[0-9]{1,4}(?:\.[0-9]{1,3})?(?![0-9])", re.ASCII)
_COUNT: Final = re.compile(r"[0-9]{1,4}", re.ASCII)
_BYTES: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Told:
    """Machines in words."""

    text: str
    left_out: int = 0  # machines whose names are not in it


def facts_told(facts: Mapping[str, str]) -> str:
    """What may be told of a machine's facts, as in "debian 12, x86_64, 4 CPUs, 8 GiB"."""
    return _facts(*(facts.get(key, "") for key in ("os", "arch", "cpus", "memory"))) if facts else ""


@lru_cache(1_024)  # there are many machines and few kinds of them
def _facts(system: str, architecture: str, cpus: str, memory: str) -> str:
    parts = []
    system = system[:128].casefold()
    name = next((known for known in _SYSTEMS if known in system), "")
    if name:
        version = _VERSION.search(system)
        parts.append(f"{name} {version[0]}" if version else name)
    if architecture in _ARCHITECTURES:
        parts.append(architecture)
    if _COUNT.fullmatch(cpus):
        parts.append(f"{int(cpus)} CPUs")
    if _BYTES.fullmatch(memory) and (gibibytes := round(int(memory) / 2**30)):
        parts.append(f"{gibibytes} GiB")
    return ", ".join(parts)


def tell(inventory: Inventory, tokens: int) -> Told:
    """Machines within `tokens`, those with the same labels and facts in one line; the rest is counted."""
    groups: dict[str, list[str]] = {}
    for machine in inventory.machines.values():
        groups.setdefault(_traits(machine), []).append(machine.name)
    lines: list[str] = []
    left_out, room = 0, tokens
    ordered = sorted((min(names), traits, names) for traits, names in groups.items())
    for index, (_, traits, names) in enumerate(ordered):
        tail = f": {traits}" if traits else ""
        share = max(24, room // (len(ordered) - index))
        shown = _within(sorted(names), share - estimate_tokens(tail) - 12)
        more = len(names) - len(shown)
        line = ", ".join(shown) + (f" and {more} more" if more and shown else f"{more} machines" if more else "") + tail
        if estimate_tokens(line) > room:
            left_out += len(names)
            continue
        room -= estimate_tokens(line) + 1
        left_out += more
        lines.append(line)
    return Told("\n".join(lines), left_out)


def _within(names: list[str], tokens: int) -> list[str]:
    shown: list[str] = []
    for name in names:
        tokens -= estimate_tokens(name + ", ")
        if tokens < 0:
            break
        shown.append(name)
    return shown


def _traits(machine: Machine) -> str:
    facts = facts_told(machine.facts)
    return "; ".join(part for part in (" ".join(labels_told(machine)[:MAX_LABELS]), facts) if part)


def labels_told(machine: Machine) -> list[str]:
    """Its labels, sorted; but for those that look like a secret."""
    return [label for label in (f"{key}={value}" for key, value in sorted(machine.labels.items())) if _harmless(label)]


@lru_cache(4_096)
def _harmless(label: str) -> bool:
    return redact(label) == label


def expressions(inventory: Inventory) -> tuple[str, ...] | None:
    """Everything that may stand for machines in an answer: names, labels, `*`; None where they are too many."""
    if not inventory.machines or len(inventory.machines) > MAX_EXPRESSIONS:
        return None
    labels = {label for one in inventory.machines.values() for label in labels_told(one)}
    found = (*sorted(inventory.machines), *sorted(labels))
    every = ("*",) if len(inventory.machines) > 1 else ()
    return (*found, *every) if len(found) < MAX_EXPRESSIONS else None


def digest(inventory: Inventory) -> str:
    """Stands for all that is told of machines, and for what every expression means."""
    machines = sorted(inventory.machines.items())
    # All labels: an expression of a model may mean what it was not told of.
    lines = [f"{name}\0{sorted(one.labels.items())}\0{facts_told(one.facts)}" for name, one in machines]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
