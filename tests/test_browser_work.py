"""A shift in a real browser: the talk and its conversations, data in, incidents. See tests/test_browser.py."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

from test_browser import WAIT, address, ask, browser, page, shop, shows

__all__ = ["address", "browser", "page", "shop"]  # fixtures


def tab(page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def choice(page) -> str:
    return page.locator('#talk-head select[name="thread"] option:checked').inner_text()


def called(page, name: str) -> None:
    page.wait_for_function(
        "name => document.querySelector('#talk-head option:checked')?.textContent === name", arg=name
    )


# --- the talk -------------------------------------------------------------------------------------------------------


def test_a_mark_opens_the_facts_of_its_sentence_and_a_figure_opens_its_finding(page):
    ask(page, "Why is it anomalous?")
    page.locator('#talk .message-content a[href*="#E"][href*="/"]').first.click()
    page.wait_for_selector(".evidence .cited")
    stated = page.locator(".evidence .cited td.value").all_inner_texts()
    assert 1 <= len(stated) <= 6
    second = page.locator(".card").nth(1).get_attribute("data-finding")
    page.locator(".card").nth(1).click()
    shows(page, second)
    page.locator("#talk .shots a").first.click()
    page.wait_for_function("name => document.querySelector('.head .id')?.textContent !== name", arg=second)


def test_the_last_question_is_asked_again_and_edited(page):
    ask(page, "What was flagged?")
    page.click('[data-again="retry"]')
    page.wait_for_selector("#talk .seal")
    page.wait_for_selector('[data-again="edit"]')
    assert page.locator("#talk .user-row").count() == 1
    page.locator("#ask textarea").focus()
    for _ in range(40):  # the key takes a question back once its answer is there; the old seal may still be shown
        page.keyboard.press("ArrowUp")
        page.wait_for_timeout(250)
        if page.locator(".editing").count():
            break
    page.wait_for_function("document.querySelector('#ask textarea').value === 'What was flagged?'")
    page.keyboard.press("Escape")
    page.wait_for_selector(".editing", state="detached")
    page.click('[data-again="edit"]')
    page.wait_for_selector(".editing")
    page.fill("#ask textarea", "What can you do?")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('#talk .user-row')?.innerText.includes('What can you do')")
    assert page.locator("#talk .user-row").count() == 1


def test_conversations_are_named_found_again_and_deleted(page):
    ask(page, "What was flagged?")
    called(page, "What was flagged?")
    page.click(".menu summary")
    page.fill('.menu input[name="title"]', "Night shift")
    page.keyboard.press("Enter")
    called(page, "Night shift")
    page.click('[data-thread="new"]')
    called(page, "New conversation")
    ask(page, "What can you do?")
    page.reload()
    page.wait_for_selector("#talk .seal")
    assert "What can you do?" in choice(page)
    page.select_option('#talk-head select[name="thread"]', label="Night shift")
    page.wait_for_function("document.querySelector('#talk .user-row')?.innerText.includes('What was flagged')")
    page.click(".menu summary")
    page.click('[data-forget="ask"]')
    page.click('[data-forget="sure"]')
    called(page, "What can you do?")
    assert page.locator("#talk-head option").count() == 1


def test_a_conversation_is_exported(page):
    ask(page, "Why is it anomalous?")
    page.click(".menu summary")
    with page.expect_download(timeout=WAIT) as download:
        page.click("[data-export]")
    assert download.value.suggested_filename == "why-is-it-anomalous.md"
    assert "## Evidence" in Path(download.value.path()).read_text(encoding="utf-8")


# --- from dropped files to the exported report ----------------------------------------------------------------------


def dropped(page, path: Path, kind: str = "files") -> None:
    tab(page, "Data")
    page.set_input_files(f'[data-input="{kind}"]', path)
    page.wait_for_selector(".drop-names")


def test_from_a_dropped_zip_to_the_report_of_an_incident(page, shop, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "tonight"), "zip", shop.store.run("R1").source)
    dropped(page, Path(archive))
    page.get_by_role("combobox", name="Model").fill("/models/image")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Detect").click()
    page.locator(".job [data-run]").click()
    page.wait_for_selector('#queue .card[aria-current="true"]')
    page.click('[data-pick="mode"]')
    for card in page.locator("#queue .card").all():
        card.click()
    page.click('[data-pick="make"]')
    page.wait_for_selector(".member")
    page.click("[data-write]")
    page.wait_for_selector(".case-text .badge.good", timeout=2 * WAIT)
    page.click('[data-edit="open"]')
    box = page.locator(".editor textarea")
    box.fill(f"{box.input_value()} The belt ran at 42 rpm.")
    page.click(".editor button[type=submit]")
    assert page.locator("mark.unverified").inner_text() == "42"
    with page.expect_download(timeout=2 * WAIT) as download:
        page.click('[data-form="html"]')
    report = Path(download.value.path()).read_text(encoding="utf-8")
    assert "42 (unverified) rpm" in report
    assert "Edited by a person" in report
    page.locator(".member a").first.click()
    page.wait_for_selector(".head .id", state="visible")


def test_a_folder_is_taken_with_its_names(page, shop):
    tab(page, "Data")
    page.set_input_files('[data-input="folder"]', shop.store.run("R1").source)
    page.wait_for_selector(".drop-names")
    assert re.search(r"^\d+ files", page.locator(".drop-what").inner_text())
    assert page.locator(".drop-names li").first.inner_text().startswith("parts/")
    page.click("[data-clear]")
    page.wait_for_selector("text=Drop files, a folder or a zip here")


def test_a_running_job_is_cancelled_and_survives_a_reload_until_then(page, monkeypatch, tmp_path):
    def endless(workspace, source, model, alpha, fdr, tell, show):
        while True:
            tell(0.4, "scoring")
            time.sleep(0.05)

    monkeypatch.setattr("assistant.chat.data.run_detection", endless)
    data = tmp_path / "new.csv"
    data.write_text("amount,fee\n1,2\n")
    dropped(page, data)
    page.get_by_role("combobox", name="Model").fill("/models/table")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Detect").click()
    page.wait_for_selector(".job.running progress")
    page.reload()
    page.wait_for_selector(".head .id")
    tab(page, "Data")
    page.click("[data-cancel]")
    page.wait_for_selector(".job.cancelled")
    page.click("[data-dismiss]")
    page.wait_for_selector(".job", state="detached")


def test_what_goes_wrong_is_one_sentence(page, tmp_path):
    tab(page, "Data")
    page.get_by_role("button", name="Detect").click()
    page.wait_for_selector("text=There is no data yet")
    bad = tmp_path / "bad.zip"
    bad.write_bytes(b"no zip")
    dropped(page, bad)
    page.get_by_role("combobox", name="Model").fill("/models/image")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Detect").click()
    page.wait_for_selector("text='bad.zip' cannot be unpacked: it is damaged or no zip.")


def test_a_proposed_group_is_accepted_and_dissolved_by_keyboard(page):
    page.select_option('select[name="run"]', "R1")
    tab(page, "Incidents")
    page.locator("[data-accept]").first.focus()
    before = page.locator("[data-incident]").count()
    page.keyboard.press("Enter")
    page.wait_for_function("n => document.querySelectorAll('[data-incident]').length === n", arg=before + 1)
    made = page.locator('.case[aria-current="true"]').get_attribute("data-incident")
    for _ in range(2):
        page.locator("[data-dissolve]").focus()
        page.keyboard.press("Enter")
    page.wait_for_selector(f'[data-incident="{made}"]', state="detached")
