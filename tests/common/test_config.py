from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import (
    MAX_FILE,
    MAX_SECRET,
    Address,
    ConfigError,
    Duration,
    Size,
    build,
    format_duration,
    format_size,
    load,
    parse_address,
    parse_duration,
    parse_size,
    parse_url,
    read_bytes,
    read_secret,
    read_toml,
    required,
    setting,
    table,
    tables,
)
from common.errors import UserError


@dataclass(frozen=True, slots=True)
class Web:
    listen: Address = setting(Address("127.0.0.1", 80), "where")  # noqa: RUF009
    rate: int = setting(5, "how many", low=1, high=10)
    share: float = setting(0.5, "how much", low=0.0, high=1.0)
    wait: Duration = setting(Duration(60.0), "how long", low=1.0, high=3600.0)  # noqa: RUF009
    limit: Size = setting(Size(1024), "how large", low=1, high=1 << 20)  # noqa: RUF009
    quiet: bool = setting(False, "whether")
    level: Literal["low", "high"] = setting("low", "which")
    hosts: tuple[str, ...] = setting((), "whom")
    extra: int | None = setting(None, "or none", low=1)
    password: str = setting("none", "a secret", secret=True)
    derived: str = field(default="not a key")


@dataclass(frozen=True, slots=True)
class Inlet:
    file: Path = required("the file")  # noqa: RUF009
    kind: str = setting("plain", "the kind")


@dataclass(frozen=True, slots=True)
class Whole:
    web: Web = table(Web)  # noqa: RUF009
    inlets: Mapping[str, Inlet] = tables()


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "some.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(tmp_path: Path, text: str) -> list[str]:
    """The problems of a file, without its path."""
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path, Whole)
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert all(problem.startswith(f"{path}: ") for problem in caught.value.problems)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    """Every table and key may be left out that has a default."""
    assert load(written(tmp_path, ""), Whole) == Whole(Web(), {})


def test_every_kind_of_value_is_read(tmp_path: Path) -> None:
    """Numbers, durations, sizes, addresses, lists, choices, paths; comments and a byte order mark do no harm."""
    text = """\ufeff# a comment
    [web]
    listen = "[::1]:8443"
    rate = 10
    share = 1
    wait = "1m30s"
    limit = "4KiB"
    quiet = true
    level = "high"
    hosts = ["a", "b"]
    extra = 3
    password = "hidden"
    [inlets.ops]
    file = "secrets/ops"
    [inlets."a.b"]
    file = "/etc/passwd"
    """
    whole = load(written(tmp_path, text), Whole)
    assert whole.web == Web(
        Address("::1", 8443), 10, 1.0, Duration(90.0), Size(4096), True, "high", ("a", "b"), 3, "hidden"
    )
    assert whole.inlets == {"ops": Inlet(tmp_path / "secrets" / "ops"), "a.b": Inlet(Path("/etc/passwd"))}
    assert "hidden" not in repr(whole)


def test_unknown_keys_and_tables_are_refused_with_the_nearest(tmp_path: Path) -> None:
    """A slip of the pen does not become a default: the nearest known name is told, or all of them."""
    assert problems(tmp_path, '[web]\nlistn = "x"') == ["[web] listn: unknown key; did you mean listen?"]
    assert problems(tmp_path, "[wbe]\nrate = 1") == ["wbe: unknown table; did you mean web?"]
    assert problems(tmp_path, "[inlets.ops]\nfile = 'x'\nzzz = 1") == [
        "[inlets.ops] zzz: unknown key; known here: file, kind"
    ]
    assert problems(tmp_path, "[web]\nderived = 'x'")[0].startswith("[web] derived: unknown key")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("rate = '5'", '[web] rate: a whole number was expected, not "5"'),
        ("rate = 5.0", "[web] rate: a whole number was expected, not 5.0"),
        ("rate = true", "[web] rate: a whole number was expected, not true"),
        ("rate = 11", "[web] rate: 1 to 10 was expected, not 11"),
        ("rate = 0", "[web] rate: 1 to 10 was expected, not 0"),
        ("extra = 0", "[web] extra: 1 or more was expected, not 0"),
        ("share = nan", "[web] share: 0 to 1.0 was expected, not nan"),
        ("share = inf", "[web] share: 0 to 1.0 was expected, not inf"),
        ("wait = 60", '[web] wait: a duration such as "90s", "10m" or "1h30m" was expected, not 60'),
        ("wait = '2h'", '[web] wait: 1s to 1h was expected, not "2h"'),
        ("limit = '2MB'", '[web] limit: a size such as "64KiB" or "8MiB" was expected, not "2MB"'),
        ("limit = 2097152", "[web] limit: 1B to 1MiB was expected, not 2097152"),
        ("limit = true", '[web] limit: a size such as "64KiB" or "8MiB" was expected, not true'),
        ("listen = 80", '[web] listen: an address such as "127.0.0.1:8080" or "[::1]:8080" was expected, not 80'),
        ("quiet = 1", "[web] quiet: true or false was expected, not 1"),
        ("level = 'mid'", '[web] level: one of "low", "high" was expected, not "mid"'),
        ("level = ['low']", '[web] level: one of "low", "high" was expected, not [\'low\']'),
        ("hosts = 'a'", '[web] hosts: a list of strings such as ["one", "two"] was expected, not "a"'),
        ("hosts = [1]", '[web] hosts: a list of strings such as ["one", "two"] was expected, not [1]'),
        ("[inlets.a]\nfile = ''", '[inlets.a] file: a path was expected, not ""'),
        ("password = 12345", "[web] password: a string that is not empty was expected, not what is there"),
        ('level = "a\\u001b[2Jb"', '[web] level: one of "low", "high" was expected, not "a?[2Jb"'),
        ("rate = {a = 1}", "[web] rate: a whole number was expected, not a table"),
        ("rate = 1979-05-27", "[web] rate: a whole number was expected, not 1979-05-27"),
    ],
)
def test_a_value_of_the_wrong_kind_names_what_was_expected(tmp_path: Path, line: str, told: str) -> None:
    """File, table, key, what was expected and what was there."""
    assert problems(tmp_path, f"[web]\n{line}") == [told]


