"""The README's examples work as printed, and the commands that feed a running platform do what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from iot_platform.tests.platforms import Platform, eventually

pytestmark = pytest.mark.services
README = (settings.BASE_DIR / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
BOILER = re.search(r"DEVICE=(\S+)", README)[1]


def run_as_printed(platform: Platform, block: str) -> str:
    """The setting of DEVICE and KEY, then the block; in a folder whose var/ is the running platform's."""
    folder = platform.folder / "reader"
    folder.mkdir(exist_ok=True)
    if not (folder / "var").exists():
        (folder / "var").symlink_to(platform.folder)
    script = f"set -e\n{BLOCKS[0]}\n{block}"
    for printed, actual in (("127.0.0.1:8000", f"127.0.0.1:{platform.port}"), ("-p 1883", f"-p {platform.mqtt_port}")):
        script = script.replace(printed, actual)
    ran = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def manage(platform: Platform, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"VAR_DIR": str(platform.folder)}
    environment.pop("DATABASE_URL", None)
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def newest(platform: Platform, sensor: str = "temperature", device: str = BOILER) -> list[float]:
    found = platform.api().get(f"/devices/{device}/readings", params={"sensor_id": sensor, "limit": 100})
    return [reading["value"] for reading in found.raise_for_status().json()["results"]]


def test_the_curl_example_answers_as_printed(embedded: Platform):
    assert shutil.which("curl"), "curl is not installed"
    assert run_as_printed(embedded, BLOCKS[1]) == '{"accepted":1,"duplicates":0,"rejected":[]}'
    assert '{"accepted":1,"duplicates":0,"rejected":[]}' in README


def test_the_mosquitto_pub_example_stores_its_reading(embedded: Platform):
    before = newest(embedded).count(61.5)
    run_as_printed(embedded, BLOCKS[2])
    eventually(lambda: newest(embedded).count(61.5) > before)


def test_send_publishes_one_reading_with_a_real_key(embedded: Platform):
    ran = manage(embedded, "send", "--value", "61.987")
    assert ran.returncode == 0, ran.stderr
    assert f"devices/{BOILER}/up/readings" in ran.stdout
    eventually(lambda: 61.987 in newest(embedded))


def test_send_says_what_is_wrong(embedded: Platform):
    ran = manage(embedded, "send", "--device", "nobody")
    assert ran.returncode == 1
    assert "There is no device 'nobody'" in ran.stderr


def test_a_recording_is_replayed_with_its_spacing(embedded: Platform, tmp_path: Path):
    recording = tmp_path / "recording.csv"
    rows = [f"2014-01-01 00:{minute:02}:00,{70 + minute / 8}" for minute in range(0, 40, 5)]
    recording.write_text("timestamp,value\n" + "\n".join(rows))
    ran = manage(
        embedded, "replay", str(recording), "--speed", "3000", "--sensor", "recorded", "--sensor-type", "speed"
    )
    assert ran.returncode == 0, ran.stderr
    assert "8 of 8 readings sent" in ran.stdout
    device = next(
        one["uuid"]
        for one in embedded.api().get("/devices", params={"limit": 100}).json()["results"]
        if one["external_id"] == "rack-1-climate"
    )
    expected = [70 + minute / 8 for minute in range(0, 40, 5)]
    eventually(lambda: sorted(newest(embedded, "recorded", device)) == expected)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("a,b\n1,2\n", "line 2"), ("timestamp,value\n2014-01-01 00:00:00,warm\n", "line 2"), ("", "holds no rows")],
)
def test_a_broken_recording_is_refused_with_its_line(embedded: Platform, tmp_path: Path, content: str, complaint: str):
    recording = tmp_path / "recording.csv"
    recording.write_text(content)
    ran = manage(embedded, "replay", str(recording))
    assert ran.returncode == 1
    assert complaint in ran.stderr


def test_a_second_start_in_the_same_folder_says_where_the_first_one_is(embedded: Platform):
    ran = manage(embedded, "serve")
    assert ran.returncode == 1
    assert f"The platform is running already: http://127.0.0.1:{embedded.port}/" in ran.stderr
