"""The paper venue against a simple slow one (slow_venue.py): whatever is done to both, they stand alike.

Orders of all kinds on a spot market and a perpetual, amendments, cancels, bars with gaps, thin volume, liquidations,
funding and expiry, in any order. Money, positions, fills and the end of each order agree to the last digit.
"""

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchanges.models import PaperExecution, PaperFunding, PaperOrder, PaperPosition
from exchanges.paper import PaperVenue, walk
from exchanges.paper_lockstep import LockstepWalk
from exchanges.paper_match import Terms
from exchanges.prices import quote_put
from exchanges.trails import Trails
from tests.exchanges.books import PERPETUAL, check_wallets, funded, market, perpetual
from tests.exchanges.slow_venue import Held, SlowVenue
from tests.factories import AccountFactory
from trading.core.ports import Amendment, OrderRequest
from trading.core.types import Bar, Kind, Side, Tif, Trail

pytestmark = pytest.mark.django_db
SPOT = "BTC/USDT"
QUARTER_MS = 7_200_000  # between two bars: funding falls into every fourth
START = {"USDT": Decimal(4000), "BTC": Decimal(20)}
OFTEN = settings(
    max_examples=25,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

cents = st.integers(8000, 12000)
prices = cents.map(lambda number: Decimal(number) / 100)
trails = st.builds(
    Trail,
    st.none() | cents.map(lambda number: number / 100),
    st.sampled_from([0.0, 0.01, 0.05]),
    st.sampled_from([0.25, 2.0]),
    st.none() | cents.map(lambda number: number / 100),
)


@st.composite
def requests(draw) -> OrderRequest:
    kind = draw(st.sampled_from([Kind.LIMIT, Kind.LIMIT, Kind.MARKET, Kind.STOP, Kind.STOP_LIMIT, Kind.TRAILING]))
    limit = kind in (Kind.LIMIT, Kind.STOP_LIMIT)
    future = draw(st.booleans())
    return OrderRequest(
        client_order_id="",
        symbol=PERPETUAL if future else SPOT,
        side=draw(st.sampled_from(Side)),
        kind=kind,
        qty=Decimal(draw(st.integers(1, 12))) / draw(st.sampled_from([1, 4])),
        price=draw(prices) if limit else None,
        trigger=draw(prices) if kind in (Kind.STOP, Kind.STOP_LIMIT) else None,
        tif=draw(st.sampled_from([Tif.GTC, Tif.GTC, Tif.IOC, Tif.FOK, Tif.POST_ONLY]))
        if kind is Kind.LIMIT
        else Tif.GTC,
        reduce=future and draw(st.booleans()),
        trail=draw(trails) if kind is Kind.TRAILING else None,
        expires_ms=draw(st.none() | st.none() | st.integers(1, 20).map(lambda number: number * QUARTER_MS)),
        leverage=draw(st.sampled_from([Decimal(5), Decimal(5), Decimal(20)])) if future else Decimal(1),
    )


@st.composite
def walks(draw) -> tuple[bool, tuple[float, ...], int]:
    open_, close, a, b = (draw(cents) for _ in range(4))
    corners = (open_, max(open_, close, a, b), min(open_, close, a, b), close)
    return draw(st.booleans()), tuple(value / 100 for value in corners), draw(st.integers(0, 60))


amendments = st.tuples(st.integers(0, 12), st.sampled_from(["0.25", "1", "3"]).map(Decimal), prices)
steps = st.lists(
    st.one_of(requests(), requests(), requests(), walks(), walks(), walks(), amendments, st.integers(0, 12)),
    min_size=10,
    max_size=40,
)


class Both:
    """The real venue and the slow one, side by side."""

    def __init__(self, ratio: float | None, lockstep: bool) -> None:
        source = AccountFactory.build().name  # markets and books of their own for each example
        fees = {"maker_fee": Decimal("0.0004"), "taker_fee": Decimal("0.001"), "min_notional": 0, "source": source}
        self.markets = {SPOT: market(**fees), PERPETUAL: perpetual(**fees)}
        self.account = funded(str(START["USDT"]), BTC=str(START["BTC"]))
        self.account.feed = source
        self.account.save()
        self.venue, self.trails, self.terms = PaperVenue(self.account), Trails(), Terms(1, ratio)
        self.steppers = {
            symbol: LockstepWalk([row], timeframe_ms=1, liquidity_ratio=ratio) for symbol, row in self.markets.items()
        }
        self.lockstep, self.count, self.bars = lockstep, 0, 0
        exact_ratio = None if ratio is None else Decimal(str(ratio))
        held = {symbol: Held() for symbol in self.markets}
        self.slow = SlowVenue(self.markets, dict(START), exact_ratio, held=held)

    def do(self, step) -> None:
        if isinstance(step, OrderRequest):
            fields = {name: getattr(step, name) for name in OrderRequest.__dataclass_fields__}
            order = OrderRequest(**{**fields, "client_order_id": f"o{self.count}"})
            self.count += 1
            self.venue.place([order])
            self.slow.place(order)
        elif isinstance(step, int):
            self.venue.cancel([f"o{step}"])
            if f"o{step}" in self.slow.orders:
                self.slow.cancel(f"o{step}")
        elif len(step) == 3 and isinstance(step[0], bool):
            self.walk(*step)
        else:
            self.amend(*step)

    def amend(self, number: int, qty: Decimal, price: Decimal) -> None:
        order = self.slow.orders.get(f"o{number}")
        if order is None:
            return
        change = Amendment(f"o{number}", qty, price if order.price else None, price if order.trigger else None)
        self.venue.amend([change])
        self.slow.amend(change)

    def walk(self, future: bool, corners: tuple[float, ...], volume: int) -> None:
        symbol = PERPETUAL if future else SPOT
        row, self.bars = self.markets[symbol], self.bars + 1
        bar = Bar(self.bars * QUARTER_MS, *corners, float(volume))
        if self.lockstep:
            self.steppers[symbol].start({row.pk: bar})
            while self.steppers[symbol].step().event != "end":
                pass
        else:
            walk(row, bar, self.trails, self.terms)
        self.slow.bar(symbol, bar)
        quote_put(row.pk, bar, self.bars)

    def stands(self) -> dict[str, object]:
        """Where the real venue stands: orders, fills, fundings, money, positions."""
        rows = PaperOrder.objects.filter(account=self.account, client_order_id__startswith="o")
        balances = self.venue.balances()
        held = PaperPosition.objects.filter(account=self.account).select_related("market")
        return {
            "orders": {
                row.client_order_id: (row.status, row.filled_qty, row.locked, _reason(row.status, row.reason))
                for row in rows
            },
            "fills": [
                (fill.client_order_id, str(fill.side), fill.price, fill.qty, fill.fee)
                for fill in self.venue.executions(0)
            ],
            "fundings": [(one.symbol, one.amount, one.ts_ms) for one in self.venue.funding(0)],
            "money": {coin: balances.get(coin, Decimal(0)) for coin in self.slow.total},
            "positions": {row.market.symbol: (row.qty, row.cost, row.margin) for row in held if row.qty},
        }

    def should(self) -> dict[str, object]:
        """Where the slow one stands."""
        slow = self.slow
        known = PaperOrder.objects.filter(account=self.account).values_list("client_order_id", flat=True)
        return {
            "orders": {
                name: (one.status, one.filled, one.locked, _reason(one.status, one.reason))
                for name, one in slow.orders.items()
                if one.status != "rejected" or name in known  # what no book can hold stands in none
            },
            "fills": slow.fills,
            "fundings": slow.payments,
            "money": slow.total,
            "positions": {symbol: (one.qty, one.cost, one.margin) for symbol, one in slow.held.items() if one.qty},
        }


def _reason(status: str, reason: str) -> str:
    """The slow venue refuses without words."""
    return reason if status == "cancelled" else ""


@given(steps, st.sampled_from([None, 0.05]), st.booleans())
@OFTEN
def test_the_venue_stands_as_the_slow_one_does_after_every_step(script, ratio, lockstep):
    both = Both(ratio, lockstep)
    for step in script:
        both.do(step)
        assert both.stands() == both.should(), step
        check_wallets(both.account, START)


def test_the_script_reaches_liquidations_funding_and_turned_positions():
    """What the random test may miss: a script through the rare ends, judged by the slow venue as well."""
    both = Both(None, lockstep=False)
    future = {"client_order_id": "", "symbol": PERPETUAL, "kind": Kind.MARKET, "leverage": Decimal(20)}
    flat = (100.0, 100.0, 100.0, 100.0)
    script = [
        OrderRequest(side=Side.BUY, qty=Decimal(3), **future),
        (True, flat, 1),
        OrderRequest(
            side=Side.SELL, qty=Decimal(3), reduce=True, **{**future, "kind": Kind.STOP}, trigger=Decimal("90")
        ),
        (True, flat, 1),
        (True, flat, 1),
        (True, flat, 1),
        OrderRequest(side=Side.SELL, qty=Decimal(5), **future),
        (True, flat, 1),
        (True, (101.0, 106.0, 99.0, 101.0), 1),
        OrderRequest(side=Side.BUY, qty=Decimal(2), **future),
        (True, (100.0, 100.0, 94.0, 99.0), 1),
    ]
    for step in script:
        both.do(step)
        assert both.stands() == both.should(), step
        check_wallets(both.account, START)
    assert PaperExecution.objects.filter(liquidation=True).count() == 2
    assert PaperFunding.objects.count() == 1
    assert PaperOrder.objects.filter(reason="there is no position left to reduce").count() == 1
