"""Forms for a second factor's code: who is shown one, what a sent one does, with real codes in the real engine."""

from __future__ import annotations

from dataclasses import replace

from common.lifecycle import RequestState
from hub.chat.inlets import Inlet
from hub.chat.platforms.base import CodeGiven
from hub.chat.platforms.code_form import DIGEST_CHARS, CodeForm, has_forms
from hub.chat.platforms.generic import GenericPlatform
from hub.core.approval import approval_code
from hub.core.records import Request
from hub.engine.code_forms import TRIES
from tests.hub.chat.platforms.test_matrix import MATRIX
from tests.hub.chat.platforms.test_slack import SLACK
from tests.hub.hub_harness import HubHarness


class Asked(GenericPlatform):
    """A platform with forms that the hub polls for its clicks."""

    outbound = MATRIX.outbound
    open_form, is_opened, answer_form = SLACK.open_form, SLACK.is_opened, SLACK.answer_form


async def asking(harness: HubHarness, user: str = "carol") -> Request:
    harness.add_rule("seal", more="second_factor = true", verdict="ask")
    request = await harness.submit("@web-1 seal it", user)
    assert request.state is RequestState.ASKING
    return request


async def opened(harness: HubHarness, words: str, user: str = "bob", *, button: bool = True) -> CodeForm | None:
    return await harness.engine.code_forms.form_for("ops", harness.make_incoming(words, user, button=button))


def given(request: Request, code: str, user: str = "bob", **more: str) -> CodeGiven:
    plan = request.plan_hash[:DIGEST_CHARS]
    made = CodeGiven("v1", user, user, "room", request.number, plan, code)
    return replace(made, **more)  # type: ignore[arg-type]


async def test_a_click_opens_a_form_with_the_exact_plan(harness: HubHarness) -> None:
    """And opening it does nothing: no row, no audit, the request waits as before."""
    await harness.enrol_totp("bob")
    request = await asking(harness)
    before = len(harness.events())
    form = await opened(harness, f"approve r{request.number} {approval_code(request)}")
    assert form is not None
    assert (form.number, form.digest) == (request.number, request.plan_hash[:DIGEST_CHARS])
    assert "seal it" in form.text
    assert harness.request(request.id) == request
    assert len(harness.events()) == before


async def test_a_click_that_would_be_refused_opens_none(harness: HubHarness) -> None:
    """Then it is answered as it is: no right, one's own, another plan, no factor, no such request, typed words, what
    needs no code, another act.
    """
    request = await asking(harness)
    code = approval_code(request)
    assert await opened(harness, f"approve r{request.number} {code}") is None, "no factor"
    for name in ("bob", "ann", "carol", "vera"):
        await harness.enrol_totp(name)
    assert await opened(harness, f"approve r{request.number} {code}", "ann") is not None
    for user in ("vera", "carol", "nobody"):
        assert await opened(harness, f"approve r{request.number} {code}", user) is None, user
    for words in ("approve r99", f"approve r{request.number} b0b0", f"reject r{request.number}", "approve", "hello"):
        assert await opened(harness, words) is None, words
    assert await opened(harness, f"approve r{request.number} {code}", button=False) is None
    plain = await harness.submit("@web-1 systemctl restart nginx.service")
    assert plain.state is RequestState.ASKING
    assert await opened(harness, f"approve r{plain.number} {approval_code(plain)}") is None
    await harness.submit(f"reject r{request.number}", "ann")
    assert await opened(harness, f"approve r{request.number} {code}") is None, "stale"


async def test_a_plan_that_is_too_long_opens_none(harness: HubHarness) -> None:
    """What cannot be shown whole is not approved there."""
    await harness.enrol_totp("bob")
    harness.add_rule("long", more="second_factor = true", verdict="ask")
    request = await harness.submit(f"@web-1 long {' '.join(['x' * 60] * 40)}")
    assert request.state is RequestState.ASKING
    assert await opened(harness, f"approve r{request.number} {approval_code(request)}") is None


