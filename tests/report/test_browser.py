"""The page in a headless browser, from file://: what is drawn, what a keyboard reaches, and that nothing leaves it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import HOSTILE, hostile_page
from missing import EMPTY, forget_samples, forget_steps, made

from boundary_bench.plan import Plan
from boundary_bench.report.page.panels import PANELS
from results import make_tree, run_stages

pytestmark = pytest.mark.browser

DRAWN = tuple(panel.id for panel in PANELS)
SCREEN, PHONE = {"width": 1280, "height": 800}, {"width": 380, "height": 800}
#: Correct samples that differ between algorithms, seeds, steps and benchmarks.
CORRECT = {
    f"base-model--{algorithm}--seed{seed}--step{step}": [seed, 4 + i, 8, step // 4]
    for i, algorithm in enumerate(("grpo", "gspo-n"))
    for seed in (0, 1)
    for step in (2, 4)
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    plan = make_tree(tmp_path_factory.mktemp("finished"), CORRECT)
    run_stages(plan)
    return plan


class Tab:
    """A page, with everything it complained of and asked for."""

    def __init__(self, browser: Any, path: Path, address: str = "", **options: Any) -> None:
        self.page = browser.new_page(**{"viewport": SCREEN, **options})
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda fault: self.complaints.append(str(fault)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"{path.as_uri()}{address}")

    def drawing(self, panel: str) -> str:
        """The drawn elements of a panel, as text."""
        return self.page.inner_html(f"#{panel} .drawing")

    def choose(self, name: str, value: str) -> None:
        """Choose a value of one of the controls."""
        self.page.select_option(f"#controls select[name={name}]", value)

    def look(self, name: str, **options: Any) -> None:
        """Save a screenshot where the environment asks for them."""
        if folder := os.environ.get("BOUNDARY_BENCH_SCREENSHOTS"):
            self.page.screenshot(path=Path(folder) / f"{name}.png", **options)


@pytest.fixture
def tab(chromium: Any, finished: Plan) -> Iterator[Tab]:
    opened = Tab(chromium, finished.root / "report.html")
    yield opened
    opened.page.close()
    assert opened.complaints == []
    assert opened.requests == [(finished.root / "report.html").as_uri()]


# drawn


def test_every_panel_has_marks_and_asks_for_nothing(tab: Tab) -> None:
    for panel in DRAWN:
        marks = tab.page.locator(f"#{panel} .drawing svg").locator("rect, path, circle, line")
        assert marks.count() > 5, panel
        assert tab.page.locator(f"#{panel} .keys").inner_text().strip(), panel
    tab.look("first-screen")
    tab.look("page", full_page=True)


def test_what_is_not_known_is_no_line_and_says_so(chromium: Any, tmp_path: Path) -> None:
    plan = made(tmp_path / "tree")
    forget_samples(plan, set(EMPTY), one=False)
    forget_steps(plan, [1, 2, 3, 4])
    run_stages(plan)
    tab = Tab(chromium, plan.root / "report.html")
    titles = tab.page.locator("#dynamics figcaption").all_inner_texts()
    assert [title for title in titles if title.endswith(": unknown")] == [
        "token entropy of rollouts (nats): unknown",
        "sampled-token entropy (nats), countdown: unknown",
    ]
    assert "NaN" not in tab.page.inner_html("#dynamics")
    tab.page.close()
    assert tab.complaints == []


def test_the_first_screen_holds_answer_ledger_map_and_limits(tab: Tab) -> None:
    paper, counts = (tab.page.locator(f"#ledger .{name}").first.bounding_box() for name in ("paper", "counts"))
    assert paper["x"] + paper["width"] <= counts["x"]
    for selector in (".answer", "#ledger h2", "#boundary_map svg >> nth=0", ".cannot"):
        box = tab.page.locator(selector).first.bounding_box()
        assert box["y"] + box["height"] < SCREEN["height"], selector


@pytest.mark.parametrize(
    ("name", "value", "panels"),
    [
        ("benchmark", "countdown-hard", ("boundary_map", "pass_at_k", "coverage", "verdicts", "dynamics")),
        ("seed", "1", ("boundary_map", "pass_at_k", "differences", "guessing", "dynamics", "coverage", "verdicts")),
        ("interval", "samples", ("boundary_map", "pass_at_k", "differences")),
        ("algorithm", "gspo-n", DRAWN),
    ],
)
def test_a_choice_changes_what_is_drawn_and_the_address(
    chromium: Any, finished: Plan, tab: Tab, name: str, value: str, panels: tuple[str, ...]
) -> None:
    before = {panel: tab.drawing(panel) for panel in panels}
    tab.choose(name, value)
    after = {panel: tab.drawing(panel) for panel in panels}
    assert [panel for panel in panels if after[panel] == before[panel]] == []
    hash_written = tab.page.evaluate("location.hash")
    assert hash_written == f"#{name}={value}"
    again = Tab(chromium, finished.root / "report.html", hash_written)
    assert {panel: again.drawing(panel) for panel in panels} == after
    again.page.close()
    tab.choose(name, tab.page.locator(f"select[name={name}] option").first.get_attribute("value"))
    assert {panel: tab.drawing(panel) for panel in panels} == before


def test_an_address_of_something_else_shows_the_default(chromium: Any, finished: Plan, tab: Tab) -> None:
    other = Tab(chromium, finished.root / "report.html", "#benchmark=none&seed=9&interval=wide&more=1")
    assert {panel: other.drawing(panel) for panel in DRAWN} == {panel: tab.drawing(panel) for panel in DRAWN}
    assert other.complaints == []
    other.page.close()


def test_the_pointer_shows_values_with_their_interval(finished: Plan, tab: Tab) -> None:
    tab.page.locator("#boundary_map svg").first.hover()
    said = tab.page.locator('#boundary_map [aria-label="tip"]').first.text_content()
    assert "k = " in said and "[" in said and "P 4, n up to 8" in said
    assert "base ." in said and "checkpoint ." in said


# reached


def focused(tab: Tab) -> str:
    return tab.page.evaluate(
        "document.activeElement.name || document.activeElement.closest('details, section')?.id || ''"
    )


def test_a_keyboard_reaches_controls_ledger_and_values(tab: Tab) -> None:
    seen = []
    for _ in range(60):
        tab.page.keyboard.press("Tab")
        seen.append(focused(tab))
    controls = ["benchmark", "algorithm", "seed", "interval"]
    assert [name for name in dict.fromkeys(seen) if name in controls] == controls
    assert any(name.startswith("claim-") for name in seen)
    assert tab.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_ledger_row_and_a_table_of_values_open_by_keyboard(tab: Tab) -> None:
    row = tab.page.locator("#ledger details.entry").first
    row.locator("> summary").focus()
    tab.page.keyboard.press("Enter")
    assert row.locator(".body").is_visible()
    values = tab.page.locator("#boundary_map .values")
    values.locator("summary").focus()
    tab.page.keyboard.press("Enter")
    table = values.locator("tbody tr")
    table.first.wait_for()
    # every algorithm, step and k
    assert table.count() == 2 * 2 * 4
    tab.choose("algorithm", "grpo")
    assert table.count() == 2 * 4


# read


def contrast(tab: Tab, selector: str) -> float:
    """The contrast ratio of an element's text with the page (WCAG 2)."""
    return tab.page.evaluate(
        """(selector) => {
          const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
          const light = (colour) => {
            paint.fillStyle = colour;
            paint.fillRect(0, 0, 1, 1);
            const [r, g, b] = Array.from(paint.getImageData(0, 0, 1, 1).data, (value) => value / 255)
              .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const style = getComputedStyle(document.querySelector(selector));
          const ink = light(style.fill && selector.includes("svg") ? style.fill : style.color);
          const page = light(getComputedStyle(document.body).backgroundColor);
          return (Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05);
        }""",
        selector,
    )


