"""The typed plan, the hash that an approval is bound to, and the order that is dispatched to one machine.

The hash has two levels so that a machine can verify its own part of a plan for ten thousand machines:

    step hash = SHA-256("answerback step 1\\n" + canonical JSON of argv, cwd, env, time limit, output cap, targets hash,
                        and of the filters and the script where there are any)
    plan hash = SHA-256("answerback plan 1\\n" + canonical JSON of the step hashes and the time to live)

Canonical JSON is RFC 8259 with sorted keys, no white space and every non-ASCII character escaped. An order carries its
own step in full, the targets hash and all step hashes: the runner recomputes both levels before it accepts the plan
hash. Plans, steps and orders are checked when they are made or verified, so nothing unbounded is ever approved.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from common.approval_proof import ApprovalProof, BadProof, proofs_from_json, proofs_to_json
from common.command.output_filters import DEFAULT_OUTPUT_CAP, BadFilter, FilterWords, check_filters
from common.ids import is_name
from common.script import BadScript, ScriptWord, script_from_json, script_to_json

MAX_STEPS = 16
MAX_TARGETS = 10_000
MAX_ARGS = 256
MAX_ARG_CHARS = 8_192
MAX_ARGV_CHARS = 32_768
DEFAULT_TIME_LIMIT = 60
MAX_TIME_LIMIT = 24 * 3600
MAX_OUTPUT_CAP = 10 * 1024 * 1024
DEFAULT_TTL = 600
MAX_TTL = 30 * 24 * 3600
MAX_ENV = 64
MAX_CHECKS = 256 * 1024
"""Characters of what a policy asks a machine to check before a start."""
MAX_TEXT = 4_096
"""Characters of a path, of one variable's value, of an explanation."""
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")


class BadPlan(ValueError):
    """A malformed plan or order; `str()` names the field."""


