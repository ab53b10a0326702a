"""The default policy on a machine full of canaries: no invocation that it allows prints one.

Trust: B4 (environment and configuration as code), B8 (paths), B9 (second readings of options), S5 of the reads. The
invocations are made from each rule's own grammar; `python -m tests.canaries.report` prints the table with more of them.
"""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass
from importlib import resources

import pytest

from common.policy.check import Policy
from common.policy.file import load_policy_bytes
from tests.canaries import machine, world
from tests.canaries.judge import all_findings, findings
from tests.canaries.machine import Invocation, ask, try_all
from tests.canaries.report import examine
from tests.canaries.trace import Acts, read_trace
from tests.hub.planning.defaults import default_policy

needs_machine = pytest.mark.skipif(bool(machine.missing()), reason=machine.missing() or "-")
COUNT = 2
"""Invocations of each rule in the normal run; about ten seconds of processor in all."""
SEED = 10

KNOWN = """
git -C /srv/norepo diff -- .ssh/id_rsa
git -C /srv/norepo diff keys/id_rsa a.txt
git -C /srv/norepo diff -- keys/id_rsa a.txt
git -C /home/alice diff -- private/diary.txt
git -C /srv/git/links blame linked/id_rsa
git -C /srv/git/links blame HEAD linked/id_rsa
git -C /srv/git/links diff -- linked
git -C /srv/git/partial show HEAD~1:tracked.txt
git -C /srv/git/submodule status
git -C /srv/git/format log -1
git -C /srv/git/attributes diff
git -C /srv/git/ignorerevs blame tracked.txt
git -C /srv/git/plain describe --tags
ps -ef
ps -eo pid,args
ps -u root -f
ps -C xe -f
ps aux
top -b -n 1
pgrep -a sleep
grep -r . /var/log
grep -ra . /var/log
grep . /var/log/app/pipe
grep -e . /var/log/app/pipe
grep -e . /etc/nginx/nginx.conf /var/log/app/e
journalctl -n 5
journalctl -n 5 -o verbose
journalctl -o json
journalctl -o export --output-fields=MESSAGE,_PID
journalctl -F COREDUMP_EXE
journalctl COREDUMP_EXE=/usr/bin/app -o cat
cat /var/log/linked.log
cat /var/log/linked/id_rsa
tail /var/log/app/relative.log
grep -e . /etc/nginx/conf.d/linked.conf
head /usr/share/app/linked.txt
md5sum --check /srv/norepo/linked.txt
cat /var/log/syslog /etc/nginx/conf.d/app.conf
apt show canary
apt-cache policy
apt-get -s upgrade
rpm -V bash
sysctl -a
openssl x509 -in /etc/nginx/site.pem -noout -subject
openssl x509 -in /srv/app/deploy_id_rsa -text
file /srv/app/release.txt
systemctl show app.service
systemctl list-unit-files app*
find /etc /root -name id_rsa
find /home /srv -ls
ls -la /etc/nginx/ssl /home/alice
stat /etc/nginx/ssl/privkey.pem
lsof -p 1
dpkg -S /etc/nginx/ssl/privkey.pem
""".strip().splitlines()
"""Where secrets have been read before, or nearly: what of it the policy allows is tried in every run."""


@needs_machine
def test_no_allowed_invocation_reads_a_secret_or_does_more_than_read(capsys: pytest.CaptureFixture[str]) -> None:
    """Trust: of each rule's invocations none prints a canary, runs a second program, writes, connects out or hangs."""
    found = examine(default_policy(), COUNT, SEED)
    run = Counter(tried.made.rule for tried in found.tried if not tried.refused)
    absent = machine.absent(default_policy())
    with capsys.disabled():
        print("\n" + list(found.lines())[-1])
        print(f"canaries: not installed here, so not run: {', '.join(absent) or 'nothing'}")
    assert [str(one) for one in found.findings] == []
    expected = {
        rule.id
        for rule in default_policy().rules
        if rule.verdict == "allow" and rule.program.path not in absent and not rule.program.repository
    }
    assert expected <= set(run), "a rule of which nothing was run proves nothing"


