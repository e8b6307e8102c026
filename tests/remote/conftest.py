import importlib.util
import uuid

import pytest
from machines import Machine

from harness.remote.url import remote_url

pytest.importorskip("fsspec")

S3 = importlib.util.find_spec("s3fs") is not None and importlib.util.find_spec("moto") is not None
"""A server of the S3 protocol can be started here."""


@pytest.fixture(scope="session")
def s3_bucket():
    """The address of a bucket on a server of the S3 protocol; keys and the server's address are in the environment."""
    for package in ("s3fs", "moto.server"):
        pytest.importorskip(package)
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patched:
        for name, value in (keys | {"AWS_ENDPOINT_URL": f"http://{host}:{port}"}).items():
            patched.setenv(name, value)
        s3fs.S3FileSystem().mkdir("bucket")
        yield "s3://bucket"
    server.stop()


@pytest.fixture(params=["memory", "file", *(["s3"] if S3 else [])])
def url(request, tmp_path):
    """An address where nothing is yet."""
    if request.param == "s3":
        path = f"{request.getfixturevalue('s3_bucket')}/{uuid.uuid4().hex}"
    else:
        path = f"memory://{uuid.uuid4().hex}" if request.param == "memory" else f"file://{tmp_path / 'storage'}"
    return remote_url(f"{path}/runs/one")


@pytest.fixture
def one(tmp_path):
    return Machine(tmp_path / "machine-1")


@pytest.fixture
def other(tmp_path):
    return Machine(tmp_path / "machine-2")
