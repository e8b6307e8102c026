"""How long all formats take and how large they get: python -m tests.bench.reports [--cases 2000] [--arms 8]

A made-up run of that size is laid out in every format, in a process of its own; its peak memory is counted from the
start, libraries included.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
MEGABYTE = 2**20


def main() -> None:
    """Print seconds and bytes for each format, and the peak memory of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2_000)
    parser.add_argument("--arms", type=int, default=8)
    parser.add_argument("--words", type=int, default=60, help="words of each question and each answer")
    asked = parser.parse_args()
    sys.path.insert(0, str(TESTS / "report"))
    import builders

    from harness.publish.write import FORMATS
    from harness.report.write import Form, write_reports

    data = builders.large(cases=asked.cases, arms=asked.arms, words=asked.words)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for kind in FORMATS:
            start = time.perf_counter()
            [path] = write_reports(data, Path(folder), form=Form((kind,)))
            size = path.stat().st_size / MEGABYTE
            print(f"{kind:5} {time.perf_counter() - start:6.2f} s {size:7.2f} MiB")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"all   {time.perf_counter() - began:6.2f} s, peak memory {peak:,.0f} MiB")


if __name__ == "__main__":
    main()
