"""The tiny model, made once a session."""

import pytest
from tiny_llama import load_tiny_llama, save_tiny_llama


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    return save_tiny_llama(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    """The tiny model in float32. Tests must leave its weights as they found them."""
    return load_tiny_llama(tiny_folder)
