"""Every setting of the platform: the environment comes in here and nowhere else.

Two sizes, one code. With none of DATABASE_URL, REDIS_URL and MQTT_URL set, one process holds everything
(see `embedded.py`); each of the three switches its part over to a real service.
"""

import secrets
import sys
from datetime import timedelta
from pathlib import Path

import environ
from celery.schedules import schedule
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static

from iot_platform.logging import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()  # every NAME may also come as NAME_FILE, the path of a file that holds it
env.read_env(BASE_DIR / ".env")

VERSION = "0.1.0"
VAR_DIR = Path(env.str("VAR_DIR", str(BASE_DIR / "var")))  # what an installation keeps on its own disk


# -- which size ---------------------------------------------------------------------------------------------
REDIS_URL = env.str("REDIS_URL", "")
MQTT_URL = env.str("MQTT_URL", "")  # mqtt://listener:password@host:port
MQTT_ADMIN_URL = env.str("MQTT_ADMIN_URL", "")  # the broker account that may manage accounts
EMBEDDED = not (env.str("DATABASE_URL", "") or REDIS_URL or MQTT_URL)

HOST = env.str("HOST", "127.0.0.1")
PORT = env.int("PORT", 8000)
MQTT_PORT = env.int("MQTT_PORT", 1883)  # of the embedded broker
LAN = env.bool("LAN", False)  # open HTTP and MQTT to the local network
DEMO = env.bool("DEMO", True)  # the sample world, with simulated devices


# -- secrets ------------------------------------------------------------------------------------------------
def kept_secret(name: str) -> str:
    """A secret of this installation: made at the first start, then read from `var/`."""
    path = VAR_DIR / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(48))
    return path.read_text().strip()


def secret(name: str) -> str:
    """A secret from the environment; a single process may keep its own, separate processes must share one."""
    value = env.str(name, "") or (kept_secret(name.lower()) if EMBEDDED else "")
    if len(value) < 32:
        raise ImproperlyConfigured(f"Set {name} to at least 32 random characters (or {name}_FILE to their file).")
    return value


SECRET_KEY = secret("SECRET_KEY")
JWT_SIGNING_KEY = secret("JWT_SIGNING_KEY")


# -- doors --------------------------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
ALLOWED_ORIGINS = env.list("ALLOWED_ORIGINS", default=[])  # other frontends: CORS, CSRF and sockets
CORS_ALLOWED_ORIGINS = CSRF_TRUSTED_ORIGINS = ALLOWED_ORIGINS
CORS_ALLOW_CREDENTIALS = True
CORS_URLS_REGEX = r"^/api/"
HTTPS = env.bool("HTTPS", False)  # behind a proxy that ends TLS and sets X-Forwarded-Proto
NUM_PROXIES = env.int("NUM_PROXIES", 1 if HTTPS else 0)

ROOT_URLCONF = "iot_platform.urls"
ASGI_APPLICATION = "iot_platform.asgi.application"
APPEND_SLASH = False
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "sign-in"

SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SESSION_COOKIE_AGE = 7 * 24 * 3600
X_FRAME_OPTIONS = "DENY"

INSTALLED_APPS = [
    "daphne",
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "corsheaders",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "django_celery_beat",
    "iot_platform",
    "accounts",
    "devices",
    "alerts",
    "readings",
    "dashboards",
]

MIDDLEWARE = [
    "iot_platform.middleware.DropTrailingSlash",
    "iot_platform.middleware.ContentSecurityPolicy",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "iot_platform" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

STATIC_URL = "/static/"
STATIC_ROOT = None if EMBEDDED else BASE_DIR / "staticfiles"  # one process serves from where the files lie
STATICFILES_DIRS = [path for path in [BASE_DIR / "static"] if path.exists()]  # browser libraries from npm
WHITENOISE_USE_FINDERS = EMBEDDED or DEBUG
WHITENOISE_AUTOREFRESH = DEBUG


# -- stores -------------------------------------------------------------------------------------------------
DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{VAR_DIR}/db.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",  # with a deferred start, 1 of 10 concurrent writers fails at once
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-32000;",
    }
else:
    DATABASES["default"].setdefault("CONN_HEALTH_CHECKS", True)
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    # a server that vanishes without a word is noticed within half a minute, not after the kernel's two hours
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 25_000,
        **DATABASES["default"].get("OPTIONS", {}),
    }

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1, "retry": None},
    }
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_connect_timeout": 1}]},
    }
    if REDIS_URL
    else {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 1000}}
}


