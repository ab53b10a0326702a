"""agent.uplink.vitals: what a machine tells about itself, and that the link takes it."""

from __future__ import annotations

from pathlib import Path

from agent.uplink.vitals import facts, vitals
from common.messages import Heartbeat, Hello, from_body, to_body


def test_vitals_fit_a_heartbeat() -> None:
    """Every value is a finite float within its meaning, and the message's own check takes them."""
    found = vitals()
    assert from_body("heartbeat", to_body(Heartbeat(found)), "agent") == Heartbeat(found)
    assert all(0 <= found[key] <= 100 for key in ("cpu", "memory", "disk"))
    assert found["uptime"] > 0
    assert found["memory_free"] > 1024 * 1024


def test_facts_fit_a_hello() -> None:
    """Every fact is short printable text, and the boot id is the kernel's."""
    found = facts()
    hello = Hello(1, "agent", "web-1", "0", facts=found)
    assert from_body("hello", to_body(hello), "agent") == hello
    assert all(value.isprintable() and 0 < len(value) <= 128 for value in found.values())
    assert found["boot"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert {"os", "kernel", "arch", "python", "hostname", "cpus", "memory"} <= found.keys()
