"""The lines that tell most come first, in both languages."""

from __future__ import annotations

import time

from hub.planning.ocr.highlights import MAX_HIGHLIGHTS, MAX_LENGTH, MIN_SCORE, find_highlights, score
from tests.each import each_of


@each_of(
    "line",
    [
        "Failed to write pid file: No space left on device",
        "cp: 无法创建普通文件 '/etc/nginx/app.conf': 设备上没有空间",
        "bash: /srv/run.sh: Permission denied",
        "ls: 无法打开目录 '/data/backup': 权限不够",
        "[81234.551209] Out of memory: Killed process 27714 (java)",
        "nginx[41873]: bind() to 0.0.0.0:443 failed (98: Address already in use)",
        "checkout-7d9c6b5f4-x2lqz   0/1     CrashLoopBackOff   14         52m",
        "ERROR 连接数据库失败: Connection refused",
        "【P1】生产环境告警：支付网关响应超时",
        "Error 0x80070005: Access is denied.",
        "错误代码：0x80070070",
        "redis-server.service 的作业失败，因为控制进程返回错误代码。",
        "用户 'report'@'10.0.3.2' 的访问被拒绝（使用密码：是）",
        "502 Bad Gateway",
        "java.lang.NullPointerException",
        "ping: db-3: 未知的名称或服务",
        "ops@web-1:~$ sudo systemctl restart nginx",
        "[root@db-2 ~]# df -h",
        "$ tail -f /var/log/syslog",
        "PS C:\\Users\\ops> Get-Service",
        "Process exited with code 137",
        "服务即将退出，退出码 137",
    ],
)
def test_lines_that_tell_something(line: str) -> None:
    """Errors, exit codes, units, and what was typed."""
    assert score(line) >= MIN_SCORE


@each_of(
    "line",
    [
        "tmpfs           3.9G  1.2M  3.9G   1% /run",
        "Filesystem      Size  Used Avail Use% Mounted on",
        "INFO  订单服务启动完成，监听端口 8080",
        "0 errors, 0 warnings",
        "备份成功，没有错误",
        "   Main PID: 40112 (code=exited, status=0/SUCCESS)",
        "Cancel",
        "取消",
        "重试  取消",
        "",
    ],
)
def test_lines_that_tell_nothing(line: str) -> None:
    """Tables, buttons, and good news."""
    assert score(line) < MIN_SCORE


def test_the_worst_comes_first() -> None:
    """A cause, then what failed with a code or a unit, then what was typed; of equals the earlier one."""
    lines = [
        "ops@web-1:~$ sudo systemctl restart nginx",
        "some chatter",
        "warning: nginx is deprecated here",
        "nginx.service: Failed with result 'exit-code', status=1",
        "write() failed: No space left on device",
        "open() failed: No space left on device",
    ]
    assert find_highlights(lines) == (
        "write() failed: No space left on device",
        "open() failed: No space left on device",
        "nginx.service: Failed with result 'exit-code', status=1",
        "ops@web-1:~$ sudo systemctl restart nginx",
        "warning: nginx is deprecated here",
    )


def test_what_was_typed_is_no_error() -> None:
    """A command that names an error is still a command."""
    assert score("$ grep 'Permission denied' /var/log/auth.log") == score("$ df -h")


def test_they_are_few_and_short_and_differ() -> None:
    """At most five, cut, and a line that repeats with other figures counts once."""
    assert len(find_highlights(f"unit{letter}: failed" for letter in "abcdefgh")) == MAX_HIGHLIGHTS
    assert find_highlights(f"worker[{pid}]: failed" for pid in range(100)) == ("worker[0]: failed",)
    assert len(find_highlights(["error " + "x" * 1_000])[0]) == MAX_LENGTH


def test_a_long_hostile_line_takes_no_time() -> None:
    """No pattern backtracks without end."""
    begun = time.process_time()
    for line in ("a@" * 200_000, "$ " * 200_000, "error" * 100_000, "\\" * 300_000, "C:\\" * 100_000, "1" * 400_000):
        find_highlights([line])
    assert time.process_time() - begun < 0.5
