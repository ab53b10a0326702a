"""agent.runner.local_policy"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

import pytest

from agent.approvers import add_approver
from agent.runner.job_user import JobUser, JobUsers
from agent.runner.local_policy import LocalPolicy, check_user
from agent.runner.verify import OrderRefusal, Trust
from common.approval_proof import CONSOLE, HUB, PERSON, ApprovalProof, askers
from common.identity.signing import APPROVAL_PURPOSE, PERSON_APPROVAL_PURPOSE, SigningKey
from common.link.messages import MAX_REASON, REFUSAL_CODES
from common.plan import Order
from common.policy.file import load_policy_bytes
from common.policy.machine_checks import MachineChecks, write_checks
from common.read_file import MAX_FILE

RULE = """
default = "deny"

[programs.df]
path = "/bin/df"

[[rule]]
id = "disk"
about = "free space"
program = "df"
verdict = "ask"
approvers = 2
flags = ["-h", "--local"]
time_limit = 20
output_cap = 1000
"""


def objection(home: Any, *argv: str, **changes: Any) -> OrderRefusal | None:
    return LocalPolicy(home.runner).check(approved(home, home.order(*argv, **changes)), time.time())


def approved(home: Any, order: Order) -> Order:
    """The order with the hub's proof of each of its approvals."""
    proofs = [ApprovalProof(who, at, False, time.time() + 60, "ops", HUB + home.key.id) for who, at in order.approvals]
    signed = [
        replace(one, signature=home.key.sign(APPROVAL_PURPOSE, one.statement(order.request, order.plan_hash)))
        for one in proofs
    ]
    return replace(order, proofs=tuple(signed))


def test_a_machine_that_allows_lets_through(home: Any) -> None:
    """`default = "allow"` obeys the hub."""
    assert objection(home, "/bin/true", "anything") is None


def test_a_machine_that_denies_by_default_refuses(home: Any) -> None:
    """What no rule names is refused with the local policy's own reason."""
    home.policy('default = "deny"')
    refusal = objection(home, "/bin/true")
    assert refusal is not None
    assert refusal.code == "policy"
    assert "/bin/true" in refusal.reason


def test_a_rule_that_asks_wants_its_approvals_in_the_order(home: Any) -> None:
    """Two other people, as the hub signed it; the same one twice, or whoever asked, does not count."""
    home.policy(RULE)
    limits = {"time_limit": 20, "output_cap": 1000}
    assert objection(home, "/bin/df", "-h", approvals=(("bob", 1.0), ("carol", 2.0)), **limits) is None
    for approvals in ((), (("bob", 1.0),), (("bob", 1.0), ("bob", 2.0)), (("alice", 1.0), ("bob", 1.0))):
        refusal = objection(home, "/bin/df", "-h", approvals=approvals, **limits)
        assert refusal is not None
        assert (refusal.code, "2 approvals" in refusal.reason) == ("policy", True)


def test_approvals_that_are_only_said_count_for_nothing(home: Any) -> None:
    """Trust: two names in a signed order are not two signatures; a hub that sends none is told by name."""
    home.policy(RULE)
    order = home.order("/bin/df", "-h", time_limit=20, output_cap=1000, approvals=(("bob", 1.0), ("carol", 2.0)))
    refusal = LocalPolicy(home.runner).check(order, time.time())
    assert refusal is not None
    assert "upgrade the hub" in refusal.reason
    one = approved(home, replace(order, approvals=order.approvals[:1]))
    refusal = LocalPolicy(home.runner).check(replace(one, approvals=order.approvals), time.time())
    assert refusal is not None
    assert "the order has 1; 'carol': without a proof" in refusal.reason


def test_a_rule_that_asks_for_a_second_factor_gets_it(home: Any) -> None:
    """Trust: the machine's own rule says which yes counts, whatever the hub's rule was."""
    home.policy(RULE.replace("approvers = 2", "approvers = 1\nsecond_factor = true"))
    refusal = objection(home, "/bin/df", "-h", approvals=(("bob", 1.0),), time_limit=20, output_cap=1000)
    assert refusal is not None
    assert "'bob': without a second factor" in refusal.reason


def test_a_rule_bounds_time_and_output(home: Any) -> None:
    """The machine's limits hold against an order that allows itself more."""
    home.policy(RULE)
    approvals = (("bob", 1.0), ("carol", 2.0))
    for limits in ({"time_limit": 21, "output_cap": 1000}, {"time_limit": 20, "output_cap": 1001}):
        refusal = objection(home, "/bin/df", "-h", approvals=approvals, **limits)
        assert refusal is not None
        assert "disk" in refusal.reason


