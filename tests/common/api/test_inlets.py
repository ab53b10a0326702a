"""The inlets: what the hub answers."""

from __future__ import annotations

from common.api.codec import decode, encode
from common.api.inlets import InletView
from hub.api.inlets import inlet_view
from hub.chat.inlet_status import InletStatus
from hub.chat.outbound import OutboundState
from tests.common.api.checked import wire


def test_the_answer() -> None:
    """What is not known is null."""
    told = [
        InletStatus("ops", "made-up", delivered_at=5.0, waiting=2),
        InletStatus("far", "made-up", outbound=OutboundState("far", error="no answer", failed_at=3.0)),
    ]
    sent = wire([encode(inlet_view(one)) for one in told])
    found = [decode(InletView, one) for one in sent]
    assert [encode(one) for one in found] == sent
    assert [(one.id, one.is_outbound) for one in found] == [("ops", False), ("far", True)]
    assert found[0].connected_at is None
