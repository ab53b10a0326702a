"""Who acts, and from where."""

from __future__ import annotations

from hub.engine.actor import Actor


def test_only_an_operators_link_is_the_console() -> None:
    """Pages and forms that a chat leads to are chat: whoever has the chat account has them too."""
    for via, place in (("console", "console"), ("ops", "chat"), ("page:ops", "chat"), ("Console", "chat")):
        assert Actor("bob", via).code_place == place, via


def test_what_the_audit_says_of_a_refusal() -> None:
    """The verb, the code, the entrance, and of a console its address."""
    assert Actor("bob", "ops").audit_data("approve", "late") == {"verb": "approve", "code": "late", "via": "ops"}
    assert Actor("bob", "console", remote="10.0.0.9").audit_data("edit", "late")["from"] == "10.0.0.9"
