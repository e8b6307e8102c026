"""What a run shows of itself while it lasts."""

import io

import pytest
from rich.console import Console

from harness.cli import progress
from harness.cli.progress import LiveWatcher, PlainWatcher, title_of, watcher_for


def console(*, terminal=False):
    return Console(file=io.StringIO(), width=120, force_terminal=terminal, color_system=None)


@pytest.mark.parametrize(
    ("stage", "detail", "title"),
    [
        ("audit", "", "Reading and checking the data"),
        ("answer lora", "", "Answering: LoRA"),
        ("load", "SmolLM2", "Loading, choosing the framing: SmolLM2"),
        ("something", "", "something"),
    ],
)
def test_stages_have_names_for_people(stage, detail, title):
    assert title_of(stage, detail) == title


def test_an_experiments_stage_names_the_arm_and_the_condition():
    assert title_of("experiment form", "lora, repaired once").endswith(": LoRA, repaired once")


def test_a_terminal_gets_bars_and_anything_else_gets_lines():
    assert isinstance(watcher_for(console(terminal=True)), LiveWatcher)
    assert isinstance(watcher_for(console()), PlainWatcher)


def test_bars_show_how_far_it_is_the_score_and_notes_as_they_were_written():
    out = console(terminal=True)
    with LiveWatcher(out) as watcher:
        watcher.progress(1, 2)  # before any stage: nothing to move
        watcher.stage("answer lora")
        watcher.progress(3, 12, score=0.5)
        watcher.note("[red]kept[/red] as it is")
        watcher.stage("verdict")
    said = out.file.getvalue()
    assert "Answering: LoRA" in said
    assert "Drawing the verdict" in said
    assert "3/12" in said
    assert "score 50" in said
    assert "[red]kept[/red] as it is" in said


def test_lines_say_the_pace_now_and_then_and_the_score_at_the_end(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    out = console()
    with PlainWatcher(out) as watcher:
        watcher.stage("answer lora")
        watcher.progress(0, 100)
        now[0] = 5.0
        watcher.progress(5, 100)  # too soon for another line
        now[0] = 20.0
        watcher.progress(20, 100, score=0.25)
        now[0] = 400.0
        watcher.progress(21, 1000)
        watcher.progress(100, 100, score=0.5)
        watcher.note("[b]done")
        watcher.stage("load")
        now[0] = 500.0
        watcher.progress(1, 4)
    assert out.file.getvalue().splitlines() == [
        "[0:00] Answering: LoRA",
        "[0:20] Answering: LoRA: 20 of 100, score 25, about 80 s left",
        "[6:40] Answering: LoRA: 21 of 1000, about 311 min left",
        "[6:40] Answering: LoRA: 100 of 100, score 50",
        "[6:40] [b]done",
        "[6:40] Loading, choosing the framing",
        "[8:20] Loading, choosing the framing: 25%",
    ]
