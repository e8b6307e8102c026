"""Report -> one self-contained HTML page: nothing is fetched, and the templates escape everything from the tree."""

from __future__ import annotations

import re
from importlib import resources

import jinja2
from markupsafe import Markup

from harness.publish.blocks import (
    Block,
    Bullets,
    CaseBrowser,
    Facts,
    Intervals,
    Paragraph,
    Report,
    Subheading,
    Table,
)
from harness.publish.case_data import case_json
from harness.publish.text import visible

_MACROS: dict[type, str] = {
    Paragraph: "paragraph",
    Subheading: "subheading",
    Bullets: "bullets",
    Facts: "facts",
    Table: "table",
    Intervals: "intervals",
    CaseBrowser: "case_browser",
}

_UNIT = re.compile(r"(?<=\d) (?=(?:%|s|min|h|MB|GB|points?)\b|%)|(?<=[<>=]) (?=\d)")


def to_html(report: Report) -> str:
    """The whole page. Needs no network to show, and scripts only for browsing the cases."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness.publish", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    environment.filters["case_json"] = lambda browser: Markup(case_json(browser))
    macros = environment.get_template("blocks.html.j2").module
    environment.globals["block"] = lambda block: _laid_out(macros, block)
    page = environment.get_template("report.html.j2")
    return page.render(report=report, style=_own_file("report.css"), script=_own_file("report.js"))


def shown(text: str) -> str:
    """Text for the page: acting characters as signs, and no line break between a number and its unit."""
    return _UNIT.sub("\u00a0", visible(text))


def _laid_out(macros: object, block: Block) -> Markup:
    """The block through its macro, which escapes what it puts in."""
    return Markup(getattr(macros, _MACROS[type(block)])(block))


def _own_file(name: str) -> Markup:
    """A style sheet or script of this package, which is ours and therefore goes in as it is."""
    return Markup(resources.files("harness.publish").joinpath("templates", name).read_text(encoding="utf-8"))
