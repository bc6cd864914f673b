"""The composition root: the one place that names concrete classes and joins them by the settings."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from app.settings import Settings, SettingsError
from rerank.judge import Judge, ServerJudge
from rerank.live import Gate, Rules
from rerank.policy import FallbackPolicy, Policy, ServerPolicy
from rerank.reward import EMPATHY, Reward
from rerank.safety import PatternGate
from rerank.server import Server
from storage.store import Store, open_store


@dataclass(frozen=True, slots=True)
class Engines:
    """What answers: it belongs to one event loop."""

    policy: Policy
    judge: Judge
    gate: Gate
    rules: Rules


def make_store(settings: Settings) -> Store:
    return open_store(settings.database, settings.keys)


@asynccontextmanager
async def open_engines(settings: Settings) -> AsyncIterator[Engines]:
    """The policy with its fallback, the judge and the gate; their connections are closed at the end."""
    if not settings.policy_url:
        raise SettingsError(["ATTUNE_POLICY_URL must be set: Attune does not yet bring a model of its own."])
    async with AsyncExitStack() as stack:
        servers: dict[tuple[str, str], Server] = {}

        def server(url: str, key: SecretStr) -> Server:
            """One for each address, so that its connections and its circuit are shared."""
            place = (url, key.get_secret_value())
            if place not in servers:
                servers[place] = Server(*place)
                stack.push_async_callback(servers[place].close)
            return servers[place]

        first = server(settings.policy_url, settings.policy_key)
        policy: Policy = ServerPolicy(first, settings.policy_model, max_tokens=settings.reply_tokens)
        if settings.fallback_url:
            second = server(settings.fallback_url, settings.fallback_key)
            policy = FallbackPolicy(
                policy, ServerPolicy(second, settings.fallback_model, max_tokens=settings.reply_tokens)
            )
        judging = server(settings.judge_url, settings.judge_key) if settings.judge_url else first
        judge = ServerJudge(judging, settings.judge_model or settings.policy_model, settings.judge_mode)
        yield Engines(policy, judge, PatternGate(), _rules(settings))


def _rules(settings: Settings) -> Rules:
    reward = Reward(
        aggregation=settings.reward_aggregation,
        weights=dict(zip(EMPATHY, settings.reward_weights, strict=True)),
        bystander=settings.reward_bystander,
        free_tokens=settings.reward_free_tokens,
        per_token=settings.reward_per_token,
    )
    return Rules(n=settings.candidates, deadline=settings.deadline_seconds, reward=reward)
