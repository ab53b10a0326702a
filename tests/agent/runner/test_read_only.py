"""agent.runner.read_only"""

from __future__ import annotations

from agent.runner.read_only import only_reads
from tests.each import each_of

READS = [
    "/usr/bin/df -h -- /",
    "/bin/df",
    "/usr/bin/du -sh /var/log",
    "/usr/bin/ps aux",
    "/usr/bin/uptime",
    "/usr/bin/journalctl -u nginx -n 50 --no-pager --since today",
    "/bin/systemctl status --no-pager nginx",
    "/usr/bin/systemctl list-units --all",
    "/usr/bin/date",
    "/usr/bin/mount",
    "/usr/bin/dmesg -T",
    "/usr/bin/hostname",
]
ACTS = [
    "/usr/bin/rm -rf /tmp/x",
    "/usr/bin/journalctl --vacuum-size=100M",
    "/usr/bin/journalctl --vac=100M",
    "/usr/bin/journalctl --rotate",
    "/usr/bin/journalctl --cursor-file=/etc/passwd",
    "/usr/bin/systemctl restart nginx",
    "/usr/bin/systemctl --now status nginx",
    "/usr/bin/systemctl",
    "/usr/bin/date -s 12:00",
    "/usr/bin/mount -o remount,rw /",
    "/usr/bin/dmesg -C",
    "/usr/bin/hostname elsewhere",
    "/usr/bin/find / -delete",
    "/usr/bin/ss -K",
    "/tmp/df",
    "/usr/local/bin/df",
    "/usr/bin/../../tmp/df",
    "df",
    "",
]


@each_of("line", READS)
def test_what_changes_nothing(line: str) -> None:
    """The commands that one needs to find out why a disk is full."""
    assert only_reads(line.split(" "))


@each_of("line", ACTS)
def test_what_acts_or_is_not_known(line: str) -> None:
    """An option that acts, its abbreviation, a program from elsewhere: not run without a record."""
    assert not only_reads(line.split(" "))
