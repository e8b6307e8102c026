"""One fake for each seam: model, job, embedder, tuner, engine; and a small scenario. No model library."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np

from harness.arms.bench import Bench
from harness.experiment.options import RunOptions, Silent
from harness.experiment.plan import make_plan
from harness.experiment.prepared import Prepared
from harness.experiment.run import run_prepared
from harness.experiment.setup import audited, lineup
from harness.experiment.split import split_dev
from harness.models.base import AT_END, Completion, ModelDescription, ModelIdentity, Stop
from harness.records import Recipe
from harness.scenario import Case, DecisionRule, Document, Kind, Scenario
from harness.scenario_file.read import read_scenario

_TURN = re.compile(r"<\|(system|user|assistant)\|>\n(.*?)<\|end\|>\n", re.DOTALL)
OPEN_TURN = "<|assistant|>\n"


# the model


@dataclass
class FakeModel:
    """A `TextModel` whose answers follow from the prompt alone.

    In this order: a canned answer, what the adapter remembers, the last word of the context's most similar line, the
    last shot's answer, `default`.
    """

    canned: dict[str, str] = field(default_factory=dict)
    """Text in the last user turn -> answer."""
    default: str = "unknown"
    fails_on: tuple[str, ...] = ()
    """A batch fails where any of these stands in one of its prompts."""
    window: int = 4096
    rows: int = 4
    memory: dict[str, str] | None = None
    """What the merged adapter remembers: last user turn -> answer."""
    before_batch: object = None
    """Called with the batch's prompts before it is answered; may raise."""
    jobs: list[FakeJob] = field(default_factory=list)
    answered: list[tuple[str, ...]] = field(default_factory=list)
    """The prompts of every batch answered, in order."""

    @property
    def description(self):
        return ModelDescription("fake", "f" * 64, "float32", "cpu", self.window, 0)

    def render(self, messages):
        turns = "".join(f"<|{m.role}|>\n{m.content}<|end|>\n" for m in messages)
        return turns + OPEN_TURN

    def count_tokens(self, text):
        return len(text.split())

    def start(self, prompts, *, max_new_tokens, stop=AT_END, temperature=0.0, seed=0):
        job = FakeJob(self, tuple(prompts), max_new_tokens, stop, temperature, seed)
        self.jobs.append(job)
        return job

    def reply(self, prompt):
        """The whole answer to a prompt."""
        turns = [(role, text) for role, text in _TURN.findall(prompt)]
        asked = turns[-1][1]
        for text, answer in self.canned.items():
            if text in asked:
                return answer
        if self.memory:
            return self.memory[max(self.memory, key=lambda known: (_overlap(known, asked), known))]
        if "Context:\n" in asked:
            context, question = asked.split("Context:\n", 1)[1].rsplit("\n\n", 1)
            line = max(context.splitlines(), key=lambda text: _overlap(text, question))
            return line.split()[-1].strip(".")
        shots = [text for role, text in turns if role == "assistant"]
        return shots[-1] if shots else self.default


@dataclass
class FakeJob:
    """A `Job` of a fake model: batches in the prompts' order."""

    model: FakeModel
    prompts: tuple[str, ...]
    max_new_tokens: int
    stop: Stop
    temperature: float = 0.0
    seed: int = 0
    """Noted down; the answer does not depend on them."""

    @property
    def batches(self):
        indices, rows = range(len(self.prompts)), self.model.rows
        return tuple(tuple(indices[start : start + rows]) for start in range(0, len(indices), rows))

    def answer(self, batch):
        prompts = tuple(self.prompts[i] for i in batch)
        if self.model.before_batch:
            self.model.before_batch(prompts)
        for text in self.model.fails_on:
            if any(text in prompt for prompt in prompts):
                raise RuntimeError(f"the fake model fails on {text!r}")
        self.model.answered.append(prompts)
        return [self._completion(prompt) for prompt in prompts]

    def _completion(self, prompt):
        words = self.model.reply(prompt).split()
        kept = words[: self.max_new_tokens]
        finish = "stop" if len(kept) == len(words) else "length"
        return Completion(" ".join(kept), self.model.count_tokens(prompt), len(kept), finish)


def _overlap(first, second):
    return len(set(_words(first)) & set(_words(second)))


def _words(text):
    return re.findall(r"\w+", text.casefold())


# the embedder


