from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from alerts.models import Alert, Channel, Delivery, Rule, RuleState
from alerts.tests.conftest import NOON, alert_of, channel_to, delivery_to

MODELS = ("rule", "rulestate", "alert", "channel", "delivery")


@pytest.fixture
def staff(cast: SimpleNamespace, client: Client) -> Client:
    client.force_login(cast.sam)
    return client


@pytest.fixture
def alert(cast: SimpleNamespace, hot: Rule) -> Alert:
    alert = alert_of(cast.temperature, rule=hot)
    RuleState.objects.create(rule=hot, sensor=cast.temperature, alert=alert, judged_at=NOON)
    delivery_to(channel_to("https://93.184.216.34/", cast.acme), alert, status="dead", attempts=5)
    return alert


def act(client: Client, model: str, action: str) -> Any:
    rows = {"alert": Alert, "delivery": Delivery}[model].objects.values_list("pk", flat=True)
    body = {"action": action, "_selected_action": list(rows)}
    return client.post(reverse(f"admin:alerts_{model}_changelist"), body, follow=True)


@pytest.mark.parametrize("model", MODELS)
def test_every_list_is_shown_and_searched(staff: Client, alert: Alert, model: str) -> None:
    for query in ({}, {"q": "boiler"}):
        assert staff.get(reverse(f"admin:alerts_{model}_changelist"), query).status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_every_row_is_shown(staff: Client, alert: Alert, model: str) -> None:
    rows = {"rule": Rule, "rulestate": RuleState, "alert": Alert, "channel": Channel, "delivery": Delivery}
    pk = rows[model].objects.get().pk
    assert staff.get(reverse(f"admin:alerts_{model}_change", args=[pk])).status_code == 200


def test_what_the_platform_writes_itself_is_not_edited(staff: Client, alert: Alert) -> None:
    for model in ("rulestate", "alert", "delivery"):
        assert staff.get(reverse(f"admin:alerts_{model}_add")).status_code == 403
    url = reverse("admin:alerts_alert_change", args=[alert.pk])
    assert staff.post(url, {"message": "changed"}).status_code == 403
    state = reverse("admin:alerts_rulestate_delete", args=[RuleState.objects.get().pk])
    assert staff.post(state, {"post": "yes"}).status_code == 403


def test_alerts_are_acknowledged_and_resolved_from_the_list(cast: SimpleNamespace, staff: Client, alert: Alert) -> None:
    act(staff, "alert", "acknowledge_alerts")
    alert.refresh_from_db()
    assert (alert.status, alert.acknowledged_by) == ("acknowledged", cast.sam)
    act(staff, "alert", "resolve_alerts")
    alert.refresh_from_db()
    assert (alert.status, alert.resolved_by) == ("resolved", cast.sam)
    assert Delivery.objects.filter(event="resolved").count() == 1


def test_a_dead_message_is_sent_again_from_the_list(staff: Client, alert: Alert) -> None:
    act(staff, "delivery", "send_deliveries_again")
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts) == ("pending", 0)


def test_staff_who_may_only_look_may_not_act(cast: SimpleNamespace, client: Client, alert: Alert) -> None:
    cast.norma.is_staff = True
    cast.norma.save()
    cast.norma.user_permissions.add(Permission.objects.get(codename="view_alert"))
    client.force_login(cast.norma)
    assert client.get(reverse("admin:alerts_alert_changelist")).status_code == 200
    act(client, "alert", "resolve_alerts")
    alert.refresh_from_db()
    assert alert.status == "active"


def save_rule(staff: Client, **fields: Any) -> Any:
    body = {"name": "Hot", "operator": "gt", "threshold": "80", "severity": "3", "is_enabled": "on"}
    return staff.post(reverse("admin:alerts_rule_add"), body | fields)


def test_a_rule_is_checked_in_the_admin_as_it_is_in_the_api(cast: SimpleNamespace, staff: Client) -> None:
    acme = {"organization": cast.acme.pk}
    for fields, problem in (
        (acme, "Name a sensor or a sensor type"),
        (acme | {"sensor": cast.temperature.pk, "unit": cast.their_floor.pk}, "another unit"),
        (acme | {"sensor": cast.their_temperature.pk}, "another organization"),
        (acme | {"sensor": cast.temperature.pk, "threshold": "nan"}, "Enter a number"),
    ):
        answer = save_rule(staff, **fields)
        assert (answer.status_code, problem in answer.content.decode()) == (200, True), problem
    assert save_rule(staff, **acme, sensor=cast.temperature.pk).status_code == 302
    assert Rule.objects.get().sensor == cast.temperature


def test_a_channel_to_a_forbidden_address_is_not_saved_in_the_admin(cast: SimpleNamespace, staff: Client) -> None:
    body = {"organization": cast.acme.pk, "name": "x", "kind": "webhook", "minimum_severity": "1", "is_enabled": "on"}
    url = reverse("admin:alerts_channel_add")
    refused = staff.post(url, body | {"url": "https://127.0.0.1/"})
    assert "WEBHOOK_ALLOWED" in refused.content.decode()
    assert not Channel.objects.exists()
    assert staff.post(url, body | {"url": "https://93.184.216.34/"}).status_code == 302
