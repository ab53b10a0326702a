"""How the model nodes are: the figures of the running hub, and a health check made now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from common.text import clean
from hub.config import WILDCARDS, HubConfig
from hub.models.ask import Failed, Healthy
from hub.models.build import servers_of
from hub.models.node import PROBE_SECONDS, Wire

ASK_SECONDS: Final = 2.0
MAX_METRICS: Final = 8 * 1024 * 1024
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  replaced, not listened on
_NOT_ERRORS: Final = frozenset({"ok", "hedged", "cancelled"})
"""Results of attempts that say nothing against a node."""


@dataclass(slots=True)
class Figures:
    """What `/metrics` tells of the models; by node where it is one's."""

    up: dict[str, bool] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    speed: dict[str, float] = field(default_factory=dict)  # tokens a second
    first: dict[str, float] = field(default_factory=dict)  # seconds until the first token, mean
    results: dict[str, dict[str, int]] = field(default_factory=dict)
    waiting: int = 0
    cache: dict[str, int] = field(default_factory=dict)  # layer -> plans kept
    lookups: dict[str, int] = field(default_factory=dict)


async def report(config: HubConfig) -> dict[str, Any]:
    """One row a node, and what they share; see `answerback-hub models`."""
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(ask_hub(config))
        checks = {spec.name: tasks.create_task(check(wire)) for spec, wire in servers_of(config.models)}
    figures = asking.result()
    nodes = []
    for name, table in config.models.items():
        found = checks[name].result()
        problem = f"{found.kind}: {found.detail}" if isinstance(found, Failed) else ""
        nodes.append(
            {"name": name, "kind": table.kind, "model": table.model, "url": table.url, "priority": table.priority}
            | {"up": not problem, "problem": problem, "digest": "" if isinstance(found, Failed) else found.digest}
            | _figures_of(name, figures)
        )
    shared = None if figures is None else _shared(figures)
    return {"asked": config.planning.models, "hub": figures is not None, "nodes": nodes, "shared": shared}


def _figures_of(name: str, figures: Figures | None) -> dict[str, Any]:
    if figures is None or name not in figures.up:
        return dict.fromkeys(("hub_up", "tokens_per_second", "first_token", "running", "answered", "errors"))
    results = figures.results.get(name, {})
    return {
        "hub_up": figures.up[name],
        "tokens_per_second": figures.speed.get(name),
        "first_token": figures.first.get(name),
        "running": figures.running.get(name, 0),
        "answered": results.get("ok", 0),
        "errors": {kind: count for kind, count in sorted(results.items()) if kind not in _NOT_ERRORS and count},
    }


def _shared(figures: Figures) -> dict[str, Any]:
    total = sum(figures.lookups.values())
    hits = figures.lookups.get("memory", 0) + figures.lookups.get("disk", 0)
    ratio = round(hits / total, 3) if total else None
    return {"waiting": figures.waiting, "cached": figures.cache, "lookups": total, "hit_ratio": ratio}


# ---- the running hub


async def ask_hub(config: HubConfig) -> Figures | None:
    """What the hub of this configuration tells, where one runs."""
    listen = config.http.listen
    host = _LOOPBACK[listen.host] if listen.host in WILDCARDS else listen.host
    url = f"http://{listen._replace(host=host)}/metrics"
    try:
        async with asyncio.timeout(ASK_SECONDS), httpx.AsyncClient(trust_env=False) as client:
            async with client.stream("GET", url) as answer:
                body = b""
                async for piece in answer.aiter_raw():
                    body += piece
                    if len(body) > MAX_METRICS:
                        return None
                return read_figures(body.decode("utf-8", "replace")) if answer.status_code == 200 else None
    except (httpx.HTTPError, TimeoutError, ValueError, KeyError, IndexError, OverflowError):
        return None  # nobody, or something else than a hub


def read_figures(text: str) -> Figures | None:
    """The figures in what a hub tells; None where it is no hub's. Raises ValueError for what is no metrics."""
    figures = Figures()
    sums: dict[str, float] = {}
    counts: dict[str, float] = {}
    ours = False
    for family in text_string_to_metric_families(text):
        ours |= family.name.startswith("answerback_")
        for sample in family.samples:
            _take(figures, sums, counts, sample.name, sample.labels, sample.value)
    figures.first = {node: sums[node] / count for node, count in counts.items() if count and node in sums}
    return figures if ours else None


def _take(
    figures: Figures,
    sums: dict[str, float],
    counts: dict[str, float],
    name: str,
    labels: Mapping[str, str],
    value: float,
) -> None:
    node = labels.get("node", "")
    match name.removeprefix("answerback_"):
        case "model_up":
            figures.up[node] = bool(value)
        case "model_running":
            figures.running[node] = int(value)
        case "model_tokens_per_second":
            figures.speed[node] = value
        case "model_requests_total":
            figures.results.setdefault(node, {})[labels.get("result", "")] = int(value)
        case "model_first_token_seconds_sum":
            sums[node] = value
        case "model_first_token_seconds_count":
            counts[node] = value
        case "model_queue":
            figures.waiting = int(value)
        case "plan_cache_entries":
            figures.cache[labels.get("layer", "")] = int(value)
        case "plan_cache_lookups_total":
            figures.lookups[labels.get("result", "")] = int(value)


# ---- a health check made now


async def check(wire: Wire) -> Healthy | Failed:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await wire.probe()
    except TimeoutError:
        return Failed("slow", f"no answer to a health check within {PROBE_SECONDS:g} s")
    finally:
        await wire.close()


def lines_of(told: Mapping[str, Any]) -> Iterable[str]:
    """The report for people."""
    nodes = told["nodes"]
    if not nodes:
        yield "no model is configured: plain words that no runbook fits are not understood"
        yield "add one to hub.toml, as [models.NAME] with url and model: answerback-hub models --help shows how"
        return
    rows: list[tuple[str, ...]] = [
        ("node", "kind", "model", "state", "tokens/s", "first token", "under way", "answered", "errors", "url")
    ]
    rows += [_row(node) for node in nodes]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for index, row in enumerate(rows):
        yield clean("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if index and nodes[index - 1]["problem"]:
            yield f"    {clean(nodes[index - 1]['problem'])}"
    if not told["asked"]:
        yield "[planning] models = false: none of them is asked"
    if (shared := told["shared"]) is None:
        yield "no hub serves this configuration now: only a health check was made"
        return
    kept = ", ".join(f"{count} in {layer}" for layer, count in sorted(shared["cached"].items())) or "none"
    ratio = (
        "" if shared["hit_ratio"] is None else f"; {shared['hit_ratio']:.0%} of {shared['lookups']} lookups found one"
    )
    yield clean(f"waiting for a model: {shared['waiting']}; plans kept: {kept}{ratio}")


def _row(node: Mapping[str, Any]) -> tuple[str, ...]:
    def shown(key: str, form: str) -> str:
        return "-" if node[key] is None else format(node[key], form)

    errors = node["errors"]
    return (
        node["name"],
        node["kind"],
        node["model"],
        "up" if node["up"] else "down",
        shown("tokens_per_second", ".1f"),
        "-" if node["first_token"] is None else f"{node['first_token']:.2f} s",
        shown("running", "d"),
        shown("answered", "d"),
        "-" if errors is None else ", ".join(f"{count} {kind}" for kind, count in errors.items()) or "0",
        node["url"],
    )
