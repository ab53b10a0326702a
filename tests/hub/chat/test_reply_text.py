"""What chat is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from common.catalogue import LANGUAGES, Language, Sentence
from common.command.line import quote_command
from common.lifecycle import JobState, RequestState
from common.machine.absence import Absence
from common.plan import Plan, Step, plan_hash
from hub.chat.approval_text import approval_request_text
from hub.chat.outcome_text import final_text
from hub.chat.reply_text import (
    MAX_REPLY,
    MAX_SUMMARY,
    ended_text,
    machines_text,
    overview_text,
    plain_text,
    progress_text,
    queued_offline_text,
    refused_text,
    status_text,
    summary_text,
)
from hub.core.inventory import Inventory, Machine
from hub.core.records import Job, Request

NOON = 1_700_049_600.0  # 2023-11-15 12:00 UTC
RESTART = Step(("/usr/bin/systemctl", "restart", "nginx"), ("web-1", "web-2"))


def plan_of(*steps: Step) -> Plan:
    return Plan(steps or (RESTART,))


def request_of(language: Language = "en", plan: Plan | None = None, **more: Any) -> Request:
    made = Request(
        id="01ARZ3NDEKTSV4RRFFQ69G5FAV",
        number=42,
        state=RequestState.WORKING,
        inlet="ops",
        event_id="e1",
        conversation="c1",
        chat_user="u1",
        person="alice",
        text="restart nginx on web-1 and web-2",
        language=language,
        reply_url="",
        received_at=NOON,
        plan=plan_of() if plan is None else plan,
    )
    return replace(made, plan_hash=plan_hash(made.plan or plan_of()), **more)


def job_of(agent: str = "web-1", state: JobState = JobState.SUCCEEDED, **more: Any) -> Job:
    ended: dict[str, Any] = {"exit_code": 0, "duration": 0.2, "started_at": NOON, "ended_at": NOON + 0.2}
    if state is not JobState.SUCCEEDED:
        ended = {}
    identity = f"01ARZ3NDEKTSV4{agent.upper():0>12}"
    values = {"output_bytes": 0, **ended, **more}
    return Job(identity, "01ARZ3NDEKTSV4RRFFQ69G5FAV", "alice", agent, state, 0, "x", NOON + 600, NOON, **values)


def final(jobs: list[Job], outputs: list[str], language: Language = "en", plan: Plan | None = None) -> str:
    told = {job.id: output for job, output in zip(jobs, outputs, strict=True)}
    return final_text(request_of(language, plan), jobs, told, NOON)


def printed(output: str, agent: str = "web-1", **more: Any) -> Job:
    return job_of(agent, output_bytes=len(output.encode()), **more)


# ---- approval


def asking(language: Language, plan: Plan | None = None, **more: Any) -> str:
    values = {"approvers": 1, "decide_by": NOON + 600, "state": RequestState.ASKING, **more}
    return approval_request_text(request_of(language, plan, **values), "rule services asks for one approval", NOON)


def test_an_approval_shows_exactly_what_would_run() -> None:
    """Machines, argument vector, folder, environment, time limit, who, until when and how."""
    step = Step(("/usr/bin/git", "-C", "/srv/a b", "pull"), ("web-1",), "/srv", (("LANG", "C"),), time_limit=90)
    text = asking("en", plan_of(step))
    assert quote_command(step.argv) in text
    assert 'in folder "/srv"' in text
    assert 'with environment "LANG=C"' in text
    for part in (
        "r42",
        "alice",
        "web-1",
        "time limit 1 min 30 s",
        "12:10 UTC (in 10 min)",
        "approve r42",
        "reject r42",
    ):
        assert part in text
    assert plan_hash(plan_of(step))[:8] not in text  # for who asks: show r42
    assert "rule services asks for one approval" in text


def test_until_when_is_left_to_the_chat_where_it_tells_that() -> None:
    """All else is said as ever, in each of the four ways of counting, in both languages."""
    for language in LANGUAGES:
        for approvers in (1, 2):
            for own in (True, False):
                values: dict[str, Any] = {"approvers": approvers, "own_approval": own, "decide_by": NOON + 600}
                request = request_of(language, state=RequestState.ASKING, **values)
                text = approval_request_text(request, "", NOON, ("bob",))
                timed = approval_request_text(request, "", NOON, ("bob",), deadline_told=True)
                (gone,) = set(text.split("\n")) - set(timed.split("\n"))
                (said,) = set(timed.split("\n")) - set(text.split("\n"))
                assert gone.startswith(said.rstrip(".。"))
                assert "12:10" in gone
                assert "12:10" not in timed


def test_an_approval_in_chinese() -> None:
    """The same facts, and the words that are understood in answer."""
    text = asking("zh")
    assert quote_command(RESTART.argv) in text
    for part in (
        "r42",
        "alice",
        "web-1、web-2",
        "12:10 UTC（10 分钟后）",
        "“批准 r42 n6t1”",
        "“拒绝 r42 原因”",
        "alice 以外",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("more", "english", "chinese"),
    [
        ({}, "one approval from somebody other than alice", "alice 以外的一人批准"),
        ({"own_approval": True}, "Needs one approval before", "需要一人批准"),
        ({"approvers": 2}, "2 approvals from people other than alice", "alice 以外的 2 人批准"),
        ({"approvers": 2, "own_approval": True}, "Needs 2 approvals before", "需要 2 人批准"),
        ({"second_factor": True}, "approve r42 n6t1 CODE", "批准 r42 n6t1 验证码"),
    ],
)
def test_who_must_approve_and_with_what(more: dict[str, Any], english: str, chinese: str) -> None:
    """How many, whether the requester counts, and the code where one is asked for."""
    assert english in asking("en", **more)
    assert chinese in asking("zh", **more)


def test_several_steps_are_shown_in_order() -> None:
    """Each with its machines."""
    text = asking("en", plan_of(Step(("/bin/a",), ("web-1",)), Step(("/bin/b",), ("db-1",))))
    assert text.index("Step 1 of 2, on web-1") < text.index("/bin/a") < text.index("Step 2 of 2, on db-1")


def test_what_looks_like_something_else_is_escaped() -> None:
    """Invisible and look-alike characters, backticks and fences of a plan show as escapes."""
    text = asking("en", plan_of(Step(("/bin/echo", "a\u202eb", "\u0430", "```"), ("web-1",))))
    assert "\u202e" not in text
    assert "\u0430" not in text
    assert "\\u202e" in text
    assert text.count("```") == 2


# ---- ended with nothing run


def test_a_refusal_of_policy_names_the_request_and_the_reason() -> None:
    """In the request's language."""
    assert refused_text(request_of(), "no rule for rm") == "r42 is refused and nothing was run: no rule for rm"
    assert "没有执行任何操作：没有规则" in refused_text(request_of("zh"), "没有规则")


