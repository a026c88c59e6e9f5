"""Questions to advisers: each is answered to its bot exactly once, whoever is slow, doubled, dead or absurd."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from bots.advisors.registry import ADVISORS
from bots.models import Bot, BotInput
from tests.factories import BotFactory
from trading import tasks
from trading.advice import answer_next, call, run_advisers
from trading.core.errors import StrategyFault, VenueUnavailable
from trading.core.types import Advice, Ask
from trading.inbox import input_value
from trading.models import AdviceAsk
from trading.services.asking import BELL, Answer, advice_due, ask_answered, ask_claim, asks_write, simulated_tell

pytestmark = pytest.mark.django_db
NOW_MS = 1_700_000_000_000
PAYLOAD = {"ema_fast": 102.0, "ema_slow": 100.0, "rsi": 60.0}
BUY = {"side": "buy", "confidence": 0.8, "allocation_ratio": 0.5}


class Scripted:
    """An adviser that answers what the test says."""

    key = title = "scripted"

    def __init__(self, answer: Any = BUY) -> None:
        self.given, self.asked = answer, 0

    def answer(self, kind: str, payload: Any) -> Any:
        self.asked += 1
        if isinstance(self.given, Exception):
            raise self.given
        return self.given() if callable(self.given) else self.given

    def cost(self, kind: str, payload: Any, answer: Any) -> Decimal:
        return Decimal("0.002")


@pytest.fixture
def scripted():
    advisor = ADVISORS["scripted"] = Scripted()
    yield advisor
    for thread in threading.enumerate():  # a call that was left behind holds its place until it returns
        if thread.name.startswith("adviser for"):
            thread.join(60)
    del ADVISORS["scripted"]


@pytest.fixture
def bot() -> Bot:
    return BotFactory(status="running", params={"advisor": "scripted"})


def write(bot: Bot, ask_id: str = "one", *, seconds: int = 60, payload: Any = PAYLOAD) -> AdviceAsk:
    asks_write(bot, 1, NOW_MS, [Ask(ask_id, "direction", payload, NOW_MS + seconds * 1000)])
    return AdviceAsk.objects.get(bot=bot, ask_id=ask_id)


def told(bot: Bot) -> list[Any]:
    return [input_value(row) for row in BotInput.objects.filter(bot=bot).order_by("id")]


def late() -> Any:
    return timezone.now() + timedelta(seconds=61)


def test_an_answer_reaches_the_inbox_and_the_record(bot, scripted):
    ask = write(bot)
    assert answer_next()
    assert told(bot) == [Advice("one", BUY, "")]
    ask.refresh_from_db()
    assert (ask.status, ask.value, ask.advisor, ask.cost) == ("answered", BUY, "scripted", Decimal("0.002"))
    assert ask.payload == PAYLOAD
    assert ask.latency_ms is not None
    assert not answer_next()
    assert advice_due(late()) == []


def test_the_same_question_is_asked_once_for_ever(bot, scripted):
    write(bot)
    assert answer_next()
    write(bot)
    asks_write(bot, 2, NOW_MS, [Ask("one", "direction", {}, NOW_MS + 1), Ask("two", "direction", {}, NOW_MS + 60_000)])
    assert answer_next()
    assert not answer_next()
    assert scripted.asked == 2
    assert [advice.ask_id for advice in told(bot)] == ["one", "two"]


def test_another_bot_may_use_the_same_id(bot, scripted):
    other = BotFactory(status="running", params={"advisor": "scripted"})
    write(bot)
    write(other)
    assert answer_next()
    assert answer_next()
    assert [len(told(one)) for one in (bot, other)] == [1, 1]


def test_a_rolled_back_decision_asks_nothing(bot, scripted):
    with transaction.atomic():
        write(bot)
        transaction.set_rollback(True)
    assert not answer_next()


def test_a_question_that_nobody_takes_runs_out_once(bot):
    ask = write(bot)
    assert advice_due(timezone.now()) == []
    assert advice_due(late()) == [bot.pk]
    assert advice_due(late()) == []
    assert told(bot) == [Advice("one", None, "deadline")]
    ask.refresh_from_db()
    assert ask.status == "late"
    assert ask_claim(timezone.now()) is None


def test_a_worker_that_died_with_a_question_leaves_a_deadline(bot):
    write(bot)
    assert ask_claim(timezone.now()) is not None
    assert ask_claim(timezone.now()) is None
    assert advice_due(late()) == [bot.pk]
    assert told(bot) == [Advice("one", None, "deadline")]


@pytest.mark.parametrize("swept_first", [True, False])
def test_an_answer_after_the_deadline_is_kept_and_told_to_nobody(bot, swept_first: bool):
    write(bot)
    ask = ask_claim(timezone.now())
    if swept_first:
        advice_due(late())
    assert ask_answered(ask, Answer(BUY, latency_ms=70_000), late()) is not swept_first
    assert not ask_answered(ask, Answer("again"), late())
    assert advice_due(late()) == []
    assert told(bot) == [Advice("one", None, "deadline")]
    ask.refresh_from_db()
    assert (ask.status, ask.value, ask.latency_ms, ask.error) == ("late", BUY, 70_000, "deadline")


def test_two_workers_with_one_question_tell_once(bot):
    write(bot)
    ask = ask_claim(timezone.now())
    assert ask_answered(ask, Answer(BUY), timezone.now())
    assert not ask_answered(ask, Answer({"side": "sell"}), timezone.now())
    assert told(bot) == [Advice("one", BUY, "")]


class Meanwhile:
    """Lets another worker act just before the first change of a question, as on a real database it may."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self.action: Callable[[], Any] | None = action
        self.result: Any = None

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith('UPDATE "trading_adviceask"') and self.action is not None:
            action, self.action = self.action, None
            self.result = action()
        return execute(sql, params, many, context)


