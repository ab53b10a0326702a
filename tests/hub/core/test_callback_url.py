"""Where replies may go: the URL against the allow-list, odd hosts, and the addresses that are never called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from common.errors import UserError
from hub.core.callback_url import (
    BadURL,
    check,
    host_within,
    is_loopback,
    parse,
    parse_allowed_host,
    parse_api_url,
    resolve_callback,
)
from tests.each import each_of

HOSTS = ("chat.example", "hooks.example:8443", "http://inside.example", "127.0.0.1", "localhost", "[::1]", "例子.测试")


@each_of(
    ("url", "called"),
    [
        ("https://chat.example/r", "https://chat.example/r"),
        ("https://chat.example", "https://chat.example/"),
        ("https://chat.example?a=1", "https://chat.example/?a=1"),
        ("https://chat.example/a?b=c&d=%20/?", "https://chat.example/a?b=c&d=%20/?"),
        ("HTTPS://Chat.EXAMPLE./R", "https://chat.example/R"),
        ("https://chat.example:443/r", "https://chat.example/r"),
        ("https://chat.example:9000/r", "https://chat.example:9000/r"),
        ("https://hooks.example:8443/r", "https://hooks.example:8443/r"),
        ("http://inside.example/r", "http://inside.example/r"),
        ("http://inside.example:80/r", "http://inside.example/r"),
        ("http://127.0.0.1:9000/r", "http://127.0.0.1:9000/r"),
        ("https://127.0.0.1/r", "https://127.0.0.1/r"),
        ("http://localhost:9000/r", "http://localhost:9000/r"),
        ("http://[::1]:9000/r", "http://[::1]:9000/r"),
        ("http://[0:0:0:0:0:0:0:1]:9000/r", "http://[::1]:9000/r"),
        ("https://例子.测试/r", "https://xn--fsqu00a.xn--0zwm56d/r"),
        ("https://xn--fsqu00a.xn--0zwm56d/r", "https://xn--fsqu00a.xn--0zwm56d/r"),
        ("https://chat。example/r", "https://chat.example/r"),
        ("https://ｃｈａｔ.example/r", "https://chat.example/r"),
    ],
)
def test_a_listed_host_is_admitted_in_one_form(url: str, called: str) -> None:
    """What is called is written anew from what was checked."""
    assert check(url, HOSTS) is None
    target = resolve_callback(url, HOSTS)
    assert not isinstance(target, str)
    assert target.url == called


@each_of(
    "url",
    [
        "https://evil.example/r",
        "https://sub.chat.example/r",
        "https://chat.example.evil.example/r",
        "https://chat.exampl/r",
        "https://notchat.example/r",
        "https://hooks.example/r",  # listed with another port
        "https://hooks.example:443/r",
        "https://192.0.2.1/r",
        "http://127.0.0.2:9000/r",
        "https://[2001:db8::2]/r",
    ],
)
def test_another_host_is_refused_by_name(url: str) -> None:
    """The reason names host and port, and the key that would admit them."""
    reason = check(url, HOSTS)
    assert reason is not None
    assert parse(url).authority in reason
    assert "reply_hosts" in reason or "not an address" in reason


@each_of(
    "url",
    [
        "https://evil.example/r",
        "http://chat.example/r",
        "https://169.254.169.254/r",
        "ftp://x",
        "https://inside.example/r",
    ],
)
def test_the_reason_says_what_goes_there(url: str) -> None:
    for what in ("reply_url", "a call", "the socket"):
        reason = resolve_callback(url, HOSTS, what)  # type: ignore[arg-type]
        assert isinstance(reason, str)
        assert reason.startswith(f"{what} goes to ")


@each_of("url", ["http://chat.example/r", "http://hooks.example:8443/r", "https://inside.example/r"])
def test_the_scheme_is_part_of_the_entry(url: str) -> None:
    """Without TLS only loopback is called, and what is listed as http://; and that not otherwise."""
    assert check(url, HOSTS) is not None


def test_an_empty_list_admits_nothing() -> None:
    """Not even loopback."""
    assert check("http://127.0.0.1:9000/r", ()) is not None
    assert check("https://chat.example/r", ()) is not None


@each_of(
    "url",
    [
        "",
        "chat.example/r",
        "//chat.example/r",
        "ftp://chat.example/r",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "gopher://chat.example/",
        "https:chat.example/r",
        "https:/chat.example/r",
        "https:///chat.example/r",
        "https://",
        "https:///r",
        "https://:443/r",
        "https://chat.example:/r",
        "https://chat.example:0/r",
        "https://chat.example:65536/r",
        "https://chat.example:４４３/r",
        "https://chat.example:+443/r",
        "https://chat.example/r#fragment",
        "https://chat.example#@evil.example/",
        "https://user@chat.example/r",
        "https://chat.example@evil.example/r",
        "https://chat.example%40evil.example/r",
        "https://user:pass@chat.example/r",
        "https://chat.example\\@evil.example/r",
        "https://chat.example\\.evil.example/r",
        "https:\\\\chat.example\\r",
        "https://chat.example /r",
        " https://chat.example/r",
        "https://chat.example/r\n",
        "https://chat.example/a b",
        "https://chat.example/\r\nX: y",
        "https://chat.example/\0",
        "https://chat.example/é",
        "https://chat%2eexample/r",
        "https://chat..example/r",
        "https://.chat.example/r",
        "https://-chat.example/r",
        "https://chat_.example/r",
        "https://chat.example../r",
        "https://" + "a" * 64 + ".example/r",
        "https://" + "a." * 130 + "example/r",
        "https://chat.example/" + "a" * 2_048,
        "https://straße.example/r",
        "https://a\u200db.example/r",
        "https://[::1/r",
        "https://[fe80::1%25eth0]/r",
        "https://[chat.example]/r",
        "https://[127.0.0.1]/r",
        "https://::1/r",
    ],
)
def test_what_is_not_plainly_a_url_is_refused(url: str) -> None:
    """Forms that two parsers could read in two ways are refused, also where the host would be listed."""
    with pytest.raises(BadURL):
        parse(url)
    assert check(url, HOSTS) is not None


