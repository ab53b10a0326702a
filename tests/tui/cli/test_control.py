"""answerback priority, take-back, drain, undrain, edit, broadcast: the console's other acts, from the command line."""

from __future__ import annotations

import pytest

from common.errors import UserError
from tests.tui.live_hub import LiveHub
from tui.cli.control import option_seconds

pytestmark = pytest.mark.xdist_group("live")


def test_durations_of_options() -> None:
    """As people write them; what is none is named with the option."""
    assert option_seconds("--cancel-after", "10m") == 600.0
    assert option_seconds("--cancel-after", None) is None
    with pytest.raises(UserError, match="--cancel-after soon"):
        option_seconds("--cancel-after", "soon")


def test_drain_and_back(answerback: LiveHub) -> None:
    """A machine is drained and takes jobs again; a name that is none is refused and named."""
    name = answerback("agents", "--json").json[0]["name"]
    assert answerback("drain", name).code == 0
    assert any(agent["draining"] for agent in answerback("agents", "--json").json if agent["name"] == name)
    assert answerback("undrain", name).code == 0
    refused = answerback("drain", "nowhere-1")
    assert refused.code != 0
    assert "nowhere-1" in refused.err


def test_an_edit_that_is_only_looked_at(answerback: LiveHub) -> None:
    """--dry-run changes nothing; without a terminal and a file it says what to give."""
    number = f"r{answerback.create_asking_request()['number']}"
    bare = answerback("edit", number)
    assert bare.code == 2
    assert "--file" in bare.err
    assert answerback("request", number, "--json").json["state"] == "asking"
    answerback.run_as("bob", "reject", number)


def test_take_back_of_what_is_over_is_too_late(answerback: LiveHub) -> None:
    """A request that has been decided cannot be taken back; nothing changes and the words say why."""
    number = f"r{answerback.create_asking_request()['number']}"
    answerback.run_as("bob", "reject", number)
    late = answerback("take-back", number)
    assert late.code != 0
    assert number in late.err + late.text


def test_wrong_usage() -> None:
    """A priority beyond 9 is wrong usage before any hub is asked."""
    from click.testing import CliRunner

    from tui.cli.main import answerback as program

    assert CliRunner().invoke(program, ["priority", "K3V9TQ0Z4M", "12"]).exit_code == 2
