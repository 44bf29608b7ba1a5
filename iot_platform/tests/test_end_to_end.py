"""From a device's message to a live chart, an alert and a webhook: the main job, in both sizes, as users start it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from websockets.sync.client import connect

from iot_platform.tests.platforms import EMAIL, PASSWORD, Hook, Platform, eventually, new_device, publish
from iot_platform.tests.services import LOOPBACK

pytestmark = [pytest.mark.services, pytest.mark.browser]
BROWSER = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture
def page(platform: Platform, chromium: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(f"{page.url}: {error.stack}"))
        page.goto(f"{platform.url}/sign-in")
        page.get_by_label("Username or e-mail").fill(EMAIL)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{platform.url}/")
        yield page
        browser.close()
        assert problems == []


def told_of(hook: Hook, device: str) -> list[dict[str, Any]]:
    return [one for one in hook.received if one["alert"]["device"] == device]


def test_a_reading_walks_from_the_device_to_the_chart_the_alert_and_the_webhook(platform: Platform, page: Page):
    api, hook = platform.api(), platform.hook
    made = new_device(api, "Kiln")
    device, key = made.uuid, made.key
    (sensor,) = api.get("/sensors", params={"device": device, "sensor_type": "temperature"}).json()["results"]
    rule = {"name": "Kiln too hot", "sensor": sensor["id"], "operator": "gt", "threshold": 80, "severity": "high"}
    api.post("/alert-rules", json=rule).raise_for_status()
    channel = {"name": "bench", "kind": "webhook", "url": f"http://{hook.address}/alerts"}
    api.post("/notification-channels", json=channel).raise_for_status()
    page.goto(f"{platform.url}/devices/{device}")
    expect(page.locator("[data-connection] [data-word=live]")).to_be_visible(timeout=15_000)

    token = api.headers["Authorization"].removeprefix("Bearer ")
    with connect(f"ws://{LOOPBACK}:{platform.port}/ws/live-data", origin=platform.url) as live:
        live.send(json.dumps({"type": "authenticate", "token": token}))
        assert json.loads(live.recv(5))["type"] == "connection_established"
        live.send(json.dumps({"type": "subscribe", "devices": [device]}))
        assert json.loads(live.recv(5))["type"] == "subscribed"
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        publish(platform, device, key, {"sensor": "temperature", "value": 82.4, "time": at})
        frame = json.loads(live.recv(10))
    ((sensor_id, time_, value, _),) = frame["devices"][device]
    assert (sensor_id, value) == (sensor["id"], 82.4)
    assert datetime.fromisoformat(time_) == datetime.fromisoformat(at)

    (reading,) = api.get(f"/devices/{device}/readings").json()["results"]
    assert (reading["value"], reading["protocol"], reading["status"]) == (82.4, "mqtt", "pending")
    expect(page.get_by_text("82.4").first).to_be_visible(timeout=10_000)

    (alert,) = eventually(lambda: api.get("/alerts", params={"device": device}).json()["results"])
    assert (alert["status"], alert["severity"], alert["value"]) == ("active", "high", 82.4)
    page.goto(f"{platform.url}/alerts")
    expect(page.get_by_text("Kiln").first).to_be_visible()
    told = eventually(lambda: told_of(hook, device))
    assert (told[0]["event"], told[0]["alert"]["value"]) == ("opened", 82.4)

    back = {"readings": [{"sensor_type": "temperature", "value": 21.0, "unit": "celsius"}]}
    answer = api.post(f"/devices/{device}/readings", json=back, headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()) == (201, {"accepted": 1, "duplicates": 0, "rejected": []})
    eventually(lambda: api.get(f"/alerts/{alert['id']}").json()["status"] == "resolved")
    eventually(lambda: len(told_of(hook, device)) == 2)
    assert [one["event"] for one in told_of(hook, device)] == ["opened", "resolved"]
    assert len({one["key"] for one in told_of(hook, device)}) == 2


def test_staff_see_it_in_the_admin(platform: Platform, page: Page):
    page.goto(f"{platform.url}/admin/readings/reading/")
    expect(page.locator("#result_list, table").first).to_be_visible()
    page.goto(f"{platform.url}/admin/")
    expect(page.get_by_text("All services work.")).to_be_visible()


def test_a_wrong_key_gets_nobody_in(platform: Platform):
    api = platform.api()
    device = new_device(api, "Mute").uuid
    with pytest.raises(subprocess.CalledProcessError):
        publish(platform, device, "dk_abcdefgh_" + "x" * 43, {"sensor": "temperature", "value": 1})
    assert api.get(f"/devices/{device}/readings").json()["results"] == []
