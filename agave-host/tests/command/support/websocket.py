"""An independent peer: `websockets` for Python. Runs the function that the first argument names,
with the other arguments; what is not as it should be is an assertion that fails."""

import asyncio
import os
import signal
import socket
import sys

from websockets.asyncio.client import connect as ws_connect
from websockets.asyncio.server import serve as ws_serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

PATIENCE = 50


def connect(url, **options):
    defaults = dict(proxy=None, max_size=None, open_timeout=PATIENCE, ping_interval=None)
    return ws_connect(url, **(defaults | options))


async def closed(ws):
    """The code and reason that the server closes the connection with."""
    try:
        while True:
            await ws.recv()
    except ConnectionClosed:
        return ws.close_code, ws.close_reason


async def status(url, **options):
    """The status, fields and text of a refusal."""
    try:
        async with connect(url, **options):
            raise AssertionError("accepted")
    except InvalidStatus as refused:
        response = refused.response
        return response.status_code, response.headers, (response.body or b"").decode()


async def echo(url):
    async with connect(url) as ws:
        for message in ["", "a", "ä€𝄞" * 1000, b"", b"\0\xff" * 500, "x" * 65536, bytes(1 << 20)]:
            await ws.send(message)
            assert await ws.recv() == message
        # In fragments, with a ping in between.
        await ws.send(["one ", "two ", "three"])
        pong = await ws.ping(b"here")
        assert await ws.recv() == "one two three"
        await pong
        # Many at once: they come back in order.
        async def all_sent():
            for n in range(1000):
                await ws.send(str(n))
        sending = asyncio.create_task(all_sent())
        for n in range(1000):
            assert await ws.recv() == str(n)
        await sending
        await ws.close(4321, "enough")
        assert (ws.close_code, ws.close_reason) == (4321, "enough")


async def long(url):
    """A message of 16 MiB passes, one that is longer does not."""
    message = os.urandom(1 << 20) * 16
    async with connect(url) as ws:
        await ws.send(message)
        assert await ws.recv() == message
    ws = await connect(url, compression=None)
    try:
        await ws.send(message + b"1")
    except ConnectionClosed:
        pass
    assert (await closed(ws))[0] == 1009, ws.close_code


async def subprotocols(url):
    async with connect(url + "/echo") as ws:
        assert ws.subprotocol is None
    offered = [Subprotocol("second.best"), Subprotocol("best")]
    async with connect(url + "/echo", subprotocols=offered) as ws:
        assert ws.subprotocol == "second.best"
    async with connect(url + "/protocol?best", subprotocols=offered) as ws:
        assert ws.subprotocol == "best"
    # The guest chose one that was not offered.
    assert (await status(url + "/protocol?worst", subprotocols=offered))[0] == 500


async def refusals(url):
    for route, code in [("/refuse?403", 403), ("/refuse?200", 200), ("/refuse?599", 599)]:
        got, fields, text = await status(url + route)
        assert (got, fields["x-why"], text) == (code, "a test", "refused\n"), (got, fields, text)
    assert (await status(url + "/nothing"))[0] == 404
    for route in ["/refuse?101", "/noanswer", "/trapfirst"]:
        got, _, text = await status(url + route)
        assert got == 500 and text.startswith("the program "), (route, got, text)


async def closes(url):
    for route, code, reason in [
        ("/close?1000", 1000, "as asked"),
        ("/close?4999", 4999, "as asked"),
        ("/close?none", 1005, ""),
        ("/return", 1001, ""),
    ]:
        async with connect(url + route) as ws:
            got = await closed(ws)
            assert got == (code, reason), (route, got)


async def trap(url):
    """The guest traps after a message, in the middle of another one or not."""
    async with connect(url) as ws:
        await ws.send("now")
        got = await closed(ws)
        assert got[0] == 1011, got


async def once(url):
    """One message there and back."""
    async with connect(url) as ws:
        await ws.send("here")
        assert await ws.recv() == "here"


async def counted(url):
    """Three connections, two of them at once: each is the first of its instance."""
    async with connect(url) as first, connect(url) as second:
        assert [await first.recv(), await second.recv()] == ["1", "1"]
    async with connect(url) as third:
        assert await third.recv() == "1"


async def refused(url, code):
    got, _, text = await status(url)
    assert got == int(code), (got, text)
    print(text, end="")


async def many(url, count):
    """So many connections open at once, each echoing."""
    count = int(count)
    gate = asyncio.Semaphore(50)

    async def open_one():
        async with gate:
            return await connect(url, compression=None)

    open_ones = await asyncio.gather(*(open_one() for _ in range(count)))

    async def talk(n, ws):
        for text in [f"{n}", f"{n} again", f"{n} " * 1000]:
            await ws.send(text)
            assert await ws.recv() == text

    for _ in range(2):
        await asyncio.gather(*(talk(n, ws) for n, ws in enumerate(open_ones)))
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*(talk(n, ws) for n, ws in enumerate(open_ones)))
    await asyncio.gather(*(ws.close() for ws in open_ones))


async def until_told(url):
    """Is open until the server closes the connection, and tells how."""
    async with connect(url) as ws:
        print("open", flush=True)
        print(*await closed(ws))


async def unread(url):
    """Reads nothing until it is told to end."""
    ws = await connect(url, max_queue=1, compression=None)
    ws.transport.pause_reading()
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    os._exit(0)


async def vanish(url):
    """Is open until its process is killed."""
    ws = await connect(url)
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    # Without a close frame.
    sock = ws.transport.get_extra_info("socket")
    sock.shutdown(socket.SHUT_RDWR)
    os._exit(0)


async def server():
    """Echoes, with the subprotocol `two`; on `/teapot` refuses. Tells its port, then how its
    connections end."""

    async def handler(ws):
        try:
            async for message in ws:
                if message == "close":
                    await ws.close(4002, "there")
                await ws.send(message)
        except ConnectionClosed:
            pass
        print(ws.close_code, ws.close_reason, flush=True)

    def process(ws, request):
        if request.path == "/teapot":
            return ws.respond(418, "no\n")
        return None

    async with ws_serve(
        handler, "127.0.0.1", 0, subprotocols=[Subprotocol("two")], process_request=process
    ) as listening:
        print(listening.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        os._exit(0)


signal.signal(signal.SIGPIPE, signal.SIG_DFL)
asyncio.run(globals()[sys.argv[1]](*sys.argv[2:]))
