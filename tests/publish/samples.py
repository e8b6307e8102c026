"""Documents made up by hand: every kind of block, ordinary and at its worst."""

from __future__ import annotations

from harness.publish.blocks import (
    Axis,
    Bar,
    Bullets,
    CaseBrowser,
    CaseGroup,
    Column,
    Dot,
    Fact,
    Facts,
    Intervals,
    Line,
    Lines,
    Mark,
    Paragraph,
    Parts,
    Place,
    Report,
    Row,
    Scatter,
    Section,
    ShownAnswer,
    ShownCase,
    ShownPassage,
    Subheading,
    Table,
)

ARMS = (
    "RAG + LoRA (recommended)",
    "RAG",
    "Nearest shots",
    "LoRA",
    "Few-shot",
    "Prompt",
    "Full tuning of everything with a very long name indeed",
    "Constant answer (control)",
)
PERCENT = tuple((i / 4, f"{25 * i} %") for i in range(5))
NASTY = (
    '<script>alert(1)</script> </style> &amp; #set text(red) #eval("1") $x^2$ *bold* _it_ `code` @ref <label> // x '
    "[[link]] \\textbf{x} {{ 7 * 7 }} =cmd|' /C calc'!A0 \x1b[31mred\x1b[0m \x00 \u202egnorw\u202c مرحبا שלום 👩‍💻 "
    "Zażółć 数据"
)


def intervals(text: str = "") -> Intervals:
    """Eight arms."""
    bars = tuple(
        Bar(
            f"{arm}{text}",
            0.72 - 0.09 * i,
            0.64 - 0.08 * i,
            0.8 - 0.08 * i,
            f"{72 - 9 * i} % ({64 - 8 * i} to {80 - 8 * i} %)",
            i == 0,
        )
        for i, arm in enumerate(ARMS)
    )
    return Intervals(f"Share of right answers{text}", bars, 1.0, PERCENT, 0.6, "Target: 60 %", f"Eight arms.{text}")


def lines(text: str = "") -> Lines:
    """Cost against volume on two logarithmic scales."""
    volumes = (10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)
    money = tuple((10.0**i, f"${10**i:,}") for i in range(2, 7))
    return Lines(
        f"First-year cost{text}",
        Axis("Requests a day", tuple((v, f"{v:,.0f}") for v in volumes), logarithmic=True),
        Axis("US dollars", money, logarithmic=True),
        tuple(
            Line(f"{name}{text}", tuple((v, once + rate * v) for v in volumes), tone=tone, marked=tone == 2)
            for tone, (name, once, rate) in enumerate(
                (("Prompt", 200.0, 3.0), ("RAG", 2_000.0, 1.0), ("LoRA", 9_000.0, 0.4))
            )
        ),
        f"Three lines.{text}",
        dots=(Dot(f"break-even{text}", 900.0, 2_900.0),),
        upright=((2_000.0, f"this use case: 2,000 a day{text}"),),
    )


def curve(text: str = "") -> Lines:
    """A learning curve with intervals."""
    points = ((50.0, 0.2), (100.0, 0.34), (200.0, 0.41), (400.0, 0.5))
    return Lines(
        f"Learning curve{text}",
        Axis("Training examples", ((50.0, "50"), (100.0, "100"), (200.0, "200"), (400.0, "400")), logarithmic=True),
        Axis("Accuracy", PERCENT),
        (
            Line(f"LoRA{text}", points, tuple((y - 0.06, y + 0.06) for _, y in points), tone=4),
            Line(f"Nearest shots{text}", tuple((x, y + 0.2) for x, y in points), tone=2, marked=True),
        ),
        f"Two lines.{text}",
        level=((0.55, f"RAG{text}"),),
    )


