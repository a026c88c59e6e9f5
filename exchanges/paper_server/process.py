"""The paper venue as a process: its own database, its own feed, its own log; the platform reaches it over HTTP only.

It walks its book whether or not the platform lives. Killed and started again it goes on where its database stands: what
it had answered stands there, and the prices that it missed are walked first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from exchanges import paper_log
from exchanges.demo import SOURCE
from exchanges.paper_server.control import Control
from exchanges.paper_server.faults import Faults, Rule
from exchanges.paper_server.gate import Gate
from exchanges.paper_server.walker import Board, Walker
from exchanges.paper_server.web import Door, Site
from exchanges.streams import Streams, stream_for


def serve(
    address: tuple[str, int],
    secret: str,
    control: str,
    rules: Iterable[Rule],
    stop: threading.Event,
    ready: Callable[[str], object],
    *,
    feed: bool,
) -> None:
    """Be the venue until `stop` is set; `ready` is told its address. Without `feed` prices come from control only."""
    paper_log.keep()
    board, faults = Board(), Faults(rules)
    walker = Walker(board)
    site = Site(Gate(secret, control), faults, board, Control(faults, walker, board), stop)
    with Door(address, site) as door:
        threading.Thread(target=door.serve_forever, name="door", daemon=True).start()
        ready(f"http://{address[0]}:{door.server_address[1]}")
        stream = stream_for(SOURCE) if feed else None
        if stream is None:
            stop.wait()
        else:
            Streams([stream], walker.on_bar, lambda part: None, walker.before).run(stop)
        board.ring()
        door.shutdown()
