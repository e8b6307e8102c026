"""How much memory and disk a run will take, and whether there is enough: said before anything costs anything.

The constants are fitted to measured runs of a model of 135 million parameters on a processor
(`tests/experiment/test_resources.py` holds those figures); sizes that follow from the network grow with a power of its
weights below 1, because weights grow with the square of the width and activations with the width.
"""

from __future__ import annotations

import math
import shutil
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from harness.engines.local import Engine, LocalEngine
from harness.errors import UserError
from harness.experiment.probes.base import TUNED
from harness.experiment.probes.learning_curve import SHARES
from harness.experiment.probes.seeds import seeds_wanted
from harness.models.bundled import cache_folder
from harness.models.device import device_memory, machine
from harness.models.shape import Shape
from harness.publish import numbers
from harness.retrieval.index import MOST_EXACT
from harness.scenario import Case, Scenario
from harness.spool import Spooled
from harness.tuning.memory import USABLE, Parts, answering, lora

MEASURED_MB = 281.0
"""Weights of the model that the constants were fitted on."""

# Memory, MiB

LIBRARIES = 900
WEIGHTS_HELD = 1.57
"""Weights, and their copy in the matrix unit's layout as far as it is used."""
ANSWERING = 600
"""Activations and kept keys and values of a batch being answered."""
TUNING = 2_000
"""Activations and gradients of a training step of 1,000 tokens ..."""
TUNING_GROWS = 0.7
"""... which grow with this power of the step's tokens."""
STEP_ROWS, STEP_TOKENS = 16, 2_048
AGAIN, MOST_AGAIN = 0.03, 0.4
"""Share that each further training adds (memory comes back to the allocator in pieces), and the most that all add."""
FULL_WEIGHTS = 9.0
"""Full tuning: master weights, gradients and the optimiser's two moments, in float32."""
DOCUMENTS_IN_WEIGHTS = 1_000
EMBEDDER_TUNED = {True: 2_600, False: 1_300}
"""With documents to learn from, and with short training inputs only."""
TEXT_BYTES = 12.0
"""Bytes held a character of documents: read, cut, and the word index (tests/bench/streaming.py)."""
PASSAGE_BYTES = 384 * 4 + 500
"""Vector and record of one passage."""
PASSAGE_CHARACTERS = 600
LARGE_CORPUS, LARGE_PASSAGE = 300.0, 120.0
"""Of documents that are kept on disk: MiB that do not grow, and bytes a passage that do (tests/bench/streaming.py)."""
LARGE_DISK = 2 * PASSAGE_CHARACTERS + 384 * 3 + 1_000
"""Bytes a passage that these take in the cache: documents, passages, vectors, both indexes."""

# Disk, MiB

ADAPTER = 9.4
"""Of rank 16, for the measured model."""
EMBEDDER = 87.0
SLIGHT = 1.2
"""Reports and records of a run."""
EXPERIMENT = 0.5
ROW_BYTES = 450
"""Of a prediction with its measurements."""
PASSAGE_TOKENS = 200
KEPT_ADAPTERS = 30

CLEARLY = 0.5
"""Below this share of what is needed there is clearly too little disk."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a run takes, in MiB."""

    memory_mb: float
    """Largest memory of the process."""
    disk_mb: float
    """The run folder."""
    cache_mb: float
    """What is kept beside it for later runs: adapters and vectors."""


@dataclass(frozen=True, slots=True)
class Room:
    """What is free, in MiB; None where the system does not say."""

    memory_mb: float
    disk_mb: float | None
    cache_mb: float | None
    shared: bool
    """The run folder and the cache lie on the same disk."""


def needs(
    scenario: Scenario, arms: Sequence[str], experiments: Sequence[str], *, quick: bool, weights_mb: float
) -> Needs:
    """What a run of these arms and experiments takes."""
    trainings = _trainings(scenario, arms, experiments, quick=quick)
    kept = sum(trainings.values())
    size = _size(weights_mb)
    adapter = ADAPTER * size * (scenario.tuning.rank or 16) / 16
    vectors = _passages(scenario) * (LARGE_DISK if _is_large(scenario) else 384 * 4) / 2**20
    disk = SLIGHT + kept * adapter + EXPERIMENT * len(experiments)
    disk += len(scenario.cases) * len(arms) * ROW_BYTES / 2**20
    disk += sum(len(case.input) + len(case.output) for case in scenario.cases) / 2**20
    disk += weights_mb if "full_tuning" in experiments else 0.0
    disk += EMBEDDER if "tuned_embedder" in experiments else 0.0
    return Needs(
        memory_mb=round(_memory(scenario, arms, experiments, trainings=trainings, weights_mb=weights_mb)),
        disk_mb=round(disk, 1),
        cache_mb=round(min(KEPT_ADAPTERS, kept) * adapter + vectors, 1),
    )


def _size(weights_mb: float) -> float:
    """How much larger than the measured model's what grows with the network's width is."""
    return float(max(0.1, weights_mb / MEASURED_MB) ** 0.6)


