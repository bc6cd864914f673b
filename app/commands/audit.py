"""`attune audit`: whether the record of who did what is whole."""

import click

from app.commands import as_json, opened_store, tell


@click.group()
def command() -> None:
    """Check that the audit chain is whole."""


@command.command()
@click.option("--anchor", help="An anchor that an earlier run printed: it must still be part of the chain.")
@as_json
def verify(anchor: str | None, json_wanted: bool) -> int:  # noqa: FBT001
    """Find altered, removed or reordered entries. Exits with 1 if there are any.

    Note the anchor somewhere else: with it, a chain that was rewritten as a whole shows too.
    """
    with opened_store() as store:
        verdict = store.audit.verify(anchor)
    lines = [f"Broken: {problem}" for problem in verdict.problems] or ["The chain is whole."]
    if verdict.problems:
        lines.append(f"Entries: {verdict.entries}. Keep the anchor that you noted; the chain has none now.")
    else:
        lines.append(f"Entries: {verdict.entries}. Anchor: {verdict.anchor}")
    tell(json_wanted, verdict, "\n".join(lines))
    return 1 if verdict.problems else 0
