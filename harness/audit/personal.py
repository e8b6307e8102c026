"""Likely personal data and secrets in texts: what a model that is trained on them could give back.

Numbers are checked, not only matched: phone numbers by phonenumbers (Google's libphonenumber), cards, bank accounts and
national ids by the check digits that python-stdnum knows, secrets by detect-secrets. Names of people and street
addresses are not looked for: without a language model that is guessing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module

from harness.audit.secrets import secret_spans
from harness.scenario import Case, Document, Problem


class Sensitive(StrEnum):
    """Kinds of data that are looked for; the value is what stands in their place where they are masked."""

    SECRET = "secret"
    EMAIL = "email"
    CARD = "card"
    IBAN = "iban"
    NATIONAL_ID = "id number"
    PHONE = "phone"


KIND_WORDS = {
    Sensitive.SECRET: ("password, key or token", "passwords, keys or tokens"),
    Sensitive.EMAIL: ("e-mail address", "e-mail addresses"),
    Sensitive.CARD: ("card number", "card numbers"),
    Sensitive.IBAN: ("bank account (IBAN)", "bank accounts (IBAN)"),
    Sensitive.NATIONAL_ID: ("national id number", "national id numbers"),
    Sensitive.PHONE: ("phone number", "phone numbers"),
}
"""Kind -> one of it, several of it."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A piece of a text that is likely sensitive."""

    kind: Sensitive
    start: int
    end: int


MOST_CHARACTERS = 10_000_000
"""Of all documents so much is looked at, about two seconds."""
EXAMPLES = 3

Spans = Iterator[tuple[int, int]]

_EMAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9][\w.+%-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}"
    r"(?:[A-Za-z]{2,24}|xn--[A-Za-z0-9]{2,24})(?![\w@])"
)
_MACHINES = frozenset({"git", "ec2-user", "ubuntu", "root", "hadoop", "centos", "hg"})
"""Accounts of machines: `git@github.com` is no mailbox."""
_CARD = re.compile(r"(?<![\w.,/=+-])(?:\d{13,19}|\d{4}(?:[ -]\d{4}){3}|\d{4}[ -]\d{6}[ -]\d{5})(?![\w,-]|\.\d)")
_NETWORKS = re.compile(r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|6(?:011|5\d\d)\d{12}")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{1,4}){3,8}(?![A-Za-z0-9])")
_INTERNATIONAL = re.compile(r"(?<![\w+])(?<!\d )(?:\+|00)[1-9](?:[ ().\-/\u00a0]{0,2}\d){6,16}(?![\w])")
_GROUPED = re.compile(
    r"(?<![\w.,/+=#-])(?:\(\d{3}\) ?\d{3}[ .-]\d{4}|(?:1[ .-])?\d{3}[.-]\d{3}[.-]\d{4}"
    r"|0\d{2,4}[ -]\d{3,4}[ -]?\d{3,4})(?![\w-])"
)
_CALLED = re.compile(
    r"(?i)\b(?:phone|telephone|tel|mobile|cell|call|ring|text|fax|whatsapp|handy|telefon|mobil|téléphone|móvil|teléfono)"
    r"\b[^\d\n+]{0,24}((?:\(?\d\)?[ .\-/]{0,2}){7,15})(?![\w])"
)
_CALLED_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "IN", "AU", "BR")
_GROUPED_REGIONS = ("US", "GB")

