"""A hub whose keys and database are in an attacker's hands: what it can start on a machine, tried with a real runner.

The attacker signs orders with the hub's key, forges the hub's proofs of approvals by whomever they like, names any
requester, adds what a hub may add (checks, variables, folders), and has every signature that people ever sent to the
hub. What they do not have: files of the machine, and keys of people.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agent.approvers import add_approver, load_approvers
from agent.machine_policy import new_file
from common.approval_proof import CONSOLE, HUB, PAGE, PASSKEY, PERSON, ApprovalProof, askers
from common.identity.passkey import approval_challenge
from common.identity.signing import APPROVAL_PURPOSE, KEY_CHANGE_PURPOSE, PERSON_APPROVAL_PURPOSE, SigningKey
from common.key_change import KeyChange, KeySignature, SignedKeyChange
from common.link import messages as link_messages
from common.link.messages import KnownKeys
from common.plan import Order
from common.policy.machine_checks import MachineChecks, write_checks
from tests.software_authenticator import UP, UV, SoftwareAuthenticator

BOB, ANN = SigningKey.generate(), SigningKey.generate()
CRITICAL = """
[[rule]]
id = "mark"
about = "leaves a mark"
program = "/usr/bin/touch"
verdict = "ask"
approvers = 2
critical = true
arguments = [{{ name = "FILE", type = "path", beneath = ["{folder}"] }}]
"""


@dataclass(frozen=True)
class Attempt:
    """One thing that the attacker tries. `said` is "" where it runs."""

    what: str
    argv: tuple[str, ...]
    said: str = "no rule lets"
    changes: dict[str, Any] = field(default_factory=dict)


def hub_proof(home: Any, order: Order, person: str, **changes: Any) -> ApprovalProof:
    """What the hub says of an approval; it can say so of anybody."""
    proof = replace(ApprovalProof(person, time.time(), True, time.time() + 60, "ops", HUB + home.key.id), **changes)
    signature = home.key.sign(APPROVAL_PURPOSE, proof.statement(order.request, order.plan_hash))
    return replace(proof, signature=signature)


def own_proof(key: SigningKey, order: Order, person: str, **changes: Any) -> ApprovalProof:
    """What a person's console signs, with who asked as the order says."""
    expires, asked_by = time.time() + 60, askers(order.person, order.behalf)
    proof = ApprovalProof(person, time.time(), False, expires, CONSOLE, PERSON + key.id, asked_by=asked_by)
    proof = replace(proof, **changes)
    return replace(proof, signature=key.sign(PERSON_APPROVAL_PURPOSE, proof.statement(order.request, order.plan_hash)))


def passkey_proof(device: SoftwareAuthenticator, order: Order, person: str, **says: Any) -> ApprovalProof:
    """What a person's browser gave a page of the hub's; `says`: what browser and authenticator do otherwise."""
    now, asked_by = time.time(), askers(order.person, order.behalf)
    proof = ApprovalProof(person, now, False, now + 60, PAGE, PASSKEY + device.passkey.id, asked_by=asked_by)
    answer = device.get(approval_challenge(proof, order.request, order.plan_hash), **says)
    signed = {"authenticator_data": answer.authenticator_data, "client_data": answer.client_data}
    return replace(proof, signature=answer.signature, **signed)


def approved_by_the_hub(home: Any, order: Order) -> Order:
    people = ("bob", "ann", "alice")
    proofs = tuple(hub_proof(home, order, person) for person in people)
    return replace(order, approvals=tuple((person, time.time()) for person in people), proofs=proofs)


async def tried(uplink: Any, order: Order) -> Any:
    """How the machine answers it: refused, or ended."""
    uplink.send(uplink.home.dispatch(order))
    return await uplink.end(order.job)


