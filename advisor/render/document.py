"""The advice as a document: one page first, then the sections, then the appendix."""

from __future__ import annotations

from typing import Any

from advisor.records import Advice
from advisor.render.sections.appendix import method_section, sources_section
from advisor.render.sections.changes import changes_section
from advisor.render.sections.costs import bills_section, costs_section
from advisor.render.sections.options import options_section
from advisor.render.sections.plan import ladder_section, layers_section
from advisor.render.sections.summary import summary_section
from advisor.render.sections.trial import trial_section
from advisor.render.sections.upkeep import readiness_section, risks_section
from advisor.render.sections.use_case import use_case_section
from harness.publish import numbers
from harness.publish.blocks import Report, Section
from harness.publish.stored import to_plain

FOOTER = "Made by advise, before any trial; every figure here is in advice.json or follows from it."


def advice_report(advice: Advice, *, picture_file: str = "") -> Report:
    """The whole advice. `picture_file`: where the picture of costs is, for a document that shows none."""
    subtitle = f"Prompt, retrieve (RAG), fine-tune, or combine? · {numbers.date(advice.created)}"
    sections = _sections(advice, picture_file)
    return Report(f"Advice: {advice.title}", subtitle, summary_section(advice), sections, FOOTER)


def plain_sections(advice: Advice) -> list[dict[str, Any]]:
    """All sections but the first page as JSON objects, for whoever lays them out without this package."""
    return [to_plain(section) for section in _sections(advice)]


def _sections(advice: Advice, picture_file: str = "") -> tuple[Section, ...]:
    return (
        use_case_section(advice),
        options_section(advice),
        changes_section(advice),
        layers_section(advice),
        ladder_section(advice),
        costs_section(advice, picture_file=picture_file),
        risks_section(advice),
        readiness_section(advice),
        trial_section(advice),
        bills_section(advice),
        sources_section(advice),
        method_section(advice),
    )