def canonical_json(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no white space, ASCII, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


@dataclass(frozen=True, slots=True)
class Step:
    """One command on one or more machines. `argv[0]` is an absolute program once policy has resolved it."""

    argv: tuple[str, ...]
    targets: tuple[str, ...]  # machine names, sorted, never empty
    cwd: str = ""  # "" is the runner's own empty folder
    env: tuple[tuple[str, str], ...] = ()  # sorted; added to the environment the runner constructs
    time_limit: int = DEFAULT_TIME_LIMIT  # seconds, then TERM, grace, KILL
    output_cap: int = DEFAULT_OUTPUT_CAP  # bytes stored; the digest covers all of it
    filters: tuple[FilterWords, ...] = ()  # what the agent does to standard output; in their one spelling
    script: ScriptWord | None = None  # the word that is a script of the hub; set by policy

    def __post_init__(self) -> None:
        check_argv(self.argv)
        if not self.targets:
            raise BadPlan("targets: empty; an empty set of machines never means all of them")
        if list(self.targets) != sorted(set(self.targets)):
            raise BadPlan("targets: must be sorted and without repeats")
        if len(self.targets) > MAX_TARGETS:
            raise BadPlan(f"targets: {len(self.targets)} machines, at most {MAX_TARGETS}")
        if not all(map(is_name, self.targets)):
            raise BadPlan("targets: not a machine's name")
        check_execution_settings(self.cwd, self.env, self.time_limit, self.output_cap)
        _check_filters(self.filters)
        _check_script(self.script, self.argv)


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a request, in order; each begins when the one before it has succeeded on all its machines."""

    steps: tuple[Step, ...]
    source: str = "explicit"  # explicit | runbook:NAME | model:NAME | operator
    ttl: int = DEFAULT_TTL  # seconds a job may wait for its machine, from the moment it is queued
    tainted: bool = False  # text that no person wrote contributed: never `allow`
    proposed: bool = False  # a model wrote the commands itself: never without an approver, who may be the requester
    explanation: str = ""  # one sentence for people; not part of the hash

    def __post_init__(self) -> None:
        if not 1 <= len(self.steps) <= MAX_STEPS:
            raise BadPlan(f"steps: {len(self.steps)} is not within 1 to {MAX_STEPS}")
        _check_ttl(self.ttl)
        if len(self.source) > MAX_TEXT or len(self.explanation) > MAX_TEXT:
            raise BadPlan(f"source, explanation: longer than {MAX_TEXT} characters")

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(sorted({target for step in self.steps for target in step.targets}))


def check_argv(argv: Iterable[str]) -> None:
    """Raises BadPlan where an argument vector is empty, too large, or holds a NUL or a lone surrogate."""
    args = tuple(argv)
    if not args or not args[0]:
        raise BadPlan("argv: empty")
    if len(args) > MAX_ARGS:
        raise BadPlan(f"argv: {len(args)} arguments, at most {MAX_ARGS}")
    if any(len(arg) > MAX_ARG_CHARS for arg in args) or sum(map(len, args)) > MAX_ARGV_CHARS:
        raise BadPlan(f"argv: longer than {MAX_ARGV_CHARS} characters")
    for arg in args:
        _check_text("argv", arg)


def check_execution_settings(cwd: str, env: tuple[tuple[str, str], ...], time_limit: int, output_cap: int) -> None:
    """Raises BadPlan where the directory, the environment or the limits of a step are out of bounds."""
    if len(cwd) > MAX_TEXT:
        raise BadPlan(f"cwd: longer than {MAX_TEXT} characters")
    _check_text("cwd", cwd)
    if cwd and not cwd.startswith("/"):
        raise BadPlan("cwd: not an absolute path")
    if len(env) > MAX_ENV:
        raise BadPlan(f"env: {len(env)} variables, at most {MAX_ENV}")
    names = [name for name, _ in env]
    if names != sorted(set(names)):  # a name twice would let the machine choose between two values
        raise BadPlan("env: must be sorted and without repeats")
    for name, value in env:
        if not _ENV_NAME.fullmatch(name):
            raise BadPlan("env: not a variable's name")
        if len(value) > MAX_TEXT:
            raise BadPlan(f"env: a value longer than {MAX_TEXT} characters")
        _check_text("env", value)
    if not 1 <= time_limit <= MAX_TIME_LIMIT:
        raise BadPlan(f"time_limit: {time_limit} is not within 1 to {MAX_TIME_LIMIT} seconds")
    if not 0 <= output_cap <= MAX_OUTPUT_CAP:
        raise BadPlan(f"output_cap: {output_cap} is not within 0 to {MAX_OUTPUT_CAP} bytes")


def _check_filters(filters: tuple[FilterWords, ...]) -> None:
    try:
        check_filters(filters)
    except BadFilter as error:
        raise BadPlan(f"filters: {error}") from None


def _check_script(script: ScriptWord | None, argv: tuple[str, ...]) -> None:
    try:
        if script is not None:
            script.check(argv)
    except BadScript as error:
        raise BadPlan(f"script: {error}") from None


def _check_text(field: str, text: str) -> None:
    if "\0" in text:
        raise BadPlan(f"{field}: a NUL character")
    if _SURROGATE.search(text):
        raise BadPlan(f"{field}: a lone surrogate")


def _check_ttl(ttl: int) -> None:
    if not 1 <= ttl <= MAX_TTL:
        raise BadPlan(f"ttl: {ttl} is not within 1 to {MAX_TTL} seconds")


def targets_hash(targets: Iterable[str]) -> str:
    return hashlib.sha256(b"answerback targets 1\n" + canonical_json(sorted(targets))).hexdigest()


def step_hash(step: Step | Order, targets: str) -> str:
    """The step's hash; `targets` is the targets hash."""
    body = {
        "argv": list(step.argv),
        "cwd": step.cwd,
        "env": [list(pair) for pair in step.env],
        "time_limit": step.time_limit,
        "output_cap": step.output_cap,
        "targets": targets,
        **_filters_field(step.filters),
        **script_to_json(step.script),
    }
    return hashlib.sha256(b"answerback step 1\n" + canonical_json(body)).hexdigest()


def _filters_field(filters: tuple[FilterWords, ...]) -> dict[str, Any]:
    """Absent where there are none, so that what hubs and agents of version 0.1.0 hashed and signed keeps its bytes."""
    return {"filters": [list(words) for words in filters]} if filters else {}


def combine_hashes(step_hashes: Iterable[str], ttl: int) -> str:
    return hashlib.sha256(b"answerback plan 1\n" + canonical_json({"steps": list(step_hashes), "ttl": ttl})).hexdigest()


def step_hashes(plan: Plan) -> tuple[str, ...]:
    return tuple(step_hash(step, targets_hash(step.targets)) for step in plan.steps)


def plan_hash(plan: Plan) -> str:
    """What an approval is bound to: hex SHA-256, 64 characters; people are shown the first 8."""
    return combine_hashes(step_hashes(plan), plan.ttl)


@dataclass(frozen=True, slots=True)
class Order:
    """The signed document of one job: everything that the runner needs, so that it need not trust the link."""

    job: str  # ULID; started at most once, ever
    request: str  # ULID
    agent: str
    argv: tuple[str, ...]
    cwd: str
    env: tuple[tuple[str, str], ...]
    time_limit: int
    output_cap: int
    targets: str  # targets hash
    steps: tuple[str, ...]  # all step hashes
    step: int  # which of them is this one
    ttl: int
    plan_hash: str
    not_after: float  # seconds since the epoch; no start later than this
    epoch: int
    person: str
    approvals: tuple[tuple[str, float], ...] = ()  # (person, when)
    filters: tuple[FilterWords, ...] = ()
    proofs: tuple[ApprovalProof, ...] = ()  # of the approvals; machines of protocol 3 count these alone
    behalf: tuple[str, ...] = ()  # beside `person`, who is none of the approvers where the requester is not; protocol 3
    script: ScriptWord | None = None
    script_text: str = ""  # its content; protocol 3
    checks: str = ""  # of the policy at the hand-out, no part of the plan: common.policy.machine_checks; protocol 3
    confirm: bool = False  # to be started only once the hub has confirmed that it knows the acceptance
    issued_at: float = 0.0  # the hub's clock when it was made: not_after minus it is its life; protocol 5

    def verify(self) -> None:
        """Raises BadPlan unless this step is within bounds and part of the plan that the hash names."""
        check_argv(self.argv)
        check_execution_settings(self.cwd, self.env, self.time_limit, self.output_cap)
        _check_filters(self.filters)
        self._verify_script()
        _check_ttl(self.ttl)
        if not 0 <= self.step < len(self.steps) <= MAX_STEPS:
            raise BadPlan("step: not one of the plan's steps")
        if step_hash(self, self.targets) != self.steps[self.step]:
            raise BadPlan("step: differs from the step that was approved")
        if combine_hashes(self.steps, self.ttl) != self.plan_hash:
            raise BadPlan("plan_hash: differs from the plan that was approved")

    def _verify_script(self) -> None:
        _check_script(self.script, self.argv)
        try:
            if self.script is not None:
                self.script.check_text(self.script_text)
            elif self.script_text:
                raise BadPlan("script_text: without a script")
        except BadScript as error:
            raise BadPlan(f"script: {error}") from None

    def to_bytes(self) -> bytes:
        return canonical_json(
            {
                "v": 1,
                "job": self.job,
                "request": self.request,
                "agent": self.agent,
                "argv": self.argv,
                "cwd": self.cwd,
                "env": self.env,
                "time_limit": self.time_limit,
                "output_cap": self.output_cap,
                "targets": self.targets,
                "steps": self.steps,
                "step": self.step,
                "ttl": self.ttl,
                "plan_hash": self.plan_hash,
                "not_after": self.not_after,
                "epoch": self.epoch,
                "person": self.person,
                "approvals": self.approvals,
                **_filters_field(self.filters),
                **({"proofs": proofs_to_json(self.proofs)} if self.proofs else {}),
                **({"behalf": self.behalf} if self.behalf else {}),
                **script_to_json(self.script),
                **({"script_text": self.script_text} if self.script_text else {}),
                **({"checks": self.checks} if self.checks else {}),
                **({"confirm": True} if self.confirm else {}),  # only for a runner that knows it
                **({"issued_at": self.issued_at} if self.issued_at else {}),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Order:
        """Parses exactly what `to_bytes` writes; raises BadPlan on anything else. Verify the signature first."""
        try:
            body = json.loads(data)
            if not isinstance(body, dict) or body.pop("v", None) != 1:
                raise BadPlan("order: unknown version")
            body["argv"] = _strings("argv", body["argv"])
            body["env"] = tuple((_string("env", key), _string("env", value)) for key, value in body["env"])
            body["steps"] = _strings("steps", body["steps"])
            given = [(_string("approvals", person), _number("approvals", when)) for person, when in body["approvals"]]
            body["approvals"] = tuple(given)
            if "filters" in body:
                body["filters"] = _filters("filters", body["filters"])
            if "proofs" in body:
                body["proofs"] = proofs_from_json(body["proofs"])
            if "behalf" in body:
                body["behalf"] = _strings("behalf", body["behalf"])
            if "confirm" in body:
                _boolean("confirm", body["confirm"])
            for key in ("job", "request", "agent", "cwd", "targets", "plan_hash", "person"):
                _string(key, body[key])
            if "script" in body:
                body["script"] = script_from_json(body["script"])
            _string("script_text", body.get("script_text", ""))
            if len(_string("checks", body.get("checks", ""))) > MAX_CHECKS:
                raise BadPlan(f"checks: longer than {MAX_CHECKS} characters")
            for key in ("time_limit", "output_cap", "step", "ttl", "epoch"):
                _integer(key, body[key])
            _number("not_after", body["not_after"])
            if _number("issued_at", body.get("issued_at", 0.0)) < 0:
                raise BadPlan("issued_at: negative")
            order = cls(**body)
        except BadPlan:
            raise
        except (BadProof, BadScript) as error:
            raise BadPlan(f"order: {error}") from None
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise BadPlan(f"order: {type(error).__name__}") from None
        # One order, one spelling: no key twice, no other number format, encoding or white space.
        if order.to_bytes() != data:
            raise BadPlan("order: not in canonical form")
        return order


def _string(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadPlan(f"{field}: a string was expected")
    return value


def _strings(field: str, values: Any) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise BadPlan(f"{field}: a list was expected")
    return tuple(_string(field, value) for value in values)


def _filters(field: str, values: Any) -> tuple[FilterWords, ...]:
    if not isinstance(values, list):
        raise BadPlan(f"{field}: a list was expected")
    return tuple(_strings(field, words) for words in values)


def _script(body: Any) -> ScriptWord | None:
    try:
        return script_from_json(body)
    except BadScript as error:
        raise BadPlan(f"script: {error}") from None


def _integer(field: str, value: Any) -> int:
    if type(value) is not int:
        raise BadPlan(f"{field}: an integer was expected")
    return value


def _number(field: str, value: Any) -> float:
    """The number unchanged: 5 stays an integer, so that the order encodes to the same bytes."""
    if type(value) not in (int, float) or not abs(value) <= 2**53:  # so put, it is false for NaN too
        raise BadPlan(f"{field}: a finite number was expected")
    return value  # type: ignore[no-any-return]


def _boolean(field: str, value: Any) -> bool:
    if type(value) is not bool:
        raise BadPlan(f"{field}: true or false was expected")
    return value


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values, for the store and for people; `plan_from_json` is the inverse."""
    return {
        "steps": [
            {
                "argv": list(step.argv),
                "targets": list(step.targets),
                "cwd": step.cwd,
                "env": dict(step.env),
                "time_limit": step.time_limit,
                "output_cap": step.output_cap,
                **_filters_field(step.filters),
                **script_to_json(step.script),
            }
            for step in plan.steps
        ],
        "source": plan.source,
        "ttl": plan.ttl,
        "tainted": plan.tainted,
        "explanation": plan.explanation,
        **({"proposed": True} if plan.proposed else {}),
    }


def plan_from_json(body: Mapping[str, Any]) -> Plan:
    """The plan of `plan_to_json`'s value; raises BadPlan."""
    try:
        return Plan(
            steps=tuple(map(_step_from_json, body["steps"])),
            source=_string("source", body["source"]),
            ttl=_integer("ttl", body["ttl"]),
            tainted=_boolean("tainted", body["tainted"]),
            explanation=_string("explanation", body["explanation"]),
            proposed=_boolean("proposed", body.get("proposed", False)),
        )
    except KeyError as error:
        raise BadPlan(f"{error.args[0]}: missing") from None
    except (TypeError, AttributeError):
        raise BadPlan("plan: not of the form") from None


def _step_from_json(step: Mapping[str, Any]) -> Step:
    return Step(
        argv=_strings("argv", step["argv"]),
        targets=_strings("targets", step["targets"]),
        cwd=_string("cwd", step["cwd"]),
        env=tuple(sorted((_string("env", name), _string("env", value)) for name, value in step["env"].items())),
        time_limit=_integer("time_limit", step["time_limit"]),
        output_cap=_integer("output_cap", step["output_cap"]),
        filters=_filters("filters", step.get("filters", [])),
        script=_script(step.get("script")),
    )
