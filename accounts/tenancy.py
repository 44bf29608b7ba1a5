"""The base of every endpoint of an organization: what is not the caller's is not found."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from rest_framework import serializers, viewsets

from accounts.permissions import Access, Actor, actor_of


class TenantGenericViewSet(viewsets.GenericViewSet):
    """Rows that have `visible_to`. Subclasses give `queryset`, `serializer_class`, `access` and DRF's mixins."""

    access: ClassVar[Access] = Access()

    @cached_property
    def actor(self) -> Actor:
        return cast("Actor", actor_of(self.request))

    def get_queryset(self) -> QuerySet[Any]:
        rows: Any = super().get_queryset()
        return rows.none() if getattr(self, "swagger_fake_view", False) else rows.visible_to(self.actor)


class TenantViewSet(viewsets.ModelViewSet, TenantGenericViewSet):
    """CRUD of such rows; a new one belongs to the caller's organization."""

    def perform_create(self, serializer: serializers.BaseSerializer) -> None:
        serializer.save(organization_id=self.actor.organization_id)


class TenantSerializer(serializers.ModelSerializer):
    """A related row of another organization is unknown here, in every field of every serializer."""

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        request = self.context.get("request")
        if request is None:
            return fields
        for field in fields.values():
            related = getattr(field, "child_relation", field)
            if isinstance(related, serializers.RelatedField) and not related.read_only:
                rows: Any = related.get_queryset()
                if hasattr(rows, "visible_to"):
                    actor = actor_of(request)
                    vars(related)["queryset"] = rows.visible_to(actor) if actor else rows.none()
        return fields
