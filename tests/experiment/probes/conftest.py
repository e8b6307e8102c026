"""A scenario with everything that experiments read, and a way to run it with fakes."""

import msgspec
import pytest
from fakes import fake_run, tiny_scenario, write_scenario_files

from harness import api
from harness.scenario_file.read import Overrides


def lines(path, rows):
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


@pytest.fixture
def whole(tmp_path):
    """Capitals, with changed capitals under after/ and reworded questions."""
    made = tiny_scenario(cases=10, train=60)
    folder = write_scenario_files(tmp_path / "scenario", made)
    after = folder / "after"
    after.mkdir()
    changed = made.cases[:5]
    rows = [{"id": c.id, "input": c.input, "output": f"New{c.output}", "context_id": c.context_id} for c in changed]
    lines(after / "eval.jsonl", rows)
    documents = [
        {"id": d.id, "title": d.title, "text": d.text.replace("is City", "is NewCity")} for d in made.documents[:5]
    ]
    lines(after / "corpus.jsonl", documents)
    lines(after / "train.jsonl", [{"input": f"Say: {c.input}", "output": f"New{c.output}"} for c in changed])
    lines(folder / "paraphrases.jsonl", [{"id": c.id, "input": f"Tell me. {c.input}"} for c in made.cases[:6]])
    return folder


@pytest.fixture
def found(whole, tmp_path):
    """Run the scenario with these experiments; the findings by name."""

    def run(*names, seeds=1, folder=whole, out="run", **options):
        asked = Overrides(experiments=names, seeds=seeds)
        fake_run(folder, tmp_path / out, overrides=asked, remember=False, **options)
        return {one.experiment: one for one in api.report_data(tmp_path / out).findings}

    return run
