"""`Scenario` -> a commented `scenario.toml` that reads back to the same settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import tomli_w

from harness.scenario import Kind, Scenario, TuningWish
from harness.scenario_file.instruction import NO_JOB, NO_MANNER

_HEAD = """\
# What a bake-off needs to know beside the rows. Every line may be changed, or taken out: what is missing is
# inferred from the data again. Options on the command line win over this file.
"""


def write_scenario_file(scenario: Scenario, path: Path) -> None:
    """Write the scenario's settings to `path`, replacing what is there. Raises OSError."""
    path.write_text(
        "\n".join(
            [_HEAD, *_top(scenario), *_rule(scenario), *_tuning(scenario), *_files(scenario), *_advice(scenario)]
        ),
        encoding="utf-8",
    )


def _top(scenario: Scenario) -> Iterator[str]:
    yield _line("name", scenario.name, "The name of runs and reports.")
    yield _line("kind", scenario.kind.value, f"One of {', '.join(Kind)}.{_why(scenario, 'kind')}")
    yield _instruction(scenario)
    if scenario.labels:
        yield _line("labels", list(scenario.labels), f"All labels there are.{_why(scenario, 'labels')}")
    if scenario.held_to_labels:
        yield _line("held_to_labels", True, "Every arm may answer with one of the labels only.")
    if scenario.keys:
        yield _line("keys", list(scenario.keys), f"The top-level keys of the objects.{_why(scenario, 'keys')}")
    yield _line("arms", list(scenario.arms) or None, "Arms that take part; all of them where the line is missing.")
    yield _line("max_new_tokens", scenario.max_new_tokens, "Longest answer; measured from the outputs if missing.")
    yield _line("seed", scenario.seed, "Seed of every random draw.")
    yield _line("model", scenario.model, "Base model: a folder or a hub id; the bundled one if missing.")
    yield _line("embedder", scenario.embedder, "Embedding model: a folder or a hub id; the bundled one if missing.")


def _tuning(scenario: Scenario) -> Iterator[str]:
    wish = scenario.tuning
    if wish != TuningWish():
        yield "\n[tuning]"
        yield _line("epochs", wish.epochs, "Passes over the training examples, at most.")
        yield _line("rank", wish.rank, "Rank of the adapter.")
        yield _line("learning_rate", wish.learning_rate, "Peak learning rate.")
        yield _line("sweep", wish.sweep, "Pairs of rank and learning rate to try on dev (Optuna).")
        yield _line("bits", wish.bits, "Bits of a weight; 4 lets a model of four times the size fit.")
        yield _line("processes", wish.processes, "Processes that hold the model in shares while it is tuned (FSDP).")


def _instruction(scenario: Scenario) -> str:
    """An instruction that only fills a gap stays commented out, so that the warning about it is not lost."""
    if any(warning.message in (NO_JOB, NO_MANNER) for warning in scenario.warnings):
        setting = tomli_w.dumps({"instruction": scenario.instruction})
        return f"# What every arm is told. Say here what the job is; until then this is used:\n# {setting}"
    return _line("instruction", scenario.instruction, f"What every arm is told.{_why(scenario, 'instruction')}")


def _rule(scenario: Scenario) -> Iterator[str]:
    rule = scenario.rule
    yield "[rule]\n# The decision rule; it is fixed and hashed before the first prediction.\n"
    yield _line("metric", rule.metric, f"The metric that decides.{_why(scenario, 'metric')}")
    yield _line("margin", rule.margin, f"Smallest difference worth having, 0 to 1.{_why(scenario, 'margin')}")
    yield _line("alpha", rule.alpha, "How often a difference may be announced where there is none.")
    yield _line("fewest_cases", rule.fewest_cases, "With fewer eval cases there is no verdict.")
    yield _line("target", rule.target, "Score the best arm must reach to be of use, 0 to 1; none if missing.")
    yield _line("resamples", rule.resamples, "Draws of the bootstrap and of the permutation test.")


def _files(scenario: Scenario) -> Iterator[str]:
    files = {"eval": scenario.eval_file, "train": scenario.train_file, "corpus": scenario.corpus}
    usual = {"eval": "eval.jsonl", "train": "train.jsonl", "corpus": ""}
    named = {key: name for key, name in files.items() if name != usual[key]}
    if named:
        yield "[files]\n# Relative to this file.\n" + tomli_w.dumps(named)


def _advice(scenario: Scenario) -> Iterator[str]:
    """What was advised stays in the file."""
    advice = scenario.advice
    if advice:
        said = {"date": advice.date, "approach": advice.approach, "runner_up": advice.runner_up}
        said |= {"hypothesis": advice.hypothesis, "band": advice.band}
        known = {key: value for key, value in said.items() if value}
        tables = {"answers": dict(advice.answers), "sources": dict(advice.sources)}
        yield tomli_w.dumps({"advice": known | {name: table for name, table in tables.items() if table}})


def _line(key: str, value: object, comment: str) -> str:
    """Write one setting under its comment; a setting without a value stands there commented out."""
    about = "".join(f"# {line}\n" for line in comment.splitlines())
    return about + (f"# {key} =\n" if value is None else tomli_w.dumps({key: value}))


def _why(scenario: Scenario, setting: str) -> str:
    reason = next((" ".join(i.because.split()) for i in scenario.inferred if i.setting == setting), "")
    return f"\nInferred: {reason}." if reason else ""
