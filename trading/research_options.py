"""From a command's options to a run: strategy, parameters, candle files, rules and money, each fault named."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from bots.advisors.registry import get_advisor
from bots.strategies.registry import STRATEGIES, get_strategy
from trading.core.aligning import align
from trading.core.candle_files import read_candles
from trading.core.candles import Candles, fill_gaps, refuse_gaps
from trading.core.errors import BadCandles, InvalidInput
from trading.core.needs import MarketRef, Needs
from trading.core.params import parse_params
from trading.core.rounding import MAX_STEPS, plain, to_decimal
from trading.core.types import MarketRules, Perpetual
from trading.option_values import number_value, params_value, positive_value, ratio_value, share_value, time_value
from trading.reports import Request, RunMarket

Value = TypeVar("Value")


def add_run_options(parser: ArgumentParser) -> None:
    """Declare the options of everything that runs a strategy over candle files."""
    several = "; ALIAS=... for one of several markets, may be repeated"
    parser.add_argument("strategy", help=f"key of the strategy: {', '.join(STRATEGIES)}")
    files = "CSV or Parquet: ts (epoch ms) open high low close volume"
    parser.add_argument("--candles", required=True, action="append", metavar="[ALIAS=]FILE", help=files + several)
    parser.add_argument("--params", default="{}", help="the strategy's parameters, a JSON object")
    parser.add_argument("--cash", default="1000000", help="starting cash in quote (default %(default)s)")
    parser.add_argument("--fee", default="0.001", help="fee rate on the notional, 0.001 = 0.1 %% (default %(default)s)")
    parser.add_argument("--tick", action="append", metavar="[ALIAS=]STEP", help="price step, default 0.01" + several)
    parser.add_argument("--lot", action="append", metavar="[ALIAS=]STEP", help="quantity step, default 1e-8" + several)
    parser.add_argument("--fill-gaps", action="store_true", help="fill missing candles flat, with volume 0")
    parser.add_argument("--perpetual", action="store_true", help="the markets are perpetual futures, not spot")
    parser.add_argument("--leverage-limit", default="10", help="highest leverage of a perpetual (default %(default)s)")
    parser.add_argument("--maintenance-rate", default="0.005", help="maintenance margin of a perpetual (%(default)s)")
    parser.add_argument("--funding-rate", default="0.0001", help="paid by longs every 8 hours (default %(default)s)")
    parser.add_argument("--advisor", default="", help="the simulated adviser that answers the strategy's questions")


def add_backtest_options(parser: ArgumentParser) -> None:
    """Declare what a replay doesn't have: another start, and fills that are worse than the candles say."""
    parser.add_argument("--start", help="first decision, as 2022-01-31, 2022-01-31T12:30 (UTC) or epoch ms")
    parser.add_argument("--liquidity-ratio", help="at most this share of a candle's volume fills a limit order")
    parser.add_argument("--half-spread", help="bid and ask stand this ratio beside the last price (default 0)")
    parser.add_argument("--slippage", help="market orders fill this ratio worse (default 0)")


def add_output_options(parser: ArgumentParser) -> None:
    """Declare where the report goes."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--report", metavar="FILE", help="write all of it: FILE.html as a page, else as JSON")


def request_of(options: Mapping[str, Any]) -> Request:
    """Check the options and read the files. Raises InvalidInput naming option, value and what would be right."""
    strategy = get_strategy(options["strategy"])
    params = parse_params(strategy.params, params_value(options["params"]))
    needs = strategy.needs(params)
    fee = number_value("fee", options["fee"])
    if not 0 <= fee < 1:
        raise InvalidInput(f"--fee {fee} must be a rate from 0 up to below 1 (0.001 = 0.1 %)", field="fee", value=fee)
    cash = positive_value("cash", options["cash"])
    markets = _markets(needs, options)
    return Request(
        strategy=strategy,
        params=params,
        markets=markets,
        cash=cash,
        fee=fee,
        start_ms=_start_ms(options.get("start"), needs, next(iter(markets.values())).candles),
        advisor=_advisor(options["advisor"], params, needs),
        liquidity_ratio=share_value(options.get("liquidity_ratio")),
        half_spread_ratio=ratio_value("half-spread", options.get("half_spread") or "0"),
        slippage_ratio=ratio_value("slippage", options.get("slippage") or "0"),
    )


def _advisor(key: str, params: BaseModel, needs: Needs) -> str:
    """Return the adviser that is simulated: the one named, else the one of the parameters; empty: nobody is asked."""
    chosen = key or (str(getattr(params, "advisor", "")) if needs.advice else "")
    if chosen:
        get_advisor(chosen)
    return chosen


# --- markets --------------------------------------------------------------------------------------------------------


def _markets(needs: Needs, options: Mapping[str, Any]) -> dict[str, RunMarket]:
    """Read the file of each market that the strategy needs, in the order of its needs."""
    files = _by_alias("candles", options["candles"], needs, _file)
    missing = [alias for alias in needs.markets if alias not in files]
    if missing:
        text = f"the strategy also needs candles of {', '.join(missing)}: --candles {missing[0]}=FILE"
        raise InvalidInput(text, field="candles", value=options["candles"])
    ticks = _by_alias("tick", options["tick"] or ["0.01"], needs, positive_value)
    lots = _by_alias("lot", options["lot"] or ["0.00000001"], needs, positive_value)
    perpetual = _perpetual(options) if options["perpetual"] else None
    candles = {
        alias: _read(alias, files[alias], options["fill_gaps"], several=len(files) > 1) for alias in needs.markets
    }
    markets = {}
    for alias, market in align(candles).items():
        base, quote = _coins(alias, needs)
        rules = MarketRules(base, quote, ticks[alias], lots[alias], perpetual=perpetual)
        _check_steps(market, rules)
        markets[alias] = RunMarket(market, rules, files[alias].name)
    return markets


def _by_alias(name: str, texts: Sequence[str], needs: Needs, parse: Callable[[str, str], Value]) -> dict[str, Value]:
    """Read "VALUE" (for every market) and "ALIAS=VALUE"; a market's symbol will do for its alias."""
    known = {ref.symbol: alias for alias, ref in needs.markets.items() if ref.symbol}
    known |= {alias: alias for alias in needs.markets}
    for_all, found = None, {}
    for text in texts:
        alias, separator, rest = text.partition("=")
        if not separator or (name == "candles" and Path(text).exists()):
            for_all = text
        elif alias not in known:
            raise InvalidInput(
                f"--{name} {text}: the strategy has no market {alias!r}, only {', '.join(needs.markets)}",
                field=name,
                value=text,
            )
        else:
            found[known[alias]] = parse(name, rest)
    if for_all is None:
        return found
    if name == "candles" and len(needs.markets) > 1:
        wanted = " ".join(f"--candles {alias}=FILE" for alias in needs.markets)
        raise InvalidInput(f"the strategy needs {len(needs.markets)} markets: {wanted}", field=name, value=for_all)
    return dict.fromkeys(needs.markets, parse(name, for_all)) | found


