"""answerback approvers: whose own signatures machines count, and changing that from afar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.approvers import load_known
from tests.tui.live_hub import LiveHub

pytestmark = pytest.mark.xdist_group("live")


def own_key(answerback: LiveHub, person: str) -> str:
    return answerback.run_as(person, "whoami", "--approval-key").text.split()[1]


def file_of(answerback: LiveHub, machine: str) -> Path:
    return Path(answerback.rig.state_folder(machine)) / "runner" / "approvers.json"


def pin(answerback: LiveHub, machine: str, *people: str) -> None:
    state = str(answerback.rig.state_folder(machine))
    for person in people:
        key = own_key(answerback, person)
        answerback.run_coroutine(answerback.rig.run("agent", "approvers", "add", person, key, "--state", state))


def answers(answerback: LiveHub, change: str) -> dict[str, tuple[str, str]]:
    shown = answerback("approvers", "show", change, "--json").json
    return {one["agent"]: (one["state"], one.get("reason", "")) for one in shown["answers"]}


def test_two_people_change_a_machine_from_afar(answerback: LiveHub) -> None:
    """Trust: proposed and signed by two people whose keys the machine has, a third key is added by the machine itself;
    one person is not enough, nor is anybody's word where the machine knows one of them alone.
    """
    admin = answerback.rig.admin
    pin(answerback, "web-1", "bob", admin)
    pin(answerback, "web-2", admin)
    key = "5a" * 32
    ended = answerback.run_as("bob", "approvers", "propose", "add", "dan", key, "--on", "web-*", "--json")
    assert (ended.code, "nothing is signed without a terminal" in ended.err, key in ended.err) == (3, True, True)
    ended = answerback.run_as("bob", "approvers", "propose", "add", "dan", key, "--on", "web-*", "--yes", "--json")
    made: Any = ended.json
    change = made["id"]
    assert made["code"] == "ok"
    (listed,) = [one for one in answerback("approvers", "changes", "--json").json if one["id"] == change]
    assert (listed["state"], listed["signed_by"], listed["waiting"]) == ("signing", ["bob"], 2)
    assert load_known(file_of(answerback, "web-1")).owner_of(key) == ""

    assert answerback("approvers", "sign", change, "--yes").code == 0
    answerback.wait_until(lambda: "waiting" not in [state for state, _ in answers(answerback, change).values()])
    told = answers(answerback, change)
    assert told["web-1"] == ("done", "")
    assert told["web-2"][0] == "refused"
    assert "on the machine, answerback-agent approvers add NAME KEY" in told["web-2"][1]
    assert load_known(file_of(answerback, "web-1")).owner_of(key) == "dan"
    assert load_known(file_of(answerback, "web-2")).owner_of(key) == ""
    shown = answerback("approvers", "show", change).text
    assert f"key       {key}" in shown
    assert "1 done, 1 refused, 0 waiting" in shown
    known = {one["agent"]: one["keys"] for one in answerback("approvers", "list", "--json").json}
    assert {"person": "dan", "key": key} in known["web-1"]
    assert f"dan  {key}" in answerback("approvers", "list").text
    said = [row["kind"] for row in answerback("audit", "--json").json if row["subject"] == change]
    assert {"key_change.proposed", "key_change.signed", "key_change.done", "key_change.turned_away"} <= set(said)


def test_a_key_of_ones_own_is_taken_out_alone(answerback: LiveHub) -> None:
    """And nobody else's is: the machine says so, and the hub does not even ask it."""
    pin(answerback, "web-1", "bob", answerback.rig.admin)
    bobs, others = own_key(answerback, "bob"), own_key(answerback, answerback.rig.admin)
    args = ("--on", "web-1", "--yes", "--json")
    theirs = answerback.run_as("bob", "approvers", "propose", "remove", answerback.rig.admin, others, *args).json
    own = answerback.run_as("bob", "approvers", "propose", "remove", "bob", bobs, *args).json
    answerback.wait_until(lambda: answers(answerback, own["id"])["web-1"][0] == "done")
    assert load_known(file_of(answerback, "web-1")).owner_of(bobs) == ""
    assert answers(answerback, theirs["id"])["web-1"] == ("waiting", "")
    assert answerback.run_as("bob", "approvers", "withdraw", theirs["id"]).code == 0
    assert answerback.run_as("bob", "approvers", "sign", theirs["id"], "--yes").code != 0


def test_what_is_wrong_is_said(answerback: LiveHub) -> None:
    """Before anything is signed; and who may not approve signs nothing."""
    for words in (
        ("propose", "add", "dan", "nonsense", "--yes"),
        ("propose", "add", "../dan", "5a" * 32, "--yes"),
        ("propose", "add", "dan", "5a" * 32, "--on", "[ab]", "--yes"),
        ("propose", "add", "dan", "5a" * 32, "--for", "31d", "--yes"),
        ("propose", "add", "dan", "passkey:es256:x:https://h", "--yes"),
        ("sign", "nonsense"),
        ("show", ""),
        ("withdraw", "0" * 16),
    ):
        ended = answerback.run_as("bob", "approvers", *words)
        assert ended.code != 0, words
        assert "Traceback" not in ended.err
    ended = answerback.run_as("carol", "approvers", "propose", "add", "dan", "5a" * 32, "--yes")
    assert (ended.code, "approve" in ended.err) == (3, True)
