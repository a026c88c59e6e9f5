"""The Celery application; tasks live in each app's `tasks` module. Every process of the product loads this module."""

import os
from typing import Any

from celery import Celery
from celery.signals import before_task_publish, import_modules, task_postrun, task_prerun
from django.db.backends.signals import connection_created

from accounts.correlation import correlation, correlation_begin, correlation_end
from config.logs import slow_queries_watch

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("binnacle")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
connection_created.connect(slow_queries_watch)


@import_modules.connect(sender=app)
def _life(**_: Any) -> None:
    """With the tasks: only now models can be imported."""
    import config.life  # noqa: F401


@before_task_publish.connect
def _carry(headers: dict[str, Any], **_: Any) -> None:
    """Let the message bear the id of what rings."""
    if correlation():
        headers["correlation"] = correlation()


@task_prerun.connect
def _take(task: Any, **_: Any) -> None:
    correlation_begin(task.request.get("correlation") or "")


@task_postrun.connect
def _leave(**_: Any) -> None:
    from trading import metrics

    correlation_end()
    metrics.flush()
