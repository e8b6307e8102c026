"""Size of the HTML report of 2,000 cases and 8 arms, and how long Chromium takes to open and to filter it.

Usage: python tests/bench/bench_html_browser.py [CASES] [ARMS]
"""

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]

TIMED = """
(([id, value, event]) => {
  const control = document.getElementById(id), start = performance.now();
  control.value = value;
  control.dispatchEvent(new Event(event));
  document.body.offsetHeight;
  return performance.now() - start;
})
"""
"""Milliseconds from a change of a control to the page laid out again."""
SEARCHED = """
((words) => new Promise((done) => {
  const control = document.getElementById("case-search"), start = performance.now();
  const seen = new MutationObserver(() => { document.body.offsetHeight; done(performance.now() - start); });
  seen.observe(document.getElementById("case-list"), { childList: true });
  control.value = words;
  control.dispatchEvent(new Event("input"));
}))
"""
"""The same for the search, with its pause of 80 ms after the last key."""


def page_of(cases, arms):
    from report import builders

    from harness.publish.html import to_html
    from harness.report.content import build_report

    return to_html(build_report(builders.large(cases=cases, arms=arms)))


def main():
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    from browser.chromium import chromium_page

    cases, arms = (int(number) for number in (*sys.argv[1:], "2000", "8")[:2])
    start = time.perf_counter()
    page_text = page_of(cases, arms)
    print(f"made in {time.perf_counter() - start:.1f} s, {len(page_text.encode()) / 2**20:.2f} MiB")
    with tempfile.TemporaryDirectory() as folder, chromium_page() as page:
        path = Path(folder) / "report.html"
        path.write_text(page_text, encoding="utf-8")
        start = time.perf_counter()
        page.goto(path.as_uri())
        page.locator("#case-list article").first.wait_for()
        print(f"opened in {time.perf_counter() - start:.2f} s")
        for id, value in (("case-group", "1"), ("case-group", ""), ("case-arm", "3"), ("case-mark", "wrong")):
            print(f"{id} = {value!r}: {page.evaluate(TIMED, [id, value, 'change']):.0f} ms")
        page.locator("#case-clear").click()
        for words in ("branch 1999", "word7 city", "nothing like this"):
            print(f"search {words!r}: {page.evaluate(SEARCHED, words):.0f} ms, 80 of them the pause")
        page.locator("#case-clear").click()
        page.locator("#view-pair").check()
        print(f"side by side: {page.evaluate(TIMED, ['case-left', '2', 'change']):.0f} ms")


if __name__ == "__main__":
    main()
