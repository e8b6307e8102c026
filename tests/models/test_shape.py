"""How large a network is, without loading it."""

import json
import math
from dataclasses import astuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llama import load_tiny_llama, save_tiny_llama

from harness.engines.local import LocalEngine
from harness.models import bundled
from harness.models.local import weights_files
from harness.models.shape import Shape, shape_from, shape_of
from harness.tuning.memory import lora

LLAMA_7B = Shape(6_738_415_616, layers=32, width=4096, wide=11_008, queries=4096, keys=4096, vocabulary=32_000)
"""Touvron et al. 2023 (arXiv 2302.13971)."""


@pytest.fixture
def folder(tmp_path):
    return save_tiny_llama(tmp_path / "tiny")


@pytest.mark.model
def test_it_is_that_of_the_loaded_network(folder):
    network = load_tiny_llama(folder).network
    found = shape_of(folder)
    assert found == LocalEngine(str(folder)).shape
    assert found == shape_from(network.config.to_dict(), parameters=network.num_parameters())
    assert found.parameters == sum(p.numel() for p in network.parameters())
    linear = [m for m in network.model.layers.modules() if type(m).__name__ == "Linear"]
    assert found.in_layers == sum(m.weight.numel() for m in linear)
    assert found.adapter(3) == sum(3 * (m.in_features + m.out_features) for m in linear)


@pytest.mark.model
def test_a_gguf_file_says_the_same_as_the_folder_that_it_is_unpacked_to(monkeypatch, tmp_path):
    gguf = bundled.require(bundled.LANGUAGE_MODEL)
    unpacked = weights_files()
    found = shape_of(gguf)
    assert (found.layers, found.width, found.wide, found.queries, found.keys) == (30, 576, 1536, 576, 192)
    assert found.parameters == pytest.approx(134_515_008, rel=0.001)
    if unpacked.is_dir():
        assert shape_of(unpacked) == found
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "empty"))
    assert weights_files() == gguf


def changed(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def with_head(folder, head):
    data = json.dumps(head).encode()
    (folder / "model.safetensors").write_bytes(len(data).to_bytes(8, "little") + data)


def test_a_known_model_has_the_size_that_its_paper_says():
    embedded = 2 * LLAMA_7B.vocabulary * LLAMA_7B.width
    assert LLAMA_7B.in_layers + embedded == pytest.approx(LLAMA_7B.parameters, rel=0.001)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "config.json").write_text("{}"),
        lambda folder: (folder / "config.json").write_text("[]"),
        lambda folder: (folder / "config.json").unlink(),
        lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 100),
        lambda folder: (folder / "model.safetensors").write_bytes((20).to_bytes(8, "little") + b"not json at all..."),
        lambda folder: (folder / "config.json").write_text(json.dumps({"hidden_size": "wide"})),
        lambda folder: (folder / "config.json").write_text("[" * 100_000),
        lambda folder: changed(folder, num_attention_heads=0),
        lambda folder: changed(folder, num_attention_heads=10**9, head_dim=None),
        lambda folder: changed(folder, text_config=None, vocab_size=[1]),
        lambda folder: changed(folder, hidden_size=float("inf")),
        lambda folder: changed(folder, num_hidden_layers=-2),
        lambda folder: changed(folder, vocab_size=True),
        lambda folder: with_head(folder, {"a": {"shape": ["b", "c"]}}),
        lambda folder: with_head(folder, {"a": {"shape": [10**9] * 9}}),
        lambda folder: with_head(folder, {"a": {"shape": [-1, -9]}}),
        lambda folder: with_head(folder, {"a": 3}),
        lambda folder: with_head(folder, []),
        lambda folder: (folder / "model.safetensors").unlink(),
    ],
)
def test_files_that_do_not_say_give_none(folder, damage):
    assert shape_of(folder) is not None
    damage(folder)
    assert shape_of(folder) is None


def is_sound(found):
    """Not known, or such that memory can be reckoned from it."""
    if found is None:
        return True
    needed = lora(found, number=2, bits=4, rank=8, tokens=100, recompute=False).total
    return all(type(value) is int and value > 0 for value in astuple(found)) and math.isfinite(needed)


NUMBERS = st.integers(1, 64) | st.integers() | st.floats() | st.none() | st.booleans()
ODD = st.recursive(NUMBERS | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=4)
WIDTHS = ("hidden_size", "intermediate_size", "head_dim", "vocab_size")
NAMES = (*WIDTHS, "num_attention_heads", "num_key_value_heads", "num_hidden_layers")
CONFIGS = st.dictionaries(st.sampled_from(NAMES), ODD) | st.fixed_dictionaries({name: NUMBERS for name in NAMES})
HEADS = st.dictionaries(st.text(max_size=3), st.fixed_dictionaries({"shape": st.lists(ODD, max_size=3)}) | ODD)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("odd")


@settings(max_examples=200)
@given(config=CONFIGS | st.builds(dict, text_config=CONFIGS | ODD) | ODD, head=HEADS | ODD)
def test_whatever_a_configuration_and_a_head_say(place, config, head):
    (place / "config.json").write_text(json.dumps(config))
    with_head(place, head)
    assert is_sound(shape_of(place))


@given(config=st.binary(max_size=60), weights=st.binary(max_size=60))
def test_whatever_bytes_are_there(place, config, weights):
    (place / "config.json").write_bytes(config)
    (place / "model.safetensors").write_bytes(weights)
    assert shape_of(place) is None


@pytest.fixture(scope="module")
def gguf_bytes(place):
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(place / "good.gguf", "llama")
    writer.add_embedding_length(64)
    writer.add_head_count(8)
    writer.add_head_count_kv(2)
    writer.add_block_count(3)
    writer.add_feed_forward_length(96)
    writer.add_token_list(["a", "b", "c"])
    writer.add_token_scores([0.5, 0.25, 0.125])
    writer.add_tensor("token_embd.weight", np.zeros((3, 64), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert shape_of(place / "good.gguf") == Shape(192, 3, 64, 96, 64, 16, 3)
    return (place / "good.gguf").read_bytes()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(max_examples=250)
@given(data=st.data())
def test_whatever_was_damaged_in_a_gguf_file(place, gguf_bytes, data):
    made = bytearray(gguf_bytes)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(made) - 1))
        made[at : at + 1] = data.draw(st.binary(max_size=9))
    (place / "odd.gguf").write_bytes(made[: data.draw(st.integers(0, len(made)))] if data.draw(st.booleans()) else made)
    assert is_sound(shape_of(place / "odd.gguf"))


def test_a_gguf_file_whose_list_is_longer_than_the_file_is_not_read_for_ever(place, gguf_bytes):
    """The library would read a number of nothing, 2**60 times."""
    made = bytearray(gguf_bytes)
    at = made.index(b"tokenizer.ggml.scores") + len("tokenizer.ggml.scores") + 8
    made[at : at + 8] = (2**60).to_bytes(8, "little")
    (place / "odd.gguf").write_bytes(made)
    assert shape_of(place / "odd.gguf") is None
