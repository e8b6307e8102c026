"""What a report says. Renderers only lay out what is built here."""

from __future__ import annotations

from dataclasses import replace

from harness.publish import numbers
from harness.publish.blocks import Place, Report, Section
from harness.report.data import ReportData
from harness.report.names import approach_in_sentence, metric_title
from harness.report.sections.advice import advice_section
from harness.report.sections.appendix import appendix_section
from harness.report.sections.cases import cases_section
from harness.report.sections.cost import cost_section
from harness.report.sections.criteria import criteria_section
from harness.report.sections.examples import examples_section
from harness.report.sections.experiments import experiment_tables_section, experiments_section, losses_section
from harness.report.sections.pairs import form_section, pairs_section
from harness.report.sections.readiness import readiness_section
from harness.report.sections.runs import runs_section
from harness.report.sections.scores import metrics_section, scores_section
from harness.report.sections.setup import left_out_section, setup_section
from harness.report.sections.summary import summary_section
from harness.report.sections.trial import trial_section
from harness.report.sections.volume import volume_section

__all__ = ["Report", "ReportData", "build_report"]

FOOTER = "Made by bakeoff from the run's own records; every figure can be computed again from the run folder."


def build_report(data: ReportData) -> Report:
    """The report of one run (and of those beside it) as a tree of sections, the summary first."""
    sections: tuple[Section | None, ...] = (
        _advised(data, "use-case"),
        _advised(data, "options"),
        trial_section(data),
        scores_section(data),
        advice_section(data),
        form_section(data),
        losses_section(data),
        criteria_section(data),
        experiments_section(data),
        runs_section(data),
        cost_section(data),
        volume_section(data),
        _advised(data, "risks", before=True),
        _advised(data, "ladder", before=True),
        readiness_section(data),
        examples_section(data),
        cases_section(data),
        pairs_section(data),
        metrics_section(data),
        experiment_tables_section(data),
        setup_section(data),
        left_out_section(data),
        _advised(data, "costs", place=Place.APPENDIX, before=True),
        _advised(data, "sources", place=Place.APPENDIX),
        appendix_section(data),
    )
    said = tuple(section for section in sections if section is not None)
    return Report(f"Bake-off: {data.scenario.name}", _subtitle(data), summary_section(data), said, FOOTER)


def _advised(data: ReportData, anchor: str, *, place: Place | None = None, before: bool = False) -> Section | None:
    """A section of the advice, taken over as it stands; `before`: its title says that it knows nothing of the trial."""
    section = data.advice.section(anchor) if data.advice else None
    if data.advice is None or section is None:
        return None
    said = f" (written before the trial, for {approach_in_sentence(data.advice.approach)})" if before else ""
    return replace(section, title=f"{section.title}{said}", anchor=f"advice-{anchor}", place=place or section.place)


def _subtitle(data: ReportData) -> str:
    arms = numbers.counted(len(data.real_arms), "approach", "approaches") if data.real_arms else "No approach"
    return (
        f"{arms} on {numbers.counted(len(data.cases), 'case')}, judged by {metric_title(data.verdict.metric)} · "
        f"{data.provenance.model} · {numbers.date(data.provenance.started)}"
    )
