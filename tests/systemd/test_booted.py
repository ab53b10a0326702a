"""The runner's unit and its drop-in under a systemd that runs: in namespaces of its own, on a copy of this machine's
files that is gone with it (unshare, overlayfs). Slow; for root, where the kernel lets it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.identity.signing import SigningKey
from tests.systemd.test_units import FOLDER

SYSTEMD = Path("/lib/systemd/systemd")
ROOT = Path(__file__).resolve().parents[2]
PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
WITHIN = 60.0
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0 or not SYSTEMD.exists() or not shutil.which("unshare"), reason="needs both"),
]
BOOT = r"""
set -e
mount --make-rprivate /
B=$1; mount -t tmpfs -o mode=755 tmpfs $B; mkdir $B/u $B/w $B/r; R=$B/r
mount -t overlay overlay -o lowerdir=/,upperdir=$B/u,workdir=$B/w $R
mount -t proc proc $R/proc; mount -t sysfs -o ro sysfs $R/sys
mount -t tmpfs -o mode=755 tmpfs $R/sys/fs/cgroup; mkdir $R/sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd,xattr cgroup $R/sys/fs/cgroup/systemd
mount -t tmpfs -o mode=755 tmpfs $R/dev
for name in null zero full random urandom tty; do touch $R/dev/$name; mount --bind /dev/$name $R/dev/$name; done
mkdir $R/dev/shm; mount -t tmpfs tmpfs $R/dev/shm
mount -t tmpfs -o mode=755 tmpfs $R/run; mount -t tmpfs -o mode=1777 tmpfs $R/tmp
: > $R/etc/machine-id; mkdir -p $R/etc/systemd/system
printf '[Unit]\nRequires=dbus.socket\nAfter=dbus.socket\n' > $R/etc/systemd/system/probe.target
exec chroot $R env -i container=probe PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=probe.target
"""
SET_UP = r"""
set -e
for user in answerback-agent answerback-runner; do
    useradd --system --home-dir /var/lib/answerback-agent --shell /usr/sbin/nologin $user
done
chmod a+x $WAY
mkdir -p /opt/answerback/bin /var/lib/answerback-agent/runner
printf '#!/bin/sh\nPYTHONPATH=/opt/answerback/code:%s exec %s -P -m agent "$@"\n' "$CODE" "$PYTHON" \
    > /opt/answerback/bin/answerback-agent
chmod 755 /opt/answerback/bin/answerback-agent
cp "$CODE/systemd/answerback-runner.service" /etc/systemd/system/
printf '%s' "$TRUST" > /var/lib/answerback-agent/runner/trust.json
printf '%s' "$POLICY" > /var/lib/answerback-agent/runner/policy.toml
"""
POLICY = """
default = "allow"
[[rule]]
id = "who"
about = "x"
program = "/usr/bin/whoami"
verdict = "allow"
run_as = "root"
"""
ASK = """
import asyncio, importlib.util, json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
spec = importlib.util.spec_from_file_location("kit", sys.argv[1] + "/tests/agent/runner/uplink.py")
kit = sys.modules["kit"] = importlib.util.module_from_spec(spec); spec.loader.exec_module(kit)
from common.identity.signing import SigningKey
home = object.__new__(kit.Home)
home.key, home.uplinks = SigningKey.from_pem(sys.stdin.buffer.read()), []
home.socket = Path("/run/answerback-runner/runner.sock")
async def main():
    uplink, found = await kit.Uplink.known(home), []
    for argv in json.loads(sys.argv[2]):
        job = uplink.order(*argv)
        while True:
            try:
                ended = await uplink.end(job)
                break
            except AssertionError:  # another program serves now
                uplink = await kit.Uplink.known(home)
        found.append([getattr(ended, "outcome", "refused"), ended.reason, uplink.output(ended.job).decode()])
    print(json.dumps(found))
