"""Twenty pictures as people send them, drawn: terminals, dialogs, pages, photographs of screens; in two languages.

Drawn from packaged fonts with seeded noise: the same bytes every time with the same Pillow. Each carries the text that
is on it, line by line in reading order. Nothing here is made easy to read: sizes, colours and faces are those of real
terminals and desktops, and the photographs have what hands and cameras add.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Kind = Literal["terminal", "dialog", "photo"]
Colour = tuple[int, int, int]
Run = tuple[str, Colour]
Row = str | Sequence[Run]
Point = tuple[float, float]

FACES: Final = {
    "jetbrains": ("fontpkg_jetbrains_mono", "files/JetBrainsMono[wght].ttf", 0),
    "source": ("fontpkg_source_code_pro", "files/SourceCodePro[wght].ttf", 0),
    "han": ("paperang_p2_fonts_cjk", "fonts/wqy-microhei.ttc", 0),
    "han mono": ("paperang_p2_fonts_cjk", "fonts/wqy-microhei.ttc", 1),
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """One picture: its file as it would arrive, and the lines that are on it."""

    name: str
    kind: Kind
    language: Literal["en", "zh"]
    data: bytes
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scheme:
    """The colours of a terminal or a window."""

    paper: Colour
    ink: Colour
    faint: Colour = (128, 128, 128)
    red: Colour = (205, 49, 49)
    green: Colour = (35, 160, 70)
    blue: Colour = (60, 120, 216)


DARK: Final = Scheme((18, 18, 18), (204, 204, 204), red=(241, 76, 76), green=(35, 209, 139), blue=(59, 142, 234))
LIGHT: Final = Scheme((255, 255, 255), (36, 41, 47))
SOLARIZED: Final = Scheme((0, 43, 54), (131, 148, 150), (88, 110, 117), (220, 50, 47), (133, 153, 0), (38, 139, 210))
AUBERGINE: Final = Scheme((48, 10, 36), (238, 238, 236), red=(239, 41, 41), green=(138, 226, 52), blue=(114, 159, 207))


@cache
def face(name: str, size: int) -> ImageFont.FreeTypeFont:
    package, path, index = FACES[name]
    file = files(package).joinpath(path)
    font = ImageFont.truetype(io.BytesIO(file.read_bytes()), size, index=index, layout_engine=ImageFont.Layout.BASIC)
    if "wght" in path:
        font.set_variation_by_axes([400])  # regular: left alone, these two are thin
    return font


def wide(char: str) -> bool:
    """Whether a terminal gives this character two cells."""
    return ord(char) >= 0x2E80


# ---- screens


def terminal(
    rows: Sequence[Row], scheme: Scheme, latin: str = "jetbrains", size: int = 16, *, least: int = 0
) -> Image.Image:
    """Rows on a grid of cells, Han characters over two of them, as terminals do; at `least` so many rows."""
    font, han = face(latin, size), face("han mono", size)
    cell, height, pad = font.getlength("M"), round(size * 1.35), size
    runs = [[(row, scheme.ink)] if isinstance(row, str) else list(row) for row in rows]
    widths = [sum(2 if wide(char) else 1 for text, _ in row for char in text) for row in runs]
    image = Image.new(
        "RGB", (round(max(80, *widths) * cell) + 2 * pad, max(len(rows), least) * height + 2 * pad), scheme.paper
    )
    draw = ImageDraw.Draw(image)
    for line, row in enumerate(runs):
        column = 0
        for text, colour in row:
            for char in text:
                at = (pad + column * cell, pad + line * height)
                draw.text(at, char, colour, han if wide(char) else font)
                column += 2 if wide(char) else 1
    return image


def window(
    title: str,
    body: Sequence[str],
    buttons: Sequence[str],
    scheme: Scheme,
    *,
    size: int = 15,
    bar: Colour = (240, 240, 240),
    bar_ink: Colour = (30, 30, 30),
) -> Image.Image:
    """A message box on a desktop: title bar, sign, text, buttons at the right."""
    font, head = face("han", size), face("han", size - 1)
    width = max(420, *(round(font.getlength(line)) + 130 for line in body))
    height = 46 + len(body) * round(size * 1.6) + 90
    desk = Image.new("RGB", (width + 120, height + 100), (58, 92, 120))
    draw = ImageDraw.Draw(desk)
    left, top = 60, 50
    draw.rectangle((left, top, left + width, top + height), scheme.paper, (150, 150, 150))
    draw.rectangle((left, top, left + width, top + 32), bar)
    draw.text((left + 12, top + 7), title, bar_ink, head)
    draw.line((left + width - 24, top + 11, left + width - 14, top + 21), bar_ink)
    draw.line((left + width - 14, top + 11, left + width - 24, top + 21), bar_ink)
    draw.ellipse((left + 24, top + 56, left + 60, top + 92), scheme.red)
    draw.line((left + 35, top + 67, left + 49, top + 81), (255, 255, 255), 3)
    draw.line((left + 49, top + 67, left + 35, top + 81), (255, 255, 255), 3)
    for index, line in enumerate(body):
        draw.text((left + 82, top + 52 + index * round(size * 1.6)), line, scheme.ink, font)
    right = left + width - 16
    for text in reversed(buttons):
        room = round(font.getlength(text)) + 36
        draw.rectangle((right - room, top + height - 46, right, top + height - 16), bar, (130, 130, 130))
        draw.text((right - room + 18, top + height - 41), text, bar_ink, font)
        right -= room + 12
    return desk


def page(parts: Sequence[tuple[str, int, Colour]], paper: Colour, width: int = 980, height: int = 0) -> Image.Image:
    """A web page: lines of several sizes under one another."""
    needed = 60 + sum(round(size * 1.9) for _, size, _ in parts)
    image = Image.new("RGB", (width, max(height, needed)), paper)
    draw = ImageDraw.Draw(image)
    top = 30
    for text, size, colour in parts:
        draw.text((48, top), text, colour, face("han", size))
        top += round(size * 1.9)
    return image


# ---- what hands and cameras add


def photographed(
    screen: Image.Image,
    seed: int,
    corners: tuple[Point, Point, Point, Point],
    *,
    size: tuple[int, int] = (1600, 1200),
    blur: float = 1.0,
    noise: float = 8.0,
    glare: float = 0.25,
    cast: Colour = (255, 244, 228),
) -> Image.Image:
    """A screen seen by a hand-held camera: `corners` are where the screen's corners come to be, as shares of the
    photograph, from the upper left clockwise. With a moiré of the pixel raster, uneven light, blur and noise.
    """
    random = np.random.default_rng(seed)
    width, height = size
    places = [(x * width, y * height) for x, y in corners]
    frame = Image.new("RGB", (screen.width + 60, screen.height + 60), (22, 22, 24))
    frame.paste(screen, (30, 30))
    matrix = _perspective(places, [(0, 0), (frame.width, 0), (frame.width, frame.height), (0, frame.height)])
    seen = frame.transform(size, Image.Transform.PERSPECTIVE, matrix, Image.Resampling.BICUBIC, fillcolor=(96, 84, 72))
    values = np.asarray(seen.filter(ImageFilter.GaussianBlur(blur)), np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    moire = 1 + 0.035 * np.sin(x / 2.3 + y / 17.0) * np.sin(y / 2.9)
    centre = random.uniform(0.2, 0.8, 2)
    far = np.hypot(x / width - centre[0], y / height - centre[1])
    light = 0.72 + glare * np.exp(-(far**2) / 0.18)
    values = values * (moire * light)[..., None] * (np.array(cast, np.float32) / 255) + 12
    values += 40 * glare * np.exp(-((far / 0.35) ** 2))[..., None]
    values += random.normal(0, noise, values.shape)
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _perspective(seen: Sequence[Point], flat: Sequence[Point]) -> list[float]:
    """The eight numbers Pillow wants, that take the points `seen` to those of `flat`."""
    rows, values = [], []
    for (x, y), (u, v) in zip(seen, flat, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return [float(number) for number in np.linalg.solve(np.array(rows), np.array(values))]


def png(image: Image.Image) -> bytes:
    return _saved(image, "PNG")


def jpeg(image: Image.Image, quality: int = 70, orientation: int = 1) -> bytes:
    """`orientation` is EXIF's: how the camera was held. 6 means: turn by 90 degrees clockwise to see it upright."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return _saved(image, "JPEG", quality=quality, exif=exif.tobytes())


