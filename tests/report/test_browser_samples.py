"""The sample browser in a real browser: hostile text stays text, filters, search and keys work, nothing is fetched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sample_pages import ATTACK, KINDS, LONG, SPACES, host_page, made_up

pytestmark = pytest.mark.browser


@pytest.fixture
def page(chromium: Any, tmp_path: Path) -> Iterator[Any]:
    """The browser's page; a message in its console, a fault, a dialog or a request fails the test."""
    file = host_page(made_up(), tmp_path / "page.html")
    opened, faults = chromium.new_page(viewport={"width": 1280, "height": 900}), []
    opened.on("console", lambda message: faults.append(message.text))
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
    opened.on("request", lambda request: request.url != file.as_uri() and faults.append(request.url))
    opened.goto(file.as_uri())
    yield opened
    assert opened.evaluate("window.pwned") is None
    opened.close()
    assert faults == []


def listed(page: Any) -> list[str]:
    """What the list shows: prompt, benchmark and algorithm, kinds."""
    return [text.replace("\n", " | ") for text in page.locator(".cases button").all_inner_texts()]


def open_problem(page: Any) -> str:
    return page.locator(".detail h3").inner_text()


def test_hostile_text_is_shown_as_it_is(page: Any) -> None:
    assert page.locator(".detail .text").first.text_content() == ATTACK
    assert ATTACK in page.locator(".side").first.locator(".text").all_text_contents()
    assert page.locator("#samples img, #samples b, #samples script").count() == 0


def test_characters_that_cannot_be_seen_are_named(page: Any) -> None:
    page.get_by_label("Search").fill("bb")
    found = page.locator(".detail .text").first.text_content()
    assert found == "left⟨U+202E⟩right⟨U+0000⟩null⟨U+001B⟩[31mred⟨U+200B⟩zero⟨U+2028⟩line⟨U+0378⟩⟨U+FEFF⟩"
    assert page.locator(".cases button .asked").first.text_content().startswith("left⟨U+202E⟩right")


def test_a_problem_id_cannot_turn_text_around(chromium: Any, tmp_path: Path) -> None:
    data = json.loads(json.dumps(made_up()).replace('"bb"', r'"b\u202eb"'))
    opened = chromium.new_page()
    opened.goto(host_page(data, tmp_path / "page.html").as_uri())
    opened.get_by_label("Search").fill("right")
    assert open_problem(opened) == "Problem b⟨U+202E⟩b grpo"
    opened.close()


def test_spaces_stay_and_long_texts_say_what_is_left_out(page: Any) -> None:
    page.get_by_label("Search").fill("cc")
    box = page.locator(".side .text").first
    assert box.text_content() == SPACES and box.evaluate("e => getComputedStyle(e).whiteSpace") == "pre-wrap"
    page.get_by_label("Search").fill("dd")
    box = page.locator(".side .text").first
    gap = "\n… 999,000 of 1,000,000 characters are in samples.zip …\n"
    assert box.text_content() == f"{LONG[0]}{gap}{LONG[2]}"
    assert box.evaluate("e => e.scrollHeight > e.clientHeight"), "it scrolls in its own box"


def test_filters_narrow_the_list(page: Any) -> None:
    assert len(listed(page)) == 6 and page.get_by_label("Model").count() == 0, "one model is no choice"
    page.get_by_label("Algorithm").select_option("gspo")
    assert [text.split(" | ")[1:] for text in listed(page)] == [["sums · gspo", "lost"], ["sums · gspo", KINDS[3]]]
    page.get_by_label("Kind").select_option(KINDS[3])
    assert len(listed(page)) == 1 and open_problem(page) == "Problem dd gspo"
    page.get_by_label("Benchmark").select_option("gone")
    assert listed(page) == [] and "No problem" in page.locator(".detail").inner_text()
    for name in ("Kind", "Algorithm"):
        page.get_by_label(name).select_option("")
    assert open_problem(page) == "Problem ee grpo"


