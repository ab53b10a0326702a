"""agent.runner.verify"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.runner.verify import BadTrust, OrderRefusal, Trust, authenticate, check_order, parse_trust, peek_job_id
from common.identity.signing import CHECKPOINT_PURPOSE, ORDER_PURPOSE, SigningKey
from common.link.messages import REFUSAL_CODES, Dispatch
from common.plan import Order, Plan, Step, plan_hash, step_hashes, targets_hash
from tests.each import each_of

KEY = SigningKey.generate()
TRUST = Trust("web-1", "h1", {KEY.id: KEY.public})
JOB = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def order(env: tuple[tuple[str, str], ...] = (), **changes: Any) -> Order:
    """A good order; the changes come after the hashes were made."""
    step = Step(("/bin/true", "x"), ("web-1",), env=env)
    plan = Plan((step,))
    made = Order(
        job=JOB,
        request=JOB,
        agent="web-1",
        argv=step.argv,
        cwd="",
        env=step.env,
        time_limit=step.time_limit,
        output_cap=step.output_cap,
        targets=targets_hash(step.targets),
        steps=step_hashes(plan),
        step=0,
        ttl=plan.ttl,
        plan_hash=plan_hash(plan),
        not_after=1_000.0,
        epoch=3,
        person="alice",
    )
    return replace(made, **changes)


def signed(data: bytes, key: SigningKey = KEY, purpose: bytes = ORDER_PURPOSE) -> Dispatch:
    return Dispatch(data, key.sign(purpose, data), key.id)


def judged(
    made: Order, epoch: int = 3, fence: float = 0.0, now: float = 900.0, max_ahead: float = 3_600.0
) -> OrderRefusal | None:
    return check_order(made, TRUST, epoch=epoch, fence=fence, now=now, max_ahead=max_ahead)


def test_a_good_order_passes() -> None:
    """What the hub signed comes out as it was, and nothing speaks against it."""
    made = order()
    assert authenticate(signed(made.to_bytes()), TRUST) == made
    assert judged(made) is None


def test_an_unknown_key_is_refused() -> None:
    """A valid signature by a key nobody told us of counts for nothing."""
    refusal = authenticate(signed(order().to_bytes(), SigningKey.generate()), TRUST)
    assert isinstance(refusal, OrderRefusal)
    assert refusal.code == "signature"


def test_a_key_may_not_borrow_the_name_of_another() -> None:
    """The key id picks the key; a stranger's signature under a trusted id fails."""
    data = order().to_bytes()
    forged = Dispatch(data, SigningKey.generate().sign(ORDER_PURPOSE, data), KEY.id)
    assert authenticate(forged, TRUST) == OrderRefusal("signature", "the signature does not fit the order")


def test_a_signature_for_another_purpose_is_refused() -> None:
    """What the hub signs for its audit can never start a program."""
    refusal = authenticate(signed(order().to_bytes(), purpose=CHECKPOINT_PURPOSE), TRUST)
    assert isinstance(refusal, OrderRefusal)
    assert refusal.code == "signature"


@given(st.integers(0, len(order().to_bytes()) - 1), st.integers(1, 255))
def test_any_changed_byte_breaks_the_signature(index: int, flip: int) -> None:
    """There is no byte of an order that can be changed after signing."""
    good = signed(order().to_bytes())
    data = bytearray(good.order)
    data[index] ^= flip
    refusal = authenticate(replace(good, order=bytes(data)), TRUST)
    assert isinstance(refusal, OrderRefusal)
    assert refusal.code == "signature"


@each_of(
    "change",
    [
        {"job": "../../etc/passwd"},
        {"job": "01arz3ndektsv4rrffq69g5fav"},
        {"epoch": -1},
        {"epoch": 2**60},
        {"epoch": 1.5},
        {"not_after": "soon"},
        {"argv": "/bin/true"},
        {"v": 2},
        {"extra": 1},
    ],
)
def test_a_signed_order_of_another_form_is_refused(change: dict[str, Any]) -> None:
    """Even the hub cannot hand out an id that is no ULID, a number out of range or a field that is not of its type."""
    body = json.loads(order().to_bytes()) | change
    refusal = authenticate(signed(json.dumps(body).encode()), TRUST)
    assert isinstance(refusal, OrderRefusal)
    assert refusal.code == "order"


