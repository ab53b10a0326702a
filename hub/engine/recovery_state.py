"""Whether the hub is in recovery after a restored backup, as everybody in this process asks it."""

from __future__ import annotations

from dataclasses import dataclass, field

from common.catalogue import Language, Sentence
from hub.core.recovery import Recovery
from hub.store.taken import Known


@dataclass(slots=True)
class RecoveryState:
    """The store's last recovery as this process knows it; None where there was none. Set by `RecoveryControl` alone."""

    record: Recovery | None = None
    taken: Known = field(default_factory=Known)
    """Messages that this hub or the one whose store was lost had taken when the recovery began."""

    @property
    def active(self) -> bool:
        return self.record is not None and self.record.active

    def is_older(self, sent_at: float) -> bool:
        """Whether something that was sent then (0: nobody knows when) was sent before the last recovery began."""
        return 0 < sent_at < (self.record.since if self.record is not None else 0.0)

    def sentence(self, language: Language) -> str:
        """What is said wherever somebody looks; "" while there is nothing to say."""
        return Sentence("recovery_now").render(language) if self.active else ""
