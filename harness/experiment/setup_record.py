"""What a run folder keeps of its set-up and of where it was made."""

from __future__ import annotations

from harness import provenance
from harness.arms.bench import Bench
from harness.experiment.options import RunOptions
from harness.experiment.prepared import Prepared
from harness.experiment.probes.base import tuned_among
from harness.experiment.probes.seeds import seeds_wanted
from harness.models.device import machine
from harness.records import Provenance, StoredScenario
from harness.store import RunFolder


def write_setup(folder: RunFolder, bench: Bench, ready: Prepared, options: RunOptions) -> None:
    """Write `scenario.json`, and `provenance.json` where it is not there yet."""
    scenario = bench.scenario
    folder.write(
        "scenario.json",
        StoredScenario(
            name=scenario.name,
            kind=scenario.kind.value,
            instruction=scenario.instruction,
            labels=scenario.labels,
            keys=scenario.keys,
            arms=ready.places.arms,
            eval_cases=len(scenario.cases),
            train_examples=len(bench.train),
            dev_examples=len(bench.dev),
            documents=len(scenario.documents),
            max_new_tokens=bench.max_new_tokens,
            framing=bench.framing.value,
            seed=scenario.seed,
            inferred=scenario.inferred,
            warnings=tuple(str(w) for w in scenario.warnings),
            removed=scenario.removed,
            quick=options.quick,
            held_to_labels=scenario.held_to_labels,
            held_to_schema=bench.schema,
            repair=scenario.repair,
            seeds=seeds_wanted(scenario, quick=options.quick) if tuned_among(ready.places.arms) else 1,
            experiments=folder.scenario().experiments if folder.has("scenario.json") else (),
            stop_early=scenario.experiments.stop_early,
            criteria=scenario.criteria,
        ),
    )
    if not folder.has("provenance.json"):
        folder.write("provenance.json", _provenance(bench, ready, options))


def _provenance(bench: Bench, ready: Prepared, options: RunOptions) -> Provenance:
    here, model = machine(), bench.model.description
    endpoint = bench.scenario.endpoint
    return Provenance(
        started=provenance.now(),
        command=options.command,
        versions=provenance.versions(),
        python=provenance.python_version(),
        platform=provenance.system(),
        device="endpoint" if endpoint else f"{here.device} ({here.device_name})",
        dtype=model.dtype,
        threads=here.threads,
        cores=here.cores,
        load_average=provenance.load_average(),
        memory_total_mb=here.memory_mb,
        model=model.name,
        model_digest=model.digest,
        embedder=ready.embedder.name if ready.embedder else "",
        embedder_digest=ready.embedder.digest if ready.embedder else "",
        seed=bench.seed,
        git_revision=provenance.git_revision(bench.scenario.folder),
        input_digests=dict(bench.scenario.digests),
        code_digest=provenance.code_digest(),
        endpoint=endpoint.url if endpoint else "",
    )