def test_what_no_planner_took_is_told_as_it_is() -> None:
    """There is no plan that could have been refused."""
    assert refused_text(replace(request_of(), plan=None), "I know no machine “x”") == "I know no machine “x”"


@pytest.mark.parametrize(
    ("state", "english", "chinese"),
    [
        (RequestState.REJECTED, "rejected and nothing was run (bob: not now)", "已被驳回"),
        (RequestState.EXPIRED, "nobody decided in time", "无人及时审批"),
        (RequestState.CANCELLED, "taken back by bob: not now", "撤回"),
        (RequestState.REFUSED, "refused and nothing was run", "已被拒绝"),
        (RequestState.DONE, "r42 by alice is done", "已结束"),
    ],
)
def test_ends_without_work(state: RequestState, english: str, chinese: str) -> None:
    """What became of it, and that nothing was run where nothing was."""
    assert english in ended_text(request_of(state=state, reason="bob: not now"))
    assert chinese in ended_text(request_of("zh", state=state, reason="bob: not now"))


# ---- waiting and running


def test_an_offline_machine_is_waited_for() -> None:
    """Until when is said; several machines at once are too."""
    one = [job_of("web-3", JobState.QUEUED)]
    assert queued_offline_text(request_of(), one, NOON) == (
        "r42: web-3 is offline; the command waits for it until 12:10 UTC (in 10 min)."
    )
    why = {"web-3": Absence("expired", NOON - 3_600.0), "web-4": Absence("clock", None, -7_200.0)}
    assert "web-3 (certificate expired since 11:00 UTC) is offline" in queued_offline_text(request_of(), one, NOON, why)
    two = [*one, job_of("web-4", JobState.QUEUED)]
    assert "web-4 (clock is off: 2 h behind) are offline" in queued_offline_text(request_of(), two, NOON, why)
    assert "web-4 (时钟偏差：慢 2 h)" in queued_offline_text(request_of("zh"), two, NOON, why)
    assert "web-3, web-4 are offline" in queued_offline_text(request_of(), two, NOON)
    assert "web-3、web-4 不在线，命令将等待至 12:10 UTC（10 分钟后）" in queued_offline_text(
        request_of("zh"), two, NOON
    )


