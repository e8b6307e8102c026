"""A small bake-off over all stages, an undisturbed run of it, and what must come out however it was disturbed."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from commands import Commands, import_everything
from fakes import tiny_scenario, write_scenario_files

ARGUMENTS = ("--arms", "prompt,rag,lora", "--seeds", "2", "--experiments", "retrieval", "--no-cache", "--no-remember")


@dataclass(frozen=True)
class BakeOff:
    """A scenario, the commands on it, and the folder of a run that nothing disturbed."""

    scenario: Path
    commands: Commands
    whole: Path
    seconds: float
    """What the undisturbed run took."""

    def run(self, out):
        """The command that makes (or completes) a run in `out`."""
        return ("run", self.scenario, *ARGUMENTS, "--out", out)

    def copy(self, out):
        """A finished run."""
        shutil.copytree(self.whole, out)
        return out

    def agrees(self, out):
        """Whether answers and verdict are the undisturbed run's."""
        return answers(out) == answers(self.whole) and verdict(out) == verdict(self.whole)


def made(folder, **how):
    """A bake-off with its undisturbed run."""
    import time

    import_everything()
    scenario = write_scenario_files(folder / "capitals", tiny_scenario(cases=10))
    commands = Commands(folder / "work", folder / "cache", **how)
    begun = BakeOff(scenario, commands, folder / "whole", 0.0)
    for out in (folder / "warm", begun.whole):
        start = time.monotonic()
        ended = commands.call(*begun.run(out))
        assert ended.code == 0, ended.err[-2000:]
    return BakeOff(scenario, commands, begun.whole, time.monotonic() - start)


def answers(folder):
    """(case, arm, text) of every prediction of the run and its experiments, each made once."""
    found = {}
    for path in sorted(folder.rglob("predictions.jsonl")):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert len({(row["case_id"], row["arm"]) for row in rows}) == len(rows), "a prediction was made twice"
        found[str(path.relative_to(folder))] = sorted((row["case_id"], row["arm"], row["text"]) for row in rows)
    return found


def verdict(folder):
    """`verdict.json`; it holds no times."""
    return json.loads((folder / "verdict.json").read_text())
