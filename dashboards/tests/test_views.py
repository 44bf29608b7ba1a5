"""The pages, as a browser without scripts gets them."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Membership, Role
from accounts.permissions import ORGANIZATION_SESSION_KEY
from alerts.models import Alert, Severity
from conftest import equip
from dashboards.models import Dashboard, Tile
from devices.models import DeviceState
from readings.models import Origin, SensorState

NASTY = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def visit(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def hear(sensor, value=21.44, seconds_ago=3, **fields):
    """Let a sensor have sent a reading, as the corridor leaves it behind."""
    time = timezone.now() - timedelta(seconds=seconds_ago)
    counts = dict.fromkeys(("anomaly_count", "validated_count", "archived_count", "invalid_count"), 0)
    state = {"reading_id": 1, "origin": Origin.EDGE, "is_anomaly": False, "count": 1, "pending_count": 1, **counts}
    SensorState.objects.create(
        sensor=sensor, time=time, received_at=time, earliest_time=time, value=value, **{**state, **fields}
    )


def put(device, status, **fields):
    DeviceState.objects.update_or_create(device=device, defaults={"status": status, **fields})


def worry(cast, severity=Severity.HIGH, status=Alert.Status.ACTIVE, message="Too warm"):
    return Alert.objects.create(
        organization=cast.acme,
        device=cast.boiler,
        sensor=cast.temperature,
        severity=severity,
        status=status,
        message=message,
        value=81,
        threshold=80,
        time=timezone.now(),
    )


@pytest.fixture
def dashboard(cast):
    dashboard = Dashboard.objects.create(organization=cast.acme, name="Floor")
    Tile.objects.create(dashboard=dashboard, key="t", title="Warmth", sensor_type="temperature", w=6, h=4)
    return dashboard


@pytest.fixture
def pages(cast, dashboard):
    return [
        reverse("overview"),
        reverse("devices"),
        reverse("device", args=[cast.boiler.uuid]),
        reverse("dashboards"),
        reverse("dashboard", args=[dashboard.pk]),
        reverse("alerts"),
        reverse("choose-organization"),
    ]


# -- who may see what ---------------------------------------------------------------------------------------
def test_a_stranger_is_asked_to_sign_in_and_comes_back(pages):
    for page in pages:
        answer = Client().get(page)
        assert answer.status_code == 302
        assert answer["Location"] == f"/sign-in?next={page}"


def test_a_viewer_sees_every_page(cast, pages):
    for page in pages:
        answer = visit(cast.vera).get(page)
        assert answer.status_code == 200, page
        assert "Acme" in answer.text


def test_another_organization_sees_nothing_of_it(cast, dashboard):
    client = visit(cast.mallory)
    worry(cast)
    assert client.get(reverse("device", args=[cast.boiler.uuid])).status_code == 404
    assert client.get(reverse("dashboard", args=[dashboard.pk])).status_code == 404
    assert client.get(reverse("alerts"), {"device": cast.boiler.uuid}).status_code == 404
    for page in ("overview", "devices", "dashboards", "alerts"):
        assert not re.search("boiler|Floor|Too warm", client.get(reverse(page)).text)


def test_a_deleted_device_is_gone(cast):
    cast.boiler.deleted_at = timezone.now()
    cast.boiler.save()
    client = visit(cast.alice)
    assert client.get(reverse("device", args=[cast.boiler.uuid])).status_code == 404
    assert "No device yet" in client.get(reverse("devices")).text


def test_who_is_in_no_organization_is_told_so(cast, pages):
    for person in (cast.norma, cast.sam):
        for page in pages:
            assert "You are in no organization yet" in visit(person).get(page).text


def test_only_staff_is_shown_the_way_to_the_admin(cast):
    assert 'href="/admin/"' not in visit(cast.alice).get("/").text
    cast.alice.is_staff = True
    cast.alice.save()
    assert 'href="/admin/"' in visit(cast.alice).get("/").text


def test_only_who_may_do_a_thing_is_offered_it(cast, dashboard):
    worry(cast)
    offers = {
        reverse("devices"): "Add a device",
        reverse("dashboards"): "Add dashboard",
        reverse("dashboard", args=[dashboard.pk]): "data-edit",
        reverse("alerts"): "data-post",
    }
    for page, offer in offers.items():
        assert offer in visit(cast.olga).get(page).text
        assert offer not in visit(cast.vera).get(page).text
    device = reverse("device", args=[cast.boiler.uuid])
    assert "Issue a key" in visit(cast.adam).get(device).text
    assert "Issue a key" not in visit(cast.olga).get(device).text


# -- signing in and choosing --------------------------------------------------------------------------------
@pytest.fixture
def password(cast):
    cache.clear()
    cast.alice.set_password("a long enough password")
    cast.alice.save()
    return "a long enough password"


@pytest.mark.parametrize("name", ["alice", "alice@example.org", "ALICE@Example.org"])
def test_a_person_signs_in_by_name_or_e_mail(name, password):
    answer = Client().post("/sign-in", {"username": name, "password": password, "next": "/devices"})
    assert (answer.status_code, answer["Location"]) == (302, "/devices")


def test_signing_in_never_leads_to_another_site(password):
    form = {"username": "alice", "password": password, "next": "//evil.example/"}
    assert Client().post("/sign-in", form)["Location"] == "/"


def test_wrong_passwords_are_said_to_be_wrong_and_then_limited(password):
    client = Client()
    form = {"username": "alice", "password": "wrong"}
    answers = [client.post("/sign-in", form) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert "Please enter a correct username" in answers[0].text
    assert "Too many failed attempts" in answers[5].text
    assert client.post("/sign-in", {**form, "password": password}).status_code == 429
    cache.clear()


def test_signing_in_needs_the_token_of_its_form(password):
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post("/sign-in", {"username": "alice", "password": password})
    assert answer.status_code == 403
    assert "This form was open too long" in answer.text


def test_signing_out_takes_a_post(cast):
    client = visit(cast.alice)
    assert client.get("/sign-out").status_code == 405
    assert client.get("/").status_code == 200
    assert client.post("/sign-out")["Location"] == "/sign-in"
    assert client.get("/").status_code == 302


def test_a_member_of_two_organizations_chooses_between_them(cast):
    Membership.objects.create(user=cast.alice, organization=cast.globex, role=Role.VIEWER)
    client = visit(cast.alice)
    assert "boiler" in client.get("/devices").text
    assert client.post("/organization", {"organization": cast.globex.pk})["Location"] == "/"
    page = client.get("/devices").text
    assert "theirs" in page
    assert "boiler" not in page
    assert "Add a device" not in page  # the role is that of the chosen organization


@pytest.mark.parametrize("chosen", ["", "x", "0", "-1", "²", "9" * 40])
def test_nobody_chooses_what_they_are_no_member_of(cast, chosen):
    client = visit(cast.alice)
    for number in (chosen, cast.globex.pk):
        assert client.post("/organization", {"organization": number}).status_code == 404
    assert "boiler" in client.get("/devices").text


def test_who_was_removed_from_the_chosen_organization_falls_back_to_another(cast):
    client = visit(cast.alice)
    session = client.session
    session[ORGANIZATION_SESSION_KEY] = cast.globex.pk
    session.save()
    assert "boiler" in client.get("/devices").text
    assert ORGANIZATION_SESSION_KEY not in client.session


# -- what they say ------------------------------------------------------------------------------------------
def first_line(page: str) -> str:
    heading = re.search(r"<h1.*?</h1>", page, re.S)[0]
    return " ".join(re.sub(r"<[^>]+>", "", heading).split())


def test_the_overview_says_first_what_needs_attention(cast):
    put(cast.boiler, "online")
    assert first_line(visit(cast.vera).get("/").text) == "Nothing needs attention."
    worry(cast, Severity.CRITICAL)
    worry(cast, Severity.LOW)
    worry(cast, Severity.LOW, Alert.Status.ACKNOWLEDGED)
    worry(cast, Severity.HIGH, Alert.Status.RESOLVED)
    put(cast.boiler, "offline")
    assert first_line(visit(cast.vera).get("/").text) == "1 critical, 2 low alerts open · 1 device silent"


def test_a_value_carries_unit_and_age_and_an_old_one_looks_old(cast):
    hear(cast.temperature)
    page = visit(cast.vera).get("/").text
    assert re.search(r"<b data-value>21.4</b><span class=\"symbol\">°C</span>.*?>3 s ago</time>", page)
    assert " data-stale>" not in page
    SensorState.objects.update(time=timezone.now() - timedelta(hours=2))
    page = visit(cast.vera).get("/").text
    assert " data-stale>" in page
    assert ">2 h ago</time>" in page


def test_empty_pages_teach_the_next_step(cast):
    cast.boiler.delete()
    assert "No device yet" in visit(cast.olga).get("/").text
    assert 'data-create="/api/v1/devices"' in visit(cast.olga).get("/devices").text
    assert "ask an operator" in visit(cast.vera).get("/devices").text
    assert 'data-create="/api/v1/dashboards"' in visit(cast.olga).get("/dashboards").text
    assert "All quiet" in visit(cast.vera).get("/alerts").text


def test_devices_are_found_by_name_status_and_unit(cast):
    put(cast.boiler, "online", last_seen_at=timezone.now())
    client = visit(cast.vera)
    found = [{"text": "BOIL"}, {"text": str(cast.boiler.uuid)}, {"status": "online"}, {"unit": cast.floor.pk}, {}]
    lost = [{"text": "nothing"}, {"text": "%"}, {"status": "offline"}]
    ignored = [{"status": "' OR 1=1"}, {"unit": cast.their_floor.pk}, {"unit": "x"}, {"text": "\0"}]
    for query in found + ignored:
        assert f"/devices/{cast.boiler.uuid}" in client.get("/devices", query).text, query
    for query in lost:
        assert "No device is like that" in client.get("/devices", query).text, query


def test_a_page_that_is_not_there_is_not_found(cast):
    for page in ("0", "2", "x", "9" * 30):
        assert visit(cast.vera).get("/devices", {"page": page}).status_code == 404


def test_the_page_of_a_device_shows_how_to_send_and_what_was_refused_last(cast):
    put(cast.boiler, "online", last_refused_at=timezone.now(), last_refused_reason="clock_ahead")
    page = visit(cast.olga).get(reverse("device", args=[cast.boiler.uuid]), headers={"host": "localhost:8000"}).text
    assert f"-t devices/{cast.boiler.uuid}/up/readings" in page
    assert f"curl http://localhost:8000/api/v1/devices/{cast.boiler.uuid}/readings" in page
    assert "<code>clock_ahead</code>" in page
    assert "DEVICE_KEY" in page


def test_alerts_are_shown_open_first_and_filtered(cast):
    worry(cast, message="An open one")
    worry(cast, Severity.LOW, Alert.Status.RESOLVED, "An old one")
    client = visit(cast.olga)

    def shown(**query):
        return re.findall(r'alert-message">(.*?)<', client.get("/alerts", query).text)

    assert shown() == shown(status="open") == shown(status="rubbish") == ["An open one"]
    assert shown(status="all") == ["An open one", "An old one"]
    assert shown(status="resolved") == shown(status="all", severity="low") == ["An old one"]
    assert shown(status="all", device=cast.boiler.uuid) == ["An open one", "An old one"]
    assert client.get("/alerts", {"device": "x"}).status_code == 404


def test_a_dashboard_draws_its_tiles(cast, dashboard):
    hear(cast.temperature)
    Tile.objects.create(dashboard=dashboard, key="c", sensor_type="temperature", options={"kind": "chart"}, y=4)
    Tile.objects.create(dashboard=dashboard, key="gone", sensor_type="co2", y=8)
    page = visit(cast.vera).get(reverse("dashboard", args=[dashboard.pk])).text
    assert page.count("<article") == 3
    assert f'data-chart="{cast.temperature.pk}"' in page
    assert page.count("<b data-value>21.4</b>") == 2
    assert "No sensor of type <code>co2</code>" in page


@pytest.mark.parametrize("options", [{"kind": 7, "device": [], "range": "x"}, {"device": "no uuid"}, {"range": -1}])
def test_a_tile_with_foreign_options_is_drawn_all_the_same(cast, dashboard, options):
    dashboard.tiles.update(options=options)
    page = visit(cast.vera).get(reverse("dashboard", args=[dashboard.pk])).text
    assert f'data-sensor="{cast.temperature.pk}"' in page


# -- safe markup --------------------------------------------------------------------------------------------
class Inline(HTMLParser):
    """Whatever a strict Content-Security-Policy would stop, and every element that a name smuggled in."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        names = dict(attrs)
        is_data = names.get("type") == "application/json"
        if tag in ("style", "img") or (tag == "script" and not names.get("src") and not is_data):
            self.found.append(f"<{tag}>")
        self.found += [name for name in names if name == "style" or name.startswith("on")]
        self.found += [value for value in names.values() if value and value.startswith("javascript:")]


