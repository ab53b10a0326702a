"""Plans, their hash, and the order that one machine gets."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.approval_proof import ApprovalProof, proofs_to_json
from common.plan import (
    DEFAULT_TTL,
    MAX_ARG_CHARS,
    MAX_ARGS,
    MAX_ARGV_CHARS,
    MAX_CHECKS,
    MAX_ENV,
    MAX_OUTPUT_CAP,
    MAX_STEPS,
    MAX_TARGETS,
    MAX_TEXT,
    MAX_TIME_LIMIT,
    MAX_TTL,
    BadPlan,
    Order,
    Plan,
    Step,
    canonical_json,
    check_argv,
    combine_hashes,
    plan_from_json,
    plan_hash,
    plan_to_json,
    step_hash,
    step_hashes,
    targets_hash,
)

STEP = Step(("/bin/df", "-h"), ("web-1", "web-2"))
PLAN = Plan(
    (STEP, Step(("/bin/uptime",), ("db-1",), "/srv", (("LANG", "C"),), 5, 100)), "runbook:disk", 300, True, "disk"
)

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True)
ENV_NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,6}", fullmatch=True)
STEPS = st.builds(
    Step,
    argv=st.tuples(TEXT.filter(bool)) | st.lists(TEXT.filter(bool), min_size=1, max_size=4).map(tuple),
    targets=st.sets(NAMES, min_size=1, max_size=4).map(lambda names: tuple(sorted(names))),
    cwd=st.just("") | TEXT.map(lambda text: "/" + text),
    env=st.dictionaries(ENV_NAMES, TEXT, max_size=3).map(lambda env: tuple(sorted(env.items()))),
    time_limit=st.integers(1, MAX_TIME_LIMIT),
    output_cap=st.integers(0, MAX_OUTPUT_CAP),
    filters=st.lists(st.sampled_from([("head", "-n", "5"), ("grep", "-i", "x"), ("wc", "-l")]), max_size=2).map(tuple),
)
PLANS = st.builds(
    Plan,
    steps=st.lists(STEPS, min_size=1, max_size=3).map(tuple),
    source=TEXT,
    ttl=st.integers(1, MAX_TTL),
    tainted=st.booleans(),
    proposed=st.booleans(),
    explanation=TEXT,
)


PROOF = ApprovalProof("bob", 1_600_000_000.5, True, 1_700_000_000.0, "ops", "hub:0123456789abcdef", b"s" * 64)


def order_of(plan: Plan, index: int = 0, **changed: Any) -> Order:
    """An order as the hub makes it."""
    step = plan.steps[index]
    order = Order(
        job="01JZ0000000000000000000000",
        request="01JZ0000000000000000000001",
        agent=step.targets[0],
        argv=step.argv,
        cwd=step.cwd,
        env=step.env,
        time_limit=step.time_limit,
        output_cap=step.output_cap,
        filters=step.filters,
        targets=targets_hash(step.targets),
        steps=step_hashes(plan),
        step=index,
        ttl=plan.ttl,
        plan_hash=plan_hash(plan),
        not_after=1_700_000_000.25,
        epoch=7,
        person="alice",
        approvals=(("bob", 1_600_000_000.5),),
    )
    return replace(order, **changed)


def test_an_order_without_proofs_has_the_bytes_it_always_had() -> None:
    """Trust: an older runner refuses a field that it does not know, so a field that says nothing is not there."""
    plan = Plan((Step(("/bin/true",), ("web-1",)),))
    plain = order_of(plan)
    assert b"proofs" not in plain.to_bytes()
    assert b"behalf" not in plain.to_bytes()
    full = replace(plain, proofs=(PROOF,), behalf=("dave",))
    assert Order.from_bytes(full.to_bytes()) == full
    assert Order.from_bytes(plain.to_bytes()) == plain


# ---- bounds

BAD_STEPS: list[tuple[dict[str, Any], str]] = [
    ({"argv": ()}, "argv: empty"),
    ({"argv": ("", "x")}, "argv: empty"),
    ({"argv": ("x",) * (MAX_ARGS + 1)}, "at most 256"),
    ({"argv": ("x" * (MAX_ARG_CHARS + 1),)}, "argv: longer"),
    ({"argv": ("x" * MAX_ARG_CHARS,) * 5}, f"argv: longer than {MAX_ARGV_CHARS}"),
    ({"argv": ("x", "a\0b")}, "argv: a NUL"),
    ({"argv": ("x", "\ud800")}, "argv: a lone surrogate"),
    ({"targets": ()}, "an empty set of machines never means all"),
    ({"targets": ("b", "a")}, "sorted"),
    ({"targets": ("a", "a")}, "without repeats"),
    ({"targets": ("../etc",)}, "not a machine's name"),
    ({"targets": ("*",)}, "not a machine's name"),
    ({"targets": tuple(f"m{number:06}" for number in range(MAX_TARGETS + 1))}, "10001 machines"),
    ({"cwd": "srv"}, "cwd: not an absolute path"),
    ({"cwd": "/srv\0"}, "cwd: a NUL"),
    ({"cwd": "/\udc80"}, "cwd: a lone surrogate"),
    ({"cwd": "/" + "x" * MAX_TEXT}, "cwd: longer"),
    ({"env": (("B", "1"), ("A", "1"))}, "env: must be sorted"),
    ({"env": (("A", "1"), ("A", "1"))}, "without repeats"),
    ({"env": (("A", "1"), ("A", "2"))}, "without repeats"),
    ({"env": (("", "1"),)}, "not a variable's name"),
    ({"env": (("A=B", "1"),)}, "not a variable's name"),
    ({"env": (("1A", "1"),)}, "not a variable's name"),
    ({"env": (("A\n", "1"),)}, "not a variable's name"),
    ({"env": (("A", "1\0"),)}, "env: a NUL"),
    ({"env": (("A", "\ud800"),)}, "env: a lone surrogate"),
    ({"env": (("A", "x" * (MAX_TEXT + 1)),)}, "env: a value longer"),
    ({"env": tuple((f"A{number:03}", "") for number in range(MAX_ENV + 1))}, "65 variables"),
    ({"time_limit": 0}, "time_limit: 0"),
    ({"time_limit": MAX_TIME_LIMIT + 1}, "time_limit"),
    ({"output_cap": -1}, "output_cap: -1"),
    ({"output_cap": MAX_OUTPUT_CAP + 1}, "output_cap"),
]


@pytest.mark.parametrize(("change", "why"), BAD_STEPS)
def test_a_step_out_of_bounds_cannot_be_made(change: dict[str, Any], why: str) -> None:
    """Size, count, characters and order of every part of a step; the field is named."""
    with pytest.raises(BadPlan, match=why):
        replace(STEP, **change)


@pytest.mark.parametrize(("change", "why"), [entry for entry in BAD_STEPS if "targets" not in entry[0]])
def test_an_order_out_of_bounds_is_not_believed_even_where_its_hashes_fit(change: dict[str, Any], why: str) -> None:
    """A hub that signs nonsense consistently is refused by the machine all the same."""
    order = order_of(PLAN, **change)
    hashes = (step_hash(order, order.targets), *order.steps[1:])
    order = replace(order, steps=hashes, plan_hash=combine_hashes(hashes, order.ttl))
    with pytest.raises(BadPlan, match=why):
        order.verify()


def test_the_largest_step_passes() -> None:
    """Every bound is reached and not crossed."""
    argv = ("x" * MAX_ARG_CHARS,) * 4
    assert Step(argv, tuple(f"m{number:06}" for number in range(MAX_TARGETS)))
    check_argv(["x"] * MAX_ARGS)
    env = tuple((f"A{number:03}", "x" * MAX_TEXT) for number in range(MAX_ENV))
    assert Step(("x",), ("a",), "/" + "x" * (MAX_TEXT - 1), env, MAX_TIME_LIMIT, MAX_OUTPUT_CAP)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"steps": ()}, "steps: 0"),
        ({"steps": (STEP,) * (MAX_STEPS + 1)}, "steps: 17"),
        ({"ttl": 0}, "ttl: 0"),
        ({"ttl": -1}, "ttl: -1"),
        ({"ttl": MAX_TTL + 1}, "ttl"),
        ({"source": "x" * (MAX_TEXT + 1)}, "source"),
        ({"explanation": "x" * (MAX_TEXT + 1)}, "explanation"),
    ],
)
def test_a_plan_out_of_bounds_cannot_be_made(change: dict[str, Any], why: str) -> None:
    """Number of steps, time to live, and the texts beside them."""
    with pytest.raises(BadPlan, match=why):
        replace(PLAN, **change)


def test_a_plan_names_all_its_machines_once() -> None:
    """Sorted, over all steps."""
    assert PLAN.targets == ("db-1", "web-1", "web-2")


# ---- the hash


def test_the_hashes_are_what_the_head_of_the_file_says() -> None:
    """Computed here by hand, so that another program can, and so that a change of the form cannot slip in."""
    targets = hashlib.sha256(b'answerback targets 1\n["web-1","web-2"]').hexdigest()
    body = f'{{"argv":["/bin/df","-h"],"cwd":"","env":[],"output_cap":1048576,"targets":"{targets}","time_limit":60}}'
    step = hashlib.sha256(b"answerback step 1\n" + body.encode()).hexdigest()
    whole = hashlib.sha256(f'answerback plan 1\n{{"steps":["{step}"],"ttl":{DEFAULT_TTL}}}'.encode()).hexdigest()
    assert plan_hash(Plan((STEP,))) == whole


def test_canonical_json_is_one_spelling() -> None:
    """Sorted keys, no white space, ASCII only, no NaN; tuples and lists are the same."""
    assert canonical_json({"b": ("é", 1), "a": [True, None]}) == rb'{"a":[true,null],"b":["\u00e9",1]}'
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


@given(PLANS, st.data())
def test_the_hash_covers_everything_that_runs(plan: Plan, data: st.DataObject) -> None:
    """Any change of any step, of the order of steps or of the time to live is another plan (security lesson B7)."""
    index = data.draw(st.integers(0, len(plan.steps) - 1))
    step, other = plan.steps[index], data.draw(STEPS)
    name = data.draw(st.sampled_from([field.name for field in fields(Step)]))
    changed = replace(step, **{name: getattr(other, name)})
    steps = (*plan.steps[:index], changed, *plan.steps[index + 1 :])
    assert (plan_hash(replace(plan, steps=steps)) == plan_hash(plan)) is (changed == step)
    ttl = data.draw(st.integers(1, MAX_TTL))
    assert (plan_hash(replace(plan, ttl=ttl)) == plan_hash(plan)) is (ttl == plan.ttl)
    turned = plan.steps[::-1]
    assert (plan_hash(replace(plan, steps=turned)) == plan_hash(plan)) is (turned == plan.steps)


@given(PLANS, TEXT)
def test_the_hash_leaves_out_what_only_people_read(plan: Plan, text: str) -> None:
    """Where a plan came from and how it is explained change nothing of what runs."""
    assert plan_hash(replace(plan, source=text, explanation=text, tainted=not plan.tainted)) == plan_hash(plan)


def test_checks_are_left_out_where_there_are_none_and_bounded() -> None:
    """They are the policy's at the hand-out, no part of what was approved: the plan's hash stays."""
    order = order_of(PLAN)
    assert b"checks" not in order.to_bytes()
    checked = replace(order, checks='{"real_names":["x"]}')
    assert Order.from_bytes(checked.to_bytes()) == checked
    checked.verify()
    with pytest.raises(BadPlan, match="checks"):
        Order.from_bytes(replace(order, checks="x" * (MAX_CHECKS + 1)).to_bytes())
    with pytest.raises(BadPlan, match="checks"):
        Order.from_bytes(checked.to_bytes().replace(b'"{\\"real_names\\":[\\"x\\"]}"', b"1"))


def test_filters_have_one_spelling_in_a_plan_and_an_order() -> None:
    """Two spellings of one filter would be two hashes of one meaning."""
    with pytest.raises(BadPlan, match="spelling"):
        replace(STEP, filters=(("head", "-5"),))
    order = order_of(Plan((replace(STEP, filters=(("head", "-n", "5"),)),)))
    order.verify()
    with pytest.raises(BadPlan, match="filters"):
        replace(order, filters=(("sh", "-c", "x"),)).verify()


def test_neighbouring_fields_cannot_flow_into_each_other() -> None:
    """Moving a boundary between arguments, or between arguments and machines, is another hash."""
    assert (
        len({plan_hash(Plan((Step(argv, ("a",)),))) for argv in [("a", "bc"), ("ab", "c"), ("abc",), ("a", "b", "c")]})
        == 4
    )
    assert targets_hash(["a", "b"]) != targets_hash(["ab"])
    assert targets_hash(["b", "a"]) == targets_hash(["a", "b"])


# ---- plans as JSON


@given(PLANS)
def test_a_plan_comes_back_from_the_store(plan: Plan) -> None:
    """Through real JSON text, with the same hash."""
    again = plan_from_json(json.loads(json.dumps(plan_to_json(plan))))
    assert again == plan
    assert plan_hash(again) == plan_hash(plan)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["steps"], None),
        (["steps"], "ab"),
        (["steps"], []),
        (["steps"], [1]),
        (["steps", 0], None),
        (["steps", 0, "argv"], "ls -l"),
        (["steps", 0, "argv"], [1]),
        (["steps", 0, "targets"], "web-1"),
        (["steps", 0, "targets"], []),
        (["steps", 0, "cwd"], None),
        (["steps", 0, "env"], [["A", "1"]]),
        (["steps", 0, "env"], {"A": 1}),
        (["steps", 0, "time_limit"], "60"),
        (["steps", 0, "time_limit"], 60.5),
        (["steps", 0, "time_limit"], True),
        (["steps", 0, "output_cap"], float("inf")),
        (["steps", 0, "output_cap"], "many"),
        (["ttl"], "x"),
        (["ttl"], float("nan")),
        (["tainted"], "false"),
        (["tainted"], 0),
        (["source"], 1),
        (["explanation"], None),
    ],
)
def test_json_of_another_form_is_refused(path: list[Any], value: Any) -> None:
    """Nothing is converted on the way: the string "false" is no truth value, "60" no number (a model writes these)."""
    body = plan_to_json(PLAN)
    place: Any = body
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(BadPlan):
        plan_from_json(body)


@pytest.mark.parametrize("key", ["steps", "source", "ttl", "tainted", "explanation"])
def test_a_missing_key_is_named(key: str) -> None:
    """A plan without one of its parts is no plan."""
    body = plan_to_json(PLAN)
    del body[key]
    with pytest.raises(BadPlan, match=f"{key}: missing"):
        plan_from_json(body)


# ---- orders


@given(PLANS, st.data())
def test_an_order_comes_back_from_its_bytes_and_is_believed(plan: Plan, data: st.DataObject) -> None:
    """Every step of every plan: what the hub signs, the machine reads and finds to be part of the approved plan."""
    index = data.draw(st.integers(0, len(plan.steps) - 1))
    order = order_of(plan, index, not_after=data.draw(st.floats(0, 1e12) | st.integers(0, 2**40)))
    again = Order.from_bytes(order.to_bytes())
    assert again == order
    again.verify()


@given(PLANS, st.data())
def test_an_order_for_anything_else_than_was_approved_is_not_believed(plan: Plan, data: st.DataObject) -> None:
    """Another argument, directory, variable, limit, machine set, step or time to live: refused (security lesson B7)."""
    order, other = order_of(plan), data.draw(STEPS)
    names = ["argv", "cwd", "env", "time_limit", "output_cap", "filters", "targets", "ttl", "plan_hash"]
    name = data.draw(st.sampled_from(names))
    value = {
        "targets": targets_hash(other.targets),
        "ttl": plan.ttl % MAX_TTL + 1,
        "plan_hash": "0" * 64,
    }.get(name) or getattr(other, name)
    changed = replace(order, **{name: value})
    if changed == order:
        changed.verify()
    else:
        with pytest.raises(BadPlan, match="differs from"):
            changed.verify()


@pytest.mark.parametrize("step", [-1, 1, 2, 99])
def test_an_order_for_a_step_that_does_not_fit_is_not_believed(step: int) -> None:
    """No other step's place, none before the first, none after the last."""
    with pytest.raises(BadPlan, match="step"):
        replace(order_of(PLAN), step=step).verify()