@pytest.mark.parametrize("media", [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"media": "print"}])
def test_text_is_readable_in_light_dark_and_print(tab: Tab, media: dict[str, str]) -> None:
    tab.page.emulate_media(**media)
    tab.look("-".join(media.values()), full_page=True)
    background = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(22, 23, 26)") == (media.get("color_scheme") == "dark")
    for selector in ("h1", ".answer", ".chip", ".soft", ".settings", "a", "#pass_at_k figcaption", "#tables td"):
        assert contrast(tab, selector) > 4.5, selector
    for verdict in ("supported", "contradicted", "undecided"):
        tab.page.evaluate("(name) => { document.querySelector('.chip').className = `chip ${name}`; }", verdict)
        assert contrast(tab, ".chip") > 4.5, verdict
    assert contrast(tab, "#pass_at_k svg text") > 4.5
    assert tab.page.locator("#controls").is_visible() == (media.get("media") != "print")


def test_paper_has_every_panel_and_no_controls(tab: Tab, tmp_path: Path) -> None:
    before = tab.drawing("pass_at_k")
    tab.page.pdf(path=tmp_path / "page.pdf", format="A4", print_background=True)
    assert (tmp_path / "page.pdf").stat().st_size > 50_000
    assert tab.drawing("pass_at_k") == before, "the screen is as it was"
    tab.page.emulate_media(media="print")
    tab.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    width = tab.page.evaluate("document.body.clientWidth")
    assert width <= 720
    for panel in DRAWN:
        box = tab.page.locator(f"#{panel} svg").first.bounding_box()
        assert box["width"] > 150 and box["x"] + box["width"] <= width, panel


