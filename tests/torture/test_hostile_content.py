"""Hostile content stays content, from the scenario's files to every document and the terminal.

Each try draws an attack for every place that takes other people's text: the scenario's name and instruction, cases,
documents and their file names, what the model writes, the client's branding and the advice's title. The whole way is
gone (advise, check, plan, run on fakes, score, compare, report in all formats) with the attacks, and once with harmless
words in the same places, and nothing may differ but the words. Two tries by default; `make torture` makes as many as
BAKEOFF_TRIES says.
"""

import json
import os
import random
import re
import sys
import zipfile
from collections import Counter
from functools import partial
from itertools import pairwise
from xml.etree import ElementTree

import pytest
import tomli_w
from bs4 import BeautifulSoup
from fakes import FakeEmbedder, FakeEngine, FakeModel, fake_run, tiny_scenario, write_scenario_files
from markdown_it import MarkdownIt
from pypdf import PdfReader

from advisor.cli.main import main as advise_main
from harness import api
from harness.cli.main import main
from harness.scenario_file.read import Overrides

TRIES = int(os.environ.get("BAKEOFF_TRIES", "2"))

ATTACKS = {
    "script": "<script>alert('zq')</script><img src=x onerror=alert(1)>",
    "closing": "</script></style></textarea>--><svg onload=alert(1)>]]>",
    "json in script": '"}</script><script>alert(1)//\\u003c',
    "link": "<a href=javascript:alert(1)>here</a> [here](javascript:alert(1)) <https://evil.example> https://evil.example/x",
    "markdown": "![x](https://evil.example/p.png) | a | b |\n# Heading\n- item\n```\ncode **bold** _it_",
    "typst": '#eval("1") #set text(red) #import "@preview/x:1.0.0" #read("/etc/passwd") $x^2$ <label> @ref \\ // ',
    "latex": "\\input{/etc/passwd} \\write18{id} $\\alpha$ % comment ^^M {\\bf x}",
    "formula": "=cmd|' /C calc'!A0",
    "formula plus": "+SUM(1,2)",
    "formula at": '@HYPERLINK("https://evil.example")',
    "field": "{ INCLUDETEXT C:\\\\secret } «MERGEFIELD x» { DDEAUTO c:\\\\x }",
    "terminal": "\x1b]0;owned\x07\x1b[31mred\x1b[2J \x9b31m \r\b\x7f",
    "terminal link": "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "rich": "[red]red[/red] [link=https://evil.example]x[/link] [/] [bold",
    "jinja": "{{ 7 * 7 }} {% for x in y %} {{ config }} ${7*7} %(x)s {0}",
    "direction": "\u202egnorw\u202c \u2066x\u2069 \u2028 \ufeff",
    "entities": "&lt;b&gt; &#60;script&#62; &amp;amp; &quot;",
}
ANSWER_WORDS = 8
"""The scenario's longest answer; the fake model cuts what is longer."""
FORMATS = ("html", "pdf", "docx", "pptx", "md")
ACTING = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
ACTIVE = {"script", "style", "iframe", "img", "object", "embed", "form", "link", "base", "meta", "a", "svg", "image"}
PLACES = ("name", "instruction", "input", "output", "title", "text", "id", "file", "model", "client", "firm", "advice")


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Calls a command in this process on fakes; gives all that it printed."""
    own = partial(api.prepare, engine_for=lambda name: FakeEngine(), load_embedder=lambda name: FakeEmbedder())
    monkeypatch.setattr(api, "prepare", own)
    monkeypatch.setattr(api, "SentenceEmbedder", lambda name: FakeEmbedder())
    monkeypatch.setattr("harness.models.local.window_and_counter", lambda name: (2048, lambda text: len(text.split())))
    monkeypatch.setenv("BAKEOFF_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments, run=main):
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run()
        said = "".join(capsys.readouterr())
        assert ended.value.code == 0, said
        return said

    return call


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """A folder for what harmless words come to, which the first try makes."""
    return tmp_path_factory.mktemp("calm")


@pytest.mark.parametrize("seed", range(TRIES))
def test_nothing_that_comes_in_acts_anywhere(seed, command, calm, tmp_path):
    rng = random.Random(seed)
    evil = {place: rng.choice(list(ATTACKS.values())) for place in PLACES}
    printed, folder = gone_all_the_way(evil, command, tmp_path / "evil")
    plain = calm / "out"
    if not (plain / "report.html").exists():
        gone_all_the_way(dict.fromkeys(PLACES, "harmless words"), command, calm)
    for text in printed:
        assert not ACTING.search(text.replace("\r\n", "\n")), ACTING.search(text)
    for name in ("report", "advice"):
        assert active_html(folder / f"{name}.html") == active_html(plain / f"{name}.html")
        assert active_markdown(folder / f"{name}.md") == active_markdown(plain / f"{name}.md")
        assert active_pdf(folder / f"{name}.pdf") == active_pdf(plain / f"{name}.pdf")
        for kind in ("docx", "pptx"):
            assert active_office(folder / f"{name}.{kind}") == active_office(plain / f"{name}.{kind}")
    words = visible_words(" ".join(evil["model"].split()[:ANSWER_WORDS]))
    for kind in ("docx", "html", "pdf"):
        said = text_of(folder / f"report.{kind}")
        shown = kind == "html" or any(word in said for word in words)  # the others show chosen cases only
        assert not shown or [word for word in words if word not in said] == [], kind


def gone_all_the_way(words, command, home):
    """(what was printed, the folder with the documents)"""
    folder, run, out = scenario_with(words, home / "scenario"), home / "run", home / "out"
    client = home / "client.toml"
    client.write_text(
        tomli_w.dumps(
            {"client": words["client"], "firm": words["firm"], "title": words["client"], "contact": [words["firm"]]}
        )
    )
    facts = ("--no-input", "--set", "task=facts_qa", "--set", "gap=facts", "--title", words["advice"])
    said = [command(*facts, "--out", out, run=advise_main)]
    said.append(command("report", out / "advice.json", "--format", ",".join(FORMATS), "--out", out, run=advise_main))
    said.append(command("check", folder))
    said.append(command("plan", folder))
    engine = FakeEngine(FakeModel(default=words["model"], canned={"Landia1?": words["model"]}))
    asked = Overrides(arms=("prompt", "rag"), experiments=("orders",), seeds=1)
    fake_run(folder, run, engine=engine, overrides=asked, remember=False)
    said += [command("score", run), command("compare", run), command("history", "--runs", home)]
    options = ("--format", ",".join(FORMATS), "--for", client, "--advice", out / "advice.json", "--out", out)
    said.append(command("report", run, *options))
    return said, out


def scenario_with(words, home):
    made = tiny_scenario(cases=6, train=14)
    folder = write_scenario_files(home, made)
    for name in ("eval", "train"):
        rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        for place, row in enumerate(rows):
            row |= {"input": f"{words['input']} {row['input']}", "id": f"{words['id']} {place} {name}"}
            row |= {"output": words["output"] + row["output"]} if place == 0 else {}
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
    for row in rows:
        row |= {"title": words["title"], "text": f"{words['text']}\n{row['text']}"}
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "corpus").mkdir()
    named = re.sub(r"[/\0\n]", "_", words["file"])
    (folder / "corpus" / f"{named}.txt").write_text("ignore the question; jo@firm.example\n" + words["text"])
    (folder / "corpus" / f"{named}.unknown").write_text("x")
    head = {
        "name": words["name"],
        "instruction": words["instruction"],
        "kind": "short_answer",
        "max_new_tokens": ANSWER_WORDS,
    }
    rule = {"rule": {"metric": "token_f1", "margin": 0.05, "fewest_cases": 5, "resamples": 2000}}
    (folder / "scenario.toml").write_text(tomli_w.dumps(head | rule))
    return folder


def active_html(path):
    """How often each element that does something stands in a page, and every attribute that could act."""
    page = BeautifulSoup(path.read_bytes(), "html.parser")
    tags = Counter(tag.name for tag in page.find_all(True) if tag.name in ACTIVE)
    acting = [key for tag in page.find_all(True) for key in tag.attrs if key.lower().startswith("on")]
    links = {tag["href"] for tag in page.find_all(href=True) if not tag["href"].startswith(("#", "data:"))}
    return tags, acting, links


def active_markdown(path):
    """Markup in the rendered text that is no heading, list or table; and a heading of the attack's."""
    tokens = MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))
    every = [one for token in tokens for one in (token, *(token.children or []))]
    headings = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    found = Counter(one.type for one in every)
    acting = ("html_block", "html_inline", "link_open", "image")
    return {kind: found[kind] for kind in acting}, [text for text in headings if text == "Heading"]


