"""answerback wake: has a neighbour wake a machine that sleeps."""

from __future__ import annotations

import asyncio
from typing import Final

import click

from common.api import verbs
from common.api.wake import WakeArgs, WakingArgs
from common.errors import EXIT_FAILED, EXIT_OK
from common.text import clean
from tui.cli.context import CliContext, json_option, pass_context, print_json, print_result
from tui.client.client import Client

POLL_SECONDS: Final = 1.0


@click.command("wake", short_help="Wake a machine that sleeps.")
@click.argument("agent")
@click.option("--wait", is_flag=True, help="until it is online, or was given up; exit status 1 where it did not come")
@json_option
@pass_context
def wake_command(context: CliContext, agent: str, wait: bool, as_json: bool) -> None:
    """Have a machine on AGENT's network send it the magic packet (Wake-on-LAN), again and again for half a minute,
    another one each time. It must have been linked before, so that its network cards are known (`agents AGENT --json`:
    `facts`), and wait for such a packet (`ethtool`: "Wake-on: g").

    \b
    answerback wake web-1
    answerback wake web-1 --wait && answerback run web-1 -- uptime
    """

    async def act(client: Client) -> int:
        result = await client.call(verbs.WAKE, WakeArgs(agent=agent))
        if not result.is_ok or not result.waking or not wait:
            return print_result(result, as_json)
        if not as_json:
            click.echo(f"answerback: {clean(result.text)}", err=True)
        return await wait_for_end(client, agent, as_json=as_json)

    context.run(act)


async def wait_for_end(client: Client, agent: str, *, as_json: bool, poll: float = POLL_SECONDS) -> int:
    """Asks until the hub says how it ended, which it does after two minutes at most; the exit status."""
    while True:
        view = await client.call(verbs.WAKING, WakingArgs(agent=agent))
        if view.state != "waking":
            break
        await asyncio.sleep(poll)
    if as_json:
        print_json(view)
    else:
        click.echo(clean(view.text), err=view.state != "woke")
    return EXIT_OK if view.state == "woke" else EXIT_FAILED
