"""One decision, one transaction: inbox, state, intents, reservations and wakes stand together or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from accounts.crashpoints import crashpoint
from accounts.services import EventDraft, events_append
from bots.models import Bot, BotInput
from risk.gate import judge
from risk.rules.budget import funds_needed
from trading.core.caps import caps, is_capped
from trading.core.control import Plan, groups_begun
from trading.core.errors import StrategyFault
from trading.core.ports import Deny, RiskContext, RiskOrder
from trading.core.rounding import plain, price_to_tick, qty_to_lot, to_decimal, trigger_to_tick
from trading.core.types import Closed, Decision, Denied, Kind, Want
from trading.exposure import order_adds
from trading.gate_facts import gate_facts
from trading.ids import order_id
from trading.inbox import input_row, want_json
from trading.leases import Lease
from trading.missed import seen_json
from trading.models import Order, Position, Runtime
from trading.services.answers import order_event
from trading.services.asking import asks_write
from trading.services.planning import plan_of, shrinks
from trading.services.waking import wakes_replace
from trading.situation import Situation, Watched

BACKOFF_MAX_S = 60


class LeaseLost(Exception):
    """Somebody else ticks this bot now: write nothing."""


@dataclass
class Intent:
    """One want on its way to a row: exact numbers, and what the gate said."""

    slot: str
    want: Want
    watched: Watched
    qty: Decimal
    price: Decimal | None
    trigger: Decimal | None
    risk: RiskOrder
    denied: Deny | None = None
    max_quote: Decimal | None = None
    refused: str = ""  # why it can't be an order at all
    why: str = ""  # the same in the contract's word

    @property
    def is_order(self) -> bool:
        return not self.refused and self.denied is None


@dataclass
class Verdict:
    """What one decision comes to, before anything of it is written."""

    plan: Plan
    intents: list[Intent] = field(default_factory=list)
    amends: list[Intent] = field(default_factory=list)

    @property
    def denied(self) -> bool:
        return any(intent.denied for intent in (*self.intents, *self.amends))


def verdict_of(situation: Situation, decision: Decision) -> Verdict:
    """Compare what is wanted with what is there and ask the gate. Writes nothing. Raises StrategyFault."""
    verdict = Verdict(plan_of(situation, decision))
    wanted = verdict.plan
    verdict.intents = [_denied(situation, wanted, *leg) for leg in wanted.broken]
    verdict.intents += [_intent(situation, wanted, slot, want) for slot, want in (*wanted.reduces, *wanted.adds)]
    verdict.amends = [_intent(situation, wanted, slot, want) for slot, want in wanted.amends]
    _judge(situation, verdict)
    return verdict


def decision_commit(lease: Lease, situation: Situation, decision: Decision) -> None:
    """Write the decision down. Raises LeaseLost or StrategyFault, and then nothing has changed."""
    verdict = verdict_of(situation, decision)
    with transaction.atomic():
        _runtime_advance(lease, situation, decision, denied=verdict.denied)
        crashpoint("decision-begun")
        _inbox_mark(situation)
        _cancel(situation, verdict.plan)
        _unwanted(situation, decision)
        _hedges_mark(situation, decision)
        drafts = [draft for intent in verdict.amends if (draft := _amend_write(situation, intent)) is not None]
        drafts += [draft for intent in verdict.intents if (draft := _intent_write(situation, intent)) is not None]
        drafts += _notes(situation, decision)
        _ask(situation, decision)
        wakes_replace(situation, decision)
        if not situation.runtime.number:
            _first_prices(situation)
        events_append(situation.bot.workspace_id, drafts)
        crashpoint("decision-written")
    crashpoint("decision-committed")


def _intent(situation: Situation, wanted: Plan, slot: str, want: Want) -> Intent:
    watched = situation.markets[want.market]
    market, rules = watched.market, watched.rules
    price = None if want.price is None else price_to_tick(want.price, market.tick, want.side, want.kind)
    trigger = None if want.trigger is None else trigger_to_tick(want.trigger.level, market.tick, want.side)
    qty = qty_to_lot(wanted.clipped.get(slot, want.qty), market.lot)
    at = price or trigger or watched.last
    risk = replace(_risk(situation, wanted, slot, want, qty, at), reference=trigger or watched.last)
    intent = Intent(slot, want, watched, qty, price, trigger, risk)
    before = situation.orders.get(slot)
    if slot in wanted.clipped and qty <= 0:
        intent.refused, intent.why = f"there is no {rules.base} position to reduce", "rejected"
    elif qty <= 0 or qty < market.min_qty or qty * at < market.min_notional:
        intent.refused = f"{plain(qty)} {market.base} is below the smallest order of {market.symbol}"
        intent.why = "below_minimum"
    if intent.refused:
        intent.qty = max(qty, to_decimal(want.qty))
    elif before is not None and before.gen == want.gen:
        intent.max_quote = before.max_quote
    return intent


def _denied(situation: Situation, wanted: Plan, slot: str, want: Want, reason: str) -> Intent:
    """Return a want that the gate needn't be asked about."""
    intent = _intent(situation, wanted, slot, want)
    intent.refused, intent.why, intent.denied = "", "", Deny("group", reason)
    return intent


