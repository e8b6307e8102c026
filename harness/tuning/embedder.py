"""An embedder tuned on the task's own training pairs, so that what belongs together lies together.

The loss is that of sentence-transformers' `MultipleNegativesRankingLoss` (Henderson et al. 2017, arXiv 1705.00652; van
den Oord et al. 2018, arXiv 1807.03748): each pair's second text is to be found among those of its batch. So that no
right text is taken for a wrong one, a batch never holds two pairs of one group. The loop is plain: the library's own
trainer needs the packages `datasets` and `accelerate`, and reports to trackers that happen to be installed.

Pairs are made from training rows only; an eval row is never seen here.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import ArmFailed
from harness.models import bundled
from harness.models.device import has_bf16_units, machine
from harness.models.local import fetch, keep_quiet, weights_digest
from harness.records import Passage
from harness.retrieval.gold import Bag, answers_of, holds_any, is_of
from harness.retrieval.retriever import indexed_text
from harness.scenario import Case

Notify = Callable[[str, float], None]
"""(what is going on, share done 0..1)"""

BATCH = 32
SCALE = 20.0
"""Cosines are multiplied by it, as the library does."""

RATE = 5e-5
"""Peak learning rate; small encoders take more than the library's 2e-5."""

STEPS, CHARACTERS, EPOCHS = 100, 1_500_000, (2, 6)
"""Passes over the pairs: enough for about so many steps while they put no more text through than that (some minutes on
two cores), within these bounds. On training rows held out of banking77, 5 passes found 90 % where 2 found 88 %."""


class Pair(NamedTuple):
    """Two texts that belong together."""

    anchor: str
    positive: str
    group: str = ""
    """Pairs of one group never stand in one batch, nor do pairs that share a text; empty: the texts alone decide."""


@dataclass(frozen=True, slots=True)
class TunedEmbedder:
    """What came of a training; `SentenceEmbedder(str(folder))` loads it."""

    folder: Path
    digest: str
    """Over everything that determines the vectors; the `digest` of the embedder that is loaded from the folder."""
    seconds: float
    pairs: int
    epochs: int
    loss: float
    """Mean of the last pass."""


def label_pairs(train: Sequence[Case], *, seed: int = 0) -> list[Pair]:
    """Two inputs of the same label, each input once as the anchor; the label is the group.

    A label with one input makes no pair.
    """
    rng = random.Random(seed)
    inputs: dict[str, list[str]] = {}
    for case in train:
        found = inputs.setdefault(case.output, [])
        if case.input not in found:
            found.append(case.input)
    pairs: list[Pair] = []
    for label, texts in inputs.items():
        rng.shuffle(texts)
        turned = texts[1:] + texts[:1]
        pairs += [Pair(a, b, label) for a, b in zip(texts, turned, strict=True) if a != b]
    return pairs


def question_passage_pairs(train: Sequence[Case], passages: Sequence[Passage]) -> list[Pair]:
    """Each input with the passage that holds its answer, written as it is searched; the passage is the group.

    A row whose answer stands nowhere makes no pair, nor does one whose document is not known and whose answer stands in
    several passages: which of them it is from would be a guess.
    """
    bags = [Bag.of(passage.text) for passage in passages]
    golds = [(case, _gold(case, passages, bags)) for case in train]
    return [Pair(case.input, indexed_text(gold), gold.id) for case, gold in golds if gold is not None]


def _gold(case: Case, passages: Sequence[Passage], bags: Sequence[Bag]) -> Passage | None:
    answers = answers_of(case)
    found = [
        passage
        for passage, bag in zip(passages, bags, strict=True)
        if (case.context_id is None or is_of(passage, case.context_id)) and holds_any(bag, answers)
    ]
    return found[0] if found and (case.context_id is not None or len(found) == 1) else None


def distinct_batches(pairs: Sequence[Pair], *, size: int, seed: int) -> list[list[Pair]]:
    """A seeded order in batches of at most `size`, no two pairs of a batch of one group or with a text in common.

    What does not fit a batch waits for a later one; a batch of one pair, which has nothing to be told from, is dropped.
    """
    left = list(pairs)
    random.Random(seed).shuffle(left)
    batches = []
    while left:
        batch: list[Pair] = []
        later: list[Pair] = []
        taken: set[tuple[str, str]] = set()
        for pair in left:
            marks = _marks(pair)
            if len(batch) < size and not taken & marks:
                batch.append(pair)
                taken |= marks
            else:
                later.append(pair)
        left = later
        if len(batch) > 1:
            batches.append(batch)
    return batches


