"""hub.cli.config_edit: a table more or less in hub.toml, every other byte as it was."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UserError
from common.values import Address
from hub.cli.config_edit import add_table, remove_table
from hub.cli.config_template import hub_toml

TEXT = hub_toml(http=Address("127.0.0.1", 9000), links=Address("::1", 9001), admin="alice")
TABLE = '# A chat.\n[inlets.team]\nplatform = "generic"\nsecret_file = "secrets/team"\n'


def test_a_table_comes_and_goes_without_a_trace() -> None:
    """After the last of its group, with an empty line around it; taken out again the file is what it was."""
    made = add_table(TEXT, "inlets", "team", TABLE)
    assert made.replace(f"\n{TABLE}", "") == TEXT
    assert made.index("[inlets.ops]") < made.index("[inlets.team]") < made.index("[people.alice]")
    assert remove_table(made, "inlets", "team") == (TEXT, TABLE)


def test_what_people_write_around_it_stays() -> None:
    """Windows line ends, no line end at the end, quoted names, comments behind headers, a first table of its group,
    comments that belong to no table.
    """
    for text in (
        "",
        "a = 1",
        "a = 1\r\n\r\n[b]\r\nc = 2\r\n",
        '[inlets."a.b"] # why\nx = 1\n\n# a loose comment\n',
        "# [inlets.ops]\n",
    ):
        made = add_table(text, "inlets", "team", TABLE)
        assert tomllib.loads(made)["inlets"]["team"]["platform"] == "generic"
        left, gone = remove_table(made, "inlets", "team")
        assert (left.rstrip("\n"), gone) == (text.rstrip("\n"), TABLE)
    left, gone = remove_table('[inlets."a.b"] # why\nx = 1\n# y = 2\n\n# loose\n\n[z]\n', "inlets", "a.b")
    assert (left, gone) == ("# loose\n\n[z]\n", '[inlets."a.b"] # why\nx = 1\n# y = 2\n')


def test_what_does_not_fit_is_refused() -> None:
    """A table that is there, one that is not, a file that is no TOML, tables that stand on one line."""
    one_line = 'inlets = { ops = { platform = "generic", secret_file = "s" } }\n'
    for change, problem in (
        (lambda: add_table(TEXT, "inlets", "ops", TABLE.replace("team", "ops")), "already"),
        (lambda: remove_table(TEXT, "inlets", "team"), "there is no"),
        (lambda: add_table("[[[", "inlets", "team", TABLE), "not TOML"),
        (lambda: add_table(one_line, "inlets", "team", TABLE), "does not fit"),
        (lambda: remove_table(one_line, "inlets", "ops"), "cannot be cut out"),
    ):
        with pytest.raises(UserError, match=problem):
            change()


@given(st.text(st.sampled_from(list("ab=[]#.'\" \n1")), max_size=60))
def test_any_file_says_what_it_said(text: str) -> None:
    """Or is refused."""
    try:
        before = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        before = None
    try:
        made = add_table(text, "inlets", "team", TABLE)
        left, _ = remove_table(made, "inlets", "team")
    except UserError:
        return
    assert before is not None
    assert tomllib.loads(left) == before
    after = tomllib.loads(made)
    assert after.pop("inlets") == {**before.get("inlets", {}), **tomllib.loads(TABLE)["inlets"]}
    assert after == {key: value for key, value in before.items() if key != "inlets"}
