"""agent.runner.approvals"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent.runner.approvals import ApprovalCount, count_approvals, count_own_approvals
from common.approval_proof import HUB, PAGE, PASSKEY, PERSON, ApprovalProof, askers
from common.identity.passkey import OBJECTIONS, approval_challenge
from common.identity.signing import APPROVAL_PURPOSE, ORDER_PURPOSE, PERSON_APPROVAL_PURPOSE, SigningKey
from common.plan import Order
from tests.agent.runner.test_verify import KEY, order
from tests.each import each_of
from tests.software_authenticator import UP, UV, SoftwareAuthenticator

NOW = 900.0
STRANGER = SigningKey.generate()


def proof(
    made: Order,
    person: str = "bob",
    *,
    key: SigningKey = KEY,
    purpose: bytes = APPROVAL_PURPOSE,
    by: str = HUB,
    **changes: Any,
) -> ApprovalProof:
    """A hub's proof for the order; the changes are signed."""
    unsigned = replace(ApprovalProof(person, 800.0, False, NOW + 60, "ops", by + key.id), **changes)
    return replace(unsigned, signature=key.sign(purpose, unsigned.statement(made.request, made.plan_hash)))


def counted(made: Order, *proofs: ApprovalProof, **rule: Any) -> ApprovalCount:
    settings = {"own_approval": False, "second_factor": False, "now": NOW, **rule}
    return count_approvals(replace(made, proofs=proofs), {KEY.id: KEY.public}, **settings)


def test_what_counts() -> None:
    """Trust: the machine counts signed approvals of this plan by distinct people, and nothing that the order merely
    says. Lesson A3 B8: the requester is nobody's approver.
    """
    made = order(behalf=("dave",), approvals=(("eve", 1.0),))
    bob, ann = proof(made), proof(made, "ann", second_factor=True)
    other = order(request="01ARZ3NDEKTSV4RRFFQ69G5FAW")
    assert counted(made, bob, ann, bob).people == {"ann", "bob"}
    table: list[tuple[ApprovalProof, dict[str, Any], str]] = [
        (proof(made, key=STRANGER), {}, "does not know"),
        (proof(made, by=PERSON), {}, "does not know"),
        (proof(made, purpose=ORDER_PURPOSE), {}, "not of this plan"),
        (replace(bob, person="ann"), {}, "not of this plan"),
        (replace(bob, expires=NOW + 9_999), {}, "not of this plan"),
        (replace(bob, second_factor=True), {"second_factor": True}, "not of this plan"),
        (proof(other), {}, "not of this plan"),
        (proof(replace(made, plan_hash="0" * 64)), {}, "not of this plan"),
        (proof(made, expires=NOW - 1), {}, "expired"),
        (bob, {"second_factor": True}, "without a second factor"),
        (proof(made, "alice"), {}, "their own request"),
        (proof(made, "dave"), {}, "their own request"),
    ]
    for one, rule, why in table:
        found = counted(made, one, **rule)
        assert found.people == frozenset(), one
        assert why in found.excluded[0], one
        assert found.excluded[-1] == "'eve': without a proof"
    assert counted(made, ann, second_factor=True).people == {"ann"}
    assert counted(made, proof(made, "alice"), proof(made, "dave"), own_approval=True).people == {"alice", "dave"}


def test_one_good_proof_is_enough() -> None:
    """A person's own signature beside the hub's, which another rule asks for, takes nothing from it."""
    made = order()
    found = counted(made, proof(made, by=PERSON, key=STRANGER), proof(made))
    assert (found.people, found.excluded) == ({"bob"}, ())


def test_what_people_signed_themselves() -> None:
    """Trust: where a rule is critical no key of the hub counts, nor one person's key for another person, nor anybody's
    for another plan, another request, or after its time.
    """
    bobs, anns = SigningKey.generate(), SigningKey.generate()
    pinned = {"bob": (STRANGER.public, bobs.public), "ann": (anns.public,), "alice": (bobs.public,)}
    made = order(behalf=("dave",))

    def own(person: str = "bob", key: SigningKey = bobs, of: Order = made, **changes: Any) -> ApprovalProof:
        given = {"purpose": PERSON_APPROVAL_PURPOSE, "by": PERSON, "asked_by": askers(of.person, of.behalf)}
        return proof(of, person, key=key, **(given | changes))

    def found(*proofs: ApprovalProof, **rule: Any) -> ApprovalCount:
        settings = {"own_approval": False, "second_factor": False, "now": NOW, **rule}
        return count_own_approvals(replace(made, proofs=proofs), pinned, **settings)

    assert found(own(), own("ann", anns), own(), proof(made)).people == {"bob", "ann"}
    table: list[tuple[ApprovalProof, dict[str, Any], str]] = [
        (proof(made), {}, "not signed with their own key"),
        (proof(made, key=bobs), {}, "not signed with their own key"),
        (own(key=KEY), {}, "does not know"),
        (own("ann"), {}, "does not know"),
        (own("eve"), {}, "does not know"),
        (own(purpose=APPROVAL_PURPOSE), {}, "not of this plan"),
        (own(purpose=ORDER_PURPOSE), {}, "not of this plan"),
        (own(of=order(request="01ARZ3NDEKTSV4RRFFQ69G5FAW")), {}, "not of this plan"),
        (own(of=replace(made, plan_hash="0" * 64)), {}, "not of this plan"),
        (replace(own(), expires=NOW + 9_999), {}, "not of this plan"),
        (replace(own(), second_factor=True), {"second_factor": True}, "not of this plan"),
        (own(expires=NOW - 1), {}, "expired"),
        (own(), {"second_factor": True}, "without a second factor"),
        (own("alice"), {}, "their own request"),
        (own(asked_by=()), {"own_approval": True}, "without saying who asked"),
        (own(asked_by=("alice",)), {"own_approval": True}, "the order says 'alice' and 'dave'"),
        (own(asked_by=("bob", "dave")), {}, "they were shown that 'bob' and 'dave' asked"),
    ]
    for one, rule, why in table:
        counted_now = found(one, **rule)
        assert counted_now.people == frozenset(), one
        assert why in counted_now.excluded[0], one
    assert found(own(second_factor=True), second_factor=True).people == {"bob"}
    assert found(own("alice"), own_approval=True).people == {"alice"}


