"""`attune serve`: the web app."""

import asyncio
from pathlib import Path

import click

from app import wiring
from app.commands import with_options
from app.settings import Settings


@click.command()
@click.option("--host", help="Where to listen.  [default: ATTUNE_HOST]")
@click.option("--port", type=click.IntRange(0, 65535), help="On which port.  [default: ATTUNE_PORT]")
def command(host: str | None, port: int | None) -> int:
    """Serve the chat until it is stopped."""
    settings = with_options(host=host, port=port)
    wiring.make_store(settings).close()  # says what is wrong with the database before anything is loaded
    try:
        asyncio.run(_served(settings))
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
    return 0


async def _served(settings: Settings) -> None:
    import uvicorn  # noqa: PLC0415 - with what follows it takes seconds, and `--help` needs none of it

    from app import site  # noqa: PLC0415
    from app.visitors import kept_secret  # noqa: PLC0415

    click.echo("Loading the models.", err=True)
    secret = settings.secret.get_secret_value() or kept_secret(Path(settings.secret_file))
    async with site.opened(settings, secret) as app:
        config = uvicorn.Config(
            app, settings.host, settings.port, log_config=None, access_log=False, server_header=False
        )
        click.echo(f"Attune is at http://{settings.host}:{settings.port}", err=True)
        await uvicorn.Server(config).serve()
