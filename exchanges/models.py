"""Where: markets, candles, the demo market's clock, and the books of the paper venue.

The paper venue keeps its own truth in its own tables, as an exchange would: the runtime sees it only through the
Venue port (`exchanges/paper.py`). As a process of its own it has them in a database of its own, with a log of it all.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from accounts.fields import MoneyField
from accounts.models import Account
from trading.core.rounding import plain, to_float
from trading.core.types import Fees, MarketRules, Perpetual


class Market(models.Model):
    """One market of one source of prices ("demo", "replay:..."; later "bybit")."""

    source = models.CharField(max_length=64)
    symbol = models.CharField(max_length=40)
    base = models.CharField(max_length=16)
    quote = models.CharField(max_length=16)
    tick = MoneyField()
    lot = MoneyField()
    min_qty = MoneyField(default=0)
    min_notional = MoneyField(default=0)
    maker_fee = MoneyField(default=0)  # ratio
    taker_fee = MoneyField(default=0)
    active = models.BooleanField(default=True)
    perpetual = models.BooleanField(default=False)  # a perpetual future; the fields below count for these only
    max_leverage = MoneyField(default=10)
    maintenance_rate = MoneyField(default="0.005")  # ratio of the notional
    funding_rate = MoneyField(default="0.0001")  # ratio an interval, paid by longs
    funding_interval_ms = models.BigIntegerField(default=28_800_000)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["source", "symbol"], name="market_unique")]

    def __str__(self) -> str:
        return f"{self.symbol} ({self.source})"

    @property
    def rules(self) -> MarketRules:
        return MarketRules(
            self.base, self.quote, self.tick, self.lot, self.min_qty, self.min_notional, self._perpetual()
        )

    def _perpetual(self) -> Perpetual | None:
        if not self.perpetual:
            return None
        return Perpetual(self.max_leverage, self.maintenance_rate, self.funding_interval_ms, self.funding_rate)

    @property
    def fees(self) -> Fees:
        return Fees(to_float(self.maker_fee), to_float(self.taker_fee))

    @property
    def is_demo(self) -> bool:
        return self.source == "demo"


class CandleBlock(models.Model):
    """The candles of one market, timeframe and UTC day: rows of (ts, open, high, low, close, volume) as float64.

    They are data, not money. `data` is zlib over a C-ordered array of shape (count, 6).
    """

    market = models.ForeignKey(Market, models.CASCADE, related_name="candle_blocks")
    timeframe_ms = models.IntegerField()
    day = models.DateField()
    count = models.IntegerField()
    data = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["market", "timeframe_ms", "day"], name="candle_block_unique")
        ]

    def __str__(self) -> str:
        return f"{self.market} {self.timeframe_ms} {self.day}: {self.count}"


class DemoClock(models.Model):
    """Where the demo market stands: market time = market_ms + (now - wall_ms) x speed, shown from `epoch_ms` on."""

    seed = models.IntegerField()
    speed = models.IntegerField(default=1)
    epoch_ms = models.BigIntegerField()  # the date that market time 0 is shown as, a full UTC minute
    wall_ms = models.BigIntegerField()
    market_ms = models.BigIntegerField(default=0)
    walked_ms = models.BigIntegerField(default=0)  # market time up to which the matcher has walked

    def __str__(self) -> str:
        return f"seed {self.seed} x{self.speed}"


class PaperWallet(models.Model):
    """What a paper account holds of one coin, as its venue says; `locked` stands in open orders."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="paper_wallets")
    coin = models.CharField(max_length=16)
    total = MoneyField(default=0)
    locked = MoneyField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["account", "coin"], name="paper_wallet_unique")]

    def __str__(self) -> str:
        return f"{plain(self.total)} {self.coin}"


class PaperOrder(models.Model):
    """An order in the paper venue's book.

    `below` and `above` are where the matcher's walk can touch it (float, an index and not money): the order matters
    to a stretch of prices with low <= below or high >= above. A market order has both wide open.
    """

    class Status(models.TextChoices):
        WORKING = "working"
        FILLED = "filled"
        CANCELLED = "cancelled"
        REJECTED = "rejected"

    account = models.ForeignKey(Account, models.CASCADE, related_name="paper_orders")
    market = models.ForeignKey(Market, models.CASCADE, related_name="paper_orders")
    client_order_id = models.CharField(max_length=36)
    side = models.CharField(max_length=4)
    kind = models.CharField(max_length=12)
    tif = models.CharField(max_length=10, default="gtc")
    reduce = models.BooleanField(default=False)
    maker = models.BooleanField(default=False)  # it rests before it fills, so it pays the maker's rate
    qty = MoneyField()
    price = MoneyField(null=True)
    trigger = MoneyField(null=True)
    max_quote = MoneyField(null=True)
    filled_qty = MoneyField(default=0)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WORKING)
    reason = models.CharField(max_length=200, blank=True)
    below = models.FloatField(null=True)
    above = models.FloatField(null=True)
    lock_coin = models.CharField(max_length=16, blank=True)
    locked = MoneyField(default=0)
    leverage = MoneyField(default=1)  # perpetual markets only
    activation = models.FloatField(null=True)  # of a trailing order, as trading.core.types.Trail has them
    offset_ratio = models.FloatField(default=0)
    offset = models.FloatField(default=0)
    floor = models.FloatField(null=True)
    placed_ms = models.BigIntegerField(default=0)  # market time: a trailing order's peak is rebuilt from here on
    triggered = models.BooleanField(default=False)  # a stop-limit whose trigger was met: it rests as a limit now
    expires_ms = models.BigIntegerField(null=True)
    seq = models.BigIntegerField(default=0)  # its place among its account's orders: at one price the lowest fills first
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "client_order_id"], name="paper_order_client_id_unique"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["account", "-seq"], name="paper_order_place"),
            models.Index(
                fields=["market", "expires_ms"],
                name="paper_order_expiry",
                condition=Q(status="working", expires_ms__isnull=False),
            ),
            models.Index(fields=["market", "-below"], name="paper_order_below", condition=Q(status="working")),
            models.Index(fields=["market", "above"], name="paper_order_above", condition=Q(status="working")),
        ]

    def __str__(self) -> str:
        at = self.kind if self.price is None else plain(self.price)
        return f"{self.side} {plain(self.qty)} at {at} ({self.status})"


