"""A proposal as TOML: it parses, and nothing that people wrote gets out of its comment."""

from __future__ import annotations

import tomllib

from tests.hub.core.learning.histories import asked, learn_from

EMPTY = 'default = "deny"\n'


def test_the_evidence_stands_above_the_rule_and_is_only_a_comment() -> None:
    """Trust: a person's name and a command with line ends stay within their comment."""
    people = ("carol\n[[rule]]", "dave\x1b[2J")
    (one,) = learn_from(EMPTY, asked("/usr/bin/tool --x=a 20", 6, people=people)).proposals
    text = one.to_toml()
    assert text.startswith("# learned: asked for 6 times by 2 people (")
    data = tomllib.loads(text)
    assert len(data["rule"]) == 1
    assert data["rule"][0]["id"] == one.id
    assert text.count("[[rule]]") == text.count("\n[[rule]]\n") + 1
    assert "\x1b" not in text
    assert one.to_json()["toml"] == text


def test_the_id_is_of_what_the_rule_says() -> None:
    """So that what is applied is what was reviewed: more of the same changes nothing, another value does."""
    (one,) = learn_from(EMPTY, asked("/usr/bin/tool a", 5)).proposals
    (same,) = learn_from(EMPTY, asked("/usr/bin/tool a", 50)).proposals
    (other,) = learn_from(EMPTY, asked("/usr/bin/tool a", 5) + asked("/usr/bin/tool a", 5, agent="web-2")).proposals
    assert one.id == same.id != other.id
