"""Helpers for tests of the paper venue: an account with money, orders, bars, and an auditor of its wallets."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from exchanges.models import Market, PaperExecution, PaperFunding, PaperOrder, PaperPosition, PaperWallet
from exchanges.paper import LockstepWalk, PaperVenue, deposit
from tests.factories import AccountFactory, MarketFactory
from trading.core.accounting import Holding
from trading.core.ports import OrderReport, OrderRequest
from trading.core.types import Bar, Kind, Side, Tif

PERPETUAL = "BTC/USDT:USDT"


def market(**values) -> Market:
    """A market at 0.1 % fees, tick 0.01, lot 0.00001, minimum notional 5."""
    return MarketFactory(**values)


def perpetual(**values) -> Market:
    """BTC/USDT:USDT at 0.05 % fees, lot 0.001, maintenance 0.5 %, funding 0.01 % every eight hours."""
    values = {"symbol": PERPETUAL, "base": "BTC", "quote": "USDT", "lot": Decimal("0.001"), **values}
    values = {"min_qty": Decimal("0.001"), "maker_fee": Decimal("0.0005"), "taker_fee": Decimal("0.0005"), **values}
    return MarketFactory(perpetual=True, max_leverage=Decimal(20), **values)


def funded(amount: str = "10000", **coins: str):
    """A paper account that holds `amount` USDT and the named coins."""
    account = AccountFactory()
    deposit(account, "USDT", Decimal(amount))
    for coin, held in coins.items():
        deposit(account, coin, Decimal(held))
    return account


def request(name: str, side: str, qty: str, price: str | None = None, **values) -> OrderRequest:
    """A limit order at `price`; without a price a market order, with `trigger` a stop, with both a stop-limit, with
    `trail` a trailing order."""
    trigger = values.pop("trigger", None)
    kind = Kind.STOP_LIMIT if trigger and price else Kind.STOP if trigger else Kind.LIMIT if price else Kind.MARKET
    if "trail" in values:
        kind = Kind.TRAILING
    return OrderRequest(
        client_order_id=name,
        symbol=values.pop("symbol", "BTC/USDT"),
        side=Side(side),
        kind=Kind(values.pop("kind", kind)),
        qty=Decimal(qty),
        price=Decimal(price) if price else None,
        trigger=Decimal(trigger) if trigger else None,
        tif=Tif(values.pop("tif", "gtc")),
        leverage=Decimal(values.pop("leverage", "1")),
        **values,
    )


def place(account, *args, **values) -> OrderReport:
    return PaperVenue(account).place([request(*args, **values)])[0]


def bar(open_: float, high: float, low: float, close: float, ts_ms: int = 60_000) -> Bar:
    return Bar(ts_ms, open_, high, low, close)


def flat(price: float, ts_ms: int = 60_000) -> Bar:
    return bar(price, price, price, price, ts_ms)


class OneMarketWalk:
    """The lock-step walk over a single market: steps are (event, price)."""

    def __init__(self, row: Market) -> None:
        self._id, self._walk = row.pk, LockstepWalk([row])

    def start(self, candle: Bar) -> None:
        self._walk.start({self._id: candle})

    def step(self, below: float = float("-inf"), above: float = float("inf")) -> tuple[str, float]:
        step = self._walk.step({self._id: (below, above)})
        return step.event, step.price


def wallet(account, coin: str) -> tuple[Decimal, Decimal]:
    """Total and locked."""
    row = PaperWallet.objects.get(account=account, coin=coin)
    return row.total, row.locked


def check_wallets(account, deposits: dict[str, Decimal]) -> None:
    """Wallets are deposits plus executions and funding, locks are those of working orders and positions, positions are
    the sum of their fills, and nothing is below zero."""
    totals: defaultdict[str, Decimal] = defaultdict(Decimal, deposits)
    held: defaultdict[int, Holding] = defaultdict(Holding)
    for row in PaperExecution.objects.filter(account=account).select_related("order__market").order_by("id"):
        if row.order.market.perpetual:
            gain = held[row.order.market_id].apply(Side(row.order.side), row.price, row.qty, row.fee)
            totals[row.fee_coin] += gain - row.fee
            continue
        sign = 1 if row.order.side == "buy" else -1
        totals[row.order.market.base] += sign * row.qty
        totals[row.order.market.quote] -= sign * (row.qty * row.price).quantize(Decimal("1e-18"))
        totals[row.fee_coin] -= row.fee
    for payment in PaperFunding.objects.filter(account=account).select_related("market"):
        totals[payment.market.quote] += payment.amount
    locks: defaultdict[str, Decimal] = defaultdict(Decimal)
    for position in PaperPosition.objects.filter(account=account).select_related("market"):
        _check_position(position, held[position.market_id])
        locks[position.market.quote] += position.margin
    for order in PaperOrder.objects.filter(account=account):
        if order.status == "working":
            locks[order.lock_coin] += order.locked
        else:
            assert order.locked == 0
    for row in PaperWallet.objects.filter(account=account):
        assert row.total == totals[row.coin], row.coin
        assert row.locked == locks[row.coin], row.coin
        assert 0 <= row.locked <= row.total, row.coin
    assert {coin for coin, total in totals.items() if total} <= set(PaperVenue(account).balances())


def _check_position(position: PaperPosition, held: Holding) -> None:
    assert (position.qty, position.cost) == (held.qty, held.cost)
    if not position.qty:
        assert (position.margin, position.cost, position.below, position.above) == (0, 0, None, None)
        return
    margin = abs(position.cost) / position.leverage
    assert abs(position.margin - margin) < Decimal("1e-15") * (1 + margin)
    assert (position.below is None) == (position.qty < 0)
    assert (position.above is None) == (position.qty > 0)
