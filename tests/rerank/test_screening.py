import pytest

from rerank.messages import Message
from rerank.screening import screened
from rerank.types import Category, Tier

NONE, CONCERN, CRISIS = Tier.NONE, Tier.CONCERN, Tier.CRISIS


def message(tier: Tier, category: Category = Category.SUICIDE, language: str = "en") -> Message:
    return Message(
        "words", (), tier, Category.NONE if tier == NONE else category, hard=False, language=language, note=""
    )


def test_recall_and_false_alarms_count_what_they_say() -> None:
    messages = [message(each) for each in (CRISIS, CRISIS, CRISIS, CONCERN, NONE, NONE, NONE, NONE)]
    found = [CRISIS, CRISIS, CONCERN, NONE, CRISIS, CONCERN, NONE, NONE]
    result = screened(messages, found, [0.9, 0.8, 0.4, 0.1, 0.85, 0.5, 0.1, 0.0])
    assert result["crisis"] == {"recall": pytest.approx(2 / 3), "false_alarms": 0.25}
    assert result["concern_or_crisis"] == {"recall": 0.75, "false_alarms": 0.5}
    assert result["messages"] == 8


def test_the_area_counts_pairs_of_crisis_and_harmless_and_ties_by_half() -> None:
    messages = [message(CRISIS), message(CRISIS), message(NONE), message(NONE), message(CONCERN)]
    assert screened(messages, [NONE] * 5, [0.9, 0.5, 0.5, 0.1, 1.0])["auc_crisis"] == pytest.approx(3.5 / 4)


def test_categories_and_languages_are_told_apart() -> None:
    messages = [message(CRISIS, Category.ABUSE, "es"), message(CRISIS, Category.MEDICAL), message(NONE)]
    result = screened(messages, [NONE, CRISIS, NONE], [0.1, 0.9, 0.1])
    assert result["by_category"]["abuse"]["crisis_recall"] == 0
    assert result["by_category"]["medical"]["crisis_recall"] == 1
    assert result["by_category"]["none"] == {"messages": 1, "crisis_recall": None, "recall": None, "false_alarms": 0}
    assert result["by_language"]["es"]["recall"] == 0


def test_where_nothing_is_labelled_nothing_is_claimed() -> None:
    assert screened([message(NONE)], [NONE], [0.2])["crisis"]["recall"] is None
    assert screened([message(CRISIS)], [NONE], [0.2])["auc_crisis"] is None
