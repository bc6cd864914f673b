"""One module a command; each has a `command` that `app/cli.py` finds. What several of them need is here.

With --json the last line on standard output is one JSON object; progress and remarks go to standard error.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from app import logs, settings, wiring

if TYPE_CHECKING:
    from storage.store import Store

as_json = click.option("--json", "json_wanted", is_flag=True, help="Print one JSON object on the last line.")
engine_option = click.option(
    "--engine", type=click.Choice(["embedded", "llm"]), help="Which models.  [default: ATTUNE_JUDGE_ENGINE]"
)
yes = click.option("--yes", is_flag=True, help="Do not ask.")


def loaded() -> settings.Settings:
    """The settings, with logs set up by them."""
    found = settings.load()
    logs.configure(found.log_format, found.log_level)
    return found


def with_options(**options: object) -> settings.Settings:
    """The settings, where an option was given with its value."""
    return loaded().model_copy(update={name: value for name, value in options.items() if value is not None})


def figure(value: float | None) -> str:
    """A cell of a table."""
    return "" if value is None else str(value) if isinstance(value, int) else f"{value:.3f}"


@contextmanager
def opened_store() -> Iterator["Store"]:
    """The store of the settings, for one command."""
    command = click.get_current_context().command_path.replace(" ", ".")
    with logs.request(command=command), closing(wiring.make_store(loaded())) as store:
        yield store


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, moved by calling it with what is done and the total."""
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        yield show


def make_sure(question: str) -> None:
    """Go on only after a yes; where nobody can answer, say how to do without."""
    try:
        click.confirm(question, abort=True, err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        click.echo(err=True)
        raise click.ClickException("Nobody said yes. To go ahead without being asked, add --yes.") from None


def tell(json_wanted: bool, value: Any, text: str) -> None:  # noqa: ANN401, FBT001
    """Print for a machine or for a person."""
    click.echo(json.dumps(value, default=_plain) if json_wanted else text)


def _plain(value: object) -> Any:  # noqa: ANN401
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