def webp(image: Image.Image, quality: int = 80) -> bytes:
    return _saved(image, "WEBP", quality=quality)


def gif(image: Image.Image) -> bytes:
    return _saved(image.convert("P", palette=Image.Palette.ADAPTIVE), "GIF")


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


# ---- what is on them

DISK = [
    "ops@web-1:~$ df -h",
    "Filesystem      Size  Used Avail Use% Mounted on",
    "/dev/nvme0n1p2   98G   98G     0 100% /",
    "tmpfs           3.9G  1.2M  3.9G   1% /run",
    "/dev/nvme1n1    492G  211G  256G  46% /var/lib/postgresql",
    "ops@web-1:~$ sudo systemctl restart nginx",
    "Failed to write pid file: No space left on device",
]

UNIT: list[Row] = [
    "$ systemctl status nginx.service --no-pager",
    [("x ", LIGHT.red), ("nginx.service - A high performance web server", LIGHT.ink)],
    "     Loaded: loaded (/lib/systemd/system/nginx.service; enabled)",
    [("     Active: ", LIGHT.ink), ("failed", LIGHT.red), (" (Result: exit-code) since Tue 2026-11-17", LIGHT.ink)],
    "    Process: 41873 ExecStartPre=/usr/sbin/nginx -t (code=exited, status=1)",
    "   Main PID: 40112 (code=exited, status=0/SUCCESS)",
    "",
    "nginx[41873]: bind() to 0.0.0.0:443 failed (98: Address already in use)",
    "systemd[1]: nginx.service: Control process exited, code=exited, status=1/FAILURE",
    [("systemd[1]: Failed to start nginx.service.", LIGHT.red)],
]

