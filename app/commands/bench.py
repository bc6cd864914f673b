"""`attune bench`: measurements on this machine, with the spread."""

from collections.abc import Iterator
from typing import Any

import click

from app.commands import as_json, progress, tell
from storage import bench


@click.group()
def command() -> None:
    """Measure Attune on this machine."""


@command.command()
@click.option(
    "--turns", type=click.IntRange(1), multiple=True, default=bench.SIZES, show_default=True, help="Stored turns."
)
@click.option("--samples", type=click.IntRange(20), default=bench.SAMPLES, show_default=True, help="Of each operation.")
@as_json
def storage(turns: tuple[int, ...], samples: int, json_wanted: bool) -> None:  # noqa: FBT001
    """Storing a turn, opening 500 messages, searching a history; SQLite and PostgreSQL, plain and encrypted.

    Works in a temporary folder; the full sizes take about ten minutes and 4 GiB of disk.
    """
    with progress("Filling and measuring") as show:
        result = bench.run(sorted(set(turns)), samples, show)
    tell(json_wanted, result, "\n".join(_table(result)))


def _table(result: dict[str, Any]) -> Iterator[str]:
    yield f"{'database':<16}{'turns':>8}  {'what':<8}{'p50 ms':>9}{'p95 ms':>9}{'per second':>12}"
    for row in result["rows"]:
        rate = f"{row['per_second']:>12}" if "per_second" in row else ""
        yield f"{row['database']:<16}{row['turns']:>8}  {row['what']:<8}{row['p50_ms']:>9}{row['p95_ms']:>9}{rate}"
    yield "\n95th percentile, largest over smallest database:"
    yield from (f"  {row['database']:<16}{row['what']:<8}{row['p95_ratio']:>6}" for row in result["growth"])
    yield "\nMedian with a key over that without:"
    yield from (
        f"  {r['database']:<16}{r['turns']:>8}  {r['what']:<8}{r['p50_ratio']:>6}" for r in result["encryption"]
    )
    yield from (f"\nLeft out: {each}" for each in result["left_out"])
