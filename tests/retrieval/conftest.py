"""A PostgreSQL server for the tests of its store."""

import os

import postgres
import pytest


@pytest.fixture(scope="session")
def server():
    """A server with pgvector; the test is skipped where there is none."""
    pytest.importorskip("psycopg")
    pytest.importorskip("pgvector")
    folder = postgres.programs()
    if folder is None or os.name != "posix":
        pytest.skip(postgres.WITHOUT)
    made = postgres.Server(folder)
    yield made
    made.remove()


@pytest.fixture
def database(server):
    """An empty database; gives its address."""
    name = f"d{os.urandom(6).hex()}"
    server.execute(f"CREATE DATABASE {name}")
    return server.address(name)