def _marks(pair: Pair) -> set[tuple[str, str]]:
    texts = {("text", pair.anchor), ("text", pair.positive)}
    return texts | {("group", pair.group)} if pair.group else texts


def epochs_for(pairs: Sequence[Pair]) -> int:
    """Passes over these pairs."""
    fewest, most = EPOCHS
    wanted = math.ceil(STEPS * BATCH / max(1, len(pairs)))
    affordable = CHARACTERS // max(1, sum(len(p.anchor) + len(p.positive) for p in pairs))
    return max(fewest, min(most, wanted, affordable))


def tune_embedder(
    base: str | Path | None,
    pairs: Sequence[tuple[str, str] | Pair],
    *,
    out: Path,
    seed: int = 0,
    epochs: int | None = None,
    notify: Notify = lambda what, share: None,
) -> TunedEmbedder:
    """Train an embedder on pairs and save it to `out`.

    Args:
        base: a folder, a Hugging Face id, or None for the bundled embedder.
        pairs: texts that belong together.
        epochs: passes over the pairs; None: by their number.

    Raises:
        ArmFailed: fewer than two pairs that could stand in one batch.
        MissingModel: the base is not here and cannot be fetched.
    """
    start = time.perf_counter()
    given = [Pair(*pair) for pair in pairs]
    passes = epochs or epochs_for(given)
    plan = [distinct_batches(given, size=BATCH, seed=seed + n) for n in range(passes)]
    if not plan[0]:
        raise ArmFailed("the embedder cannot be tuned: there are no two training pairs of different groups")
    model = _loaded(base, seed=seed)
    loss = _train(model, plan, notify=notify)
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(str(out), create_model_card=False)
    return TunedEmbedder(out, weights_digest(out, nested=True), time.perf_counter() - start, len(given), passes, loss)


def _loaded(base: str | Path | None, *, seed: int) -> Any:
    keep_quiet()
    import torch
    from sentence_transformers import SentenceTransformer

    here = machine()
    torch.set_num_threads(here.threads)
    torch.manual_seed(seed)
    return SentenceTransformer(
        str(_folder(base)),
        device=here.device,
        trust_remote_code=False,
        local_files_only=True,
        model_kwargs={"dtype": torch.float32},
    )


def _folder(base: str | Path | None) -> Path:
    if base is None:
        return bundled.require(bundled.EMBEDDER).parent
    path = Path(base).expanduser()
    return path if path.is_dir() else fetch(str(base))


def _train(model: Any, plan: Sequence[Sequence[Sequence[Pair]]], *, notify: Notify) -> float:
    """The training: float32 weights, products in bf16 where the processor has units for it; warm-up, linear decay."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0, foreach=True)
    total, losses = sum(map(len, plan)), [0.0]
    low = model.device.type == "cpu" and has_bf16_units()
    model.train()
    for step, (batch, is_first) in enumerate(_flat(plan)):
        losses = [] if is_first else losses
        for group in optimizer.param_groups:
            group["lr"] = RATE * _schedule(step, total)
        with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=low):
            vectors = [model(_features(model, texts))["sentence_embedding"] for texts in _columns(batch)]
        loss = _ranking_loss(*vectors)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
        notify("tuning the embedder", (step + 1) / total)
    model.eval()
    return sum(losses) / len(losses)


def _flat(plan: Sequence[Sequence[Sequence[Pair]]]) -> Iterator[tuple[Sequence[Pair], bool]]:
    """All batches in order, and whether each begins a pass."""
    for batches in plan:
        yield from ((batch, number == 0) for number, batch in enumerate(batches))


def _columns(batch: Sequence[Pair]) -> tuple[list[str], list[str]]:
    return [pair.anchor for pair in batch], [pair.positive for pair in batch]


def _ranking_loss(anchors: Any, positives: Any) -> Any:
    """Cross-entropy of finding each anchor's own text among all of the batch by cosine, in float32."""
    import torch
    from torch.nn.functional import cross_entropy, normalize

    cosines = normalize(anchors.float(), dim=-1) @ normalize(positives.float(), dim=-1).t()
    return cross_entropy(cosines * SCALE, torch.arange(len(cosines), device=cosines.device))


def _features(model: Any, texts: Sequence[str]) -> dict[str, Any]:
    return {key: value.to(model.device) for key, value in model.preprocess(list(texts)).items() if hasattr(value, "to")}


def _schedule(step: int, total: int) -> float:
    """Share of the peak learning rate: warm-up over a tenth of the steps, then linear down to nothing."""
    warm = max(1, round(total * 0.1))
    return (step + 1) / warm if step < warm else (total - step) / max(1, total - warm)
