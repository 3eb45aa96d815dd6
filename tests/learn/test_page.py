"""The report page: whole, calm, honest about its numbers, and nothing in the data can break it."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
import sample_report as sample
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("sklearn")

from silmu.steps.evaluate import charts, examples
from silmu.steps.evaluate.charts import Row, Scale
from silmu.steps.evaluate.markup import Html, html
from silmu.steps.evaluate.page import page
from silmu.steps.evaluate.style import STYLE
from silmu.steps.evaluate.words import cut, figure, shortened, visible

MANY = tuple(f"label {i}" for i in range(30))
REPORTS = {
    "single": sample.report,
    "ordered": lambda: sample.report("ordered"),
    "multiple": lambda: sample.report("multiple"),
    "number": lambda: sample.report("number"),
    "two labels": lambda: sample.report(labels=("no", "yes")),
    "many labels": lambda: sample.report(labels=MANY),
    "new data": sample.new_data,
    "no labels": lambda: sample.new_data(measured=False),
    "hostile": sample.hostile,
    "table": sample.table,
    "table of several labels": lambda: sample.table("multiple"),
    "table of grades": lambda: sample.table("ordered"),
    "table of numbers": lambda: sample.table("number"),
    "table of several numbers": lambda: sample.table("numbers"),
    "new rows of a table": sample.new_table,
    "hostile table": sample.hostile_table,
    "pictures": sample.pictures,
    "pictures of several labels": lambda: sample.pictures("multiple"),
    "pictures of grades": lambda: sample.pictures("ordered"),
    "pictures of numbers": lambda: sample.pictures("number"),
    "hostile pictures": sample.hostile_pictures,
}
every_report = pytest.mark.parametrize("name", REPORTS)
VOID = {"img", "meta", "line", "circle", "rect", "polyline", "br"}
# Joiners are left: Persian words and emoji are made with them.
UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


class Seen(HTMLParser):
    """What a browser makes of a page: elements, attributes, and the text that is seen."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, dict[str, str]]] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.inside: list[tuple[str, ...]] = []
        self.parts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        one = (tag, {name: value or "" for name, value in attrs})
        assert len(one[1]) == len(attrs), f"an attribute twice: {attrs}"
        self.elements.append(one)
        self.inside.append(tuple(name for name, _ in self.open))
        if tag not in VOID:
            self.open.append(one)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        ticks = any(attrs.get("class") == "tick" for _, attrs in self.open)
        if not ticks and not any(tag == "style" for tag, _ in self.open):
            self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.parts)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.elements if name == tag]


def shown(values: dict[str, Any]) -> str:
    return page(values, run=values.get("run") or {})


def seen(values: dict[str, Any]) -> Seen:
    return Seen(shown(values))


# ── one file, no network, no script ────────────────────────────────────────────────────────────


