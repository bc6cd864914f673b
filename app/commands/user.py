"""`attune user`: people with a handle, and what they may do."""

import click

from app.commands import as_json, opened_store, tell
from storage.values import Role, User

_roles = click.Choice([role.value for role in Role])


@click.group()
def command() -> None:
    """Add people, list them, change what they may do.

    WHO is a handle or an id.
    """


@command.command()
@click.argument("handle")
@click.option("--role", type=_roles, default=Role.SEEKER.value, show_default=True)
@as_json
def add(handle: str, role: str, json_wanted: bool) -> None:  # noqa: FBT001
    """Add a person with a HANDLE."""
    with opened_store() as store:
        user = store.people.add(handle, Role(role))
    tell(json_wanted, _shown(user), f"Added {handle} as {role}: {user.id}")


@command.command("list")
@as_json
def list_(json_wanted: bool) -> None:  # noqa: FBT001
    """List everybody with a handle. Anonymous seekers are not listed."""
    with opened_store() as store:
        users = store.people.named()
    rows = [f"{user.handle or '-':<24} {user.role:<10} {user.id}" for user in users]
    tell(
        json_wanted,
        {"users": [_shown(user) for user in users]},
        "\n".join(rows) or "Nobody yet: attune user add HANDLE",
    )


@command.command()
@click.argument("who")
@click.argument("role", type=_roles)
@as_json
def role(who: str, role: str, json_wanted: bool) -> None:  # noqa: FBT001
    """Make WHO a seeker, an operator or an admin."""
    with opened_store() as store:
        user = store.people.set_role(store.people.find(who).id, Role(role))
    tell(json_wanted, _shown(user), f"{user.handle or user.id} is now {role}.")


def _shown(user: User) -> dict[str, object]:
    return {"id": user.id, "handle": user.handle, "role": user.role, "created": user.created}