def _risk(situation: Situation, wanted: Plan, slot: str, want: Want, qty: Decimal, at: Decimal) -> RiskOrder:
    watched = situation.markets[want.market]
    market, perpetual = watched.market, watched.rules.perpetual
    closes = shrinks(watched, want.side)
    exit_qty = min(qty, qty_to_lot(wanted.exits.get(slot, 0.0), market.lot)) if perpetual else Decimal(0)
    return RiskOrder(
        slot=slot,
        side=want.side,
        kind=want.kind,
        qty=qty,
        price=at,
        fee_rate=market.maker_fee if want.kind is Kind.LIMIT else market.taker_fee,
        exits=slot in wanted.hedges or (closes and (perpetual is None or qty <= exit_qty)),
        base=market.base,
        quote=market.quote,
        leverage=to_decimal(situation.needs.leverage) if perpetual else None,
        exit_qty=exit_qty,
        group="" if slot in wanted.hedges else want.group,  # a group that has begun has passed already
        market=want.market,
    )


def _judge(situation: Situation, verdict: Verdict) -> None:
    """Ask the gate: amendments first, since what they give back or take is known, then the new orders."""
    context = gate_facts(situation)
    for intent in verdict.amends:
        if not intent.refused:
            context = _judge_amendment(situation, intent, context)
    asked = [intent for intent in verdict.intents if intent.is_order]
    refused: dict[str, dict[str, str]] = {}
    for intent in verdict.intents:
        if intent.refused and intent.risk.group:
            refused.setdefault(intent.risk.group, {})[intent.slot] = intent.why
    answers = judge([intent.risk for intent in asked], context, refused)
    for intent, answer in zip(asked, answers, strict=True):
        intent.denied = answer if isinstance(answer, Deny) else None
    _cap([intent for intent in asked if intent.denied is None], context.free)


def _judge_amendment(situation: Situation, intent: Intent, context: RiskContext) -> RiskContext:
    """The order's own lock counts as free for its new form; until the venue confirms, the larger of both is held.

    The same goes for what it adds to the position. Returns what is left for the orders after it.
    """
    order = situation.orders[intent.slot]
    rest = _unfilled(intent, order)
    coin, needed = funds_needed(rest)
    place, adds = (rest.market, rest.side), order_adds(order, intent.watched.last)
    free = context.free.get(coin, Decimal(0)) + order.locked
    standing = context.exposure.get(place)
    own = replace(
        context,
        free={**context.free, coin: free},
        exposure=context.exposure if standing is None else {**context.exposure, place: standing - adds},
        open_orders=None if context.open_orders is None else context.open_orders - 1,
    )
    (answer,) = judge([rest], own)
    intent.denied = answer if isinstance(answer, Deny) else None
    if intent.denied is not None:
        return context
    if standing is not None:
        own = replace(own, exposure={**context.exposure, place: standing - adds + max(adds, rest.added)})
    left = {**context.free, coin: free - max(needed, order.locked)}
    return replace(own, free=left, open_orders=context.open_orders)


def _unfilled(intent: Intent, order: Order) -> RiskOrder:
    """Return what is left of an amended order once what has filled is taken off; it keeps the leverage it has."""
    rest = max(Decimal(0), intent.qty - order.filled_qty)
    leverage = None if intent.risk.leverage is None else order.leverage
    return replace(intent.risk, qty=rest, exit_qty=min(rest, intent.risk.exit_qty), leverage=leverage)


