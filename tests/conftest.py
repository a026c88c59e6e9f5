"""What every test shares: fast passwords, an empty cache, and the reference data when the machine has it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from config.celery import app as celery
from trading.signals import HUB

ROOT = Path(__file__).resolve().parent.parent

# However slow the machine is, an example is judged by what comes out of it, not by how long it took. In CI (.ci/run
# says that it is one) the same examples each time: a run judges the change, not the dice. Elsewhere ever new ones.
hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")
if os.environ.get("CI"):
    hypothesis_settings.register_profile("ci", derandomize=True)
    hypothesis_settings.load_profile("ci")


def pytest_configure(config: pytest.Config) -> None:
    """No broker but memory; and for each xdist worker a Redis database of its own, for every test empties its cache."""
    celery.conf.update(broker_url="memory://localhost", broker_transport_options={})
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    location = django_settings.CACHES["default"]["LOCATION"]
    if worker and location.startswith("redis"):
        django_settings.CACHES["default"]["LOCATION"] = f"{location.rpartition('/')[0]}/{2 + int(worker)}"


@pytest.fixture(autouse=True)
def _fast_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _prices_stay_fresh(settings):
    """A price that a test has told is one of now to the test's end, however long that takes; who tests ages sets it."""
    settings.PRICE_MAX_AGE_MS = 1_800_000


@pytest.fixture(autouse=True)
def _empty_cache():
    """Forget what the cache and this process know of markets: the next test's have the same primary keys."""
    cache.clear()
    HUB.clear()
    yield
    cache.clear()
    HUB.clear()


@pytest.fixture(scope="session")
def venue_process(tmp_path_factory):
    """The paper venue as a process, started once: a test brings a key of its own, sets prices, and ends its faults."""
    from tests.exchanges.venue_process import running  # loads models

    with running(tmp_path_factory.mktemp("venue_process")) as venue:
        yield venue


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder with the reference data: BINNACLE_REFERENCE, else `shared` beside the repository."""
    path = Path(os.environ.get("BINNACLE_REFERENCE", ROOT.parent / "shared"))
    if not (path / "data").is_dir():
        pytest.skip(f"no reference data in {path}; set BINNACLE_REFERENCE to the folder that holds data/")
    return path