def signed_by_passkey(
    made: Order, person: str, device: SoftwareAuthenticator, *, says: dict[str, Any] | None = None, **changes: Any
) -> ApprovalProof:
    """What a browser gave the page for this order; `says`: what the authenticator and browser do otherwise."""
    asked_by = askers(made.person, made.behalf)
    unsigned = ApprovalProof(person, 800.0, False, NOW + 60, PAGE, PASSKEY + device.passkey.id, asked_by=asked_by)
    unsigned = replace(unsigned, **changes)
    answer = device.get(approval_challenge(unsigned, made.request, made.plan_hash), **(says or {}))
    return replace(
        unsigned,
        signature=answer.signature,
        authenticator_data=answer.authenticator_data,
        client_data=answer.client_data,
    )


@each_of("algorithm", ["es256", "eddsa"])
def test_what_people_signed_with_a_passkey(algorithm: str) -> None:
    """Trust: it counts where the machine was given that passkey of that person, for this plan of this request as it was
    asked for, on its own page, by somebody whom the authenticator knew; each other thing is refused by its name.
    """
    bobs, anns = SoftwareAuthenticator(algorithm), SoftwareAuthenticator(algorithm)
    console = SigningKey.generate()
    pinned = {"bob": (console.public, bobs.passkey), "ann": (anns.passkey,), "alice": (bobs.passkey,)}
    made = order(behalf=("dave",))

    def own(person: str = "bob", device: SoftwareAuthenticator = bobs, of: Order = made, **more: Any) -> ApprovalProof:
        return signed_by_passkey(of, person, device, **more)

    def found(*proofs: ApprovalProof, **rule: Any) -> ApprovalCount:
        settings = {"own_approval": False, "second_factor": False, "now": NOW, **rule}
        return count_own_approvals(replace(made, proofs=proofs), pinned, **settings)

    by_console = proof(
        made, key=console, purpose=PERSON_APPROVAL_PURPOSE, by=PERSON, asked_by=askers(made.person, made.behalf)
    )
    assert found(own(), own("ann", anns), own(), by_console).people == {"bob", "ann"}
    unknown = "does not know"
    elsewhere = replace(bobs, origin="https://hub.example:8443")
    table: list[tuple[ApprovalProof, dict[str, Any], str]] = [
        (own(device=SoftwareAuthenticator(algorithm)), {}, unknown),
        (own("ann"), {}, unknown),  # another person's key
        (own("eve"), {}, unknown),
        (own(device=elsewhere), {}, unknown),
        (replace(own(), by=PERSON + bobs.passkey.id), {}, unknown),
        (replace(by_console, by=PASSKEY + console.id), {}, unknown),
        (own(of=order(request="01ARZ3NDEKTSV4RRFFQ69G5FAW", behalf=("dave",))), {}, OBJECTIONS["challenge"]),
        (own(of=replace(made, plan_hash="0" * 64)), {}, OBJECTIONS["challenge"]),
        (replace(own(), person="alice"), {"own_approval": True}, OBJECTIONS["challenge"]),
        (replace(own(), expires=NOW + 9_999), {}, OBJECTIONS["challenge"]),
        (replace(own(), second_factor=True), {"second_factor": True}, OBJECTIONS["challenge"]),
        (replace(own(asked_by=("eve",)), asked_by=("alice", "dave")), {}, OBJECTIONS["challenge"]),
        (own(says={"type": "webauthn.create"}), {}, OBJECTIONS["type"]),
        (own(says={"origin": "https://hub.evil"}), {}, OBJECTIONS["origin"]),
        (own(says={"crossOrigin": True}), {}, OBJECTIONS["embedded"]),
        (own(says={"site": "hub.evil"}), {}, OBJECTIONS["site"]),
        (own(says={"flags": UV}), {}, OBJECTIONS["presence"]),
        (own(says={"flags": UP}), {}, OBJECTIONS["verification"]),
        (replace(own(), signature=own("ann", anns).signature), {}, OBJECTIONS["signature"]),
        (replace(own(), client_data=b"{}"), {}, OBJECTIONS["type"]),
        (replace(own(), client_data=b""), {}, OBJECTIONS["client_data"]),
        (replace(own(), authenticator_data=own().authenticator_data[:36]), {}, OBJECTIONS["authenticator_data"]),
        (own(expires=NOW - 1), {}, "expired"),
        (own(), {"second_factor": True}, "without a second factor"),
        (own("alice"), {}, "their own request"),
        (own(asked_by=("eve",)), {}, "they were shown that 'eve' asked"),
        (own(asked_by=()), {}, "without saying who asked"),
    ]
    for one, rule, why in table:
        counted_now = found(one, **rule)
        assert counted_now.people == frozenset(), (one, why)
        assert why in counted_now.excluded[0], (counted_now.excluded, why)
    assert found(own(second_factor=True), second_factor=True).people == {"bob"}
    assert counted(made, own()).people == frozenset()  # nor is it a hub's proof