def test_of_two_workers_that_see_the_same_question_one_takes_it(bot):
    write(bot)
    meanwhile = Meanwhile(lambda: ask_claim(timezone.now()))
    with connection.execute_wrapper(meanwhile):
        second = ask_claim(timezone.now())
    assert meanwhile.result is not None
    assert second is None


def test_an_answer_that_overtakes_the_sweep_is_the_only_one(bot):
    write(bot)
    ask = ask_claim(timezone.now())
    meanwhile = Meanwhile(lambda: ask_answered(ask, Answer(BUY), timezone.now()))
    with connection.execute_wrapper(meanwhile):
        assert advice_due(late()) == []
    assert told(bot) == [Advice("one", BUY, "")]


def test_a_sweep_after_the_answer_tells_nothing(bot, scripted):
    write(bot)
    assert answer_next()
    assert advice_due(late()) == []
    assert len(told(bot)) == 1


@pytest.mark.parametrize(
    ("answer", "error", "detail"),
    [
        (VenueUnavailable("no line"), "failed", "VenueUnavailable: no line"),
        (ValueError("a bug"), "failed", "ValueError: a bug"),
        (float("nan"), "absurd", "it is no JSON"),
        ({"confidence": float("inf")}, "absurd", "it is no JSON"),
        ({1, 2}, "absurd", "it is no JSON"),
        ("x" * 30_000, "absurd", "more than 20000"),
        ("nul \x00", "absurd", "null character"),
        ("\ud800", "absurd", "it is no JSON"),
    ],
)
def test_what_goes_wrong_is_told_as_an_error(bot, scripted, answer: Any, error: str, detail: str):
    scripted.given = answer
    ask = write(bot)
    assert answer_next()
    assert told(bot) == [Advice("one", None, error)]
    ask.refresh_from_db()
    assert ask.status == "failed"
    assert detail in ask.error


@pytest.mark.django_db(transaction=True)  # it closes its connection at the end
def test_the_thread_of_embedded_mode_answers_until_it_is_stopped(bot, scripted):
    stop = threading.Event()
    scripted.given = lambda: "the last one" if stop.set() is None else ""
    for n in range(2):
        write(bot, f"q{n}")
    BELL.set()
    run_advisers(stop)
    assert told(bot) == [Advice("q0", "the last one")]
    assert not BELL.is_set()


