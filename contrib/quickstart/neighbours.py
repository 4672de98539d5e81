#!/usr/bin/python3
"""contrib/quickstart/neighbours.py DIR: what jobq talks to in the quickstart, on loopback: a mail server and a shop's inventory over HTTP.

Both are real servers: aiosmtpd (Debian's python3-aiosmtpd) takes mail and keeps each message as DIR/mail/N.eml, envelope first; the shop
answers GET /inventory?page=N with JSON pages of 100 items. When both listen, their addresses are in DIR/smtp.url and DIR/shop.url. Ends with
SIGTERM.
"""
import asyncio
import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.smtp import SMTP

ITEMS, PAGE = 500, 100


class Letterbox:
    """Keeps every message; the answer comes when it is on disk."""

    def __init__(self, directory):
        self.directory = os.path.join(directory, "mail")
        os.makedirs(self.directory)
        self.count = 0

    async def handle_DATA(self, server, session, envelope):  # pylint: disable=invalid-name,unused-argument
        self.count += 1
        path = os.path.join(self.directory, f"{self.count}.eml")
        with open(path + ".part", "wb") as f:
            f.write(f"X-Envelope-To: {', '.join(envelope.rcpt_tos)}\r\n".encode() + envelope.content)
        os.rename(path + ".part", path)
        return "250 kept"


class Shop(BaseHTTPRequestHandler):
    """GET /inventory?page=N: {"items": [{"sku", "quantity"}], "next": the URL of the next page, or null}."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):  # pylint: disable=invalid-name
        url = urlsplit(self.path)
        page = int(parse_qs(url.query).get("page", ["1"])[0])
        first = (page - 1) * PAGE
        more = first + PAGE < ITEMS
        body = json.dumps({"items": [{"sku": f"sku-{n}", "quantity": n % 40} for n in range(first, min(first + PAGE, ITEMS))],
                           "next": f"{url.path}?page={page + 1}" if more else None}).encode()
        self.send_response(200 if url.path == "/inventory" else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path + ".part", "w", encoding="ascii") as f:
        f.write(text + "\n")
    os.rename(path + ".part", path)


async def serve(directory):
    box, loop = Letterbox(directory), asyncio.get_running_loop()
    mail = await loop.create_server(lambda: SMTP(box, enable_SMTPUTF8=False), "127.0.0.1", 0)
    shop = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    Thread(target=shop.serve_forever, daemon=True).start()
    write(directory, "smtp.url", f"smtp://127.0.0.1:{mail.sockets[0].getsockname()[1]}")
    write(directory, "shop.url", f"http://127.0.0.1:{shop.server_port}/inventory")
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    await end.wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
