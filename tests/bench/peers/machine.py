"""What the figures were measured on, and which code."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[3]


def describe() -> dict[str, Any]:
    return {
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": _said("git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude", "*"),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
        "load_before": [round(value, 2) for value in os.getloadavg()],
        "openssh": _said("ssh", "-V"),
        "redis": _said("redis-server", "--version"),
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _said(*argv: str) -> str:
    if shutil.which(argv[0]) is None:
        return ""
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    return (ended.stdout or ended.stderr).strip()[:120]