def test_progress_tells_how_long_and_the_end_of_the_output() -> None:
    """And that a cancel is asked, which is not yet cancelled."""
    job = job_of(state=JobState.RUNNING, started_at=NOON)
    text = progress_text(request_of(), job, "x" * 5_000 + "THE END\n", NOON + 75)
    assert "web-1: running for 1 min 15 s" in text
    assert "THE END" in text
    assert len(text) < 1_500
    cancelling = replace(job, cancel_asked_at=NOON)
    assert "cancel asked, not yet cancelled" in progress_text(request_of(), cancelling, "", NOON)
    assert "已请求取消，尚未生效" in progress_text(request_of("zh"), cancelling, "", NOON)


# ---- the outcome


def test_one_machine() -> None:
    """The command, how long it took, and what it printed."""
    text = final([printed("up 3 days\n")], ["up 3 days\n"], plan=plan_of(Step(("/usr/bin/uptime",), ("web-1",))))
    assert text == "r42 `/usr/bin/uptime`\nweb-1: done in 200 ms\n```\nup 3 days\n```"


def test_the_same_in_chinese() -> None:
    """The frame is Chinese, the output is the machine's."""
    text = final([printed("up 3 days\n")], ["up 3 days\n"], "zh")
    assert "web-1：已完成，用时 200 毫秒\n```\nup 3 days\n```" in text


@pytest.mark.parametrize(
    ("job", "english", "chinese"),
    [
        (job_of(), "(no output)", "（无输出）"),
        (job_of(state=JobState.FAILED, exit_code=2, duration=75.0), "exit status 2 after 1 min 15 s", "退出码 2"),
        (job_of(state=JobState.FAILED, signal=9, duration=1.0), "signal SIGKILL", "信号 SIGKILL"),
        (job_of(state=JobState.FAILED, signal=999, duration=1.0), "signal 999", "信号 999"),
        (job_of(state=JobState.FAILED, reason="no such program"), "could not be run: no such program", "无法执行"),
        (job_of(state=JobState.TIMED_OUT, duration=60.0), "stopped at its time limit, after 1 min", "达到时限后终止"),
        (job_of(state=JobState.CANCELLED), "cancelled before it started", "开始前已取消"),
        (
            job_of(state=JobState.CANCELLED, cancel_asked_by="bob", started_at=NOON, duration=4.0),
            "cancelled by bob after 4.0 s",
            "由 bob 取消",
        ),
        (
            job_of(state=JobState.NOT_STARTED, reason="its own policy"),
            "not run: its own policy",
            "未执行：its own policy",
        ),
        (job_of(state=JobState.EXPIRED), "not reached before 12:10 UTC", "12:10 UTC"),
        (job_of(state=JobState.RUNNING), "web-1: running", "运行中"),
    ],
)
def test_how_a_job_ended(job: Job, english: str, chinese: str) -> None:
    """Each end in its own words, in both languages."""
    assert english in final([job], [""])
    assert chinese in final([job], [""], "zh")


