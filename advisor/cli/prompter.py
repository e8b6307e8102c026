"""Puts questions at the terminal: a number or a word is an answer, a letter is a command."""

from __future__ import annotations

import contextlib

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from advisor.interview import Action, Change, Given, Place, Reply
from advisor.questionnaire import Kind, Question, load_questionnaire, parse_value, printable
from advisor.records import APPROACH_NAMES, Conflict
from advisor.render import words

COMMANDS = "? help, d don't know, b back, c change an answer, s advice now, q quit"


_ACTIONS = {
    "b": Action.BACK,
    "back": Action.BACK,
    "s": Action.STOP,
    "stop": Action.STOP,
    "q": Action.QUIT,
    "quit": Action.QUIT,
}


class TerminalPrompter:
    """The `Prompter` of a terminal; keeps no answers."""

    def __init__(self, out: Console) -> None:
        self._out = out
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - line editing at the prompt

    def ask(self, question: Question, place: Place) -> Reply:
        """Put one question until there is a reply. Raises EOFError or KeyboardInterrupt."""
        self._put(question, place)
        while True:
            typed = self._read()
            reply = self._command(typed, question, place)
            if reply is None:
                reply = self._answer(typed, question)
            if reply is not None:
                return reply

    def enough(self, place: Place, because: str) -> Reply:
        """Nothing more is worth asking."""
        self._out.print()
        self._out.print(Text.assemble(("Enough asked: ", "bold"), f"{because}."))
        self._out.print(Text("Enter: the advice; m: put the other questions too; c: change an answer; q: quit", "dim"))
        while True:
            typed = self._read().casefold()
            if typed in ("", "s"):
                return Action.STOP
            if typed == "m":
                return Action.MORE
            if typed == "q":
                return Action.QUIT
            if typed == "b":
                return Action.BACK
            if typed == "c":
                changed = self._change(place)
                if changed:
                    return changed
                continue
            self._out.print("Press Enter for the advice, or type m, c, b or q.")

    def settle(self, question: Question, conflict: Conflict) -> bool:
        """Keep what was said, or take what was measured."""
        said, measured = (words.value_text(question.key, one.value) for one in (conflict.said, conflict.measured))
        self._out.print()
        self._out.print(Text.assemble(("Your data say something else. ", "bold yellow"), question.text))
        self._out.print(Text(f"  said: {said} ({words.source_text(conflict.said)})"))
        self._out.print(Text(f"  measured: {measured} ({conflict.measured.note})"))
        while True:
            typed = self._read("k keep what was said, m take what was measured").casefold()
            if typed in ("k", "m", ""):
                return typed != "m"
            self._out.print("Type k or m.")

    def _put(self, question: Question, place: Place) -> None:
        so_far = "" if place.number == 1 else f"so far: {APPROACH_NAMES[place.leading]} ({place.band})"
        self._out.print()
        self._out.print(Text.assemble((f"Question {place.number} · {question.topic}   ", "bold cyan"), (so_far, "dim")))
        self._out.print(Text(question.text, style="bold"))
        for number, choice in enumerate(question.choices, 1):
            self._out.print(Text.assemble((f"  {number}  ", "cyan"), choice.label))
        if question.kind.value == "boolean":
            self._out.print(Text.assemble(("  y  ", "cyan"), "yes", ("   n  ", "cyan"), "no"))
        if question.unit:
            usual = ", ".join(f"{one.value:,} ({one.label})" for one in question.suggestions)
            self._out.print(Padding(Text(f"A number of {question.unit.many}; for instance {usual}"), (0, 0, 0, 2)))
        if place.number > 1 and place.others:
            others = " or ".join(APPROACH_NAMES[approach] for approach in place.others)
            self._out.print(Padding(Text(f"An answer could change the advice to {others}.", style="dim"), (0, 0, 0, 2)))
        known = place.known.get(question.key)
        if known is not None:
            text = f"  now: {words.value_text(question.key, known.value)} ({words.source_text(known)}); Enter keeps it"
            self._out.print(Text(text, style="dim"))
        self._out.print(Text(f"  {COMMANDS}", style="dim"))

    def _read(self, hint: str = "") -> str:
        if hint:
            self._out.print(Text(f"  {hint}", style="dim"))
        return input("> ").strip()

    def _command(self, typed: str, question: Question, place: Place) -> Reply | None:
        word, known = typed.casefold(), place.known.get(question.key)
        if word in ("b", "back") and place.number == 1:
            self._out.print("This is the first question.")
        if word in ("c", "change"):
            return self._change(place)
        if word == "d":
            return Given(None)
        if not word and known is not None:
            return Given(known.value)
        return _ACTIONS.get(word)

    def _answer(self, typed: str, question: Question) -> Reply | None:
        if typed == "?":
            self._help(question)
            return None
        if not typed or typed.casefold() in ("c", "change"):
            return None
        if question.choices and typed.isascii() and typed.isdigit():
            return self._numbered(int(typed), question)
        try:
            return Given(parse_value(question, typed))
        except ValueError as error:
            hint = f"“{printable(typed[:40])}” is no answer here. {_expected(question)}"
            self._out.print(Text(f"{error}." if question.unit else hint, style="yellow"))
            return None

    def _numbered(self, number: int, question: Question) -> Reply | None:
        if 1 <= number <= len(question.choices):
            return Given(question.choices[number - 1].value)
        self._out.print(Text(_expected(question), "yellow"))
        return None

    def _help(self, question: Question) -> None:
        self._out.print(Padding(Text(question.help), (0, 0, 0, 2)))
        self._out.print(Padding(Text(f"Example: {question.example}"), (0, 0, 0, 2)))
        for number, choice in enumerate(question.choices, 1):
            if choice.help:
                self._out.print(Padding(Text(f"{number}  {choice.label}: {choice.help}"), (0, 0, 0, 2)))

    def _change(self, place: Place) -> Change | None:
        """Choose which answer to give again; None where there is none, or the choice was dropped."""
        known = place.known.answers
        if not known:
            self._out.print("There is no answer to change yet.")
            return None
        for number, one in enumerate(known, 1):
            answer = f"{words.value_text(one.key, one.value)} ({words.SOURCES[one.source]})"
            self._out.print(Text.assemble((f"  {number}  ", "cyan"), words.question_text(one.key), f" {answer}"))
        typed = self._read("the number or key of the answer to change; Enter: none")
        if typed in load_questionnaire().keys:
            return Change(typed)
        if typed.isascii() and typed.isdigit() and 1 <= int(typed) <= len(known):
            return Change(known[int(typed) - 1].key)
        if typed:
            self._out.print(Text(f"There is no answer {printable(typed[:40])}.", style="yellow"))
        return None


def _expected(question: Question) -> str:
    if question.kind is Kind.BOOLEAN:
        return "Type y or n, or d if you don't know."
    return f"Type a number from 1 to {len(question.choices)}, or d if you don't know."
