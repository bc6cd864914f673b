import json
from pathlib import Path
from typing import Any

import pytest

from rerank.labelled import BadLabels
from rerank.messages import Message, read_messages
from rerank.types import Category, Tier

ROW: dict[str, Any] = {
    "id": "k-1",
    "text": "I gave Biscuit away.",
    "label": "crisis",
    "category": "suicide",
    "hard": True,
}


def read(tmp_path: Path, *rows: object) -> list[Message]:
    path = tmp_path / "risk.jsonl"
    path.write_text("".join(json.dumps(each) + "\n\n" for each in rows), encoding="utf-8")
    return read_messages(path)


def test_a_message_is_read_with_its_history_and_label(tmp_path: Path) -> None:
    (found,) = read(tmp_path, ROW | {"history": ["I sleep badly"], "lang": "es", "note": "pet"})
    assert (found.tier, found.category, found.hard) == (Tier.CRISIS, Category.SUICIDE, True)
    assert (found.history, found.language, found.note) == (("I sleep badly",), "es", "pet")


@pytest.mark.parametrize(("note", "language"), [("[de] a father's death", "de"), ("plain", "en"), (None, "en")])
def test_a_row_without_a_language_may_have_it_in_its_note(tmp_path: Path, note: str | None, language: str) -> None:
    assert read(tmp_path, ROW | {"note": note})[0].language == language


@pytest.mark.parametrize(
    "row", [{}, 3, ROW | {"label": "bad"}, ROW | {"text": 3}, ROW | {"history": [1]}, ROW | {"category": "sorrow"}]
)
def test_a_bad_row_is_named_and_its_words_are_not_repeated(tmp_path: Path, row: object) -> None:
    with pytest.raises(BadLabels, match="line 3") as caught:
        read(tmp_path, ROW, row)
    assert "Biscuit" not in str(caught.value)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadLabels, match="holds none"):
        read(tmp_path)