JOURNAL = [
    "Nov 17 03:12:44 db-2 postgres[8821]: FATAL:  remaining connection slots are reserved",
    "Nov 17 03:12:44 db-2 postgres[8822]: FATAL:  sorry, too many clients already",
    "Nov 17 03:12:45 db-2 pgbouncer[913]: closing because: server conn crashed? (age=27s)",
    "Nov 17 03:12:51 db-2 kernel: EXT4-fs error (device sda1): ext4_lookup:1785: inode #131",
    "Nov 17 03:12:52 db-2 systemd[1]: postgresql@15-main.service: Main process exited",
    "Nov 17 03:13:02 db-2 sshd[9917]: Connection closed by 10.20.30.41 port 52144 [preauth]",
    "Nov 17 03:13:09 db-2 CRON[9925]: (root) CMD (/usr/local/bin/backup.sh --full)",
]

KERNEL: list[Row] = [
    [("[81234.551209] ", DARK.green), ("Out of memory: Killed process 27714 (java)", DARK.red)],
    [("[81234.551230] ", DARK.green), ("total-vm:9437184kB, anon-rss:7340032kB, file-rss:0kB", DARK.ink)],
    [("[81234.603377] ", DARK.green), ("oom_reaper: reaped process 27714 (java)", DARK.ink)],
    [("[81240.118842] ", DARK.green), ("nfs: server 192.168.14.7 not responding, timed out", DARK.red)],
    [("[81301.002715] ", DARK.green), ("blk_update_request: I/O error, dev sdb, sector 2048", DARK.red)],
    "root@app-07:/var/log# kubectl get pods -n payments",
    "NAME                       READY   STATUS             RESTARTS   AGE",
    "checkout-7d9c6b5f4-x2lqz   0/1     CrashLoopBackOff   14         52m",
    "ledger-66bd8c9d7c-9vw4k    1/1     Running            0          6d3h",
]

PROCESSES = [
    "top - 14:02:11 up 41 days,  6:33,  2 users,  load average: 17.42, 12.08, 9.51",
    "Tasks: 312 total,   3 running, 308 sleeping,   0 stopped,   1 zombie",
    "%Cpu(s): 93.1 us,  4.2 sy,  0.0 ni,  1.9 id,  0.6 wa,  0.0 hi,  0.2 si",
    "    PID USER      PR  NI    VIRT    RES  %CPU  %MEM     TIME+ COMMAND",
    "  27714 tomcat    20   0 9216.4m   6.8g 187.3  43.1  88:12.07 java",
    "   1023 mysql     20   0 3174.9m   1.1g  42.6   7.0 611:40.55 mysqld",
    "  31337 www-data  20   0  219.7m  48.2m   9.3   0.3   0:14.91 php-fpm8.2",
]

