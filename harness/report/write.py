"""Writes the reports of a run into its folder."""

from __future__ import annotations

import os
from pathlib import Path

from harness.publish.html import to_html
from harness.publish.markdown import to_markdown
from harness.report.content import ReportData, build_report


def write_reports(data: ReportData, folder: Path) -> tuple[Path, ...]:
    """Writes `report.md` and `report.html` into `folder` and returns their paths.

    Each file is written beside its place and then moved there, so that a reader never meets half a report. Raises
    OSError where the folder cannot be written.
    """
    report = build_report(data)
    return (
        _replaced(folder / "report.md", to_markdown(report)),
        _replaced(folder / "report.html", to_html(report)),
    )


def _replaced(path: Path, text: str) -> Path:
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path