def test_the_verdict_filter_keeps_samples_of_that_verdict(page: Any) -> None:
    page.get_by_label("Verdict").select_option("wrong")
    assert page.locator(".detail .verdict").all_inner_texts() == ["wrong"] * 2
    assert "none of the 1 shown here is wrong" in page.locator(".side").nth(1).inner_text()
    page.get_by_label("Verdict").select_option("truncated")
    assert len(listed(page)) == 1 and "cut off" in page.locator(".facts").first.inner_text()


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (
            [100, -12.5, 30.0],
            "100 tokens, ended by itself · log-probability -12.50 (-0.125 a token) · entropy 30.00 (0.3",
        ),
        ([None, None, None], "unknown tokens · log-probability unknown · entropy unknown"),
        ([None, -12.5, None], "unknown tokens · log-probability -12.50 · entropy unknown"),
        ([100, None, None], "100 tokens, ended by itself · log-probability unknown · entropy unknown"),
    ],
)
def test_what_the_store_does_not_say_is_unknown(
    numbers: list[float | None], said: str, chromium: Any, tmp_path: Path
) -> None:
    data = made_up()
    data["samples"]["base/sums"]["aa"][1][2:5] = numbers
    opened = chromium.new_page()
    opened.goto(host_page(data, tmp_path / "page.html").as_uri())
    assert opened.locator(".facts").first.inner_text().startswith(said)
    opened.close()


def test_search_looks_at_ids_prompts_and_responses(page: Any) -> None:
    search = page.get_by_label("Search")
    for words, problems in (
        ("NEEDLE haystack", ["aa"]),
        ("tail", ["dd"]),
        ("DD", ["dd"]),
        ("plain", ["ee"]),
        ("no such", []),
    ):
        search.fill(words)
        found = []
        for button in page.locator(".cases button").all():
            button.click()
            found.append(open_problem(page).split()[1])
        assert found == problems


def test_totals_say_how_many_there_are(page: Any) -> None:
    status = page.get_by_role("status")
    assert "6 listed" in status.inner_text() and "2 of 150 gained" in status.inner_text()
    page.get_by_label("Algorithm").select_option("gspo")
    page.get_by_label("Kind").select_option("lost")
    assert status.inner_text().endswith(
        "1 listed. On this page, a problem counted once for each algorithm: 1 of 50 lost."
    )


def test_keys_go_through_the_list(page: Any) -> None:
    page.get_by_label("Search").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert open_problem(page) == "Problem bb grpo"
    page.keyboard.press("End")
    assert open_problem(page) == "Problem ee grpo"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert open_problem(page) == "Problem dd gspo"
    assert page.locator(".cases [aria-current]").count() == 1
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "H3"


def test_counts_samples_and_disputes_of_a_problem(page: Any) -> None:
    rows = page.locator(".detail tbody tr").all_inner_texts()
    assert rows[0].split("\t")[:5] == ["base", "0", "1,024", "0", "0 to 0.0024"]
    assert rows[1].split("\t") == [
        "grpo, seed 0, step 40", "32", "64", "0.50", "0.38 to 0.62", "< 0.0001", "0.020", "gained",
    ]  # fmt: skip
    assert page.locator(".side h4").all_inner_texts() == ["Base", "grpo, seed 0"], "of the other seed no responses"
    names = page.locator(".side").first.locator("h5").all_inner_texts()
    assert [name.split("\n")[0] for name in names] == ["greedy", "sample 0", "sample 3"]
    assert "log-probability -12.50 (-0.125 a token)" in page.locator(".facts").first.inner_text()
    page.get_by_label("Search").fill("cc")
    assert "math-verify 1 says correct, of 12 such samples" in page.locator(".side").first.inner_text()


def test_samples_that_are_gone_are_named(page: Any) -> None:
    assert page.locator(".absent").inner_text() == "base--grpo--seed0--step40 on gone: 2 of 3 files are gone"
    page.get_by_label("Benchmark").select_option("gone")
    assert page.locator(".side").first.inner_text().endswith("no longer stored: see above")
    assert "the model's own chat template" in page.locator(".detail").inner_text()


def test_files_without_responses_are_said(chromium: Any, tmp_path: Path) -> None:
    counted = made_up() | {"samples": {}, "silent": ["base/sums"]}
    opened = chromium.new_page()
    opened.goto(host_page(counted, tmp_path / "page.html").as_uri())
    sides = opened.locator(".side")
    assert sides.first.inner_text().endswith("the files hold no responses")
    assert sides.last.inner_text().endswith("no longer stored: see above"), "of the other policy nobody says so"
    opened.close()


@pytest.mark.parametrize("width", [1280, 380])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_page(page: Any, width: int, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    for name in ("aa", "bb", "cc", "dd"):
        page.get_by_label("Search").fill(name)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_of_nothing_says_so(chromium: Any, tmp_path: Path) -> None:
    nothing = made_up() | {"groups": [], "problems": {}, "samples": {}, "absent": [], "silent": []}
    opened = chromium.new_page()
    opened.goto(host_page(nothing, tmp_path / "page.html").as_uri())
    assert "No problem was gained" in opened.locator("#samples-browser").inner_text()
    opened.close()
