"""agent.uplink.vitals: what a machine tells about itself, and that the link takes it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from agent.uplink import vitals as module
from agent.uplink.vitals import facts, vitals
from common.link.bodies import from_body, to_body
from common.link.messages import Heartbeat, Hello


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


@pytest.fixture
def log_lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What is said to be missing, from here on as in a fresh process."""
    lines: list[dict[str, object]] = []
    monkeypatch.setattr(module, "_missing", set())
    monkeypatch.setattr(module.log, "warning", lambda event, **fields: lines.append({"event": event, **fields}))
    return lines


ERRORS = (
    OSError("gone"),
    RuntimeError("line 'btime' not found"),
    KeyError("MemTotal"),
    IndexError(),
    ValueError("n/a"),
)


def failing(number: int) -> Callable[[], NoReturn]:
    def fail() -> NoReturn:
        raise ERRORS[number % len(ERRORS)]

    return fail


def test_each_fact_is_missing_by_itself(monkeypatch: pytest.MonkeyPatch, log_lines: list[dict[str, object]]) -> None:
    """Whichever one cannot be read, with whatever error: the others are there, and the gap is said once."""
    whole = module._FACTS
    for index, name in enumerate(whole):
        monkeypatch.setattr(module, "_FACTS", {**whole, name: failing(index)})
        assert facts().keys() == whole.keys() - {name}
        assert facts().keys() == whole.keys() - {name}
    assert [line["what"] for line in log_lines] == list(whole)


def test_each_figure_is_missing_by_itself(monkeypatch: pytest.MonkeyPatch, log_lines: list[dict[str, object]]) -> None:
    """A heartbeat goes out with what there is."""
    whole, every = module._VITALS, vitals().keys()
    log_lines.clear()
    for index, name in enumerate(whole):
        monkeypatch.setattr(module, "_VITALS", {**whole, name: failing(index)})
        left = vitals().keys()
        assert left < every
        assert len(left) >= len(every) - 3
    assert {line["what"] for line in log_lines} == set(whole)


def test_impossible_figures_are_left_out(monkeypatch: pytest.MonkeyPatch, log_lines: list[dict[str, object]]) -> None:
    """A container that knows nothing of its memory has no memory figure, rather than none of memory."""
    empty = SimpleNamespace(total=0, percent=0.0, available=0, free=0)
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: empty)
    monkeypatch.setattr(module.psutil, "disk_usage", lambda _: empty)
    monkeypatch.setattr(module.psutil, "cpu_percent", lambda interval: float("nan"))
    monkeypatch.setattr(module.os, "getloadavg", lambda: (-1.0, 0.5, float("inf")))
    assert vitals().keys() == {"load5", "uptime"}
    assert "memory" not in facts()
    assert {line["what"] for line in log_lines} == {"cpu", "load1", "load15", "memory"}


def test_the_real_machine_without_proc(tmp_path: Path) -> None:
    """A process in which /proc is an empty folder: facts and vitals come, with what needs no /proc."""
    script = "from agent.uplink.vitals import facts, vitals; print(sorted(facts()), sorted(vitals()))"
    inner = f'mount -t tmpfs none /proc && exec "{sys.executable}" -c "{script}"'
    command = ["unshare", "--mount", "--user", "--map-root-user", "sh", "-c", inner]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("this machine lets nobody make namespaces")
    assert done.returncode == 0, done.stderr
    assert "'arch', 'cpus', 'hostname', 'kernel'" in done.stdout
    assert "'uptime'" in done.stdout
    assert "'memory'" not in done.stdout
