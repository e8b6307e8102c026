"""What only a server can do: refuse keys, know no bucket, be away. Skipped where moto and s3fs are not installed.

With both on the path the tests of working copies are made on this server too.
"""

import pytest

from harness.errors import RemoteError
from harness.remote.storage import open_storage
from harness.remote.url import remote_url


@pytest.fixture
def opened(s3_bucket, monkeypatch):
    """Opens an address with variables of the environment changed (None: without it)."""

    def open_with(address, **variables):
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        for name, value in variables.items():
            monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
        return open_storage(remote_url(address))

    yield open_with
    __import__("s3fs").S3FileSystem.clear_instance_cache()


def test_the_condition_of_a_put_is_the_servers(opened):
    storage = opened("s3://bucket/condition/run")
    assert storage.create(".lease", b"first")
    assert not storage.create(".lease", b"second")
    assert storage.read(".lease") == b"first"


def test_a_bucket_that_is_not_there_is_named(opened):
    with pytest.raises(RemoteError, match="there is no such bucket or folder"):
        opened("s3://no-such-bucket/run").create(".lease", b"")


def test_missing_keys_are_named(opened):
    gone = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    storage = opened("s3://bucket/run", **gone, AWS_EC2_METADATA_DISABLED="true", AWS_SHARED_CREDENTIALS_FILE="/none")
    with pytest.raises(RemoteError, match=r"access was refused .*Credentials are read from the environment"):
        storage.files()


def test_a_server_that_is_away_is_named(opened):
    with pytest.raises(RemoteError, match=r"cannot be listed \(EndpointConnectionError"):
        opened("s3://bucket/run", AWS_ENDPOINT_URL="http://127.0.0.1:9").files()
