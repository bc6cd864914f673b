import asyncio
from collections.abc import Sequence

import pytest

from fakes import run
from rerank.errors import Unreachable
from rerank.risk import Assessment, HigherOf, higher
from rerank.types import Category, Tier


def found(tier: Tier, name: str = "a", *evidence: str) -> Assessment:
    category = Category.NONE if tier == Tier.NONE else Category.ABUSE
    return Assessment(tier, category, 0.7, 0.5, evidence, name)


class Says:
    """A detector with one opinion, at once, late or never."""

    def __init__(self, what: Assessment | Exception, after: float = 0.0) -> None:
        self.what, self.after = what, after

    async def assess(self, message: str, history: Sequence[str] = ()) -> Assessment:  # noqa: ARG002
        await asyncio.sleep(self.after)
        if isinstance(self.what, Exception):
            raise self.what
        return self.what


@pytest.mark.parametrize("first", Tier)
@pytest.mark.parametrize("second", Tier)
def test_the_higher_tier_counts_in_either_order(first: Tier, second: Tier) -> None:
    order = list(Tier)
    both = run(HigherOf(Says(found(first)), Says(found(second, "b"))).assess("words"))
    assert order.index(both.tier) == max(order.index(first), order.index(second))
    assert both.detector == ("a" if first == Tier.CRISIS else "a+b")


def test_a_crisis_is_told_at_once() -> None:
    waiting = HigherOf(Says(found(Tier.CRISIS)), Says(found(Tier.NONE), after=60), patience=50)
    assert run(asyncio.wait_for(waiting.assess("words"), 1)).tier == Tier.CRISIS


def test_a_higher_tier_without_a_category_takes_the_others() -> None:
    nameless = Assessment(Tier.CRISIS, Category.NONE, 0.8, 0.9, (), "b")
    assert higher(found(Tier.CONCERN), nameless).category == Category.ABUSE


def test_the_evidence_of_both_is_kept_once() -> None:
    both = higher(found(Tier.CONCERN, "a", "x", "y"), found(Tier.CRISIS, "b", "y", "z"))
    assert both.evidence == ("y", "z", "x")


@pytest.mark.parametrize("second", [Says(Unreachable("away")), Says(found(Tier.CRISIS), after=5)])
def test_a_second_that_fails_or_is_late_holds_nothing_up_and_is_told(second: Says) -> None:
    result = run(HigherOf(Says(found(Tier.CONCERN)), second, patience=0.05).assess("words"))
    assert result.tier == Tier.CONCERN
    assert len(result.troubles) == 1


def test_a_first_that_fails_is_an_error() -> None:
    with pytest.raises(Unreachable):
        run(HigherOf(Says(Unreachable("away")), Says(found(Tier.CRISIS))).assess("words"))
