"""Rows in the types of the API, made of the JSON form that `tests.tui.fake_source` gives."""

from __future__ import annotations

from typing import Any

from common.api.agents import AgentView
from common.api.codec import decode
from common.api.events import EventView
from common.api.inlets import InletView
from common.api.jobs import JobView, OutputChunk
from common.api.models import ModelNode
from common.api.overview import LaneView, NeedView
from common.api.requests import RequestDetails, RequestRow
from tests.tui.fake_source import NOW, agent_row, event_row, inlet_row, job_row, node_row, request_row


def job(number: int, state: str = "running", **more: Any) -> JobView:
    return decode(JobView, job_row(number, state, **more))


def request(number: int, **more: Any) -> RequestDetails:
    """In full, as the verb `request` answers."""
    return decode(RequestDetails, request_row(number, **more))


def listed_request(number: int, **more: Any) -> RequestRow:
    """As the followed list has it."""
    return decode(RequestRow, {"machines": 1, **request_row(number, **more)})


def agent(name: str, **more: Any) -> AgentView:
    return decode(AgentView, agent_row(name, **more))


def event(seq: int, **more: Any) -> EventView:
    return decode(EventView, event_row(seq, **more))


def node(name: str, **more: Any) -> ModelNode:
    return decode(ModelNode, node_row(name, **more))


def inlet(name: str, **more: Any) -> InletView:
    return decode(InletView, inlet_row(name, **more))


def lane(stage: str, **more: Any) -> LaneView:
    return decode(LaneView, {"stage": stage, **more})


def need(kind: str, **more: Any) -> NeedView:
    return decode(NeedView, {"kind": kind, "since": NOW, **more})


def chunk(seq: int, data: bytes, stream: int = 1) -> OutputChunk:
    return OutputChunk(seq=seq, stream=stream, data=data, at=NOW)