def test_tables_and_keys_do_not_stand_for_each_other(tmp_path: Path) -> None:
    """A value where a table belongs, at either level, says how a table is written."""
    assert problems(tmp_path, "web = 1") == ["web: a table was expected: write [web] on a line of its own"]
    assert problems(tmp_path, "inlets = []") == ["inlets: a table was expected: write [inlets] on a line of its own"]
    assert problems(tmp_path, "[inlets]\nops = 1") == [
        "[inlets] ops: a table was expected: write [inlets.ops] on a line of its own"
    ]


def test_a_missing_key_says_what_it_is_for(tmp_path: Path) -> None:
    """A key without a default is asked for by name."""
    assert problems(tmp_path, "[inlets.ops]") == ["[inlets.ops] file: missing; it is needed here: the file"]


def test_names_of_tables_are_names(tmp_path: Path) -> None:
    """A name that people choose may become part of a path or a URL: it is checked like any other."""
    for name in ("a/b", "..", "a b", "é", "x" * 65):
        assert "a name is 1 to 64" in problems(tmp_path, f'[inlets."{name}"]\nfile = "x"')[0]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """Nobody corrects a file one error at a time."""
    found = problems(tmp_path, "[web]\nrate = 0\nlistn = 1\n[inlets.a]\n[inlets.b]\nfile = 2\n[more]")
    assert len(found) == 5


def test_bounds_on_what_a_file_may_hold(tmp_path: Path) -> None:
    """Long strings, long lists, many tables and large files are refused."""
    assert "was expected, not" in problems(tmp_path, f"[web]\npassword = '{'x' * 5000}'")[0]
    assert len(problems(tmp_path, f"[web]\npassword = '{'x' * 5000}'")[0]) < 250
    assert "list of strings" in problems(tmp_path, f"[web]\nhosts = {['x'] * 1001}")[0]
    many = "".join(f"[inlets.i{number}]\nfile='x'\n" for number in range(1001))
    assert problems(tmp_path, many) == ["[inlets]: 1001 tables, at most 1000 are taken"]
    with pytest.raises(UserError, match=f"larger than {MAX_FILE} bytes"):
        read_toml(written(tmp_path, "#" * (MAX_FILE + 1)))


def test_build_takes_a_parsed_file(tmp_path: Path) -> None:
    """The same check where the TOML came another way; paths are relative to the file that is named."""
    path = tmp_path / "x.toml"
    assert build({"inlets": {"a": {"file": "b"}}}, Whole, path).inlets["a"].file == tmp_path / "b"


# ---- files


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"a = 1\nb = \n", r"not TOML.*line 2"),
        (b"a = 1\na = 2\n", r"not TOML.*line 2"),
        (b'a = 1\nb = "\xff"\n', "line 2 is not UTF-8"),
        (b"a = " + b"[" * 5000, "not TOML: nested too deep"),
        (b"\x00", "not TOML"),
    ],
)
def test_a_file_that_is_not_toml_names_the_line(tmp_path: Path, data: bytes, told: str) -> None:
    """Not TOML, a key twice, not UTF-8, too deep: the file, the line and what to do."""
    path = tmp_path / "bad.toml"
    path.write_bytes(data)
    with pytest.raises(UserError, match=told) as caught:
        read_toml(path)
    assert str(path) in caught.value.problem
    assert caught.value.cure


def test_files_that_are_none(tmp_path: Path) -> None:
    """Missing, a folder, a FIFO (which must not hang), a name that cannot be: a UserError each."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, told in (
        (tmp_path / "none", "no such file"),
        (tmp_path / "none" / "deeper", "no such file"),
        (tmp_path, "not"),
        (fifo, "not a regular file"),
        (tmp_path / ("x" * 300), "not readable"),
        (tmp_path / "a\0b", "NUL"),
    ):
        with pytest.raises(UserError, match=told):
            read_bytes(path)
    with pytest.raises(UserError, match="run init"):
        read_bytes(tmp_path / "none", cure="run init")


@contextmanager
def nobody() -> Iterator[None]:
    """As a user without rights, where the tests run as root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    """No permission is told as such, with the user who has none."""
    path = written(tmp_path, "a = 1")
    path.chmod(0)
    with nobody(), pytest.raises(UserError, match="not readable by user") as caught:
        read_toml(path)
    assert str(path) in caught.value.problem