DENIED = [
    "运维@北京-web01:/srv$ ls /data/backup",
    "ls: 无法打开目录 '/data/backup': 权限不够",
    "运维@北京-web01:/srv$ cp app.conf /etc/nginx/",
    "cp: 无法创建普通文件 '/etc/nginx/app.conf': 设备上没有空间",
    "运维@北京-web01:/srv$ ping db-3",
    "ping: db-3: 未知的名称或服务",
    "运维@北京-web01:/srv$ cat 日志.txt",
    "cat: 日志.txt: 没有那个文件或目录",
]

SERVICE: list[Row] = [
    "# systemctl restart redis-server",
    [("redis-server.service 的作业失败，因为控制进程返回错误代码。", AUBERGINE.red)],
    "详情请查看 systemctl status redis-server.service 和 journalctl -xe。",
    "# apt update",
    "错误:1 http://mirrors.example.cn/debian bookworm InRelease",
    "  暂时不能解析域名“mirrors.example.cn”",
    "正在读取软件包列表... 完成",
    "E: 无法获得锁 /var/lib/dpkg/lock-frontend。锁正由进程 4471（apt-get）持有",
]

BILLING: list[Row] = [
    "2026-11-17 09:41:05.117 INFO  订单服务启动完成，监听端口 8080",
    [("2026-11-17 09:41:09.482 ERROR 连接数据库失败: Connection refused", SOLARIZED.red)],
    "    at com.shop.order.OrderDao.open(OrderDao.java:57)",
    [("2026-11-17 09:41:12.006 WARN  重试第 3 次，等待 5 秒", (181, 137, 0))],
    [("2026-11-17 09:41:17.220 ERROR 内存不足，服务即将退出，退出码 137", SOLARIZED.red)],
    "2026-11-17 09:41:17.305 INFO  已保存 1,284 条未处理的消息到 /var/spool/order",
]

UPDATE = (
    "Update Service",
    [
        "The installer could not write to C:\\Program Files\\Agent.",
        "Error 0x80070005: Access is denied.",
        "Check that you are an administrator and try again.",
    ],
    ["Try Again", "Cancel"],
)

KEYCHAIN = (
    "Docker Desktop",
    [
        "Docker Desktop stopped unexpectedly",
        "The virtual machine exited with code 125: disk image is full.",
        "Free at least 8.5 GB in ~/Library/Containers, then restart.",
    ],
    ["Gather diagnostics", "Quit"],
)

FULL = (
    "磁盘空间不足",
    ["驱动器 D: 上的可用空间不足，仅剩 12.4 MB。", "无法完成备份任务“每日全量备份”。", "错误代码：0x80070070"],
    ["清理磁盘", "忽略"],
)

DATABASE = (
    "数据库管理工具 - 连接失败",
    [
        "无法连接到服务器 10.0.8.15:3306",
        "用户 'report'@'10.0.3.2' 的访问被拒绝（使用密码：是）",
        "请检查用户名、密码和防火墙设置后重试。",
    ],
    ["重试", "取消"],
)

Quad = tuple[Point, Point, Point, Point]
_LEFT: Quad = ((0.06, 0.10), (0.95, 0.04), (0.92, 0.88), (0.09, 0.95))
_RIGHT: Quad = ((0.04, 0.05), (0.93, 0.13), (0.97, 0.92), (0.07, 0.85))
_TURNED: Quad = ((0.09, 0.06), (0.97, 0.12), (0.92, 0.93), (0.04, 0.86))
_BELOW: Quad = ((0.12, 0.08), (0.88, 0.07), (0.97, 0.93), (0.03, 0.95))


def texts(rows: Sequence[Row]) -> tuple[str, ...]:
    """The rows as plain text, empty ones left out."""
    plain = [row if isinstance(row, str) else "".join(text for text, _ in row) for row in rows]
    return tuple(line for line in plain if line.strip())


def parts_of(box: tuple[str, list[str], list[str]]) -> tuple[str, ...]:
    """A message box in reading order; its buttons are one line."""
    title, body, buttons = box
    return (title, *body, " ".join(buttons))