_IDS: tuple[tuple[str, str], ...] = (
    (r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])", "us.ssn"),
    (r"\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b", "it.codicefiscale"),
    (r"(?<![\w-])\d{8}-?[A-HJ-NP-TV-Z](?![\w-])", "es.dni"),
    (r"\b[XYZ]-?\d{7}-?[A-HJ-NP-TV-Z]\b", "es.nie"),
    (r"(?<![\w.])\d{3}\.\d{3}\.\d{3}-\d{2}(?![\w-])", "br.cpf"),
    (r"(?<![\w-])[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?\d{2} ?\d{3} ?\d{3} ?\d{2}(?![\w-])", "fr.nir"),
    (r"(?<![\w-])\d{6}[-+A]\d{3}[0-9A-FHJ-NPR-Y](?![\w-])", "fi.hetu"),
    (r"(?<![\w.])756\.\d{4}\.\d{4}\.\d{2}(?![\w.])", "ch.ssn"),
    (r"(?i:\bnhs (?:number|no\.?)\W{0,3})(\d{3}[ -]?\d{3}[ -]?\d{4})(?![\w-])", "gb.nhs"),
    (r"(?i:\b(?:bsn|burgerservicenummer)\W{0,3})(\d{9})(?!\w)", "nl.bsn"),
    (r"(?i:\bpesel\W{0,3})(\d{11})(?!\w)", "pl.pesel"),
    (r"(?i:\b(?:steuer-?id|idnr|steueridentifikationsnummer)\W{0,3})(\d{2} ?\d{3} ?\d{3} ?\d{3})(?!\w)", "de.idnr"),
    (r"(?i:\baadhaar (?:number |no\.? )?\W{0,3})(\d{4} ?\d{4} ?\d{4})(?!\w)", "in_.aadhaar"),
)
"""Pattern -> module of python-stdnum. Bare digits count only behind the number's name."""
_COMPILED = tuple((re.compile(pattern), module) for pattern, module in _IDS)
_NINO = re.compile(r"\b(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b")
"""A UK National Insurance number; it has no check digit."""


def sensitive(text: str) -> tuple[Hit, ...]:
    """Find what is likely personal data or a secret, in the text's order; hits do not overlap."""
    found = [Hit(kind, *span) for kind, spans in _FINDERS.items() for span in spans(text)]
    kept: list[Hit] = []
    for hit in sorted(found, key=lambda one: (one.start, -one.end)):
        if not kept or hit.start >= kept[-1].end:
            kept.append(hit)
        else:  # two that overlap are one, of the graver kind
            kind = min(hit.kind, kept[-1].kind, key=list(Sensitive).index)
            kept[-1] = Hit(kind, kept[-1].start, max(hit.end, kept[-1].end))
    return tuple(kept)


def masked(text: str) -> str:
    """Put `[email]`, `[phone]`, `[card]`, `[iban]`, `[id number]` or `[secret]` in the place of what is found."""
    parts, end = [], 0
    for hit in sensitive(text):
        parts += [text[end : hit.start], f"[{hit.kind}]"]
        end = hit.end
    return "".join([*parts, text[end:]]) if parts else text


def masked_example(text: str, hit: Hit) -> str:
    """A hit so that its owner knows it again and nobody else learns it: `j…@e….com`, `+44…19`, `AK… (20 signs)`."""
    found = text[hit.start : hit.end]
    if hit.kind is Sensitive.EMAIL:
        name, _, host = found.partition("@")
        return f"{name[0]}…@{host[0]}….{host.rsplit('.', 1)[-1]}"
    if hit.kind is Sensitive.SECRET:
        return f"{found[:2]}… ({len(found)} signs)"
    return f"{found[:2]}…{found[-2:]}"


@dataclass(frozen=True, slots=True)
class Piece:
    """One text that would be trained on or read, and where it stands."""

    text: str
    place: str
    """For people: `line 3`, `corpus/a.txt`."""
    line: int | None = None
    file: str = ""


def row_pieces(cases: Sequence[Case]) -> list[Piece]:
    """Training rows, each with all its texts."""
    texts = ["\n".join((case.input, *case.accepted)) for case in cases]
    places = [f"line {case.line}" if case.line is not None else case.id for case in cases]
    return [Piece(text, place, case.line) for text, place, case in zip(texts, places, cases, strict=True)]


