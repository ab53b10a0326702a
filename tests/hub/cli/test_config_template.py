from __future__ import annotations

import re
import tomllib
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from common.config import build, config_fields, unwrap_optional
from common.values import Address
from hub.cli.config_template import hub_toml
from hub.config import HubConfig, LinksTable

TEXT = hub_toml(http=Address("127.0.0.1", 9000), links=Address("::1", 9001), admin="alice")
COMMENTED_KEY = re.compile(r"^# (\[?[a-zA-Z_.]+(?:\]| = .*))$", re.MULTILINE)
PATH = Path("/hub/hub.toml")


def forms() -> dict[str, type[Any]]:
    """Each table's name in the file and its dataclass."""
    found = {}
    for name, hint in get_type_hints(HubConfig).items():
        if is_dataclass(unwrap_optional(hint)):
            found[name] = hint
        elif len(get_args(hint)) == 2:
            found[name] = get_args(hint)[1]
    return found


def test_the_file_is_read_back() -> None:
    """What `init` writes is a whole configuration: its addresses, its inlet, its admin, defaults for the rest."""
    config = build(tomllib.loads(TEXT), HubConfig, PATH)
    assert config.http.listen == Address("127.0.0.1", 9000)
    assert config.links.listen == Address("::1", 9001)
    assert config.inlets["ops"].secret_file == Path("/hub/secrets/ops")
    assert config.people["alice"].chat == ("ops:alice",)
    assert config.people["alice"].roles == ("admin",)


def test_every_key_is_documented() -> None:
    """Each key of each table stands in the file, set or behind a #, with a comment above it."""
    lines = TEXT.splitlines()
    for table, form in forms().items():
        start = next(index for index, line in enumerate(lines) if re.match(rf"(# )?\[{table}(\.\w+)?\]$", line))
        end = next((index for index in range(start, len(lines)) if not lines[index]), len(lines))
        for key in config_fields(form):
            at = [index for index in range(start, end) if re.match(rf"(# )?{key.name} = ", lines[index])]
            assert len(at) == 1, f"[{table}] {key.name}"
            assert lines[at[0] - 1].startswith("# "), f"[{table}] {key.name} has no comment"


def test_the_shown_defaults_are_the_defaults() -> None:
    """Taking the # away from every key changes nothing but what has no default: examples of names and models."""
    uncommented = build(tomllib.loads(COMMENTED_KEY.sub(r"\1", TEXT)), HubConfig, PATH)
    as_written = build(tomllib.loads(TEXT), HubConfig, PATH)
    assert replace(uncommented.http, public_url=None, certificate_file=None, key_file=None) == as_written.http
    for name in ("queue", "log"):
        assert getattr(uncommented, name) == getattr(as_written, name)
    assert uncommented.store.url == as_written.store.url
    assert uncommented.store.retention == as_written.store.retention
    assert uncommented.links.public == Address("hub.example.org", 8443)
    assert set(uncommented.models) == {"NAME"}


def test_one_key_a_line() -> None:
    """Scripts edit it as text: no line holds two keys, no value goes over two lines, no line is overlong."""
    for line in TEXT.splitlines():
        assert len(line) <= 120
        assert line == "" or line.startswith("#") or re.fullmatch(r"\[[a-z.]+\]|[a-z_]+ = \S.*", line), line


def test_tables_can_be_added_at_the_end() -> None:
    """More inlets and people are appended as text."""
    more = '\n[inlets.dev]\nplatform = "standard"\nsecret_file = "secrets/dev"\n[people.bob]\nroles = ["viewer"]\n'
    config = build(tomllib.loads(TEXT + more), HubConfig, PATH)
    assert set(config.inlets) == {"ops", "dev"}
    assert set(config.people) == {"alice", "bob"}


def test_a_hub_without_an_admin() -> None:
    """Nobody is in the file, and how to add somebody is."""
    text = hub_toml(http=Address("h", 1), links=LinksTable().listen, admin="")
    assert build(tomllib.loads(text), HubConfig, PATH).people == {}
    assert "# [people.NAME]" in text
