"""The prompt: within its bound, the same from message to message, no text in it ends another, no secret is in it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.plan import Plan, Step
from hub.core.inventory import Inventory, Machine
from hub.core.outcome import Exchange
from hub.planning.llm.permissions import permissions_for
from hub.planning.llm.prompt import MIN_TOKENS, MessageTooLong, SystemPrompt, build_prompt, build_turn
from hub.planning.llm_servers.types import estimate_tokens
from tests.hub.planning.defaults import default_chain, default_policy

RUNBOOKS = default_chain().runbooks.runbooks
POLICY = default_policy()
CANARY = "cAnArY7x9Qz"


def fleet(count: int, facts: dict[str, str] | None = None) -> Inventory:
    return Inventory({f"web-{n}": Machine(f"web-{n}", {"role": "web"}, facts=facts or {}) for n in range(count)})


def made(count: int = 2, tokens: int = 6_000, facts: dict[str, str] | None = None) -> SystemPrompt:
    inventory = fleet(count, facts)
    return build_prompt(inventory, RUNBOOKS, permissions_for(POLICY, ["operator"], inventory), tokens)


@pytest.mark.parametrize("tokens", [MIN_TOKENS, 1_500, 3_000, 6_000, 20_000])
@pytest.mark.parametrize("count", [0, 3, 10_000])
def test_it_keeps_within_its_bound(tokens: int, count: int) -> None:
    """Three quarters of the tokens at most, whatever there is to tell; the rest is the turn's."""
    found = made(count, tokens)
    assert estimate_tokens(found.system) <= tokens * 3 // 4


def test_what_is_left_out_is_said_and_counted() -> None:
    """In the prompt itself, so that a model asks; and with nothing left out nothing is said."""
    small, large = made(5_000, MIN_TOKENS), made(3, 20_000)
    assert set(small.left_out) == {"machines", "runbooks", "programs"}
    for what, count in small.left_out.items():
        assert f"({count} more {what} are not listed here for want of room.)" in small.system
    assert large.left_out == {}
    assert "want of room" not in large.system


def test_it_has_what_can_be_asked_for() -> None:
    """Names, labels, runbooks with their places, programs with their rules; what waits for a yes is marked."""
    system = made(2, 20_000, {"os": "Debian 12"}).system
    assert "web-0, web-1: role=web; debian 12" in system
    assert "disk-of-path (path: path): disk space where a path lies" in system
    assert "restart-service!" in system
    assert "\n!systemctl" in system
    assert "\ndf [-" in system
    assert "[secret]" not in system.partition("Machines:")[2]  # nothing of the defaults looks like one


def test_it_is_the_same_for_the_same_rights() -> None:
    """Byte for byte, whoever asks and whoever is online; another for others."""
    assert made() == made()
    assert made().digest != made(3).digest
    viewer = build_prompt(fleet(2), RUNBOOKS, permissions_for(POLICY, ["viewer"], fleet(2)), 6_000)
    assert viewer.digest != made().digest
    assert "systemctl" not in viewer.system


def test_facts_hold_no_secret() -> None:
    """A machine's facts are told from a list of known words; planted ones are nowhere."""
    facts = dict.fromkeys(("os", "hostname", "kernel", "boot", "env", "token", "address", "cpus", "memory"), CANARY)
    found = made(2, 20_000, facts)
    assert CANARY not in found.system
    assert CANARY not in json.dumps(found.schema)


def test_what_looks_like_a_secret_is_told_nowhere() -> None:
    """In a label, a runbook's title or a rule's description, though people of the hub wrote them."""
    inventory = Inventory({"web-1": Machine("web-1", {"role": "web", "token": CANARY})})
    trap = replace(RUNBOOKS[0], title={"en": f"log in with password={CANARY}"})
    rule = replace(POLICY.rules[0], about=f"the one whose secret: {CANARY}")
    found = build_prompt(
        inventory, [trap], permissions_for(replace(POLICY, rules=(rule,)), ["operator"], inventory), 20_000
    )
    assert CANARY not in found.system
    assert CANARY not in json.dumps(found.schema)
    assert "role=web" in found.system


def test_runbooks_that_may_not_be_used_are_left_out() -> None:
    """Whose programs the person has no rule for."""
    inventory = fleet(1)
    found = build_prompt(inventory, RUNBOOKS, permissions_for(POLICY, ["viewer"], inventory), 20_000)
    assert "restart-service" not in found.system
    assert "restart-service" not in json.dumps(found.schema)


# ---- the turn

PLAN = Plan((Step(("grep", f"password={CANARY}", "/etc/app"), ("web-1",)),))


def test_data_is_one_json_value() -> None:
    """Message, earlier messages and a picture's text, each in its place, secrets and invisible signs taken out."""
    thread = (
        Exchange(f"the password is {CANARY}", False, 1.0),
        Exchange("look", True, 2.0, PLAN),
        Exchange("and", True, 3.0, None, "which one?", asks=True),
    )
    turn = build_turn(f"use token={CANARY}\u202e on web-1\x1b[31m", thread, f"secret: {CANARY}", 3_000)
    value = json.loads(turn.text)
    assert list(value) == ["earlier", "picture", "message"]
    assert value["message"] == "use token=[secret] on web-1"
    assert [one["by"] for one in value["earlier"]] == ["somebody else", "the same person", "the same person"]
    assert value["earlier"][1]["planned"][0]["machines"] == ["web-1"]
    assert value["earlier"][2]["answered"] == "which one?"
    assert CANARY not in turn.text
    assert turn.left_out == 0


@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=400))
def test_no_text_ends_another(message: str, earlier: str, seen: str) -> None:
    """Whatever is in them, the three stay three."""
    try:
        turn = build_turn(message, (Exchange(earlier, False, 1.0),), seen, 6_000)
    except MessageTooLong:
        assert estimate_tokens(message) > 500
        return
    value = json.loads(turn.text)
    assert set(value) <= {"earlier", "picture", "message"}
    assert isinstance(value["message"], str)
    assert all(set(one) == {"by", "said"} for one in value.get("earlier", ()))


def test_a_turn_keeps_within_its_bound() -> None:
    """A long picture is cut, old messages go first; what went is counted. A long message is refused."""
    thread = tuple(Exchange(f"{n} " + "word " * 60, True, float(n)) for n in range(12))
    turn = build_turn("and?", thread, "line of output\n" * 900, 4_000)
    assert estimate_tokens(turn.text) <= 1_000
    assert turn.left_out > 0
    alone = build_turn("and?", thread, "", 4_000)
    kept = [one["said"].split()[0] for one in json.loads(alone.text)["earlier"]]
    assert kept == [str(n) for n in range(12 - len(kept), 12)]
    with pytest.raises(MessageTooLong):
        build_turn("word " * 2_000, (), "", 4_000)


def test_what_helps_to_understand_is_part_of_what_it_means() -> None:
    """The context's digest is another with another thread or picture, and "" for a message alone."""
    alone = build_turn("disk", (), "", 3_000)
    assert alone.context == ""
    contexts = {
        build_turn("disk", (Exchange("web-1", True, 1.0),), "", 3_000).context,
        build_turn("disk", (Exchange("web-1", False, 1.0),), "", 3_000).context,
        build_turn("disk", (), "web-1", 3_000).context,
    }
    assert len(contexts) == 3
    assert build_turn("other", (), "web-1", 3_000).context in contexts
