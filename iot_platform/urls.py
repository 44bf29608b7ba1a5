"""Every HTTP route of the platform."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView
from rest_framework.routers import SimpleRouter

from accounts import api as accounts
from alerts import api as alerts
from dashboards import api as dashboards
from dashboards import views as pages
from devices import api as devices
from iot_platform import health
from readings import api as readings

router = SimpleRouter(trailing_slash=False)
router.register("organizations", accounts.OrganizationViewSet, "organization")
router.register("units", devices.UnitViewSet, "unit")
router.register("device-types", devices.DeviceTypeViewSet, "device-type")
router.register("sensor-types", devices.SensorTypeViewSet, "sensor-type")
router.register("devices", devices.DeviceViewSet, "device")
router.register("devices/(?P<device_uuid>[^/]+)/keys", devices.DeviceKeyViewSet, "device-key")
router.register("sources", devices.SourceViewSet, "source")
router.register("sensors", devices.SensorViewSet, "sensor")
router.register("readings", readings.ReadingViewSet, "reading")
router.register("rejections", readings.RejectionViewSet, "rejection")
router.register("alert-rules", alerts.RuleViewSet, "alert-rule")
router.register("alerts", alerts.AlertViewSet, "alert")
router.register("notification-channels", alerts.ChannelViewSet, "notification-channel")
router.register("deliveries", alerts.DeliveryViewSet, "delivery")
router.register("dashboards", dashboards.DashboardViewSet, "dashboard")

api: list[URLPattern | URLResolver] = [
    path("auth/register", accounts.Register.as_view(), name="register"),
    path("auth/login", accounts.Login.as_view(), name="login"),
    path("auth/logout", accounts.Logout.as_view(), name="logout"),
    path("auth/refresh", accounts.Refresh.as_view(), name="refresh"),
    path("auth/verify", accounts.Verify.as_view(), name="verify"),
    path("auth/me", accounts.Me.as_view(), name="me"),
    path("devices/<uuid:device_uuid>/readings", readings.DeviceReadings.as_view(), name="device-readings"),
    path("devices/<uuid:device_uuid>/readings/latest", readings.DeviceLatest.as_view(), name="device-latest"),
    path("devices/<uuid:device_uuid>/readings/stats", readings.DeviceStats.as_view(), name="device-stats"),
    path("sensors/latest", readings.Latest.as_view(), name="latest"),
    path("sensors/history", readings.History.as_view(), name="history"),
    path("sensors/stats", readings.Stats.as_view(), name="stats"),
    path("health", health.Health.as_view(), name="api-health"),
    path("system/status", health.SystemStatus.as_view(), name="system-status"),
    path("system/version", health.Version.as_view(), name="system-version"),
    path("", include(router.urls)),
]

urlpatterns = [
    path("api/v1/", include(api)),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("docs", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("redoc", SpectacularRedocView.as_view(url_name="schema"), name="redoc"),
    path("health", health.Health.as_view(schema=None), name="health"),  # described once, under /api
    path("admin/", admin.site.urls),
    path("sign-in", pages.SignIn.as_view(), name="sign-in"),
    path("sign-out", pages.SignOut.as_view(), name="sign-out"),
    path("organization", pages.ChooseOrganization.as_view(), name="choose-organization"),
    path("", pages.Overview.as_view(), name="overview"),
    path("devices", pages.Devices.as_view(), name="devices"),
    path("devices/<uuid:uuid>", pages.DeviceDetail.as_view(), name="device"),
    path("dashboards", pages.Dashboards.as_view(), name="dashboards"),
    path("dashboards/<int:pk>", pages.DashboardDetail.as_view(), name="dashboard"),
    path("alerts", pages.Alerts.as_view(), name="alerts"),
]