async def test_on_a_machine_as_it_joins(home: Any, kit: Any, tmp_path: Path) -> None:
    """Trust: what only reads, and what names the reader may see, runs; whatever else it signs does not."""
    mark = tmp_path / "mark"
    secret = tmp_path / "home" / ".ssh" / "id_rsa"
    secret.parent.mkdir(parents=True)
    secret.write_text("canary")
    table = [
        Attempt("look at the load", ("/usr/bin/uptime",), ""),
        Attempt("look at the file systems", ("/usr/bin/df", "-h"), ""),
        Attempt("read a file that is for every reader", ("/usr/bin/cat", "--", "/etc/hostname"), ""),
        Attempt("read a private key", ("/usr/bin/cat", "--", str(secret)), "does not"),
        Attempt("read the shadow file", ("/usr/bin/cat", "--", "/etc/shadow"), "does not"),
        Attempt("a shell", ("/bin/sh", "-c", f"touch {mark}"), "never runs here"),
        Attempt("an interpreter", ("/usr/bin/python3", "-c", "1"), "never runs here"),
        Attempt("a wrapper around a shell", ("/usr/bin/env", "sh", "-c", f"touch {mark}"), "never runs here"),
        Attempt("write a file", ("/usr/bin/touch", str(mark))),
        Attempt("its own program", (str(tmp_path / "evil"),)),
        Attempt("restart a service", ("/usr/bin/systemctl", "restart", "--no-ask-password", "ssh"), "own policy"),
        Attempt("restart the machine", ("/usr/bin/systemctl", "reboot"), "own policy"),
        Attempt("end a process", ("/usr/bin/kill", "-9", "99999"), "own policy"),
        Attempt("install", ("/usr/bin/apt-get", "upgrade", "--yes"), "own policy"),
        Attempt("a variable that is a program", ("/usr/bin/uptime",), "PAGER", {"env": (("PAGER", "sh"),)}),
        Attempt("another library", ("/usr/bin/uptime",), "LD_PRELOAD", {"env": (("LD_PRELOAD", "/tmp/x"),)}),
        Attempt("a folder of its own", ("/usr/bin/uptime",), "in the directory", {"cwd": str(tmp_path)}),
        Attempt("a time without end", ("/usr/bin/uptime",), "allows 10 s", {"time_limit": 3_600}),
        Attempt("a check that asks for root", ("/usr/bin/touch", str(mark)), "no rule lets", {"root": True}),
    ]
    readers = {"look at the load", "look at the file systems", "read a file that is for every reader"}
    home.policy(new_file("read-only").decode())
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        for attempt in table:
            changes = {"time_limit": 10, **attempt.changes}
            root = changes.pop("root", False)
            order = approved_by_the_hub(home, home.order(*attempt.argv, **changes))
            order = replace(order, checks=write_checks(MachineChecks(run_as="root"))) if root else order
            if attempt.what in readers:
                ended = await tried(uplink, order)
                assert ended.outcome == "succeeded", (attempt.what, ended)
                continue
            refused = await tried(uplink, order)
            assert refused.job == order.job
            assert attempt.said in refused.reason, (attempt.what, refused.reason)
            assert not mark.exists(), attempt.what
    assert home.files(order.job) == set()


