"""Which markets a bot watches: what its strategy needs, looked up on its account's source of prices.

A symbol that cannot be had is a fault of the parameter that names it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from pydantic import BaseModel

from accounts.models import Account
from bots.models import Bot, BotMarket
from bots.values import market_check
from exchanges.models import Market
from trading.core.errors import InvalidInput, InvalidInputs
from trading.core.needs import MarketRef, Needs
from trading.core.ports import Strategy
from trading.core.rounding import plain, to_decimal

CHOSEN = MarketRef("")  # the market that the bot was made for
Markets = dict[str, Market]


def uses_chosen(needs: Needs) -> bool:
    """Say whether the strategy trades on the chosen market, rather than on those in its parameters alone."""
    return any(not ref.symbol for ref in needs.markets.values())


def markets_of_needs(account: Account, chosen: Market | None, strategy: Strategy, params: BaseModel) -> Markets:
    """Return the market of each alias, in the order of the strategy's needs. Raises InvalidInputs.

    All are active markets of the account's source with one quote coin, none of them twice.
    """
    needs = strategy.needs(params)
    symbols = {ref.symbol for ref in needs.markets.values() if ref.symbol}
    known = {market.symbol: market for market in Market.objects.filter(source=account.feed, symbol__in=symbols)}
    found: Markets = {}
    faults: list[InvalidInput] = []
    for alias, ref in needs.markets.items():
        try:
            market = _market(account, chosen, known, ref, params)
            _fits(market, found, field_of(ref.symbol, params))
        except InvalidInput as fault:
            faults.append(fault)
        else:
            found[alias] = market
    faults += _leverage_faults(needs, found, params)
    if faults:
        raise InvalidInputs(faults)
    return found


def main_market(needs: Needs, found: Mapping[str, Market]) -> Market:
    """Return the market that the bot is listed under: the chosen one, else the first."""
    alias = next((alias for alias, ref in needs.markets.items() if not ref.symbol), next(iter(needs.markets)))
    return found[alias]


def markets_write(bot: Bot, found: Mapping[str, Market]) -> None:
    """Make the bot's market rows what they should be; those that stay keep their row."""
    stand = {row.alias: row for row in BotMarket.objects.filter(bot=bot)}
    wanted = {alias: (market, position) for position, (alias, market) in enumerate(found.items())}
    gone = [row.pk for alias, row in stand.items() if alias not in wanted or row.market_id != wanted[alias][0].pk]
    BotMarket.objects.filter(pk__in=gone).delete()
    for alias, (market, position) in wanted.items():
        BotMarket.objects.update_or_create(bot=bot, alias=alias, defaults={"market": market, "position": position})


def markets_of_bot(bot: Bot) -> list[Market]:
    """Return the markets of a bot in its strategy's order; of one without rows, its own."""
    rows = BotMarket.objects.filter(bot=bot).select_related("market").order_by("position")
    return [row.market for row in rows] or [bot.market]


def field_of(symbol: str, params: BaseModel) -> str:
    """Name the field that a market comes from: "market" for the chosen one, else the parameter with its symbol."""
    if not symbol:
        return "market"
    for name, value in params.model_dump().items():
        if value == symbol or (isinstance(value, list | tuple | set | frozenset) and symbol in value):
            return f"params.{name}"
    return "params"


def _market(
    account: Account, chosen: Market | None, known: Mapping[str, Market], ref: MarketRef, params: BaseModel
) -> Market:
    field = field_of(ref.symbol, params)
    if ref.venue:
        text = f"A bot trades on its own account only; {ref.symbol} on {ref.venue} can't be had"
        raise InvalidInput(text, field=field, value=ref.symbol, code="unknown_market")
    found = known.get(ref.symbol) if ref.symbol else chosen
    if found is None and not ref.symbol:
        raise InvalidInput("Choose the market that this bot trades on", field="market", code="required")
    if found is None:
        raise unknown_market(account, ref.symbol, field)
    try:
        market_check(account, found)
    except InvalidInput as fault:
        raise InvalidInput(fault.message, field=field, value=found.symbol, code=fault.code) from None
    return found


def unknown_market(account: Account, symbol: str, field: str) -> InvalidInput:
    """Return the fault of a symbol that isn't there, with the nearest that is."""
    there = list(Market.objects.filter(source=account.feed, active=True).values_list("symbol", flat=True))
    near = difflib.get_close_matches(symbol.upper(), there, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return InvalidInput(
        f"There is no market {symbol} on {account.feed}{hint}", field=field, value=symbol, code="unknown_market"
    )


def _fits(market: Market, found: Markets, field: str) -> None:
    for other in found.values():
        if other.pk == market.pk:
            text = f"{market.symbol} is named twice; each market of a bot must be another one"
            raise InvalidInput(text, field=field, value=market.symbol, code="duplicate")
        if other.quote != market.quote:
            text = f"{market.symbol} trades in {market.quote}, {other.symbol} in {other.quote}"
            raise InvalidInput(
                f"{text}; all markets of a bot need the same quote coin", field=field, value=market.symbol, code="quote"
            )


def _leverage_faults(needs: Needs, found: Markets, params: BaseModel) -> list[InvalidInput]:
    """Refuse more leverage than a perpetual market gives."""
    wanted = to_decimal(needs.leverage)
    field = "params.leverage" if "leverage" in type(params).model_fields else "params"
    return [
        InvalidInput(
            f"{market.symbol} gives a leverage of at most {plain(market.max_leverage)}, not {plain(wanted)}",
            field=field,
            value=wanted,
            code="leverage",
        )
        for market in found.values()
        if market.perpetual and wanted > market.max_leverage
    ][:1]
