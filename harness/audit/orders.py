"""Texts that try to give the model orders: "ignore the question", "you are now ...", also where no reader sees them.

What is looked for are turns of phrase from published collections of such attacks (Greshake et al. 2023, arXiv
2302.12173; Perez and Ribeiro 2022, arXiv 2211.09527), in English, German, French and Spanish. It finds the plain ones;
somebody who means harm can write others, so the experiment `orders` measures how far an arm can be ordered about.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.audit.text import shortened
from harness.documents import decode_text
from harness.scenario import Case, Document, Problem

_TARGET = r"(?:instructions?|prompts?|rules|directions|guidelines|commands|orders|guardrails)"
_ALL = r"(?:(?:any|all|every|each|the|your|these|those|my|its|of|other)\s+){0,3}"
_EARLIER = r"(?:previous|prior|preceding|earlier|above|foregoing|former|original|initial|system|existing|current)"
_ORDERS = re.compile(
    rf"\b(?:ignore|disregard|forget|override|bypass|neglect|do\s+not\s+follow|don['’]t\s+follow)\s+{_ALL}"
    rf"(?:{_EARLIER}\s+(?:\w+\s+)?{_TARGET}|{_TARGET}\s+(?:above|before|given|you|that\s+(?:came|were)|so\s+far)"
    r"|(?:users?['’]?s?\s+)?(?:question|query|request)\b(?!\s+(?:mark|string|param))|(?:everything|anything|all)\s+(?:above|before|previous)|the\s+above)"
    r"|\byou\s+are\s+(?:now|no\s+longer)\s+(?:an?\s+(?:\w+\s+){0,3}(?:assistant|ai|bot|model|agent|hacker|pirate|expert)|in\s+\w+"
    r"\s+mode|dan\b|free\s+(?:from|of)|chatgpt|bound\s+by|jailbroken|unrestricted)"
    r"|\byou\s+are\s+(?:now|no\s+longer)\s+\w*(?:bot|gpt)\b|\binstead\s+of\s+(?:what\s+was\s+asked|answering\s+the)"
    r"|\b(?:new|updated|real|secret|hidden)\s+(?:system\s+)?(?:instructions?|prompt|orders)\s*(?:for\s+(?:the\s+)?(?:ai|assistant|model))?\s*:"
    r"|\b(?:reveal|repeat|print|show|output|leak|disclose|reply\s+with|tell\s+me)\s+(?:me\s+)?(?:your|the)\s+(?:\w+\s+)?"
    r"(?:system|initial|hidden|secret)\s+(?:prompt|instructions?|message)"
    r"|\b(?:ai|llm|language\s+models?|chatbots?|assistants?)\s*(?:reading\s+this|:\s*(?:ignore|you\s+must|do\s+not|reply|respond))"
    r"|\b(?:reply|respond|answer)\s+(?:(?:only|solely|just)\s+with|with\s+(?:only|nothing\s+but))\s+(?:the\s+)?(?:word|phrase|text|string)s?\b"
    r"|(?:<\|(?:im_start|system|start_header_id)\|>|\[/?INST\]|<</?SYS>>|^\s*#{0,4}\s*system\s+prompt\s*:|\bBEGIN\s+SYSTEM\s+PROMPT)"
    r"|\b(?:ignorier|missacht|vergiss)\w*\s+(?:\w+\s+){0,3}(?:anweisung|vorgabe|regel|instruktion|frage\b)\w*"
    r"|\b(?:ignore[zr]?|oublie[zr]?)\s+(?:\w+\s+){0,3}(?:instructions|consignes|la\s+question)\b(?:\s+pr[ée]c[ée]dentes)?"
    r"|\b(?:ignor[ae]|olvid[ae])\s+(?:\w+\s+){0,3}(?:instrucciones|la\s+pregunta)\b",
    re.IGNORECASE | re.MULTILINE,
)
_FIRST = re.compile(
    r"ignor|disregard|forget|overrid|bypass|neglect|follow|you\s+are|instruction|prompt|orders|reading\s+this|:"
    r"|repl(?:y|ied)|respond|answer|instead|<\||\[/?INST|<<|missacht|vergiss|oubli|olvid",
    re.IGNORECASE,
)
"""Cheaper than the whole pattern, and in each of its branches."""
_COMMENT = re.compile(r"<!--(.*?)(?:-->|\Z)", re.DOTALL)
_HIDDEN = re.compile(
    r"<(\w+)\b[^>]{0,500}(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?!\.?[1-9])|opacity\s*:\s*0(?!\.?[1-9])"
    r"|color\s*:\s*(?:#fff(?:fff)?\b|white)|\bhidden\b|aria-hidden)[^>]{0,500}>([^<]{1,5000})",
    re.IGNORECASE,
)
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
_TAGS = re.compile("[\U000e0020-\U000e007e]{4,}")
_AROUND = 30


@dataclass(frozen=True, slots=True)
class Order:
    """A piece of a text that speaks to the model."""

    quote: str
    """With some of what stands around it, on one line."""
    start: int
    """Where in the text, in characters; for letters that cannot be seen, where they begin."""
    where: str = ""
    """`in a comment`, `in hidden text`, `in letters that cannot be seen`; empty: in plain sight."""


def orders_in(text: str) -> tuple[Order, ...]:
    """Find what gives the model orders, in the text's order; one that is hidden is named as hidden."""
    return tuple(sorted(_found(text), key=lambda order: order.start))


