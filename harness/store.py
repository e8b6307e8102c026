"""The run folder: written as the run goes, read by everything after it.

    run.json           what this run is (its key); written first, never changed
    scenario.json cases.jsonl rule.json provenance.json plan.json advice.json (where something was advised)
    recipes/ARM.json   adapters/ARM/   passages.jsonl
    predictions.jsonl  one line a case and arm, appended and flushed batch by batch
    measurements.jsonl latency.jsonl usage.jsonl left_out.json
    experiments/NAME/VARIANT/   the same files again, for one arm under one condition; findings.json: what they came to
    scores.json verdict.json report.md report.html

Whole files are written beside their place and renamed; appended files may end in a torn line after a crash, which is
cut off when the folder is opened for writing.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import filelock
import msgspec

from harness.errors import RunFolderError
from harness.records import (
    SCHEMA_VERSION,
    AdviceRelation,
    ArmScore,
    Comparison,
    Finding,
    LatencySample,
    LeftOut,
    Measurement,
    OtherVerdict,
    Passage,
    Prediction,
    Provenance,
    Recipe,
    SeedSpread,
    Standing,
    Stopped,
    StoredScenario,
    Usage,
    Verdict,
    VerdictKind,
)
from harness.scenario import Case, DecisionRule, StatedAdvice

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredRule:
    """The decision rule with the digest that was fixed before the first prediction."""

    rule: DecisionRule
    digest: str


@dataclass(frozen=True, slots=True)
class RunKey:
    """What a run is: the same key means that the same predictions would be made."""

    key: str
    parts: dict[str, str]
    """Digest or value of each part, so that a difference can be named."""
    name: str
    created: str
    place: str = ""
    """The scenario's folder."""
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """The format that a run folder was written in; the rest of its record may be of another shape."""

    schema_version: int | None = None


@dataclass(frozen=True, slots=True)
class ScoreEntry:
    """An arm's score in `verdict.json`."""

    value: float
    low: float
    high: float
    n: int
    failed: int


@dataclass(frozen=True, slots=True)
class VerdictFile:
    """`verdict.json`: the verdict as others script against it, its scores by arm, best first."""

    schema_version: int
    kind: VerdictKind
    arm: str | None
    tied: tuple[str, ...]
    metric: str
    margin: float
    alpha: float
    scores: dict[str, ScoreEntry]
    comparisons: tuple[Comparison, ...]
    left_out: tuple[LeftOut, ...]
    rule_digest: str
    advice: AdviceRelation
    sentences: tuple[str, ...]
    cases_needed: int | None
    notes: tuple[str, ...] = ()
    exploratory: tuple[str, ...] = ()
    stopped: tuple[Stopped, ...] = ()
    seeds: tuple[SeedSpread, ...] = ()
    axes: tuple[Comparison, ...] = ()
    under_other_metrics: tuple[OtherVerdict, ...] = ()
    standing: Standing | None = None

    @classmethod
    def of(cls, verdict: Verdict) -> VerdictFile:
        """The public form of a verdict."""
        fields = {field: getattr(verdict, field) for field in cls.__dataclass_fields__ if field != "scores"}
        scores = {s.arm: ScoreEntry(s.value, s.low, s.high, s.n, s.failed) for s in verdict.scores}
        return cls(scores=scores, **fields)

    def record(self) -> Verdict:
        """The verdict behind it."""
        fields = {field: getattr(self, field) for field in self.__dataclass_fields__ if field != "scores"}
        scores = tuple(
            ArmScore(arm, self.metric, s.value, s.low, s.high, s.n, s.failed) for arm, s in self.scores.items()
        )
        return Verdict(scores=scores, **fields)


