"""A live world in bad weather: real bots on the real runtime, markets with candles and gaps, one clock for all.

The clock is market time and engine time in one. Nothing sleeps and nothing runs by itself: a storm says what happens.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Max

from bots.models import Bot, BotInput
from bots.services import bot_create, bot_start
from exchanges.models import Market
from exchanges.paper_match import WHOLE, Terms
from exchanges.services import candles_save
from tests.factories import AccountFactory, MarketFactory
from tests.trading.gale import Gale
from tests.trading.shapes import MINUTE, PERPETUAL, SHAPES, random_candles
from trading.clock import at_ms
from trading.core.candles import Candles
from trading.core.errors import InvalidInput, VenueError
from trading.core.types import Bar
from trading.leases import lease_release, lease_take
from trading.models import Runtime
from trading.runtime import VENUES, _step, accounts_reconcile, run_due
from trading.services.asking import advice_due
from trading.services.funding import paper_account_fund
from trading.services.listening import signals_changed
from trading.services.waking import bots_due, signals_recheck
from trading.streams import Pipeline, account_book

START_MS = 1_700_000_040_000 // MINUTE * MINUTE
HISTORY = 60  # candles that are stored before the first bot starts
SETTLE = timedelta(days=1)  # longer than any storm takes by the clock of the wall, by which sends are timed
SYMBOLS = ("C00/USDT", "C01/USDT", "C02/USDT", "C03/USDT")
THIN = Terms(1, 0.002)  # at one touch a limit order fills a part of the little that is traded


def raw_params(key: str, rng: random.Random) -> dict:
    """Return parameters with which even the smallest budget pays for something, and that trade within minutes."""
    raw = SHAPES[key].raw(rng)
    if key == "scan":
        raw |= {"symbols": list(SYMBOLS), "max_deals": 3, "quote_per_deal": rng.choice([500, 30_000])}
    if key == "dca" and rng.random() < 0.4:
        raw |= {"direction": "short", "leverage": rng.choice([1, 3])}
    if key == "pair":
        raw |= {"entry": "0.8", "exit": "0.4", "leg_quote": rng.choice([900, 40_000])}
    return raw


class StormClock:
    """Stands until it is moved on. No candle clock: in a replay nobody real is asked for advice."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def now(self) -> datetime:
        return at_ms(self.now_ms)


