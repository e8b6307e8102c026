"""Writes the reports of a run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.publish import numbers
from harness.publish.brand import PLAIN, Brand
from harness.publish.write import write_documents
from harness.report.content import ReportData, build_report

NAME = "report"
USUAL = ("md", "html")
"""What every run gets."""


@dataclass(frozen=True, slots=True)
class Form:
    """In which formats, with whose name on it, and in whose template."""

    formats: tuple[str, ...] = USUAL
    brand: Brand = PLAIN
    templates: dict[str, bytes] = field(default_factory=dict)
    """Format (`docx`, `pptx`) -> the house template."""


USUAL_FORM = Form()


def write_reports(data: ReportData, folder: Path, *, form: Form = USUAL_FORM) -> tuple[Path, ...]:
    """Writes `report.md`, `report.html` and so on into `folder` and returns their paths.

    Raises:
        UserError: the folder cannot be written, or a template is none.
    """
    report = build_report(data)
    # The subtitle has the day of the run; on a firm's own paper it also stands where a date is looked for.
    plain = form.brand == PLAIN and not form.templates
    date = form.brand.date or ("" if plain else numbers.date(data.provenance.started))
    return write_documents(
        replace(report, title=form.brand.title or report.title),
        folder,
        formats=form.formats,
        name=NAME,
        brand=replace(form.brand, date=date),
        templates=form.templates,
    )