@needs_machine
def test_what_has_leaked_before_leaks_no_more() -> None:
    """Trust: the known ways, word by word: to a file outside of any repository, to environments, to keys and lists."""
    tried = try_all(ask(default_policy(), shlex.split(line)) for line in KNOWN)
    assert len(tried) >= len([each for each in tried if each.refused]) + 10
    assert [str(one) for one in all_findings(tried)] == []


@dataclass(frozen=True)
class Removed:
    """A control of the policy, taken out by replacing text of it, and an invocation that then does more than read."""

    control: str
    without: str
    line: str
    kind: str  # of what is found
    verify: bool = True  # whether the machine still looks at checkouts before it starts git
    also: tuple[str, str] = ("", "")  # a second text, where two controls hold the same thing

    def policy(self, text: str) -> Policy:
        for old, new in ((self.control, self.without), self.also):
            assert old in text, f"the policy has no {old!r} any more"
            text = text.replace(old, new)
        return load_policy_bytes(text.encode(), "policy.toml")


_READABLE = 'shape = "FILE"\nbeneath = [\n  "/var/log"'
REMOVED = (
    Removed(_READABLE, f"secrets = true\n{_READABLE}", "cat /etc/nginx/ssl/privkey.pem", "leak"),
    Removed(_READABLE, f"secrets = true\n{_READABLE}", "tail /var/log/btmp.1", "leak"),
    Removed(_READABLE, f"hidden = true\n{_READABLE}", "cat /var/log/app/.hidden/x.log", "leak"),
    Removed("[types.logs]\n", "[types.logs]\nsecrets = true\n", "grep -r . /var/log/audit/audit.log", "leak"),
    Removed('"--exclude=btmp*", ', "", "grep -r . /var/log", "leak"),
    Removed('"--exclude-dir=journal", ', "", "grep -ra . /var/log", "leak"),
    Removed('"--exclude-dir=.?*", ', "", "grep -r . /var/log", "leak"),
    Removed('"/etc/sysctl.d",', '"/etc/sysctl.d", "/etc/apt/sources.list",', "cat /etc/apt/sources.list", "leak"),
    Removed('max_items = 64, default = "MESSAGE', 'max_items = 64, default = "COREDUMP_ENVIRON,MESSAGE',
            "journalctl -o verbose", "leak", also=("COREDUMP_(?:COMM", "COREDUMP_(?:ENVIRON|COMM")),
    Removed('COREDUMP_(?:COMM', 'COREDUMP_(?:ENVIRON|COMM', "journalctl -F COREDUMP_ENVIRON", "leak"),
    Removed("[aTfhjlrsuvwx]", "[aTefhjlrsuvwx]", "ps axe", "leak"),
    Removed('env = { XDG_CONFIG_HOME = "/dev/null" }', "env = {}", "top -b -n 1", "write"),
    Removed('insert = ["-oDir::Cache::pkgcache=", "-oDir::Cache::srcpkgcache="]', "", "apt show canary", "write"),
    Removed('insert = ["--numeric-hosts"]', "", "netstat -g", "connection"),
    Removed('insert = ["--dbpath=/var/lib/rpm"]', "", "rpm -qa", "program"),
    Removed('"-qia", "--changelog"', '"-qia", "--last", "--changelog"', "rpm -qa --last", "program"),
    Removed('insert = ["--no-show-signature", ', "insert = [", "git -C /srv/norepo diff id_ecdsa a.txt", "leak", False),
    Removed('default = "HEAD" },  # never', "},  # never", "git -C /srv/git/links blame linked/id_rsa", "leak", False,
            ("min = 0, }", "min = 0 }")),
    Removed('"blame.ignoreRevsFile"', '"x.y"', "git -C /srv/git/ignorerevs blame tracked.txt", "leak", False),
    Removed('"core.attributesFile"', '"x.y"', "git -C /srv/git/attributes diff", "leak", False),
    Removed('"core.fsmonitor"', '"x.y"', "git -C /srv/git/monitor status", "program", False),
    Removed('insert = ["--no-ext-diff", "--no-textconv", "--submodule=short"]', "",
            "git -C /srv/git/differ log -p -1", "program", False),
    Removed("repository = true\n", "", "git -C /srv/git/filters status", "program"),
    Removed("repository = true\n", "", "git -C /srv/git/include status", "program"),
    Removed("repository = true\n", "", "git -C /srv/git/worktree diff", "leak"),
    Removed("repository = true\n", "", "git -C /srv/git/alternates log", "leak"),
    Removed("repository = true\n", "", "git -C /srv/git/packed branch -a", "leak"),
    Removed("repository = true\n", "", "git -C /srv/git/shallow log", "leak"),
    Removed("repository = true\n", "", "git -C /srv/git/rebase status", "leak"),
)  # fmt: skip
"""Each control, taken out once: the machine must notice."""


