"""The `attune` command: its subcommands are modules in `app/commands`, imported when used, so that help is instant."""

import importlib
from importlib.metadata import version

import click

_COMMANDS = {
    "serve": ("app.commands.serve", "Serve the chat: the page, its events, its health."),
    "doctor": ("app.commands.doctor", "Say what works, what does not, and what to do."),
    "reply": ("app.commands.reply", "Answer a message on the terminal, with the best of several replies."),
    "judge": ("app.commands.judge", "Score a labelled set: how well the judge agrees with people."),
    "risk": ("app.commands.risk", "Score labelled messages: what the risk detector finds and misses."),
    "user": ("app.commands.user", "Add people, list them, change what they may do."),
    "export": ("app.commands.export", "Write out everything that is kept about a person."),
    "erase": ("app.commands.erase", "Erase a person or one conversation."),
    "audit": ("app.commands.audit", "Check that the audit chain is whole."),
    "db": ("app.commands.db", "Make, migrate, prune and re-encrypt the database."),
    "bench": ("app.commands.bench", "Measure Attune on this machine."),
}


class _Lazy(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(_COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("attune"), prog_name="attune")
def attune() -> None:
    """Emotional support chat that weighs several replies before it answers. Every command has --help."""