def test_nothing_inline_and_no_name_becomes_markup(cast, dashboard, pages):
    for thing in (cast.boiler, cast.floor, cast.temperature, cast.acme, dashboard):
        thing.name = NASTY
        thing.save()
    cast.olga.username = NASTY
    cast.olga.save()
    dashboard.tiles.update(title=NASTY, key=NASTY, options={"kind": "chart", "note": NASTY})
    put(cast.boiler, "offline", last_refused_at=timezone.now(), last_refused_reason="<b>")
    hear(cast.temperature)
    worry(cast, message=NASTY)
    client = visit(cast.olga)
    filtered = [f"/alerts?device={cast.boiler.uuid}&status=all", f"/devices?text={NASTY}"]
    for page in [*pages, *filtered, "/nowhere"]:
        answer = client.get(page)
        assert Inline(answer.text).found == [], page
    assert Inline(Client().get("/sign-in").text).found == []
    assert Inline(visit(cast.norma).get("/").text).found == []


def test_the_page_of_our_own_mistakes_needs_nothing(cast, monkeypatch):
    client = Client(raise_request_exception=False)
    client.force_login(cast.vera)
    monkeypatch.setattr("dashboards.views.overview.attention", None)
    answer = client.get("/")
    assert answer.status_code == 500
    assert "We made a mistake" in answer.text


