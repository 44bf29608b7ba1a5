"""Pictures of the pages for people who look before they try; taken from the running platform, never drawn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from playwright.sync_api import Page, expect, sync_playwright

from iot_platform.sample_world import SAMPLES
from iot_platform.tests.platforms import EMAIL, PASSWORD, Platform
from iot_platform.tests.test_end_to_end import BROWSER

pytestmark = [pytest.mark.services, pytest.mark.browser]
IMAGES = settings.BASE_DIR / "docs" / "images"
BOILER = next(sample.uuid for sample in SAMPLES if sample.external_id == "boiler-thermostat")


@pytest.fixture(scope="module")
def visitor(embedded: Platform, chromium: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER)
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.goto(f"{embedded.url}/sign-in")
        page.get_by_label("Username or e-mail").fill(EMAIL)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{embedded.url}/")
        yield page
        browser.close()


def picture(page: Page, name: str) -> None:
    """A new picture only where one is missing, so that a test run changes no file."""
    expect(page.locator("[data-connection] [data-word=live]")).to_be_visible(timeout=15_000)
    taken = page.screenshot()
    assert len(taken) > 20_000, "an empty page"
    path = IMAGES / f"{name}.png"
    if not path.exists():
        path.write_bytes(taken)


def test_the_overview_moves_within_three_seconds_of_opening(visitor: Page, embedded: Platform):
    visitor.goto(embedded.url)
    value = visitor.locator("[data-sensor] [data-value]").first
    before = value.inner_text()
    expect(value).not_to_have_text(before, timeout=3_000)
    picture(visitor, "overview")


def test_a_device_page_draws_its_charts(visitor: Page, embedded: Platform):
    visitor.goto(f"{embedded.url}/devices/{BOILER}")
    expect(visitor.locator("[data-chart][data-state=ready]").first).to_be_visible(timeout=15_000)
    visitor.wait_for_timeout(1_500)  # let the curves settle before the picture
    picture(visitor, "device")


def test_a_dashboard_draws_its_tiles(visitor: Page, embedded: Platform):
    visitor.goto(f"{embedded.url}/dashboards")
    visitor.get_by_role("link", name="Sites at a glance").first.click()
    expect(visitor.locator("[data-chart][data-state=ready]").first).to_be_visible(timeout=15_000)
    visitor.wait_for_timeout(1_500)
    picture(visitor, "dashboard")
