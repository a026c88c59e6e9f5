"""The database behind a command: there, or said in words. `serve` prepares it; a command may be what comes first."""

from __future__ import annotations

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor


def schema_ensure() -> None:
    """Make the tables of a fresh embedded database; refuse one whose tables are older than the code."""
    executor = MigrationExecutor(connection)
    if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return
    if executor.loader.applied_migrations or not settings.EMBEDDED:
        raise CommandError("The tables of this database are not those of this version: run manage.py migrate first")
    call_command("migrate", interactive=False, verbosity=0)