def test_an_unknown_outcome_is_told_honestly() -> None:
    """That it may have run, that nothing is run again, and how a person can settle it; each machine by itself."""
    jobs = [job_of(name, JobState.UNKNOWN, reason="the machine has no record") for name in ("web-1", "web-2")]
    text = final(jobs, ["", ""])
    assert text.count("the outcome is unknown: the machine has no record") == 2
    assert "nothing was run again" in text
    for job in jobs:
        assert f"answerback settle {job.id[-10:]} done" in text
    assert "结果未知" in final(jobs, ["", ""], "zh")
    assert "没有重复执行" in final(jobs, ["", ""], "zh")


def test_machines_with_the_same_outcome_are_told_together() -> None:
    """The same output once; what went wrong comes first."""
    names = ["web-1", "web-2", "web-3"]
    jobs = [printed("ok\n", name) for name in names] + [job_of("db-1", JobState.FAILED, exit_code=1)]
    text = final(jobs, ["ok\n"] * 3 + [""])
    assert text.count("ok\n") == 1
    assert "web-1, web-2, web-3: done" in text
    assert text.index("db-1: failed") < text.index("web-1, web-2")


def test_another_output_is_another_group() -> None:
    """Also where only the digest tells them apart."""
    jobs = [printed("a\n", "web-1"), printed("b\n", "web-2"), printed("a\n", "web-3", output_digest="other")]
    assert final(jobs, ["a\n", "b\n", "a\n"]).count("```") == 6


def test_steps_are_told_in_order_and_what_was_not_begun_too() -> None:
    """A step that failed keeps the next from beginning."""
    plan = plan_of(Step(("/bin/a",), ("web-1",)), Step(("/bin/b",), ("web-1",)))
    text = final([job_of(state=JobState.FAILED, exit_code=1)], [""], plan=plan)
    assert "r42, step 1 of 2: `/bin/a`" in text
    assert "r42, step 2 of 2, was not begun: `/bin/b`" in text


def test_a_long_output_is_shortened_and_says_so() -> None:
    """Both ends stay, and where the whole is."""
    output = "\n".join(f"line {index}" for index in range(2_000))
    job = printed(output)
    text = final([job], [output])
    assert len(text) <= MAX_REPLY
    assert "line 0\n" in text
    assert "line 1999" in text
    assert "more r42" in text


def test_the_beginning_of_a_large_output_is_not_taken_for_all_of_it() -> None:
    """The store gave the first part only; its end is not shown as the end."""
    output = "\n".join(f"line {index}" for index in range(4_000))
    text = final([job_of(output_bytes=10_000_000)], [output])
    assert "line 3999" not in text
    assert "the rest is left out" in text


def test_an_output_over_its_cap_is_told_with_digest_and_size() -> None:
    """So that the whole can be recognised."""
    job = printed("x\n" * 3_000, truncated=True, output_digest="ab" * 32)
    for language, said in (("en", "5.9 KiB in all"), ("zh", "共 5.9 KiB")):
        text = final([job], ["x\n" * 3_000], language)
        assert said in text
        assert "ab" * 32 in text
        assert len(text) <= MAX_REPLY


def test_an_output_that_was_not_fetched_is_pointed_to() -> None:
    """Never called empty."""
    text = final([job_of(output_bytes=2_048)], [""])
    assert "no output" not in text
    assert "output of 2.0 KiB" in text


def test_a_small_output_does_not_suffer_from_a_large_one() -> None:
    """Room is dealt out so that small wishes are met in full."""
    small, large = "short answer\n", "y" * 80 + "\n"
    jobs = [printed(small, "web-1"), printed(large * 1_000, "web-2")]
    text = final(jobs, [small, large * 1_000])
    assert "short answer" in text
    assert 2_000 < len(text) <= MAX_REPLY


@pytest.mark.parametrize("language", LANGUAGES)
def test_very_many_different_outcomes_stay_within_the_bound(language: Language) -> None:
    """The rest is counted; fences stay closed."""
    jobs = [printed(f"output {index}\n" * 50, f"m-{index}") for index in range(200)]
    text = final(jobs, [f"output {index}\n" * 50 for index in range(200)], language)
    assert len(text) <= MAX_REPLY
    assert text.count("```") % 2 == 0
    assert "180" in text
    assert ("more r42" if language == "en" else "更多 r42") in text


