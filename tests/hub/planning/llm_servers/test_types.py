from __future__ import annotations

from dataclasses import replace

from hub.planning.llm_servers.types import Attempt, ChatMessage, NoAnswer, estimate_tokens
from tests.hub.planning.llm_servers.wires import ask


def test_identity_is_what_the_answer_depends_on() -> None:
    """Text, prompt, schema and length; not who asks, until when or where."""
    one = ask("a", person="alice")
    same = (replace(one, deadline=0.0), replace(one, affinity="x"), replace(one, person="bob"))
    assert all(other.identity_key() == one.identity_key() for other in same)
    others = (
        replace(one, system="x"),
        replace(one, messages=(ChatMessage("assistant", "a"),)),
        replace(one, messages=(ChatMessage("user", "a"), ChatMessage("user", ""))),
        replace(one, schema=None),
        replace(one, schema={}),
        replace(one, max_tokens=1),
        replace(one, batchable=True),
        replace(one, batchable=True, person="bob"),
    )
    assert len({one.identity_key(), *(other.identity_key() for other in others)}) == len(others) + 1


def test_tokens_are_estimated_on_the_high_side() -> None:
    """English has four characters a token or more, Chinese less than two tokens a character."""
    english = "Show the disk usage of every machine in the web group, please."
    assert 14 <= estimate_tokens(english) <= 25
    assert estimate_tokens("看看磁盘") == 4
    assert estimate_tokens("") == 0
    assert estimate_tokens("磁盘 ok") == 3


def test_no_answer_says_who_was_asked() -> None:
    """For logs: the reason and each attempt's result."""
    none = NoAnswer("failed", (Attempt("a", "gone", 1.0), Attempt("b", "slow", 2.0)))
    assert str(none) == "no answer (failed); asked a: gone, b: slow"
    assert str(NoAnswer("down")) == "no answer (down)"