class StormWorld:
    def __init__(self, rng: random.Random, shapes: Sequence[str]) -> None:
        self.rng = rng
        self.clock = StormClock(START_MS)
        self.price: dict[Market, float] = {}
        self.gale = Gale(rng, lambda: self.clock.now_ms, self.price.__getitem__)
        VENUES["gale"] = self.gale.venue
        self.account = AccountFactory(venue="gale", feed="gale")
        paper_account_fund(account=self.account, coin="USDT", amount=Decimal(2_000_000 * len(shapes)))
        self.forming: dict[Market, list[float]] = {}  # open, high, low, close, volume of the candle that is not over
        self.pipeline = Pipeline()
        self.bots = [self._bot(key) for key in shapes]
        self._newest = 0  # input that a check has seen

    # --- making it

    def _bot(self, key: str) -> Bot:
        raw = raw_params(key, self.rng)
        if key == "pair":
            main = self._market("BTC/USDT:USDT", perpetual=True)
            self._market("ETH/USDT:USDT", perpetual=True)
        elif raw.get("direction") == "short":
            main = self._market("SOL/USDT:USDT", perpetual=True)
        else:
            main = self._market("BTC/USDT")
            for symbol in SYMBOLS if key == "scan" else ():
                self._market(symbol)
        bot = bot_create(
            workspace=self.account.workspace,
            account=self.account,
            market=main,
            strategy=key,
            params=raw,
            name=f"{key} in a storm",
            budget=Decimal(self.rng.choice([2_000, 110_000, 110_000])),
            created_by=None,
        )
        return bot_start(bot=bot, by=None)

    def begin_anew(self) -> None:
        """Let another bot of its kind follow each that has stopped; the living ones stand last."""
        over = [bot for bot in self.bots if bot.status == Bot.Status.STOPPED]
        kinds = {bot.strategy for bot in over} - {bot.strategy for bot in self.bots if bot not in over}
        with suppress(InvalidInput):
            self.bots = [
                *over,
                *(bot for bot in self.bots if bot not in over),
                *(self._bot(key) for key in sorted(kinds)),
            ]

    def has_news(self) -> bool:
        before, self._newest = self._newest, BotInput.objects.aggregate(last=Max("pk"))["last"] or 0
        return self._newest != before

    def _market(self, symbol: str, *, perpetual: bool = False) -> Market:
        known = next((market for market in self.price if market.symbol == symbol), None)
        if known is not None:
            return known
        more = {"perpetual": True, "max_leverage": 10, "lot": Decimal("0.001"), "min_qty": Decimal("0.001")}
        more |= {"funding_interval_ms": PERPETUAL.funding_interval_ms}
        pair, _, _ = symbol.partition(":")
        base, quote = pair.split("/")
        market = MarketFactory(source="gale", symbol=symbol, base=base, quote=quote, **(more if perpetual else {}))
        market.refresh_from_db()
        candles = random_candles(self.rng, 1, HISTORY)[0]
        shifted = Candles.of(candles.ts + START_MS - HISTORY * MINUTE, *candles.prices, candles.volume)
        candles_save(market=market, timeframe_ms=MINUTE, candles=shifted)
        self._update(market, float(candles.close[-1]), float(candles.close[-1]))
        return market

    # --- time and prices

    def blow(self, ms: int, rng: random.Random, *, gap: bool, catching_up: bool = False) -> None:
        """Time passes, and at its end all markets have a new price: most of the way they go together."""
        self.wait(ms)
        common = rng.gauss(0, 0.006)
        for market, last in list(self.price.items()):
            far = 0.15 if rng.random() < 0.2 else 0.04
            open_ = last * (1 + rng.uniform(-far, far)) if gap and rng.random() < 0.7 else last
            back = (100 - open_) / 100 * 0.15
            self.pipeline.terms = THIN if rng.random() < 0.3 else WHOLE
            self._update(market, open_, open_ * (1 + common + back + rng.gauss(0, 0.004)), rng, catching_up)

    def wait(self, ms: int) -> None:
        """Time passes without a price; candles close, flat ones among them."""
        until = self.clock.now_ms + ms
        while (edge := (self.clock.now_ms // MINUTE + 1) * MINUTE) <= until:
            self.clock.now_ms = edge
            for market, last in self.price.items():
                bar = Bar(edge - MINUTE, *self.forming.pop(market, [last, last, last, last, 0.0]))
                candles_save(market=market, timeframe_ms=MINUTE, candles=Candles.from_bars([bar]))
                signals_changed(market, MINUTE, [bar], edge)
        self.clock.now_ms = until
        advice_due(self.clock.now())

    def _update(
        self, market: Market, open_: float, close: float, rng: random.Random | None = None, catching_up: bool = False
    ) -> None:
        open_, close = (min(500.0, max(20.0, round(price, 2))) for price in (open_, close))
        wide = abs(rng.gauss(0, 0.003)) if rng else 0.0
        high, low = round(max(open_, close) * (1 + wide), 2), round(min(open_, close) * (1 - wide), 2)
        volume = float(rng.randint(1, 400)) if rng else 1.0
        o, h, l, _, v = self.forming.get(market, [open_, high, low, close, 0.0])  # noqa: E741
        self.forming[market] = [o, max(h, high), min(l, low), close, v + volume]
        self.price[market] = close
        bar = Bar(self.clock.now_ms, open_, high, low, close, volume)
        self.pipeline.price_apply(market, bar, None if catching_up else self.clock.now_ms)

    # --- workers

    def run(self) -> int:
        return run_due(self.clock)

    def die_after_a_decision(self, rng: random.Random) -> None:
        """A worker writes a decision down and is gone before it sends anything."""
        due = bots_due(self.clock.now())
        if not due or (lease := lease_take(rng.choice(due))) is None:
            return
        bot = Bot.objects.select_related("market", "account").get(pk=lease.bot_id)
        _step(lease, bot, Runtime.objects.get(bot=bot), self.clock)
        lease_release(lease)

    def book(self) -> None:
        """The account is looked at, as after an execution that its venue has told of."""
        with suppress(VenueError):
            account_book(self.account)

    def reconcile(self) -> None:
        """The sweep. Only when nothing is under way any more has what was sent had the time to arrive."""
        accounts_reconcile(settle=SETTLE if self.gale.under_way else timedelta(0), lookups=1)

    def restart(self) -> None:
        """The streams start anew: what they remember of trails and executions is gone."""
        self.reconcile()
        signals_recheck()
        self.pipeline = Pipeline()
