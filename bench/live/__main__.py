"""What the live runtime costs, on PostgreSQL and Redis: `make bench-live`.

Makes a database of its own (DATABASE_URL names the server; the database is dropped and made anew), fills it, and prints
one table with the load of the machine beside each figure. Nothing here is judged: figures are for people to compare.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

DATABASE = "binnacle_bench_live"


def main() -> None:
    wanted = _options()
    server = (
        os.environ.get("PG_URL") or os.environ.get("DATABASE_URL") or "postgresql://postgres@127.0.0.1:5432/postgres"
    )
    os.environ["DATABASE_URL"] = _fresh(server)
    os.environ.setdefault("BROKER_URL", "redis://127.0.0.1:6379/14")
    os.environ.setdefault("SECRET_KEY", "only-for-the-benchmark-0123456789-abcdefghijklmnopqrstuvw")
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    os.environ.setdefault("PRICE_MAX_AGE_MS", "3600000")  # prices are told once and then stand still
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from bench.live.parts import run

    run(wanted)


def _fresh(server: str) -> str:
    parts = urlsplit(server)
    with psycopg.connect(urlunsplit(parts._replace(path="/postgres")), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {DATABASE}")
    return urlunsplit(parts._replace(path=f"/{DATABASE}"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.live", description=__doc__)
    parser.add_argument("--sleepers", type=int, default=100_000, help="running bots with armed wakes")
    parser.add_argument("--updates", type=int, default=1_000_000, help="wake updates before measuring again")
    parser.add_argument("--traders", type=int, default=1_000, help="bots that place an order a tick")
    parser.add_argument("--workers", type=int, default=2, help="processes that tick")
    parser.add_argument("--active", type=int, default=1_000, help="bots that trade all the time")
    parser.add_argument("--warm", type=float, default=60, help="seconds before the processes are measured")
    parser.add_argument("--seconds", type=float, default=120, help="seconds in which they are measured")
    parser.add_argument("--parts", default="sleepers,ticks,processes", help="which to run")
    return parser.parse_args()


if __name__ == "__main__":
    main()
