"""`scenario.toml` -> settings, and every problem in it with its line. All settings are optional."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec

from harness.given import CannotRead, parse_toml, read_whole
from harness.jsonl import encoding_fault
from harness.records import CONTROL, LADDER
from harness.scenario import (
    EXPERIMENTS,
    NO_JUDGE,
    NO_WISH,
    Criteria,
    JudgeWish,
    Kind,
    Problem,
    StatedAdvice,
    TuningWish,
)
from harness.scenario_file.advice import read_advice, shown
from harness.scenario_file.budget import EXPECTED, error_budget
from harness.scenario_file.endpoint import CHECKS as ENDPOINT_CHECKS
from harness.scenario_file.endpoint import EndpointSettings
from harness.scenario_file.stores import store_fault

KNOWN_ARMS = (CONTROL, *LADDER)
JUDGE_KEYS = {
    "endpoint": "url",
    **{name: name for name in ("key_variable", "price_in", "price_out", "currency", "max_cost")},
}
"""Key of `[judge]` -> the key of `[endpoint]` that is checked alike."""
_TABLES = ("rule", "files", "tuning", "experiments", "judge", "criteria", "endpoint")
RESERVED = ("advice",)
"""Tables that are read elsewhere (`scenario_file.advice`)."""

MOST_FAULTS = 50
"""Faults of one file that are told."""

Check = Callable[[object], str | None]
"""Says what is wrong with a value (without its name), or None."""

Checks = dict[str, dict[str, Check]]
"""Table ('' = top) -> setting -> check."""


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """The `[rule]` table."""

    metric: str | None = None
    margin: float | str | None = None
    """A number, or `pays`: the smallest gain that pays, as `advise` worked it out."""
    alpha: float | None = None
    fewest_cases: int | None = None
    target: float | None = None
    resamples: int | None = None


@dataclass(frozen=True, slots=True)
class FileSettings:
    """The `[files]` table; paths are relative to the folder of `scenario.toml`."""

    eval: str | None = None
    train: str | None = None
    corpus: str | None = None


@dataclass(frozen=True, slots=True)
class ExperimentSettings:
    """The `[experiments]` table: which are on, and how much they may take."""

    seeds: int | None = None
    cases: int | None = None
    stop_early: bool = False
    learning_curve: bool = False
    facts_change: bool = False
    harm: bool = False
    consistency: bool = False
    documents_in_weights: bool = False
    retrieval: bool = False
    form: bool = False
    tuned_embedder: bool = False
    full_tuning: bool = False
    classifier: bool = False
    judge: bool = False
    orders: bool = False

    @property
    def run(self) -> tuple[str, ...]:
        """Names of those that are on."""
        return tuple(name for name in EXPERIMENTS if getattr(self, name))


@dataclass(frozen=True, slots=True)
class Settings:
    """What a `scenario.toml` says; None where it says nothing."""

    name: str | None = None
    kind: Kind | None = None
    instruction: str | None = None
    labels: tuple[str, ...] | None = None
    keys: tuple[str, ...] | None = None
    held_to_labels: bool = False
    held_to_schema: bool = False
    repair: bool = False
    arms: tuple[str, ...] | None = None
    max_new_tokens: int | None = None
    max_errors: int | str | None = None
    request_seconds: int | None = None
    seed: int | None = None
    model: str | None = None
    embedder: str | None = None
    reranker: str | None = None
    vector_store: str | None = None
    rule: RuleSettings = RuleSettings()
    files: FileSettings = FileSettings()
    tuning: TuningWish = NO_WISH
    experiments: ExperimentSettings = ExperimentSettings()
    judge: JudgeWish = NO_JUDGE
    criteria: Criteria | None = None
    endpoint: EndpointSettings | None = None
    advice: StatedAdvice | None = None


def read_settings(path: Path, *, known_arms: Iterable[str] = KNOWN_ARMS) -> tuple[Settings, tuple[Problem, ...]]:
    """Read and check the file. Settings that are wrong are left out of the result and are errors in the second part."""
    try:
        text = _decode(read_whole(path))
        values = parse_toml(text)
    except CannotRead as error:
        return Settings(), (Problem("error", f"the file {error}", path.name),)
    except tomllib.TOMLDecodeError as error:
        return Settings(), (_broken(error, path.name),)
    except ValueError as error:
        return Settings(), (Problem("error", str(error), path.name),)
    checks = _checks(tuple(known_arms))
    faults = list(islice(_faults(values, checks=checks), 10 * MOST_FAULTS))
    advice, wrong = read_advice(values.get("advice"))
    faults += [_Fault(*fault) for fault in wrong]
    problems = [
        Problem("error", fault.message, path.name, line_of(text, fault.key, table=fault.table))
        for fault in faults[:MOST_FAULTS]
    ]
    if len(faults) > MOST_FAULTS:
        problems.append(Problem("error", f"{len(faults) - MOST_FAULTS} more settings are wrong", path.name))
        return Settings(), tuple(problems)
    settings = _settings(values, checks=checks, wrong={(fault.table, fault.key) for fault in faults})
    return replace(settings, advice=advice), tuple(problems)


def line_of(text: str, key: str, *, table: str = "") -> int | None:
    """Find the line (from 1) that sets `key` in `table` ('' = top) or opens it as a table; None where none is found."""
    current = ""
    for number, whole in enumerate(islice(text.splitlines(), 5_000), start=1):
        line = whole[:200]
        header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line)
        if header:
            current = header[1].strip("\"'")
            if current == (f"{table}.{key}" if table else key):
                return number
        elif current == table and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
    return None


def arm_fault(arms: Iterable[str], *, known_arms: Iterable[str]) -> str | None:
    """Say which arms are not known, with the closest known names."""
    known = tuple(known_arms)
    unknown = [arm for arm in arms if arm not in known]
    if not unknown:
        return None
    return "; ".join(f"unknown arm {shown(arm)}{did_you_mean(arm, known)}" for arm in unknown[:10])


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """End a sentence on an unknown word: the closest option, else all of them."""
    known = tuple(options)
    close = difflib.get_close_matches(word[:100], known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"


@dataclass(frozen=True, slots=True)
class _Fault:
    table: str
    key: str
    message: str


def _decode(data: bytes) -> str:
    fault = encoding_fault(data[:4096])
    if fault:
        raise ValueError(f"{fault}; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"not UTF-8: byte 0x{data[error.start]:02X} on line {line}; save it as UTF-8") from None


def _broken(error: tomllib.TOMLDecodeError, name: str) -> Problem:
    place = re.search(r"\s*\(at line (\d+), column (\d+)\)", str(error))
    if not place:
        return Problem("error", f"broken TOML: {error}; texts need double quotes", name)
    message = str(error).replace(place[0], "")
    return Problem(
        "error", f"broken TOML at column {place[2]}: {message}; texts need double quotes", name, int(place[1])
    )


def _faults(values: Mapping[str, object], *, checks: Checks) -> Iterator[_Fault]:
    for key, value in values.items():
        if key in RESERVED:
            continue
        if key not in _TABLES:
            yield from _key_faults(key, value, table="", checks=checks)
        elif not isinstance(value, dict):
            yield _Fault("", key, f"{key!r} must be a table: write [{key}] on a line of its own, its settings below")
        else:
            for inner, setting in value.items():
                yield from _key_faults(inner, setting, table=key, checks=checks)


def _key_faults(key: str, value: object, *, table: str, checks: Checks) -> Iterator[_Fault]:
    place = f"{table}.{key[:60]}" if table else key[:60]
    if key not in checks[table]:
        yield _Fault(table, key, f"unknown setting {place!r}{_where_to(key, table=table, checks=checks)}")
        return
    fault = checks[table][key](value)
    if fault:
        yield _Fault(table, key, f"{place!r} {fault}")


def _where_to(key: str, *, table: str, checks: Checks) -> str:
    """Say where an unknown setting belongs, or what it may have been meant to be."""
    home = next((other for other in checks if other != table and key in checks[other]), None)
    if home is not None:
        return f"; it belongs below [{home}]" if home else "; it belongs at the top, above all tables"
    return did_you_mean(key, checks[table] if table else (*checks[""], *_TABLES, *RESERVED))


def _settings(values: Mapping[str, object], *, checks: Checks, wrong: set[tuple[str, str]]) -> Settings:
    """Build the record of what passed; msgspec only turns lists into tuples and text into `Kind` here."""
    good: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, dict) and key in checks:
            good[key] = {inner: setting for inner, setting in value.items() if (key, inner) not in wrong}
        elif ("", key) not in wrong and key in checks[""]:
            good[key] = value
    return msgspec.convert(good, type=Settings)


# What each setting may be


def _checks(known_arms: tuple[str, ...]) -> Checks:
    return {
        "": {
            "name": _text,
            "kind": partial(_one_of, options=[kind.value for kind in Kind]),
            "instruction": _text,
            "labels": _texts,
            "keys": _texts,
            "held_to_labels": _flag,
            "held_to_schema": _flag,
            "repair": _flag,
            "arms": partial(_arms, known_arms=known_arms),
            "max_new_tokens": partial(_whole, low=1),
            "max_errors": _budget,
            "request_seconds": partial(_whole, low=1),
            "seed": partial(_whole, low=0),
            "model": _text,
            "embedder": _text,
            "reranker": _text,
            "vector_store": store_fault,
        },
        "rule": {
            "metric": _text,
            "margin": _margin,
            "alpha": partial(_share, what="0.05 is the usual one", open_ends=True),
            "fewest_cases": partial(_whole, low=1),
            "target": partial(_share, what="0.8 is 80 points"),
            "resamples": partial(_whole, low=2_000),
        },
        "files": {"eval": _text, "train": _text, "corpus": _text},
        "tuning": {
            "epochs": partial(_whole, low=1),
            "rank": partial(_whole, low=1),
            "learning_rate": partial(_share, what="0.0005 is a usual one", open_ends=True),
            "sweep": partial(_whole, low=2),
            "bits": _four,
            "processes": _processes,
        },
        "experiments": {
            "seeds": partial(_whole, low=1),
            "cases": partial(_whole, low=10),
            "stop_early": _flag,
            **dict.fromkeys(EXPERIMENTS, _flag),
        },
        "judge": {
            "model": _text,
            **{key: ENDPOINT_CHECKS[name] for key, name in JUDGE_KEYS.items()},
        },
        "criteria": dict.fromkeys(("quality", "cost", "latency", "freshness", "risk"), _weight),
        "endpoint": dict(ENDPOINT_CHECKS),
    }


def _text(value: object) -> str | None:
    if not isinstance(value, str):
        return f"must be a text in double quotes; got {shown(value)}"
    return None if value.strip() else "is empty; write a text, or take the line out"


def _four(value: object) -> str | None:
    if value == 4 and isinstance(value, int):
        return None
    return f"must be 4 (the weights are held in four bits), or be left out; got {shown(value)}"


def _processes(value: object) -> str | None:
    fault = None if value == "auto" else _whole(value, low=1)
    return f'{fault}; or write "auto" for as many as there are GPUs where one is too small' if fault else None


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else f"must be true or false; got {shown(value)}"


def _budget(value: object) -> str | None:
    return None if error_budget(value) is not None else f"cannot be read; {EXPECTED}; got {shown(value)}"


def _margin(value: object) -> str | None:
    if value == "pays":
        return None
    fault = _share(value, what="0.05 is five points")
    return f'{fault}; or write "pays" for the smallest gain that pays' if isinstance(value, str) else fault


def _weight(value: object) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1e9:
        return None
    return f"must be a number from 0 to a thousand millions (only the proportions count); got {shown(value)}"


def _texts(value: object) -> str | None:
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        return f'must be a list of texts such as ["a", "b"]; got {shown(value)}'
    if not value:
        return "is an empty list; name at least one, or take the line out"
    twice = sorted(item for item, n in Counter(value).items() if n > 1)
    return f"names {', '.join(map(shown, twice[:10]))} twice; each may stand once" if twice else None


def _arms(value: object, *, known_arms: tuple[str, ...]) -> str | None:
    fault = _texts(value)
    if fault or not isinstance(value, list):
        return fault
    unknown = arm_fault(value, known_arms=known_arms)
    return f"names an {unknown}" if unknown else None


def _one_of(value: object, *, options: list[str]) -> str | None:
    if isinstance(value, str) and value in options:
        return None
    hint = did_you_mean(value, options) if isinstance(value, str) else ""
    return f"must be one of {', '.join(options)}; got {shown(value)}{hint if 'mean' in hint else ''}"


def _whole(value: object, *, low: int) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and low <= value < 2**63:
        return None
    return f"must be a whole number, {low} or more; got {shown(value)}"


def _share(value: object, *, what: str, open_ends: bool = False) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        inside = 0 < value < 1 if open_ends else 0 <= value <= 1
        if inside:
            return None
    return f"must be a number between 0 and 1 ({what}); got {shown(value)}"
