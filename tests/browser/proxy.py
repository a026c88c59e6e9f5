"""A wire between browser and server that a test can cut: the server lives on and knows nothing of it."""

from __future__ import annotations

import contextlib
import socket
import threading


class Wire:
    """Forwards one local port to the server's. While cut, connections are dropped and new ones refused."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.cut_now = threading.Event()
        self.lock = threading.Lock()  # whoever comes in during a cut is cut, too
        self.pairs: list[socket.socket] = []
        self.door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.door.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        with self.lock:
            self.cut_now.set()
            for end in self.pairs:
                _hang_up(end)
            self.pairs.clear()

    def mend(self) -> None:
        self.cut_now.clear()

    def close(self) -> None:
        self.cut()
        _hang_up(self.door)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.door.accept()
            except OSError:
                return
            with self.lock:
                if self.cut_now.is_set():
                    _hang_up(near)
                    continue
                far = socket.create_connection(("127.0.0.1", self.target))
                self.pairs += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        _hang_up(source)
        _hang_up(sink)


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
