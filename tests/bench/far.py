"""far.py DIR [PORT]: the other side of a delivery with as little of its own as possible, to see when requests arrive.

A lean twin of tests/fault/receiver.py: it stamps a request when its bytes are there, writes DIR/arrivals ("monotonic ns, text"), and answers
after NEAR seconds, one in STALLED of them (chosen by its text) after FAR seconds. DIR/port is written once it listens.
"""
import asyncio
import json
import os
import signal
import sys
import time
import zlib

NEAR, FAR, STALLED = 0.02, 2.0, 20


class Connection(asyncio.Protocol):
    def __init__(self, arrivals):
        self.arrivals, self.bytes, self.transport = arrivals, b"", None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        at = time.monotonic_ns()
        self.bytes += data
        while b"\r\n\r\n" in self.bytes:
            head, _, rest = self.bytes.partition(b"\r\n\r\n")
            length = next((int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:"), 0)
            if len(rest) < length:
                return
            self.bytes = rest[length:]
            self.arrived(at, json.loads(rest[:length])["text"])

    def arrived(self, at, text):
        self.arrivals.write(f"{at} {text}\n")
        asyncio.get_running_loop().call_later(FAR if zlib.crc32(text.encode()) % STALLED == 0 else NEAR, self.answer)

    def answer(self):
        if not self.transport.is_closing():
            self.transport.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"id":"m"}')


async def main(directory, port):
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    with open(os.path.join(directory, "arrivals"), "a", buffering=1, encoding="utf-8") as arrivals:
        server = await loop.create_server(lambda: Connection(arrivals), "127.0.0.1", port, backlog=1024)
        for sig in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sig, stop.set)
        path = os.path.join(directory, "port")
        with open(path + ".new", "w", encoding="ascii") as f:
            f.write(str(server.sockets[0].getsockname()[1]))
        os.rename(path + ".new", path)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0))
