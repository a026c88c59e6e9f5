"""Ready-made bots: a first bot in one click, its figures taken from the price of the moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from accounts.models import Account, User, Workspace
from bots.models import Bot
from bots.preflight import fresh, open_bot
from bots.recipes import RECIPES, Params, Recipe
from bots.strategies.registry import STRATEGIES
from exchanges.models import Market
from exchanges.prices import quotes_get
from trading.core.errors import InvalidInput
from trading.core.rounding import to_decimal


@dataclass(frozen=True, slots=True)
class Preset:
    """A bot ready to start. `params` is empty while there is no current price."""

    key: str
    title: str
    summary: str
    strategy: str
    market: Market
    budget: Decimal
    price: Decimal | None = None
    params: Params = field(default_factory=dict)
    timeframe_ms: int = 60_000

    @property
    def name(self) -> str:
        """What its bot is called: with the coin, unless the strategy brings its own list of markets."""
        return self.title if "symbols" in self.params else f"{self.title} {self.market.base}"


def recipe_of(strategy: str) -> Recipe | None:
    """Return the calmest recipe of a strategy, the last one on the list."""
    return next((one for one in reversed(RECIPES) if one.strategy == strategy), None)


def presets(source: str = "demo") -> list[Preset]:
    """Return the presets whose market exists, with figures from the current prices."""
    markets = {market.symbol: market for market in Market.objects.filter(source=source, active=True)}
    quotes = quotes_get([market.pk for market in markets.values()])
    found = []
    for recipe in RECIPES:
        market = markets.get(recipe.symbol)
        if market is None or recipe.strategy not in STRATEGIES:
            continue
        quote = quotes.get(market.pk)
        price = to_decimal(quote.last) if quote is not None and fresh(quote) else None
        found.append(_preset(recipe, market, price))
    return found


def _preset(recipe: Recipe, market: Market, price: Decimal | None) -> Preset:
    return Preset(
        key=recipe.key,
        title=recipe.title,
        summary=recipe.summary,
        strategy=recipe.strategy,
        market=market,
        budget=recipe.budget,
        price=price,
        params=recipe.params(market, price, recipe.budget) if price else {},
        timeframe_ms=recipe.timeframe_ms,
    )


def preset_start(*, workspace: Workspace, account: Account, key: str, by: User) -> Bot:
    """Create the preset's bot at the current price and start it."""
    preset = next((one for one in presets(account.feed) if one.key == key), None)
    if preset is None:
        raise InvalidInput(
            f"There is no preset {key!r}; there are: {', '.join(recipe.key for recipe in RECIPES)}",
            field="preset",
            value=key,
            code="unknown_preset",
        )
    if preset.price is None:
        raise InvalidInput(
            f"There is no current price of {preset.market.symbol}; try again when its prices arrive",
            field="market",
            value=preset.market.symbol,
            code="no_price",
        )
    return open_bot(
        workspace=workspace,
        account=account,
        market=preset.market,
        strategy=preset.strategy,
        params=preset.params,
        name=preset.name,
        budget=preset.budget,
        timeframe_ms=preset.timeframe_ms,
        by=by,
        start=True,
    )
