"""The queue and the finding in hand, in a real browser: keys, filters, a drawn box, a brushed stretch, narrow screens.

The readers, the store and the address are those of test_browser.py; skipped where that is skipped.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from test_browser import address, browser, current, page, shop, shows  # noqa: F401 - fixtures

CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8").split("\n", 2)[2]


def drag(page, box, start, end):  # noqa: F811
    """Drag between two places given as shares of a rectangle."""
    at = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in (start, end)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=5)
    page.mouse.up()


def test_a_label_is_given_and_taken_back_by_keys(page):  # noqa: F811
    page.locator(".card").first.focus()
    page.keyboard.press("c")
    page.wait_for_selector(".head .state.confirmed")
    page.keyboard.press("u")
    page.wait_for_selector(".head .state.new")


def test_a_capital_labels_and_goes_on(page):  # noqa: F811
    page.locator(".card").first.click()
    first = current(page)
    shows(page, first)
    page.keyboard.press("Shift+X")
    page.wait_for_selector(f'.card[data-finding="{first}"] .false-alarm')
    second = current(page)
    assert second != first
    shows(page, second)
    time.sleep(0.6)
    assert current(page) == second
    page.keyboard.press("k")
    shows(page, first)
    page.keyboard.press("u")
    page.wait_for_selector(".head .state.new")


def test_the_keys_are_told_and_put_away(page):  # noqa: F811
    page.keyboard.press("?")
    page.wait_for_selector("#keys-help[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#keys-help:not([open])", state="attached")


def test_arrows_go_through_the_queue_only_inside_it(page):  # noqa: F811
    page.locator(".card").first.click()
    first = current(page)
    page.keyboard.press("ArrowDown")
    assert current(page) != first
    page.locator(".head h2").click()
    second = current(page)
    page.keyboard.press("ArrowDown")
    assert current(page) == second


def test_beyond_the_last_card_comes_the_first_of_the_next_page(page, monkeypatch):  # noqa: F811
    monkeypatch.setattr("assistant.chat.queue.PAGE", 1)
    page.reload()
    page.wait_for_selector(".head .id")
    first = current(page)
    page.keyboard.press("j")
    page.wait_for_function("was => document.querySelector('.head .id').textContent !== was", arg=first)
    assert current(page) != first
    page.keyboard.press("k")
    shows(page, first)


def test_all_runs_are_one_queue(page):  # noqa: F811
    page.select_option('select[name="run"]', "all")
    page.wait_for_function("document.querySelectorAll('.card .of').length > 3")


def test_a_drawn_box_is_repaired_and_shown(page):  # noqa: F811
    page.wait_for_selector(".pane.compare")
    page.click(".draw")
    drag(page, page.locator(".pane.drawable").bounding_box(), (0.1, 0.2), (0.45, 0.5))
    page.wait_for_selector(".pane .chooser:not([hidden])")
    page.click('.pane .chooser [data-place="repair"]')
    page.wait_for_selector(".evidence")
    page.wait_for_function("document.querySelector('.stage').innerText.includes('With the box repaired')")
    page.keyboard.press("Escape")
    page.wait_for_selector(".evidence", state="detached")


def test_a_box_can_be_drawn_and_asked_about_without_a_mouse(page):  # noqa: F811
    page.wait_for_selector(".pane.compare")
    page.keyboard.press("b")
    page.wait_for_selector(".pane .chooser:not([hidden])")
    before = page.locator(".pane .what").inner_text()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.locator(".pane .what").inner_text() != before
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.wait_for_selector("#talk .seal")
    assert "the box [" in page.locator("#talk .user-row").inner_text()


def test_the_box_goes_away_with_its_finding(page):  # noqa: F811
    page.keyboard.press("b")
    page.wait_for_selector(".pane .chooser:not([hidden])")
    page.keyboard.press("j")
    shows(page, current(page))
    assert page.locator(".pane .chooser:not([hidden])").count() == 0


def test_zoom_goes_in_and_back_by_buttons_and_keys(page):  # noqa: F811
    page.click('[data-zoom="in"]')
    assert "scale" in page.locator(".pane.drawable .zoom").get_attribute("style")
    page.keyboard.press("0")
    assert "scale" not in page.locator(".pane.drawable .zoom").get_attribute("style")


def test_a_brushed_stretch_is_repaired(page):  # noqa: F811
    page.select_option('select[name="run"]', "R2")
    page.wait_for_selector("#plot .js-plotly-plot[data-watched]")
    page.wait_for_selector(".brush-hint")
    drag(page, page.locator("#plot .nsewdrag").first.bounding_box(), (0.3, 0.4), (0.7, 0.6))
    page.wait_for_selector(".chooser.brush:not([hidden])")
    assert "rows" in page.locator(".chooser.brush .what").inner_text()
    page.click('.chooser.brush [data-place="repair"]')
    page.wait_for_selector(".evidence")


def test_a_lost_answer_is_asked_for_again(page):  # noqa: F811
    """The answer to a pick never comes: the page notices that another finding is shown, and asks once more."""
    lost: list[str] = []

    def once(route):
        if '"finding"' in (route.request.post_data or "") and len(lost) < 2:  # the pick's own, and its plot's
            lost.append(route.request.url)
            route.fulfill(json={"event_id": f"lost{len(lost)}"})
        else:
            route.continue_()

    page.route("**/queue/join*", once)
    names = [card.get_attribute("data-finding") for card in page.locator(".card").all()]
    page.locator(f'.card[data-finding="{names[-1]}"]').click()
    shows(page, names[-1])
    assert lost


@pytest.mark.parametrize("run", ["R1", "R2", "R3"])
def test_every_finding_fits_a_narrow_screen(page, run):  # noqa: F811
    page.select_option('select[name="run"]', run)
    page.set_viewport_size({"width": 420, "height": 900})
    time.sleep(1.0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 420


def test_everything_that_can_be_done_has_a_name(page):  # noqa: F811
    """Screen readers: no button, link or field without words."""
    page.wait_for_selector(".pane.compare")
    nameless = page.evaluate("""[...document.querySelectorAll("#left, #centre")]
        .flatMap((side) => [...side.querySelectorAll("button, input, select, a")])
        .filter((n) => n.offsetParent && !(n.innerText.trim() || n.ariaLabel || n.title || n.labels?.length))
        .map((n) => n.outerHTML.slice(0, 90))""")
    assert nameless == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(page, theme):  # noqa: F811
    """AA contrast on every tab, measured in the page."""
    page.evaluate("theme => localStorage.setItem('anomaly-theme', theme)", theme)
    page.reload()
    page.wait_for_selector(".pane.compare")
    assert page.evaluate("document.body.classList.contains('dark')") == (theme == "dark")
    faint = page.evaluate(CONTRAST)
    page.select_option('select[name="run"]', "R3")
    page.wait_for_selector(".spread-words")
    faint += page.evaluate(CONTRAST)
    for name in ("Incidents", "Data", "Feedback"):
        page.get_by_role("tab", name=name).click()
        page.wait_for_timeout(500)
        faint += page.evaluate(CONTRAST)
    assert faint == []
