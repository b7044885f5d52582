"""The page stands alone, shows everything, and is safe against whatever a method writes."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from reports import findings, position_error
from reports.figures.style import dose_text
from reports.page.render import breakable, embed, page_data, render, unbroken
from reports.page.tables import table_metrics
from reports.payload import Payload

VOID = {"meta", "link", "img", "input", "br", "line", "path", "wbr"}


class Page(HTMLParser):
    """Tags with their attributes, the text of the page, and of `script` elements by id."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.scripts: dict[str, str] = {}
        self.style = ""
        self.rows: list[list[str | None]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag; a table cell with a value goes to the last row."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts[str(dict(attrs).get("id", len(self.scripts)))] = ""
        if tag == "tr":
            self.rows.append([])
        if "data-value" in dict(attrs):
            self.rows[-1].append(dict(attrs)["data-value"])

    def handle_endtag(self, tag: str) -> None:
        """Every element is closed in its turn."""
        assert tag in VOID or self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text of the page, or of a script."""
        if self.open and self.open[-1] == "script":
            self.scripts[list(self.scripts)[-1]] += data
        elif self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text += data


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    """The page, parsed."""
    return Page(html)


def test_it_loads_nothing(page: Page) -> None:
    for tag, attrs in page.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attrs.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
    assert not re.search(r"url\(|@import", page.style)
    policy = next(attrs for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert str(policy["content"]).startswith("default-src 'none'")
    assert "http" not in str(policy["content"])


def test_it_is_well_formed(page: Page) -> None:
    assert page.open == []
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(set(ids)) == len(ids)
    targets = [str(attrs["href"])[1:] for tag, attrs in page.tags if tag == "a"]
    labelled = [str(attrs["aria-labelledby"]) for _, attrs in page.tags if "aria-labelledby" in attrs]
    assert set(targets + labelled) <= set(ids)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(attrs.get("scope") in ("col", "row", "rowgroup") for tag, attrs in page.tags if tag == "th")
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
    assert all(attrs.get("aria-label") for _, attrs in page.tags if attrs.get("role") == "img")


def test_every_method_dataset_and_failure_is_there(page: Page, payload: Payload) -> None:
    for name in [*(m.name for m in payload.methods), *(d.name for d in payload.datasets)]:
        assert name in page.text
    for failure in payload.failures:
        assert failure.sentence in page.text
        assert failure.message in page.text
        assert failure.traceback in page.text
        place = re.escape(f"{failure.dataset}, {dose_text(failure.dose)} e⁻/Å²: ")
        assert re.search(rf"{place}replicates? (\d+, )*{failure.replicate}(?!\d)", page.text)
    assert payload.command in page.text
    for _, value in payload.provenance:
        assert value in page.text
    for metric in payload.metrics:
        assert metric.description in page.text
    assert "Linear images." in page.text


def test_hostile_strings_stay_text(page: Page, html: str, hostile: str) -> None:
    assert hostile in page.text
    assert hostile not in html
    assert not any("hostile" in str(attrs.get("class")) for _, attrs in page.tags)
    assert len(page.scripts) == 4
    assert "{{" not in page.text.replace(hostile, "")


@pytest.mark.parametrize("text", ["</script>", "<!--", "a & b", "\u2028", 'it\'s "so"', "<b>"])
def test_embedded_json_survives(text: str) -> None:
    written = embed({"key": text})
    assert json.loads(written) == {"key": text}
    assert not set("<>&\u2028") & set(written)


def test_the_scripts_draw_the_numbers_of_the_results(page: Page, payload: Payload) -> None:
    carried = json.loads(page.scripts["data"])
    assert len(carried["rows"]) == len(payload.rows)
    for row, shown in zip(payload.rows, carried["rows"], strict=True):
        assert (row.dataset, row.dose, row.method, row.n, row.failures) == tuple(
            shown[key] for key in ("dataset", "dose", "method", "n", "failures")
        )
        for key, value in shown["values"].items():
            assert (value["mean"], value["low"], value["high"]) == (
                row.values[key].mean,
                row.values[key].low,
                row.values[key].high,
            )
    assert set(carried["rows"][0]["values"]) == {"recall", "rmsd", "tracing_error", "classification"}
    assert carried == json.loads(json.dumps(page_data(payload, [payload.metric(k) for k in shown["values"]])))


def test_the_table_holds_the_numbers_of_the_results(page: Page, payload: Payload) -> None:
    shown = {(line[0], float(str(line[1]))): line for line in page.rows if len(line) > 5}
    assert len(shown) == len(payload.rows)
    metrics = table_metrics(payload)
    assert {m.element for m in metrics if m.element} == {"Cu", "Au"}
    for row in payload.rows:
        line = shown[row.method, row.dose]
        for metric, text in zip(metrics, line[2:], strict=False):
            mean = row.values[metric.key].mean
            assert text == ("" if mean is None else str(mean * metric.scale))
        assert line[-3:-1] == [str(row.n), str(row.failures)]


def test_the_table_has_the_ratio_to_the_limit(page: Page, payload: Payload) -> None:
    (metric,) = (m for m in table_metrics(payload) if m.key == "rmsd_over_limit")
    assert "× limit" in page.text
    assert "× limit: RMSD over the Cramér–Rao bound of the atoms that were matched" in page.text
    ratios = [m for row in payload.rows if (m := row.values[metric.key].mean) is not None and m > 0]
    assert ratios
    assert all(f"{ratio:.2f}" in page.text for ratio in ratios)


def test_what_is_beyond_the_sweep_is_a_bound(page: Page, payload: Payload) -> None:
    never = [t for t in payload.thresholds if t.censored == "above"]
    always = [t for t in payload.thresholds if t.censored == "below"]
    assert {t.method for t in never} >= {"broken", "hostile", "random"}
    assert {t.method for t in always} >= {"oracle"}
    assert "> 10⁵" in page.text
    assert "< 10³" in page.text


def test_the_page_without_volumes_or_failures_says_so(payload: Payload) -> None:
    bare = replace(payload, answers=[], truths=[], failures=[], thresholds=[])
    text = Page(render(bare, figures=False)).text
    assert "No cell of these results holds a volume." in text
    assert "None: every cell has an answer." in text
    assert "a threshold takes at least two doses" in text


def test_scans_of_patterns_are_not_called_images(payload: Payload) -> None:
    scans = replace(payload, datasets=[replace(d, modality="4dstem") for d in payload.datasets])
    assert "40 atoms, 12 4D-STEM scans" in findings.asked(scans)
    assert "12 linear 4D-STEM scans" in position_error.caption(scans)


def test_total_doses_are_shown_where_the_number_of_images_is_known(page: Page, payload: Payload) -> None:
    assert "40 atoms, 12 images" in page.text
    assert "> 1.2×10⁶" in page.text
    unknown = replace(
        payload,
        datasets=[replace(d, n_images=None) for d in payload.datasets],
        rows=[replace(r, dose_total=None) for r in payload.rows],
        thresholds=[replace(t, n_images=None) for t in payload.thresholds],
    )
    text = Page(render(unknown)).text
    assert "12 images" not in text
    assert "1.2×10⁶" not in text


def test_it_carries_little_but_plotly(html: str, page: Page) -> None:
    from plotly.offline import get_plotlyjs

    assert len(html.encode()) - len(get_plotlyjs().encode()) < 600_000


def test_units_and_names_are_escaped_where_they_are_marked_up(hostile: str) -> None:
    assert unbroken("<b> e⁻/Å²") == '&lt;b&gt; <span class="unit">e⁻/Å²</span>'
    assert breakable("a[b=1,c=2]") == "a<wbr>[b=1,<wbr>c=2]"
    for marked in (unbroken(hostile), breakable(hostile)):
        assert "<script" not in marked
        assert Page(f"<p>{marked}</p>").text == hostile
