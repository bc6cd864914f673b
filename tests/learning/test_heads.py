from pathlib import Path

import pytest
import torch

from learning.heads import Example, Recipe, fit, grades_in_order, questions_and_class, save
from learning.labels import labelled, parted, threshold
from rerank.encoder import load, scored
from rerank.pairs import Pair

GOOD = [
    "You miss her, and the empty chair says so.",
    "That was unfair, and you were right to say it.",
    "Three years, gone.",
]
BAD = ["Please consult the manual for details.", "Item out of stock.", "Click below to continue."]


def examples() -> list[Example]:
    texts = [(text, 1.0) for text in GOOD] + [(text, 0.0) for text in BAD]
    return [Example(Pair("I miss her so much.", text, (share,)), (share, share), 0) for text, share in texts]


RECIPE = Recipe(loss=grades_in_order, outputs=2, limit=64, epochs=12, averaged=4, rank=4)


@pytest.mark.slow
def test_a_trained_network_tells_apart_what_it_learned_and_is_the_same_after_saving(tmp_path: Path) -> None:
    told: list[str] = []
    network = fit(examples(), RECIPE, told.append)
    pairs = [each.pair for each in examples()]
    rows = scored(network, pairs, 64)
    assert min(row[0] for row in rows[:3]) > max(row[0] for row in rows[3:])
    assert len(told) == RECIPE.epochs
    save(network, tmp_path / "m.safetensors", 64, {"crisis": "0.5"})
    loaded, about = load(tmp_path / "m.safetensors")
    assert about["crisis"] == "0.5"
    assert about["limit"] == "64"
    for row, again in zip(rows, scored(loaded, pairs, 64), strict=True):
        assert again == pytest.approx(row, abs=0.05)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_network() -> None:
    first, again, other = (
        scored(
            fit(
                examples(),
                Recipe(loss=grades_in_order, outputs=2, limit=64, epochs=2, rank=4, seed=seed),
                lambda _: None,
            ),
            [each.pair for each in examples()],
            64,
        )
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_only_pairs_of_one_group_that_were_graded_apart_are_put_in_order() -> None:
    outputs = torch.tensor([[0.2, 1.0], [0.8, 1.0], [0.5, 1.0]])
    targets = torch.tensor([[0.8, 1.0], [0.2, 1.0], [float("nan"), 1.0]])
    together, apart = torch.tensor([0, 0, 0]), torch.tensor([0, 1, 2])
    assert grades_in_order(outputs, targets, together) > grades_in_order(outputs, targets, apart)
    assert grades_in_order(targets.nan_to_num(), targets, together) < grades_in_order(outputs, targets, together)


def test_a_class_that_is_not_known_costs_nothing() -> None:
    outputs = torch.tensor([[2.0, 5.0, -5.0], [-2.0, -5.0, 5.0]])
    unknown = torch.tensor([[1.0, float("nan")], [0.0, float("nan")]])
    known = torch.tensor([[1.0, 0.0], [0.0, float("nan")]])
    ask = questions_and_class(1)
    assert 0 < ask(outputs, unknown, torch.zeros(2)) < ask(outputs, known, torch.zeros(2))


def test_every_row_is_learned_or_chosen_on_and_neighbours_stay_together() -> None:
    learned, chosen = parted(range(1000))
    assert sorted(learned + chosen) == list(range(1000))
    assert 0.1 < len(chosen) / 1000 < 0.15
    assert sum(each + 1 in learned for each in chosen) <= len(chosen) / 20


def test_a_threshold_lets_no_more_than_its_share_through() -> None:
    values = [each / 100 for each in range(100)]
    assert sum(each >= threshold(values, 0.05) for each in values) <= 5
    assert sum(each >= threshold(values, 0.0) for each in values) == 0


def test_what_only_measures_is_never_learned_from() -> None:
    for kind in ("judge", "risk", "gate"):
        learned, held_out = labelled(kind, held_out=False), labelled(kind, held_out=True)
        assert learned
        assert held_out
        assert not set(learned) & set(held_out)
