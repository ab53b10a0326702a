"""Where a reply or another call may go: a pure decision on the URL (against SSRF); `hub.chat.resolver` holds
connections to it.

Only a host that the inlet's `reply_hosts` names is ever called. An entry is `host`, `host:port` or either with
`https://` or `http://` before it; without a port any port of that host is meant; names are exact, there are no
wildcards. https is required, but for loopback (`localhost`, 127.0.0.0/8, ::1) and for entries that say `http://`. An
empty list admits nothing.

Addresses: what a name resolves to is checked before connecting, and the connection goes to the very address that was
checked. Link-local, metadata, multicast, reserved and translated addresses (NAT64, 6to4, Teredo, IPv4-mapped) are
never called, listed or not. Loopback is called only where the URL itself says loopback, so a listed name cannot be
rebound to this machine. Private addresses (RFC 1918, unique local, 100.64.0.0/10) are called: chats on the own
network are a normal case, and the name was listed exactly.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from common.errors import UserError
from common.values import Address

MAX_URL: Final = 2_048

Called = Literal["reply_url", "a call", "the socket"]
"""What goes to a URL, as a reason names it."""
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#\\\s]+)(?P<path>/[!-\[\]-~]*)?(?P<query>\?[!-\[\]-~]*)?",
    re.IGNORECASE,
)
_ALLOWED_HOST = re.compile(r"(?:(?P<scheme>https?)://)?(?P<authority>[^/?#\\\s]+)", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]:@%]+))(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_NUMBER_LIKE = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_DEVIATIONS: Final = frozenset("ßς\u200c\u200d")  # IDNA 2003 and 2008 disagree on them
_PORTS: Final = {"http": 80, "https": 443}

_BLOCKED_NETWORKS: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "169.254.0.0/16",  # link-local, and the metadata service of most clouds
        "100.100.100.200/32",  # metadata, Alibaba
        "168.63.129.16/32",  # metadata, Azure
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "::/128",
        "::ffff:0:0/96",  # IPv4-mapped
        "::/96",  # IPv4-compatible, but for ::1 (asked first)
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
        "fd00:ec2::254/128",  # metadata, AWS
        "fd20:ce::254/128",  # metadata, Google
    )
)


class BadURL(ValueError):
    """A URL or entry that is not of the form; `str()` says why."""


@dataclass(frozen=True, slots=True)
class CallbackUrl:
    """A URL taken apart and written anew, so that what was checked and what is called cannot be read differently."""

    scheme: str
    host: str  # lower case, ASCII; an IPv6 address without brackets
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port, as people are told where something goes."""
        return str(Address(self.host, self.port))

    @property
    def url(self) -> str:
        host = self.authority if self.port != _PORTS[self.scheme] else self.authority.rpartition(":")[0]
        return f"{self.scheme}://{host}{self.path}"


@dataclass(frozen=True, slots=True)
class AllowedHost:
    """One entry of `reply_hosts`."""

    host: str
    port: int | None  # None admits any
    scheme: str  # "" admits https, and http where the host is loopback


def parse(url: str) -> CallbackUrl:
    """Raises BadURL."""
    if len(url) > MAX_URL:
        raise BadURL(f"longer than {MAX_URL} characters")
    if "#" in url:
        raise BadURL("it has a fragment")
    match = _URL.fullmatch(url)
    if match is None:
        raise BadURL("it must be https://HOST/PATH, without spaces, and percent-encoded where not ASCII")
    scheme = match["scheme"].lower()
    host, port = _authority(match["authority"])
    return CallbackUrl(
        scheme, host, _PORTS[scheme] if port is None else port, (match["path"] or "/") + (match["query"] or "")
    )


def parse_allowed_host(entry: str, key: str = "reply_hosts") -> AllowedHost:
    """Raises UserError that names the entry; `key` is the key of the inlet that it stands under."""
    match = _ALLOWED_HOST.fullmatch(entry)
    try:
        if match is None:
            raise BadURL("it is not of the form")
        host, port = _authority(match["authority"])
    except BadURL as error:
        raise UserError(
            f"{key}: {entry!r}: {error}", "write a host, host:port or http://host:port, without a path"
        ) from None
    scheme = (match["scheme"] or "").lower()
    return AllowedHost(host, port, scheme)


