"""What a report says. Renderers (`markdown`, `html`, `terminal`) only lay out what is built here."""

from __future__ import annotations

from harness.publish import numbers
from harness.publish.blocks import Report, Section
from harness.report.data import ReportData
from harness.report.names import metric_title
from harness.report.sections.advice import advice_section
from harness.report.sections.appendix import appendix_section
from harness.report.sections.cases import cases_section
from harness.report.sections.cost import cost_section
from harness.report.sections.criteria import criteria_section
from harness.report.sections.experiments import experiments_section
from harness.report.sections.pairs import form_section, pairs_section
from harness.report.sections.scores import scores_section
from harness.report.sections.setup import left_out_section, setup_section
from harness.report.sections.verdict import verdict_section

__all__ = ["Report", "ReportData", "build_report"]


def build_report(data: ReportData) -> Report:
    """The report of one run as a tree of sections, the verdict first."""
    sections: tuple[Section | None, ...] = (
        advice_section(data),
        scores_section(data),
        pairs_section(data),
        form_section(data),
        criteria_section(data),
        experiments_section(data),
        cost_section(data),
        setup_section(data),
        left_out_section(data),
        cases_section(data),
        appendix_section(data),
    )
    said = tuple(section for section in sections if section is not None)
    return Report(f"Bake-off: {data.scenario.name}", _subtitle(data), verdict_section(data), said)


def _subtitle(data: ReportData) -> str:
    arms = numbers.counted(len(data.real_arms), "approach", "approaches") if data.real_arms else "No approach"
    return (
        f"{arms} on {numbers.counted(len(data.cases), 'case')}, judged by {metric_title(data.verdict.metric)} · "
        f"{data.provenance.model} · {numbers.date(data.provenance.started)}"
    )