asyncio.run(main())
"""


class Booted:
    """A systemd that runs, and the runner's unit in it."""

    def __init__(self, pid: int) -> None:
        self.key = SigningKey.generate()
        self._inside = ["nsenter", "-t", str(pid), "-m", "-p", "-u", "-i", "-n", "-C", "-r", "-w", "env", "-i", PATH]
        trust = {"name": "web-1", "hub": "h1", "job_keys": {self.key.id: self.key.public.hex()}}
        variables = (f"PYTHON={sys.executable}", f"CODE={ROOT}", f"TRUST={json.dumps(trust)}", f"POLICY={POLICY}")
        way = " ".join(str(folder) for folder in Path(os.path.realpath(sys.executable)).parents)
        self.run(*variables, f"WAY={way}", "bash", "-c", SET_UP)

    def run(self, *words: str, data: bytes = b"") -> str:
        done = subprocess.run([*self._inside, *words], input=data, capture_output=True, timeout=WITHIN, check=False)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout.decode()

    def wait_for(self, *words: str) -> None:
        """Until the command succeeds."""
        deadline = time.monotonic() + WITHIN
        while subprocess.run([*self._inside, *words], capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, words
            time.sleep(0.1)

    def install(self, version: str) -> None:
        """Another version of the program from here on; "" is one whose runner cannot be started."""
        change, file = f's/^VERSION = .*/VERSION = "{version}"/', "common/version.py"
        if not version:
            change, file = "s/^import asyncio/import asyncio, no_such_library/", "agent/runner/app.py"
        copy = (
            "set -e; rm -rf /opt/answerback/code; mkdir /opt/answerback/code; "
            f"cp -r {ROOT}/agent {ROOT}/common /opt/answerback/code; "
            f"sed -i '{change}' /opt/answerback/code/{file}; chmod -R a+rX /opt/answerback/code"
        )
        self.run("bash", "-c", copy)

    def ask(self, *commands: tuple[str, ...]) -> list[tuple[str, str, str]]:
        """How each ended: outcome, reason, output."""
        said = self.run(sys.executable, "-c", ASK, str(ROOT), json.dumps(commands), data=self.key.to_pem())
        return [(outcome, reason, output) for outcome, reason, output in json.loads(said)]


@pytest.fixture
def booted(tmp_path: Path) -> Iterator[Booted]:
    place = tmp_path / "m"
    place.mkdir()
    kinds = ["--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--kill-child"]
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(["unshare", *kinds, "bash", "-c", BOOT, "boot", str(place)], stdout=log, stderr=log)
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline = time.monotonic() + WITHIN
        while True:
            pid = (children.read_text().split() or ["0"])[0] if process.poll() is None else "0"
            if process.poll() is not None:
                pytest.skip(f"no systemd runs here: {(tmp_path / 'log').read_text()[-300:]}")
            state = subprocess.run(
                ["nsenter", "-t", pid, "-m", "-p", "-C", "-r", "-w", "systemctl", "is-system-running"],
                capture_output=True, text=True, check=False,
            ) if pid != "0" else None  # fmt: skip
            if state is not None and state.stdout.strip() in ("running", "degraded"):
                break
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()[-2_000:]
            time.sleep(0.1)
        yield Booted(int(pid))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        log.close()


def test_the_runner_as_its_own_user_and_as_root_by_the_drop_in(booted: Booted) -> None:
    """Trust: its own user may look and change nothing; by the drop-in a rule's `run_as = "root"` is root's, and all
    else that user's still, without rights and gaining none; without that user it is refused.
    """
    looks = (
        ("/usr/bin/id", "-un"),
        ("/usr/bin/whoami",),
        ("/usr/bin/touch", "/usr/answerback-mark"),
        ("/usr/bin/grep", "-hE", "NoNewPrivs|CapEff", "/proc/self/status"),
    )
    unit = "answerback-runner"
    booted.run("systemctl", "daemon-reload")
    booted.run("systemctl", "start", unit)
    own, rooted, touched, rights = booted.ask(*looks)
    assert (own[0], own[2]) == ("succeeded", f"{unit}\n")
    assert (rooted[0], "start it as root with the drop-in" in rooted[1]) == ("refused", True)
    assert (touched[0], "Read-only file system" in touched[2]) == ("failed", True)
    assert rights[2] == "CapEff:\t0000000000000000\nNoNewPrivs:\t1\n"
    drop_in = f"/etc/systemd/system/{unit}.service.d/root.conf"
    booted.run("install", "-D", "-m", "644", str(FOLDER / "answerback-runner.root.conf"), drop_in)
    booted.run("systemctl", "daemon-reload")
    booted.run("systemctl", "restart", unit)
    own, rooted, touched, rights = booted.ask(*looks)
    assert (own[0], own[2]) == ("succeeded", f"{unit}\n")
    assert (rooted[0], rooted[2]) == ("succeeded", "root\n")
    assert (touched[0], "Permission denied" in touched[2]) == ("failed", True)
    assert rights[2] == "CapEff:\t0000000000000000\nNoNewPrivs:\t1\n"
    booted.run("userdel", unit)
    booted.run("systemctl", "restart", unit)
    own, rooted, *_ = booted.ask(*looks[:2])
    assert (own[0], "useradd --system" in own[1]) == ("refused", True)
    assert (rooted[0], rooted[2]) == ("succeeded", "root\n")


def test_a_reload_takes_the_installed_version_over_a_running_job(booted: Booted) -> None:
    """`systemctl reload` of the unit as its own user: the same main process goes on as what is installed now, and the
    job that ran through it ends with all its output; what cannot be started fails the reload, and nothing else.
    """
    unit = "answerback-runner"
    booted.run("systemctl", "daemon-reload")
    booted.run("systemctl", "start", unit)
    before = booted.run("systemctl", "show", "-p", "MainPID", "--value", unit)
    script = "for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.5; done"
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(booted.ask, ("/bin/sh", "-c", script))
        booted.wait_for("pgrep", "-u", unit, "sleep")
        booted.install("9.8.7")
        booted.run("systemctl", "reload", unit)
        assert booted.run("cat", "/run/answerback-runner/runner.sock.version") == "9.8.7"
        ((outcome, _, output),) = asked.result(WITHIN)
    assert (outcome, output.split()) == ("succeeded", [str(number) for number in range(1, 11)])
    booted.install("")
    with pytest.raises(AssertionError, match="reload"):
        booted.run("systemctl", "reload", unit)
    said = booted.run("cat", "/var/lib/answerback-agent/runner/upgrade.json")
    assert json.loads(said)["state"] == "refused"
    assert booted.run("systemctl", "show", "-p", "MainPID", "--value", unit) == before
    assert booted.ask(("/usr/bin/id", "-un"))[0][0] == "succeeded"