async def test_what_is_critical(home: Any, kit: Any, tmp_path: Path) -> None:
    """Trust: on a machine that allows a change with two signatures of people, the hub alone starts it never, and with
    the signatures once: neither its own proofs, nor one person, nor the signatures of another request or plan.
    """
    mark = tmp_path / "mark"
    home.policy(new_file("read-only").decode() + CRITICAL.format(folder=tmp_path))
    for name, key in (("bob", BOB), ("ann", ANN)):
        add_approver(home.runner / "approvers.json", name, key.public.hex())

    def order(**changes: Any) -> Order:
        return approved_by_the_hub(home, home.order("/usr/bin/touch", str(mark), **changes))

    def signed(made: Order, *proofs: ApprovalProof) -> Order:
        return replace(made, proofs=(*made.proofs, *proofs))

    plain, other = order(), home.order("/usr/bin/touch", str(tmp_path / "else"))
    again = order()
    stolen = SigningKey.generate()
    table = [
        ("the hub's word for three people", plain, "wants 2 approvals signed by people's own keys, the order has 0"),
        ("one person's signature", signed(plain, own_proof(BOB, plain, "bob")), "the order has 1"),
        (
            "one person's signature twice",
            signed(plain, own_proof(BOB, plain, "bob"), own_proof(BOB, plain, "bob", at=1.0)),
            "the order has 1",
        ),
        (
            "one person's key under two names",
            signed(plain, own_proof(BOB, plain, "bob"), own_proof(BOB, plain, "ann")),
            "the order has 1",
        ),
        (
            "a key that the hub made",
            signed(plain, own_proof(BOB, plain, "bob"), own_proof(stolen, plain, "ann")),
            "'ann': signed with a key that this machine does not know",
        ),
        (
            "the hub's key as a person's",
            signed(plain, own_proof(home.key, plain, "bob"), own_proof(home.key, plain, "ann")),
            "the order has 0",
        ),
        (
            "signatures of another plan",
            signed(plain, own_proof(BOB, other, "bob"), own_proof(ANN, other, "ann")),
            "its signature is not of this plan",
        ),
        (
            "signatures of another request with this very plan",
            signed(again, own_proof(BOB, plain, "bob"), own_proof(ANN, plain, "ann")),
            "its signature is not of this plan",
        ),
        (
            "signatures that have expired",
            signed(plain, own_proof(BOB, plain, "bob", expires=1.0), own_proof(ANN, plain, "ann", expires=1.0)),
            "it has expired",
        ),
    ]
    bobs = replace(plain, person="bob")
    table += [
        (
            "a request of bob's own, that the machine is told to be alice's",
            signed(plain, own_proof(BOB, bobs, "bob"), own_proof(ANN, bobs, "ann")),
            "they were shown that 'bob' asked, and the order says 'alice'",
        ),
        (
            "a request of bob's own, told as such",
            signed(bobs, own_proof(BOB, bobs, "bob"), own_proof(ANN, bobs, "ann")),
            "'bob': their own request",
        ),
        (
            "signatures that do not say who asked",
            signed(plain, own_proof(BOB, plain, "bob", asked_by=()), own_proof(ANN, plain, "ann", asked_by=())),
            "without saying who asked",
        ),
    ]
    rooted = signed(plain, own_proof(BOB, plain, "bob"), own_proof(ANN, plain, "ann"))
    rooted = replace(rooted, checks=write_checks(MachineChecks(run_as="root")))
    table.append(("root, of which the machine's rule says nothing", rooted, 'does not say run_as = "root"'))
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        for what, made, said in table:
            refused = await tried(uplink, replace(made, job=kit.job_id()))
            assert (refused.code, said in refused.reason) == ("policy", True), (what, refused.reason)
            assert not mark.exists(), what
        good = signed(plain, own_proof(BOB, plain, "bob"), own_proof(ANN, plain, "ann"))
        assert (await tried(uplink, good)).outcome == "succeeded"
        assert mark.exists()
        refused = await tried(uplink, replace(good, job=kit.job_id()))
        assert "has been used on this machine" in refused.reason
    async with kit.process(home):  # nor after a restart
        uplink = await kit.Uplink.known(home)
        refused = await tried(uplink, replace(good, job=kit.job_id()))
        assert "has been used on this machine" in refused.reason


async def test_a_rule_of_the_hub_is_critical_on_a_machine_that_trusts_it(home: Any, kit: Any, tmp_path: Path) -> None:
    """What the hub asks to be checked only narrows: where it says critical, the people's keys are wanted although the
    machine's own policy says nothing; and the refusal says how the machine gets to know them.
    """
    mark = tmp_path / "mark"
    home.policy(new_file("trust-hub").decode())
    order = approved_by_the_hub(home, home.order("/usr/bin/touch", str(mark)))
    order = replace(order, checks=write_checks(MachineChecks(persons=1)))
    signed = replace(order, proofs=(*order.proofs, own_proof(BOB, order, "bob")))
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        refused = await tried(uplink, replace(signed, job=kit.job_id()))
        assert "answerback-agent approvers add NAME KEY" in refused.reason
        add_approver(home.runner / "approvers.json", "bob", BOB.public.hex())
        assert (await tried(uplink, signed)).outcome == "succeeded"
    assert mark.exists()


