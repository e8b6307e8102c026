"""Report -> one self-contained HTML page: nothing is fetched, and the templates escape everything from the tree."""

from __future__ import annotations

import base64
from importlib import resources

import jinja2
from markupsafe import Markup

from harness.publish import charts
from harness.publish.blocks import (
    Block,
    Bullets,
    CaseBrowser,
    Facts,
    Intervals,
    Lines,
    Paragraph,
    Parts,
    Picture,
    Place,
    Report,
    Scatter,
    Section,
    Subheading,
    Table,
)
from harness.publish.brand import PLAIN, Brand, Logo
from harness.publish.case_data import case_json
from harness.publish.charts import DARK_TONES, TONES
from harness.publish.client_file import contrast
from harness.publish.text import one_line, shown

WIDE = charts.Look(inches=6.9, css=True)
NARROW = charts.Look(inches=3.6, css=True)
"""A picture is in the page twice, and the style sheet shows the one that fits."""

DARK_PANEL = "#1d2127"
"""The lighter of the two grounds in the dark scheme, `--panel` in report.css."""

DARK_CONTRAST = 6.0
"""Contrast of the accent against it; 4.5 is the least that WCAG asks for."""

_MACROS: dict[type, str] = {
    Paragraph: "paragraph",
    Subheading: "subheading",
    Bullets: "bullets",
    Facts: "facts",
    Table: "table",
    **dict.fromkeys((Intervals, Lines, Parts, Scatter), "picture"),
    CaseBrowser: "case_browser",
}

_LOGO_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "svg": "image/svg+xml"}


def to_html(report: Report, brand: Brand = PLAIN) -> str:
    """The whole page. Needs no network to show, and scripts only for browsing the cases."""
    environment = _environment()
    return environment.get_template("report.html.j2").render(
        report=report,
        brand=brand,
        title=brand.title or report.title,
        logo=_data_uri(brand.logo) if brand.logo else "",
        body=[section for section in report.sections if section.place is not Place.APPENDIX],
        appendix=[section for section in report.sections if section.place is Place.APPENDIX],
        style=_brand_style(brand) + _own_file("report.css"),
        script=_own_file("report.js"),
    )


def legible(colour: str, ground: str) -> str:
    """`colour`, mixed with as little white as makes it easy to read on the dark `ground`."""
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    steps = (f"#{''.join(f'{round(part + (255 - part) * step / 50):02x}' for part in parts)}" for step in range(51))
    return next((mixed for mixed in steps if contrast(mixed, ground) >= DARK_CONTRAST), "#ffffff")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness.publish", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    environment.filters["case_json"] = lambda browser: Markup(case_json(browser))
    environment.filters["wide"] = lambda picture: _drawn(picture, WIDE)
    environment.filters["narrow"] = lambda picture: _drawn(picture, NARROW)
    environment.filters["appendix_title"] = _appendix_title
    macros = environment.get_template("blocks.html.j2").module
    environment.globals["block"] = lambda block, level: _laid_out(macros, block, level)
    return environment


def _laid_out(macros: object, block: Block, level: int) -> Markup:
    """The block through its macro, which escapes what it puts in; headings in it are of `level`."""
    return Markup(getattr(macros, _MACROS[type(block)])(block, level))


def _drawn(picture: Picture, look: charts.Look) -> Markup:
    """The picture as SVG, whose texts are escaped where it is made."""
    return Markup(charts.svg(picture, look))


def _appendix_title(section: Section) -> str:
    """Title of an appendix that is alone and therefore has no heading above it."""
    return section.title if section.title.startswith("Appendix") else f"Appendix: {section.title}"


def _own_file(name: str) -> Markup:
    """A style sheet or script of this package, which is ours and therefore goes in as it is."""
    return Markup(resources.files("harness.publish").joinpath("templates", name).read_text(encoding="utf-8"))


def _data_uri(logo: Logo) -> str:
    """The logo for an `<img>`, where not even an SVG can run scripts or load anything."""
    return f"data:{_LOGO_TYPES[logo.kind]};base64,{base64.b64encode(logo.data).decode()}"


def _brand_style(brand: Brand) -> Markup:
    """The colours that the brand and the pictures need in both schemes, and the line at the foot of printed pages."""
    light = _variables(brand.accent, TONES)
    dark = _variables(legible(brand.accent, DARK_PANEL), DARK_TONES)
    foot = f"@page {{ @bottom-left {{ content: {_css_string(brand.confidentiality)}; }} }}\n"
    schemes = f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    return Markup(schemes + foot if brand.confidentiality else schemes)


def _variables(accent: str, tones: tuple[str, ...]) -> str:
    return " ".join([f"--accent: {accent};", *(f"--tone-{place}: {tone};" for place, tone in enumerate(tones))])


def _css_string(text: str) -> str:
    """`text` as a CSS string in which every sign but letters, digits and spaces of ASCII is written as its number."""
    safe = "".join(
        sign if sign.isascii() and (sign.isalnum() or sign == " ") else f"\\{ord(sign):x} " for sign in one_line(text)
    )
    return f'"{safe}"'
