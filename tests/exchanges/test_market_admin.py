"""Operators see markets and the paper venue's books; only a market's rules can be changed, and nothing deleted."""

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from exchanges.models import CandleBlock, DemoClock, Market, PaperExecution, PaperOrder, PaperWallet
from exchanges.paper import walk
from exchanges.services import demo_markets_ensure
from tests.exchanges.books import flat, funded, place

pytestmark = pytest.mark.django_db
MODELS = (Market, CandleBlock, DemoClock, PaperWallet, PaperOrder, PaperExecution)


@pytest.fixture
def operator(client):
    client.force_login(get_user_model().objects.create_superuser("root@example.org", "correct horse battery"))
    return client


@pytest.fixture
def books():
    btc = demo_markets_ensure()[0]
    place(funded(), "a", "buy", "0.5", "100")
    walk(btc, flat(100.0))


@pytest.mark.parametrize("model", MODELS)
def test_every_record_can_be_looked_at_and_none_deleted(operator, books, model):
    where = f"admin:exchanges_{model._meta.model_name}"
    assert operator.get(reverse(f"{where}_changelist")).status_code == 200
    row = model.objects.first()
    assert operator.get(reverse(f"{where}_change", args=[row.pk])).status_code == 200
    assert operator.post(reverse(f"{where}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("model", MODELS[1:])
def test_the_books_cannot_be_changed(operator, books, model):
    row = model.objects.first()
    url = reverse(f"admin:exchanges_{model._meta.model_name}_change", args=[row.pk])
    assert operator.post(url, {}).status_code == 403
    assert operator.get(reverse(f"admin:exchanges_{model._meta.model_name}_add")).status_code == 403
