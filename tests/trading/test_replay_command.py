"""`manage.py replay`: the same report as the backtest's, made by the live path; nothing left behind, nothing hidden."""

from __future__ import annotations

import json
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Workspace
from bots.models import Bot
from tests.trading.scripted import Scripted, buy, on_the_shelf, sell
from trading.core.candle_files import read_candles
from trading.core.types import Decision, MarketRules, Wake
from trading.models import Fill
from trading.replay import ReplayMarket, replayed
from trading.runtime import accounts_reconcile, run_due
from trading.services.equity import equity_snapshot
from trading.services.waking import bots_due

pytestmark = pytest.mark.django_db
GRID = {"lower": 92, "upper": 108, "levels": 9, "spacing": "arithmetic", "investment": 5000}
EMA = {"fast": 3, "slow": 5, "quantity": "1"}
RULES = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.001"), min_notional=Decimal(5))
FIGURES = ("candles", "orders", "fills", "final_equity", "realised_pnl", "fees", "max_drawdown_ratio", "fills_sha256")


@pytest.fixture
def wave(tmp_path):
    """A hundred and twenty candles of a triangle wave between 90 and 110."""
    path = tmp_path / "wave.csv"
    rows = ["ts,open,high,low,close,volume"]
    for k in range(120):
        here, there = (90 + abs((t % 40) - 20) for t in (k, k + 1))
        rows.append(f"{k * 60_000},{here},{max(here, there)},{min(here, there)},{there},1")
    path.write_text("\n".join(rows) + "\n")
    return path


def said(command: str, strategy: str, candles, params, *more: str) -> str:
    out = StringIO()
    call_command(command, strategy, "--candles", str(candles), "--params", json.dumps(params), *more, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(("strategy", "params"), [("grid", GRID), ("ema_cross", EMA)])
def test_a_replay_reports_what_the_backtest_reports(wave, strategy, params):
    live = json.loads(said("replay", strategy, wave, params, "--json"))
    tested = json.loads(said("backtest", strategy, wave, params, "--json"))
    assert {name: live[name] for name in FIGURES} == {name: tested[name] for name in FIGURES}
    assert live["fills"] > 4
    assert set(live["ledger_sum"].values()) == {"0"}
    assert not Workspace.objects.exists()


def test_keep_leaves_the_workspace_to_look_at(wave):
    report = json.loads(said("replay", "grid", wave, GRID, "--json", "--keep"))
    assert Workspace.objects.get().name == report["workspace"]
    assert Fill.objects.count() == report["fills"]


def test_people_get_a_readable_report(wave):
    text = said("replay", "grid", wave, GRID)
    assert "final equity" in text
    assert "Replay" in text


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({**GRID, "lower": 200}, "lower"),
        ({**GRID, "levels": 1}, "levels: Lines must be"),
        ({**GRID, "lowr": 1}, "did you mean"),
        ({**GRID, "levels": 4000}, "levels"),
    ],
)
def test_bad_parameters_are_named_and_nothing_is_left(wave, params, words):
    with pytest.raises(CommandError, match=words):
        said("replay", "grid", wave, params)
    assert not Workspace.objects.exists()


def test_a_bad_file_names_its_row(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("ts,open,high,low,close,volume\n0,1,1,1,1,1\n60000,1,1,-1,1,1\n")
    with pytest.raises(CommandError, match="row 2"):
        said("replay", "grid", path, GRID)


def test_a_grid_that_cannot_pay_its_fees_ends_with_that_word(wave):
    dear = {"lower": 99.9, "upper": 100.1, "levels": 9, "spacing": "arithmetic", "investment": 5000}
    with pytest.raises(CommandError, match="fee"):
        said("replay", "grid", wave, dear)
    assert not Workspace.objects.exists()


def test_a_server_beside_it_leaves_the_bot_of_a_replay_alone_also_when_it_is_kept(wave):
    """Its clock is candle time: by the wall clock it would be due, wait, and be held back for ever."""
    asked, params = [], {"size": 1}

    def decide(state, view):
        asked.append(view.now_ms)
        gen = view.now_ms // 300_000 + 1
        want = buy(qty=1.0, gen=gen) if gen % 2 else sell(qty=1.0, gen=gen)
        return Decision(None, {"main": want}, Wake(at_ms=view.now_ms + 5 * 60_000))

    def serve(done: int, of: int) -> None:
        ring = list(Bot.objects.values_list("pk", flat=True))
        assert bots_due(timezone.now()) == bots_due(timezone.now(), among=ring) == []
        assert run_due() == 0
        accounts_reconcile(everybody=True)
        assert equity_snapshot() == 0

    fills = []
    markets = {"main": ReplayMarket(read_candles(wave), RULES)}
    for keep, meanwhile in ((False, None), (True, serve)):
        del asked[:]
        with (
            on_the_shelf(Scripted(decide)),
            replayed(
                strategy="scripted",
                params=params,
                markets=markets,
                cash=Decimal(10_000),
                fee=Decimal("0.001"),
                keep=keep,
                on_progress=meanwhile,
            ) as run,
        ):
            fills.append((len(asked), list(run.lines())))
    assert fills[0] == fills[1]
    assert len(fills[0][1]) > 10
    serve(0, 0)
    assert accounts_reconcile() == []
