"""``collegium auth``: Ralph's command with Ralph's flags, for the users of ``auth.json``."""

from __future__ import annotations

from typing import Any

import rich_click as click

__all__ = ["auth"]


@click.command()
@click.option("-u", "--username", required=True, help="User name of the credential.")
@click.password_option("-p", "--password", help="Its password, at most 72 bytes; asked for where it is left out.")
@click.option("-s", "--scope", "scopes", required=True, multiple=True, help="What it may do; may be given repeatedly.")
@click.option("-M", "--agent-ifi-mbox", "mbox", help="Agent by e-mail address, with mailto:.")
@click.option("-S", "--agent-ifi-mbox-sha1sum", "mbox_sha1sum", help="Agent by the hex SHA-1 of a mailto: address.")
@click.option("-O", "--agent-ifi-openid", "openid", help="Agent by OpenID.")
@click.option("-A", "--agent-ifi-account", "account", nargs=2, metavar="NAME HOMEPAGE", help="Agent by account.")
@click.option("-N", "--agent-name", "agent_name", help="Full name of the agent.")
@click.option("-t", "--target", metavar="TENANT", help="The one tenant that this credential is for.")
@click.option("-w", "--write", "--write-to-disk", "write", is_flag=True, help="Write it to the credentials file.")
def auth(  # noqa: PLR0913 - Ralph's flags
    *,
    username: str,
    password: str,
    scopes: tuple[str, ...],
    mbox: str | None,
    mbox_sha1sum: str | None,
    openid: str | None,
    account: tuple[str, str] | None,
    agent_name: str | None,
    target: str | None,
    write: bool,
) -> None:
    """Make a user for Ralph's auth.json: print the entry, or write it to the file.

    The file is Ralph's. Collegium's API does not read it in this version: its own users are those of the Tenants'
    manifests, see `collegium tenant create`.

    Without an agent the authority of the user's statements is an account made from the user name.
    """
    import msgspec  # noqa: PLC0415 - commands load lazily

    from collegium_core.security.auth_file import Entry, check_agent, write_entry  # noqa: PLC0415 - same
    from collegium_core.security.credentials import credential_from_hash, is_key  # noqa: PLC0415 - same
    from collegium_core.security.passwords import hash_password  # noqa: PLC0415 - same
    from collegium_core.security.principal import DEFAULT_HOME_PAGE  # noqa: PLC0415 - same
    from collegium_core.security.scopes import KNOWN  # noqa: PLC0415 - same
    from collegium_core.settings import load  # noqa: PLC0415 - same
    from collegium_core.tenancy.names import parse_name  # noqa: PLC0415 - same

    settings = load()
    identifiers: dict[str, Any] = {"mbox": mbox, "mbox_sha1sum": mbox_sha1sum, "openid": openid}
    identifiers["account"] = {"name": account[0], "homePage": account[1]} if account else None
    given = {name: value for name, value in identifiers.items() if value}
    if len(given) > 1:
        raise click.UsageError("an agent has one identifier: give one of -M, -S, -O and -A")
    if not given:
        given["account"] = {"name": username, "homePage": settings.public_url or DEFAULT_HOME_PAGE}
    agent = {**given, "objectType": "Agent", **({"name": agent_name} if agent_name else {})}
    if faults := check_agent(agent):
        raise click.UsageError(f"{faults[0].path} {faults[0].detail}")
    if is_key(password):
        raise click.UsageError("this password has the form of a generated key, which is no password; choose another")
    if target is not None:
        parse_name(target)
    for scope in sorted(set(scopes) - KNOWN):
        click.echo(f"collegium: the scope {scope!r} is kept, but means nothing here", err=True)
    try:
        digest = hash_password(password)
        credential_from_hash(username, username, digest)
    except ValueError as fault:
        raise click.UsageError(str(fault)) from None
    entry = Entry(agent=agent, scopes=list(dict.fromkeys(scopes)), hash=digest, username=username, target=target)
    if write:
        write_entry(settings.auth_file, entry)
        click.echo(f"collegium: {username!r} is written to {settings.auth_file}", err=True)
        return
    click.echo(f"collegium: this entry belongs in the list in {settings.auth_file} (-w writes it there)", err=True)
    click.echo(msgspec.json.format(msgspec.json.encode(entry), indent=2))