def parse_api_url(url: str) -> tuple[str, str]:
    """`api_url` of an inlet without a final slash, and its host as an entry of `reply_hosts`; raises UserError."""
    try:
        target = parse(url)
        if "?" in target.path:
            raise BadURL("it has a query")
    except BadURL as error:
        raise UserError(f"api_url: {error}", "write https://HOST or https://HOST/PATH") from None
    return target.url.rstrip("/"), f"{target.scheme}://{target.authority}"


def check(url: str, reply_hosts: tuple[str, ...]) -> str | None:
    """None where replies may be posted to `url`, else the reason, which names the host."""
    target = resolve_callback(url, reply_hosts)
    return target if isinstance(target, str) else None


def host_within(url: str, domain: str) -> str:
    """The host of a URL where it is one below `domain`, else ""."""
    try:
        host = parse(url).host
    except BadURL:
        return ""
    return host if host.endswith(f".{domain}") else ""


@lru_cache(maxsize=4_096)  # the same few URLs come with every message
def resolve_callback(url: str, reply_hosts: tuple[str, ...], what: Called = "reply_url") -> CallbackUrl | str:
    """The target where `url` may be called, else the reason."""
    try:
        target = parse(url)
    except BadURL as error:
        return f"{what} goes to no URL that can be called: {error}"
    address = parse_ip(target.host)
    loopback = is_loopback(target.host)
    if address is not None and (reason := address_refusal(address, loopback=loopback)):
        return f"{what} goes to {target.host}: {reason}"
    entries = [entry for entry in map(parse_allowed_host, reply_hosts) if entry.host == target.host]
    entries = [entry for entry in entries if entry.port is None or entry.port == target.port]
    where = target.authority
    if not entries:
        return f"{what} goes to {where}, which is not in reply_hosts of this inlet"
    schemes = {entry.scheme for entry in entries}
    if target.scheme == "http" and "http" not in schemes and not ("" in schemes and loopback):
        return f"{what} goes to {where} without TLS; use https, or list it in reply_hosts as http://{where}"
    if target.scheme == "https" and not schemes & {"", "https"}:
        return f"{what} goes to {where} by https, which reply_hosts lists as http:// only"
    return target


def is_loopback(host: str) -> bool:
    """Whether a host says by itself that it is this machine."""
    address = parse_ip(host)
    return host == "localhost" if address is None else address.is_loopback


def address_refusal(address: IPAddress, *, loopback: bool) -> str | None:
    """Why an address is never called, or None. `loopback` tells whether the URL itself said loopback."""
    if address == ipaddress.IPv6Address("::1") or (address.version == 4 and address.is_loopback):
        return None if loopback else "it resolves to this machine, and its name does not say so"
    if any(address.version == network.version and address in network for network in _BLOCKED_NETWORKS):
        return f"{address} is not an address that is called"
    return None


def _authority(text: str) -> tuple[str, int | None]:
    if "@" in text:
        raise BadURL("it has a user name in it")
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        raise BadURL("its host is not of the form")
    port = None if match["port"] is None else int(match["port"])
    if port is not None and not 1 <= port <= 65_535:
        raise BadURL("its port is not within 1 to 65535")
    if match["v6"] is not None:
        try:
            return str(ipaddress.IPv6Address(match["v6"])), port
        except ValueError:
            raise BadURL("its host is not an IPv6 address") from None
    return _host(match["host"]), port


def _host(text: str) -> str:
    """A host name or IPv4 address in its one canonical form: lower case, IDNA, no final dot."""
    if _DEVIATIONS & set(text.lower()):
        raise BadURL("its host name is read in two ways; write it as xn--…")
    try:
        # The codec knows IDNA 2003 only; entries and URLs pass the same one, so a difference to 2008 can only refuse.
        host = text.encode("idna").decode("ascii").lower().removesuffix(".")
    except (UnicodeError, ValueError):
        raise BadURL("its host name is not a host name") from None
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadURL("its host name is not a host name")
    # As browsers and libc read hosts: 2130706433, 0x7f.1 and 127.1 are all 127.0.0.1. Only the plain form is taken.
    if _NUMBER_LIKE.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise BadURL("its host is an IP address in an odd form; write it as 192.0.2.1") from None
    return host


def parse_ip(host: str) -> IPAddress | None:
    """None where the host is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
