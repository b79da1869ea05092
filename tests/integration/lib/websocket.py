# SPDX-License-Identifier: BSD-2-Clause
"""Python's websockets, both ends, driven from plain code: their loop runs in a thread."""

import asyncio
import contextlib
import threading

import pytest

from lib.patience import PATIENCE

websockets = pytest.importorskip("websockets", reason="python3-websockets is not installed (./dev setup test)")


class Loop:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE)
        self.loop.close()


class EchoServer(Loop):
    """Sends every message back, and closes when it is told to: "close 4000 why". Keeps the headers of each handshake
    and the code that each connection ended with."""

    def __init__(self, path=None, tls=None):
        """path: a unix socket instead of a port."""
        super().__init__()
        self.handshakes, self.codes = [], []
        self.server = self.do(self._start(path, tls))
        self.address = path or "127.0.0.1:%d" % self.server.sockets[0].getsockname()[1]
        self.url = f"unix:{path}" if path else f"{'https' if tls else 'http'}://{self.address}"

    async def _start(self, path, tls):
        # Without pings of its own after 20 seconds, which a test that reads bare frames would take for an echo.
        how = {"max_size": None, "subprotocols": ["echo"], "ssl": tls, "ping_interval": None}
        if path:
            return await websockets.unix_serve(self._echo, path, **how)
        return await websockets.serve(self._echo, "127.0.0.1", 0, **how)

    async def _echo(self, socket, *_):
        self.handshakes.append(socket.request_headers)
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in socket:
                if isinstance(message, str) and message.startswith("close "):
                    await socket.close(int(message.split()[1]), message.split(maxsplit=2)[2])
                else:
                    await socket.send(message)
        self.codes.append((socket.close_code, socket.close_reason))

    def stop(self):
        async def close():
            self.server.close()
            await self.server.wait_closed()
        self.do(close())
        super().stop()


class WebSocket(Loop):
    """A client; closes with the close handshake."""

    def __init__(self, url, **how):
        super().__init__()
        self.socket = self.do(self._connect(url, how))

    async def _connect(self, url, how):
        how.setdefault("compression", None)
        return await websockets.connect(url, max_size=None, open_timeout=PATIENCE, **how)

    def echo(self, message):
        async def both():
            await self.socket.send(message)
            return await self.socket.recv()
        return self.do(both())

    def send(self, message):
        self.do(self.socket.send(message))

    def receive(self):
        return self.do(self.socket.recv())

    def ping(self):
        """Until the pong is back."""
        async def both():
            await (await self.socket.ping())
        self.do(both())

    def close(self):
        """The close code that came back."""
        self.do(self.socket.close())
        code = self.socket.close_code
        self.stop()
        return code