def test_an_order_with_too_many_steps_or_none_is_not_believed() -> None:
    """The number of step hashes is bounded too."""
    for steps in ((), order_of(PLAN).steps * 20):
        with pytest.raises(BadPlan, match="not one of the plan's steps"):
            replace(order_of(PLAN), steps=steps).verify()


def test_swapping_two_steps_is_not_believed() -> None:
    """The second step in the first one's place has another hash there."""
    order = order_of(PLAN, 1)
    with pytest.raises(BadPlan, match="differs from the step that was approved"):
        replace(order, step=0).verify()
    with pytest.raises(BadPlan, match="differs from the plan that was approved"):
        replace(order, step=0, steps=order.steps[::-1]).verify()


def altered(**change: Any) -> bytes:
    body = json.loads(order_of(PLAN).to_bytes())
    body.update(change)
    return canonical_json({key: value for key, value in body.items() if value is not ...})


GOOD = order_of(PLAN).to_bytes()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        GOOD[:-1],
        GOOD + b" ",
        GOOD.replace(b",", b", ", 1),
        GOOD.replace(b"{", b'{"v":1,', 1),
        GOOD.replace(b'"alice"', b'"al\\u0069ce"'),
        GOOD.replace(b'"alice"', '"älice"'.encode()),
        GOOD.replace(b"1700000000.25", b"1700000000.250"),
        GOOD.replace(b"1700000000.25", b"NaN"),
        GOOD.replace(b"1700000000.25", b"Infinity"),
        GOOD.replace(b"1700000000.25", b"1e999"),
        GOOD.replace(b"1700000000.25", b"9" * 400),
        GOOD.replace(b"1700000000.25", b"9" * 5000),
        GOOD.replace(b"1600000000.5", b"NaN"),
        GOOD.replace(b"1600000000.5", b"9" * 400),
        GOOD.decode().encode("utf-16"),
        altered(v=2),
        altered(v=...),
        altered(extra=1),
        altered(person=...),
        altered(argv="ls"),
        altered(argv=[1]),
        altered(argv=None),
        altered(env={"A": "1"}),
        altered(env=["AB"]),
        altered(env=[["A"]]),
        altered(env=[["A", 1]]),
        altered(steps="x"),
        altered(approvals=["ab"]),
        altered(proofs=[]),
        altered(proofs=[{}]),
        altered(proofs=[{**proofs_to_json([PROOF])[0], "by": "anybody"}]),
        altered(behalf=[]),
        altered(behalf="ab"),
        altered(approvals=[["bob", "1"]]),
        altered(approvals=[["bob", True]]),
        altered(time_limit=60.0),
        altered(time_limit=True),
        altered(epoch="7"),
        altered(not_after=True),
        altered(not_after="1"),
        altered(not_after=None),
        altered(job=1),
        altered(cwd=None),
    ],
    ids=lambda data: repr(data[:20]),
)
def test_bytes_that_are_no_order_are_refused(data: bytes) -> None:
    """One order has one spelling: other forms, doubled or extra keys, odd numbers, another encoding are all refused."""
    assert data != GOOD
    with pytest.raises(BadPlan):
        Order.from_bytes(data)


@given(st.binary(max_size=40), st.integers(0, len(GOOD)), st.integers(0, 10))
def test_damaged_orders_are_refused_or_spelt_the_one_way(junk: bytes, at: int, length: int) -> None:
    """Whatever the damage, the answer is BadPlan or an order whose bytes are exactly those."""
    data = GOOD[:at] + junk + GOOD[at + length :]
    try:
        order = Order.from_bytes(data)
    except BadPlan:
        return
    assert order.to_bytes() == data