class PaperExecution(models.Model):
    """One fill in the paper venue's book; its id is the cursor."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="paper_executions")
    order = models.ForeignKey(PaperOrder, models.CASCADE, related_name="executions")
    exec_id = models.CharField(max_length=40)
    price = MoneyField()
    qty = MoneyField()
    fee = MoneyField()
    fee_coin = models.CharField(max_length=16)
    maker = models.BooleanField()
    liquidation = models.BooleanField(default=False)
    ts_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["account", "exec_id"], name="paper_exec_unique")]
        indexes: ClassVar = [models.Index(fields=["account", "id"], name="paper_exec_cursor")]

    def __str__(self) -> str:
        return f"{plain(self.qty)} at {plain(self.price)}"


class PaperPosition(models.Model):
    """A position of a paper account on one perpetual market: isolated, at average cost.

    `below` / `above` are where it is liquidated (float, an index and not money).
    """

    account = models.ForeignKey(Account, models.CASCADE, related_name="paper_positions")
    market = models.ForeignKey(Market, models.CASCADE, related_name="+")
    qty = MoneyField(default=0)  # short: negative
    cost = MoneyField(default=0)  # what it was opened for, without fees; short: negative
    margin = MoneyField(default=0)  # taken out of the wallet's free quote while it is open
    leverage = MoneyField(default=1)
    funded_ms = models.BigIntegerField(default=0)  # market time up to which funding has been paid
    below = models.FloatField(null=True)
    above = models.FloatField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["account", "market"], name="paper_position_unique")]
        indexes: ClassVar = [
            models.Index(fields=["market", "-below"], name="paper_position_below", condition=Q(below__isnull=False)),
            models.Index(fields=["market", "above"], name="paper_position_above", condition=Q(above__isnull=False)),
            models.Index(
                fields=["market", "funded_ms"],
                name="paper_position_funding",
                condition=Q(below__isnull=False) | Q(above__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{plain(self.qty)} {self.market.base}"

    @property
    def long(self) -> bool:
        qty: Decimal = self.qty
        return qty > 0


class PaperFunding(models.Model):
    """One funding of a perpetual position at the paper venue; its id is the cursor."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="paper_funding")
    market = models.ForeignKey(Market, models.CASCADE, related_name="+")
    amount = MoneyField()  # what the account got; paid: negative
    rate = MoneyField()
    ts_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "market", "ts_ms"], name="paper_funding_unique")
        ]
        indexes: ClassVar = [models.Index(fields=["account", "id"], name="paper_funding_cursor")]

    def __str__(self) -> str:
        return f"{plain(self.amount)} at {self.ts_ms}"


class PaperLog(models.Model):
    """What happened at a paper venue that runs as a process, one row each, written in the transaction that did it.

    The database itself refuses to change or delete a row (a trigger, made by the migration). `account` is empty for a
    fault that hit a request of nobody's. Within an account the ids rise in the order in which it happened.
    """

    class Kind(models.TextChoices):
        ACCEPTED = "accepted"
        REFUSED = "refused"
        AMENDED = "amended"
        CANCELLED = "cancelled"  # because the account asked for it
        ENDED = "ended"  # filled, or ended by the venue
        EXECUTED = "executed"
        LIQUIDATED = "liquidated"
        FUNDED = "funded"
        DEPOSIT = "deposit"
        FAULT = "fault"  # played on a request: its answer, or the request itself, was spoilt on purpose

    account = models.ForeignKey(Account, models.PROTECT, null=True, related_name="paper_log")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    client_order_id = models.CharField(max_length=64, blank=True)
    payload: models.JSONField[Any, Any] = models.JSONField(default=dict)  # money as text
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["account", "kind", "client_order_id"], name="paper_log_of")]

    def __str__(self) -> str:
        return f"{self.pk} {self.kind} {self.client_order_id}"