@each_of(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0x7f.0.0.1",
        "017700000001",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.01",
        "127.0.0.1.",
        "127.0.0.256",
        "1.2.3.4.5",
        "0",
        "0x",
        "１２７.１",
        "①②⑦.0.0.1x.1",
        "foo.0x7f",
        "foo.1",
        "127.0.0.1..",
        "4294967297",
    ],
)
def test_ip_addresses_in_odd_forms_are_refused(host: str) -> None:
    """What libc or a browser would read as an address is only taken as four plain decimal numbers."""
    if host == "127.0.0.1.":  # a final dot is dropped: it is the same name
        assert parse(f"https://{host}/").host == "127.0.0.1"
        return
    with pytest.raises(BadURL):
        parse(f"https://{host}/")


NEVER = [
    "0.0.0.0",  # noqa: S104
    "169.254.169.254",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "198.18.0.1",
    "192.88.99.1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:53aa:64c::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "100::1",
]


@each_of("address", NEVER)
def test_some_addresses_are_never_called_even_listed(address: str) -> None:
    """Metadata, link-local, multicast, reserved and translated addresses are refused, listed literally or not."""
    literal = f"[{address}]" if ":" in address else address
    reason = check(f"https://{literal}/r", (literal, f"http://{literal}"))
    assert reason is not None
    assert "reply_hosts" not in reason


def test_private_addresses_that_are_listed_are_called() -> None:
    """A chat on the own network is a normal case."""
    for literal in ("10.1.2.3", "192.168.0.1", "172.16.0.1", "[fd12::1]", "100.64.0.1"):
        assert check(f"https://{literal}/r", (literal,)) is None


@each_of(
    ("entry", "host", "port", "scheme"),
    [
        ("chat.example", "chat.example", None, ""),
        ("Chat.Example:8443", "chat.example", 8443, ""),
        ("https://chat.example", "chat.example", None, "https"),
        ("http://[::1]:80", "::1", 80, "http"),
        ("例子.测试", "xn--fsqu00a.xn--0zwm56d", None, ""),
    ],
)
def test_entries_are_read(entry: str, host: str, port: int | None, scheme: str) -> None:
    """An entry is a host, perhaps with port and scheme, in the same form as the hosts of URLs."""
    parsed = parse_allowed_host(entry)
    assert (parsed.host, parsed.port, parsed.scheme) == (host, port, scheme)


@each_of(
    "entry",
    [
        "",
        "*",
        "*.example",
        "chat.example/path",
        "https://chat.example/",
        "user@chat.example",
        "0x7f.1",
        "a b",
        "ftp://a",
    ],
)
def test_a_bad_entry_is_named(entry: str) -> None:
    """A mistake in hub.toml is a message with the entry and the cure; there are no wildcards."""
    with pytest.raises(UserError, match="reply_hosts"):
        parse_allowed_host(entry)


def test_loopback_is_what_says_so_itself() -> None:
    """Only these hosts may resolve to this machine."""
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1")))
    assert not any(map(is_loopback, ("chat.example", "localhost.example", "10.0.0.1", "::2")))


@given(st.text(max_size=60))
def test_any_text_is_decided(text: str) -> None:
    """Whatever the text, the outcome is a reason or a URL whose host is in the list."""
    for url in (text, "https://" + text, "https://chat.example" + text):
        target = resolve_callback(url, ("chat.example",))
        if not isinstance(target, str):
            assert target.host == "chat.example"
            # the library that makes the connection reads it in the same way
            assert URL(target.url, encoded=True).host == "chat.example"
            assert URL(target.url, encoded=True).scheme == "https"


def test_hosts_below_a_domain_are_told_from_others() -> None:
    """The domain itself, a longer name that ends alike, and what is no URL are not below it."""
    assert host_within("https://A.Chat.Example./x", "chat.example") == "a.chat.example"
    for url in ("https://chat.example/", "https://evilchat.example/", "https://a.chat.example.evil/", "a.chat.example"):
        assert host_within(url, "chat.example") == ""


def test_the_root_of_an_api_gives_its_host() -> None:
    """Without a final slash; the entry names scheme and port, so that nothing else of that host is called."""
    assert parse_api_url("https://Chat.example/api/") == ("https://chat.example/api", "https://chat.example:443")
    root, host = parse_api_url("http://127.0.0.1:8065")
    assert (root, host) == ("http://127.0.0.1:8065", "http://127.0.0.1:8065")
    assert check(f"{root}/api/v4/posts", (host,)) is None
    assert check("http://127.0.0.1:8066/api/v4/posts", (host,)) is not None
    for wrong in ("chat.example", "ftp://chat.example", "https://chat.example/?a=b", "https://u:p@chat.example", ""):
        with pytest.raises(UserError, match="api_url"):
            parse_api_url(wrong)
