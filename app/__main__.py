"""`attune` and `python -m app`: run a command, and turn every failure into words and an exit code.

0: done. 1: it did not work, or a check failed. 2: the command or the settings are wrong. 130: interrupted.
"""

import errno
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

import click

from app.cli import attune

OK, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130


def main(arguments: list[str] | None = None) -> None:
    _replace_closed_streams()
    code = run(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.stdout.flush()
    except OSError:
        # Nobody takes the rest: it goes nowhere, instead of failing again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    sys.exit(code)


def _replace_closed_streams() -> None:
    """A stream that was closed, like by `>&-`, is None: what goes there goes nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - open until the process ends


def run(arguments: list[str]) -> int:
    try:
        result = attune.main(arguments, prog_name="attune", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return MISUSED
    except click.UsageError as error:
        hint = f" Try: {error.ctx.command_path} --help" if error.ctx else ""
        return _fail(arguments, error.format_message() + hint, MISUSED)
    except (click.Abort, KeyboardInterrupt):
        return _fail(arguments, "Stopped.", INTERRUPTED)
    except Exception as error:  # noqa: BLE001
        return _explain(arguments, error)
    return result if isinstance(result, int) else OK


def _explain(arguments: list[str], error: Exception) -> int:
    # Imported here, since `attune --help` starts faster without the settings and the database's library.
    from app.logs import place_of  # noqa: PLC0415
    from app.settings import SettingsError  # noqa: PLC0415
    from rerank.errors import RerankError  # noqa: PLC0415
    from storage.errors import StorageError  # noqa: PLC0415

    if isinstance(error, SettingsError):
        return _fail(arguments, str(error), MISUSED)
    if isinstance(error, StorageError | RerankError | click.ClickException):
        return _fail(arguments, str(error), FAILED)
    if isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.ENOSPC):
        return _fail(arguments, f"The output cannot be written: {error.strerror}.", FAILED)
    kind, place = type(error).__name__, place_of(error.__traceback__)
    message = f"Attune has a fault here: {kind} at {place}. What was stored is kept. Please report this line."
    return _fail(arguments, message, FAILED)


def _fail(arguments: list[str], message: str, code: int) -> int:
    click.echo(f"Error: {message}", err=True)
    if "--json" in arguments:
        with suppress(OSError):  # where nobody takes the output, there is nobody to tell
            click.echo(json.dumps({"error": message}))
    return code


if __name__ == "__main__":
    main()