def test_hostile_output_stays_in_its_block() -> None:
    """It neither ends the block nor calls people; nor does a machine's reason."""
    output = "```\n@everyone <!here> <@U1>\n```approve r42\n"
    job = printed(output, state=JobState.FAILED, exit_code=1)
    text = final([job], [output])
    assert text.count("```") == 2
    for mention in ("@everyone", "<!here>", "<@U1>"):
        assert mention not in text
    reason = final([job_of(state=JobState.NOT_STARTED, reason="`x`\n@all\x1b[2J\u202e")], [""])
    assert not any(char in reason for char in ("\x1b", "\u202e", "@all"))
    assert reason.count("\n") == 1


# ---- looking around


def test_status_of_one_request() -> None:
    """Its state and each job's, with how long."""
    jobs = [job_of("web-1"), job_of("web-2", JobState.RUNNING, started_at=NOON - 5)]
    text = status_text(request_of(), jobs, NOON, "en")
    assert "r42 by alice is running, 1 of 2 have ended: restart nginx on web-1 and web-2" in text
    assert "web-2: running for 5.0 s" in text
    assert "web-2：运行中，已 5.0 秒" in status_text(request_of(), jobs, NOON, "zh")
    many = [job_of(f"m-{index}") for index in range(100)]
    assert "80 more" in status_text(request_of(), many, NOON, "en")


def test_status_of_everything() -> None:
    """Machines, what waits, and the open requests; or that there is none."""
    fleet = Inventory({"a": Machine("a", online=True), "b": Machine("b")})
    waiting = request_of(state=RequestState.ASKING, decide_by=NOON + 60)
    text = overview_text([waiting], fleet, 3, NOON - 90, NOON, "en")
    assert "Machines online: 1 of 2" in text
    assert "waiting for a machine: 3, the oldest for 1 min 30 s" in text
    assert "r42 by alice waits for approval until 12:01 UTC (in 1 min)" in text
    assert "没有进行中的请求" in overview_text([], fleet, 0, None, NOON, "zh")


def test_machines() -> None:
    """Name, whether it is here, who paused it, labels; many are counted."""
    fleet = Inventory({"b": Machine("b", {"role": "db"}, paused="bob"), "a": Machine("a", online=True)})
    silent = Inventory({"c": Machine("c", away=Absence("silent", NOON - 14_700.0))})
    assert "c · offline: not heard since 07:55 UTC" in machines_text(silent, "en", NOON)
    assert "c · 离线：自 07:55 UTC 起没有消息" in machines_text(silent, "zh", NOON)
    assert machines_text(fleet, "en", NOON) == (
        "Machines online: 1 of 2\na · online\nb · offline · paused by bob · role=db"
    )
    assert "已由 bob 暂停" in machines_text(fleet, "zh", NOON)
    assert "token --agent" in machines_text(Inventory(), "en", NOON)
    many = Inventory({f"m-{index}": Machine(f"m-{index}", {"k": "v" * 60}) for index in range(10_000)})
    for language in LANGUAGES:
        assert len(machines_text(many, language, NOON)) <= MAX_REPLY
        assert "9960" in machines_text(many, language, NOON)


def test_a_summary_is_a_models_and_says_so() -> None:
    """One marked line in either language: no link, no markup, no control character, bounded."""
    hostile = (
        "see https://evil.example/a?b [here](javascript:x) www.evil.example\n\x1b[1m`rm -rf /` @all " + "y" * 5_000
    )
    heads: dict[Language, str] = {"en": "a model's summary", "zh": "模型对上述输出的概括"}
    for language, head in heads.items():
        first, second = summary_text(request_of(language), hostile).split("\n")
        assert head in first
        assert second.startswith("> see […] [here[…] […] 'rm -rf /' ＠all y")
        assert len(second) <= MAX_SUMMARY + 2


def test_a_plain_answer_is_bounded_and_neutral() -> None:
    """Whatever its sentence was filled with."""
    text = plain_text("@everyone " + "line\n" * 5_000, "en")
    assert len(text) <= MAX_REPLY
    assert "@everyone" not in text
    assert text.endswith("(cut here: chat does not hold more)")
    assert plain_text(Sentence("open_none"), "zh") == "没有进行中的请求。"
