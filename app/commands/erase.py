"""`attune erase`: forget a person or one conversation."""

import click

from app.commands import as_json, make_sure, opened_store, tell, yes
from storage.audit import HOST


@click.command()
@click.argument("who")
@click.option("--conversation", help="Erase only this conversation of theirs (its id).")
@yes
@as_json
def command(who: str, conversation: str | None, yes: bool, json_wanted: bool) -> None:  # noqa: FBT001
    """Erase WHO (a handle or an id): every word they wrote and all that was written to them.

    Counts stay. Adapters that learned from them are named. There is no way back.
    """
    with opened_store() as store:
        user = store.people.find(who)
        what = (
            f"conversation {conversation}"
            if conversation is not None
            else "everything they wrote and everything about them"
        )
        if not yes:
            make_sure(f"Erase {what} of {who}? There is no way back.")
        if conversation is not None:
            erased = store.erase.conversation(user.id, conversation, actor=HOST)
        else:
            erased = store.erase.person(user.id, actor=HOST)
    learned = ", ".join(erased.adapters) or "none"
    text = f"Erased {erased.conversations} conversations, {erased.messages} messages."
    text += f" Adapters that learned from them: {learned}."
    tell(json_wanted, erased, text)
