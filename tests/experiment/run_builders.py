"""What the tests of whole runs share."""

import json
import re
from collections import Counter

from harness.scenario_file.read import Overrides

FEW_ARMS = Overrides(arms=("prompt", "few_shot", "lora"))


def texts(folder):
    """(case, arm) -> (text, error), from the file itself."""
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert not [pair for pair, n in Counter((r["case_id"], r["arm"]) for r in rows).items() if n > 1], "made twice"
    return {(row["case_id"], row["arm"]): (row["text"], row["error"]) for row in rows}


def eval_prompts(engine):
    """Eval prompts that were answered in batches (one at a time is for the latency), with how often."""
    model = engine.fake
    timed = {job.prompts for job in model.jobs if len(job.prompts) == 1}
    asked = re.compile(r"capital of Landia[0-9]\?<\|end\|>\n<\|assistant\|>\n$")
    return Counter(p for batch in model.answered if batch not in timed for p in batch if asked.search(p))
