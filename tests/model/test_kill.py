"""Kill -9 at random moments of a real run: the same command finishes it, and nothing is lost, torn or made twice."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from harness.experiment.finish import finish
from harness.store import open_run

pytestmark = [pytest.mark.model, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]

TOML = """
kind = "labels"
arms = ["prompt", "few_shot", "lora"]
max_new_tokens = 6
model = {model}
[rule]
resamples = 2000
"""


@pytest.fixture
def scenario(tiny_folder, tmp_path):
    folder = tmp_path / "scenario"
    folder.mkdir()
    rng, things = random.Random(1), {"fruit": "apple pear plum fig", "tool": "saw file axe drill"}
    for name, n in (("eval", 40), ("train", 30)):
        rows = []
        for number in range(n):
            label = rng.choice(list(things))
            words = " ".join(rng.choices(things[label].split(), k=rng.randint(2, 8)))
            rows.append({"id": f"{name[0]}{number}", "input": f"{words} no {name}{number}", "output": label})
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "scenario.toml").write_text(TOML.format(model=json.dumps(str(tiny_folder))))
    return folder


def lines(folder):
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def killed(scenario, out, kills):
    """What the script says of its attempts."""
    out.mkdir()
    script = Path(__file__).with_name("killing.py")
    root = Path(__file__).parents[2]
    env = os.environ | {"PYTHONPATH": str(root), "BAKEOFF_CACHE": str(out / "cache"), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, str(script), str(scenario), str(out), str(kills)], capture_output=True, text=True, env=env
    )
    assert done.returncode == 0, done.stderr[-4000:]
    said = json.loads(done.stdout.splitlines()[-1])
    codes = [code for _, _, code in said["ends"]]
    assert set(codes) <= {0, -9}, done.stderr[-4000:]
    assert said["undisturbed"] == 0, done.stderr[-4000:]
    assert codes.count(-9) == kills
    return said


def test_a_run_killed_at_20_random_moments_ends_with_the_predictions_of_an_undisturbed_one(scenario, tmp_path):
    out = tmp_path / "out"
    said = killed(scenario, out, 20)
    expected = sorted((row["case_id"], row["arm"], row["text"]) for row in lines(out / "whole"))
    assert len(expected) == 4 * 40
    verdict = open_run(out / "whole").verdict()
    for number in range(1, said["runs"] + 1):
        folder = out / f"killed{number}"
        found = [(row["case_id"], row["arm"], row["text"]) for row in lines(folder)]
        assert len({pair[:2] for pair in found}) == len(found), "a prediction was made twice"
        assert sorted(found) == expected
        assert finish(open_run(folder)).scores == verdict.scores
        assert open_run(folder).recipe("lora").adapter_digest == open_run(out / "whole").recipe("lora").adapter_digest