def test_the_worker_of_the_queue_and_the_sweep_do_their_part(bot, scripted):
    write(bot)
    tasks.advise()
    assert told(bot) == [Advice("one", BUY)]
    write(bot, "two", seconds=0)
    tasks.sweep()
    assert told(bot) == [Advice("one", BUY), Advice("two", None, "deadline")]


def test_an_unknown_adviser_fails_at_once():
    bot = BotFactory(status="running", params={"advisor": "oracle"})
    ask = write(bot)
    assert answer_next()
    assert told(bot) == [Advice("one", None, "failed")]
    ask.refresh_from_db()
    assert "known are local" in ask.error


def test_a_call_that_hangs_is_left_behind(bot, scripted):
    release = threading.Event()
    scripted.given = lambda: release.wait(300)
    write(bot)
    try:
        assert answer_next(limit_s=0.05)
    finally:
        release.set()
    assert told(bot) == [Advice("one", None, "failed")]
    assert "no answer within 0.05 s" in AdviceAsk.objects.get(bot=bot).error


def test_too_many_hanging_calls_refuse_the_next_instead_of_piling_up(bot, scripted):
    release = threading.Event()
    scripted.given = lambda: release.wait(300)
    ask = write(bot)
    try:
        details = [call(ask, 0.01).detail for _ in range(17)]
    finally:
        release.set()
    assert details[15].startswith("no answer within")
    assert details[16] == "16 calls of advisers hang already"


def test_a_bot_that_has_ended_costs_no_call(bot, scripted):
    write(bot)
    Bot.objects.filter(pk=bot.pk).update(status="stopped")
    assert not answer_next()
    assert scripted.asked == 0


@pytest.mark.parametrize(
    "ask",
    [
        Ask("", "direction", {}, NOW_MS),
        Ask("x" * 81, "direction", {}, NOW_MS),
        Ask("one", "", {}, NOW_MS),
        Ask("one", "direction", {"price": float("nan")}, NOW_MS),
        Ask("one", "direction", {"book": "x" * 30_000}, NOW_MS),
    ],
)
def test_a_question_that_cannot_be_kept_is_the_strategys_fault(bot, ask: Ask):
    with pytest.raises(StrategyFault):
        asks_write(bot, 1, NOW_MS, [ask])
    assert not AdviceAsk.objects.exists()


class Fated:
    """A simulated adviser: so long a delay, that answer, that error, by the id of the question."""

    def __init__(self, **fates: tuple[int, Any, str]) -> None:
        self.fates = fates

    def simulate(self, ask: Ask, now_ms: int) -> tuple[int, Any, str]:
        return self.fates[ask.id]


def test_a_replay_tells_what_is_due_in_order_and_no_worker_or_sweep_sees_it(bot, scripted):
    asks = [Ask(name, "direction", PAYLOAD, NOW_MS + 60_000) for name in ("slow", "quick", "never", "broken", "late")]
    asks_write(bot, 1, NOW_MS, asks, simulated=True)
    fates = Fated(
        slow=(50_000, BUY, ""), quick=(10_000, BUY, ""), never=(-1, None, ""), broken=(20_000, None, "failed"),
        late=(60_001, BUY, ""),
    )  # fmt: skip
    assert not answer_next()
    assert advice_due(late()) == []
    assert simulated_tell(bot, NOW_MS + 9_999, fates) == 0
    assert simulated_tell(bot, NOW_MS + 50_000, fates) == 3
    assert simulated_tell(bot, NOW_MS + 120_000, fates) == 2
    assert simulated_tell(bot, NOW_MS + 999_999, fates) == 0
    gone = [Advice(name, None, "deadline") for name in ("never", "late")]
    assert told(bot) == [Advice("quick", BUY), Advice("broken", None, "failed"), Advice("slow", BUY), *gone]
    assert scripted.asked == 0


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite in memory has one connection")
@pytest.mark.django_db(transaction=True)
def test_many_workers_at_once_answer_each_question_once(bot, scripted):
    for n in range(12):
        write(bot, f"q{n}")

    def work() -> None:
        while answer_next():
            pass
        connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert sorted(advice.ask_id for advice in told(bot)) == sorted(f"q{n}" for n in range(12))
    assert scripted.asked == 12
