from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from common.config import ConfigError, build, load, required, setting, table, tables
from common.values import (
    Address,
    Duration,
    Size,
)


@dataclass(frozen=True, slots=True)
class Web:
    listen: Address = setting(Address("127.0.0.1", 80), "where")
    rate: int = setting(5, "how many", low=1, high=10)
    share: float = setting(0.5, "how much", low=0.0, high=1.0)
    wait: Duration = setting(Duration(60.0), "how long", low=1.0, high=3600.0)
    limit: Size = setting(Size(1024), "how large", low=1, high=1 << 20)
    quiet: bool = setting(False, "whether")
    level: Literal["low", "high"] = setting("low", "which")
    hosts: tuple[str, ...] = setting((), "whom")
    extra: int | None = setting(None, "or none", low=1)
    password: str = setting("none", "a secret", secret=True)
    grace: Duration = setting(Duration(60.0), "how long after; 0: never", low=0.0, high=3600.0)
    derived: str = field(default="not a key")


@dataclass(frozen=True, slots=True)
class Inlet:
    file: Path = required("the file")
    kind: str = setting("plain", "the kind")


@dataclass(frozen=True, slots=True)
class Whole:
    web: Web = table(Web)
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


def test_unknown_keys_and_tables_are_refused_with_the_nearest(tmp_path: Path) -> None:
    """A slip of the pen does not become a default: the nearest known name is told, or all of them."""
    assert problems(tmp_path, '[web]\nlistn = "x"') == ["[web] listn: unknown key; did you mean listen?"]
    assert problems(tmp_path, "[wbe]\nrate = 1") == ["wbe: unknown table; did you mean web?"]
    assert problems(tmp_path, "[inlets.ops]\nfile = 'x'\nzzz = 1") == [
        "[inlets.ops] zzz: unknown key; known here: file, kind"
    ]
    assert problems(tmp_path, "[web]\nderived = 'x'")[0].startswith("[web] derived: unknown key")


@pytest.mark.parametrize("none", ["0", '"0"', '"0s"', '"0d"'])
def test_no_time_at_all_needs_no_unit(tmp_path: Path, none: str) -> None:
    """Where 0 means never."""
    assert load(written(tmp_path, f"[web]\ngrace = {none}"), Whole).web.grace == 0.0


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
        ("wait = 0", "[web] wait: 1s to 1h was expected, not 0"),
        ("grace = false", '[web] grace: a duration such as "90s", "10m" or "1h30m" was expected, not false'),
        ("wait = '2h'", '[web] wait: 1s to 1h was expected, not "2h"'),
        ("limit = '2PB'", '[web] limit: a size such as "64KiB" or "8MiB" was expected, not "2PB"'),
        ("limit = '2MB'", '[web] limit: 1B to 1MiB was expected, not "2MB"'),
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


def test_build_takes_a_parsed_file(tmp_path: Path) -> None:
    """The same check where the TOML came another way; paths are relative to the file that is named."""
    path = tmp_path / "x.toml"
    assert build({"inlets": {"a": {"file": "b"}}}, Whole, path).inlets["a"].file == tmp_path / "b"


# ---- files


# ---- values


# ---- addresses of hubs