@each_of("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_time_that_is_no_number_is_refused(value: str) -> None:
    """NaN compares false with every clock, so it must not come as far as a comparison."""
    data = order().to_bytes().replace(b'"not_after":1000.0', f'"not_after":{value}'.encode())
    refusal = authenticate(signed(data), TRUST)
    assert isinstance(refusal, OrderRefusal)
    assert refusal.code == "order"


@each_of(
    ("made", "code"),
    [
        (order(agent="web-2"), "not_mine"),
        (order(epoch=2), "epoch"),
        (order(not_after=899.9), "expired"),
        (order(not_after=900.0 + 3_601.0), "order"),
        (order(argv=("/bin/true", "y")), "order"),
        (order(argv=("/bin/false", "x")), "order"),
        (order(cwd="/tmp"), "order"),
        (order(env=(("A", "1"),), time_limit=61), "order"),
        (order(ttl=601), "order"),
        (order(plan_hash="0" * 64), "order"),
        (order(step=1), "order"),
    ],
)
def test_what_must_not_start_is_refused_with_its_code(made: Order, code: str) -> None:
    """Each reason has its code: another machine, an older hub, a time over or absurd, a broken chain of hashes."""
    refusal = judged(made)
    assert refusal is not None
    assert refusal.code == code
    assert refusal.code in REFUSAL_CODES
    assert refusal.reason


def test_the_same_or_a_higher_epoch_is_taken() -> None:
    """Only a lower one than was heard is of a hub that should not be there any more."""
    assert judged(order(epoch=3), epoch=3) is None
    assert judged(order(epoch=4), epoch=3) is None


def test_the_fence_holds_when_the_clock_is_turned_back() -> None:
    """An order that expired before a tombstone was dropped is refused although the clock says that there is time."""
    refusal = judged(order(not_after=1_000.0), fence=1_000.0, now=10.0)
    assert refusal is not None
    assert refusal.code == "expired"
    assert judged(order(not_after=1_000.1), fence=1_000.0, now=10.0) is None


@each_of(
    "env",
    [
        (("A=B", "1"),),
        (("", "1"),),
        (("A", "1\0"),),
        (("A", "1"), ("A", "2")),
        (("A", "x" * 4_097),),
        tuple((f"A{i:02}", "") for i in range(65)),
    ],
)
def test_an_environment_that_misfits_is_refused(env: tuple[tuple[str, str], ...]) -> None:
    """What the kernel would read as another variable, or not at all, does not come as far as a start."""
    refusal = judged(replace(order(), env=env))
    assert refusal is not None
    assert refusal.code == "order"
    assert refusal.reason.startswith("env")


@each_of("name", ["PATH", "HOME", "USER", "TERM", "LD_PRELOAD", "LD_LIBRARY_PATH", "GLIBC_TUNABLES"])
def test_an_environment_that_steers_is_refused(name: str) -> None:
    """Not even a signed and approved order sets the search path or the loader's variables."""
    refusal = judged(order(env=((name, "/tmp"),)))
    assert refusal == OrderRefusal("order", f"env: {name} is not for an order to set")


def test_an_ordinary_environment_passes() -> None:
    """Names that programs read for themselves are the plan's to set; LANG too."""
    assert judged(order(env=(("GIT_CONFIG_GLOBAL", "/dev/null"), ("LANG", "zh_CN.UTF-8")))) is None


@given(st.binary(max_size=200))
def test_the_job_of_anything_is_an_id_or_nothing(data: bytes) -> None:
    """Whatever bytes come, no part of a path and no parser comes of looking for the id."""
    assert peek_job_id(data) == ""
    assert peek_job_id(data + order().to_bytes()) == JOB


def test_the_job_of_an_argument_is_not_taken_for_the_orders() -> None:
    """An id inside a string is behind backslashes in canonical JSON."""
    other = "01BX5ZZKBKACTAV9WEVGEMMVRZ"
    assert peek_job_id(order(argv=("/bin/true", f'"job":"{other}"')).to_bytes()) == JOB


@each_of(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"name": "web-1", "hub": "h1", "job_keys": {}}',
        '{"name": "a/b", "hub": "h1", "job_keys": {"k": "%s"}}' % ("0" * 64),
        '{"name": "web-1", "hub": "h1", "job_keys": {"k": "00"}}',
        '{"name": "web-1", "hub": "h1", "job_keys": {"k": 7}}',
        "[" * 100_000,
    ],
)
def test_a_broken_trust_file_says_what_is_wrong(text: str) -> None:
    """Without a key that verifies there is no trust."""
    with pytest.raises(BadTrust, match=r".+"):
        parse_trust(text.encode())


def test_a_trust_file_is_read() -> None:
    """Keys are hex in the file and raw in memory."""
    text = json.dumps({"name": "web-1", "hub": "h1", "job_keys": {KEY.id: KEY.public.hex()}})
    assert parse_trust(text.encode()) == TRUST
