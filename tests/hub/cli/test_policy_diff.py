"""What was asked of a hub lately, judged by two policies."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import replace

from common.policy.check import Policy
from common.policy.file import parse_policy
from hub.cli.policy_diff import Asked, changes, recent_commands
from tests.hub.hub_harness import HubHarness

ASKED = Asked(("/usr/bin/df", "-h"), "carol", ("operator",), "web-1", (("role", "web"),))


def policy(verdict: str, more: str = "") -> Policy:
    rule = f'[[rule]]\nid = "df"\nabout = "x"\nprogram = "/usr/bin/df"\nverdict = "{verdict}"\nflags = ["-h"]\n{more}'
    return parse_policy(tomllib.loads('default = "deny"\n' + rule), "policy.toml")


def test_roles_labels_and_taint_count() -> None:
    """A command is judged as it would be now: for its person, on its machine, and as what it came from."""
    here = policy("allow", 'labels = { role = "web" }')
    (found,) = changes(policy("allow"), here, Counter([replace(ASKED, labels=())]))
    assert (found.was, found.now, found.count) == ("allow", "deny", 1)
    assert changes(policy("allow"), here, Counter([ASKED])) == []
    (found,) = changes(policy("allow"), policy("allow", 'roles = ["admin"]'), Counter([ASKED, ASKED]))
    assert (found.now, found.count) == ("deny", 2)
    assert "admin" in found.reason
    (found,) = changes(policy("deny"), policy("allow"), Counter([replace(ASKED, tainted=True)]))
    assert found.now == "ask (1 yes)"


def test_what_an_ask_asks_for_is_a_verdict_too() -> None:
    """One yes more, or a code, is a change."""
    one, two = policy("ask", "approvers = 1"), policy("ask", "approvers = 2\nsecond_factor = true\nown_approval = true")
    (found,) = changes(one, two, Counter([ASKED]))
    assert (found.was, found.now) == ("ask (1 yes)", "ask (2 yes, a code, own counts)")
    assert found.to_json()["command"] == "/usr/bin/df -h"


async def test_recent_commands_are_those_of_requests_refused_ones_too(harness: HubHarness) -> None:
    """As they were judged, with how often; messages that were no command are none."""
    await harness.submit("@web-1 uptime")
    await harness.submit("@web-1 uptime")
    await harness.submit("@web-1 nosuchprogram x")
    await harness.submit("help")
    config = harness.config
    asked = recent_commands(config, 100)
    counts = {(" ".join(one.argv), one.person, one.agent): count for one, count in asked.items()}
    assert counts == {("/usr/bin/uptime", "carol", "web-1"): 2, ("nosuchprogram x", "carol", "web-1"): 1}
    assert sum(recent_commands(config, 1).values()) == 0  # the last request was `help`
