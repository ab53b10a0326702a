"""Who and what there is in the demo world: machines, people, commands and what they print. Data alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

CODE: Final = "123456"
"""The code that the demo takes."""
DEMO_USER: Final = "alice"
PEOPLE: Final = ("bob", "carol", "dave", "li.lei", "han.meimei", "erin")
CHANNELS: Final = ("feishu", "slack", "dingtalk", "telegram", "ops")
VERSIONS: Final = ("1.8.2", "1.8.2", "1.8.2", "1.8.2", "1.8.1", "1.7.9")

Words = Callable[[random.Random], list[str]]


@dataclass(frozen=True, slots=True)
class SampleCommand:
    """A command of the world: what is typed, how often, how long it takes, what it prints."""

    argv: tuple[str, ...]
    text: str
    weight: int
    seconds: tuple[float, float]  # shortest, usual
    lines: Sequence[str] = ()
    failure_rate: float = 0.01
    runbook: str = ""
    approval_reason: str = ""  # policy's reason to ask, "" where it is allowed
    second_factor: bool = False
    many: int = 1


SAMPLE_COMMANDS: Final = (
    SampleCommand(("/usr/bin/df", "-h"), "disk on {agent}", 14, (0.02, 0.2), (
        "Filesystem      Size  Used Avail Use% Mounted on",
        "/dev/nvme0n1p2  234G  187G   35G  85% /",
        "/dev/nvme0n1p1  511M  6.1M  505M   2% /boot/efi",
        "tmpfs            16G  1.2M   16G   1% /run",
    ), runbook="disk"),
    SampleCommand(("/usr/bin/uptime",), "@{agent} uptime", 16, (0.01, 0.05), (
        " 14:03:21 up 112 days,  3:41,  1 user,  load average: 0.42, 0.51, 0.48",
    ), runbook="uptime"),
    SampleCommand(("/usr/bin/free", "-m"), "{agent} 内存够用吗", 10, (0.01, 0.05), (
        "               total        used        free      shared  buff/cache   available",
        "Mem:           31867       19322        1204         311       11340       11790",
        "Swap:           2047           0        2047",
    ), runbook="memory"),
    SampleCommand(("/usr/bin/systemctl", "status", "nginx"), "is nginx up on {agent}?", 10, (0.05, 0.3), (
        "nginx.service - A high performance web server and a reverse proxy server",
        "     Loaded: loaded (/lib/systemd/system/nginx.service; enabled)",
        "     Active: active (running) since Mon 2026-09-07 02:11:09 UTC; 2 weeks ago",
        "   Main PID: 1187 (nginx)",
    ), runbook="service-status"),
    SampleCommand(("/usr/bin/journalctl", "-u", "nginx", "--since", "-1h", "--no-pager"), "nginx logs of {agent}",
         8, (0.3, 6.0), (
        'Sep 22 13:58:01 web nginx[1187]: 10.4.1.7 - - "GET /healthz HTTP/1.1" 200 2',
        'Sep 22 13:58:04 web nginx[1187]: 10.4.1.9 - - "POST /api/orders HTTP/2.0" 201 348',
        'Sep 22 13:58:09 web nginx[1187]: 10.4.2.3 - - "GET /static/app.js HTTP/2.0" 304 0',
    ), runbook="service-logs"),
    SampleCommand(("/usr/bin/systemctl", "reload", "nginx"), "重新加载 {agent} 的 nginx", 4, (0.2, 0.9), (),
        runbook="reload"),
    SampleCommand(("/usr/bin/git", "-C", "/srv/app", "status", "--short"), "git status on {agent}", 5, (0.05, 0.4), (
        " M config/app.toml",
        "?? notes.txt",
    ), runbook="git-status"),
    SampleCommand(("/usr/bin/pg_dump", "--format=custom", "--file=/backup/app.dump", "app"),
        "back up the database on {agent}",
         3, (4.0, 25.0), (
        "pg_dump: dumping contents of table public.events",
        "pg_dump: dumping contents of table public.orders",
    ), failure_rate=0.3, runbook="backup"),
    SampleCommand(("/usr/bin/tar", "-czf", "/backup/etc.tgz", "/etc"), "archive /etc on {agent}", 3, (2.0, 18.0), (
        "tar: Removing leading `/' from member names",
    ), runbook="backup-etc"),
    SampleCommand(("/usr/bin/openssl", "s_client", "-connect", "localhost:443"), "证书什么时候到期 {agent}", 4, (0.1,
        0.8), (
        "notBefore=Jul  1 00:00:00 2026 GMT",
        "notAfter=Sep 29 23:59:59 2026 GMT",
    ), runbook="certificate"),
    SampleCommand(("/usr/bin/systemctl", "restart", "payments"), "restart payments on {agent}", 2, (1.0, 3.0), (),
         failure_rate=0.05, approval_reason="restarts a service in production", runbook="restart"),
    SampleCommand(("/usr/bin/find", "/var/cache/apt/archives", "-name", "*.deb", "-delete"),
        "clean the apt cache on {agent}", 1,
         (0.3, 2.0), (), approval_reason="deletes files", second_factor=True, many=6),
)  # fmt: skip

STUCK: Final = SampleCommand(("/usr/bin/vacuumdb", "--all", "--analyze"), "vacuum db-1", 0, (7_200, 7_200), (
    'INFO:  vacuuming "public.events"',
    'INFO:  scanned index "events_pkey" to remove 1934882 row versions',
    "DETAIL:  CPU: user: 12.41 s, system: 3.02 s, elapsed: 57.11 s",
), runbook="vacuum")  # fmt: skip
STREAM: Final = SampleCommand(("/usr/bin/tail", "-F", "/var/log/app/app.log"), "follow the log of web-eu-0003", 0,
    (3_600, 3_600), (
    "INFO  request id=7f31 path=/api/orders status=201 took=41ms",
    "INFO  request id=7f32 path=/api/orders/91 status=200 took=8ms",
    "WARN  cache miss for tenant 114, filled in 212ms",
    "INFO  已处理 128 条订单，队列剩余 3 条",
    "INFO  request id=7f33 path=/api/cart status=200 took=12ms",
), runbook="follow-log")  # fmt: skip
RISKY: Final = SampleCommand(("/usr/bin/rm", "-rf", "/var/cache/apt/archives"),
    "free some space on the web machines", 0,
    (0.5, 2.0), (), approval_reason="rm -rf as root on 12 machines", second_factor=True, many=12)  # fmt: skip
NARROWED: Final = ("/usr/bin/find", "/var/cache/apt/archives", "-name", "*.deb", "-mtime", "+30", "-delete")
"""What an approver made of `RISKY` once."""
SAFE: Final = SampleCommand(("/usr/bin/systemctl", "reload", "nginx"), "重新加载 web-eu 的 nginx 并检查状态", 0,
    (0.2, 0.9), (),
    approval_reason="changes a service on 24 machines", second_factor=True, many=24)  # fmt: skip
ROLLBACK: Final = SampleCommand(("/usr/bin/kubectl", "rollout", "undo", "deploy/checkout"),
    "checkout is broken, roll it back", 0, (1.0, 4.0), ("deployment.apps/checkout rolled back",),
    approval_reason="changes production")  # fmt: skip
QUEUED: Final = SampleCommand(("/usr/bin/pg_dump", "app"), "dump app on db-1", 0, (5.0, 20.0), ())


def machine_names(count: int) -> list[str]:
    """`count` names of machines: web machines in three regions, databases, edge boxes, a cluster."""
    fixed = ["db-1", "db-2", "k8s-1"]
    kinds = ("web-eu", "web-us", "web-ap", "ap-ed", "build")
    shares = (0.4, 0.25, 0.15, 0.15, 0.05)
    names = list(fixed)
    for kind, share in zip(kinds, shares, strict=True):
        names += [f"{kind}-{index:04d}" for index in range(1, max(2, int((count - len(fixed)) * share) + 1))]
    return sorted(names)[:count] if count < len(names) else sorted(names)


def labels_of(name: str) -> dict[str, str]:
    kind, _, rest = name.partition("-")
    role = {"web": "web", "db": "database", "ap": "edge", "build": "build", "k8s": "cluster"}.get(kind, "other")
    region = rest.partition("-")[0] if kind in ("web", "ap") else "eu"
    return {"role": role, "region": region, "env": "prod" if kind != "build" else "ci"}
