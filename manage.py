#!/usr/bin/env python3
"""Django's command line. `serve` starts the launcher, which stays free of Django."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] == ["serve"]:
        from config.launcher import launch

        sys.exit(launch(sys.argv[2:]))
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    import config.celery  # noqa: F401  (whatever a command rings goes to our broker)

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as fault:  # a person's mistake in the environment, not ours
        sys.exit(f"{fault}")


if __name__ == "__main__":
    main()