@dataclass
class FakeEmbedder:
    """Bags of words, each word in a column by its checksum; unit length."""

    name: str = "fake-embedder"
    digest: str = "e" * 64
    size: int = 512
    fresh_texts: list[str] = field(default_factory=list)

    def encode(self, texts, *, fresh=False):
        if fresh:
            self.fresh_texts += texts
        if not texts:
            return np.zeros((0, 1), dtype=np.float32)
        vectors = np.zeros((len(texts), self.size), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in _words(text) or ["(empty)"]:
                vectors[row, zlib.crc32(word.encode()) % self.size] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


# tuner and engine

ADAPTER_FILE = "adapter_model.safetensors"
"""Named as PEFT names it, because a run checks that file's digest; here it holds JSON."""


@dataclass
class FakeTuner:
    """Writes an adapter folder that remembers the training pairs."""

    folder: Path
    seed: int = 0
    fails: bool = False
    seen: list[tuple] = field(default_factory=list)
    """(arm, training texts, dev texts) of each call."""

    def __call__(self, arm, examples, *, dev, notify):
        self.seen.append((arm, tuple(examples), tuple(dev)))
        if self.fails:
            raise RuntimeError("the fake tuner fails")
        notify("tuning", 1.0)
        memory = {_TURN.findall(text.prompt)[-1][1]: text.answer for text in examples}
        data = json.dumps({"seed": self.seed, "memory": memory}, sort_keys=True).encode()
        out = self.folder / "adapters" / arm
        out.mkdir(parents=True, exist_ok=True)
        (out / ADAPTER_FILE).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        return Recipe(arm, adapter=f"adapters/{arm}", adapter_digest=digest, train_examples=len(examples))


@dataclass
class FakeEngine:
    """An `Engine` over a fake model. With `model_is_there` False, touching the model is an error."""

    fake: FakeModel = field(default_factory=FakeModel)
    name: str = "fake"
    tuning_fails: bool = False
    model_is_there: bool = True
    tuners: list[FakeTuner] = field(default_factory=list)

    @property
    def identity(self):
        return ModelIdentity(self.name, hashlib.sha256(self.name.encode()).hexdigest(), 1.0)

    @property
    def model(self):
        assert self.model_is_there, "the model was touched"
        return self.fake

    def tuner(self, folder, *, quick, seed, wish, use_cache):
        self.tuners.append(FakeTuner(folder, seed, self.tuning_fails))
        return self.tuners[-1]

    @contextmanager
    def adapted(self, adapter):
        if adapter is not None:
            self.model.memory = json.loads((adapter / ADAPTER_FILE).read_bytes())["memory"]
        try:
            yield
        finally:
            self.model.memory = None


@dataclass
class HereInstead:
    """Stands for the helper of `harness.apart`: files are read in this process, where coverage can see it."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def call(self, function, path):
        return function(path)


@dataclass
class FakeWatcher:
    """Notes down what it is told; may raise at the n-th report of progress."""

    stop_at: int | None = None
    stages: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reports: list[tuple[int, int, float | None]] = field(default_factory=list)

    def stage(self, name, detail=""):
        self.stages.append(name)

    def progress(self, done, total, *, score=None):
        self.reports.append((done, total, score))
        if len(self.reports) == self.stop_at:
            raise KeyboardInterrupt

    def note(self, text):
        self.notes.append(text)


# a scenario


def capital(number, *, id_prefix):
    """One question about an invented country."""
    name = f"{id_prefix}{number}"
    return Case(
        name, f"What is the capital of Landia{number}?", f"City{number}", context_id=f"d{number}", group=None, line=1
    )


def tiny_scenario(*, cases=6, train=20, documents=True, folder=Path(), **changes):
    """Capitals of invented countries: eval and train ask of different ones, the documents know them all."""
    numbers = range(cases + train)
    texts = [f"Landia{n} is a country.\nThe capital of Landia{n} is City{n}." for n in numbers]
    scenario = Scenario(
        name="tiny",
        folder=folder,
        kind=Kind.SHORT_ANSWER,
        instruction="Answer the question with one word.",
        cases=tuple(capital(n, id_prefix="e") for n in range(cases)),
        rule=DecisionRule(metric="token_f1", margin=0.05, fewest_cases=5, resamples=200),
        train=tuple(capital(n, id_prefix="t") for n in range(cases, cases + train)),
        documents=tuple(Document(f"d{n}", f"Landia{n}", texts[n]) for n in numbers) if documents else (),
        max_new_tokens=8,
    )
    return replace(scenario, **changes)


def tiny_bench(scenario=None, *, folder=Path(), **changes):
    """A bench of fakes over a scenario (the tiny one)."""
    scenario = scenario or tiny_scenario()
    train, dev = split_dev(scenario.train, kind=scenario.kind, seed=scenario.seed)
    given = {
        "train": train,
        "dev": dev,
        "model": FakeModel(),
        "embedder": FakeEmbedder(),
        "max_new_tokens": 8,
        "folder": folder,
        "tuner": FakeTuner(folder),
    }
    return Bench(scenario=scenario, **(given | changes))


def write_scenario_files(folder, scenario=None, *, toml=""):
    """The tiny scenario as a user's folder."""
    scenario = scenario or tiny_scenario()
    folder.mkdir(parents=True, exist_ok=True)
    _write_rows(folder / "eval.jsonl", scenario.cases)
    if scenario.train:
        _write_rows(folder / "train.jsonl", scenario.train)
    if scenario.documents:
        rows = [{"id": d.id, "title": d.title, "text": d.text} for d in scenario.documents]
        (folder / "corpus.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    rule = f'[rule]\nmetric = "{scenario.rule.metric}"\nmargin = 0.05\nfewest_cases = 5\nresamples = 2000\n'
    head = f'kind = "{scenario.kind}"\ninstruction = "{scenario.instruction}"\nmax_new_tokens = 8\n'
    (folder / "scenario.toml").write_text(head + toml + rule)
    return folder


def _write_rows(path, cases):
    rows = [
        {"id": c.id, "input": c.input, "output": c.output}
        | ({"context_id": c.context_id} if c.context_id else {})
        | ({"group": c.group} if c.group else {})
        for c in cases
    ]
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def prepared(path, *, options, engine=None, embedder=None):
    """What `harness.experiment.run.prepare` makes, with a fake engine and a fake embedder."""
    engine, embedder = engine or FakeEngine(), embedder or FakeEmbedder()
    scenario, _ = audited(read_scenario(path, overrides=options.overrides), embedder)
    places = lineup(scenario)
    plan = make_plan(
        scenario,
        places,
        quick=options.quick,
        weights_mb=1.0,
        machine_key="fake",
        model=engine.identity.name,
        embedder=embedder.name,
    )
    return Prepared(scenario, places, plan, engine, embedder)


def fake_run(path, out, *, engine=None, watcher=None, **options):
    """Run a scenario's folder into `out` with fakes."""
    chosen = RunOptions(out=out, use_cache=False, **options)
    ready = prepared(path, options=chosen, engine=engine)
    return run_prepared(ready, options=chosen, watcher=watcher or Silent())
