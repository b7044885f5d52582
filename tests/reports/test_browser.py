"""The page in a real browser: Chromium, driven over the WebDriver protocol, where both are installed."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

DRIVER = shutil.which("chromedriver")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (DRIVER and CHROMIUM), reason="chromium and chromedriver are not installed"),
]

DESKTOP, PHONE = (1280, 900), (390, 844)
ENTER = "\ue007"


class Browser:
    """A headless browser with a window of `size` [CSS pixel]."""

    def __init__(self, size: tuple[int, int]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [str(DRIVER), f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.url = f"http://127.0.0.1:{port}"
        try:
            self._wait()
            self.url += f"/session/{self._call('POST', '/session', _capabilities(size))['sessionId']}"
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def _wait(self) -> None:
        for _ in range(200):
            try:
                self._call("GET", "/status")
                return
            except urllib.error.URLError:
                time.sleep(0.05)
        raise TimeoutError("chromedriver does not answer")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def open(self, page: Path) -> None:
        """Open a file."""
        self._call("POST", "/url", {"url": page.as_uri()})

    def script(self, code: str, *arguments: object) -> Any:
        """The value that the body of a function returns."""
        return self._call("POST", "/execute/sync", {"script": code, "args": list(arguments)})

    def until(self, code: str, seconds: float = 20) -> Any:
        """The value of a script once it is true."""
        end = time.monotonic() + seconds
        while not (value := self.script(code)):
            assert time.monotonic() < end, f"never true: {code}"
            time.sleep(0.1)
        return value

    def press(self, key: str) -> None:
        """Press a key, wherever the focus is."""
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        keyboard = {"type": "key", "id": "keyboard", "actions": actions}
        self._call("POST", "/actions", {"actions": [keyboard]})

    def errors(self) -> list[str]:
        """What the console shows as errors."""
        entries = self._call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def close(self) -> None:
        """End the browser and its driver."""
        try:
            self._call("DELETE", "")
        finally:
            self.process.terminate()
            self.process.wait()


def _capabilities(size: tuple[int, int]) -> dict[str, Any]:
    width, height = size
    options: dict[str, Any] = {
        "binary": CHROMIUM,
        "args": ["--headless=new", "--no-sandbox", "--no-first-run", "--enable-unsafe-swiftshader"],
        "mobileEmulation": {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 1}},
    }
    if size == DESKTOP:
        options = {**options, "args": [*options["args"], f"--window-size={width},{height}"]}
        del options["mobileEmulation"]
    always = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
    return {"capabilities": {"alwaysMatch": always}}


@pytest.fixture(scope="module")
def visit(report: Path) -> Iterator[Callable[[tuple[int, int]], Browser]]:
    """The page opened in a window of a given size, one browser per size."""
    browsers: dict[tuple[int, int], Browser] = {}

    def opened(size: tuple[int, int]) -> Browser:
        if size not in browsers:
            browsers[size] = Browser(size)
        browsers[size].open(report)
        browsers[size].until("return document.querySelectorAll('.plot .main-svg').length >= 4")
        return browsers[size]

    yield opened
    for browser in browsers.values():
        browser.close()


Visit = Callable[[tuple[int, int]], Browser]


@pytest.mark.parametrize("size", [DESKTOP, (375, 812)])
def test_the_gallery_of_structures_fits_every_window(size: tuple[int, int], tmp_path: Path) -> None:
    from reports.gallery import write_gallery

    gallery = write_gallery(["cuau-150", "copdpt-300"], tmp_path / "out", root=str(tmp_path / "data"))
    browser = Browser(size)
    try:
        browser.open(gallery.page)
        shown = "const i = [...document.images]; return i.every(one => one.naturalWidth > 0) && i.length"
        assert browser.until(shown) == sum(len(exhibit.panels) for exhibit in gallery.exhibits)
        assert browser.script("return innerWidth") == size[0]
        assert browser.script("return document.documentElement.scrollWidth") <= size[0]
        too_wide = browser.script(
            "return [...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll')"
            " && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"
        )
        assert too_wide == []
        narrowest = "return Math.min(...[...document.images].map(i => i.getBoundingClientRect().width))"
        assert browser.script(narrowest) >= 300  # type of 9 points in a figure of 350 stays readable
        broken = (
            "return [...document.querySelectorAll('a')].filter(a => !document.querySelector(a.hash)).length"
        )
        assert browser.script(broken) == 0
        loaded = browser.script("return performance.getEntriesByType('resource').map(entry => entry.name)")
        assert [name for name in loaded if not name.startswith("data:")] == []
        assert browser.errors() == []
    finally:
        browser.close()


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_the_numbers_of_a_paper_stay_within_their_cells(size: tuple[int, int], tmp_path: Path) -> None:
    from reports.page.paper import Drawn, render

    rows = (
        ("", "Quantity", "n", "By", "Ours", "Interval", "Paper"),
        (
            "Cu–Au, −20 nm, 1.6 Å, ±90°, 2×10⁵ e⁻/Å²",
            "Classification (%)",
            "3",
            "mset",
            "99",
            "98 to 100",
            "99",
        ),
    )
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'/>"
    one = Drawn("one", "One", svg, (10, 10), svg, (10, 10), "Caption.", "Alt.", (), rows)
    told = dict.fromkeys(("reference", "reading", "name", "command"), "told")
    (tmp_path / "page.html").write_text(render([one], [], number="004", provenance=[], **told))
    browser = Browser(size)
    try:
        browser.open(tmp_path / "page.html")
        browser.script("document.querySelector('details').open = true")
        over = browser.script(
            "return [...document.querySelectorAll('.numbers th, .numbers td')].map(c => {"
            " const text = document.createRange(); text.selectNodeContents(c);"
            " return text.getBoundingClientRect().right - c.getBoundingClientRect().right })"
        )
        assert len(over) == 14
        assert max(over) <= 1
        assert browser.script("return document.documentElement.scrollWidth") <= size[0]
    finally:
        browser.close()


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_everything_is_drawn_without_an_error(visit: Visit, size: tuple[int, int]) -> None:
    browser = visit(size)
    assert browser.script(
        "return [...document.querySelectorAll('.plot')].every(p => p.querySelector('.scatter .lines'))"
    )
    assert browser.until(
        "const i = [...document.querySelectorAll('.slices img')];"
        "return i.length >= 6 && i.every(image => image.naturalWidth > 0)"
    )
    browser.script("document.getElementById('atoms').scrollIntoView()")
    browser.until("return document.querySelector('#atoms canvas') !== null")
    browser.until("return document.getElementById('atoms-facts').children.length >= 10")
    assert browser.script("return document.getElementById('atoms-caption').textContent").startswith(
        "fbp on tiny"
    )
    loaded = browser.script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in loaded if not name.startswith(("data:", "blob:"))] == []
    assert browser.errors() == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_only_tables_scroll_sideways(visit: Visit, size: tuple[int, int]) -> None:
    browser = visit(size)
    assert browser.script("return innerWidth") == size[0]
    assert browser.script("return document.documentElement.scrollWidth") <= size[0]
    too_wide = browser.script(
        "return [...document.querySelectorAll('main *')]"
        ".filter(e => !e.closest('.scroll, pre, .plot, .plot3d')"
        " && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"
    )
    assert too_wide == []
    if size == PHONE:
        assert browser.script(
            "const s = document.querySelector('.scroll.tall'); return s.scrollWidth > s.clientWidth"
        )


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_position_errors_name_every_method_within_the_panel(visit: Visit, size: tuple[int, int]) -> None:
    browser = visit(size)
    names = (
        "const p = document.querySelector('[data-errors]');"
        "return [...p.querySelectorAll('.annotation text')]"
        ".map(t => [t.textContent, t.getBoundingClientRect()])"
        ".map(([text, r]) => [text, r.left, r.right, r.top, r.bottom])"
    )
    shown = browser.script(names)
    assert [text for text, *_ in shown] == ["fbp", "sirt[n_iter=20]", "hostile"]
    left, right = browser.script(
        "const r = document.querySelector('[data-errors]').getBoundingClientRect(); return [r.left, r.right]"
    )
    assert all(left <= box[1] < box[2] <= right + 1 for box in shown)
    assert all(upper[4] <= lower[3] + 2 for upper, lower in pairwise(shown))
    symbols = "return document.querySelector('[data-errors]').data.map(t => t.name).filter(Boolean)"
    assert {"Cramér–Rao bound", "random atoms", "fbp"} <= set(browser.script(symbols))
    browser.script("document.querySelector('.legend button').click()")
    assert "fbp" not in browser.script(symbols)


def test_columns_sort_from_the_keyboard(visit: Visit) -> None:
    browser = visit(DESKTOP)
    order = (
        "const column = [...document.querySelectorAll('#scores thead th')]"
        ".findIndex(h => h.textContent.startsWith('Recall'));"
        "const head = document.querySelectorAll('#scores thead th')[column];"
        "return [head.getAttribute('aria-sort'),"
        "[...document.querySelectorAll('#scores tbody tr')].map(r => Number(r.cells[column].dataset.value))]"
    )
    assert browser.script(order)[0] == "none"
    browser.script(
        "[...document.querySelectorAll('#scores thead th')]"
        ".find(h => h.textContent.startsWith('Recall')).querySelector('button').focus()"
    )
    browser.press(ENTER)
    state, values = browser.script(order)
    assert state == "descending"
    assert values == sorted(values, reverse=True)
    assert len(set(values)) > 1
    browser.press(" ")
    state, values = browser.script(order)
    assert state == "ascending"
    assert values == sorted(values)
    others = "return document.querySelectorAll('#scores [aria-sort=\"none\"]').length"
    assert (
        browser.script(others)
        == browser.script("return document.querySelectorAll('#scores thead th').length") - 1
    )


def test_empty_cells_come_last_either_way(visit: Visit) -> None:
    browser = visit(DESKTOP)
    values = (
        "const heads = [...document.querySelectorAll('#scores thead th')];"
        "const column = heads.findIndex(h => h.textContent.startsWith('RMSD'));"
        "heads[column].querySelector('button').click();"
        "return [...document.querySelectorAll('#scores tbody tr')].map(r => r.cells[column].dataset.value)"
    )
    for _ in range(2):
        shown = browser.script(values)
        empty = shown.count("")
        assert 0 < empty < len(shown)
        assert shown[-empty:] == [""] * empty


def test_a_method_can_be_hidden_and_the_theme_follows_the_system(visit: Visit) -> None:
    browser = visit(DESKTOP)
    traces = "return document.querySelector('.plot').data.map(trace => trace.name).filter(Boolean)"
    assert "fbp" in browser.script(traces)
    button = "document.querySelector('.legend button')"
    browser.script(f"{button}.click()")
    assert "fbp" not in browser.script(traces)
    assert browser.script(f"return {button}.getAttribute('aria-pressed')") == "false"
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser._call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": dark})
    assert browser.until("return getComputedStyle(document.body).color === 'rgb(232, 234, 238)'")
    assert browser.errors() == []