_GATEWAY = [
    ("502 Bad Gateway", 40, (33, 37, 41)),
    ("The server at shop.example.com returned an invalid response.", 19, (73, 80, 87)),
    ("Host: edge-fra-3    Upstream: 10.44.7.21:8443    Ray ID: 8e41b7c90f3d2a65", 15, (108, 117, 125)),
    ("upstream prematurely closed connection while reading response header", 17, (176, 42, 55)),
    ("Please retry in 30 seconds or contact platform@example.com.", 17, (73, 80, 87)),
]
_ALERT = [
    ("【P1】生产环境告警：支付网关响应超时", 26, (200, 30, 30)),
    ("触发时间：2026-11-17 21:08:33    持续时长：7 分 12 秒", 17, (60, 60, 60)),
    ("主机：pay-gw-02（10.12.0.18）  机房：上海二区", 17, (60, 60, 60)),
    ("指标：http_request_duration_p99 = 8.73s，阈值 2s", 17, (60, 60, 60)),
    ("当前 CPU 使用率 96%，内存使用率 88%，磁盘读写等待 41%", 17, (60, 60, 60)),
    ("处理人：王小明    状态：未确认", 17, (60, 60, 60)),
]


def _page_text(parts: Sequence[tuple[str, int, Colour]]) -> tuple[str, ...]:
    return tuple(text for text, _, _ in parts)


def _night(box: tuple[str, list[str], list[str]], size: int) -> Image.Image:
    dark = Scheme((44, 44, 46), (235, 235, 235), red=(255, 69, 58))
    return window(*box, dark, size=size, bar=(60, 60, 62), bar_ink=(220, 220, 220))


def _sideways(image: Image.Image) -> Image.Image:
    """As a camera stores it that was held upright: EXIF's orientation 6 undoes it."""
    return image.transpose(Image.Transpose.ROTATE_90)


Maker = Callable[[], bytes]
_ALL: Final[tuple[tuple[str, Kind, Literal["en", "zh"], Maker, tuple[str, ...]], ...]] = (
    ("terminal disk", "terminal", "en", lambda: png(terminal(DISK, DARK)), texts(DISK)),
    ("terminal unit", "terminal", "en", lambda: png(terminal(UNIT, LIGHT, "source", 15)), texts(UNIT)),
    ("terminal journal", "terminal", "en", lambda: png(terminal(JOURNAL, SOLARIZED, "source", 13)), texts(JOURNAL)),
    ("terminal kernel", "terminal", "en", lambda: webp(terminal(KERNEL, DARK, "jetbrains", 14)), texts(KERNEL)),
    ("terminal top", "terminal", "en", lambda: gif(terminal(PROCESSES, AUBERGINE, "han mono", 14)), texts(PROCESSES)),
    ("terminal denied", "terminal", "zh", lambda: png(terminal(DENIED, DARK, "han mono", 16)), texts(DENIED)),
    ("terminal service", "terminal", "zh", lambda: png(terminal(SERVICE, AUBERGINE, "source", 15)), texts(SERVICE)),
    ("terminal billing", "terminal", "zh", lambda: jpeg(terminal(BILLING, SOLARIZED, size=14), 80), texts(BILLING)),
    ("dialog update", "dialog", "en", lambda: png(window(*UPDATE, LIGHT)), parts_of(UPDATE)),
    ("dialog dark", "dialog", "en", lambda: png(_night(KEYCHAIN, 14)), parts_of(KEYCHAIN)),
    ("dialog gateway", "dialog", "en", lambda: jpeg(page(_GATEWAY, (248, 249, 250)), 75), _page_text(_GATEWAY)),
    ("dialog full", "dialog", "zh", lambda: png(window(*FULL, LIGHT, size=14)), parts_of(FULL)),
    ("dialog database", "dialog", "zh", lambda: png(_night(DATABASE, 15)), parts_of(DATABASE)),
    ("dialog alert", "dialog", "zh", lambda: webp(page(_ALERT, (255, 251, 240)), 75), _page_text(_ALERT)),
    (
        "photo disk",
        "photo",
        "en",
        lambda: jpeg(photographed(terminal(DISK, DARK, size=18, least=22), 11, _LEFT, blur=1.1)),
        texts(DISK),
    ),
    (
        "photo kernel",
        "photo",
        "en",
        lambda: jpeg(photographed(terminal(KERNEL, DARK, "source", 17, least=20), 12, _BELOW, noise=10), 65),
        texts(KERNEL),
    ),
    (
        "photo gateway",
        "photo",
        "en",
        lambda: jpeg(
            photographed(page(_GATEWAY, (248, 249, 250), height=640), 13, _TURNED, blur=1.4, cast=(255, 236, 205)), 60
        ),
        _page_text(_GATEWAY),
    ),
    (
        "photo denied",
        "photo",
        "zh",
        lambda: jpeg(photographed(terminal(DENIED, DARK, "han mono", 18, least=22), 14, _RIGHT, noise=9)),
        texts(DENIED),
    ),
    (
        "photo database",
        "photo",
        "zh",
        lambda: jpeg(_sideways(photographed(window(*DATABASE, LIGHT, size=17), 15, _BELOW, blur=1.2)), 70, 6),
        parts_of(DATABASE),
    ),
    (
        "photo alert",
        "photo",
        "zh",
        lambda: jpeg(photographed(page(_ALERT, (255, 251, 240), height=660), 16, _LEFT, noise=14, glare=0.45), 55),
        _page_text(_ALERT),
    ),
)


