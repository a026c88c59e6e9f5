"""The only settings file: everything that differs between machines comes from the environment.

Without any variable this is the embedded mode: SQLite in ./var, no servers, loopback only. `docs/operations.md`
lists the variables.
"""

from __future__ import annotations

import decimal
import os
import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from celery.schedules import schedule
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config.env import env_bool, env_choice, env_int, env_list, env_secret, env_str
from config.logs import logging_of

# Money is exact: Python's own context rounds every sum to 28 digits, and a stored amount has up to 38.
decimal.DefaultContext.prec = decimal.getcontext().prec = 60

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env_str("BINNACLE_DATA", str(BASE_DIR / "var"))).resolve()
HOST = env_str("HOST", "127.0.0.1")
PORT = env_int("PORT", 8000)
DEBUG = env_bool("DEBUG", False)
EMBEDDED = not env_str("BROKER_URL")  # one process, no servers
BEHIND_PROXY = env_bool("BEHIND_PROXY", False)
LOOPBACK = HOST in {"127.0.0.1", "::1", "localhost"} and not BEHIND_PROXY  # reachable from this machine only
DEMO = EMBEDDED and env_bool("DEMO", True)  # `serve` makes the demo user; on the loopback address only


def _secret_key() -> str:
    """Take SECRET_KEY from the environment; embedded mode makes one and keeps it in the data folder."""
    key = env_secret("SECRET_KEY")
    if key:
        return key
    if not EMBEDDED:
        raise ImproperlyConfigured("SECRET_KEY (or SECRET_KEY_FILE) must be set outside embedded mode")
    return _kept("secret_key", lambda: secrets.token_urlsafe(50))


def _kept(name: str, make: Callable[[], str]) -> str:
    """Return what a file of the data folder holds; the first start makes it."""
    path = DATA_DIR / name
    if not path.exists():
        DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = DATA_DIR / f"{name}.{os.getpid()}"  # whole before it bears its name: a kill leaves no half of it
        fresh.touch(mode=0o600)
        fresh.write_text(make(), encoding="utf-8")
        fresh.rename(path)
    return path.read_text(encoding="utf-8")


def _installation_id() -> str:
    """Take INSTALLATION_ID from the environment; embedded mode keeps one beside its database."""
    given = env_str("INSTALLATION_ID")
    if not given and not EMBEDDED:
        return ""
    try:
        return str(UUID(given or _kept("installation_id", lambda: str(uuid4())).strip()))
    except ValueError:
        raise ImproperlyConfigured("INSTALLATION_ID must be a UUID") from None


def _database() -> dict[str, Any]:
    url = env_secret("DATABASE_URL")
    if not url:
        DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA_DIR / "binnacle.sqlite3",
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": (
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000; "
                    "PRAGMA mmap_size=134217728; PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY;"
                ),
            },
        }
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(f"DATABASE_URL must start with postgresql://, not {parts.scheme}://")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username or "",
        "PASSWORD": parts.password or "",
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }


SECRET_KEY = _secret_key()
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]" if LOOPBACK else HOST)
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "django_htmx",
    "template_partials",
    "csp",
    "accounts",
    "risk",
    "news",
    "exchanges",
    "bots",
    "trading",
]

MIDDLEWARE = [
    "config.requests.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "accounts.middleware.WorkspaceMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "accounts.context.shell",
                "risk.context.halted",
            ],
        },
    },
]

DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- people ----------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "accounts:sign-in"
LOGIN_REDIRECT_URL = "bots:dashboard"
LOGOUT_REDIRECT_URL = "accounts:sign-in"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
PASSWORD_RESET_TIMEOUT = 3 * 24 * 3600  # of a one-time link to set a password
CSRF_FAILURE_VIEW = "accounts.api_errors.csrf_failure"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = not (DEBUG or LOOPBACK)
SECURE_HSTS_SECONDS = 0 if (DEBUG or LOOPBACK) else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not (DEBUG or LOOPBACK)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]  # whoever watches the process asks it directly
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# --- language, time, files -------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = env_str("STATIC_ROOT") or None  # for `collectstatic`, where nginx serves the files
WHITENOISE_USE_FINDERS = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# --- API -------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework_simplejwt.authentication.JWTAuthentication",  # first: it names itself in a 401
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["accounts.api_input.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "accounts.api_errors.error_response",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=14),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "CHECK_REVOKE_TOKEN": True,  # a new password ends every token
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Binnacle API",
    "DESCRIPTION": "Everything the pages do, for scripts.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "accounts.api_schema.describe_all",
    ],
    "ENUM_NAME_OVERRIDES": {"BotStatus": "bots.models.Bot.Status", "StopMode": "bots.models.Bot.StopMode"},
}

