"""`advise` itself: gather answers, ask for the rest, advise, write."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from advisor.answers import Answers, Session, combine, load_session, parse_set, read_answers_file, save_session
from advisor.cli.documents import USUAL_FORM, Form, write_advice
from advisor.errors import UserError
from advisor.records import ARMS_OF, Answer, Source
from harness.publish.console import SafeConsole
from harness.publish.text import joined

if TYPE_CHECKING:
    from advisor.data import DataReading
    from advisor.interview import Outcome
    from advisor.records import Advice

SESSION_FILE = "advise-session.json"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    answers_file: Path | None = None
    pairs: tuple[str, ...] = ()
    data: Path | None = None
    session: Path | None = None
    new: bool = False
    out: Path | None = None
    title: str | None = None
    prices_file: Path | None = None
    everything: bool = False
    ask: bool = True
    """Whether questions may be put, if there is a terminal."""
    as_json: bool = False
    error_cost: float | None = None
    """What one wrong answer costs, in the price table's currency."""
    form: Form = USUAL_FORM
    """Which documents are written."""

    @property
    def home(self) -> Path:
        """The folder of the data (`--data` may name a scenario.toml), else the current one."""
        if self.data is None:
            return Path()
        return self.data.parent if self.data.is_file() else self.data


def run(options: Options) -> None:
    """Advise. Raises UserError."""
    from advisor.api import encodable

    out = SafeConsole(stderr=options.as_json, highlight=False)
    options = replace(options, title=options.title and encodable(options.title))
    asking = options.ask and sys.stdin.isatty() and sys.stdout.isatty()
    given = _given(options)
    reading = _reading(options.data, out)
    earlier = _earlier(options, out, asking=asking)
    start = combine(given, earlier.answers, reading.answers if reading else ())
    if not asking and not start.answers:
        raise UserError(
            "there is no terminal to ask at and no answer was given; pass --answers FILE, --set key=value or "
            "--data DIR (`advise questions` lists all keys and values)"
        )
    outcome = _interview(start, options, earlier, out) if asking else None
    if outcome and outcome.quit:
        out.print(f"Kept in {_session_path(options)}; the same command goes on from there.", markup=False)
        return
    if earlier.title and not options.title:
        options = replace(options, title=earlier.title)
    _finish(start, outcome, options=options, reading=reading)


def _finish(start: Answers, outcome: Outcome | None, *, options: Options, reading: DataReading | None) -> None:
    answers, out = outcome.answers if outcome else start, SafeConsole(stderr=options.as_json, highlight=False)
    from advisor import api
    from advisor.experience import past_verdicts
    from advisor.prices import read_prices

    context = api.Context(
        title=options.title or (options.home.resolve().name if options.data else "Use case"),
        asked=outcome.asked if outcome else 0,
        stopped_because=outcome.because if outcome else "nothing was asked; the advice rests on the answers given",
        past=past_verdicts(),
        prices=read_prices(options.prices_file),
        arms=_runnable(reading) if reading else None,
        error_cost=options.error_cost,
    )
    advice = api.advise(answers, context=context)
    _show_overruled(out, answers)
    said: list[str] = []
    if not options.as_json or options.out or options.data:
        said += _write(advice, options.out or options.home, options.form)
    if options.data:
        said += _put_on_trial(advice, options.data)
    _show(advice, options, out)
    for line in said:
        out.print(line, markup=False, soft_wrap=True)


def _show(advice: Advice, options: Options, out: Console) -> None:
    """Shown last: what is written is safe then, whatever becomes of the terminal."""
    if options.as_json:
        from advisor import api
        from advisor.render.document import plain_sections

        sys.stdout.write(api.json_of(advice, sections=plain_sections(advice)).decode())
        return
    from advisor.render.terminal import show_advice

    show_advice(out, advice)
    out.print()


def _given(options: Options) -> tuple[Answer, ...]:
    """Answers of the file and of the flags; problems of both at once."""
    from advisor.errors import AnswerProblems

    problems: list[str] = []
    answers: list[Answer] = []
    for read in (_from_file, _from_flags):
        try:
            answers += read(options)
        except AnswerProblems as found:
            problems += found.problems
    if problems:
        raise AnswerProblems(problems)
    return tuple(answers)


def _from_file(options: Options) -> tuple[Answer, ...]:
    return read_answers_file(options.answers_file) if options.answers_file else ()


def _from_flags(options: Options) -> tuple[Answer, ...]:
    return parse_set(options.pairs)


