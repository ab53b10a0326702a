"""How long an accepted order may wait for its start. Pure: seconds on three clocks come in, seconds left come out.

    wall   this machine's own clock, which may be set, and be wrong by years
    boot   CLOCK_BOOTTIME, which counts from boot, also asleep, and which nobody sets
    hub    the hub's clock, known only by what the hub has signed: `issued_at` of an order, `left` of a confirmation

The rule: a life is counted on the boot clock, from a moment that was certainly not later than the hub's reckoning of
it; the wall clock is heard too wherever it is known to agree with the hub's, and the stricter counts.

    receipt        left = not_after - issued_at, counted from the receipt. The order may have been on its way, so this
                   is an upper bound: it is never started on that alone
    confirmation   the hub signs, after it has heard of the acceptance, what is then left. Counted from the *acceptance*
                   this is a lower bound, whatever took how long in between: the job may start within it
    word           in the order's own frame, and counted from a stamp that the runner made before: the hub reckons what
                   is left from that stamp's arrival, so it is a lower bound in the same way, by the stamp's way up

    the machine's clock      the order                      the job
    right                    confirmed                      within what is left, by both clocks
    behind, by any amount    confirmed                      within what is left, by the boot clock: never late
    ahead, by any amount     confirmed                      the same: it is not taken for expired
    set while it waits       confirmed                      agreed before: the stricter of both; else the boot clock
    any                      recorded, played again         never started: no confirmation is of this start of the
                                                            runner and of a later moment than its acceptance, no word
                                                            of a stamp that this runner still knows
    any                      not to be confirmed            the stricter of the wall clock and issued_at: a machine
                             (the runner has no life)       ahead refuses it and says so, one behind counts from receipt
    any                      of a hub before protocol 5     the wall clock, with the boot clock against setting it back

An accepted order does not outlive its runner (`recover`), so no life is kept on disk. What neither clock sees is a
virtual machine that its host has paused: the boot clock stands still then. The wall clock, set right afterwards, ends
the order where it agreed before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Final

from common.plan import Order

AGREES: Final = 5.0
"""Seconds by which the wall clock may differ from the hub's and still be heard."""


@dataclass(frozen=True, slots=True)
class OrderLife:
    """Until when an order may start, and what is known of the hub's clock."""

    not_after: float  # by the hub's clock
    accepted_boot: float = 0.0
    until_boot: float = inf
    until_wall: float = inf  # inf: the wall clock is not heard
    hub_ahead: float = 0.0  # of the boot clock, at least

    def over(self, wall: float, boot: float) -> float:
        """Seconds since the end by the stricter clock; not above 0 while it may start."""
        return max(wall - self.until_wall, boot - self.until_boot)

    def hub_now(self, boot: float) -> float:
        """The hub's clock, as far as it is known: at least that late."""
        return boot + self.hub_ahead


def on_receipt(order: Order, wall: float, boot: float) -> OrderLife:
    """The life of an order that has just come, its signature verified."""
    if not order.issued_at:
        return OrderLife(order.not_after, boot, boot + order.not_after - wall, order.not_after, wall - boot)
    until_boot = boot + order.not_after - order.issued_at
    if order.confirm:
        return OrderLife(order.not_after, boot, until_boot, inf, order.issued_at - boot)
    return OrderLife(order.not_after, boot, until_boot, order.not_after, max(wall, order.issued_at) - boot)


def on_confirmation(
    life: OrderLife, left: float, wall: float, boot: float, *, since: float | None = None, issued_at: float = 0.0
) -> OrderLife:
    """The life of an order whose confirmation has come: `left` is what the hub has signed. It counts from the
    acceptance, or from `since`, the boot clock when the stamp was made that the word is for; then `issued_at` is the
    order's.
    """
    since = life.accepted_boot if since is None else since
    hub_then = life.not_after - left
    agrees = max(hub_then, issued_at) - AGREES <= wall <= hub_then + (boot - since) + AGREES
    return replace(
        life,
        until_boot=min(life.until_boot, since + left),
        until_wall=life.not_after if agrees else inf,
        hub_ahead=max(life.hub_ahead, hub_then - since),
    )