def test_a_narrow_screen_needs_no_sideways_scrolling(chromium: Any, finished: Plan) -> None:
    phone = Tab(chromium, finished.root / "report.html", viewport=PHONE)
    assert phone.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert phone.page.locator("#boundary_map svg").first.bounding_box()["width"] > 300
    phone.look("phone", full_page=True)
    phone.page.set_viewport_size(SCREEN)
    phone.page.wait_for_function("document.querySelector('#boundary_map svg').getBoundingClientRect().width < 260")
    assert phone.complaints == []
    phone.page.close()


def test_without_scripts_ledger_and_tables_are_there(chromium: Any, finished: Plan) -> None:
    plain = Tab(chromium, finished.root / "report.html", java_script_enabled=False)
    assert plain.page.locator("#ledger details.entry").first.is_visible()
    assert plain.page.locator("#tables table").first.is_visible()
    assert "figures/" in plain.page.locator("noscript").first.inner_text()
    plain.page.close()


# sealed


def test_hostile_names_and_claims_run_nothing(chromium: Any, finished: Plan, tmp_path: Path) -> None:
    path = hostile_page(finished, tmp_path)
    tab = Tab(chromium, path)
    for panel in DRAWN:
        tab.page.locator(f"#{panel} .values > summary").click()
        assert tab.page.locator(f"#{panel} .drawing svg").count() > 0, panel
    tab.choose("algorithm", f"grpo {HOSTILE}")
    tab.page.locator("#boundary_map svg").first.hover()
    assert tab.page.locator("figcaption").first.text_content() == f"grpo {HOSTILE}"
    assert tab.page.evaluate("typeof hacked") == "undefined"
    assert tab.page.locator("img, [onclick], [onerror]").count() == 0
    assert (tab.complaints, tab.requests) == ([], [path.as_uri()])
    tab.page.close()


def test_a_script_that_is_not_ours_is_refused(chromium: Any, finished: Plan, tmp_path: Path) -> None:
    """The seal itself: were something to slip through the escapes, the policy would stop it."""
    text = (finished.root / "report.html").read_text()
    path = tmp_path / "report.html"
    path.write_text(text.replace("</main>", "<script>hacked=1</script><img src='http://127.0.0.1:9/x.png'></main>"))
    tab = Tab(chromium, path)
    assert tab.page.evaluate("typeof hacked") == "undefined"
    assert len([said for said in tab.complaints if "Content Security Policy" in said]) == 2
    tab.page.close()