def _reading(folder: Path | None, out: Console) -> DataReading | None:
    if folder is None:
        return None
    from advisor.data import measured_answers

    reading = measured_answers(folder)
    out.print(Text(f"Measured {len(reading.answers)} answers from {folder}.", style="bold"), soft_wrap=True)
    for warning in reading.warnings[:8]:
        out.print(Text.assemble(("warning: ", "yellow"), warning), soft_wrap=True)
    if len(reading.warnings) > 8:
        out.print(f"... and {len(reading.warnings) - 8} more warnings (bakeoff check lists them).")
    return reading


def _session_path(options: Options) -> Path:
    return options.session or options.home / SESSION_FILE


def _earlier(options: Options, out: Console, *, asking: bool) -> Session:
    """The session to go on with: at a terminal, or where one was named."""
    path = _session_path(options)
    fresh = Session(started=_now(), updated=_now(), title=options.title or "", answers=())
    if not path.exists() or not (asking or options.session):
        return fresh
    if options.new:
        from advisor.api import keep_older

        out.print(f"The earlier session is kept as {keep_older(path)}.", markup=False, soft_wrap=True)
        return fresh
    session = load_session(path)
    text = f"Going on with {len(session.answers)} answers of {session.updated[:16].replace('T', ' ')} (UTC) from {path}"
    out.print(f"{text}; --new begins afresh.", markup=False)
    return session


def _interview(start: Answers, options: Options, earlier: Session, out: Console) -> Outcome:
    from advisor.cli.prompter import TerminalPrompter
    from advisor.experience import experience, past_verdicts
    from advisor.interview import interview

    path = _session_path(options)

    def keep(answers: Answers, *, finished: bool = False) -> None:
        said = tuple(one for one in answers.answers if one.source is not Source.DATA)
        save_session(path, Session(earlier.started, _now(), options.title or earlier.title, said, finished))

    past = past_verdicts()
    outcome = interview(
        start,
        TerminalPrompter(out),
        keep=keep,
        everything=options.everything,
        shifts=lambda values: experience(values, past).shifts,
    )
    keep(outcome.answers, finished=not outcome.quit)
    return outcome


def _show_overruled(out: Console, answers: Answers) -> None:
    from advisor.render import words

    for one in answers.overruled:
        if one.source in (Source.FILE, Source.FLAG):
            stands = answers.get(one.key)
            text = f"{one.key}: {words.value_text(one.key, one.value)} ({words.source_text(one)}) gives way to "
            text += (
                f"{words.value_text(one.key, stands.value)} ({words.source_text(stands)})." if stands else "nothing."
            )
            out.print(Text.assemble(("note: ", "yellow"), text), soft_wrap=True)


def _runnable(reading: DataReading) -> tuple[str, ...]:
    """The arms that these data can run."""
    arms = ["prompt"]
    if reading.facts.labelled_rows:
        arms += ["few_shot", "nearest_shots", "lora"]
    if reading.facts.documents:
        arms += ["rag"]
    if reading.facts.documents and reading.facts.labelled_rows:
        arms += ["rag_lora"]
    return tuple(arms)


def _write(advice: Advice, folder: Path, form: Form) -> list[str]:
    from advisor import api
    from advisor.render.document import plain_sections

    kept = api.write_json(advice, folder / "advice.json", sections=plain_sections(advice))
    made = write_advice(advice, folder, form)
    names = joined([str(path) for path in (*made, folder / "advice.json")])
    earlier = [f"The earlier advice is kept as {kept}."] if kept else []
    return [f"Wrote {names}.", *earlier]


def _put_on_trial(advice: Advice, folder: Path) -> list[str]:
    """Write the advice into the scenario as something a bake-off can refute."""
    from advisor.trial import write_hypothesis

    band = advice.recommendation.standing(advice.recommendation.approach).band
    written = write_hypothesis(folder, advice.hypothesis, band=band, answers=advice.answers)
    names = ", ".join(written.arms_kept)
    kept = [f"Its own line `arms` was left as it is ({names})."] if names else []
    said = [f"Wrote the advice as a hypothesis into {written.path}.", *kept, *_margin(advice)]
    if not set(ARMS_OF[advice.hypothesis.approach]) & set(advice.hypothesis.arms):
        missing = "documents (corpus.jsonl or corpus/)" if "rag" in advice.hypothesis.approach else "train.jsonl"
        return [*said, f"These data cannot put it on trial yet: bring {missing}, then run advise again."]
    return [*said, f"Next: bakeoff run {folder}"]


def _margin(advice: Advice) -> list[str]:
    """What the smallest gain that pays is, and how to decide by it."""
    gain = advice.hypothesis.margin_that_pays
    if gain is None:
        return []
    return [
        f"The dearer of the two pays within a year from a gain of {100 * gain:.1f} points on; "
        'margin = "pays" under [rule] in scenario.toml decides by it.'
    ]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
