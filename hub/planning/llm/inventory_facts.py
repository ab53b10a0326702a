"""The inventory as it appears in prompts: names and labels, given by the hub's operators, and a few facts. Pure.

Facts come from the machines, and a compromised machine must not be able to inject text into a prompt. So of each fact
only words of a closed set and plain numbers are included; addresses, host names, ids and anything else are not. Online
state is left out: a plan waits for its machine, and prompts stay identical (and cached) while links come and go.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from hub.core.inventory import Inventory, Machine
from hub.planning.llm.redact import redact
from hub.planning.llm_servers.types import estimate_tokens

MAX_EXPRESSIONS: Final = 160  # names and labels listed one by one in the schema
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
class InventoryFacts:
    """The machines section of a prompt."""

    text: str
    left_out: int = 0  # machines whose names are not in it


def describe_facts(facts: Mapping[str, str]) -> str:
    """The safe part of a machine's facts, such as "debian 12, x86_64, 4 CPUs, 8 GiB"."""
    return _describe(*(facts.get(key, "") for key in ("os", "arch", "cpus", "memory"))) if facts else ""


@lru_cache(1_024)  # many machines, few distinct combinations
def _describe(system: str, architecture: str, cpus: str, memory: str) -> str:
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


def describe_inventory(inventory: Inventory, tokens: int) -> InventoryFacts:
    """The machines in at most `tokens` tokens, those with equal labels and facts on one line; the rest is counted."""
    groups: dict[str, list[str]] = {}
    for machine in inventory.machines.values():
        groups.setdefault(_describe_machine(machine), []).append(machine.name)
    lines: list[str] = []
    left_out, room = 0, tokens
    ordered = sorted((min(names), traits, names) for traits, names in groups.items())
    for index, (_, traits, names) in enumerate(ordered):
        tail = f": {traits}" if traits else ""
        share = max(24, room // (len(ordered) - index))
        shown = _names_within(sorted(names), share - estimate_tokens(tail) - 12)
        more = len(names) - len(shown)
        line = ", ".join(shown) + (f" and {more} more" if more and shown else f"{more} machines" if more else "") + tail
        if estimate_tokens(line) > room:
            left_out += len(names)
            continue
        room -= estimate_tokens(line) + 1
        left_out += more
        lines.append(line)
    return InventoryFacts("\n".join(lines), left_out)


def _names_within(names: list[str], tokens: int) -> list[str]:
    shown: list[str] = []
    for name in names:
        tokens -= estimate_tokens(name + ", ")
        if tokens < 0:
            break
        shown.append(name)
    return shown


def _describe_machine(machine: Machine) -> str:
    facts = describe_facts(machine.facts)
    return "; ".join(part for part in (" ".join(describe_labels(machine)[:MAX_LABELS]), facts) if part)


def describe_labels(machine: Machine) -> list[str]:
    """A machine's labels as key=value, sorted, without those that look like a secret."""
    return [
        label for label in (f"{key}={value}" for key, value in sorted(machine.labels.items())) if _is_safe_label(label)
    ]


@lru_cache(4_096)
def _is_safe_label(label: str) -> bool:
    return redact(label) == label


def machine_expressions(inventory: Inventory) -> tuple[str, ...] | None:
    """All expressions for machines in an answer: names, labels, `*`; None where there are too many."""
    if not inventory.machines or len(inventory.machines) > MAX_EXPRESSIONS:
        return None
    labels = {label for one in inventory.machines.values() for label in describe_labels(one)}
    found = (*sorted(inventory.machines), *sorted(labels))
    every = ("*",) if len(inventory.machines) > 1 else ()
    return (*found, *every) if len(found) < MAX_EXPRESSIONS else None


def inventory_digest(inventory: Inventory) -> str:
    """A digest of everything in prompts about machines, and of what every expression selects; for cache keys."""
    machines = sorted(inventory.machines.items())
    # All labels, since a model's expression may select by one that the prompt left out.
    lines = [f"{name}\0{sorted(one.labels.items())}\0{describe_facts(one.facts)}" for name, one in machines]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
