"""`attune` and `python -m app`: run a command, and turn every failure into words and an exit code.

0: done. 1: it did not work, or a check failed. 2: the command or the settings are wrong. 130: interrupted.
"""

import json
import sys

import click
import structlog

from app.cli import attune

OK, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130


def main(arguments: list[str] | None = None) -> None:
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


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
    except BrokenPipeError:
        sys.stderr.close()  # the reader went away, like `| head` does; nothing to tell it
        return FAILED
    except Exception as error:  # noqa: BLE001
        return _explain(arguments, error)
    return result if isinstance(result, int) else OK


def _explain(arguments: list[str], error: Exception) -> int:
    # Imported here, since `attune --help` starts faster without the settings and the database's library.
    from app.logs import place_of  # noqa: PLC0415
    from app.settings import SettingsError  # noqa: PLC0415
    from storage.errors import StorageError  # noqa: PLC0415

    if isinstance(error, SettingsError):
        return _fail(arguments, str(error), MISUSED)
    if isinstance(error, StorageError | click.ClickException):
        return _fail(arguments, str(error), FAILED)
    structlog.get_logger().error("command failed", exc_info=error)
    kind, place = type(error).__name__, place_of(error.__traceback__)
    message = f"Attune has a fault here: {kind} at {place}. What was stored is kept. Please report this line."
    return _fail(arguments, message, FAILED)


def _fail(arguments: list[str], message: str, code: int) -> int:
    click.echo(f"Error: {message}", err=True)
    if "--json" in arguments:
        click.echo(json.dumps({"error": message}))
    return code


if __name__ == "__main__":
    main()