def turned(data: bytes) -> Image.Image:
    """A picture upside down."""
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB").transpose(Image.Transpose.ROTATE_180)


@cache
def drawn() -> tuple[Drawn, ...]:
    """All twenty."""
    return tuple(Drawn(name, kind, language, make(), lines) for name, kind, language, make, lines in _ALL)


# ---- and more of them, by chance

_ENGLISH: Final = """
error failed timeout connection refused by peer nginx systemd kernel worker shutdown cannot allocate memory retry
replica behind primary lease expired node drained queue depth exceeded backoff certificate handshake invalid upstream
checksum mismatch partition mounted read-only snapshot deleted volume detached scheduler evicted probe unhealthy
"""
_CHINESE: Final = """
数据库 连接超时 服务 重启 失败 磁盘 空间不足 内存 使用率 过高 节点 离线 证书 过期 权限 不足 请求 队列 积压
主从 延迟 备份 任务 未完成 网络 抖动 丢包 严重 告警 已恢复 正在 同步 日志 清理 订单 支付 回调 异常 版本 回滚
"""
_EN, _ZH = _ENGLISH.split(), _CHINESE.split()


def more(count: int, seed: int) -> list[Drawn]:
    """Pictures of random words: screens, and every third one photographed."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        language: Literal["en", "zh"] = "en" if number % 2 else "zh"
        lines = [_chance_line(random, language) for _ in range(int(random.integers(4, 12)))]
        scheme = (DARK, LIGHT, SOLARIZED, AUBERGINE)[int(random.integers(4))]
        latin = ("jetbrains", "source", "han mono")[int(random.integers(3))]
        size = int(random.integers(13, 22))
        photo = number % 3 == 2
        image = terminal(lines, scheme, latin, size, least=22 if photo else 0)
        if photo:
            shifts = random.uniform(0.02, 0.12, 8)
            corners: Quad = (
                (shifts[0], shifts[1]),
                (1 - shifts[2], shifts[3]),
                (1 - shifts[4], 1 - shifts[5]),
                (shifts[6], 1 - shifts[7]),
            )
            blur, noise = float(random.uniform(0.6, 1.3)), float(random.uniform(4, 12))
            image = photographed(image, seed + number, corners, blur=blur, noise=noise)
        data = jpeg(image, int(random.integers(60, 90))) if photo or number % 4 == 0 else png(image)
        found.append(Drawn(f"{language} {number}", "photo" if photo else "terminal", language, data, tuple(lines)))
    return found


def _chance_line(random: np.random.Generator, language: Literal["en", "zh"]) -> str:
    def pick(words: Sequence[str]) -> str:
        return words[int(random.integers(len(words)))]

    head = (
        f"{int(random.integers(24)):02}:{int(random.integers(60)):02}:{int(random.integers(60)):02}",
        f"[{int(random.integers(9_999))}]",
        f"{pick(_EN)}-{int(random.integers(90))}:",
        f"10.{int(random.integers(256))}.{int(random.integers(256))}.{int(random.integers(256))}",
        f"/var/{pick(_EN)}/{pick(_EN)}.log",
    )[int(random.integers(5))]
    if language == "en":
        return " ".join([head, *(pick(_EN) for _ in range(int(random.integers(3, 8))))])
    said = "".join(pick(_ZH) for _ in range(int(random.integers(2, 5))))
    return f"{head} {said} {int(random.integers(100))}% {pick(_EN)} {pick(_ZH)}"
