"""The advised bot's questions through the database: rows, a worker, the inbox, and back into the next decision."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from fake_engine import FakeEngine

from bots.models import BotInput
from bots.strategies.adviser.params import AdviserParams
from bots.strategies.adviser.strategy import Adviser
from tests.factories import BotFactory
from trading.advice import answer_next
from trading.core.types import MarketRules
from trading.inbox import input_value
from trading.models import AdviceAsk
from trading.services.asking import advice_due, asks_write

pytestmark = pytest.mark.django_db
RULES = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(1))
FIGURES = {"close": 100.0, "ema_fast": 101.0, "ema_slow": 100.0, "rsi": 55.0, "natr": 1.0, "roc": 0.5}


class Asked:
    """A bot whose decisions are made by the fake engine and whose questions stand in the database."""

    def __init__(self) -> None:
        self.made = FakeEngine(Adviser(), AdviserParams(investment=500), RULES, 100.0, 1000)
        self.made.signals |= FIGURES
        self.bot = BotFactory(status="running", strategy="adviser", params=self.made.params.model_dump(mode="json"))

    def decide(self) -> None:
        made = self.made
        asked = set(made.asks)
        made.decide(explain=True)
        fresh = [ask for ask_id, ask in made.asks.items() if ask_id not in asked]
        asks_write(self.bot, made.number, made.now_ms, fresh)

    def told(self) -> None:
        """Hand over what stands in the inbox."""
        for row in BotInput.objects.filter(bot=self.bot, number=None).order_by("id"):
            self.made.inbox.append(input_value(row))
            row.number = self.made.number
            row.save()


def test_the_local_adviser_answers_and_the_bot_buys_within_its_limits():
    asked = Asked()
    asked.decide()
    assert answer_next()
    asked.told()
    asked.decide()
    row = AdviceAsk.objects.get(bot=asked.bot)
    assert (row.status, row.advisor, row.value["side"]) == ("answered", "local", "buy")
    assert row.payload["ema_slow"] == 100.0
    assert asked.made.orders["entry"].qty == 2.497  # 75 % is bounded to 50 % of 500
    assert asked.made.notes[0].code == "adviser.buy"


def test_when_nobody_answers_the_bot_hears_of_the_deadline_and_asks_again():
    asked = Asked()
    asked.decide()
    assert advice_due(timezone.now() + timedelta(minutes=11)) == [asked.bot.pk]
    asked.told()
    asked.decide()
    assert asked.made.orders == {}
    assert asked.made.notes[0].code == "adviser.no_answer"
    asked.made.tick(asked.made.wake.at_ms - asked.made.now_ms)
    asked.decide()
    assert AdviceAsk.objects.filter(bot=asked.bot).count() == 2
