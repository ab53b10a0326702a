"""The text of hub.toml as `init` writes it: every key with its comment; keys that are not set are commented out.

Generated from the dataclasses of `hub/config.py`, one key a line, so that people and scripts can edit it as text.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import MISSING, Field
from functools import cache
from pathlib import Path
from typing import Any

from common.config import config_fields, field_types, unwrap_optional
from common.text import toml_string
from common.values import Address, Duration, Size, format_duration, format_size
from hub.config import HubConfig, ModelTable, PersonTable, StoreTable
from hub.core.http_table import is_loopback
from hub.core.inlet_table import InletTable

_WIDTH = 110
_HEAD = """\
The hub's configuration. Every key is here; one behind a # is not set and shows its default.
Paths are relative to this file's folder. Durations: "90s", "10m", "1h30m", "7d". Sizes: "64KiB", "8MiB".
`answerback-hub check --config FILE` says what is wrong and what to do about it."""


def hub_toml(
    *, http: Address, links: Address, admin: str, public: Address | None = None, store: str | None = None
) -> str:
    """The file of a new hub with the one inlet `ops`; `admin` "" for a hub that has no person yet."""
    values: dict[str, Mapping[str, Any]] = {
        "http": {"listen": http} | ({} if is_loopback(http.host) else {"behind_proxy": True}),
        "links": {"listen": links} | ({"public": public} if public is not None else {}),
        "store": {"url": store or StoreTable().url},
    }
    blocks = [_comment(_HEAD)]
    hints = field_types(HubConfig)
    for entry in config_fields(HubConfig):
        if entry.name == "inlets":
            inlet = {"platform": "generic", "secret_file": Path("secrets/ops"), "reply_hosts": ("127.0.0.1",)}
            blocks.append(_table("inlets.ops", InletTable, inlet))
        elif entry.name == "people":
            person = {"roles": ("admin",), "chat": (f"ops:{admin}",)}
            blocks.append(_table(f"people.{admin or 'NAME'}", PersonTable, person, active=bool(admin)))
        elif entry.name == "models":
            model = {"url": "http://127.0.0.1:11434", "kind": "ollama", "model": "NAME"}
            blocks.append(_table("models.NAME", ModelTable, model, active=False))
        else:
            blocks.append(_table(entry.name, hints[entry.name], values.get(entry.name, {})))
    return "\n\n".join(blocks) + "\n"


def _table(name: str, kind: type[Any], values: Mapping[str, Any], *, active: bool = True) -> str:
    """One table; a key without a value is commented out and shows its default. Not `active`: the whole table is an
    example, commented out.
    """
    lines = [_comment(kind.__doc__ or ""), f"[{name}]" if active else f"# [{name}]"]
    hints = field_types(kind)
    for entry in config_fields(kind):
        lines.append(_comment(entry.metadata["doc"]))
        value = values.get(entry.name, entry.default)
        mark = "" if active and entry.name in values else "# "
        lines.append(f"{mark}{entry.name} = {_toml(value, hints[entry.name], entry)}")
    return "\n".join(lines)


@cache
def _comment(text: str) -> str:
    return "\n".join(
        line
        for paragraph in text.splitlines()
        for line in textwrap.wrap(paragraph, _WIDTH, initial_indent="# ", subsequent_indent="# ")
    )


def _toml(value: Any, hint: Any, entry: Field[Any]) -> str:
    """A value as TOML; for a key without a default, which has none to show, an example of its kind."""
    if value is None or value is MISSING:
        value = _EXAMPLES[entry.name]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple) and not isinstance(value, Address):
        return "[" + ", ".join(toml_string(item) for item in value) + "]"
    if isinstance(value, str | Path | Address):
        return toml_string(str(value))
    if unwrap_optional(hint) is Duration:
        return toml_string(format_duration(value))
    if unwrap_optional(hint) is Size:
        return toml_string(format_size(value))
    return str(value)


_EXAMPLES: Mapping[str, Any] = {
    "name": "operations",
    "public": Address("hub.example.org", 8443),
    "public_url": "https://hub.example.org",
    "rate": 500,
    "body_limit": 8 * 1024 * 1024,
    "quiet_after": 4 * 3600.0,
    "certificate_file": Path("secrets/http.pem"),
    "key_file": Path("secrets/NAME"),
    "syslog": "/dev/log",
    "chat": "ops:C024BE91L",
    "webhook": "https://witness.example.org/answerback",
    "webhook_token_file": Path("secrets/witness"),
    "s3": "https://s3.example.org/audit/hub",
    "s3_key_file": Path("secrets/s3"),
    "seal_key_credential": "answerback-seal",
}