async def test_what_is_critical_and_was_signed_with_a_passkey(home: Any, kit: Any, tmp_path: Path) -> None:
    """Trust: a hub starts it with an answer of a passkey that the machine was given, once; not with one that it has of
    another plan, from another page, of nobody in particular, or of a passkey that it made itself.
    """
    mark = tmp_path / "mark"
    home.policy(new_file("read-only").decode() + CRITICAL.format(folder=tmp_path))
    bobs, anns, made_up = SoftwareAuthenticator("es256"), SoftwareAuthenticator("eddsa"), SoftwareAuthenticator()
    add_approver(home.runner / "approvers.json", "bob", bobs.passkey.line)
    plain = approved_by_the_hub(home, home.order("/usr/bin/touch", str(mark)))
    other = approved_by_the_hub(home, home.order("/usr/bin/touch", str(tmp_path / "else")))
    good = passkey_proof(bobs, plain, "bob")
    anns_proof = passkey_proof(anns, plain, "ann")
    table = [
        ("a passkey that the machine was not given", anns_proof, "'ann': signed with a key that this machine"),
        ("a passkey of the hub's own", passkey_proof(made_up, plain, "ann"), "this machine does not know"),
        ("bob's under another name", passkey_proof(bobs, plain, "ann"), "this machine does not know"),
        ("an answer to another plan", passkey_proof(bobs, other, "bob"), "'bob': its signature is not of this plan"),
        ("another site", passkey_proof(bobs, plain, "bob", site="hub.evil"), "for another site"),
        ("another page", passkey_proof(bobs, plain, "bob", origin="https://hub.evil"), "on another page"),
        ("a page within another", passkey_proof(bobs, plain, "bob", crossOrigin=True), "within another site's"),
        ("without knowing who", passkey_proof(bobs, plain, "bob", flags=UP), "without knowing that it was them"),
        ("without anybody", passkey_proof(bobs, plain, "bob", flags=UV), "without anybody there"),
        ("a longer time", replace(good, expires=good.expires + 60), "its signature is not of this plan"),
    ]
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        for what, proof, said in table:
            refused = await tried(uplink, replace(plain, job=kit.job_id(), proofs=(*plain.proofs, proof)))
            assert (refused.code, said in refused.reason) == ("policy", True), (what, refused.reason)
        for what, proof in (
            ("cut short", replace(good, authenticator_data=good.authenticator_data[:-1])),
            ("with more behind it", replace(good, authenticator_data=good.authenticator_data + b"0")),
            ("longer than any browser's", replace(good, client_data=good.client_data + b" " * 1_024)),
            ("without client data", replace(good, client_data=b"")),
            ("a signature that is too long", replace(good, signature=b"0" * 81)),
        ):
            refused = await tried(uplink, replace(plain, job=kit.job_id(), proofs=(*plain.proofs, proof)))
            assert "proofs: " in refused.reason, (what, refused.reason)
        assert not mark.exists()
        add_approver(home.runner / "approvers.json", "ann", anns.passkey.line)
        whole = replace(plain, proofs=(*plain.proofs, good, anns_proof))
        assert (await tried(uplink, whole)).outcome == "succeeded"
        assert mark.exists()
        refused = await tried(uplink, replace(whole, job=kit.job_id()))
        assert "has been used on this machine" in refused.reason


async def test_it_adds_no_key_of_its_own(home: Any, kit: Any, tmp_path: Path) -> None:
    """Trust: what changes whose keys count is signed by two people whose keys the machine knows. The hub has all that
    they ever signed, and replays it, widens it, or signs itself; it gets one start at most of what they meant.
    """
    path = home.runner / "approvers.json"
    for name, key in (("bob", BOB), ("ann", ANN)):
        add_approver(path, name, key.public.hex())
    own, now = SigningKey.generate(), time.time()
    old = KeyChange("0" * 16, "h1", "add", "dan", own.public.hex(), ("web-1",), int(now * 1000) - 5, int(now) + 60)

    def change(of: KeyChange, **keys: SigningKey) -> bytes:
        by = [
            KeySignature(name, key.public.hex(), key.sign(KEY_CHANGE_PURPOSE, of.statement()))
            for name, key in keys.items()
        ]
        return SignedKeyChange(of, tuple(by)).to_bytes()

    remove = replace(old, id="1" * 16, action="remove", made_at=old.made_at + 1)
    meant = SignedKeyChange.from_bytes(change(old, bob=BOB, ann=ANN))
    attempts = [
        change(old, hub=home.key, h2=own),
        change(old, bob=own, ann=home.key),
        change(old, bob=BOB, dan=own),
        replace(meant, change=replace(old, person="bob")).to_bytes(),
        replace(meant, change=replace(old, key=home.key.public.hex())).to_bytes(),
        replace(meant, change=replace(old, made_at=old.made_at + 2)).to_bytes(),
    ]
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)

        async def answer(data: bytes) -> KnownKeys:
            heard = len(uplink.heard)
            uplink.send(link_messages.KeyChange(data))
            told: KnownKeys = await uplink.next(KnownKeys, start=heard)
            return told

        for data in attempts:
            refused = await answer(data)
            assert (refused.done, set(refused.keys.values())) == (False, {"bob", "ann"}), data
        assert (await answer(change(remove, bob=BOB, ann=ANN))).done
        late = await answer(meant.to_bytes())  # which it had held back
        assert (late.done, "changed here later" in late.reason) == (False, True)
    assert set(load_approvers(path)) == {"bob", "ann"}
