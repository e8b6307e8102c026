"""What a run folder says of its batches: every stage of each, noted in `batches.jsonl` before the next begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

FILE = "batches.jsonl"
NEVER_BEGUN = "never begun"


class Worst(NamedTuple):
    """Tokens of one request in the worst case."""

    read: int
    written: int
    tuned: bool = False
    """A tuned model was asked, whose prices may be others."""


@dataclass(frozen=True, slots=True)
class BatchNote:
    """One stage of a batch, a line of `batches.jsonl`; or names of models (`called`), which are of no batch."""

    mark: str
    """A random sign, drawn before anything is sent; the batch carries it as metadata."""
    stage: Literal["planned", "uploaded", "begun", "settled", "deleted", "called"]
    arm: str = ""
    file: str = ""
    """The endpoint's id of the file of requests."""
    batch: str = ""
    """The endpoint's id of the batch."""
    status: str = ""
    """How it ended."""
    requests: dict[str, Worst] = field(default_factory=dict)
    """Custom id, which is the digest of the request -> its worst case; in the first line of a batch."""
    failures: dict[str, str] = field(default_factory=dict)
    """Custom id -> why there is no answer."""
    files: tuple[str, ...] = ()
    """Its files at the endpoint: those to be deleted once it is settled; those that stay where it is deleted."""
    called: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Model asked for -> what the endpoint calls what answers single requests to it."""

    def then(self, later: BatchNote) -> BatchNote:
        """All that is known after a later stage."""
        return replace(
            self,
            stage=later.stage,
            arm=later.arm or self.arm,
            file=later.file or self.file,
            batch=later.batch or self.batch,
            requests=later.requests or self.requests,
            files=later.files,
        )

    @property
    def file_name(self) -> str:
        """Name under which its requests are sent."""
        return f"bakeoff-{self.mark[:16]}.jsonl"


@dataclass(slots=True)
class Noted:
    """All that was noted in a run folder."""

    batches: dict[str, BatchNote] = field(default_factory=dict)
    """Mark -> the batch as it is now."""
    failures: dict[str, str] = field(default_factory=dict)
    called: dict[str, set[str]] = field(default_factory=dict)


def read_notes(notes: Iterable[BatchNote]) -> Noted:
    """What the lines of `batches.jsonl` come to."""
    found = Noted()
    for note in notes:
        for model, names in note.called.items():
            found.called.setdefault(model, set()).update(names)
        found.failures.update(note.failures)
        if note.mark:
            before = found.batches.get(note.mark)
            found.batches[note.mark] = note if before is None else before.then(note)
    return found
