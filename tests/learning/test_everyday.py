"""What the embedded models learn from everyday messages, and must not."""

from learning import gate, reader, risk
from rerank.safety import by_pattern
from rerank.types import Category, Tier

MESSAGES = reader.read_messages()


def test_danger_among_everyday_messages_is_learned_as_danger() -> None:
    dangers = [each for each in MESSAGES if each.tier != Tier.NONE]
    assert dangers
    learned = {each.text: each for each in risk.everyday()}
    for each in dangers:
        assert (learned[each.text].tier, learned[each.text].category) == (each.tier, each.category)


def test_a_tier_and_a_category_come_together() -> None:
    for each in MESSAGES:
        assert (each.tier == Tier.NONE) == (each.category == Category.NONE), each.text


def test_a_light_reply_to_a_message_in_danger_is_never_learned_as_a_good_one() -> None:
    dangers = {each.text for each in MESSAGES if each.tier != Tier.NONE}
    replies = gate.everyday(400, seed=1)
    assert len(replies) == 400
    assert not [each for each in replies if each.query in dangers]


def test_no_reply_that_is_put_together_from_moves_breaks_a_rule_that_is_certain() -> None:
    for each in gate.everyday(400, seed=2):
        assert by_pattern(each.response) is None, each.response
        assert "{" not in each.response
