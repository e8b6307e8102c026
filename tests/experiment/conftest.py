"""A scenario's folder and a place for its run."""

import pytest
from fakes import tiny_scenario, write_scenario_files


@pytest.fixture
def scenario(tmp_path):
    return write_scenario_files(tmp_path / "scenario", tiny_scenario(cases=10, train=20))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "run"
