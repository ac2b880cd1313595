"""Teaching in a real browser: what labels would change is shown, applied and taken back; rules come and go."""

from __future__ import annotations

from test_browser import address, browser, page, shop

__all__ = ["address", "browser", "page", "shop"]  # fixtures


def test_labels_are_applied_and_undone_and_rules_made_on_the_feedback_tab(page, shop):
    shop.store.label("F6", "normal", "<b>refund</b>")
    before = shop.store.finding("F6").p_value
    page.locator(".filters [name=run]").select_option("R3")
    page.wait_for_selector(".card[data-finding=F6]")
    page.get_by_role("tab", name="Feedback").click()
    page.get_by_role("button", name="Apply it").click()
    page.wait_for_selector("text=nothing waits")
    assert shop.store.finding("F6").p_value > before
    assert page.locator(".teach .log td b").count() == 0
    page.get_by_role("button", name="Undo my last change").click()
    page.wait_for_selector("text=Apply it")
    assert shop.store.finding("F6").p_value == before
    page.get_by_role("button", name="day").click()
    page.wait_for_selector("text=by the day of detection")
    page.get_by_label("channel or feature").fill("fee")
    page.get_by_label("because").fill("refunds")
    page.get_by_label("until").fill("2099-12-31")
    page.get_by_role("button", name="Ignore", exact=True).click()
    page.get_by_role("button", name="Remove rule 1").click()
    page.wait_for_selector("text=No rule is in force")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
