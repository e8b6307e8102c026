"""Vectors kept on disk by content, and the nearest texts found with them."""

import numpy as np
import pytest
from fakes import FakeEmbedder

from harness.retrieval import embed
from harness.retrieval.embed import SentenceEmbedder, cached_encode
from harness.retrieval.index import build_index
from harness.retrieval.shards import embedded

TEXTS = ["one two", "three", "one two", "Äpfel"]


class Counting:
    """An encoder that remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, texts):
        self.asked.append(list(texts))
        return FakeEmbedder().encode(texts)


@pytest.fixture
def encoder():
    return Counting()


def files(folder):
    return sorted(folder.iterdir())


def test_the_vectors_are_the_encoders_in_the_texts_order(encoder, tmp_path):
    found = cached_encode(encoder, TEXTS, folder=tmp_path)
    assert found.dtype == np.float32
    assert np.array_equal(found, FakeEmbedder().encode(TEXTS))


def test_a_text_that_comes_twice_is_encoded_once(encoder, tmp_path):
    cached_encode(encoder, TEXTS, folder=tmp_path)
    assert encoder.asked == [["one two", "three", "Äpfel"]]


def test_the_same_list_is_not_encoded_again(encoder, tmp_path):
    first = cached_encode(encoder, TEXTS, folder=tmp_path)
    second = cached_encode(encoder, TEXTS, folder=tmp_path)
    assert np.array_equal(first, second)
    assert len(encoder.asked) == 1
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("other", [["one two three", "one two", "Äpfel"], TEXTS[::-1], TEXTS[:3]])
def test_another_list_is_encoded_anew(encoder, tmp_path, other):
    cached_encode(encoder, TEXTS, folder=tmp_path)
    assert np.array_equal(cached_encode(encoder, other, folder=tmp_path), FakeEmbedder().encode(other))
    assert len(encoder.asked) == 2


def test_a_list_whose_texts_hold_what_could_join_them_is_another(encoder, tmp_path):
    for texts in (["a\0b", "c"], ["a", "b\0c"]):
        found = cached_encode(encoder, texts, folder=tmp_path)
        assert np.array_equal(found, FakeEmbedder().encode(texts))
    assert encoder.asked == [["a\0b", "c"], ["a", "b\0c"]]


@pytest.mark.parametrize(
    "other", [("cuda", True), ("mps", True), ("cpu", False)], ids=["a GPU", "Apple's", "without bf16 units"]
)
def test_vectors_of_another_device_or_precision_lie_elsewhere(monkeypatch, own_cache, other):
    folders = []
    for kind, bf16 in (("cpu", True), other):
        monkeypatch.setattr(embed, "device_kind", lambda kind=kind: kind)
        monkeypatch.setattr(embed, "has_bf16_units", lambda bf16=bf16: bf16)
        folders.append({embed.vectors_folder("0" * 64), embedded(FakeEmbedder(), TEXTS).paths[0].parent})
    assert len(folders[0] | folders[1]) == 4


@pytest.fixture
def modules(tmp_path):
    """An embedder as sentence-transformers saves it, with a dense layer behind the pooling."""
    files = ("model.safetensors", "modules.json", "1_Pooling/config.json", "2_Dense/config.json")
    for name in (*files, "2_Dense/model.safetensors", "3_Router/query_0_Dense/pytorch_model.bin"):
        (tmp_path / "e" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "e" / name).write_bytes(name.encode())
    return tmp_path / "e"


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "2_Dense/model.safetensors",
        "2_Dense/config.json",
        "3_Router/query_0_Dense/pytorch_model.bin",
    ],
)
def test_an_embedder_with_any_other_weights_is_another(modules, name):
    before = SentenceEmbedder(str(modules)).digest
    (modules / ".cache").mkdir()
    (modules / ".cache" / "left.bin").write_bytes(b"of a download")
    assert SentenceEmbedder(str(modules)).digest == before
    (modules / name).write_bytes(b"others")
    assert SentenceEmbedder(str(modules)).digest != before


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x93NUMPY\x01\x00torn"])
def test_a_damaged_file_is_made_again(encoder, tmp_path, content):
    good = cached_encode(encoder, TEXTS, folder=tmp_path)
    files(tmp_path)[0].write_bytes(content)
    assert np.array_equal(cached_encode(encoder, TEXTS, folder=tmp_path), good)
    assert np.array_equal(np.load(files(tmp_path)[0]), good), "the file is whole again"


def test_a_file_that_ends_too_early_is_made_again(encoder, tmp_path):
    good = cached_encode(encoder, TEXTS, folder=tmp_path)
    path = files(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-7])
    assert np.array_equal(cached_encode(encoder, TEXTS, folder=tmp_path), good)


def test_a_file_with_another_number_of_vectors_is_made_again(encoder, tmp_path):
    good = cached_encode(encoder, TEXTS, folder=tmp_path)
    np.save(files(tmp_path)[0], good[:2])
    assert np.array_equal(cached_encode(encoder, TEXTS, folder=tmp_path), good)


def test_pickled_arrays_are_not_opened(encoder, tmp_path):
    cached_encode(encoder, TEXTS, folder=tmp_path)
    np.save(files(tmp_path)[0], np.array([{"a": 1}] * len(TEXTS), dtype=object), allow_pickle=True)
    assert cached_encode(encoder, TEXTS, folder=tmp_path).dtype == np.float32


def test_a_flipped_bit_anywhere_has_it_made_again(encoder, tmp_path):
    good = cached_encode(encoder, TEXTS, folder=tmp_path)
    path = files(tmp_path)[0]
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 50)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert np.array_equal(cached_encode(encoder, TEXTS, folder=tmp_path), good)
        assert path.read_bytes() == whole


def test_the_vectors_of_another_list_under_this_lists_name_are_not_served(encoder, tmp_path):
    cached_encode(encoder, TEXTS[::-1], folder=tmp_path)
    other = files(tmp_path)[0]
    cached_encode(encoder, TEXTS, folder=tmp_path)
    mine = next(path for path in files(tmp_path) if path != other)
    mine.write_bytes(other.read_bytes())
    assert np.array_equal(cached_encode(encoder, TEXTS, folder=tmp_path), FakeEmbedder().encode(TEXTS))


def test_a_folder_that_cannot_be_written_is_no_reason_to_stop(encoder, tmp_path):
    (tmp_path / "file").write_text("in the way")
    found = cached_encode(encoder, TEXTS, folder=tmp_path / "file" / "vectors")
    assert len(found) == len(TEXTS)


def test_the_nearest_come_first_and_k_is_held_to_what_is_there():
    index = build_index(FakeEmbedder(), ["red apple", "green apple", "blue car"])
    assert index.search(["a green apple"], k=2) == [[1, 0]]
    assert [len(row) for row in index.search(["apple", "car"], k=10)] == [3, 3]
    assert index.search([], k=2) == []