def test_a_secret_is_its_owners(tmp_path: Path) -> None:
    """Others may not read it, nor the group write it; the cure is the command."""
    path = written(tmp_path, "secret")
    for mode in (0o604, 0o602, 0o601, 0o620, 0o666, 0o777):
        path.chmod(mode)
        with pytest.raises(UserError, match=f"chmod 600 {path}"):
            read_secret(path)
    for mode in (0o600, 0o400, 0o640, 0o440):
        path.chmod(mode)
        assert read_secret(path) == b"secret"


def test_an_empty_or_huge_secret_is_refused(tmp_path: Path) -> None:
    """An empty secret would sign for everyone."""
    path = written(tmp_path, " \n\t")
    path.chmod(0o600)
    with pytest.raises(UserError, match="empty"):
        read_secret(path)
    path.write_bytes(b"x" * (MAX_SECRET + 1))
    with pytest.raises(UserError, match="larger than"):
        read_secret(path)


# ---- values


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("7d", 604_800), ("0s", 0), ("1.5s", 1.5), ("1d1h1m1s", 90_061)],
)
def test_durations(text: str, seconds: float) -> None:
    """Days, hours, minutes, seconds, in this order."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "10", "m", "10 m", "-1s", "1m1h", "1e3s", "1.5h", "１s", "1s\n", "9999999d", "1w"]
)
def test_no_durations(text: str) -> None:
    """Anything else is refused, not guessed."""
    with pytest.raises(ValueError, match="a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "1", "KiB", "1KB", "1kib", "-1B", "1.5MiB", "1  MiB", "1MiB\n", "9999999999999B"])
def test_no_sizes(text: str) -> None:
    """Powers of 1024 with their right names, whole."""
    with pytest.raises(ValueError, match="a size"):
        parse_size(text)


@given(st.integers(0, 10**9))
def test_durations_and_sizes_are_read_back(number: int) -> None:
    """What is shown is what is read."""
    assert parse_duration(format_duration(number % 86_400_000)) == number % 86_400_000
    assert parse_size(format_size(number)) == number


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1:8080", "[::1]:8443", "0.0.0.0:1", "localhost:65535", "hub.example.org:443", "a_b-c.d:0", "[::]:80"],
)
def test_addresses_are_read_back(text: str) -> None:
    """Names, IPv4, and IPv6 in brackets."""
    assert str(parse_address(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:80 ",
        "127.0.0.256:80",
        "1.2.3:80",
        "::1:80",
        "[127.0.0.1]:80",
        "[localhost]:80",
        "[::1]",
        "a..b:80",
        "-a:80",
        "a b:80",
        "https://a:80",
        "a/b:80",
        "é:80",
        "a" * 64 + ":80",
        "a:٨",
    ],
)
def test_no_addresses(text: str) -> None:
    """No host, no port, a mistyped IPv4 address, a URL, a bare IPv6 address."""
    with pytest.raises(ValueError, match="an address"):
        parse_address(text)


@given(st.text(max_size=60))
def test_no_text_breaks_the_parsers(text: str) -> None:
    """A value or a ValueError, and what is taken is read back the same."""
    try:
        address = parse_address(text)
    except ValueError:
        pass
    else:
        assert parse_address(str(address)) == address
    for parse in (parse_duration, parse_size):
        try:
            assert parse(text) >= 0
        except ValueError:
            pass


# ---- addresses of hubs


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("wss://hub.example.org:8443", ("hub.example.org", 8443)),
        ("wss://hub.example.org:8443/", ("hub.example.org", 8443)),
        ("wss://10.0.0.1", ("10.0.0.1", 443)),
        ("wss://[fe80::1]:9", ("fe80::1", 9)),
    ],
)
def test_addresses_that_are_taken(url: str, place: tuple[str, int]) -> None:
    """Names and both kinds of addresses, with or without a port."""
    assert parse_url(url) == place


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hub:8443",
        "https://hub:8443",
        "ws://hub:8443",
        "wss://",
        "wss://hub:99999",
        "wss://hub:0",
        "wss://hub:x",
        "wss://user@hub:1",
        "wss://hub:1/path",
        "wss://hub:1?q",
        "wss://hub:1#f",
        "wss://hu b:1",
        "wss://hub\r\nX: y:1",
        "wss://[::1:8",
    ],
)
def test_addresses_that_are_not(url: str) -> None:
    """Anything but wss, a host and a port is refused with the form that is wanted."""
    with pytest.raises(UserError, match="wss://HOST:PORT"):
        parse_url(url)


@given(st.text())
def test_no_address_breaks_the_parser(text: str) -> None:
    """Whatever is given, the answer is a host and a port, or a UserError."""
    for url in (text, "wss://" + text):
        try:
            host, port = parse_url(url)
        except UserError:
            continue
        assert host
        assert 0 < port < 65_536
