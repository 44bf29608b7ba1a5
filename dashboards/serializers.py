"""What a dashboard and its layout look like on the wire."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from rest_framework import serializers

from accounts.tenancy import TenantSerializer
from dashboards.models import Dashboard, Tile

SIDES = ("x", "y", "w", "h")
COLUMNS = 12
MAX_ROWS = 10_000
MAX_TILE_HEIGHT = 50
MAX_TILES = 200


class DashboardSerializer(TenantSerializer):
    tile_count = serializers.IntegerField(read_only=True, default=0)

    class Meta:
        model = Dashboard
        fields = ("id", "name", "tile_count", "created_at", "updated_at")
        read_only_fields = ("created_at", "updated_at")


class WholeNumber(serializers.IntegerField):
    """An integer and nothing that looks like one: no `true`, no "3", no 3.0."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


class PlaceSerializer(serializers.Serializer):
    """Where a tile lies on the grid of twelve columns. `i` is the tile's id, where the frontend repeats it."""

    i = serializers.CharField(max_length=80, required=False)
    x = WholeNumber(min_value=0, max_value=COLUMNS - 1)
    y = WholeNumber(min_value=0, max_value=MAX_ROWS - 1)
    w = WholeNumber(min_value=1, max_value=COLUMNS)
    h = WholeNumber(min_value=1, max_value=MAX_TILE_HEIGHT)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["x"] + attrs["w"] > COLUMNS:
            raise serializers.ValidationError(f"x + w reaches beyond the {COLUMNS} columns.")
        return attrs


class TileSerializer(serializers.Serializer):
    """One tile. Keys that are not named here are the frontend's own: they are kept and answered as they came."""

    id = serializers.CharField(max_length=80)
    title = serializers.CharField(max_length=120, allow_blank=True, default="")
    sensorType = serializers.CharField(max_length=50, allow_blank=True, default="")  # noqa: N815 - the wire's name
    layout = PlaceSerializer()

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        known = super().to_internal_value(data)
        place = known["layout"]
        options = {key: value for key, value in data.items() if key not in self.fields}
        place_options = {key: value for key, value in data["layout"].items() if key not in SIDES}
        if place.pop("i", known["id"]) == known["id"]:
            place_options.pop("i", None)
        if place_options:
            options["layout"] = place_options
        return {
            "key": known["id"],
            "title": known["title"],
            "sensor_type": known["sensorType"],
            "options": options,
            **place,
        }

    def to_representation(self, tile: Tile) -> dict[str, Any]:
        place = {"i": tile.key, **tile.options.get("layout", {}), **{side: getattr(tile, side) for side in SIDES}}
        return {
            **tile.options,
            "id": tile.key,
            "title": tile.title,
            "sensorType": tile.sensor_type,
            "layout": place,
        }


class LayoutSerializer(serializers.Serializer):
    """All tiles of a dashboard. Saving replaces the whole layout, or nothing of it."""

    tiles = TileSerializer(many=True)

    def validate_tiles(self, tiles: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len(tiles) > MAX_TILES:
            raise serializers.ValidationError(f"A dashboard has at most {MAX_TILES} tiles.")
        keys = [tile["key"] for tile in tiles]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise serializers.ValidationError(f"Two tiles have the id {twice!r}.")
        return tiles

    @transaction.atomic
    def update(self, dashboard: Dashboard, validated_data: dict[str, Any]) -> Dashboard:
        locked = Dashboard.objects.select_for_update().get(pk=dashboard.pk)
        locked.tiles.all().delete()
        Tile.objects.bulk_create(Tile(dashboard=locked, **tile) for tile in validated_data["tiles"])
        locked.save(update_fields=["updated_at"])
        return locked


class SavedLayoutSerializer(serializers.Serializer):
    status = serializers.CharField()
    savedTiles = serializers.IntegerField()  # noqa: N815 - the wire's name
