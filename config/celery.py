"""The Celery application; tasks live in each app's `tasks` module."""

import os
from typing import Any

from celery import Celery
from celery.signals import import_modules

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("binnacle")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@import_modules.connect(sender=app)
def _life(**_: Any) -> None:
    """With the tasks: only now models can be imported."""
    import config.life  # noqa: F401