# -- broker -------------------------------------------------------------------------------------------------
# Mosquitto keeps accounts of its own, the embedded broker asks the database at each connect.
BROKER_ACCOUNTS = "devices.broker.DynamicSecurity" if MQTT_URL else "devices.broker.CheckedAtConnect"
MQTT_MAX_PACKET_BYTES = 65_536
LISTENER_QUEUE_MESSAGES = 20_000
LISTENER_QUEUE_BYTES = 16 * 1024 * 1024


# -- readings -----------------------------------------------------------------------------------------------
READING_MAX_AGE_DAYS = env.int("READING_MAX_AGE_DAYS", 365)  # an older time is refused as `too_old`
READING_MAX_AHEAD_SECONDS = 300  # a later one as `clock_ahead`
INGEST_MAX_READINGS = 10_000
INGEST_MAX_BYTES = 1024 * 1024
SENSORS_PER_DEVICE = env.int("SENSORS_PER_DEVICE", 200)
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024  # every JSON body that is not ingest


# -- alerts -------------------------------------------------------------------------------------------------
WEBHOOK_ALLOWED = env.list("WEBHOOK_ALLOWED", default=[])  # host:port that may be private or plain http


# -- the clock ----------------------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL or "memory://localhost/"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 600
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker that gave up would take the Listener with it
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_SCHEDULE = {
    # `expires` keeps a backlog of ticks from piling up while no worker runs
    "send alert deliveries": {
        "task": "alerts.tasks.send_deliveries",
        "schedule": schedule(timedelta(seconds=2)),
        "options": {"expires": 10},
    },
    "watch for silent devices": {
        "task": "devices.tasks.watch_presence",
        "schedule": schedule(timedelta(seconds=10)),
        "options": {"expires": 30},
    },
    "publish system status": {
        "task": "iot_platform.tasks.publish_status",
        "schedule": schedule(timedelta(seconds=10)),
        "options": {"expires": 30},
    },
    "purge what was deleted": {
        "task": "iot_platform.tasks.purge_deleted",
        "schedule": schedule(timedelta(minutes=1)),
        "options": {"expires": 60},
    },
    "reconcile broker accounts": {
        "task": "devices.tasks.reconcile_broker",
        "schedule": schedule(timedelta(hours=1)),
        "options": {"expires": 600},
    },
}
DJANGO_CELERY_BEAT_TZ_AWARE = True


# -- callers ------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.authentication.UsernameOrEmailBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
REGISTRATION_OPEN = env.bool("REGISTRATION_OPEN", False)  # may strangers register an organization of their own?
ADMIN_EMAIL = env.str("ADMIN_EMAIL", "")
ADMIN_PASSWORD = env.str("ADMIN_PASSWORD", "")

ACCESS_TOKEN_EXPIRE_MINUTES = env.int("ACCESS_TOKEN_EXPIRE_MINUTES", 30)
SIMPLE_JWT = {
    "SIGNING_KEY": JWT_SIGNING_KEY,
    "ALGORITHM": "HS256",
    "AUDIENCE": "iot-platform",
    "ISSUER": "iot-platform",
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=ACCESS_TOKEN_EXPIRE_MINUTES),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "devices.authentication.DeviceKeyAuthentication",
        "accounts.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.HasAccess"],
    "DEFAULT_PARSER_CLASSES": ["iot_platform.api.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "iot_platform.api.Page",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_standardized_errors.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "iot_platform.api.answer_error",
    "URL_FORMAT_OVERRIDE": None,
    "NUM_PROXIES": NUM_PROXIES,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "COERCE_DECIMAL_TO_STRING": False,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "IoT platform",
    "VERSION": VERSION,
    "DESCRIPTION": "Devices, readings, alerts and dashboards of your organization.",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "SeverityEnum": "alerts.models.Severity.labels",
        "AlertStatusEnum": "alerts.models.Alert.Status",
        "DeliveryStatusEnum": "alerts.models.Delivery.Status",
        "SensorStatusEnum": "devices.models.Sensor.Status",
    },
}
UNFOLD = {
    "SITE_TITLE": "IoT platform",
    "SITE_HEADER": "IoT platform",
    "SITE_SYMBOL": "sensors",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("dashboards/favicon.svg")}
    ],
    "SHOW_BACK_BUTTON": True,
    "DASHBOARD_CALLBACK": "iot_platform.admin.landing",
}

TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
LANGUAGE_CODE = "en"

LOG_LEVEL = env.str("LOG_LEVEL", "INFO")
LOGGING = logging_config(LOG_LEVEL, pretty=sys.stderr.isatty())