def _cap(allowed: list[Intent], free: Mapping[str, Decimal]) -> None:
    """Bound what orders of unknown price may cost: they share what this decision leaves free of their coin."""
    spare = dict(free)
    capped: dict[str, list[tuple[Intent, Decimal]]] = {}
    for intent in allowed:
        coin, cost = funds_needed(intent.risk)
        spare[coin] = spare.get(coin, Decimal(0)) - cost
        if is_capped(intent.want.side, intent.want.kind, cost, spot=intent.risk.leverage is None):
            capped.setdefault(coin, []).append((intent, cost))
    for coin, buys in capped.items():
        for (intent, _), cap in zip(buys, caps([cost for _, cost in buys], spare[coin]), strict=True):
            intent.max_quote = cap


def _ask(situation: Situation, decision: Decision) -> None:
    """Write the questions down. Raises StrategyFault for a kind that the strategy didn't name in its needs."""
    for ask in decision.asks:
        if ask.kind not in situation.needs.advice:
            raise StrategyFault(f"it asks for {ask.kind!r}, which it didn't name in its needs")
    number, now_ms = situation.runtime.number + 1, situation.view.now_ms
    asks_write(situation.bot, number, now_ms, decision.asks, now=situation.now, simulated=situation.simulated)


def _runtime_advance(lease: Lease, situation: Situation, decision: Decision, *, denied: bool) -> None:
    runtime = situation.runtime
    backoff_s = min(BACKOFF_MAX_S, max(1, runtime.backoff_s * 2)) if denied else 0
    due = [situation.now + timedelta(seconds=backoff_s)] if denied else []
    if decision.wake.at_ms is not None:
        due.append(situation.now + situation.wall_time(decision.wake.at_ms - situation.view.now_ms))
    moved = Runtime.objects.filter(bot=situation.bot, lease_token=lease.token, number=runtime.number).update(
        number=runtime.number + 1,
        state=decision.state,
        state_version=situation.strategy.version,
        params=situation.params.model_dump(mode="json"),
        price_seq=situation.price_seq,
        seen=seen_json(watched.quote for watched in situation.markets.values()),
        due_at=min(due) if due else None,
        not_before=None,
        backoff_s=backoff_s,
        ticked_at=situation.now,
        finish=decision.finish[:200],
        notes=_notes_kept(decision),
    )
    if not moved:
        raise LeaseLost(f"bot {situation.bot.pk} decision {runtime.number + 1}")


def _inbox_mark(situation: Situation) -> None:
    ids = [row.pk for row in situation.inputs]
    if ids:
        BotInput.objects.filter(pk__in=ids, number=None).update(number=situation.runtime.number + 1)


def _cancel(situation: Situation, wanted: Plan) -> None:
    for slot, why in wanted.cancels:
        order = situation.orders[slot]
        Order.objects.filter(pk=order.pk, status__in=Order.LIVE, cancel_why="").update(cancel_why=why)


def _unwanted(situation: Situation, decision: Decision) -> None:
    dropped = [o.pk for slot, o in situation.orders.items() if o.wanted and slot not in decision.orders]
    asked_again = [o.pk for slot, o in situation.orders.items() if not o.wanted and slot in decision.orders]
    if dropped:
        Order.objects.filter(pk__in=dropped).update(wanted=False)
    if asked_again:
        Order.objects.filter(pk__in=asked_again).update(wanted=True)


def _hedges_mark(situation: Situation, decision: Decision) -> None:
    """Let the legs of a group that has begun, which haven't been sent yet, go out as the exits that they are now."""
    begun = groups_begun(decision.orders, situation.slots)
    legs = [order.pk for order in situation.live if order.group in begun and order.status == Order.Status.PLANNED]
    if legs:
        Order.objects.filter(pk__in=legs, status=Order.Status.PLANNED).update(reduce=True)


def _intent_write(situation: Situation, intent: Intent) -> EventDraft | None:
    """Write the order's row (or revive the denied one); returns what the page should be told at once."""
    bot, before = situation.bot, situation.orders.get(intent.slot)
    order = before if before is not None and before.gen == intent.want.gen else None
    was = order.reason if order is not None else None
    if order is None:
        if before is not None:
            Order.objects.filter(pk=before.pk).update(current=False)
        order = Order(
            workspace_id=bot.workspace_id,
            account=bot.account,
            bot=bot,
            market=intent.watched.market,
            alias=intent.watched.alias,
            slot=intent.slot,
            gen=intent.want.gen,
            client_order_id=order_id(bot, intent.slot, intent.want.gen, 1),
        )
    _order_fill_in(situation, order, intent)
    order.save()
    if intent.refused:
        input_row(bot.pk, Closed(order.slot, order.gen, intent.why)).save()
        return order_event(order, "order.rejected", f"Not placed: {intent.refused}", "warning")
    if intent.denied is None:
        return None
    if was is None:
        input_row(bot.pk, Denied(order.slot, order.gen, intent.denied.rule, intent.denied.reason)).save()
    if was == order.reason or bot.status == Bot.Status.PAUSED:  # the pause itself was told
        return None
    return order_event(order, "order.denied", f"Not placed ({order.slot}): {order.reason}", "warning")