def _trainings(
    scenario: Scenario, arms: Sequence[str], experiments: Sequence[str], *, quick: bool
) -> Mapping[str, int]:
    """Adapters trained: by the arms, and by each experiment that trains."""
    tuned = sum(arm in TUNED for arm in arms)
    each = {
        "learning_curve": len(SHARES) * tuned,
        "facts_change": tuned,
        "documents_in_weights": 1,
    }
    further = {name: count for name, count in each.items() if name in experiments}
    return {"arms": tuned, "seeds": (seeds_wanted(scenario, quick=quick) - 1) * tuned, **further}


def _memory(
    scenario: Scenario,
    arms: Sequence[str],
    experiments: Sequence[str],
    *,
    trainings: Mapping[str, int],
    weights_mb: float,
) -> float:
    size = _size(weights_mb)
    base = LIBRARIES + WEIGHTS_HELD * weights_mb + _corpus(scenario)
    steps = [_step_tokens(scenario, with_passages=arm == "rag_lora") for arm in arms if arm in TUNED]
    tuning = max((TUNING * size * (step / 1_000) ** TUNING_GROWS for step in steps), default=0.0)
    further = sum(trainings.values()) - trainings["arms"]
    peak = (base + max(tuning, ANSWERING * size)) * (1 + min(MOST_AGAIN, AGAIN * further))
    return peak + max(_beside(scenario, experiments, weights_mb=weights_mb), default=0.0)


def _beside(scenario: Scenario, experiments: Sequence[str], *, weights_mb: float) -> Iterator[float]:
    """What the large experiments take beside; they run one after the other."""
    if "full_tuning" in experiments:
        yield FULL_WEIGHTS * weights_mb
    if "documents_in_weights" in experiments:
        yield DOCUMENTS_IN_WEIGHTS * _size(weights_mb)
    if "tuned_embedder" in experiments:
        yield EMBEDDER_TUNED[bool(scenario.documents)]


def _step_tokens(scenario: Scenario, *, with_passages: bool) -> float:
    """Tokens of one training step: the rows, and the instruction that they share."""
    rows: Sequence[Case] = scenario.train or scenario.cases
    row = statistics.fmean(len(case.input) + len(case.output) for case in rows) / 4 + 12
    row += 2 * PASSAGE_TOKENS if with_passages else 0
    return min(STEP_TOKENS, len(scenario.instruction) / 4 + 30 + STEP_ROWS * row)


def _passages(scenario: Scenario) -> float:
    return sum(max(1.0, len(document.text) / PASSAGE_CHARACTERS) for document in scenario.documents)


def _is_large(scenario: Scenario) -> bool:
    """Whether its documents, or their passages, are kept on disk."""
    return isinstance(scenario.documents, Spooled) or _passages(scenario) > MOST_EXACT


def _corpus(scenario: Scenario) -> float:
    if _is_large(scenario):
        return LARGE_CORPUS + LARGE_PASSAGE * _passages(scenario) / 2**20
    characters = sum(len(document.text) for document in scenario.documents)
    return (TEXT_BYTES * characters + PASSAGE_BYTES * _passages(scenario)) / 2**20


# What fits the device


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether one kind of work fits the device's memory; MiB."""

    what: str
    needs_mb: float
    there_mb: float
    device: str
    parts: tuple[tuple[str, float], ...]
    advice: str
    """What would make it fit; empty where it does."""

    @property
    def fits(self) -> bool:
        """Whether it is expected to."""
        return not self.advice


OF_DEVICE = {"cuda": "the GPU has", "mps": "this machine has", "cpu": "this machine has"}
ROWS, MOST_TOKENS = 32, 65_536
"""Prompts that are answered together, and the most tokens of them."""
CASE_TOKENS = 30 + 2 * PASSAGE_TOKENS
"""Of a prompt, beside the instruction and the input, where passages are read."""


def fits(
    scenario: Scenario, arms: Sequence[str], shape: Shape, *, device: str, number: int, there_mb: float
) -> tuple[Fit, ...]:
    """Answering and tuning against the device's memory (`tuning/memory.py` has the formulae).

    Args:
        number: bytes of a number in the device's usual precision.
    """
    wish = scenario.tuning
    there = USABLE * there_mb * 2**20
    row = statistics.fmean(len(case.input) for case in scenario.cases) / 4 + (scenario.max_new_tokens or 64)
    tokens = int(ROWS * (len(scenario.instruction) / 4 + CASE_TOKENS + row))

    def answered(bits: int | None) -> Parts:
        return answering(shape, number=number, bits=bits, tokens=min(tokens, MOST_TOKENS))

    def tuned(bits: int | None) -> Parts:
        step = int(max(_step_tokens(scenario, with_passages=arm == "rag_lora") for arm in arms if arm in TUNED))
        with_recompute = partial(lora, shape, number=number, bits=bits, rank=wish.rank or 16, tokens=step)
        plain = with_recompute(recompute=False)
        return plain if plain.total <= there else with_recompute(recompute=True)

    work = {"answering": answered, **({"tuning an adapter": tuned} if set(arms) & set(TUNED) else {})}
    found = []
    for what, parts_of in work.items():
        parts = parts_of(wish.bits)
        advice = "" if parts.total <= there else _advice(parts_of(4).total if not wish.bits else math.inf, there)
        found.append(Fit(what, parts.total / 2**20, there_mb, device, _named(parts), advice))
    return tuple(found)