# -- the cost -----------------------------------------------------------------------------------------------
def test_a_page_costs_as_many_queries_for_many_devices_as_for_one(cast, dashboard):
    hear(cast.temperature)
    put(cast.boiler, "online", last_seen_at=timezone.now())
    worry(cast)
    client = visit(cast.vera)
    pages = ["/", "/devices", "/alerts", "/dashboards", reverse("dashboard", args=[dashboard.pk])]
    costs = {page: _queries_of(client, page) for page in pages}
    for number in range(12):
        _, device, sensor = equip(cast.acme, f"device {number}")
        put(device, "online", last_seen_at=timezone.now())
        hear(sensor)
        worry(cast)
        Dashboard.objects.create(organization=cast.acme, name=f"{number}")
    assert {page: _queries_of(client, page) for page in pages} == costs
    assert max(costs.values()) <= 15


def _queries_of(client, page):
    with CaptureQueriesContext(connection) as queries:
        assert client.get(page).status_code == 200
    return len(queries)


def test_staff_edits_a_dashboard_with_its_tiles_in_the_admin(cast, dashboard):
    client = visit(cast.sam)
    assert "Floor" in client.get(reverse("admin:dashboards_dashboard_changelist"), {"q": "floor"}).text
    page = client.get(reverse("admin:dashboards_dashboard_change", args=[dashboard.pk])).text
    assert 'value="Warmth"' in page
