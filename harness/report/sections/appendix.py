"""Section 9: rule, provenance and the limits of the trial."""

from __future__ import annotations

from harness.publish import numbers
from harness.publish.blocks import Bullets, Column, Fact, Facts, Place, Section, Subheading, Table
from harness.report.data import ReportData
from harness.report.names import is_share, metric_title

MOST_FILES = 12
"""Input files that are listed with their digest."""
_RIGHT_OR_WRONG = ("labels", "json")


def appendix_section(data: ReportData) -> Section:
    """What somebody needs who wants to check or repeat the trial."""
    blocks = (
        Subheading("Decision rule" if data.verdict.exploratory else "Decision rule, fixed before the first answer"),
        Facts(_rule(data)),
        Subheading("The trial"),
        Facts(_trial(data)),
        Subheading("Machine and versions"),
        Facts(_machine(data)),
        _digests(data),
        Subheading("Limits of this trial"),
        Bullets(limits(data)),
    )
    return Section("Rule, machine and limits", "appendix", blocks, Place.APPENDIX)


def limits(data: ReportData) -> tuple[str, ...]:
    """What the trial cannot say, in plain words."""
    place = data.provenance
    said = [
        f"It speaks about these {numbers.counted(len(data.cases), 'case')} and others like them. "
        "Questions of another kind can turn out differently.",
        f"It speaks about one model, {place.model}. Another model can rank the arms otherwise.",
        *data.verdict.cautions,
        f"Seconds and memory were measured on one machine with a load average of {place.load_average:.1f}.",
    ]
    if data.endpoint:
        said[-1:] = [
            f"The model answered behind {data.endpoint}: which weights, in which precision and on which machine is not "
            "known here. The service may change what it serves, and a repetition may give other answers.",
            "Seconds were measured over the network, at one hour's load.",
        ]
    if data.scenario.kind not in _RIGHT_OR_WRONG:
        said.append("Scores compare text with the accepted answers: a right answer in other words can count as wrong.")
    if data.scenario.quick:
        said.append("It was a quick run: less was tried than in a full one.")
    return tuple(said)


def _rule(data: ReportData) -> tuple[Fact, ...]:
    rule = data.rule
    target = numbers.score(rule.target, is_share=is_share(rule.metric)) if rule.target is not None else "none set"
    return (
        Fact("Metric", metric_title(rule.metric)),
        Fact("Smallest difference worth having (margin)", numbers.gap(rule.margin)),
        Fact("Error rate accepted (alpha)", f"{rule.alpha:g}"),
        Fact("Fewest cases", numbers.count(rule.fewest_cases)),
        Fact("Target", target),
        Fact("Bootstrap resamples", numbers.count(rule.resamples)),
        Fact("Seed of the statistics", str(rule.seed)),
        Fact("Digest of the rule (SHA-256)", data.verdict.rule_digest),
    )


def _trial(data: ReportData) -> tuple[Fact, ...]:
    kept, place = data.scenario, data.provenance
    facts = (
        Fact("Kind of answer", kept.kind.replace("_", " ")),
        Fact("Cases", numbers.count(kept.eval_cases)),
        Fact("Training examples", numbers.count(kept.train_examples)),
        Fact("Dev examples", numbers.count(kept.dev_examples)),
        Fact("Documents", numbers.count(kept.documents)),
        Fact("Longest answer", numbers.counted(kept.max_new_tokens, "token")),
        Fact("Seed of the run", str(place.seed)),
        Fact("Started", place.started),
        Fact("Took", numbers.seconds(place.seconds or None)),
        Fact("Command", place.command),
        Fact("Labels", ", ".join(kept.labels)),
        Fact("Answers held to the labels", "yes, in every arm" if kept.held_to_labels else ""),
        Fact("Answers and times taken from", place.taken_from),
        Fact("Keys", ", ".join(kept.keys)),
    )
    return tuple(fact for fact in facts if fact.value)


def _machine(data: ReportData) -> tuple[Fact, ...]:
    place = data.provenance
    versions = ", ".join(f"{name} {version}" for name, version in sorted(place.versions.items()))
    return (
        Fact("Model", place.model, "behind an endpoint" if place.endpoint else _digest(place.model_digest)),
        *([Fact("Endpoint", place.endpoint)] if place.endpoint else []),
        Fact("Embedder", place.embedder or "none", _digest(place.embedder_digest)),
        Fact("Device", "not known" if place.endpoint else place.device),
        Fact("Precision (dtype)", "not known" if place.endpoint else place.dtype),
        Fact("Threads", f"{place.threads} of {numbers.counted(place.cores, 'core')}"),
        Fact("Load average at the start", f"{place.load_average:.1f}"),
        Fact("Memory", numbers.megabytes(place.memory_total_mb), f"peak of the run: {_peak(data)}"),
        Fact("Platform", place.platform),
        Fact("Python", place.python),
        Fact("Libraries", versions or "not recorded"),
        Fact("Git revision", place.git_revision or "not recorded"),
        Fact("Digest of the code (SHA-256)", place.code_digest or "not recorded"),
    )


def _peak(data: ReportData) -> str:
    return numbers.megabytes(data.provenance.peak_memory_mb)


def _digest(digest: str) -> str:
    return f"SHA-256 {digest}" if digest else ""


def _digests(data: ReportData) -> Table:
    rows = tuple(sorted(data.provenance.input_digests.items(), key=lambda row: (row[0].count("/"), row[0])))
    shown = rows[:MOST_FILES]
    more = f", the first {MOST_FILES} of {len(rows):,}; provenance.json has all" if len(rows) > MOST_FILES else ""
    return Table(f"Input files{more}", (Column("File"), Column("SHA-256")), shown)
