"""An approval by number, where its plan was shown; and numbers that look like a second factor's code."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing

from common.catalogue import Sentence
from common.lifecycle import RequestState
from hub.core.approval import approval_code
from hub.core.outcome import CannotPlan, PlanningContext, PlanningResult
from hub.core.records import Request
from tests.hub.api_harness import ApiHarness
from tests.hub.hub_harness import HubHarness

RESTART = "@web-1 systemctl restart nginx.service"


async def test_a_number_approves_only_what_was_shown_here(harness: HubHarness) -> None:
    """Trust, lesson B6: said in another conversation, or of a request from the console, a number shows the plan and
    asks for its code; in the request's own it is enough.
    """
    elsewhere = {"conversation": "another"}
    by_console = await ApiHarness(harness).call("carol", "run", target="web-1", argv=RESTART.split()[1:])
    for request in (await harness.submit(RESTART), harness.request(by_console["id"])):
        text = await harness.reply_text(f"approve r{request.number}", "bob", **elsewhere)
        code = approval_code(request)
        assert "was not shown in this conversation" in text
        assert "systemctl --no-pager restart --no-ask-password nginx.service" in text
        assert f"approve r{request.number} {code}" in text
        zh = await harness.reply_text(f"批准 r{request.number}", "bob", **elsewhere)
        assert f"批准 r{request.number} {code}" in zh
        assert harness.request(request.id).state is RequestState.ASKING
        assert [row.data["code"] for row in harness.events("act.refused")[-2:]] == ["not_shown", "not_shown"]
        await harness.submit(f"approve r{request.number} {code}", "bob", **elsewhere)
        assert harness.request(request.id).state is RequestState.WORKING
    here = await harness.submit(RESTART)
    await harness.submit(f"approve r{here.number}", "bob")
    assert harness.request(here.id).state is RequestState.WORKING
    done = await harness.reply_text(f"approve r{here.number}", "bob", **elsewhere)
    assert "does not wait for approval" in done


SAID = (
    "bob it is {code}",
    "reject r{number} because {code} did not work",
    "{code} {code}",
    "please try {code} again",
    "web-1 nonsense {spaced}",
    "pause web-1 since {code}",
    "验证码 {wide}",
    "and {code}\u200b?",
)


class Asked:
    """A model that keeps what it was asked."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def plan(self, context: PlanningContext) -> PlanningResult:
        self.texts.append(context.text)
        return PlanningResult(CannotPlan(Sentence("not_understood"), "not_understood"))


async def test_a_number_with_a_code_s_shape_is_kept_nowhere(harness: HubHarness) -> None:
    """Trust, lesson A7: a code that was mistyped, or has run out, is none that the hub knows; of somebody with a second
    factor no number of that shape is kept, wherever it stands: requests, audit, outbox, prompts.
    """
    model = Asked()
    harness.model = model
    harness.start()
    harness.config.planning  # noqa: B018 - as it is
    current = await harness.enrol_totp("bob")
    wrong = next(code for code in ("493817", "385016") if code != current())
    spaced, wide = f"{wrong[:3]} {wrong[3:]}", "".join(chr(ord(digit) - 48 + 0xFF10) for digit in wrong)
    waits = await harness.submit(RESTART)
    for line in SAID:
        await harness.submit(line.format(code=wrong, spaced=spaced, wide=wide, number=waits.number), "bob")
    with closing(sqlite3.connect(harness.database)) as database:
        dump = "\n".join(database.iterdump())
    for form in (wrong, spaced, wide, json.dumps(wide)[1:-1]):
        assert form not in dump, form
    assert model.texts
    assert not any(re.search(r"[0-9]{6}|[0-9]{3} [0-9]{3}", text) for text in model.texts)


async def test_a_command_keeps_its_numbers(harness: HubHarness) -> None:
    """The other side: `tail -n 100000 FILE` runs with its number, from somebody with a second factor too, with the `@`
    and without; what is no code's shape stays as it is.
    """
    await harness.enrol_totp("carol")
    for line in ("@web-1 tail -n 100000 /var/log/syslog", "web-1 tail -n 100000 /var/log/syslog"):
        request = await harness.submit(line)
        assert request.plan is not None, request.reason
        assert "100000" in request.plan.steps[0].argv, line
        assert ("100000" in request.text) == line.startswith("@")
    kept: Request = await harness.submit("what is 10.20.30.40 at 2026-11-30 12:00, version 1.234567, 20261130?")
    assert kept.text == "what is 10.20.30.40 at 2026-11-30 12:00, version 1.234567, 20261130?"
