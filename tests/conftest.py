"""What all tests share: one thread, no network, and a cache of their own."""

import os
import shutil
import tempfile
from pathlib import Path

import hypothesis
import pytest

_FOLDERS = []


def pytest_configure():
    """Before any test module, and so before any model library, is imported."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["BAKEOFF_CACHE"] = str(_session_cache())
    os.environ["BAKEOFF_DATA_DIR"] = str(Path(os.environ["BAKEOFF_CACHE"]) / "data")  # never the user's verdicts
    # The same examples every time, and no clock: a busy machine is no failure.
    hypothesis.settings.register_profile("tests", derandomize=True, deadline=None)
    hypothesis.settings.load_profile("tests")


def pytest_unconfigure():
    for folder in _FOLDERS:
        shutil.rmtree(folder, ignore_errors=True)


def _session_cache():
    """An empty cache, but for the unpacked models: they are large, never change, and are taken from the user's."""
    from harness.models.bundled import cache_folder

    models = cache_folder() / "models"
    folder = Path(tempfile.mkdtemp(prefix="bakeoff-tests-"))
    _FOLDERS.append(folder)
    try:
        models.mkdir(parents=True, exist_ok=True)
        (folder / "models").symlink_to(models, target_is_directory=True)
    except OSError:  # a home that cannot be written, or no symbolic links: the model is unpacked for this session
        (folder / "models").mkdir(exist_ok=True)
    return folder


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache folder that only this test uses."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("BAKEOFF_CACHE", str(folder))
    return folder
