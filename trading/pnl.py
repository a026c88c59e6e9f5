"""What a bot has made: one result per market, and their sum, which adds up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from django.utils import timezone

from bots.models import Bot, BotMarket
from exchanges.models import Market
from exchanges.prices import Quote, quotes_get
from trading.core.perps import liquidation_price
from trading.core.rounding import money, notional, to_decimal
from trading.models import Position

ZERO = Decimal(0)


@dataclass(frozen=True)
class Holding:
    """What a bot has on one market, in its quote coin. Short: `qty` is negative. Unknown is None, never 0."""

    market: Market
    qty: Decimal
    avg_price: Decimal | None
    realised: Decimal
    fees: Decimal
    funding: Decimal
    margin: Decimal
    leverage: Decimal
    fills: int
    price: Decimal | None
    price_age_ms: int | None
    unrealised: Decimal | None
    first_price: Decimal | None

    @property
    def value(self) -> Decimal | None:
        return None if self.price is None else notional(self.qty, self.price)

    @property
    def total(self) -> Decimal | None:
        """realised + unrealised - fees + funding."""
        return None if self.unrealised is None else self.realised + self.unrealised - self.fees + self.funding

    @property
    def liquidation_price(self) -> Decimal | None:
        """Where a perpetual position is closed by the venue; None without one."""
        if not self.market.perpetual or self.avg_price is None:
            return None
        return liquidation_price(self.avg_price, self.leverage, self.market.maintenance_rate, self.qty > 0)


@dataclass(frozen=True)
class Pnl:
    """A bot's result in its quote coin: realised + unrealised - fees + funding = total, exactly.

    Unknown is None, never 0. Quantity, average and price are those of its main market.
    """

    quote: str
    budget: Decimal
    realised: Decimal
    fees: Decimal
    qty: Decimal
    avg_price: Decimal | None
    fills: int
    funding: Decimal = ZERO
    price: Decimal | None = None
    price_age_ms: int | None = None
    unrealised: Decimal | None = None
    total: Decimal | None = None
    hold: Decimal | None = None  # what the same budget, spread evenly, would have made by buying at the start
    holdings: tuple[Holding, ...] = ()

    @property
    def equity(self) -> Decimal | None:
        return None if self.total is None else self.budget + self.total

    @property
    def ratio(self) -> Decimal | None:
        return None if self.total is None or not self.budget else self.total / self.budget

    @property
    def vs_hold(self) -> Decimal | None:
        return None if self.total is None or self.hold is None else self.total - self.hold

    @property
    def held(self) -> tuple[Holding, ...]:
        """The markets on which it has a position now."""
        return tuple(holding for holding in self.holdings if holding.qty)


def _holding(position: Position, quote: Quote | None) -> Holding:
    price, age_ms = position.left_price, None
    if price is None and quote is not None:
        price = to_decimal(quote.last)
        age_ms = max(0, int(timezone.now().timestamp() * 1000) - quote.received_ms)
    unrealised = ZERO if not position.qty else None
    if price is not None:
        unrealised = notional(position.qty, price) - position.cost
    return Holding(
        market=position.market,
        qty=position.qty,
        avg_price=money(position.cost / position.qty) if position.qty else None,
        realised=position.realised,
        fees=position.fees,
        funding=position.funding,
        margin=position.margin,
        leverage=position.leverage,
        fills=position.fills,
        price=price,
        price_age_ms=age_ms,
        unrealised=unrealised,
        first_price=position.first_price,
    )


def _pnl(bot: Bot, holdings: Sequence[Holding]) -> Pnl:
    main = next(one for one in holdings if one.market.pk == bot.market_id)
    base = Pnl(
        quote=bot.market.quote,
        budget=bot.budget,
        realised=sum((one.realised for one in holdings), ZERO),
        fees=sum((one.fees for one in holdings), ZERO),
        funding=sum((one.funding for one in holdings), ZERO),
        qty=main.qty,
        avg_price=main.avg_price,
        fills=sum(one.fills for one in holdings),
        price=main.price,
        price_age_ms=main.price_age_ms,
        holdings=tuple(holdings),
    )
    parts = [one.unrealised for one in holdings]
    if any(part is None for part in parts):
        return base
    unrealised = sum((part for part in parts if part is not None), ZERO)
    total = base.realised + unrealised - base.fees + base.funding
    return replace(base, unrealised=unrealised, total=total, hold=_hold(bot, holdings))


def _hold(bot: Bot, holdings: Sequence[Holding]) -> Decimal | None:
    """Return what the budget would have made in equal parts in the bot's markets; None before its first decision."""
    rates = [one.price / one.first_price - 1 for one in holdings if one.first_price and one.price is not None]
    return money(bot.budget * sum(rates, ZERO) / len(rates)) if rates else None


def pnl_of_many(bots: Iterable[Bot]) -> dict[int, Pnl]:
    """Return the PnL of each bot by its primary key, with two queries and one cache read."""
    listed = list(bots)
    rows = Position.objects.filter(bot__in=listed).select_related("market").order_by("id")
    positions: dict[int, dict[int, Position]] = {bot.pk: {} for bot in listed}
    for row in rows:
        positions[row.bot_id][row.market_id] = row
    watched: dict[int, list[Market]] = {bot.pk: [] for bot in listed}
    for link in BotMarket.objects.filter(bot__in=listed).select_related("market").order_by("position"):
        watched[link.bot_id].append(link.market)
    quotes = quotes_get({market.pk for found in watched.values() for market in found} | {row.market_id for row in rows})
    return {bot.pk: _pnl(bot, _holdings(bot, watched[bot.pk], positions[bot.pk], quotes)) for bot in listed}


def _holdings(
    bot: Bot, watched: Sequence[Market], positions: Mapping[int, Position], quotes: Mapping[int, Quote]
) -> list[Holding]:
    """Return one row a market: those it watches, and those on which it once traded."""
    markets = {market.pk: market for market in (bot.market, *watched)}
    markets = {market.pk: market for market in watched} | markets | {pk: row.market for pk, row in positions.items()}
    blank = {pk: Position(bot=bot, market=market) for pk, market in markets.items()}
    return [_holding(row, quotes.get(pk)) for pk, row in (blank | dict(positions)).items()]


def pnl_of(bot: Bot) -> Pnl:
    return pnl_of_many([bot])[bot.pk]
