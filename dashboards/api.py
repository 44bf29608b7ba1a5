"""Dashboards over HTTP: create, read, update, delete, and the layout of their tiles."""

from __future__ import annotations

from typing import cast

from django.db.models import Count
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Role
from accounts.permissions import Access
from accounts.tenancy import TenantViewSet
from dashboards.models import Dashboard
from dashboards.serializers import DashboardSerializer, LayoutSerializer, SavedLayoutSerializer

DASHBOARD = OpenApiExample(
    "A dashboard",
    {
        "id": 1,
        "name": "Factory A",
        "tile_count": 4,
        "created_at": "2025-11-20T08:00:00Z",
        "updated_at": "2025-11-20T09:30:00Z",
    },
    response_only=True,
)
NEW_DASHBOARD = OpenApiExample("A new dashboard", {"name": "Factory A"}, request_only=True)
LAYOUT = OpenApiExample(
    "Two tiles",
    {
        "tiles": [
            {
                "id": "temperatures",
                "title": "Temperatures",
                "sensorType": "temperature",
                "layout": {"i": "temperatures", "x": 0, "y": 0, "w": 8, "h": 4},
                "kind": "chart",
            },
            {
                "id": "humidity",
                "title": "Humidity",
                "sensorType": "humidity",
                "layout": {"i": "humidity", "x": 8, "y": 0, "w": 4, "h": 4},
                "kind": "value",
            },
        ]
    },
)
SAVED = OpenApiExample("Saved", {"status": "ok", "savedTiles": 2}, response_only=True)


@extend_schema_view(
    list=extend_schema(summary="List dashboards", examples=[DASHBOARD]),
    create=extend_schema(summary="Create a dashboard", examples=[DASHBOARD, NEW_DASHBOARD]),
    retrieve=extend_schema(summary="Read a dashboard", examples=[DASHBOARD]),
    update=extend_schema(summary="Replace a dashboard's name", examples=[DASHBOARD, NEW_DASHBOARD]),
    partial_update=extend_schema(summary="Change a dashboard's name", examples=[DASHBOARD, NEW_DASHBOARD]),
    destroy=extend_schema(summary="Delete a dashboard with its tiles"),
)
class DashboardViewSet(TenantViewSet):
    """Dashboards are shared by their organization; whoever may write may also delete."""

    access = Access(delete=Role.OPERATOR)
    queryset = Dashboard.objects.annotate(tile_count=Count("tiles")).order_by("name", "pk")
    serializer_class = DashboardSerializer

    @extend_schema(
        methods=["GET"], summary="Read the layout of a dashboard", responses=LayoutSerializer, examples=[LAYOUT]
    )
    @extend_schema(
        methods=["POST"],
        summary="Replace the layout of a dashboard",
        description="All tiles at once: those that the body does not name are gone. At most 200 tiles.",
        request=LayoutSerializer,
        responses=SavedLayoutSerializer,
        examples=[LAYOUT, SAVED],
    )
    @action(detail=True, methods=["get", "post"], pagination_class=None, filter_backends=[])
    def layout(self, request: Request, pk: str) -> Response:
        dashboard = cast("Dashboard", self.get_object())
        if request.method == "GET":
            return Response(LayoutSerializer(dashboard).data)
        serializer = LayoutSerializer(dashboard, data=request.data)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return Response({"status": "ok", "savedTiles": len(serializer.validated_data["tiles"])})