def _found(text: str) -> Iterator[Order]:
    for run in _TAGS.finditer(text):
        said = "".join(chr(ord(letter) - 0xE0000) for letter in run[0])
        yield Order(_one_line(said), run.start(), "in letters that cannot be seen")
    plain, unseen = text, not text.isascii() and _UNSEEN.search(text) is not None
    if not text.isascii():
        plain = unicodedata.normalize("NFKC", _UNSEEN.sub("", text))
    if not _FIRST.search(plain):
        return
    covered = [(found.span(), where) for pattern, where in _COVERS if "<" in plain for found in pattern.finditer(plain)]
    for found in _ORDERS.finditer(plain):
        where = next((name for (start, end), name in covered if start <= found.start() < end), "")
        broken = unseen and found[0] not in text
        quote = _one_line(plain[max(found.start() - _AROUND, 0) : found.end() + _AROUND])
        yield Order(quote, found.start(), where or ("in letters that cannot be seen" if broken else ""))


def row_orders(cases: Sequence[Case], *, file: str) -> Iterator[Problem]:
    """Yield a warning for each row whose input or output gives the model orders."""
    for case in cases:
        for text, part in ((case.input, "input"), (case.output, "output")):
            for order in orders_in(text)[:1]:
                yield Problem("warning", _said(f"the {part}", order), file, case.line)


def document_orders(documents: Sequence[Document], *, folder: Path) -> Iterator[Problem]:
    """Yield a warning for each document that gives the model orders.

    Of web pages the file itself is looked at too: what stands there in a comment, or is not shown, has lost that mark
    in the text that was read from it.
    """
    for document in documents:
        for order in (_page_orders(document, folder) or orders_in(f"{document.title}\n{document.text}"))[:1]:
            which = f"the document {document.id!r}" if document.source.endswith(".jsonl") else "the document"
            yield Problem("warning", _said(which, order), document.source or document.id)


def _page_orders(document: Document, folder: Path) -> tuple[Order, ...]:
    path = folder / document.source
    if path.suffix.lower() not in _PAGES:
        return ()
    try:
        with path.open("rb") as stream:
            return tuple(order for order in orders_in(decode_text(stream.read(_MOST_PAGE))[0]) if order.where)
    except OSError:  # it was read a moment ago; its text is looked at instead
        return ()


def _said(what: str, order: Order) -> str:
    where = f", {order.where}" if order.where else ""
    return (
        f"{what} gives the model orders{where}: {shortened(order.quote, width=90)}; take that out, or measure with "
        "--experiments orders how often each arm obeys"
    )


_PAGES, _MOST_PAGE = (".html", ".htm"), 2_000_000
_COVERS = ((_COMMENT, "in a comment"), (_HIDDEN, "in hidden text"))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:160]