def scatter(text: str = "") -> Scatter:
    """Quality against cost; two points lie nearly on each other."""
    dots = tuple(
        Dot(f"{arm}{text}", 0.1 * 2.2**i, 0.2 + 0.08 * i, 0.12 + 0.08 * i, 0.28 + 0.08 * i, tone=i, marked=i == 5)
        for i, arm in enumerate(ARMS[1:])
    )
    near = Dot(f"Nearly the same{text}", 0.1 * 2.2**3 * 1.05, 0.2 + 0.08 * 3 + 0.01, tone=7)
    ticks = ((0.1, "$0.1"), (1.0, "$1"), (10.0, "$10"), (100.0, "$100"))
    return Scatter(
        f"Quality against cost{text}",
        Axis("Cost of 1,000 requests", ticks, logarithmic=True),
        Axis("Accuracy", PERCENT),
        (*dots, near),
        f"Eight points.{text}",
    )


def parts(text: str = "") -> Parts:
    """Right answers, generation misses and retrieval misses."""
    rows = (
        Row(f"RAG{text}", (12, 89, 3), ("12", "89", "3")),
        Row(f"RAG + LoRA{text}", (57, 44, 3), ("57", "44", "3"), marked=True),
    )
    axis = Axis("Cases", ((0, "0"), (26, "26"), (52, "52"), (78, "78"), (104, "104")))
    names = (f"Right{text}", "Passage found, answer wrong", "Passage not found")
    return Parts(f"Where answers are lost{text}", names, rows, axis, f"Two bars.{text}")


def browser(text: str = "", *, cases: int = 3) -> CaseBrowser:
    """Some cases with two arms each, one of which read a passage."""
    shown = tuple(
        ShownCase(
            f"c{i}{text}",
            f"What is {i} plus {i}?{text}",
            (f"{2 * i}{text}",),
            (
                ShownAnswer(
                    "RAG", Mark.RIGHT, "right", 1.0, f"{2 * i}{text}", raw=f"It is {2 * i}.{text}", passages=("p",)
                ),
                ShownAnswer("LoRA", Mark.WRONG, "wrong", 0.0, "", remark=f"error: none{text}", trouble=True),
            ),
        )
        for i in range(cases)
    )
    return CaseBrowser(
        (CaseGroup("Only RAG right", shown),), ("RAG", "LoRA"), {"p": ShownPassage(f"Sums{text}", f"Two{text}")}
    )


def every_block(text: str = "") -> Report:
    """Every kind of block once and more; `text` is put behind every string."""
    table = Table(
        f"Arms, best first{text}",
        (Column("Arm"), Column(f"Accuracy{text}", number=True), Column("Cases", number=True), Column("Why")),
        tuple((f"{arm}{text}", "72 % (64 to 80 %)", "1,234", f"because it reads the documents{text}") for arm in ARMS),
        frozenset({0}),
    )
    long = Table(
        "Pairs",
        (Column("Pair"), *(Column(f"Number {i}", number=True) for i in range(7))),
        tuple(
            (f"{first} against {second}{text}", "+12 points (3 to 21)", "0.03", "40", "12", "0.5", "1", "ahead")
            for first in ARMS
            for second in ARMS
        ),
    )
    facts = Facts(
        (
            Fact(f"Accuracy of RAG{text}", f"72 % (64 to 80 %){text}", f"95 % interval{text}"),
            Fact("Cost", "$1.20"),
            Fact("Time to update", "1.1 s"),
        )
    )
    body = (
        Section(
            f"Results{text}",
            "results",
            (Paragraph(f"RAG answers best.{text}"), intervals(text), table, Paragraph(f"A remark.{text}", note=True)),
        ),
        Section(f"Pictures{text}", "pictures", (lines(text), curve(text), scatter(text), parts(text))),
        Section(f"Cases{text}", "cases", (browser(text),), Place.DETAIL),
        Section(f"Appendix{text}", "appendix", (Subheading(f"Pair by pair{text}"), long, facts), Place.APPENDIX),
    )
    summary = Section(
        f"RAG + LoRA wins{text}",
        "verdict",
        (
            Paragraph(f"Use retrieval with fine-tuning.{text}", lead=True),
            Facts(facts.facts, key=True),
            Subheading(f"What would change our mind{text}"),
            Bullets((f"New documents every day.{text}", f"Fewer than 100 labels.{text}")),
        ),
    )
    return Report(
        f"Bake-off: harbour handbook{text}", f"5 approaches on 104 cases{text}", summary, body, "Made by bakeoff."
    )
