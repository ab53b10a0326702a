"""Until when a certificate counts, in words, as the lists of machines and people show it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from common.times import Zone, format_moment


@dataclass(frozen=True, slots=True)
class Expiry:
    """The end of the newest certificate of a name that was not revoked; None where there is none. `renewable_until` is
    when the hub stops renewing it after it ran out, None where it never does ([links] agent_grace, operator_grace).
    """

    until: float | None
    renewable_until: float | None = None

    @classmethod
    def of(cls, until: float | None, grace: float) -> Expiry:
        """`grace`: seconds for which one that ran out is renewed, 0 for never."""
        return cls(until, until + grace if until is not None and grace > 0 else None)

    def has_run_out(self, now: float) -> bool:
        return self.until is not None and self.until <= now

    def text(self, now: float, zone: Zone, cure: str) -> str:
        """`cure` is the command that helps where nothing is renewed any more."""
        end = format_moment(self.until, now, zone, seconds=False)
        if not self.has_run_out(now):
            return end
        if self.renewable_until is not None and now < self.renewable_until:
            return (
                f"expired since {end}, renewable until {format_moment(self.renewable_until, now, zone, seconds=False)}"
            )
        return f"expired since {end}, not renewable: {cure}"
