"""The truth log of a paper venue: only ever added to, whoever tries; the venue inside the platform writes none."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from exchanges.models import PaperLog
from exchanges.paper import walk
from tests.exchanges.books import flat, funded, market, place

pytestmark = pytest.mark.django_db


def test_a_row_can_be_neither_changed_nor_deleted():
    row = PaperLog.objects.create(kind="deposit", payload={"amount": "1"})
    for attempt in (
        lambda: PaperLog.objects.filter(pk=row.pk).update(kind="ended"),
        lambda: PaperLog.objects.filter(pk=row.pk).delete(),
        lambda: connection.cursor().execute("DELETE FROM exchanges_paperlog"),
    ):
        with pytest.raises(DatabaseError, match="only ever added to"), transaction.atomic():
            attempt()
    assert list(PaperLog.objects.values_list("pk", "kind")) == [(row.pk, "deposit")]


def test_the_venue_in_the_platforms_process_keeps_no_log():
    btc, account = market(), funded()
    place(account, "a", "buy", "0.5", "100")
    walk(btc, flat(99.0))
    assert not PaperLog.objects.exists()