def _order_fill_in(situation: Situation, order: Order, intent: Intent) -> None:
    want = intent.want
    order.number = situation.runtime.number + 1
    order.side, order.kind, order.tif = want.side, want.kind, want.tif
    order.reduce = intent.risk.exits
    order.group, order.expires_ms = want.group, want.expires_ms
    order.leverage = intent.risk.leverage or Decimal(1)
    order.want = want_json(want)
    order.qty, order.price, order.trigger = intent.qty, intent.price, intent.trigger
    order.max_quote = intent.max_quote
    order.status, order.reason, order.wanted = Order.Status.PLANNED, "", True
    order.lock_coin, order.locked = funds_needed(intent.risk)
    if intent.max_quote is not None and want.kind is Kind.MARKET:
        order.locked = intent.max_quote  # it fills within a moment: nothing else is decided on that money until then
    if intent.refused:
        order.status, order.reason, order.closed_at = Order.Status.REJECTED, intent.refused, situation.now
    elif intent.denied is not None:
        order.status, order.reason = Order.Status.DENIED, intent.denied.reason[:300]
    if order.status != Order.Status.PLANNED:
        order.locked = Decimal(0)


def _amend_write(situation: Situation, intent: Intent) -> EventDraft | None:
    """Write the wanted form of a live order beside its present one; what was never sent just takes the new form.

    What is denied leaves the order as it is: the strategy's wish stays unmet and keeps the bot due. What would be too
    small for an order ends it.
    """
    order = situation.orders[intent.slot]
    if intent.refused and intent.qty > order.filled_qty:
        Order.objects.filter(pk=order.pk, status__in=Order.LIVE, cancel_why="").update(cancel_why=intent.why)
        return None
    if intent.denied is not None:
        reason = intent.denied.reason
        known = order.reason == reason[:300]
        told = {"bot": situation.bot, "kind": "denied", "payload__slot": order.slot, "payload__gen": order.gen}
        if not BotInput.objects.filter(**told).exists():
            input_row(situation.bot.pk, Denied(order.slot, order.gen, intent.denied.rule, reason)).save()
        Order.objects.filter(pk=order.pk).update(reason=reason[:300])
        return None if known else order_event(order, "order.denied", f"Not changed ({order.slot}): {reason}", "warning")
    _, needed = funds_needed(_unfilled(intent, order))
    new = {"qty": intent.qty, "price": intent.price, "trigger": intent.trigger}
    unsent = Order.objects.filter(pk=order.pk, status=Order.Status.PLANNED)
    if not unsent.update(**new, want=want_json(intent.want), locked=needed, reason=""):
        Order.objects.filter(pk=order.pk, status__in=Order.LIVE).update(
            amend_want=want_json(intent.want),
            amend_qty=intent.qty,
            amend_price=intent.price,
            amend_trigger=intent.trigger,
            locked=max(needed, order.locked),
            reason="",
            amend_tries=0,
            amend_after=None,
        )
    return None


def _notes_kept(decision: Decision) -> list[dict[str, Any]]:
    return [{**note.data, "code": note.code, "text": note.text} for note in decision.notes]


def _notes(situation: Situation, decision: Decision) -> list[EventDraft]:
    """Turn notes of a kind that the last decision didn't have into events; the present ones stand in the runtime.

    What is said of a single order (it names a price) is left to that order's own events.
    """
    known = {note["code"] for note in situation.runtime.notes}
    bot = situation.bot
    return [
        EventDraft("note", note.text, "info", bot.public_id, {**note.data, "code": note.code})
        for note in decision.notes
        if note.code not in known and "price" not in note.data
    ]


def _first_prices(situation: Situation) -> None:
    for watched in situation.markets.values():
        position, _ = Position.objects.get_or_create(bot=situation.bot, market=watched.market)
        Position.objects.filter(pk=position.pk).update(first_price=watched.last)