@needs_machine
@pytest.mark.parametrize("verify", [True, False])
def test_the_machine_notices_where_a_control_is_taken_out(verify: bool) -> None:
    """Trust: without the control the same machine finds what it is there against; so that the tests above can fail."""
    text = resources.files("hub").joinpath("defaults", "policy.toml").read_text(encoding="utf-8")
    made: list[tuple[Removed, Invocation]] = []
    absent = machine.absent(default_policy())
    for removed in (each for each in REMOVED if each.verify is verify):
        invocation = ask(removed.policy(text), shlex.split(removed.line))
        assert invocation.verdict.kind == "allow", (removed.line, str(invocation.verdict.reason))
        if invocation.verdict.argv[0] not in absent:
            made.append((removed, invocation))
    missed = []
    for (removed, _), tried in zip(made, try_all([each for _, each in made], verify=verify), strict=True):
        if removed.kind not in {finding.kind for finding in findings(tried)}:
            missed.append(f"{removed.line} without {removed.control[:60]!r}: no {removed.kind}: {tried.head[:200]}")
    assert missed == []


@pytest.mark.slow
@needs_machine
def test_thousands_of_invocations_find_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Trust: the same with fifty invocations of each rule and another seed, the table shown."""
    found = examine(default_policy(), 50, SEED + 1)
    with capsys.disabled():
        print("\n" + "\n".join(found.lines()))
    assert [str(one) for one in found.findings] == []


def test_a_trace_is_read() -> None:
    """strace's lines: other programs, writes and connections; reading, own threads and the null device are none."""
    assert read_trace(
        """1 execve("/usr/bin/x", ["x"], 0x1 /* 2 vars */) = 0
1 openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3
1 openat(AT_FDCWD, "/dev/null", O_RDWR) = 3
1 openat(AT_FDCWD, "/tmp/a\\"b", O_WRONLY|O_CREAT, 0666) = 4
2 execve("/usr/bin/none", ["y"], 0x1 /* 2 vars */) = -1 ENOENT (No such file or directory)
2 execve("/usr/bin/y", ["y"], 0x1 /* 2 vars */ <unfinished ...>
2 connect(3, {sa_family=AF_UNIX, sun_path="/run/nscd/socket"}, 110) = -1 ENOENT (No such file or directory)
2 connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("10.0.0.1")}, 16) = 0
2 connect(3, {sa_family=AF_INET6, sin6_port=htons(80), inet_pton(AF_INET6, "::1", &sin6_addr)}, 28) = 0
2 kill(1, SIGTERM) = 0
2 kill(77, SIGTERM) = 0
2 unlink("/tmp/x") = 0
"""
    ) == Acts(
        ("/usr/bin/y",),
        ('openat /tmp/a\\"b', "kill 77, SIGTERM) = 0", 'unlink "/tmp/x") = 0'),
        ("10.0.0.1:53", "::1:80"),
    )


def test_every_secret_is_a_canary_and_nothing_else_is() -> None:
    """What is planted as a secret holds the mark; ordinary files, names and paths do not."""
    assert all(world.MARK in planted.text for planted in world.SECRETS)
    assert len({planted.path for planted in world.SECRETS}) == len(world.SECRETS) > 120
    assert not any(world.MARK in text for text in (world.PLAIN, *world.ORDINARY, *world.paths()))
    assert not set(world.ORDINARY) & {planted.path for planted in world.SECRETS}