# --- work ------------------------------------------------------------------------------------------------------------
CELERY_BROKER_URL = env_str("BROKER_URL", "memory://localhost")
SERVED_TRANSPORT: dict[str, Any] = {
    "visibility_timeout": 180,
    "unacked_restore_throttle": 1,
    "max_retries": 1,  # of a ring: the sweep finds the work anyway, so a click doesn't wait for a broker that is away
    "interval_start": 0,
    "interval_max": 0.1,
    "socket_connect_timeout": 2,
}
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {"polling_interval": 0.02} if EMBEDDED else SERVED_TRANSPORT
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False  # ticks: the database is the queue, a lost message is only late
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_PREFETCH_MULTIPLIER = 8 if EMBEDDED else 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_ENABLE_REMOTE_CONTROL = not EMBEDDED
CELERY_TASK_DEFAULT_QUEUE = "ticks"
# On queues of their own, so that a long job never delays an exit. A worker without -Q works on all of them.
CELERY_TASK_QUEUES: dict[str, dict[str, Any]] = {name: {} for name in ("ticks", "orders", "market", "jobs", "advice")}
CELERY_TASK_ROUTES = {
    "trading.tick": {"queue": "ticks"},
    "trading.sweep": {"queue": "ticks"},
    "trading.ask": {"queue": "orders"},
    "trading.halt_foreign": {"queue": "orders"},
    "trading.reconcile": {"queue": "orders"},
    "trading.limit_orders": {"queue": "orders"},
    "trading.missing_orders": {"queue": "orders"},
    "trading.markets": {"queue": "market"},
    "trading.equity": {"queue": "jobs"},
    "trading.health": {"queue": "jobs"},
    "trading.ledger": {"queue": "jobs"},
    "trading.retention": {"queue": "jobs"},
    "trading.advise": {"queue": "advice"},
}
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 0 if EMBEDDED else 20  # SIGQUIT: running ticks may end before it gets cold
CELERY_TASK_TIME_LIMIT = None if EMBEDDED else 60
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
# What waited longer isn't run: the next one says the same. A busy machine must sweep late rather than never.
# The scheduler reads "expire_seconds" and drops "expires".
_EVERY_S = {  # task: (how often, after how long it is too late)
    "sweep": (1, 20),
    "limit_orders": (10, 10),
    "reconcile": (30, 30),
    "health": (30, 30),
    "markets": (30, 30),
    "missing_orders": (300, 300),
    "equity": (300, 300),
    "ledger": (3600, 3600),
    "retention": (3600, 3600),
}
CELERY_BEAT_SCHEDULE = {
    name: {"task": f"trading.{name}", "schedule": schedule(float(every)), "options": {"expire_seconds": expires}}
    for name, (every, expires) in _EVERY_S.items()
}

REDIS_URL = env_str("REDIS_URL", env_str("BROKER_URL") if not EMBEDDED else "")
CHANNEL_LAYERS: dict[str, Any] = {
    "default": (
        {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": None}]},
        }
        if REDIS_URL
        else {"BACKEND": "trading.channel_layer.ThreadSafeInMemoryChannelLayer"}
    )
}
CACHES: dict[str, Any] = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
        if REDIS_URL
        else {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "LOCATION": "binnacle",
            "OPTIONS": {"MAX_ENTRIES": 100_000},  # its default of 300 would throw prices away
        }
    )
}

# --- Binnacle itself -------------------------------------------------------------------------------------------------
INSTALLATION_ID = _installation_id()  # a database with another one is a copy: it sends nothing (accounts.installation)
INSTALLATION_EPOCH = env_str("INSTALLATION_EPOCH", "1")  # part of every order id; a restored copy gets a new one
DEMO_SEED = env_int("DEMO_SEED", 7)
DEMO_SPEED = env_int("DEMO_SPEED", 1)
PAPER_VENUE_URL = env_str("PAPER_VENUE_URL")  # of the paper venue's process, http://127.0.0.1:8100; empty: none
PAPER_VENUE_KEY = env_secret("PAPER_VENUE_KEY")  # what its accounts' secrets follow from; the process has the same one
PAPER_VENUE_CONTROL_KEY = env_secret("PAPER_VENUE_CONTROL_KEY")  # of the process alone: may play faults on it
PRICE_MAX_AGE_MS = env_int("PRICE_MAX_AGE_MS", 10_000)
WATCHDOG_S = env_int("WATCHDOG_S", 10)  # a part of embedded mode or of the streams that is silent for so long ends it
CRASH_DIR = env_str("CRASH_DIR")  # drills only: see accounts.crashpoints
WORKER_DEAF_S = env_int("WORKER_DEAF_S", 30)  # a worker that answers none of its own pings for so long ends itself
RELEASE = env_str("RELEASE")  # what this installation runs, for the health page
KEEP_DAYS = {
    "events": env_int("KEEP_EVENTS_DAYS", 365),
    "inputs": env_int("KEEP_INPUTS_DAYS", 90),
    "jobs": env_int("KEEP_JOBS_DAYS", 30),
}
METRICS_TOKEN = env_secret("METRICS_TOKEN")  # whoever bears it may read /metrics; without it only this machine
SLOW_QUERY_MS = env_int("SLOW_QUERY_MS", 1000)  # a statement that takes longer is logged, without its parameters
LOGGING = logging_of(env_str("LOG_LEVEL", "INFO"), env_choice("LOG_FORMAT", "line", ("line", "json")))
