"""What is offered instead of a refused command: it does the same, policy does not deny it, and it is not stronger."""

from __future__ import annotations

import pytest

from common.command.grammar import BadLine
from common.command.line import parse_command
from common.command.output_filters import BadFilter
from common.plan import BadPlan, Step
from hub.core.cures import Argv, cure_argv, cure_line
from hub.core.judgement import bind_policy
from tests.hub.planning.defaults import default_policy

CHECK = bind_policy(default_policy(), ("operator",), lambda name: {}, False)


def allows(argv: Argv) -> bool:
    try:
        return CHECK(Step(argv, ("web-1",)), "web-1").kind != "deny"
    except BadPlan:
        return False


def cure(line: str) -> str:
    try:
        argv, filters = parse_command(line)
    except (BadLine, BadFilter) as error:
        sentence = cure_line(line, error, "@web-1", allows)
    else:
        assert not allows(argv), "it is not refused"
        sentence = cure_argv(argv, "@web-1", allows, filters)
    if sentence is None:
        return ""
    assert sentence.render("zh")
    assert sentence.render("en")
    return str(sentence.values.get("phrase", sentence.values.get("phrases", sentence.key)))


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ("ps aux | grep -P ngi.x", "@web-1 pgrep -a ngi.x"),
        ("cat /var/log/syslog | grep -P err.r", "@web-1 grep -P err.r /var/log/syslog"),
        ("cat /var/log/syslog | less", "@web-1 cat /var/log/syslog"),
        ("df -h | awk '{print $1}'", "@web-1 df -h"),
        ("df -h | sort | xargs ls", "@web-1 df -h"),
        ("df -h |", "@web-1 df -h"),
        ("tail -f /var/log/syslog | grep error", "@web-1 tail -n 100 /var/log/syslog | grep error"),
        ("ps aux | grep nginx && uptime", "@web-1 ps aux | grep nginx; @web-1 uptime"),
        ("ps aux | grep nginx > /tmp/x", "@web-1 ps aux | grep nginx"),
        ("df -h && uptime", "@web-1 df -h; @web-1 uptime"),
        ("df -h; uptime", "@web-1 df -h; @web-1 uptime"),
        ("df -h; rm -rf /", "@web-1 df -h"),
        ("df -h || uptime", "@web-1 df -h; @web-1 uptime"),
        ("df -h > /tmp/x", "@web-1 df -h"),
        ("df -h 2>/dev/null", "@web-1 df -h"),
        ("df -h 2>&1", "@web-1 df -h"),
        ("df -h &> /tmp/x", "@web-1 df -h"),
        ("df -h &", "@web-1 df -h"),
        ("ls /var/log/*.log", "@web-1 ls /var/log/"),
        ("find /var/log -name *.log", "@web-1 find /var/log -name '*.log'"),
        ("df -h\nuptime", "@web-1 df -h"),
        ("df -h\r\n@web-2 uptime\n", "@web-1 df -h"),
        ("tail -f /var/log/syslog", "@web-1 tail -n 100 /var/log/syslog"),
        ("tail -fn 20 /var/log/syslog", "@web-1 tail -n 20 /var/log/syslog"),
        ("journalctl -fu nginx", "@web-1 journalctl -u nginx -n 100"),
        ("docker logs -f web", "@web-1 docker logs --tail 100 web"),
        ("dmesg -w", "@web-1 dmesg"),
        ("watch -n 2 df -h", "@web-1 df -h"),
        ("htop", "@web-1 top -b -n 1"),
        ("sudo df -h", "@web-1 df -h"),
        ("sudo -u root systemctl status nginx", "@web-1 systemctl status nginx"),
        ("sudo rm -rf /", "cure_sudo_plain"),
        ("bash -c 'df -h'", "@web-1 df -h"),
        ("bash -c 'df -h | sort'", "cure_shell_plain"),
        ("timeout 10 df -h", "@web-1 df -h"),
        ("less /var/log/syslog", "@web-1 cat /var/log/syslog"),
        ("vim /var/log/syslog", "@web-1 cat /var/log/syslog"),
        ("vim", "cure_editor_plain"),
        ("ll /var/log", "@web-1 ls -la /var/log"),
        ("ifconfig eth0 up", "@web-1 ip addr"),
        ("$ df -h", "@web-1 df -h"),
        ("# df -h", "@web-1 df -h"),
        ("'df -h'", "@web-1 df -h"),
        ("'df -h | grep x'", ""),
        ("DF -h", "@web-1 df -h"),
        ("df -h。", "@web-1 df -h"),
        ("df -h，", "@web-1 df -h"),
        ("df -h,", "@web-1 df -h"),
        ("$HOME", ""),
        ("RM -rf /", ""),
        ("'rm -rf /'", ""),
        ("rm -rf /", ""),
        ("nonsense", ""),
    ],
)
def test_each_refusal_has_its_cure(line: str, phrase: str) -> None:
    """For the machine that was named; where nothing fits, nothing is made up."""
    assert cure(line) == phrase


def test_what_policy_denies_is_never_offered() -> None:
    """However well it would fit."""
    for line in ("cat /etc/shadow | grep root", "cat /etc/shadow > /tmp/x", "sudo cat /etc/shadow", "less /etc/shadow"):
        assert "shadow" not in cure(line)
    assert cure_argv(("sudo", "df"), "@web-1", lambda argv: False) is not None  # in words
