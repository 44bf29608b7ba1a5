"""Dashboards and layouts through the API."""

from __future__ import annotations

import pytest

from dashboards.models import Dashboard, Tile

TILE = {
    "id": "warm",
    "title": "Warmth",
    "sensorType": "temperature",
    "layout": {"i": "warm", "x": 0, "y": 2, "w": 6, "h": 4},
}


def tile(**changes):
    return {**TILE, **changes}


def placed(**sides):
    return tile(layout={**TILE["layout"], **sides})


@pytest.fixture
def dashboard(cast):
    return Dashboard.objects.create(organization=cast.acme, name="Floor")


@pytest.fixture
def layout(dashboard):
    return f"/api/v1/dashboards/{dashboard.pk}/layout"


def test_an_operator_makes_renames_and_deletes_a_dashboard(cast, api_of):
    api = api_of(cast.olga)
    made = api.post("/api/v1/dashboards", {"name": "Floor"})
    assert made.status_code == 201
    assert made.json()["tile_count"] == 0
    url = f"/api/v1/dashboards/{made.json()['id']}"
    assert api.patch(url, {"name": "Hall"}).json()["name"] == "Hall"
    assert [each["name"] for each in api.get("/api/v1/dashboards").json()["results"]] == ["Hall"]
    assert api.delete(url).status_code == 204
    assert not Dashboard.objects.exists()


def test_a_viewer_reads_but_changes_nothing(cast, api_of, dashboard, layout):
    api = api_of(cast.vera)
    assert api.get(layout).json() == {"tiles": []}
    assert api.post(layout, {"tiles": [TILE]}).status_code == 403
    assert api.post("/api/v1/dashboards", {"name": "Mine"}).status_code == 403
    assert api.delete(f"/api/v1/dashboards/{dashboard.pk}").status_code == 403
    assert Tile.objects.count() == 0


def test_another_organization_finds_no_dashboard(cast, api_of, dashboard, layout):
    assert api_of(cast.alice).get(layout).status_code == 200
    api = api_of(cast.mallory)
    assert api.get(layout).status_code == 404
    assert api.post(layout, {"tiles": [TILE]}).status_code == 404
    assert api.get("/api/v1/dashboards").json()["results"] == []
    assert Tile.objects.count() == 0


def test_a_stranger_must_sign_in(api_of, layout):
    assert api_of(None).get(layout).status_code == 401


def test_a_layout_comes_back_as_it_was_saved(cast, api_of, layout):
    second = tile(id="b", layout={"i": "b", "x": 6, "y": 0, "w": 6, "h": 1})
    api = api_of(cast.olga)
    assert api.post(layout, {"tiles": [second, TILE]}).json() == {"status": "ok", "savedTiles": 2}
    assert api.get(layout).json() == {"tiles": [second, TILE]}


def test_keys_that_nobody_knows_here_are_kept(cast, api_of, layout):
    strange = tile(
        colour="#aabbcc",
        thresholds=[1, {"at": 2.5}],
        layout={**TILE["layout"], "i": "other", "minW": 2, "static": False},
    )
    api_of(cast.olga).post(layout, {"tiles": [strange]})
    assert api_of(cast.vera).get(layout).json() == {"tiles": [strange]}


def test_saving_replaces_every_tile(cast, api_of, layout):
    api = api_of(cast.olga)
    api.post(layout, {"tiles": [TILE, tile(id="old")]})
    api.post(layout, {"tiles": [tile(id="new")]})
    assert [each["id"] for each in api.get(layout).json()["tiles"]] == ["new"]
    api.post(layout, {"tiles": []})
    assert api.get(layout).json() == {"tiles": []}


def test_a_bad_tile_leaves_the_old_layout_as_it_was(cast, api_of, layout):
    api = api_of(cast.olga)
    api.post(layout, {"tiles": [TILE]})
    answer = api.post(layout, {"tiles": [tile(id="new"), placed(w=0)]})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == "tiles.1.layout.w"
    assert api.get(layout).json() == {"tiles": [TILE]}


@pytest.mark.parametrize(
    "sides",
    [
        {"x": -1},
        {"x": 12, "w": 1},
        {"x": 7, "w": 6},
        {"y": -1},
        {"y": 10_000},
        {"w": 0},
        {"w": 13},
        {"h": 0},
        {"h": 51},
        {"x": "1"},
        {"x": 1.0},
        {"w": True},
        {"h": None},
        {"y": 10**30},
    ],
    ids=str,
)
def test_a_place_outside_the_grid_is_refused(cast, api_of, layout, sides):
    assert api_of(cast.olga).post(layout, {"tiles": [placed(**sides)]}).status_code == 400
    assert Tile.objects.count() == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"tiles": None},
        {"tiles": {}},
        {"tiles": ["a"]},
        {"tiles": [[]]},
        {"tiles": [{"id": "a", "layout": []}]},
        {"tiles": [{"id": "a"}]},
        {"tiles": [tile(id="")]},
        {"tiles": [tile(id="x" * 81)]},
        {"tiles": [tile(title="x" * 121)]},
        {"tiles": [tile(sensorType=["temperature"])]},
        {"tiles": [TILE, TILE]},
        {"tiles": [tile(id=str(number)) for number in range(201)]},
    ],
    ids=lambda body: str(body)[:40],
)
def test_what_is_no_layout_is_refused(cast, api_of, layout, body):
    assert api_of(cast.olga).post(layout, body).status_code == 400
    assert Tile.objects.count() == 0


def test_two_hundred_tiles_are_saved_with_as_many_queries_as_two(cast, api_of, layout, django_assert_max_num_queries):
    api = api_of(cast.olga)
    with django_assert_max_num_queries(14) as few:
        assert api.post(layout, {"tiles": [tile(id=str(number)) for number in range(2)]}).status_code == 200
    with django_assert_max_num_queries(len(few) + 1):  # SQLite takes 200 rows in two statements
        answer = api.post(layout, {"tiles": [tile(id=str(number)) for number in range(200)]})
    assert answer.json()["savedTiles"] == 200
