import uuid

import pytest
from machines import Machine

from harness.remote.url import remote_url

pytest.importorskip("fsspec")


@pytest.fixture(params=["memory", "file"])
def url(request, tmp_path):
    """An address where nothing is yet."""
    path = f"memory://{uuid.uuid4().hex}" if request.param == "memory" else f"file://{tmp_path / 'storage'}"
    return remote_url(f"{path}/runs/one")


@pytest.fixture
def one(tmp_path):
    return Machine(tmp_path / "machine-1")


@pytest.fixture
def other(tmp_path):
    return Machine(tmp_path / "machine-2")
