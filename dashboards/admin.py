"""Dashboards in the admin, with their tiles."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from dashboards.models import Dashboard, Tile


class TileInline(TabularInline):
    model = Tile
    fields = ("key", "title", "sensor_type", "x", "y", "w", "h", "options")
    extra = 0
    tab = True


@admin.register(Dashboard)
class DashboardAdmin(ModelAdmin):
    list_display = ("name", "organization", "tile_count", "updated_at")
    list_filter = ("organization",)
    list_select_related = ("organization",)
    search_fields = ("name", "organization__name")
    autocomplete_fields = ("organization",)
    readonly_fields = ("created_at", "updated_at")
    inlines = (TileInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Dashboard]:
        return super().get_queryset(request).annotate(tiles_now=Count("tiles"))

    @admin.display(description="tiles", ordering="tiles_now")
    def tile_count(self, dashboard: Any) -> int:
        return dashboard.tiles_now
