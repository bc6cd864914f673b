from hypothesis import given
from hypothesis import strategies as st

from rerank.features import FEATURES, Look, features


def test_there_is_one_number_for_each_feature_whatever_the_text() -> None:
    assert len(features("a", "b")) == len(FEATURES)


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_text_makes_a_feature_fail_or_run_away(before: str, text: str) -> None:
    assert all(-1 <= each <= 400 for each in features(before, text))


def test_words_of_the_person_are_found_in_another_form() -> None:
    look = Look("I keep thinking about her letters", "What stood in that letter?")
    assert look.shared == {"letter"}


def test_a_run_of_the_persons_own_words_is_measured() -> None:
    assert Look("I said it was fine and went home", "You said it was fine and went out").longest_quote == 6
    assert Look("I said it was fine", "Nothing alike here at all").longest_quote == 0


def test_small_words_are_not_taken_for_what_somebody_talks_about() -> None:
    assert Look("and then I was with them", "and then you were with them").shared == set()