async def test_a_sent_code_approves_once(harness: HubHarness) -> None:
    """As whoever sent it; the same form again is the same yes, and the code is kept nowhere."""
    code = await harness.enrol_totp("bob")
    request = await asking(harness)
    answer = await harness.engine.code_forms.take("ops", given(request, f" {code()[:3]} {code()[3:]} ".strip()))
    assert (answer.ok, answer.again) == (True, False)
    assert harness.request(request.id).state is RequestState.WORKING
    (approved,) = harness.events("request.approved")
    assert (approved.actor, approved.data["via"], approved.data["second_factor"]) == ("bob", "ops", True)
    again = await harness.engine.code_forms.take("ops", given(request, code()))
    assert again.ok
    assert len(harness.events("request.approved")) == 1
    assert code() not in str(harness.events())
    other = await harness.engine.code_forms.take("ops", given(request, code(), id="v2"))
    assert not other.ok


async def test_wrong_and_used_codes_may_be_tried_again(harness: HubHarness) -> None:
    """Until the person is locked; none of them approves."""
    code = await harness.enrol_totp("bob")
    first, second = await asking(harness), await harness.submit("@web-1 seal two")
    assert (await harness.engine.code_forms.take("ops", given(first, code()))).ok
    for wrong in (code(), "000000", "", "12345", "1" * 17, "１２３４５６", "x" * 17):
        answer = await harness.engine.code_forms.take("ops", given(second, wrong, id="v2"))
        assert (answer.ok, answer.again) == (False, True), wrong
    assert harness.request(second.id).state is RequestState.ASKING
    for _ in range(5):
        last = await harness.engine.code_forms.take("ops", given(second, "000000", id="v2"))
    assert "locked" in last.text
    harness.clock.advance(60)
    assert not (await harness.engine.code_forms.take("ops", given(second, code(), id="v2"))).ok


async def test_a_form_is_of_one_person_and_one_plan(harness: HubHarness) -> None:
    """Another person's, a stranger's, of another plan, of a request that is not there or waits no more: nothing."""
    code, other = await harness.enrol_totp("bob"), await harness.enrol_totp("ann")
    request = await asking(harness)
    take = harness.engine.code_forms.take
    for made in (
        given(request, other(), user="ann", opened_by="bob"),
        given(request, code(), user="nobody", opened_by="nobody"),
        given(request, code(), digest="0" * DIGEST_CHARS),
        given(request, code(), digest=request.plan_hash),
        given(request, code(), digest=""),
    ):
        answer = await take("ops", made)
        assert (answer.ok, answer.again) == (False, False), made
    missing = await take("ops", replace(given(request, code()), number=99))
    assert (missing.ok, missing.again) == (False, False)
    assert harness.request(request.id).state is RequestState.ASKING
    await harness.submit(f"reject r{request.number}", "ann")
    late = await take("ops", given(request, code()))
    assert (late.ok, late.again) == (False, False)
    mine = await harness.submit("@web-1 seal mine", "bob")
    assert not (await take("ops", given(mine, code()))).ok, "one's own"


async def test_forms_are_bounded(harness: HubHarness) -> None:
    """So many in a minute; then a click is taken without a form, and a sent code is told to wait."""
    code = await harness.enrol_totp("bob")
    request = await asking(harness)
    words = f"approve r{request.number} {approval_code(request)}"
    assert [await opened(harness, words) is not None for _ in range(int(TRIES) + 1)] == [True] * int(TRIES) + [False]
    for _ in range(int(TRIES)):
        await harness.engine.code_forms.take("ops", given(request, code(), digest="0" * DIGEST_CHARS))
    answer = await harness.engine.code_forms.take("ops", given(request, code()))
    assert (answer.ok, answer.again) == (False, True)
    assert "wait" in answer.text


async def test_the_question_offers_the_form_first(harness: HubHarness) -> None:
    """Where the chat has one, whatever pages the hub has; where no code is asked for it says nothing of it."""
    harness.inlets["ops"] = Inlet("ops", SLACK)
    harness.set_http_limits(public_url="https://hub.example")
    await harness.people.refresh()
    await harness.fleet.refresh()
    harness.fleet.set_online("web-1")
    request = await asking(harness)
    text = harness.reply_body(request, "question")["text"]
    assert "Click Approve" in text
    assert "CODE" not in text
    assert not has_forms(Asked([b"a secret of some length"])), "a click may come too late there"
    plain = await harness.submit("@web-1 systemctl restart nginx.service")
    assert "Click Approve" not in harness.reply_body(plain, "question")["text"]
