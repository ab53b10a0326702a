"""common.confirmation"""

from __future__ import annotations

import pytest

from common.confirmation import confirmation
from common.identity.signing import CONFIRM_PURPOSE, ORDER_PURPOSE, SigningKey, verify


def test_a_confirmation_is_of_one_job_one_life_and_one_time() -> None:
    """Each of the three is under the signature, and the signature is for nothing else."""
    key, said = SigningKey.generate(), confirmation("J", "life", 60.0)
    signature = key.sign(CONFIRM_PURPOSE, said)
    assert verify(key.public, said, signature, CONFIRM_PURPOSE)
    assert not verify(key.public, said, signature, ORDER_PURPOSE)
    for other in (
        confirmation("K", "life", 60.0),
        confirmation("J", "other", 60.0),
        confirmation("J", "life", 61.0),
        confirmation("J", "life", 60.0, "stamp"),
    ):
        assert not verify(key.public, other, signature, CONFIRM_PURPOSE)
    ahead = key.sign(CONFIRM_PURPOSE, confirmation("J", "life", 60.0, "stamp"))
    assert not verify(key.public, confirmation("J", "life", 60.0, "other"), ahead, CONFIRM_PURPOSE)


def test_a_time_is_a_number() -> None:
    """No two of them are written alike."""
    with pytest.raises(ValueError, match="JSON"):
        confirmation("J", "life", float("nan"))
