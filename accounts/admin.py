"""People, organizations, memberships and refresh tokens, for the staff of the platform."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts.models import Membership, Organization, RefreshToken, User
from accounts.ownership import close_organizations

ONLY_FOR_SUPERUSERS = ("is_staff", "is_superuser", "groups", "user_permissions")

admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(BaseGroupAdmin, ModelAdmin):
    pass


class MembershipInline(TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ("user", "organization")


@admin.register(User)
class UserAdmin(BaseUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "get_full_name", "is_active", "is_staff", "membership_list", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser", "memberships__role")
    search_fields = ("username", "email", "first_name", "last_name", "memberships__organization__name")
    readonly_fields = ("last_login", "date_joined", "token_version")
    filter_horizontal = ("groups", "user_permissions")
    inlines = (MembershipInline,)
    actions = ("sign_out_everywhere",)
    fieldsets = (
        (None, {"fields": ("username", "email", "first_name", "last_name", "password")}),
        ("Rights", {"fields": ("is_active", *ONLY_FOR_SUPERUSERS)}),
        ("Sessions", {"fields": ("last_login", "date_joined", "token_version")}),
    )
    add_fieldsets = ((None, {"fields": ("username", "email", "usable_password", "password1", "password2")}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("memberships__organization")

    def get_inlines(self, request: HttpRequest, obj: User | None) -> tuple[type[TabularInline], ...]:
        return self.inlines if obj else ()

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        rights = () if request.user.is_superuser else ONLY_FOR_SUPERUSERS
        return (*super().get_readonly_fields(request, obj), *rights)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and self._may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and self._may_touch(request, obj)

    @staticmethod
    def _may_touch(request: HttpRequest, user: User | None) -> bool:
        """Only a superuser may change one: a new password would be a way to become one."""
        return user is None or request.user.is_superuser or not user.is_superuser

    @display(description="organizations")
    def membership_list(self, user: User) -> str:
        return ", ".join(f"{m.organization} ({m.get_role_display()})" for m in user.memberships.all())

    @action(description="Sign out everywhere", permissions=["change"])
    def sign_out_everywhere(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            user.revoke_tokens()
        self.message_user(request, f"{len(queryset)} signed out everywhere.")


@admin.register(Organization)
class OrganizationAdmin(ModelAdmin):
    list_display = ("name", "member_count", "created_at", "deleted_at")
    list_filter = (("deleted_at", admin.EmptyFieldListFilter),)
    search_fields = ("name", "members__username", "members__email")
    readonly_fields = ("created_at", "deleted_at")
    date_hierarchy = "created_at"
    inlines = (MembershipInline,)
    actions = ("close",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        return super().get_queryset(request).annotate(members_total=Count("memberships", distinct=True))

    def has_delete_permission(self, request: HttpRequest, obj: Organization | None = None) -> bool:
        return False  # years of readings do not go in one request: see the action

    @display(description="members", ordering="members_total")
    def member_count(self, organization: Any) -> int:
        return organization.members_total

    @action(description="Delete: gone at once, purged by the clock", permissions=["change"])
    def close(self, request: HttpRequest, queryset: QuerySet[Organization]) -> None:
        gone = close_organizations(queryset)
        self.message_user(request, f"{gone['organizations']} deleted, with {gone['members']} memberships.")


@admin.register(Membership)
class MembershipAdmin(ModelAdmin):
    list_display = ("user", "organization", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "organization")
    search_fields = ("user__username", "user__email", "organization__name")
    autocomplete_fields = ("user", "organization")
    readonly_fields = ("created_at",)


@admin.register(RefreshToken)
class RefreshTokenAdmin(ModelAdmin):
    """To look at; only ending a sign-in is offered."""

    list_display = ("user", "state", "expires_at", "used_at", "revoked_at", "family")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), ("used_at", admin.EmptyFieldListFilter))
    list_select_related = ("user",)
    search_fields = ("user__username", "user__email", "family")
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: RefreshToken | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: RefreshToken | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_refreshtoken")

    @display(
        description="state", label={"active": "success", "revoked": "danger", "used": "info", "expired": "warning"}
    )
    def state(self, token: RefreshToken) -> str:
        if token.revoked_at:
            return "revoked"
        if token.used_at:
            return "used"
        return "active" if token.expires_at > timezone.now() else "expired"

    @action(description="End these sign-ins", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[RefreshToken]) -> None:
        families = queryset.order_by().values_list("family", flat=True).distinct()
        rows = RefreshToken.objects.filter(family__in=list(families), revoked_at=None)
        self.message_user(request, f"{rows.update(revoked_at=timezone.now())} tokens revoked.")
