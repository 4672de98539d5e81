"""The other side of a delivery: an HTTP server that writes down each effect before it admits to it.

Run as a process: receiver.py DIR [PORT]. DIR/effects gets one fsynced JSON line for each accepted message, before the answer is
sent: whatever happens to either side afterwards, the effect is on record. DIR/attempts gets a line for each request, unsynced. DIR/port is
written once it listens. It takes both of the sms handler's drivers: POST of a JSON body with "to" and "text", and Kannel's
/cgi-bin/sendsms (GET with a query, or POST with X-Kannel headers).

How it answers is chosen by the number: +999 and three digits, then anything. A digit triple of 400 to 599 is that status (nothing is
accepted; 429 and 503 with Retry-After: 2); the others are in MANNERS below. POST /control {"manner": "503", "slow": 0.2} changes how all
other numbers are met, until {"manner": ""}. {"bears": 20}: it takes so many in a second and meets more with 429, without Retry-After, until
{"bears": 0}.
"""
import asyncio
import itertools
import json
import os
import signal
import sys
import time
from urllib.parse import parse_qs, urlsplit

MANNERS = {
    "001": "slow",            # accepts, answers after a second
    "002": "accept-reset",    # accepts, then resets the connection without an answer
    "003": "accept-silent",   # accepts, never answers
    "004": "byte-a-second",   # accepts, answers one byte a second
    "005": "huge",            # 400 with an error text of 10 MB
    "006": "garbage",         # what comes back is not HTTP
    "007": "dirty",           # 400, error text with NUL, broken UTF-8, control characters
    "008": "reset",           # resets without accepting
    "009": "accept-not-json", # accepts, 200 with a body that is no JSON
    "010": "flaky",           # 500 the first time, accepts from then on
    "011": "retry-date",      # 429 the first time, Retry-After as a date two seconds ahead; accepts from then on
    "012": "later",           # 429 the first time, Retry-After: 1; accepts from then on
}
REASONS = {200: "OK", 202: "Accepted", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 429: "Too Many Requests",
           500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


class Receiver:
    def __init__(self, directory):
        self.effects = os.open(os.path.join(directory, "effects"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.attempts = open(os.path.join(directory, "attempts"), "a", buffering=1, encoding="utf-8")
        self.ids = itertools.count(1)
        self.seen = {}
        self.manner, self.slow, self.bears, self.taken = "", 0.0, 0, []

    def accept(self, message):
        os.write(self.effects, (json.dumps(message) + "\n").encode())
        os.fsync(self.effects)

    def choose(self, number):
        if number.startswith("+999") and len(number) >= 7:
            code = number[4:7]
            return code if "400" <= code <= "599" else MANNERS.get(code, "")
        return self.manner or ("busy" if self.overloaded() else "")

    def overloaded(self):
        now = time.monotonic()
        self.taken = [at for at in self.taken if at > now - 1]
        if self.bears and len(self.taken) >= self.bears:
            return True
        self.taken.append(now)
        return False

    async def serve(self, reader, writer):
        try:
            while await self.one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError):
            pass
        finally:
            writer.close()

    async def one(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        start, *lines = head.split("\r\n")
        verb, target, _ = start.split(" ")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        url = urlsplit(target)
        if url.path == "/control":
            return await self.control(writer, body)
        query = {k: v[0] for k, v in parse_qs(url.query, keep_blank_values=True).items()}
        if "x-kannel-to" in headers:
            data = {"to": headers["x-kannel-to"], "text": body.decode("utf-8", "replace"), "from": headers.get("x-kannel-from")}
        else:
            data = json.loads(body) if body else query
        number = str(data.get("to", ""))
        self.seen[number] = self.seen.get(number, 0) + 1
        manner = self.choose(number)
        message = {"t": time.time(), "m": time.monotonic(), "n": next(self.ids), "to": number, "text": data.get("text"), "data": data, "path": url.path,
                   "query": query, "headers": headers, "attempt": self.seen[number], "manner": manner}
        self.attempts.write(json.dumps(message) + "\n")
        if self.slow:
            await asyncio.sleep(self.slow)
        return await self.meet(writer, manner, message)

    async def control(self, writer, body):
        wish = json.loads(body)
        self.manner = MANNERS.get(wish.get("manner", self.manner), wish.get("manner", self.manner))
        self.slow, self.bears = float(wish.get("slow", self.slow)), int(wish.get("bears", self.bears))
        return await self.answer(writer, 200, b"{}")

    async def answer(self, writer, status, body, kind="application/json", extra=""):
        writer.write(f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body)
        await writer.drain()
        return True

    async def yes(self, writer, message):
        self.accept(message)
        if message["path"].startswith("/cgi-bin"):
            return await self.answer(writer, 202, b"0: Accepted for delivery", "text/html")
        return await self.answer(writer, 200, json.dumps({"id": f"m-{message['n']}", "messages": [{"id": f"m-{message['n']}"}]}).encode())

    async def meet(self, writer, manner, message):
        if manner.isdigit():
            extra = "Retry-After: 2\r\n" if manner in ("429", "503") else ""
            return await self.answer(writer, int(manner), f"refused with {manner}".encode(), "text/plain", extra)
        handler = getattr(self, "meet_" + manner.replace("-", "_"), None)
        return await (handler(writer, message) if handler else self.yes(writer, message))

    async def meet_busy(self, writer, _message):
        return await self.answer(writer, 429, b"slow down", "text/plain")

    async def meet_slow(self, writer, message):
        self.accept(message)
        await asyncio.sleep(1)
        return await self.answer(writer, 200, b'{"id": "slow"}')

    async def meet_accept_reset(self, writer, message):
        self.accept(message)
        return await self.meet_reset(writer, message)

    async def meet_reset(self, writer, _message):
        import socket
        import struct
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return False

    async def meet_accept_silent(self, _writer, message):
        self.accept(message)
        await asyncio.sleep(3600)
        return False

    async def meet_byte_a_second(self, writer, message):
        self.accept(message)
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}":
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(1)
        return True

    async def meet_huge(self, writer, _message):
        return await self.answer(writer, 400, b"no such number " * (10 * 1024 * 1024 // 15), "text/plain")

    async def meet_garbage(self, writer, _message):
        writer.write(b"\x00\xff\x16\x03 this is not HTTP\r\n\r\n")
        await writer.drain()
        return False

    async def meet_dirty(self, writer, _message):
        return await self.answer(writer, 400, b"bad \x00 number \xff\xfe \x1b[31m red \xc3\x28\r\nsecond line", "text/plain")

    async def meet_accept_not_json(self, writer, message):
        self.accept(message)
        return await self.answer(writer, 200, b"<html>fine</html>", "text/html")

    async def meet_flaky(self, writer, message):
        if message["attempt"] == 1:
            return await self.answer(writer, 500, b"try again", "text/plain")
        return await self.yes(writer, message)

    async def meet_later(self, writer, message):
        if message["attempt"] == 1:
            return await self.answer(writer, 429, b"slow down", "text/plain", "Retry-After: 1\r\n")
        return await self.yes(writer, message)

    async def meet_retry_date(self, writer, message):
        if message["attempt"] == 1:
            at = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2))
            return await self.answer(writer, 429, b"slow down", "text/plain", f"Retry-After: {at}\r\n")
        return await self.yes(writer, message)


async def main(directory, port):
    receiver = Receiver(directory)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", port, limit=1 << 20, backlog=1024)
    stop = asyncio.Event()
    for sig in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sig, stop.set)
    path = os.path.join(directory, "port")
    with open(path + ".new", "w", encoding="ascii") as f:
        f.write(str(server.sockets[0].getsockname()[1]))
    os.rename(path + ".new", path)
    await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0))
