"""What every HTTP request passes."""

from types import SimpleNamespace

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/sign-in", "/health", "/docs", "/redoc", "/admin/login/", "/no-such-page"])
def test_no_page_loads_anything_from_elsewhere(path: str):
    answer = Client().get(path)
    policy = answer["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "https://fonts" not in answer.content.decode()


def test_our_own_pages_run_no_script_but_their_files():
    assert "unsafe" not in Client().get("/sign-in")["Content-Security-Policy"]


def test_a_trailing_slash_under_the_api_is_dropped_without_a_redirect(cast: SimpleNamespace, api_of):
    body = {"name": "Attic", "location": "Roof"}
    answer = api_of(cast.olga).post("/api/v1/units/", body, format="json")
    assert (answer.status_code, answer.json()["name"]) == (201, "Attic")
