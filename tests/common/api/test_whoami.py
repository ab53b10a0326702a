"""Who calls, of hubs of several versions."""

from __future__ import annotations

from common.api.codec import decode, encode
from common.api.whoami import VerbRight, WhoAmI

ME = {"person": "vera", "roles": ["viewer"], "hub": "h", "version": "0.1.0", "now": 1.0}


def test_what_one_may() -> None:
    """A verb that takes a role names it; one that the hub lacks is not there."""
    verbs = {
        "jobs": {"may": True, "role": "viewer"},
        "approve": {"may": False, "role": "approver"},
        "x": {"may": False},
    }
    me = decode(WhoAmI, {**ME, "verbs": verbs})
    assert me.denied == {"approve": "approver", "x": "admin"}
    assert (me.has("jobs"), me.has("models")) == (True, False)
    assert me.verbs["jobs"] == VerbRight(may=True, role="viewer")


def test_a_hub_that_does_not_say() -> None:
    """It has the verbs of the first version, and every form is at its first."""
    me = decode(WhoAmI, ME)
    assert (me.has("jobs"), me.denied, me.views) == (True, {}, {})
    assert "views" not in encode(me)
