"""The settings that keep git from what a checkout says: the same in the code and in the default policy."""

from __future__ import annotations

from common.policy.protections import GIT_CONFIG, GIT_COUNT, GIT_SETTINGS, GIT_VARIABLES, told_variables
from common.policy.rules import RESTRICTING
from tests.hub.planning.defaults import default_policy


def test_the_default_policy_has_every_one_of_them_for_every_rule_of_git() -> None:
    """Trust: none is lost, none is skipped by a count that is too small, and a machine lets an order set each."""
    rules = [rule for rule in default_policy().rules if rule.program.repository]
    assert len(rules) > 15
    for rule in rules:
        assert set(rule.env) >= GIT_VARIABLES
        settings = {pair for pair in rule.env if pair[0].startswith(("GIT_CONFIG_KEY", "GIT_CONFIG_VALUE"))}
        assert settings == GIT_SETTINGS
        assert dict(rule.env)[GIT_COUNT] == str(len(GIT_CONFIG)) == str(len(settings) // 2)
        assert rule.program.insert == ()
    assert GIT_VARIABLES <= RESTRICTING


def test_people_are_shown_the_count_alone_where_all_of_them_are_there() -> None:
    """And each of them where one differs: then it is no protection any more."""
    pairs = sorted({*GIT_VARIABLES, ("LANG", "C")})
    assert told_variables(pairs) == [(GIT_COUNT, str(len(GIT_CONFIG))), ("GIT_PAGER", "cat"), ("LANG", "C")]
    changed = [(name, "/bin/sh" if name == "GIT_CONFIG_VALUE_0" else value) for name, value in pairs]
    assert told_variables(changed) == changed
