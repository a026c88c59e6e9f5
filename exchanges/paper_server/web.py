"""The venue's door: HTTP/1.1 with connections that stay open, one thread each, one answer a request.

POST /v1/CALL        the calls of the Venue port, signed with an account's key
GET  /news?after=N   who has news since N, as soon as there is any (signed by the platform)
POST /control/VERB   faults and prices on demand (signed with the control key)
GET  /health, /clock, /markets
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from django.db import close_old_connections, connections

from accounts.containment import contain
from exchanges.adapters.paperwire import parse
from exchanges.adapters.paperwire.sign import KEY
from exchanges.demo import clock_text, wall_now_ms
from exchanges.models import Market, PaperLog
from exchanges.paper_server.calls import do_call, without_young
from exchanges.paper_server.control import Control
from exchanges.paper_server.faults import BEFORE, ROWS, Fault, Faults, Rule, spoilt_rows
from exchanges.paper_server.gate import Gate, Refused, account_of
from exchanges.paper_server.walker import Board
from exchanges.selectors import demo_clock_get
from trading.core.rounding import plain

log = logging.getLogger(__name__)
MOST_BYTES = 4 * 2**20
IDLE_S = 120  # a connection on which nobody asks anything is closed
JSON, PAGE = "application/json", "text/html; charset=utf-8"
_PAGE = b"<html><head><title>Bad Gateway</title></head><body><center><h1>Bad Gateway</h1></center></body></html>"
_PATIENCE = "2"


class Answer(NamedTuple):
    status: int
    body: bytes
    type: str = JSON
    length: int | None = None  # that it says it has, where it lies
    headers: tuple[tuple[str, str], ...] = ()


class Cut(Exception):
    """The line is cut instead of an answer."""


@dataclass
class Site:
    """What the door opens to."""

    gate: Gate
    faults: Faults
    board: Board
    control: Control
    stop: threading.Event


class Door(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], site: Site) -> None:
        super().__init__(address, Handler)
        self.site = site

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection in its thread, which takes its connection to the database with it."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            connections.close_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("%s has hung up", client_address)  # that is their business


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_S
    server: Door

    def do_GET(self) -> None:
        self._serve(self._get)

    def do_POST(self) -> None:
        self._serve(self._post)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (its name in the standard library)
        log.debug(format, *args)  # what matters stands in the log of the database

    def _serve(self, work: Callable[[], Answer]) -> None:
        close_old_connections()
        answer: Answer | None = Answer(500, _error("fault", "the venue has failed"))
        with contain(f"{self.command} {urlsplit(self.path).path}"):
            answer = _answered(work)
        if answer is not None:
            self._send(answer)
            return
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, answer: Answer) -> None:
        """Send it in one piece."""
        head = [f"HTTP/1.1 {answer.status} {self.responses[answer.status][0]}", f"Content-Type: {answer.type}"]
        length = len(answer.body) if answer.length is None else answer.length
        head += [f"Content-Length: {length}", *(f"{name}: {value}" for name, value in answer.headers)]
        if length != len(answer.body):
            self.close_connection = True
        if self.close_connection:
            head.append("Connection: close")
        self.wfile.write("\r\n".join([*head, "", ""]).encode() + answer.body)

    def _body(self) -> bytes:
        told = self.headers.get("Content-Length", "")
        if not told.isdecimal() or int(told) > MOST_BYTES:
            self.close_connection = True  # what follows can't be told from a next request
            raise Refused(400, "malformed", f"a body needs its length, up to {MOST_BYTES} bytes")
        return self.rfile.read(int(told))

    # --- questions ---------------------------------------------------------------------------------------------------

    def _get(self) -> Answer:
        site, url = self.server.site, urlsplit(self.path)
        match url.path:
            case "/health":
                return Answer(200, json.dumps({"status": "ok", "now_ms": wall_now_ms()}).encode())
            case "/clock":
                return Answer(200, _clock())
            case "/markets":
                return Answer(200, json.dumps(_markets()).encode())
            case "/news":
                site.gate.platform(self.headers, self.path, b"")  # type: ignore[arg-type]
                asked = parse_qs(url.query)
                after, wait_s = (_whole(asked.get(name, [""])[0]) for name in ("after", "wait"))
                return Answer(200, parse.write(parse.NEWS, site.board.news(after, wait_s)))
        raise Refused(404, "call", f"there is nothing at {url.path}")

    # --- calls -------------------------------------------------------------------------------------------------------

    def _post(self) -> Answer:
        body = self._body()
        place, _, name = self.path.removeprefix("/").partition("/")
        if place == "control":
            self.server.site.gate.control(self.headers, self.path, body)  # type: ignore[arg-type]
            return Answer(200, self.server.site.control.do(name, body))
        if place != "v1":
            raise Refused(404, "call", f"there is nothing at {self.path}")
        rule = self.server.site.faults.strike(name, self.headers.get(KEY, ""))
        if rule is not None and rule.fault is Fault.DELAY:
            self.server.site.stop.wait(rule.seconds)  # on the way: the signature grows old
        key = self.server.site.gate.account_key(self.headers, self.path, body)  # type: ignore[arg-type]
        account = account_of(key)
        if rule is None:
            return Answer(200, do_call(account, name, body))
        payload = {"fault": rule.fault.value, "call": name, "body": body.decode("utf-8", "replace")[:2000]}
        PaperLog.objects.create(account=account, kind=PaperLog.Kind.FAULT, payload=payload)
        if rule.fault in BEFORE:
            return _instead(rule)
        answer = do_call(account, name, body)
        if rule.fault is Fault.LAG and name in ("lookup", "open_orders"):
            answer = without_young(account, answer, rule.seconds)
        if rule.fault is Fault.DELAY_AFTER:
            self.server.site.stop.wait(rule.seconds)
        return _spoilt(rule, name, answer)


def _answered(work: Callable[[], Answer]) -> Answer | None:
    """Return the answer, a refusal included; None when the line is to be cut."""
    try:
        return work()
    except Refused as refusal:
        return Answer(refusal.status, _error(refusal.code, refusal.message))
    except Cut:
        return None


def _instead(rule: Rule) -> Answer:
    """Return what comes in place of doing it. Raises Cut."""
    if rule.fault is Fault.DROP_BEFORE:
        raise Cut
    if rule.fault is Fault.RATE_LIMITED:
        return Answer(429, _error("rate", "too many requests"), headers=(("Retry-After", _PATIENCE),))
    return _gateway(rule)


def _spoilt(rule: Rule, call: str, answer: bytes) -> Answer:
    """Return what becomes of an answer. Raises Cut."""
    match rule.fault:
        case Fault.DROP_AFTER:
            raise Cut
        case Fault.GATEWAY_AFTER:
            return _gateway(rule)
        case Fault.TRUNCATED:
            half = answer[: rule.dice.randrange(len(answer))]
            return Answer(200, half, length=rule.dice.choice((len(half), len(answer))))
        case Fault.GARBLED:
            return Answer(200, rule.dice.randbytes(rule.dice.randrange(200)))
        case Fault.WRONG_TYPE:
            return Answer(200, answer, type=PAGE)
        case fault if fault in ROWS:
            return Answer(200, spoilt_rows(rule, call, answer))
    return Answer(200, answer)


def _gateway(rule: Rule) -> Answer:
    return Answer(rule.dice.choice((502, 503, 504)), _PAGE, type=PAGE)


def _error(code: str, message: str) -> bytes:
    return json.dumps({"code": code, "message": message}).encode()


def _whole(text: str) -> int:
    try:
        return int(text or "0")
    except ValueError:
        raise Refused(400, "malformed", f"{text!r} is not a whole number") from None


def _clock() -> bytes:
    """Tell the demo market's clock: with the same one a platform sees the same prices at the same time."""
    clock = demo_clock_get()
    return json.dumps({"clock": clock_text(clock) if clock else ""}).encode()


def _markets() -> list[dict[str, Any]]:
    """Return the markets with their rules, money as text."""
    names = ("symbol", "base", "quote", "active", "perpetual", "funding_interval_ms")
    fees = ("maker_fee", "taker_fee", "max_leverage", "maintenance_rate", "funding_rate")
    money = ("tick", "lot", "min_qty", "min_notional", *fees)
    rows = Market.objects.filter(source="demo").order_by("id")
    return [
        {name: getattr(row, name) for name in names} | {name: plain(getattr(row, name)) for name in money}
        for row in rows
    ]