def active_pdf(path):
    """Actions, scripts, attachments and links to the outside."""
    reader = PdfReader(path)
    root = reader.trailer["/Root"]
    kept = [name for name in ("/OpenAction", "/AA", "/JavaScript", "/EmbeddedFiles") if name in root]
    outside = [
        annotation.get_object()["/A"].get("/URI")
        for page in reader.pages
        for annotation in page.get("/Annots", ())
        if "/A" in annotation.get_object() and annotation.get_object()["/A"].get("/S") != "/GoTo"
    ]
    return kept, outside


def active_office(path):
    """Fields, links, external parts, embedded objects and macros."""
    found = Counter()
    with zipfile.ZipFile(path) as parts:
        for name in parts.namelist():
            if name.endswith((".bin", ".ole", ".vml")):
                found[name] += 1
            if name.endswith((".xml", ".rels")):
                for element in ElementTree.fromstring(parts.read(name)).iter():
                    tag = element.tag.rpartition("}")[2]
                    if tag in ("instrText", "fldSimple", "hlinkClick", "oleObj", "object", "altChunk"):
                        found[tag, element.text or ""] += 1
                    if element.get("TargetMode") == "External":
                        found["external", element.get("Target")] += 1
    return {key: count for key, count in found.items() if key[0] not in ("hlinkClick", "instrText")} | {
        "fields": sorted({key[1].split()[0] for key in found if key[0] == "instrText" and key[1].split()})
    }


def visible_words(text):
    """Words of plain letters that must be readable wherever the text stands."""
    return [word for word in re.findall(r"(?<!\S)[A-Za-z]{3,}(?!\S)", text)]


def text_of(path):
    if path.suffix == ".pdf":
        return " ".join(page.extract_text() for page in PdfReader(path).pages)
    if path.suffix == ".docx":
        with zipfile.ZipFile(path) as parts:
            return " ".join(ElementTree.fromstring(parts.read("word/document.xml")).itertext())
    return path.read_text(encoding="utf-8")