def fits_here(engine: Engine, scenario: Scenario, arms: Sequence[str]) -> tuple[Fit, ...]:
    """`fits` for this machine; nothing where the weights are elsewhere, or do not say how large they are."""
    if not isinstance(engine, LocalEngine) or engine.shape is None:
        return ()
    here = machine()
    number = 4 if here.dtype == "float32" else 2
    there = device_memory(here.device) / 2**20
    return fits(scenario, arms, engine.shape, device=here.device, number=number, there_mb=there)


def _advice(in_four: float, there: float) -> str:
    if in_four <= there:
        return f"with bits = 4 under [tuning] it would take about {_mb(in_four / 2**20)} and fit"
    return "take a smaller model"


def _named(parts: Parts) -> tuple[tuple[str, float], ...]:
    names = {
        "weights": parts.weights,
        "adapter, gradients and moments": parts.learning,
        "activations": parts.activations,
        "keys and values": parts.cache,
    }
    return tuple((name, size / 2**20) for name, size in names.items() if size)


def fit_sentence(fit: Fit) -> str:
    """What a kind of work needs, what there is, and what to do where it does not fit."""
    parts = ", ".join(f"{name} {_mb(size)}" for name, size in fit.parts)
    end = "it fits" if fit.fits else f"it does not fit: {fit.advice}"
    return (
        f"{fit.what[0].upper()}{fit.what[1:]} needs about {_mb(fit.needs_mb)} for the model ({parts}); "
        f"{OF_DEVICE[fit.device]} {_mb(fit.there_mb)}: {end}."
    )


# Whether there is enough


def room(out: Path) -> Room:
    """Free memory, and free disk where the run folder and the cache will be."""
    places = [_existing(out), _existing(cache_folder())]
    return Room(
        memory_mb=min(psutil.virtual_memory().available / 2**20, _left_to_container()),
        disk_mb=_free(places[0]),
        cache_mb=_free(places[1]),
        shared=places[0].stat().st_dev == places[1].stat().st_dev,
    )


CONTAINER = Path("/sys/fs/cgroup")


def _left_to_container() -> float:
    """What a container's limit leaves (Linux, cgroup 2), caches of files counted as used; no limit: infinite."""
    try:
        limit, used = ((CONTAINER / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return max(0.0, (int(limit) - int(used)) / 2**20) if limit != "max" else math.inf
    except (OSError, ValueError):
        return math.inf


def _existing(path: Path) -> Path:
    """The nearest folder above that is there."""
    path = path.absolute()
    return next((folder for folder in (path, *path.parents) if folder.is_dir()), Path("/"))


def _free(folder: Path) -> float | None:
    try:
        return shutil.disk_usage(folder).free / 2**20
    except OSError:
        return None


def too_little(need: Needs, there: Room) -> tuple[str, ...]:
    """What there is too little of, in sentences with figures; none where it is enough."""
    return tuple(_short(need, there))


def _short(need: Needs, there: Room) -> Iterator[str]:
    if there.memory_mb < need.memory_mb:
        yield (
            f"the run needs about {_mb(need.memory_mb)} of memory and {_mb(there.memory_mb)} are free: it may be slow, "
            "or the system may end it. Close other programs, or take fewer experiments or a smaller model; what is "
            "answered is kept, and the same command goes on"
        )
    wanted = need.disk_mb + (need.cache_mb if there.shared else 0.0)
    if there.disk_mb is not None and there.disk_mb < wanted:
        kept = f" and {_mb(need.cache_mb)} beside it for later runs" if there.shared else ""
        yield (
            f"the run folder needs about {_mb(need.disk_mb)}{kept}, and {_mb(there.disk_mb)} of its disk are free. "
            "Make room, or name a folder on another disk with --out"
        )
    if there.cache_mb is not None and not there.shared and there.cache_mb < need.cache_mb:
        yield (
            f"about {_mb(need.cache_mb)} are kept for later runs in {cache_folder()}, and {_mb(there.cache_mb)} of its "
            "disk are free: what does not fit is not kept"
        )


def _mb(value: float) -> str:
    return numbers.megabytes(max(1.0, value))


def refuse_without_disk(out: Path, *, disk_mb: float) -> None:
    """Refuse a run that clearly cannot be written; what lies in its folder already is not needed again.

    Raises:
        UserError: less than half of what is still needed is free.
    """
    there = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) / 2**20 if out.is_dir() else 0.0
    free, needed = _free(_existing(out)), disk_mb - there
    if free is not None and free < CLEARLY * needed:
        raise UserError(
            f"Nothing was begun: the run folder {out} needs about {_mb(needed)} more, and {_mb(free)} of its disk are "
            "free. Make room, or name a folder on another disk with --out."
        )
