"""Inside the canary machine: builds it in namespaces of its own, runs argument vectors on it under strace, and reports.

Started by `machine.py` as `unshare … python -m tests.canaries.room FOLDER`; reads one JSON object from standard input,
writes one JSON line for each invocation. FOLDER is an empty folder on which a file system in memory is mounted: nothing
of it is seen outside, and nothing outside is written to. /usr is the real one, read-only.
"""

from __future__ import annotations

import encodings.ascii  # noqa: F401  before the root folder changes: nothing can be imported afterwards
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from agent.runner.process import base_environment
from agent.runner.programs import CannotRun, open_program
from agent.runner.real_paths import CheckedPaths, check_paths
from agent.runner.repository import verify_repository
from common.catalogue import Sentence
from common.policy.machine_checks import read_checks
from tests.canaries import checkouts, world
from tests.canaries.trace import TRACED

OUTPUT_LIMIT = 16 << 20
COPIED = (
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "services", "protocols", "localtime", "timezone"),
    *("nsswitch.conf", "magic", "magic.mime", "sensors3.conf", "rpm", "dpkg", "debian_version", "os-release",
      "mke2fs.conf"),
    *("host.conf", "gai.conf", "lsb-release", "sysstat", "chrony", "rpc", "networks", "ethertypes", "netconfig",
      "iproute2"),
)  # fmt: skip


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def build(root: Path) -> None:
    mount("--make-rprivate", "/")
    mount("-t", "tmpfs", "-o", "mode=755", "canaries", str(root))
    for name in ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        source, target = Path("/", name), root / name
        if source.is_symlink():
            target.symlink_to(source.readlink())
        elif source.exists():
            target.mkdir()
            mount("--bind", "-o", "ro", str(source), str(target))
    overlay(root, "usr")
    for name in (
        "proc",
        "sys",
        "dev",
        "tmp",
        "run",
        "var",
        "etc",
        "root",
        "home",
        "srv",
        "opt",
        "boot",
        "mnt",
        "media",
    ):
        (root / name).mkdir()
    (root / "tmp").chmod(0o1777)
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("--rbind", "-o", "ro", "/sys", f"{root}/sys")
    for minor, name in ((3, "null"), (5, "zero"), (7, "full"), (8, "random"), (9, "urandom")):
        os.mknod(root / "dev" / name, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        (root / "dev" / name).chmod(0o666)
    for name in COPIED:
        source = Path("/etc", name)
        if source.is_dir():
            shutil.copytree(source, root / "etc" / name, symlinks=True)
        elif source.exists():
            shutil.copy2(source, root / "etc" / name, follow_symlinks=True)
    etc = root / "etc"
    (etc / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/bash\nalice:x:1001:1001::/home/alice:/bin/bash\nxe:x:1002:1002::/home/xe:/bin/sh\n"
        "_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\nnobody:x:65534:65534::/:/usr/sbin/nologin\n"
    )
    (etc / "group").write_text("root:x:0:\nalice:x:1001:\nxe:x:1002:\nnogroup:x:65534:\n")
    (etc / "hosts").write_text("127.0.0.1 localhost web-1\n::1 localhost\n")
    (etc / "hostname").write_text("web-1\n")
    (etc / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    for name in ("lib/dpkg", "lib/rpm"):
        if Path("/var", name).exists():
            (root / "var" / name).mkdir(parents=True)
            mount("--bind", "-o", "ro", f"/var/{name}", f"{root}/var/{name}")
    (root / "var/cache/apt/archives/partial").mkdir(parents=True)
    lists = root / "var/lib/apt/lists"
    (lists / "partial").mkdir(parents=True)
    for host in ("apt", "b"):
        listed = lists / f"{host}.example.org_debian_dists_stable_main_binary-amd64_Packages"
        listed.write_text(
            "Package: canary\nVersion: 1\nArchitecture: amd64\nMaintainer: A <a@example.org>\nDescription: e\n"
            "Filename: pool/c.deb\nSize: 1\nSHA256: " + "0" * 64 + "\n\n"
        )
    world.plant(root)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=False, stderr=subprocess.DEVNULL)


def overlay(root: Path, name: str) -> None:
    """A writable layer over the real /usr, for the canaries that are planted in it."""
    upper, work = root / f".{name}-upper", root / f".{name}-work"
    upper.mkdir()
    work.mkdir()
    mount("-t", "overlay", "-o", f"lowerdir=/{name},upperdir={upper},workdir={work}", "overlay", f"{root}/{name}")


def witnesses() -> None:
    """Processes whose environment holds a canary: root's, and another person's."""
    for name, uid in (("sleep", 0), ("xe", 0), ("sshd", world.ALICE)):
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.setgid(uid)
            os.setuid(uid)
            environment = {"PATH": "/usr/bin", "DB_PASSWORD": world.canary("environment"), "LANG": "C"}
            os.execve("/usr/bin/sleep", [name, "100000"], environment)  # noqa: S606


def look(item: dict[str, Any], verify: bool) -> CheckedPaths:
    """What the runner looks at before a start, for the policy's part: the program, the paths, the checkout."""
    argv, uid = tuple(item["argv"]), os.geteuid()
    policies = (("the policy", read_checks(item["checks"])),)
    open_program(argv[0], uid, policies).close()
    paths = check_paths(argv, policies, uid)
    if verify:
        verify_repository(argv, tuple(map(tuple, item["env"])), item["cwd"], uid)
    return paths


def run(number: int, item: dict[str, Any], deadline: float, verify: bool) -> dict[str, Any]:
    cwd = item["cwd"]
    try:
        paths = look(item, verify)
    except CannotRun as refusal:
        return {"refused": str(refusal)}
    out, record = f"/canaries/{number}.out", f"/canaries/{number}.trace"
    words = ["/usr/bin/strace", "-f", "-qq", "--seccomp-bpf", "-e", "signal=none", "-s", "256", "-e", f"trace={TRACED}"]
    environment = {**base_environment(), **dict(item["env"]), "LANG": item["locale"]}
    begun = time.monotonic()
    with open(out, "wb") as file:
        try:
            child = subprocess.Popen(
                [*words, "-o", record, "--", *paths.argv],
                cwd=cwd or "/srv/empty",
                env=environment,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                pass_fds=paths.descriptors,
            )
        except OSError as error:
            return {"refused": f"{cwd}: {error.strerror}"}
        try:
            code = child.wait(deadline)
            hung = False
        except subprocess.TimeoutExpired:
            code, hung = -1, True
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()
    paths.close()
    output = Path(out).read_bytes()
    trace = Path(record).read_text(encoding="utf-8", errors="replace") if Path(record).exists() else ""
    for path in (out, record):
        Path(path).unlink(missing_ok=True)
    at = output.find(world.MARK.encode())
    leak = output[max(0, at - 80) : at + 80].decode("utf-8", "replace") if at >= 0 else ""
    return {
        "code": code, "hung": hung, "leak": leak, "trace": trace, "head": output[:300].decode("utf-8", "replace"),
        "seconds": time.monotonic() - begun,
    }  # fmt: skip


def main() -> None:
    root = Path(sys.argv[1])
    asked = json.load(sys.stdin)
    build(root)
    str(Sentence("policy_expected_path"))  # the catalogue is read from its files the first time
    os.chroot(root)
    os.chdir("/")
    os.umask(0o022)
    Path("/canaries").mkdir()
    if Path("/usr/bin/git").exists():
        checkouts.make()
    Path("/tmp/spied").unlink(missing_ok=True)
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT_LIMIT, OUTPUT_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    witnesses()
    with ThreadPoolExecutor(asked["together"]) as pool:
        for done in pool.map(lambda each: run(*each, asked["deadline"], asked["verify"]), enumerate(asked["items"])):
            print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main()
