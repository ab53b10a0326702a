"""The faults of `mutants.py`: over policy, lifecycle, session, store, and what the hub decides."""

from __future__ import annotations

from typing import Final, NamedTuple

POLICY: Final = "tests/common/policy"
SESSION: Final = "tests/common/link/test_session.py"
STORE: Final = "tests/hub/store"
CORE: Final = "tests/hub/core"
ENGINE: Final = "tests/hub/engine"


class Mutant(NamedTuple):
    file: str
    old: str  # exactly once in the file
    new: str
    tests: str  # files that should notice, separated by blanks


MUTANTS: Final = (
    # ---- common/policy: what is let through
    Mutant(
        "common/policy/check.py",
        "return min(rule.roles,",
        "return max(rule.roles,",
        f"{POLICY}/test_check.py",
    ),
    Mutant(
        "common/policy/check.py",
        "labels.get(key) == value for key",
        "labels.get(key, value) == value for key",
        f"{POLICY}/test_check.py",
    ),
    Mutant(
        "common/policy/check.py",
        'return a if a.kind == "deny" else b',
        'return b if a.kind == "deny" else a',
        f"{POLICY}/test_check.py",
    ),
    Mutant(
        "common/policy/check.py",
        "approvers=max(a.approvers, b.approvers)",
        "approvers=min(a.approvers, b.approvers)",
        f"{POLICY}/test_check.py {CORE}/test_judgement.py",
    ),
    Mutant(
        "common/policy/check.py",
        "second_factor=a.second_factor or b.second_factor",
        "second_factor=a.second_factor and b.second_factor",
        f"{POLICY}/test_check.py {CORE}/test_judgement.py",
    ),
    Mutant(
        "common/policy/check.py",
        "bool(asking) and all(verdict.own_approval",
        "bool(asking) and any(verdict.own_approval",
        f"{POLICY}/test_check.py {CORE}/test_judgement.py",
    ),
    Mutant(
        "common/policy/check.py",
        "approvers=max(1, verdict.approvers), own_approval=False",
        "approvers=max(1, verdict.approvers)",
        f"{POLICY}/test_check.py",
    ),
    Mutant(
        "common/policy/check.py",
        'base.rstrip("0123456789.-") in names',
        "base in names",
        f"{POLICY}/test_check.py",
    ),
    Mutant(
        "common/policy/check.py",
        "posixpath.basename(program).lower()",
        "posixpath.basename(program)",
        f"{POLICY}/test_check.py",
    ),
    Mutant(
        "common/policy/check.py",
        "if name in names or name not in policy.environment:",
        "if name not in policy.environment:",
        f"{POLICY}/test_check.py",
    ),
    Mutant(
        "common/policy/check.py",
        "if best is None or progress > best[0]:",
        "if best is None or progress < best[0]:",
        f"{POLICY}/test_check.py",
    ),
    Mutant(
        "common/policy/check.py",
        "env=tuple(sorted({*rule.env, *env})),",
        "env=tuple(sorted({*rule.env})),",
        f"{POLICY}/test_check.py",
    ),
    Mutant(
        "common/policy/match.py",
        "if not self.given.intersection(choice):",
        "if not self.given:",
        f"{POLICY}/test_match.py tests/hub/cli/test_policy_check.py",
    ),
    Mutant(
        "common/policy/match.py",
        "words[:0] = [word.first for word in rule.words]\n    reading",
        "words += [word.first for word in rule.words]\n    reading",
        f"{POLICY}/test_match.py {POLICY}/test_check.py tests/hub/cli/test_policy_check.py",
    ),
    Mutant(
        "common/policy/match.py",
        "self.given.update(inserted)",
        "pass",
        f"{POLICY}/test_match.py tests/hub/cli/test_policy_check.py",
    ),
    Mutant(
        "common/policy/match.py",
        'word not in ("-", "--"):',
        'word != "--":',
        f"{POLICY}/test_match.py {POLICY}/test_check.py",
    ),
    Mutant(
        "common/policy/match.py",
        "            if equals:\n                raise _MatchError",
        "            if glued:\n                raise _MatchError",
        f"{POLICY}/test_match.py",
    ),
    Mutant(
        "common/policy/match.py",
        '["--", *arguments] if arguments else []',
        "[*arguments]",
        f"{POLICY}/test_match.py",
    ),
    Mutant(
        "common/policy/match.py",
        "value = self.normalize(option.value, glued)\n            self.position += 1\n"
        '            yield f"{name}={value}"',
        'value = glued\n            self.position += 1\n            yield f"{name}={value}"',
        f"{POLICY}/test_match.py",
    ),
    Mutant(
        "common/policy/types.py",
        "if len(word) > MAX_VALUE or not self.accepts(word):",
        "if not self.accepts(word):",
        f"{POLICY}/test_types.py",
    ),
    Mutant(
        "common/policy/types.py",
        "not self.minimum <= int(word) <= self.maximum",
        "not self.minimum <= int(word) < self.maximum",
        f"{POLICY}/test_types.py",
    ),
    Mutant(
        "common/policy/types.py",
        "not self.minimum <= float(word) <= self.maximum",
        "not float(word) <= self.maximum",
        f"{POLICY}/test_types.py {POLICY}/test_file.py {POLICY}/test_check.py",
    ),
    Mutant(
        "common/policy/types.py",
        "        if word not in self.choices:",
        "        if word.strip() not in self.choices:",
        f"{POLICY}/test_types.py",
    ),
    # ---- common/lifecycle: what may follow what
    Mutant(
        "common/lifecycle.py",
        "    (J.LEASED, JE.RELEASE): J.QUEUED,\n",
        "",
        "tests/common/test_lifecycle.py",
    ),
    Mutant(
        "common/lifecycle.py",
        "(J.UNKNOWN, JE.SETTLE_FAILED): J.FAILED,",
        "(J.UNKNOWN, JE.SETTLE_FAILED): J.SUCCEEDED,",
        "tests/common/test_lifecycle.py",
    ),
    Mutant(
        "common/lifecycle.py",
        "    (J.QUEUED, JE.CANCEL): J.CANCELLED,\n",
        "    (J.QUEUED, JE.CANCEL): J.CANCELLED,\n    (J.RUNNING, JE.RELEASE): J.QUEUED,\n",
        "tests/common/test_lifecycle.py",
    ),
    Mutant(
        "common/lifecycle.py",
        "(R.ASKING, RE.LAPSED): R.EXPIRED,",
        "(R.ASKING, RE.LAPSED): R.REJECTED,",
        "tests/common/test_lifecycle.py",
    ),
    Mutant(
        "common/lifecycle.py",
        "for state in (J.LEASED, J.ACCEPTED, J.RUNNING, J.UNKNOWN)",
        "for state in (J.LEASED, J.ACCEPTED, J.RUNNING)",
        "tests/common/test_lifecycle.py",
    ),
    # ---- common/link/session: nothing is lost, nothing comes twice
    Mutant("common/link/session.py", "if seq > self.received + 1:", "if seq > self.received + 2:", SESSION),
    Mutant("common/link/session.py", "if seq <= self.received:", "if seq < self.received:", SESSION),
    Mutant("common/link/session.py", "while self.acked < ack:", "while self.acked + 1 < ack:", SESSION),
    Mutant("common/link/session.py", "if ack > self.sent:", "if ack > self.sent + 1:", SESSION),
    Mutant("common/link/session.py", "elif epoch > self.epoch:", "elif epoch >= self.epoch + 2:", SESSION),
    Mutant(
        "common/link/session.py",
        "            if epoch < self.epoch:",
        "            if epoch < self.epoch - 1:",
        SESSION,
    ),
    Mutant(
        "common/link/session.py",
        "islice(self._unacked, peer_received - self.acked, None)",
        "islice(self._unacked, peer_received - self.acked + 1, None)",
        SESSION,
    ),
    Mutant(
        "common/link/session.py",
        "return self.acked <= peer_received <= self.sent",
        "return peer_received <= self.sent",
        SESSION,
    ),
    Mutant(
        "common/link/session.py",
        "self.processed = max(self.processed, seq)",
        "self.processed = seq",
        SESSION,
    ),
    Mutant(
        "common/link/session.py",
        "if self._unacked_bytes + size > self._max_unacked_bytes:",
        "if self._unacked_bytes > self._max_unacked_bytes:",
        SESSION,
    ),
    Mutant(
        "common/link/session.py",
        "now - self._last_activity_at >= MISSED_INTERVALS * self.interval",
        "now - self._last_activity_at >= (MISSED_INTERVALS + 1) * self.interval",
        SESSION,
    ),
    Mutant(
        "common/link/session.py",
        "if self.processed > self._ack_sent else None",
        "if self.processed else None",
        SESSION,
    ),
    # ---- hub/store: rows as they were meant
    Mutant(
        "hub/store/claims.py",
        "    table.c.cancel_asked_at.is_(None),\n",
        "",
        f"{STORE}/test_claims.py {STORE}/test_jobs.py",
    ),
    Mutant(
        "hub/store/claims.py",
        'table.c.not_after > sa.bindparam("now")',
        'table.c.not_after >= sa.bindparam("now")',
        f"{STORE}/test_claims.py {STORE}/test_jobs.py",
    ),
    Mutant("hub/store/claims.py", "table.c.priority.desc()", "table.c.priority.asc()", f"{STORE}/test_claims.py"),
    Mutant(
        "hub/store/claims.py",
        "(-job.priority, job.queued_at, job.id)",
        "(job.priority, job.queued_at, job.id)",
        f"{STORE}/test_claims.py",
    ),
    Mutant(
        "hub/store/claims.py",
        '"limit": limit + 1}',
        '"limit": limit}',
        f"{STORE}/test_claims.py",
    ),
    Mutant("hub/store/claims.py", "        if person in turn:", "        if False:", f"{STORE}/test_claims.py"),
    Mutant(
        "hub/store/requests.py",
        'REQUEST.save(self._db, before, saved, ("state", "step"))',
        'REQUEST.save(self._db, before, saved, ("state",))',
        f"{STORE}/test_requests.py {STORE}/test_store.py",
    ),
    Mutant(
        "hub/store/requests.py",
        "table.c.number < before_number",
        "table.c.number <= before_number",
        f"{STORE}/test_requests.py",
    ),
    Mutant(
        "hub/store/requests.py",
        'table.c.decide_by <= sa.bindparam("now")',
        'table.c.decide_by < sa.bindparam("now")',
        f"{STORE}/test_requests.py",
    ),
    Mutant(
        "hub/store/jobs.py",
        'JOB_GUARDS: Final = ("state", "cancel_asked_at")',
        'JOB_GUARDS: Final = ("state",)',
        f"{STORE}/test_jobs.py {STORE}/test_claims.py",
    ),
    Mutant(
        "hub/store/jobs.py",
        '        table.c.step == sa.bindparam("step"),\n',
        "",
        f"{STORE}/test_jobs.py {ENGINE}/test_unit_of_work.py {ENGINE}/test_engine.py {ENGINE}/test_agent_events.py",
    ),
    Mutant(
        "hub/store/outbox.py",
        "_EARLIER.c.id < table.c.id",
        "_EARLIER.c.id > table.c.id",
        f"{STORE}/test_outbox.py",
    ),
    Mutant("hub/store/outbox.py", '            table.c.request_id != "",\n', "", f"{STORE}/test_outbox.py"),
    Mutant("hub/store/outbox.py", "limit + len(skip_ids)", "limit", f"{STORE}/test_outbox.py"),
    Mutant(
        "hub/store/events.py",
        "self._head = ChainHead(link.seq, link.hash)",
        "pass",
        f"{STORE}/test_events.py {STORE}/test_writer.py",
    ),
    Mutant(
        "hub/store/writer.py",
        'db.execute("ROLLBACK TO SAVEPOINT unit")',
        "pass",
        f"{STORE}/test_writer.py",
    ),
    Mutant(
        "hub/store/writer.py",
        "        return txn.head",
        "        return None",
        f"{STORE}/test_writer.py",
    ),
    Mutant(
        "hub/store/writer.py",
        "if self._queue.qsize() >= self._max_queued:",
        "if False:",
        f"{STORE}/test_writer.py",
    ),
    # ---- hub/core and hub/engine: what is decided, and what follows from it
    Mutant(
        "hub/core/approval.py",
        "given >= request.approvers",
        "given > request.approvers",
        f"{CORE}/test_approval.py {ENGINE}/test_request_actions.py",
    ),
    Mutant(
        "hub/core/approval.py",
        "(request.person, *request.behalf.split())",
        "(request.person,)",
        f"{CORE}/test_approval.py",
    ),
    Mutant(
        "hub/core/approval.py",
        "if plan_hash and plan_hash != request.plan_hash:",
        "if False:",
        f"{CORE}/test_approval.py",
    ),
    Mutant("hub/core/approval.py", "now >= request.decide_by", "now > request.decide_by", f"{CORE}/test_approval.py"),
    Mutant(
        "hub/core/job.py",
        "after = replace(_transition(job, JobEvent.RELEASE), leased_at=None)",
        "after = _transition(job, JobEvent.RELEASE)",
        f"{CORE}/test_job.py",
    ),
    Mutant(
        "hub/core/job.py",
        'cancelled = event.code == "cancelled" and job.cancel_asked_at is not None',
        'cancelled = event.code == "cancelled"',
        f"{CORE}/test_job.py",
    ),
    Mutant(
        "hub/core/job.py",
        "duration=max(0.0, event.ended_at - event.started_at)",
        "duration=event.ended_at - event.started_at",
        f"{CORE}/test_job.py",
    ),
    Mutant(
        "hub/core/job.py",
        "truncated=event.truncated or job.truncated",
        "truncated=event.truncated",
        f"{CORE}/test_job.py {ENGINE}/test_agent_events.py",
    ),
    Mutant(
        "hub/core/job.py",
        "cancel_asked_at=job.cancel_asked_at or now",
        "cancel_asked_at=now",
        f"{CORE}/test_job.py",
    ),
    Mutant(
        "hub/core/request.py",
        "job.state is JobState.SUCCEEDED and job.cancel_asked_at is None for job",
        "job.state is JobState.SUCCEEDED for job",
        f"{CORE}/test_request.py {ENGINE}/test_engine.py",
    ),
    Mutant(
        "hub/core/request.py",
        "request.step + 1 < len(plan.steps)",
        "request.step + 2 < len(plan.steps)",
        f"{CORE}/test_request.py",
    ),
    Mutant("hub/core/request.py", "decide_by=now + decide_within", "decide_by=now", f"{CORE}/test_request.py"),
    Mutant("common/audit/verification.py", " or row[6] != self.head", "", "tests/common/audit/test_verification.py"),
    Mutant(
        "common/audit/verification.py",
        "if mark.seq <= self.signed_to:",
        "if mark.seq < self.signed_to:",
        "tests/common/audit/test_verification.py",
    ),
    Mutant(
        "hub/core/rate_limits.py",
        "if self.tokens >= 1 else (1 - self.tokens)",
        "if self.tokens > 0 else (1 - self.tokens)",
        f"{CORE}/test_rate_limits.py",
    ),
    Mutant(
        "hub/core/rate_limits.py",
        "self.tokens = min(self.burst, self.tokens + 1)",
        "self.tokens += 1",
        f"{CORE}/test_rate_limits.py",
    ),
    Mutant(
        "hub/core/rate_limits.py",
        "        if is_within(address, trusted):\n            continue\n",
        "",
        f"{CORE}/test_rate_limits.py",
    ),
    Mutant(
        "hub/engine/unit_of_work.py",
        "request.hold and index == 0 else 0.0",
        "request.hold else 0.0",
        f"{ENGINE}/test_unit_of_work.py {ENGINE}/test_engine.py tests/hub/api/test_run.py",
    ),
    Mutant(
        "hub/engine/unit_of_work.py",
        "self.effects.failed += job.state is not JobState.SUCCEEDED",
        "pass",
        f"{ENGINE}/test_unit_of_work.py {ENGINE}/test_agent_events.py {ENGINE}/test_engine.py",
    ),
    Mutant(
        "hub/engine/unit_of_work.py",
        "if self.txn.count_unsettled(request.id, request.step):",
        "if False:",
        f"{ENGINE}/test_unit_of_work.py {ENGINE}/test_engine.py {ENGINE}/test_agent_events.py",
    ),
)
