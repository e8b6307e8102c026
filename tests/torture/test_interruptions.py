"""However a command is ended, the same command completes what it began, and nothing differs.

BAKEOFF_TRIES is the number of kills (4; 200 for docs/reliability.md), of which one in five falls on score, report and
advise, and half as many full disks and shortages.
"""

import errno
import json
import os
import random
import resource
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from bakeoffs import made
from commands import TRIES

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
ENDS = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, 130)
KILLS = max(1, TRIES * 4 // 5)
OTHERS = max(3, TRIES // 5)
HALF = max(3, TRIES // 2)
STATM = Path("/proc/self/statm")


@pytest.fixture(scope="module")
def bakeoff(tmp_path_factory):
    return made(tmp_path_factory.mktemp("torture"), delay=0.005)


def completes(bakeoff, out):
    ended = bakeoff.commands.call(*bakeoff.run(out), delay=0.0)
    assert ended.code == 0, ended.err[-2000:]
    assert bakeoff.agrees(out)


# killed


def test_a_run_killed_at_random_moments_is_completed_by_the_same_command(bakeoff, tmp_path):
    rng, left, number = random.Random(7), KILLS, 0
    while left:
        number += 1
        out = tmp_path / str(number)
        for _ in range(min(4, left)):
            child = bakeoff.commands.start(*bakeoff.run(out))
            ended = child.killed_after(rng.uniform(0, bakeoff.seconds), rng.choice(SIGNALS))
            assert ended.code in (0, *ENDS), ended.err[-2000:]
            assert "Traceback" not in ended.err or ended.code in ENDS
            left -= ended.code != 0
            if ended.code == 0:
                break
        completes(bakeoff, out)
        shutil.rmtree(out)


def test_score_and_report_killed_at_random_moments_are_completed_by_the_same_command(bakeoff, tmp_path):
    rng, out = random.Random(8), bakeoff.copy(tmp_path / "run")
    page = (out / "report.md").read_text()
    for number in range(OTHERS):
        command = ("score", "report")[number % 2]
        ended = bakeoff.commands.start(command, out).killed_after(rng.uniform(0, 0.6), rng.choice(SIGNALS))
        assert ended.code in (0, *ENDS), ended.err[-2000:]
        assert (out / "report.md").read_text() == page, "no half report"
        ended = bakeoff.commands.call(command, out)
        assert ended.code == 0, ended.err[-2000:]
        assert bakeoff.agrees(out)


def test_advise_killed_at_random_moments_is_completed_by_the_same_command(bakeoff, tmp_path):
    rng, out = random.Random(9), tmp_path / "advice"
    (tmp_path / "answers.toml").write_text('task = "extraction"\n')
    command = ("advise", "--answers", tmp_path / "answers.toml", "--no-input", "--out", out)

    def advice():
        found = json.loads((out / "advice.json").read_text())
        return {key: value for key, value in found.items() if key not in ("created", "when", "date")}

    ended = bakeoff.commands.call(*command)
    assert ended.code == 0, ended.err[-2000:]
    whole = advice()
    for _ in range(OTHERS):
        bakeoff.commands.start(*command).killed_after(rng.uniform(0, 0.5), rng.choice(SIGNALS))
        assert advice() == whole, "no half advice"
        assert bakeoff.commands.call(*command).code == 0
        assert advice() == whole


# no room


def failing_at(number):
    """In the child: the disk is full from the `number`-th time on that something must be on disk."""

    def patch():
        real, seen = os.fsync, []

        def full(descriptor):
            seen.append(descriptor)
            if len(seen) >= number:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(descriptor)

        os.fsync = full

    return patch


def test_a_disk_that_is_full_at_a_random_write_ends_with_a_sentence_and_is_completed_later(bakeoff, tmp_path):
    rng = random.Random(10)
    for number in range(HALF):
        out = tmp_path / str(number)
        ended = bakeoff.commands.call(*bakeoff.run(out), before=failing_at(rng.randint(1, 120)), delay=0.0)
        assert ended.refused, (ended.code, ended.err[-2000:])
        assert "No space left on device" in ended.err
        completes(bakeoff, out)
        shutil.rmtree(out)


@pytest.fixture
def mounted(tmp_path):
    """Mounts a small file system; skipped where that is not allowed."""
    places = []

    def mount(options):
        place = tmp_path / f"disk{len(places)}"
        place.mkdir()
        try:
            done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], capture_output=True)
        except OSError:
            done = None
        if done is None or done.returncode:
            pytest.skip("no file system can be mounted here")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_really_full_disk_ends_with_a_sentence_and_is_completed_with_more_room(bakeoff, mounted):
    for pages in (4, 12, 40, 90):
        disk = mounted(f"size={pages * 4}k")
        ended = bakeoff.commands.call(*bakeoff.run(disk / "run"), delay=0.0)
        assert ended.refused, (ended.code, ended.err[-2000:])
        subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
        completes(bakeoff, disk / "run")


def test_a_folder_that_cannot_be_written_is_named(bakeoff, mounted):
    disk = mounted("size=20m")
    completes(bakeoff, disk / "run")
    (disk / "run" / "verdict.json").unlink()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for command in (bakeoff.run(disk / "run"), ("score", disk / "run"), ("report", disk / "run")):
        ended = bakeoff.commands.call(*command)
        assert ended.refused, (ended.code, ended.err[-2000:])
        assert "Read-only file system" in ended.err
        assert str(disk / "run") in ended.err
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    completes(bakeoff, disk / "run")


def limited_to(extra_mb):
    """In the child: so many more MB of address space than it has."""

    def patch():
        pages = int(STATM.read_text().split()[0])
        size = pages * os.sysconf("SC_PAGE_SIZE") + extra_mb * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (size, size))

    return patch


@pytest.mark.skipif(not STATM.exists(), reason="needs /proc")
@pytest.mark.parametrize("extra", [4, 12, 24])
def test_too_little_memory_leaves_a_folder_that_is_completed_later(bakeoff, tmp_path, extra):
    ended = bakeoff.commands.call(*bakeoff.run(tmp_path / "run"), before=limited_to(extra), delay=0.0)
    assert ended.code == 0 or ended.refused, ended.err[-2000:]
    completes(bakeoff, tmp_path / "run")


# the terminal goes away


def test_output_that_nobody_reads_any_more_costs_nothing(bakeoff, tmp_path):
    def closed_pipe():
        reading, writing = os.pipe()
        os.close(reading)
        os.dup2(writing, 1)

    strict = (*bakeoff.run(tmp_path / "strict"), "--json", "--strict")
    commands = (bakeoff.run(tmp_path / "run"), strict, ("score", bakeoff.whole), ("score", bakeoff.whole, "--json"))
    for command in (*commands, ("report", bakeoff.whole), ("history",), ("advise", "questions"), ("--help",)):
        ended = bakeoff.commands.call(*command, before=closed_pipe, delay=0.0)
        read = bakeoff.commands.call(*command, delay=0.0)
        assert (ended.code, ended.out) == (read.code, ""), (command, ended.err[-2000:])
        assert "Traceback" not in ended.err
    assert (tmp_path / "strict" / "report.html").exists()
    assert bakeoff.agrees(tmp_path / "run"), "the run went on without a reader"


def test_output_into_a_full_device_leaves_a_folder_that_is_completed(bakeoff, tmp_path):
    def full_device():
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)

    ended = bakeoff.commands.call(*bakeoff.run(tmp_path / "run"), before=full_device, delay=0.0)
    assert ended.code == 0 or ended.refused, ended.err[-2000:]
    completes(bakeoff, tmp_path / "run")
