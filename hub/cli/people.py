"""`answerback-hub operator …`: people, their roles, their login and their second factor."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from common.errors import UserError
from common.roles import ROLES
from common.times import format_moment, local_zone
from common.values import parse_duration_option
from hub.cli import logins, register
from hub.cli.handover import profile_command
from hub.cli.options import config_option, show_invitation, table_lines
from hub.config import HubConfig

json_option = click.option("--json", "as_json", is_flag=True, help="one JSON object")
_TRIES = 3


@click.group("operator", short_help="People: list, add, rotate, role, remove, totp.")
def operator_group() -> None:
    """People, in chat and at the console alike: list, add, rotate, role, remove, totp.

    \b
    Somebody who stands in hub.toml ([people.NAME]) has the roles that stand there, and who they are in chat stands
    there too. Somebody who was added by command has the role that the command gave. `operator list` shows which is
    which. A removal counts for both, at once.
    """


operator_group.add_command(profile_command)


@click.group("people", short_help="Who people are in chat: link, unlink.")
def people_group() -> None:
    """Who people are in chat, also those who stand in hub.toml. Everything else about them: answerback-hub operator."""


@operator_group.command("list", short_help="Everybody: roles, chat names, second factor, login, last seen.")
@click.option("--json", "as_json", is_flag=True, help="one JSON list")
@config_option
def operator_list(config: HubConfig, as_json: bool) -> None:
    """Everybody, also those who were removed: roles, where these stand, chat names, second factor, login.

    \b
    LOGIN UNTIL   when their certificate ends; consoles renew it by themselves
    LAST SEEN     when somebody last came with it, to the minute
    OLD LOGIN     until when, at the latest, one that `operator rotate` replaces still counts

    \b
    answerback-hub operator list
    answerback-hub operator list --json | jq -r '.[] | select(.roles | index("admin")) | .name'
    """
    now = time.time()
    found = register.list_people(config, now)
    if as_json:
        click.echo(json.dumps([entry.to_json(now) for entry in found]))
        return
    rows = [("NAME", "ROLES", "SECOND FACTOR", "LOGIN UNTIL", "LAST SEEN", "OLD LOGIN", "CHAT", "STANDS IN")]
    for entry in found:
        roles = "removed" if entry.revoked_at is not None else ", ".join(entry.roles) or "none"
        until = "-"
        if entry.revoked_at is None:
            again = f"answerback-hub operator add {entry.name} --role {next(iter(entry.roles), 'ROLE')}"
            until = entry.login.text(now, local_zone, again)
        factor = {"none": "-", "yes": "yes", "new": "yes; a new one waits for its code"}[entry.factor]
        seen, old = (
            format_moment(at, now, local_zone, seconds=False) if at is not None else "-"
            for at in (entry.logins.last_seen, entry.logins.old_until(now))
        )
        rows.append((entry.name, roles, factor, until, seen, old, ", ".join(entry.chat) or "-", entry.source))
    for line in table_lines(rows):
        click.echo(line)
    for entry in found:
        if entry.forged:
            cure = f"answerback-hub operator add {entry.name} --role ROLE writes it anew"
            click.echo(f"note: the row of {entry.name} was written by somebody else than this hub: {cure}", err=True)
        if entry.ignored:
            what = ", ".join(entry.ignored)
            click.echo(f"note: {entry.name} is {what} in the store, which does not count: see {entry.source}", err=True)


@operator_group.command("add", short_help="Add a person; print the one login command for them.")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), help="may be left out for somebody who stands in hub.toml")
@click.option("--chat", multiple=True, metavar="INLET:USER", help="who they are in chat; may be given several times")
@click.option("--ttl", default="10m", show_default=True, help="how long the login command can be used")
@json_option
@config_option
def operator_add(
    config: HubConfig, name: str, role: str | None, chat: tuple[str, ...], ttl: str, as_json: bool
) -> None:
    """Add a person, or take one back, and print the one login command for them.

    \b
    answerback-hub operator add bob --role approver
    answerback-hub operator add bob --role approver --chat ops:bob

    A viewer looks; an operator also runs what the policy lets them; an approver also decides on others' requests,
    pauses, settles and reads the audit; an admin may all of it.
    """
    seconds = parse_duration_option("--ttl", ttl)
    invitation = register.add(config, name, role, chat, seconds, time.time())
    show_invitation(invitation, ttl, f"by {name}", as_json)


@operator_group.command("rotate", short_help="A new login; the old one holds until the new one is used.")
@click.argument("name")
@click.option("--now", "at_once", is_flag=True, help="end the old login at once: for a machine that is lost")
@click.option("--keep", default="24h", show_default=True, help="how long the old login holds at most, 1m to 7d")
@click.option("--ttl", default="10m", show_default=True, help="how long the login command can be used")
@json_option
@config_option
def operator_rotate(config: HubConfig, name: str, at_once: bool, keep: str, ttl: str, as_json: bool) -> None:
    """Replace a person's login without a restart, and print the one login command for the new one.

    \b
    answerback-hub operator rotate bob
    answerback-hub operator rotate bob --now

    Whatever bob logged in with before goes on until the new login is used first, and for --keep at most; then it is
    refused, with this cure. Renewing it does not lengthen that. With --now it is refused from now on, and open links
    are closed within 5 seconds. Roles, chat names, second factor and requests stay; so does the key that signs what is
    critical, which is no part of the login.
    """
    seconds = None if at_once else parse_duration_option("--keep", keep)
    invited = logins.rotate(config, name, ttl=parse_duration_option("--ttl", ttl), keep=seconds, now=time.time())
    show_invitation(invited, ttl, f"by {name}", as_json)


@operator_group.command("role", short_help="Give a person another role.")
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES))
@json_option
@config_option
def operator_role(config: HubConfig, name: str, role: str, as_json: bool) -> None:
    """Give a person another role, in chat and at the console, within two seconds. Nothing else of theirs changes.

    \b
    answerback-hub operator role bob viewer
    The role of somebody who stands in hub.toml is changed there: the command says in which line, and changes nothing.
    """
    before = register.set_role(config, name, role, time.time())
    if as_json:
        click.echo(json.dumps({"name": name, "role": role, "before": before}))
    elif before == (role,):
        click.echo(f"{name} is {role} already")
    else:
        click.echo(f"{name} is {role} now, and was {', '.join(before) or 'nothing'}")
    _warn_without_admin(config)


def _warn_without_admin(config: HubConfig) -> None:
    if not register.has_admin(config):
        click.echo("note: nobody is an admin any more; answerback-hub operator add NAME --role admin", err=True)


@people_group.command("link", short_help="Say who somebody is in chat.")
@click.argument("name")
@click.argument("identity", metavar="INLET:USER")
@json_option
@config_option
def people_link(config: HubConfig, name: str, identity: str, as_json: bool) -> None:
    """Say who somebody is in chat: the user USER of the inlet INLET is NAME, within two seconds.

    \b
    answerback-hub people link bob ops:U024BE7LH
    Somebody whom nobody knows is told the INLET:USER of their own in chat. Somebody of hub.toml can be linked too.
    """
    register.link(config, name, identity, time.time())
    _say({"name": name, "chat": identity}, f"{identity} is {name} now", as_json)


@people_group.command("unlink", short_help="Undo link.")
@click.argument("name")
@click.argument("identity", metavar="INLET:USER")
@json_option
@config_option
def people_unlink(config: HubConfig, name: str, identity: str, as_json: bool) -> None:
    """Undo `link`: the chat user is nobody any more, within two seconds.

    \b
    answerback-hub people unlink bob ops:U024BE7LH
    What stands in hub.toml is taken out there: the command says in which line, and changes nothing.
    """
    register.unlink(config, name, identity, time.time())
    _say({"name": name, "chat": identity}, f"{identity} is nobody now", as_json)


@operator_group.command("remove", short_help="Revoke a person: no role, no chat, no links.")
@click.argument("name")
@json_option
@config_option
def operator_remove(config: HubConfig, name: str, as_json: bool) -> None:
    """Revoke a person: no role, no chat, no console; links are closed within 5 seconds. `operator add` undoes it.

    \b
    answerback-hub operator remove bob
    It counts for somebody who stands in hub.toml too: the entry there gives nothing any more.
    """
    count = register.remove(config, name, time.time())
    if as_json:
        click.echo(json.dumps({"name": name, "certificates": count}))
        return
    click.echo(f"{name} is revoked ({count} certificate{'s' if count != 1 else ''})")
    if name in config.people:
        click.echo(f"the entry in {register.place_of(config, name)} gives nothing any more; take it out when you can")
    _warn_without_admin(config)


@operator_group.command("totp", short_help="Enrol a second factor: shows a QR code once.")
@click.argument("name")
@click.option("--confirm", is_flag=True, help="read a code of the new factor from standard input; the old one ends")
@click.option("--remove", is_flag=True, help="take the factor away: for a telephone that is lost")
@click.option("--recovery-codes", "codes", is_flag=True, help="new recovery codes; the old ones count no more")
@json_option
@config_option
def operator_totp(config: HubConfig, name: str, confirm: bool, remove: bool, codes: bool, as_json: bool) -> None:
    """Enrol a second factor: shows a QR code for an authenticator app, once, here and nowhere else.

    \b
    answerback-hub operator totp bob
    answerback-hub operator totp bob --confirm < code
    answerback-hub operator totp bob --recovery-codes

    One that bob had before counts until a code of the new one has been seen: typed here, with --confirm, or with the
    next approval. A new one that is not confirmed within a day is void. Codes are asked for where a rule of policy.toml
    says second_factor = true. With a first factor come ten recovery codes, shown once too: each stands in for a code
    once, at `answerback approve`, and never in chat.
    """
    now = time.time()
    if confirm + remove + codes > 1:
        raise UserError("--confirm, --remove and --recovery-codes contradict one another", "give one of them")
    if codes:
        made = register.renew_recovery_codes(config, name, now)
        _say({"person": name, "recovery_codes": list(made)}, _recovery_text(name, made), as_json)
    elif remove:
        register.drop_factor(config, name, now)
        _say({"person": name, "removed": True}, f"{name} has no second factor any more", as_json)
    elif confirm:
        register.confirm_factor(config, name, _read_code(), now)
        _say({"person": name, "confirmed": True}, f"the new factor of {name} counts, and the old one ended", as_json)
    else:
        offer = register.offer_factor(config, name, now)
        if as_json:
            found = {"person": name, "uri": offer.uri, "pending": offer.pending}
            click.echo(json.dumps({**found, "recovery_codes": list(offer.recovery_codes)}))
            return
        _show_factor(name, offer.uri)
        if offer.recovery_codes:
            click.echo(_recovery_text(name, offer.recovery_codes))
        if offer.pending:
            _confirm_here(config, name)


def _recovery_text(name: str, codes: Sequence[str]) -> str:
    head = f"recovery codes of {name}, shown only now; each stands in for a code once, at `answerback approve`:"
    return "\n".join((head, *(f"  {code}" for code in codes)))


def _say(found: dict[str, Any], text: str, as_json: bool) -> None:
    click.echo(json.dumps(found) if as_json else text)


def _show_factor(name: str, uri: str) -> None:
    """The URI first: it serves where a terminal cannot show the picture."""
    click.echo(f"scan this as {name} with an authenticator app; it is shown only now:\n")
    click.echo(f"{uri}\n")
    import segno  # only for the picture

    picture = "".join(_drawn(lambda out: segno.make(uri).terminal(out=out, compact=True)))
    try:
        picture.encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        click.echo("this terminal cannot show the picture: type the secret of the line above into the app", err=True)
        return
    click.echo(picture)


def _drawn(draw: Callable[[Any], None]) -> list[str]:
    from io import StringIO

    out = StringIO()
    draw(out)
    return [out.getvalue()]


def _confirm_here(config: HubConfig, name: str) -> None:
    """Asks for a code where somebody can type one; else says how the new factor is confirmed."""
    later = f"answerback-hub operator totp {name} --confirm, or the next approval of {name} with a new code"
    if sys.stdin.isatty() and sys.stdout.isatty():
        for _ in range(_TRIES):
            code = click.prompt("the code that the app shows now (empty: later)", default="", show_default=False)
            if not code.strip():
                break
            try:
                register.confirm_factor(config, name, code, time.time())
            except UserError as error:
                click.echo(error.problem, err=True)
            else:
                click.echo(f"the new factor of {name} counts, and the old one ended")
                return
    click.echo(f"the old factor counts until a code of the new one has been seen: {later}", err=True)


def _read_code() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("the code that the app shows now"))
    return sys.stdin.readline(64).strip()
