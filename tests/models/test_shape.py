"""How large a network is, without loading it."""

import json

import pytest
from tiny_llama import load_tiny_llama, save_tiny_llama

from harness.engines.local import LocalEngine
from harness.models import bundled
from harness.models.local import weights_files
from harness.models.shape import Shape, shape_from, shape_of

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
    ],
)
def test_files_that_do_not_say_give_none(folder, damage):
    assert shape_of(folder) is not None
    damage(folder)
    assert shape_of(folder) is None