class RunFolder:
    """A run folder, for reading and writing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    # whole records

    def write(self, name: str, record: object) -> None:
        """Write a record as indented JSON, all or nothing."""
        data = msgspec.json.format(msgspec.json.encode(record), indent=1)
        write_whole(self.path / name, data + b"\n")

    def read(self, name: str, kind: type[T]) -> T:
        """Read a record.

        Raises:
            RunFolderError: it is missing or damaged.
        """
        path = self.path / name
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError as error:
            raise RunFolderError(
                f"{self.path} is not a finished run: {name} is missing. Run `bakeoff run` with --out {self.path} to "
                "complete it, or name another folder (`bakeoff history` lists them)."
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RunFolderError(f"{path} is damaged: {error}. Restore it or start the run afresh.") from error

    def has(self, name: str) -> bool:
        """Whether this file is there."""
        return (self.path / name).exists()

    def scenario(self) -> StoredScenario:
        """The scenario as it was run."""
        return self.read("scenario.json", StoredScenario)

    def rule(self) -> StoredRule:
        """The rule, checked against its digest.

        Raises:
            RunFolderError: the rule was changed after it had been fixed.
        """
        stored = self.read("rule.json", StoredRule)
        if stored.rule.digest != stored.digest:
            raise RunFolderError(
                f"The decision rule in {self.path / 'rule.json'} was changed after the run had begun: it was fixed as "
                f"{stored.digest[:12]}…, now it is {stored.rule.digest[:12]}…. Put it back, or start another run."
            )
        return stored

    def advice(self) -> StatedAdvice | None:
        """What was advised before the run, checked against the run's key; None where nothing was advised then.

        Raises:
            RunFolderError: the advice was changed after it had been fixed.
        """
        fixed = self.key().parts.get("advice") if self.has("run.json") else None
        if fixed is None:
            return None
        stated = self.read("advice.json", StatedAdvice)
        if stated.digest != fixed:
            raise RunFolderError(
                f"The advice in {self.path / 'advice.json'} was changed after the run had begun: it was fixed as "
                f"{fixed[:12]}…, now it is {stated.digest[:12]}…. Put it back, or start another run."
            )
        return stated

    def key(self) -> RunKey:
        """What this run is."""
        return self.read("run.json", RunKey)

    def provenance(self) -> Provenance:
        """Where and with what it was made."""
        return self.read("provenance.json", Provenance)

    def left_out(self) -> tuple[LeftOut, ...]:
        """Arms that did not take part."""
        return self.read("left_out.json", tuple[LeftOut, ...]) if self.has("left_out.json") else ()

    def recipes(self) -> tuple[Recipe, ...]:
        """What each arm settled."""
        files = sorted((self.path / "recipes").glob("*.json"))
        return tuple(self.read(f"recipes/{file.name}", Recipe) for file in files)

    def recipe(self, arm: str) -> Recipe | None:
        """What this arm settled, or None where it has not yet."""
        return self.read(f"recipes/{arm}.json", Recipe) if self.has(f"recipes/{arm}.json") else None

    def scores(self) -> tuple[ArmScore, ...]:
        """All scores of all arms."""
        return self.read("scores.json", tuple[ArmScore, ...])

    def write_verdict(self, verdict: Verdict) -> None:
        """Write `verdict.json` in its public form."""
        self.write("verdict.json", VerdictFile.of(verdict))

    def verdict(self) -> Verdict:
        """The verdict."""
        return self.read("verdict.json", VerdictFile).record()

    # lines

    def cases(self) -> tuple[Case, ...]:
        """The eval cases."""
        if not self.has("cases.jsonl"):
            self.read("cases.jsonl", Case)  # raises the sentence for a missing file
        return tuple(self._lines("cases.jsonl", Case))

    def predictions(self) -> dict[str, dict[str, Prediction]]:
        """Arm -> case id -> prediction."""
        found: dict[str, dict[str, Prediction]] = {}
        for prediction in self._lines("predictions.jsonl", Prediction):
            found.setdefault(prediction.arm, {}).setdefault(prediction.case_id, prediction)
        return found

    def passages(self) -> dict[str, Passage]:
        """Retrieved passages by id."""
        return {p.id: p for p in self._lines("passages.jsonl", Passage)}

    def measurements(self) -> tuple[Measurement, ...]:
        """Per-case values that needed a model."""
        return tuple(self._lines("measurements.jsonl", Measurement))

    def latency(self) -> tuple[LatencySample, ...]:
        """Requests timed one by one."""
        return tuple(self._lines("latency.jsonl", LatencySample))

    def usage(self) -> tuple[Usage, ...]:
        """What each stage of each arm took."""
        return tuple(self._lines("usage.jsonl", Usage))

    def stopped(self) -> tuple[Stopped, ...] | None:
        """Arms that were stopped early; None where no arm could have been."""
        return self.read("stopped.json", tuple[Stopped, ...]) if self.has("stopped.json") else None

    def findings(self) -> tuple[Finding, ...]:
        """What the experiments found."""
        return self.read("findings.json", tuple[Finding, ...]) if self.has("findings.json") else ()

    def append(self, name: str, records: Sequence[object]) -> None:
        """Append records in one write, and have them on disk before returning."""
        if not records:
            return
        data = b"".join(msgspec.json.encode(record) + b"\n" for record in records)
        with (self.path / name).open("ab") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())

    def write_lines(self, name: str, records: Iterable[object]) -> None:
        """Write a file of lines, all or nothing."""
        write_whole(self.path / name, b"".join(msgspec.json.encode(record) + b"\n" for record in records))

    def lines(self, name: str, kind: type[T]) -> tuple[T, ...]:
        """All records of a file of lines; none where it is not there."""
        return tuple(self._lines(name, kind))

    def _lines(self, name: str, kind: type[T]) -> Iterator[T]:
        path = self.path / name
        if not path.exists():
            return
        decoder = msgspec.json.Decoder(kind)
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.endswith(b"\n"):  # torn by a crash: the batch in flight
                    return
                try:
                    yield decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    raise RunFolderError(
                        f"{path}:{number} is damaged: {error}. Restore the file or delete that line."
                    ) from error

    def mend(self) -> None:
        """Cut torn last lines off the appended files."""
        for name in ("predictions.jsonl", "passages.jsonl", "measurements.jsonl", "latency.jsonl", "usage.jsonl"):
            cut_torn_line(self.path / name)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for writing; the lock goes with the process, however it ends.

        Raises:
            RunFolderError: another process holds it.
        """
        lock = filelock.FileLock(self.path / ".lock")
        try:
            with lock.acquire(timeout=0):
                yield
        except filelock.Timeout as error:
            raise RunFolderError(
                f"Another bakeoff is writing to {self.path}. Wait for it, or name another folder with --out."
            ) from error


def open_run(path: Path) -> RunFolder:
    """A run folder to read.

    Raises:
        RunFolderError: there is no run.
    """
    folder = RunFolder(path)
    if not path.is_dir() or not folder.has("run.json"):
        raise RunFolderError(
            f"{path} is not a run folder (expected a folder with run.json, as `bakeoff run` makes them). "
            "`bakeoff history` lists the runs."
        )
    version = folder.read("run.json", SchemaVersion).schema_version
    if version != SCHEMA_VERSION:
        raise RunFolderError(
            f"{path} was written in format {version}; this bakeoff reads format {SCHEMA_VERSION}. Use the version of "
            "bakeoff that made it."
        )
    return folder


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that after a crash it is the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    Path(stream.name).replace(path)


def cut_torn_line(path: Path) -> None:
    """Truncate a file of lines after its last whole line."""
    if not path.exists():
        return
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        with path.open("r+b") as stream:
            stream.truncate(data.rfind(b"\n") + 1)
