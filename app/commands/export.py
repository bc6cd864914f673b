"""`attune export`: everything that is kept about a person."""

import os
from pathlib import Path

import click

from app.commands import opened_store
from storage.export import as_json, as_markdown

_FORMS = {"json": as_json, "markdown": as_markdown}


@click.command()
@click.argument("who")
@click.option("--format", "form", type=click.Choice(list(_FORMS)), default="json", show_default=True)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="A new file; without it, standard output."
)
def command(who: str, form: str, output: Path | None) -> None:
    """Write out everything that is kept about WHO (a handle or an id).

    JSON is complete and exact; Markdown has the conversations to read.
    """
    with opened_store() as store:
        text = _FORMS[form](store.export.person(store.people.find(who).id, actor="host"))
    if output is None:
        click.echo(text.encode())
        return
    try:
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # never over something, never for others
    except FileExistsError:
        raise click.ClickException(f"{output} exists already. Name a new file.") from None
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}.") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
    except OSError as error:
        output.unlink()  # half an export would only be mistaken for one
        raise click.ClickException(f"{output} cannot be written: {error.strerror}.") from None
    click.echo(
        f"Written to {output}. It holds private words: keep it safe, delete it when it is no longer needed.", err=True
    )
