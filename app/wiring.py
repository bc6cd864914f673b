"""The composition root: the one place that names concrete classes and joins them by the settings."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import SecretStr

from app.settings import Settings, SettingsError
from rerank.codec import BuiltInCodec
from rerank.embedded import Engine
from rerank.embedded_gate import EmbeddedGate
from rerank.embedded_judge import EmbeddedJudge
from rerank.embedded_policy import ChatCodec, EmbeddedPolicy
from rerank.embedded_risk import EmbeddedDetector
from rerank.judge import Judge, ServerJudge
from rerank.live import Gate, Rules
from rerank.local_model import LocalModel
from rerank.pieces import Taste
from rerank.policy import FallbackPolicy, Policy, ServerPolicy
from rerank.reward import EMPATHY, Reward
from rerank.risk import HigherOf, RiskDetector
from rerank.second_opinion import ServerDetector
from rerank.server import Server
from rerank.weights import Model, policy_folder, policy_version

if TYPE_CHECKING:
    from storage.store import Store


@dataclass(frozen=True, slots=True)
class Engines:
    """What answers: it belongs to one event loop."""

    policy: Policy
    judge: Judge
    gate: Gate
    screen: RiskDetector
    """Takes milliseconds, and has patterns for what must never be missed."""
    opinion: RiskDetector | None
    """A language model's, where one judges; it may fail or be late."""
    rules: Rules
    warm: Callable[[], Awaitable[None]]
    """Loads what runs in this process, so that nobody waits for it."""

    @property
    def detector(self) -> RiskDetector:
        """Both, where the higher tier counts."""
        return _both(self.screen, self.opinion)


def make_store(settings: Settings) -> "Store":
    from storage.store import open_store  # noqa: PLC0415 - what needs no database starts sooner

    return open_store(settings.database, settings.keys)


@asynccontextmanager
async def open_engines(settings: Settings) -> AsyncIterator[Engines]:
    """Everything that a turn needs; connections and threads are closed at the end."""
    async with _opened(settings) as parts:
        yield Engines(
            parts.policy(), parts.judge(), parts.gate(), parts.screen(), parts.opinion(), _rules(settings), parts.warm
        )


@asynccontextmanager
async def open_judge(settings: Settings) -> AsyncIterator[tuple[Judge, Reward]]:
    """The judge alone, and how its scores become a reward."""
    async with _opened(settings) as parts:
        yield parts.judge(), _rules(settings).reward


@asynccontextmanager
async def open_detector(settings: Settings) -> AsyncIterator[RiskDetector]:
    async with _opened(settings) as parts:
        yield _both(parts.screen(), parts.opinion())


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator["_Parts"]:
    async with AsyncExitStack() as stack:
        yield _Parts(settings, stack)


class _Parts:
    """Makes each part by the settings; what they share, servers and the embedded engine, exists once."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self._settings, self._stack = settings, stack
        self._servers: dict[tuple[str, str], Server] = {}

    def policy(self) -> Policy:
        """A server's; where there is none, or it fails, the model in this process."""
        s = self._settings
        if not s.policy_url:
            return self._local_policy()
        first = ServerPolicy(self._server(s.policy_url, s.policy_key), s.policy_model, max_tokens=s.reply_tokens)
        if not s.fallback_url:
            return FallbackPolicy(first, self._local_policy())
        second = self._server(s.fallback_url, s.fallback_key)
        return FallbackPolicy(first, ServerPolicy(second, s.fallback_model, max_tokens=s.reply_tokens))

    def _local_policy(self) -> Policy:
        s = self._settings
        if s.model:
            taste = Taste(temperature=0.9, top_p=0.95, limit=s.reply_tokens)
            return EmbeddedPolicy(ChatCodec(self._local, s.reply_tokens), self._local, taste)
        return EmbeddedPolicy(BuiltInCodec(self._embedded), self._local)

    @cached_property
    def _local(self) -> LocalModel:
        s = self._settings
        built_in = "" if s.model else f"embedded:{policy_version()}"
        model = LocalModel(s.model or str(policy_folder()), s.threads, built_in=built_in)
        self._stack.callback(model.close)
        return model

    async def warm(self) -> None:
        s = self._settings
        read: list[Model] = ["risk"]  # in the order in which a turn wants them
        read += [] if s.policy_url or s.model else ["reader"]
        read += ["judge"] if self._judging() is None else []
        read += ["gate"]
        await asyncio.gather(self._embedded.warm(*read), *([] if s.policy_url else [self._local.warm()]))

    def judge(self) -> Judge:
        server = self._judging()
        if server is None:
            return EmbeddedJudge(self._embedded)
        return ServerJudge(server, self._judge_model, self._settings.judge_mode)

    def gate(self) -> Gate:
        return EmbeddedGate(self._embedded)

    def screen(self) -> RiskDetector:
        return EmbeddedDetector(self._embedded)

    def opinion(self) -> RiskDetector | None:
        server = self._judging()
        return None if server is None else ServerDetector(server, self._judge_model)

    def _judging(self) -> Server | None:
        s = self._settings
        if s.judge_engine == "embedded":
            return None
        if s.judge_url:
            return self._server(s.judge_url, s.judge_key)
        if s.policy_url:
            return self._server(s.policy_url, s.policy_key)
        if s.judge_engine == "llm":
            raise SettingsError(
                ["ATTUNE_JUDGE_URL and ATTUNE_JUDGE_MODEL must be set for a judge that is a language model."]
            )
        return None

    @property
    def _judge_model(self) -> str:
        return self._settings.judge_model or self._settings.policy_model

    @cached_property
    def _embedded(self) -> Engine:
        engine = Engine(self._settings.threads)
        self._stack.callback(engine.close)
        return engine

    def _server(self, url: str, key: SecretStr) -> Server:
        """One for each address, so that its connections and its circuit are shared."""
        place = (url, key.get_secret_value())
        if place not in self._servers:
            self._servers[place] = Server(*place)
            self._stack.push_async_callback(self._servers[place].close)
        return self._servers[place]


def _both(screen: RiskDetector, opinion: RiskDetector | None) -> RiskDetector:
    return screen if opinion is None else HigherOf(screen, opinion)


def _rules(settings: Settings) -> Rules:
    reward = Reward(
        aggregation=settings.reward_aggregation,
        weights=dict(zip(EMPATHY, settings.reward_weights, strict=True)),
        bystander=settings.reward_bystander,
        free_tokens=settings.reward_free_tokens,
        per_token=settings.reward_per_token,
    )
    return Rules(n=settings.candidates, deadline=settings.deadline_seconds, reward=reward)