def document_pieces(documents: Sequence[Document]) -> list[Piece]:
    """Documents; of a large corpus evenly spaced ones, about `MOST_CHARACTERS` of them."""
    step = max(sum(len(document.text) for document in documents) // MOST_CHARACTERS, 1)
    return [
        Piece(f"{one.title}\n{one.text}", one.id if one.source.endswith(".jsonl") else one.source, file=one.source)
        for one in documents[::step]
    ]


def personal_problems(pieces: Sequence[Piece], *, file: str, what: str) -> Iterator[Problem]:
    """Yield a warning for each kind of personal data or secrets: how many, in how many pieces, masked examples.

    `file` names where the pieces come from, unless they say so themselves; `what` is what they are: `row`, `document`.
    """
    found: dict[Sensitive, list[tuple[Piece, Hit]]] = {}
    for piece in pieces:
        for hit in sensitive(piece.text):
            found.setdefault(hit.kind, []).append((piece, hit))
    for kind in (kind for kind in Sensitive if kind in found):
        yield _problem(found[kind], len(pieces), file=file, what=what)


def _problem(hits: Sequence[tuple[Piece, Hit]], of: int, *, file: str, what: str) -> Problem:
    kind, holders = hits[0][1].kind, list(dict.fromkeys(piece for piece, _ in hits))
    shown = dict.fromkeys(f"{masked_example(piece.text, hit)} ({piece.place})" for piece, hit in hits)
    noun = KIND_WORDS[kind][len(hits) != 1]
    todo = "take them out, and change those that are real" if kind is Sensitive.SECRET else "take them out or mask them"
    many = f"{len(hits):,} likely {noun} in {len(holders):,} of {of:,} {what}{'' if of == 1 else 's'}"
    examples = ", ".join(list(shown)[:EXAMPLES])
    message = f"{many}, such as {examples}; a model that learns or reads them can repeat them: {todo}"
    return Problem("warning", message, holders[0].file or file, holders[0].line)


def _emails(text: str) -> Spans:
    if "@" in text:
        yield from (found.span() for found in _EMAIL.finditer(text) if found[0].split("@")[0] not in _MACHINES)


def _cards(text: str) -> Spans:
    if not _has_digits(text):
        return
    from stdnum import luhn

    for found in _CARD.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if _NETWORKS.fullmatch(digits) and len(set(digits)) > 1 and luhn.is_valid(digits):
            yield found.span()


def _ibans(text: str) -> Spans:
    if not _has_digits(text):
        return
    from stdnum import iban

    for found in _IBAN.finditer(text):
        cuts = [found.end(), *(found.start() + at.start() for at in re.finditer(r"[ -]", found[0]))]
        ends = sorted((end for end in cuts if end - found.start() >= 15), reverse=True)
        end = next((end for end in ends if iban.is_valid(text[found.start() : end])), None)
        if end is not None:
            yield found.start(), end


def _phones(text: str) -> Spans:
    if not _has_digits(text):
        return
    for pattern, regions in ((_INTERNATIONAL, (None,)), (_GROUPED, _GROUPED_REGIONS), (_CALLED, _CALLED_REGIONS)):
        for found in pattern.finditer(text):
            group = pattern.groups
            if _is_phone(found[group], regions):
                yield found.start(group), found.start(group) + len(found[group].rstrip(" .-/("))


def _is_phone(number: str, regions: Sequence[str | None]) -> bool:
    import phonenumbers

    for region in regions:
        try:
            plain = re.sub(r"^00", "+", number) if region is None else number
            parsed = phonenumbers.parse(plain, region)
            written = (
                number.startswith("+") and re.search(r"\d[ .-]", number) and phonenumbers.is_possible_number(parsed)
            )
            if written or phonenumbers.is_valid_number(parsed):
                return True
        except phonenumbers.NumberParseException:
            continue
    return False


def _ids(text: str) -> Spans:
    if not _has_digits(text):
        return
    for pattern, module in _COMPILED:
        for found in pattern.finditer(text):
            if import_module(f"stdnum.{module}").is_valid(found[pattern.groups]):
                yield found.span(pattern.groups)
    yield from (found.span() for found in _NINO.finditer(text))


def _has_digits(text: str) -> bool:
    """Whether there are seven digits at all: the fewest of any number that is looked for."""
    return sum(map(text.count, "0123456789")) >= 6


_FINDERS: dict[Sensitive, Callable[[str], Spans]] = {
    Sensitive.SECRET: secret_spans,
    Sensitive.EMAIL: _emails,
    Sensitive.CARD: _cards,
    Sensitive.IBAN: _ibans,
    Sensitive.NATIONAL_ID: _ids,
    Sensitive.PHONE: _phones,
}