def _file(name: str, text: str) -> Path:
    return Path(text)


def _read(alias: str, path: Path, fill: bool, *, several: bool) -> Candles:
    """Read one market's file; of several, a fault says which market's it is."""
    try:
        candles = read_candles(path)
        if not fill:
            refuse_gaps(candles, "with --fill-gaps they become flat candles with volume 0")
    except BadCandles as error:
        if several:
            message = f"{alias} ({path.name}): {error.message}"
            raise BadCandles(message, row=error.row, field=error.field, value=error.value) from error
        raise
    return fill_gaps(candles)


def _coins(alias: str, needs: Needs) -> tuple[str, str]:
    """Return base and quote of a market: from its symbol, else invented. All markets share the quote."""
    pairs = {key: _pair(ref) for key, ref in needs.markets.items()}
    quote = next((quote for _, quote in pairs.values() if quote), "QUOTE")
    base = pairs[alias][0] or ("BASE" if len(pairs) == 1 else alias.upper())
    return base, quote


def _pair(ref: MarketRef) -> tuple[str, str]:
    base, _, quote = ref.symbol.partition(":")[0].partition("/")
    return base, quote


def _perpetual(options: Mapping[str, Any]) -> Perpetual:
    limit = number_value("leverage-limit", options["leverage_limit"])
    if limit < 1:
        text = f"--leverage-limit {limit} must be 1 or more"
        raise InvalidInput(text, field="leverage-limit", value=limit)
    return Perpetual(
        max_leverage=limit,
        maintenance_rate=ratio_value("maintenance-rate", options["maintenance_rate"]),
        funding_rate=number_value("funding-rate", options["funding_rate"]),
    )


def _check_steps(candles: Candles, rules: MarketRules) -> None:
    """Refuse a tick so fine that neighbouring prices would no longer be distinct."""
    highest = to_decimal(float(candles.high.max()))
    if highest / rules.tick >= MAX_STEPS:
        raise InvalidInput(
            f"--tick {plain(rules.tick)} is too fine for prices up to {plain(highest)}: at most 2^52 steps fit",
            field="tick",
            value=rules.tick,
        )


def _start_ms(text: str | None, needs: Needs, candles: Candles) -> int | None:
    """Return when the first decision is made; None: at the first candle. Enough candles must have closed before."""
    start_ms = None if text is None else time_value(text)
    if start_ms is not None and not candles.ts[0] <= start_ms <= candles.ts[-1]:
        raise InvalidInput(
            f"--start {text} lies outside the candles, which open from {candles.ts[0]} to {candles.ts[-1]}",
            field="start",
            value=text,
        )
    before = 0 if start_ms is None else int((candles.ts < start_ms).sum())
    if before < needs.warmup and (start_ms is not None or len(candles) <= needs.warmup):
        raise InvalidInput(
            f"the strategy needs {needs.warmup} closed candles before its first decision; "
            + (f"there are {len(candles)} in all" if start_ms is None else f"--start {text} leaves {before}"),
            field="candles" if start_ms is None else "start",
            value=before,
        )
    return start_ms
