"""common.script"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from common.plan import BadPlan, Order, Plan, Step, plan_from_json, plan_hash, plan_to_json
from common.script import MAX_SCRIPT, BadScript, ScriptWord, script_digest, script_from_json, script_to_json
from tests.common.test_plan import order_of

TEXT = "print('hello')\n"
WORD = ScriptWord(2, hashlib.sha256(TEXT.encode()).hexdigest())
STEP = Step(("/usr/bin/python3", "-I", "hello.py", "x"), ("web-1",), script=WORD)


def test_the_digest_is_of_a_text_within_bounds() -> None:
    """What `sha256sum` prints; nothing empty, too long, binary or broken."""
    assert script_digest(TEXT) == WORD.sha256
    assert len(script_digest("x" * MAX_SCRIPT)) == 64
    for text in ("", "x" * (MAX_SCRIPT + 1), "é" * MAX_SCRIPT, "a\0b", "\ud800"):
        with pytest.raises(BadScript):
            script_digest(text)


def test_a_plan_with_a_script_has_its_digest_in_the_hash() -> None:
    """Trust: what is approved is this content; a plan without a script has the hash that it always had."""
    plan, plain = Plan((STEP,)), Plan((replace(STEP, script=None),))
    other = Plan((replace(STEP, script=replace(WORD, sha256="0" * 64)),))
    assert len({plan_hash(one) for one in (plan, plain, other)}) == 3
    for one in (plan, plain):
        assert plan_from_json(plan_to_json(one)) == one
    assert "script" not in plan_to_json(plain)["steps"][0]
    assert script_from_json(None) is None
    assert script_to_json(None) == {}


def test_an_order_carries_the_very_text() -> None:
    """Trust: another text, none, or one without a script is no order; in one spelling."""
    order = replace(order_of(Plan((STEP,))), script=WORD, script_text=TEXT)
    order.verify()
    assert Order.from_bytes(order.to_bytes()) == order
    plain = order_of(Plan((replace(STEP, script=None),)))
    assert b"script" not in plain.to_bytes()
    for bad in (
        replace(order, script_text=TEXT + "#"),
        replace(order, script_text=""),
        replace(order, script=None),
        replace(order, script=replace(WORD, word=1)),
        replace(plain, script_text=TEXT),
        replace(order, script=ScriptWord(2, script_digest("other")), script_text="other"),
    ):
        with pytest.raises(BadPlan):
            bad.verify()


@pytest.mark.parametrize(
    "body",
    [
        1,
        {},
        {"word": 2},
        {"word": 2, "sha256": WORD.sha256, "more": 1},
        {"word": 0, "sha256": WORD.sha256},
        {"word": 4, "sha256": WORD.sha256},
        {"word": True, "sha256": WORD.sha256},
        {"word": 2, "sha256": WORD.sha256.upper()},
        {"word": 2, "sha256": 5},
    ],
)
def test_what_is_not_of_the_form_is_refused(body: Any) -> None:
    """In a stored plan, which may be of another version or of somebody else's making."""
    stored = plan_to_json(Plan((STEP,)))
    stored["steps"][0]["script"] = body
    with pytest.raises(BadPlan, match="script"):
        plan_from_json(stored)