def test_an_order_that_lacks_what_the_rule_inserts_is_refused(home: Any) -> None:
    """What the machine would run by its own rule must be what was approved, to the letter."""
    home.policy(
        RULE.replace('path = "/bin/df"', 'path = "/bin/df"\ninsert = ["--local"]').replace(
            '"ask"\napprovers = 2', '"allow"'
        )
    )
    limits = {"time_limit": 20, "output_cap": 1000}
    assert objection(home, "/bin/df", "--local", "-h", **limits) is None
    refusal = objection(home, "/bin/df", "-h", **limits)
    assert refusal is not None
    assert refusal.code == "policy"


@pytest.mark.parametrize(
    "text",
    ["default = ", "surprise = 1", 'default = "perhaps"', "\udcff", "default = " + "[" * 5_000, "x" * (MAX_FILE + 1)],
    ids=["no value", "unknown key", "unknown default", "not UTF-8", "nested too deep", "too large"],
)
def test_a_policy_that_cannot_be_used_refuses_everything_and_is_named(home: Any, text: str) -> None:
    """A broken rule file never means that there are no rules."""
    (home.runner / "policy.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    refusal = objection(home, "/bin/true")
    assert refusal is not None
    assert refusal.code == "policy"
    assert str(home.runner / "policy.toml") in refusal.reason


def test_a_policy_that_others_may_write_refuses_everything(home: Any) -> None:
    """Trust (local user on a machine): who could write the rules would be the policy."""
    policy = home.runner / "policy.toml"
    assert objection(home, "/bin/true") is None
    for mode, fine in ((0o666, False), (0o600, True)):
        policy.chmod(mode)
        refusal = objection(home, "/bin/true")
        assert (refusal is None) == fine
        assert fine or "can be changed by others" in refusal.reason


def test_a_policy_is_text_from_any_editor(home: Any) -> None:
    """A byte order mark and the line ends of another system do no harm, as in every other file."""
    (home.runner / "policy.toml").write_bytes(b'\xef\xbb\xbf# mine\r\ndefault = "allow"\r\n')
    assert objection(home, "/bin/true") is None


def test_a_policy_that_is_gone_refuses_everything(home: Any) -> None:
    """Deleting the file does not free the machine."""
    rules = LocalPolicy(home.runner)
    order = home.order("/bin/true")
    assert rules.check(order, time.time()) is None
    (home.runner / "policy.toml").unlink()
    refusal = rules.check(order, time.time())
    assert refusal is not None
    assert "cannot be read: No such file" in refusal.reason
    home.policy('default = "allow"')
    assert rules.check(order, time.time()) is None


def test_a_change_is_seen_at_the_next_order(home: Any) -> None:
    """Nobody has to restart the runner for a new rule, not even within the same clock tick and size."""
    rules = LocalPolicy(home.runner)
    order = home.order("/bin/true")
    path = home.runner / "policy.toml"
    home.policy('default = "allow"')
    assert rules.check(order, time.time()) is None
    stamp = path.stat()
    fresh = path.with_name("fresh")
    fresh.write_text('default = "deny" ')
    os.utime(fresh, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    fresh.replace(path)
    assert rules.check(order, time.time()) is not None


def test_trust_is_read_again_too(home: Any, kit: Any) -> None:
    """A new signing key of the hub is known as soon as it is in the file; a broken file trusts nobody."""
    rules = LocalPolicy(home.runner)
    other = kit.SigningKey.generate()
    home.trust(home.key, other)
    trust = rules.trust()
    assert isinstance(trust, Trust)
    assert set(trust.keys) == {home.key.id, other.id}
    (home.runner / "trust.json").write_text("{}")
    refusal = rules.trust()
    assert isinstance(refusal, OrderRefusal)
    assert refusal.code == "signature"
    assert refusal.code in REFUSAL_CODES
    assert "trust.json" in refusal.reason


def test_the_order_is_judged_for_this_machine_and_nobodys_role(home: Any) -> None:
    """A rule for admins does not keep out an order: who may ask is the hub's to know."""
    home.policy(RULE.replace('"ask"\napprovers = 2', '"allow"\nroles = ["admin"]\nagents = ["web-*"]'))
    order = home.order("/bin/df", "-h", time_limit=20, output_cap=1000)
    rules = LocalPolicy(home.runner)
    assert rules.check(order, time.time()) is None
    assert rules.check(replace(order, agent="db-1"), time.time()) is not None


def test_a_refusal_says_what_to_do_on_the_machine(home: Any) -> None:
    """Trust: the default of a machine is no, and whoever reads the refusal in chat learns how the machine's owner would
    allow it; the cure is whole although the reason is cut.
    """
    file = home.runner / "policy.toml"
    home.policy('profile = "read-only"\n')
    assert objection(home, "/usr/bin/uptime", time_limit=10) is None
    for argv in (("/usr/bin/touch", "/tmp/x"), ("/usr/bin/uptime", *["x" * 100] * 20)):
        refusal = objection(home, *argv, time_limit=10)
        assert refusal is not None
        assert refusal.code == "policy"
        assert len(refusal.reason) <= MAX_REASON
        cure = f"; to allow it, on the machine: a rule in {file}, or `answerback-agent policy use trust-hub`"
        assert refusal.reason.endswith(cure)
    home.policy('profile = "trust-hub"\n')
    assert objection(home, "/usr/bin/touch", "/tmp/x") is None
    refusal = objection(home, "/usr/bin/bash")
    assert refusal is not None
    assert refusal.reason.endswith(f"; to allow it, on the machine: a rule in {file}")


def test_a_command_that_needs_root_is_root_s_by_both_policies_and_a_drop_in(home: Any) -> None:
    """Trust: the hub may say that a command needs root, the machine's own rule must say it too, and the runner be root;
    else the refusal says what to do.
    """
    plain = load_policy_bytes(RULE.replace('"ask"\napprovers = 2', '"allow"').encode(), "policy.toml")
    rooted = load_policy_bytes(RULE.replace('"ask"\napprovers = 2', '"allow"\nrun_as = "root"').encode(), "policy.toml")
    trusting = load_policy_bytes(b'default = "allow"', "policy.toml")
    order = home.order("/bin/df", "-h", time_limit=20, output_cap=1000)
    asked = replace(order, checks=write_checks(MachineChecks(run_as="root")))
    for policy, sent, uid, said in (
        (plain, order, 1000, None),
        (plain, order, 0, None),
        (plain, asked, 0, 'of this machine does not say run_as = "root"'),
        (rooted, asked, 1000, "the runner of this machine is user 1000: start it as root with the drop-in"),
        (rooted, order, 1000, "start it as root with the drop-in answerback-runner.root.conf"),
        (rooted, asked, 0, None),
        (trusting, asked, 0, None),
        (trusting, asked, 1000, "start it as root with the drop-in"),
    ):
        own = JobUser("x", uid, uid, (), "/")
        refusal = check_user(policy, sent, JobUsers(own, own))
        assert (refusal is None) == (said is None)
        assert refusal is None or (refusal.code == "policy" and str(said) in refusal.reason)


def test_why_every_order_would_be_refused(home: Any) -> None:
    """Either file broken, empty or gone; "" where orders are judged one by one."""
    policy = LocalPolicy(home.runner)
    assert policy.problem() == ""
    for text in ("nonsense", ""):
        home.policy(text)
        assert "policy.toml" in policy.problem()
    home.policy('default = "deny"')
    assert policy.problem() == ""
    (home.runner / "trust.json").unlink()
    assert "trust.json" in policy.problem()


def test_a_machines_own_windows_hold_by_its_own_clock(home: Any) -> None:
    """Trust: a hub that lies about the time gets nothing started outside the hours that the machine says."""
    home.policy(RULE.replace('verdict = "ask"\napprovers = 2', 'verdict = "allow"\nwhen = "mon-fri 08:00-18:00"'))
    friday, saturday = 1_796_378_400.0, 1_796_464_800.0  # 2026-12-04T10:00Z and a day later
    order = approved(home, home.order("/bin/df", "-h", time_limit=10, output_cap=100))
    inside, outside = (LocalPolicy(home.runner, clock=lambda now=now: now) for now in (friday, saturday))
    for hubs_now in (friday, saturday):
        assert inside.check(order, hubs_now) is None
        refusal = outside.check(order, hubs_now)
        assert refusal is not None
        assert "holds mon-fri 08:00-18:00 only; now it is sat 10:00 UTC" in refusal.reason
    assert isinstance(outside.machine_checks(order), OrderRefusal)


def test_what_people_signed_ends_by_the_machines_own_clock_too(home: Any) -> None:
    """Trust, B7: a hub that turns its clock back gets nothing started with a signature that is over, and one that turns
    it forward has no start forgotten.
    """
    home.policy(RULE.replace("approvers = 2", "approvers = 1\ncritical = true"))
    bob, now = SigningKey.generate(), time.time()
    add_approver(home.runner / "approvers.json", "bob", bob.public.hex())
    plain = approved(home, home.order("/bin/df", "-h", time_limit=10, output_cap=100, approvals=(("bob", now),)))
    asked_by = askers(plain.person, plain.behalf)
    own = ApprovalProof("bob", now, False, now + 60, CONSOLE, PERSON + bob.id, asked_by=asked_by)
    own = replace(own, signature=bob.sign(PERSON_APPROVAL_PURPOSE, own.statement(plain.request, plain.plan_hash)))
    order = replace(plain, proofs=(*plain.proofs, own))
    in_time, over = (LocalPolicy(home.runner, clock=lambda at=at: at) for at in (now, now + 61))
    assert in_time.check(order, now) is None
    refusal = over.check(order, now)
    assert refusal is not None
    assert "'bob': it has expired" in refusal.reason
    assert in_time.use(order, now) is None
    other = replace(order, step=order.step + 1)
    assert in_time.use(other, now + 40 * 86_400) is None
    refusal = in_time.check(order, now)
    assert refusal is not None
    assert "has been used" in refusal.reason
