"""A sweep with real libraries on two Ray nodes, one of them taken away half way, beside the local engine's.

The model is the tiny one, which answers nonsense fast; `python -m tests.bench.ray_lost_node` does the same with the
bundled weights.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.model, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def roomy(tiny_folder, tmp_path):
    """The tiny model with a window that every prompt of the scenarios fits: it counts bytes."""
    folder = shutil.copytree(tiny_folder, tmp_path / "roomy")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 8192}))
    return folder


def test_a_sweep_of_three_scenarios_all_arms_and_three_seeds_survives_a_lost_node_unchanged(roomy, tmp_path):
    pytest.importorskip("ray")
    keep = tmp_path / "runs"
    small = ["--cases", "6", "--model", str(roomy), "--keep", str(keep)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.ray_lost_node", *small],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    rows = re.findall(r"^(\S+) +(\d+) +(\d+) +(\d+) +(\d+)/(\d+)  nothing$", done.stdout, re.MULTILINE)
    assert {name: tuple(map(int, counts)) for name, *counts in rows} == {
        "claims-intake": (6, 3, 48, 48, 48),
        "customer-name": (6, 3, 48, 48, 48),
        "harbour-handbook": (7, 6, 66, 66, 66),
    }
    assert re.search(r"a node was taken away after \d+ of 162 answers", done.stdout)
    assert "went down with a worker" in done.stdout, "it was working when it was lost"
    assert "it is tried here" not in done.stdout
    from tests.bench.ray_lost_node import compared

    mixed = compared("", keep / "local" / "customer-name", keep / "there" / "claims-intake")
    seen = {"answers", "what arms settled", "scores of cases", "verdict: scores", "verdict: comparisons"}
    assert seen <= set(mixed.differs), "what differs is seen"
