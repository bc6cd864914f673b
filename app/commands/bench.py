"""`attune bench`: measurements on this machine, with the spread."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import click

from app.commands import as_json, loaded, progress, tell, with_options
from rerank import bench as turn_bench
from rerank import embedded_bench
from rerank.mock_server import MODEL
from rerank.server import Server
from storage import bench

_LONGEST_LATENCY = 60_000


def _milliseconds(_context: click.Context, _option: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        found = float(value.removesuffix("ms"))
    except ValueError:
        found = -1
    if not 0 <= found <= _LONGEST_LATENCY:
        raise click.BadParameter("give milliseconds, like 50ms")
    return found


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


@command.command()
@click.option("--url", help="The server's address.  [default: ATTUNE_POLICY_URL]")
@click.option("--model", help="What it calls the policy.  [default: ATTUNE_POLICY_MODEL]")
@click.option("--judge-model", default="", help="What it calls the judge.  [default: the policy]")
@click.option(
    "--mock", "latency", metavar="TIME", callback=_milliseconds, help="An upstream of this latency, like 50ms."
)
@click.option(
    "--n", "candidates", type=click.IntRange(1, 32), multiple=True, default=turn_bench.CANDIDATES, show_default=True
)
@click.option("--concurrency", type=click.IntRange(1), multiple=True, default=turn_bench.CONCURRENCY, show_default=True)
@click.option(
    "--samples", type=click.IntRange(2), default=turn_bench.SAMPLES, show_default=True, help="Rounds of each."
)
@click.option("--tokens", type=click.IntRange(16), default=turn_bench.TOKENS, show_default=True, help="Of each reply.")
@as_json
def turn(
    url: str | None,
    model: str | None,
    judge_model: str,
    latency: float | None,
    candidates: tuple[int, ...],
    concurrency: tuple[int, ...],
    samples: int,
    tokens: int,
    json_wanted: bool,  # noqa: FBT001
) -> None:
    """A single reply, best-of-N judged one by one, and Attune's pipeline, on one server in one run."""
    with ExitStack() as stack:
        if latency is not None:
            server, model = Server(stack.enter_context(turn_bench.mock(latency))), MODEL
        else:
            settings = loaded()
            url, model = url or settings.policy_url, model or settings.policy_model
            if not url or not model:
                raise click.UsageError("Name a server with --url and --model, or the built-in one with --mock 50ms.")
            server = Server(url, settings.policy_key.get_secret_value())
        show = stack.enter_context(progress("Measuring"))
        work = turn_bench.Bench(server, model, judge_model, tokens)
        result = asyncio.run(work.run(sorted(set(candidates)), sorted(set(concurrency)), samples, show))
    tell(json_wanted, result, "\n".join(_turns(result)))


@command.command()
@click.option("--samples", type=click.IntRange(5), default=embedded_bench.SAMPLES, show_default=True, help="Of each.")
@click.option("--threads", type=click.IntRange(1, 256), help="Processor cores.  [default: ATTUNE_THREADS]")
@as_json
def embedded(samples: int, threads: int | None, json_wanted: bool) -> None:  # noqa: FBT001
    """The embedded models: loading, one message's risk, one reply at the gate, a turn's 16 judgements."""
    settings = with_options(threads=threads)
    with progress("Measuring") as show:
        result = asyncio.run(embedded_bench.run(settings.threads, samples, show))
    tell(json_wanted, result, "\n".join(_embedded(result)))


def _embedded(result: dict[str, Any]) -> Iterator[str]:
    yield f"{'what':<26}{'p50 ms':>9}{'p95 ms':>9}"
    yield from (f"{row['what']:<26}{row['p50_ms']:>9}{row['p95_ms']:>9}" for row in result["rows"])
    yield f"\n{result['threads']} threads"


def _turns(result: dict[str, Any]) -> Iterator[str]:
    titles = ("n", "at once", "p50 ms", "p95 ms", "ratio", "requests", "judged", "cpu ms", "computed", "cached")
    names = ("n", "concurrency", "p50_ms", "p95_ms", "ratio", "requests", "judgements", "client_cpu_ms")
    yield f"{'what':<12}" + "".join(f"{title:>10}" for title in titles)
    for row in result["rows"]:
        values = [row[name] for name in (*names, "computed_tokens", "cached_tokens")]
        yield f"{row['what']:<12}" + "".join(f"{'' if value is None else value:>10}" for value in values)
    yield "\nratio: the median over that of the single reply measured beside it; the rest is for one turn."
    yield "computed, cached: prompt tokens, where the server tells them."


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
