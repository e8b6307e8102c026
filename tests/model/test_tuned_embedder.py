"""The bundled embedder tuned on a few pairs: it is loaded as any embedder is, and has learnt."""

import pytest

from harness.retrieval.embed import SentenceEmbedder
from harness.tuning.embedder import Pair, tune_embedder

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("own_cache")]

CODES = [Pair(f"code {letter}{letter}{letter}", text) for letter, text in zip("QZXVKJ", [
    "the ship sails", "a loaf of bread", "the tax form", "a broken lamp", "my old uncle", "snow in May",
], strict=True)]  # fmt: skip


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    said = []
    out = tmp_path_factory.mktemp("embedder") / "tuned"
    return tune_embedder(None, CODES, out=out, seed=0, epochs=12, notify=lambda *what: said.append(what)), said


def closeness(embedder):
    """Mean cosine of a pair's two texts, less that of texts of different pairs."""
    first, second = embedder.encode([p.anchor for p in CODES]), embedder.encode([p.positive for p in CODES])
    cosines = first @ second.T
    own = cosines.diagonal().mean()
    return own - (cosines.sum() - cosines.trace()) / (cosines.size - len(CODES))


def test_it_is_loaded_as_any_embedder_with_the_digest_that_was_told(tuned):
    result, _ = tuned
    loaded = SentenceEmbedder(str(result.folder))
    assert loaded.digest == result.digest != SentenceEmbedder(None).digest
    assert loaded.encode(["a text"]).shape == (1, 384)
    assert (result.pairs, result.epochs) == (len(CODES), 12)


def test_pairs_lie_closer_together_than_before(tuned):
    assert closeness(SentenceEmbedder(str(tuned[0].folder))) > closeness(SentenceEmbedder(None)) + 0.1


def test_progress_ends_at_the_whole_and_no_checkpoint_is_left(tuned):
    result, said = tuned
    shares = [share for _, share in said]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert [p.name for p in result.folder.parent.iterdir()] == [result.folder.name]
    assert not list(result.folder.rglob("*.pt")) + list(result.folder.rglob("*.bin"))


def test_the_same_seed_makes_the_same_embedder(tuned, tmp_path):
    again = tune_embedder(None, CODES, out=tmp_path, seed=0, epochs=12)
    assert again.digest == tuned[0].digest
