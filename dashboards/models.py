"""What people look at: dashboards made of tiles."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.models import Organization, TenantQuerySet


class Dashboard(models.Model):
    """A page of tiles that an organization shares."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="dashboards")
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        ordering = ("name", "pk")

    def __str__(self) -> str:
        return self.name


class Tile(models.Model):
    """A place on a dashboard: which sensors it shows, and where on the grid of twelve columns it lies."""

    dashboard = models.ForeignKey(Dashboard, models.CASCADE, related_name="tiles")
    key = models.CharField(max_length=80, help_text="The tile's id on the wire, as the frontend named it.")
    title = models.CharField(max_length=120, blank=True)
    sensor_type = models.CharField(max_length=50, blank=True)
    x = models.PositiveSmallIntegerField(default=0)
    y = models.PositiveSmallIntegerField(default=0)
    w = models.PositiveSmallIntegerField(default=4)
    h = models.PositiveSmallIntegerField(default=3)
    options = models.JSONField(default=dict, blank=True, help_text="Whatever else the frontend keeps with the tile.")

    class Meta:
        ordering = ("dashboard", "y", "x", "pk")
        constraints = (models.UniqueConstraint("dashboard", "key", name="tile_key_once"),)

    def __str__(self) -> str:
        return self.title or self.key
