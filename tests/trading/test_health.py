"""The health page: one line says whether all works, or what is wrong first; for the staff only."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from accounts.models import Installation, User
from tests.factories import PASSWORD, alice, priced
from tests.trading.world import World
from trading.health import health
from trading.health_processes import KINDS
from trading.jobs import Run
from trading.models import Balance, Hold, JobRun, Order, ProcessSign, Runtime
from trading.repairs import health_check
from trading.services.ledger import LedgerImbalance
from trading.services.ledger_check import ledger_check

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _all_well():
    """One living process of each kind, and a sweep a moment ago."""
    now = timezone.now()
    for kind in KINDS:
        queues = ",".join(settings.CELERY_TASK_QUEUES) if kind in ("worker", "embedded") else ""
        ProcessSign.objects.create(
            name=f"{kind}@here:1", kind=kind, queues=queues, started_at=now, seen_at=now, worked_at=now
        )
    JobRun.objects.create(name="sweep", status="done", started_at=now, ended_at=now)


def _first() -> tuple[str, str]:
    found = health().checks[0]
    return found.name, found.state


def test_all_is_well():
    found = health()
    assert found.headline == "Everything works"
    assert (found.state, found.wrong) == ("ok", [])


@pytest.mark.parametrize("kind", KINDS)
def test_a_process_that_is_gone_is_named_with_what_to_do(kind):
    ProcessSign.objects.filter(kind=kind).update(seen_at=timezone.now() - MINUTE)
    wrong = {check.name: check for check in health().wrong}
    assert wrong[f"Processes: {kind}"].state == "bad"
    assert wrong[f"Processes: {kind}"].todo


def test_a_queue_that_nobody_works_on_is_wrong():
    ProcessSign.objects.exclude(queues="").update(queues="orders,market,jobs")
    assert _first() == ("Queue ticks", "bad")


def test_a_sweep_that_stands_still_is_wrong():
    JobRun.objects.update(ended_at=timezone.now() - MINUTE)
    assert _first() == ("Sweep", "bad")


def test_a_failed_job_is_named_with_its_error():
    JobRun.objects.create(name="equity", status="failed", error="KeyError: x", started_at=timezone.now())
    found = health()
    assert found.headline == "Jobs: equity failed"
    assert [job.said for job in found.jobs if job.state == "bad"] == ["KeyError: x"]


def test_a_job_that_should_have_run_is_late():
    JobRun.objects.create(name="health", status="done", started_at=timezone.now() - timedelta(hours=1))
    assert _first() == ("Jobs", "warn")


def test_late_bots_unknown_orders_and_dark_markets_are_wrong():
    world = World()
    bot = world.bot()
    now = timezone.now()
    Runtime.objects.filter(bot=bot).update(due_at=now - MINUTE)
    Order.objects.filter(bot=bot).update(status="unknown", unknown_at=now - 3 * MINUTE)
    priced(world.market, age_s=86_400)
    wrong = {check.name: check.now for check in health().wrong if check.state == "bad"}
    assert wrong.keys() == {"Bots", "Orders", "Prices"}
    assert "BTC/USDT" in wrong["Prices"]


def test_what_is_held_is_looked_at():
    world = World()
    now = timezone.now()
    Hold.objects.create(
        workspace=world.account.workspace, account=world.account, cause="balance", reason="x", since=now, seen_at=now
    )
    assert _first() == ("Holds", "warn")


def test_a_wrong_clock_holds_the_accounts_until_it_is_right():
    world = World()
    world.bot()
    ProcessSign.objects.filter(kind__in=("worker", "embedded")).update(clock_offset_ms=-2500)
    health_check(Run(), timezone.now())
    hold = Hold.objects.get(account=world.account, cause="clock", lifted_at=None)
    assert "2.5 s behind" in hold.reason
    assert "Clock" in {check.name for check in health().wrong}
    health_check(Run(), timezone.now())
    assert Hold.objects.filter(cause="clock").count() == 1
    ProcessSign.objects.update(clock_offset_ms=12)
    health_check(Run(), timezone.now())
    assert not Hold.objects.filter(lifted_at=None).exists()


def test_it_costs_as_much_with_many_bots(django_assert_max_num_queries):
    world = World(cash="100000")
    for _ in range(8):
        world.bot()
    with django_assert_max_num_queries(45):
        health()


def test_books_that_do_not_agree_are_found():
    world = World()
    world.bot()
    assert ledger_check() >= 1
    balance = Balance.objects.filter(account=world.account, bot=None).get()
    Balance.objects.filter(pk=balance.pk).update(amount=balance.amount + 1)
    with pytest.raises(LedgerImbalance, match="aren't the sums"):
        ledger_check()


def test_only_the_staff_sees_the_page(client):
    assert client.get("/ops/health/").status_code == 302
    client.force_login(alice())
    assert client.get("/ops/health/").status_code == 403
    assert b"ops/health" not in client.get("/").content
    client.force_login(User.objects.create_superuser("staff@example.org", PASSWORD))
    page = client.get("/ops/health/")
    assert page.status_code == 200
    assert b"Everything works" in page.content
    part = client.get("/ops/health/", headers={"HX-Request": "true"})
    assert part.content.strip().startswith(b'<div id="health"')
    assert b"ops/health" in client.get("/").content


@pytest.mark.parametrize("model", ["hold", "jobrun", "processsign"])
def test_the_admin_shows_and_changes_nothing(client, model):
    world = World()
    now = timezone.now()
    Hold.objects.create(
        workspace=world.account.workspace, account=world.account, cause="fills", reason="x", since=now, seen_at=now
    )
    client.force_login(User.objects.create_superuser("staff@example.org", PASSWORD))
    assert client.get(f"/admin/trading/{model}/").status_code == 200
    assert client.get(f"/admin/trading/{model}/add/").status_code == 403


def test_a_copied_database_is_the_first_thing_to_know():
    Installation.objects.create(blocked="This database was copied")
    cache.clear()
    found = health()
    assert found.headline == "Installation: This database was copied"
    assert "confirm_installation" in found.checks[0].todo