@every_report
def test_a_page_is_one_well_formed_file_that_asks_for_nothing(name: str) -> None:
    text = shown(REPORTS[name]())
    assert len(text.encode()) < 300_000
    parsed = Seen(text)
    tags = {tag for tag, _ in parsed.elements}
    assert not tags & {"script", "iframe", "object", "link", "form", "base", "image"}
    attributes = {attribute for _, attrs in parsed.elements for attribute in attrs}
    assert not [one for one in attributes if one.startswith("on") or one == "srcset"]
    sources = [attrs["src"] for _, attrs in parsed.elements if "src" in attrs]
    assert len(sources) == len(parsed.all("img"))
    assert all(re.fullmatch(r"data:image/(png|jpeg);base64,[\w+/]+=*", one) for one in sources)
    assert bool(sources) == (name.startswith("pictures"))
    assert all(attrs["href"].startswith("#") for attrs in parsed.all("a"))
    assert "url(" not in text
    assert "@import" not in text
    policy = parsed.all("meta")[1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert policy["content"].startswith("default-src 'none'; style-src 'unsafe-inline'")


@every_report
def test_a_page_can_be_read_without_seeing_it(name: str) -> None:
    parsed = seen(REPORTS[name]())
    levels = [int(tag[1]) for tag, _ in parsed.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    inside_of = Counter(above[-1] for above in parsed.inside if above)
    assert len(parsed.all("caption")) == len(parsed.all("table")) <= inside_of["table"]
    outer = [
        attrs
        for (tag, attrs), above in zip(parsed.elements, parsed.inside, strict=True)
        if tag == "svg" and "svg" not in above and "tr" not in above
    ]
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in outer)
    assert all("scope" in attrs for attrs in parsed.all("th"))
    assert all(attrs["alt"] for attrs in parsed.all("img"))
    names = [attrs["id"] for _, attrs in parsed.elements if "id" in attrs]
    assert len(names) == len(set(names))
    assert {attrs["href"][1:] for attrs in parsed.all("a")} <= set(names)
    assert parsed.all("html") == [{"lang": "en"}]


def test_what_is_absent_is_left_out() -> None:
    headings = {
        name: re.findall(r"<h2 id[^>]*>([^<]*)", shown(make())) for name, make in REPORTS.items()
    }
    assert "Confusions" in headings["single"]
    assert "Confusions" not in headings["multiple"]
    assert "Said and true" in headings["number"]
    assert "By label" not in headings["number"]
    assert "Surest right answers" in headings["pictures"]
    assert "What training saw" in headings["pictures"]
    assert "Surest right answers" not in headings["single"]
    assert "Compared with training" in headings["new data"]
    assert "Beside the baselines" not in headings["new data"]
    assert headings["no labels"] == ["Compared with training", "Data", *headings["single"][-1:]]
    assert Seen(page({}, run={})).all("h1")


# ── every number is from the report ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [name for name in REPORTS if not name.startswith("hostile")])
def test_every_number_is_from_the_report(name: str) -> None:
    values = REPORTS[name]()
    text = seen(values).text
    assert len(sample.told(text)) > 10
    assert sample.invented(text, values) == set()


def test_a_number_that_is_not_from_the_report_would_be_found() -> None:
    values = sample.report()
    text = seen(values).text
    values["metrics"]["accuracy"]["value"] += 0.1
    assert figure(values["metrics"]["accuracy"]["value"] - 0.1) in sample.invented(text, values)


def test_the_page_is_the_same_whenever_it_is_made_again() -> None:
    values = sample.report()
    again = json.loads(json.dumps(values))
    assert shown(values) == shown(again)
    assert values == sample.report(), "the report was changed"


def test_the_headline_has_figure_interval_rows_and_sentence() -> None:
    values = sample.report()
    values["metrics"]["accuracy"] = {"value": 0.8143, "low": 0.7933, "high": 0.8353, "n": 1400}
    head = shown(values).partition("<nav")[0]
    for told in ("0.814", "0.793 to 0.835", "1,400 rows", "first look at this test split"):
        assert told in head
    assert "Better than TF-IDF over words by 3.3 points (1.2 to 5.4) in accuracy." in head


def test_looks_are_a_warning_from_the_second() -> None:
    values = sample.report()
    first = shown(values)
    values["look"] = 2
    second = shown(values)
    assert "look loud" not in first
    assert "look loud" in second
    assert "look 2 at this test split" in second
    # Said by evaluate already, it is not said again.
    values["warnings"] = ["look 2 at this test split: choose by validation"]
    assert shown(values).count("ook 2 at this test split") == 2


def test_lower_is_better_is_said() -> None:
    head = shown(sample.report("number")).partition("<nav")[0]
    assert "lower is better" in head
    assert "lower is better" not in shown(sample.report()).partition("<nav")[0]


# ── what data can hold ─────────────────────────────────────────────────────────────────────────


def test_hostile_data_is_only_text() -> None:
    text = shown(sample.hostile())
    assert not UNSEEN.search(text)
    calm = {name for tag, attrs in seen(sample.report()).elements for name in (tag, *attrs)}
    parsed = Seen(text)
    assert {name for tag, attrs in parsed.elements for name in (tag, *attrs)} <= calm | {
        "h3",
        "pre",
    }
    for told in ("<script>alert(1)</script>", "user\u27e8U+202E\u27e9gnp.exe", "onerror=alert(1)"):
        assert told in parsed.text
    assert "L" * 800 not in text
    assert "more characters" in parsed.text


def test_a_page_that_did_not_escape_would_be_found() -> None:
    unsafe = shown(sample.hostile()).replace("&lt;script&gt;", "<script>", 1)
    with pytest.raises(AssertionError):
        assert not {"script"} & {tag for tag, _ in Seen(unsafe).elements}


def test_templates_escape_and_html_stays() -> None:
    assert html("<b>{x}</b>{y}", x='<"&{y}', y=Html("<i></i>")) == (
        "<b>&lt;&quot;&amp;{y}</b><i></i>"
    )


@given(st.text(st.characters(), max_size=60))
def test_no_text_leaves_its_element(text: str) -> None:
    made = html('<p title="{text}">{text}</p>', text=text)
    made.encode()
    parsed = Seen(made)
    assert [tag for tag, _ in parsed.elements] == ["p"]
    assert not UNSEEN.search(made.replace("\r", ""))
    assert "".join(parsed.parts) == visible(text)


def test_long_texts_are_cut_and_it_is_said() -> None:
    assert cut("short\nand whole\n") == ("short\nand whole", "")
    text, more = cut("x" * 100_000)
    assert text == "x" * 700
    assert more == "\u2026 99,300 more characters"
    text, more = cut("line\n" * 1000)
    assert text.count("\n") == 11
    assert "more characters" in more
    assert shortened("a\n b\t c") == "a b c"
    assert shortened("") == "(empty)"
    assert len(shortened("x" * 100_000, 20)) == 20


def test_korean_is_marked_as_korean() -> None:
    assert '<blockquote dir="auto" lang="ko">' in shown(sample.report())
    assert "Noto Sans CJK KR" in STYLE


# ── examples ───────────────────────────────────────────────────────────────────────────────────


def test_words_are_shaded_by_their_weight() -> None:
    values = sample.report()
    values["details"]["attributions"] = [
        {"row": 7, "label": "positive", "prediction": "negative", "kind": "mistake",
         "of": "negative", "score": 0.9,
         "pieces": [["not ", 0.5], ["so ", -0.25], ["<b>good", 0.0]]}
    ]  # fmt: skip
    text = examples.worst(values["details"]) or ""
    assert '<span class="for" style="--w:1.00">not</span> ' in text
    assert '<span class="against" style="--w:0.50">so</span> ' in text
    assert "&lt;b&gt;good" in text
    assert "<bdi>not</bdi> +0.500" in text
    assert "<bdi>so</bdi> \u22120.250" in text


def test_pieces_that_are_not_of_the_text_change_nothing() -> None:
    details = sample.report()["details"]
    details["attributions"][0]["pieces"] = [["another text", 0.5]]
    text = examples.worst(details) or ""
    assert "I love &lt;b&gt;this&lt;/b&gt; &amp; that." in text
    assert text.count("<article>") == len(details["worst"])


def test_mistakes_beyond_the_first_unfold() -> None:
    text = examples.worst(sample.report()["details"]) or ""
    before, _, after = text.partition("<details>")
    assert before.count("<article>") == 6
    assert "3 more" in after
    assert after.count("<article>") == 3


def test_a_picture_that_is_gone_is_told_by_its_name() -> None:
    values = sample.pictures()
    text = shown(values)
    assert text.count("no picture") >= 1
    mistakes = text.partition('id="mistakes"')[2].partition("</section>")[0]
    assert mistakes.count("<img") == 8 + 1, "eight of nine, and one of two has its map beside it"
    assert "cats &amp; dogs/0.png" in mistakes
    assert "what its answer hangs on" in mistakes


def test_pairs_that_are_confused_are_seen() -> None:
    text = shown(sample.pictures()).partition('id="confusions"')[2].partition("</section>")[0]
    assert "<bdi>neutral</bdi> taken for <bdi>negative</bdi> <small>17×</small>" in text
    assert text.count("<img") == 3


# ── charts ─────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20), st.booleans())
def test_a_scale_holds_its_values_between_round_ticks(values: list[float], tight: bool) -> None:
    scale = Scale.over(values, tight=tight)
    slack = 1e-6 * max(1.0, abs(scale.low), abs(scale.high))
    assert scale.low <= min(values) + slack
    assert max(values) <= scale.high + slack
    assert list(scale.ticks) == sorted(set(scale.ticks))
    assert len(scale.ticks) <= 12
    assert all(0 <= scale.at(value) <= 100 for value in values)
    labels = [scale.label(tick) for tick in scale.ticks]
    assert len(set(labels)) == len(labels)


def test_ticks_are_round() -> None:
    assert Scale.over([0.31, 0.79]).ticks == (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    assert [Scale.over([0.725, 0.84]).label(t) for t in Scale.over([0.725, 0.84]).ticks][:2] == [
        "0.725",
        "0.750",
    ]


def test_a_scale_of_one_value_goes_from_nothing_to_it() -> None:
    ends = [(one.low, one.high) for one in (Scale.over([1.0]), Scale.over([0, 0]), Scale.over([]))]
    assert ends == [(0, 1), (0, 1), (0, 1)]
    assert Scale.over([-3.0, -3.0]).high == 0


def places(text: str, pattern: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, text)]


def test_intervals_are_drawn_where_they_are() -> None:
    rows = [Row("low", 0.2, 0.1, 0.3), Row("high", 0.8, 0.6, 1.0), Row("none", None, None, None)]
    text = charts.forest(rows, caption="c", head="h", unit="u", mark=0.0)
    assert places(text, r'class="dot" cx="([\d.]+)%"') == [20, 80]
    assert places(text, r'class="whisker" x1="([\d.]+)%"') == [10, 60]
    assert places(text, r'class="whisker" x1="[\d.]+%" x2="([\d.]+)%"') == [30, 100]
    assert places(text, r'class="mark" x1="([\d.]+)%"') == [0, 0, 0]
    assert "\u2013" in text


def test_a_matrix_has_truth_in_rows() -> None:
    text = charts.confusion(["a", "b"], [[7, 3], [1, 9_000]])
    cells = re.findall(r'<td class="(\w+)" style="--s:([\d.]+)">([\d,]+)', text)
    assert cells == [
        ("hit", "0.700", "7"), ("miss", "0.300", "3"),
        ("miss", "0.000", "1"), ("hit", "1.000", "9,000"),
    ]  # fmt: skip


def test_of_many_labels_the_most_confused_pairs_are_told() -> None:
    counts = [[100 * (i == j) for j in range(30)] for i in range(30)]
    counts[3][4], counts[9][1], counts[20][2] = 7, 9, 8
    text = charts.confusion(MANY, counts)
    assert "matrix" not in text
    found = re.findall(r"<bdi>(label \d+)</bdi></td><td><bdi>(label \d+)</bdi>", text)
    assert found == [("label 9", "label 1"), ("label 20", "label 2"), ("label 3", "label 4")]


def test_labels_are_sorted_where_they_are_many_and_have_no_order() -> None:
    def order(values: dict[str, Any]) -> list[str]:
        table = shown(values).partition('class="labels"')[2].partition("</table>")[0]
        return re.findall(r'<th scope="row"><bdi>([^<]*)', table)

    several = sample.report("multiple")
    scores = {one["label"]: one["f1"]["value"] for one in several["details"]["per_class"][1:]}
    assert order(several) == [*sorted(scores, key=lambda label: -scores[label]), "emotion 0"]
    assert order(sample.report("ordered", labels=MANY)) == list(MANY)


def test_curves_go_from_left_to_right_and_up() -> None:
    text = charts.learning_curve([(0, 0.0), (50, 0.5), (100, 1.0)], title="t", steps=100, dots=True)
    assert places(text, r'class="dot" cx="([\d.]+)%"') == [0, 50, 100]
    assert places(text, r'class="dot" cx="[\d.]+%" cy="([\d.]+)%"') == [100, 50, 0]
    many = [(i, float(i % 7)) for i in range(100_000)]
    assert len(charts.learning_curve(many, title="t", steps=100_000, dots=False)) < 40_000


def test_reliability_shows_right_against_sure() -> None:
    bins = [{"low": 0.8, "high": 0.9, "n": 50, "confidence": 0.85, "accuracy": sample.metric(0.6)}]
    text = charts.reliability(bins, html(""))
    assert places(text, r'class="dot" cx="([\d.]+)%"') == [85]
    assert places(text, r'class="dot" cx="[\d.]+%" cy="([\d.]+)%"') == [40]


# ── looks ──────────────────────────────────────────────────────────────────────────────────────


def test_numbers_are_written_one_way() -> None:
    told = [figure(x) for x in (0.81432, -0.05, 0, 1.5, 99.9, 100, 15_320.25, 0.00012, 2e10)]
    assert told == [
        "0.814", "\u22120.050", "0.000", "1.500", "99.900", "100.0", "15,320.2", "1.2e\u221204",
        "2.0e+10",
    ]  # fmt: skip
    assert {figure(x) for x in (None, float("nan"), float("inf"))} == {"\u2013"}


def luminance(colour: str) -> float:
    digits = colour * 2 if len(colour) == 3 else colour
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_words_can_be_told_from_their_ground(theme: int) -> None:
    colours = dict(
        re.findall(r"--([\w-]+):#(\w+)", STYLE.split(":root{")[theme + 1].partition("}")[0])
    )
    colours = {k: v if len(v) == 6 else "".join(c * 2 for c in v) for k, v in colours.items()}
    pairs = [
        (ink, ground) for ink in ("ink", "soft", "blue", "warm") for ground in ("paper", "sheet")
    ]
    for ink, ground in [*pairs, ("amber-ink", "amber")]:
        lights = sorted((luminance(colours[ink]), luminance(colours[ground])))
        assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5, (ink, ground)


def test_the_page_has_a_dark_side_a_phone_and_paper() -> None:
    for query in ("prefers-color-scheme:dark", "max-width:40rem", "@media print"):
        assert query in STYLE
    assert STYLE.count("{") == STYLE.count("}")
    used = {
        name
        for make in REPORTS.values()
        for name in re.findall(r'class="([^"]*)"', shown(copy.deepcopy(make())))
        for name in name.split()
    }
    styled = set(re.findall(r"\.([a-z][\w-]*)", STYLE))
    plain = {"said", "plain", "wide"}
    assert used - styled <= plain, used - styled - plain
