"""Several runs beside each other: other models, other dates; what changed and what came of it."""

from __future__ import annotations

from harness.publish import numbers
from harness.publish.blocks import Bar, Block, Bullets, Column, Intervals, Paragraph, Section, Table
from harness.publish.text import joined
from harness.records import CONTROL
from harness.report.data import ReportData, ladder_place
from harness.report.names import arm_name, is_share, metric_title
from harness.report.sections.axes import score_ticks, score_top
from harness.report.sections.scores import in_words, written
from harness.report.sections.verdict import headline

CAUTION = (
    "Runs are compared by looking: no test was made between them, and intervals that overlap are no proof that nothing "
    "changed. Each run's verdict holds for its own cases, model and rule."
)


def runs_section(data: ReportData) -> Section | None:
    """This run first, then the others; None where there is only one."""
    if not data.others:
        return None
    runs = (data, *data.others)
    blocks: list[Block] = [Bullets(changes(runs)), overview_table(runs), *_picture(runs), scores_table(runs)]
    blocks.append(Paragraph(CAUTION, note=True))
    return Section("What changed between the runs", "runs", tuple(blocks))


def changes(runs: tuple[ReportData, ...]) -> tuple[str, ...]:
    """A sentence a further run: what was different, and whether the verdict is another one."""
    first, *others = runs
    return tuple(_change(first, other, place) for place, other in enumerate(others, 2))


def _change(first: ReportData, other: ReportData, place: int) -> str:
    differing = [name for name, this, that in _traits(first, other) if this != that]
    what = f"differs from the first in {joined(differing)}" if differing else "was made alike"
    same = headline(first.verdict) == headline(other.verdict)
    came = "comes to the same verdict" if same else "comes to another verdict"
    return f"Run {place} {what}, and {came}: {headline(other.verdict)}."


def _traits(first: ReportData, other: ReportData) -> tuple[tuple[str, object, object], ...]:
    def traits(data: ReportData) -> dict[str, object]:
        return {
            "model": (data.provenance.model, data.provenance.model_digest),
            "embedder": (data.provenance.embedder, data.provenance.embedder_digest),
            "cases": frozenset(hash((case.id, case.input, case.accepted)) for case in data.cases),
            "training data": data.provenance.input_digests.get("train.jsonl"),
            "documents": (data.scenario.documents, _other_digests(data)),
            "scenario": data.scenario.name,
            "instruction": data.scenario.instruction,
            "decision rule": data.verdict.rule_digest,
            "arms": frozenset(data.real_arms),
            "thoroughness (quick or full)": data.scenario.quick,
            "longest answer": data.scenario.max_new_tokens,
            "seed": data.provenance.seed,
            "device": data.provenance.device,
            "code": data.provenance.code_digest,
        }

    this, that = traits(first), traits(other)
    return tuple((name, this[name], that[name]) for name in this)


def _other_digests(data: ReportData) -> dict[str, str]:
    """Of what is neither cases nor training rows: documents, mostly."""
    return {
        name: digest
        for name, digest in data.provenance.input_digests.items()
        if not name.endswith(".jsonl") or "corpus" in name
    }


def run_name(data: ReportData, place: int) -> str:
    """`1: SmolLM2-135M-Instruct, 2 March 2026`."""
    return f"{place}: {data.provenance.model}, {numbers.date(data.provenance.started)}"


def overview_table(runs: tuple[ReportData, ...]) -> Table:
    """A row a run: model, date, verdict, rule."""
    columns = (Column("Run"), Column("Verdict"), Column("Cases", number=True), Column("Metric"), Column("Rule"))
    rows = tuple(
        (
            run_name(data, place),
            headline(data.verdict),
            numbers.count(len(data.cases)),
            metric_title(data.verdict.metric),
            data.verdict.rule_digest[:12],
        )
        for place, data in enumerate(runs, 1)
    )
    return Table("The runs", columns, rows)


def _arms(runs: tuple[ReportData, ...]) -> tuple[str, ...]:
    found = {arm for data in runs for arm in data.real_arms}
    return tuple(sorted(found, key=ladder_place))


def _picture(runs: tuple[ReportData, ...]) -> list[Intervals]:
    """Every arm's score in every run, where all were judged by the same metric."""
    metric = runs[0].verdict.metric
    if any(data.verdict.metric != metric for data in runs):
        return []
    bars = tuple(
        Bar(f"{arm_name(arm)}, run {place}", one.value, one.low, one.high, written(one), arm == data.verdict.arm)
        for arm in _arms(runs)
        for place, data in enumerate(runs, 1)
        if (one := data.score_of.get((arm, metric))) and numbers.is_measured(one.value, one.low, one.high)
    )
    if not bars:
        return []
    caption = f"{metric_title(metric)} of every arm in every run"
    top = score_top([bar.high for bar in bars])
    return [Intervals(caption, bars, top, score_ticks(top, metric), alt=in_words(caption, bars))]


def scores_table(runs: tuple[ReportData, ...]) -> Table:
    """A row an arm, a column a run."""
    columns = (Column("Arm"), *(Column(f"Run {place}", number=True) for place in range(1, len(runs) + 1)))
    rows = tuple(
        (arm_name(arm), *(_score(data, arm) for data in runs))
        for arm in (*_arms(runs), CONTROL)
        if _anywhere(runs, arm)
    )
    return Table("Scores by each run's own metric", columns, rows)


def _anywhere(runs: tuple[ReportData, ...], arm: str) -> bool:
    return any((arm, data.verdict.metric) in data.score_of for data in runs)


def _score(data: ReportData, arm: str) -> str:
    one = data.score_of.get((arm, data.verdict.metric))
    return numbers.score_interval(one.value, one.low, one.high, is_share=is_share(one.metric)) if one else "–"
