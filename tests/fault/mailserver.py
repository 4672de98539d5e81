"""The other side of mail: an SMTP server (aiosmtpd) that writes down each message before it answers for it.

Run as a process: mailserver.py DIR [PORT]. DIR/effects gets one fsynced JSON line for each message that was taken, before the answer;
DIR/attempts one line for each command that was judged, unsynced. DIR/port is written once it listens. DIR/options (JSON, read at the start):
"tls" (starttls, implicit), "cert", "key", "user", "password" (then AUTH is required), "pipelining". DIR/control (JSON, read whenever
something is decided):
"greet" (sent instead of 220; "mute": nothing is), "end" (a manner for all messages), "max_rcpts" (more get 452), "cut_received" and "cut_sent" (connection
2n of this server is cut after n bytes, while n is at most this; those between are left alone, so that it is no outage).

Manners stand before a dash in an address. Of the sender: m550-. Of a recipient: r450- is refused so every time, o450- the first time only,
rdrop- drops the connection. For the message, by any recipient: e554- that answer, f451- the first time only, drop- (no message, no answer), take- (taken, the
connection is dropped without an answer), mute- (taken, never answered), slow- (taken, answered after a second), e421- (and closed).
"""
import asyncio
import base64
import functools
import itertools
import json
import os
import signal
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def read(directory, name):
    try:
        with open(os.path.join(directory, name), encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return {}


class Server:
    """What the connections share; also aiosmtpd's handler."""

    def __init__(self, directory):
        self.dir, self.options = directory, read(directory, "options")
        self.effects = os.open(os.path.join(directory, "effects"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.attempts = open(os.path.join(directory, "attempts"), "a", buffering=1, encoding="utf-8")
        self.connections, self.seen = itertools.count(1), set()

    def control(self):
        return read(self.dir, "control")

    def note(self, session, what, text, answer):
        self.attempts.write(json.dumps({"connection": session.number, what: text, "answer": answer}) + "\n")
        return answer

    def first(self, what):
        if what in self.seen:
            return False
        self.seen.add(what)
        return True

    def authenticate(self, _server, session, _envelope, mechanism, data):
        good = (data.login, data.password) == (self.options["user"].encode(), self.options["password"].encode())
        self.note(session, "auth", mechanism, good)
        return AuthResult(success=good, handled=True) if good else AuthResult(success=False, handled=False)

    async def handle_EHLO(self, _server, session, _envelope, hostname, responses):
        session.host_name = hostname
        if self.options.get("pipelining"):
            responses.insert(1, "250-PIPELINING")
        return responses

    async def handle_MAIL(self, _server, session, envelope, address, options):
        manner = address.partition("-")[0]
        if manner[1:].isdigit() and manner[0] == "m":
            return self.note(session, "mail", address, f"{manner[1:]} 5.1.8 <{address}>: not liked")
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.note(session, "mail", address, "250 2.1.0 OK")

    async def handle_RCPT(self, server, session, envelope, address, _options):
        manner = address.partition("-")[0]
        limit = self.control().get("max_rcpts")
        if manner == "rdrop":
            server.transport.abort()
        if limit is not None and len(envelope.rcpt_tos) >= limit:
            return self.note(session, "rcpt", address, "452 4.5.3 Too many recipients")
        if manner[1:].isdigit() and (manner[0] == "r" or manner[0] == "o" and self.first(address)):
            return self.note(session, "rcpt", address, f"{manner[1:]} 5.1.1 <{address}>: no such user here")
        envelope.rcpt_tos.append(address)
        return self.note(session, "rcpt", address, "250 2.1.5 OK")

    def take(self, server, session, envelope):
        line = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "data": base64.b64encode(envelope.original_content).decode(),
                "connection": session.number, "tls": session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None, "helo": session.host_name}
        os.write(self.effects, (json.dumps(line) + "\n").encode())
        os.fsync(self.effects)

    async def handle_DATA(self, server, session, envelope):
        manner = next((m for m in (a.partition("-")[0] for a in envelope.rcpt_tos) if m[1:].isdigit() and m[0] in "ef" or
                       m in ("drop", "take", "mute", "slow")), self.control().get("end", ""))
        if manner[:1] == "f":
            manner = "e" + manner[1:] if self.first(envelope.rcpt_tos[0]) else ""
        if manner[:1] == "e":
            if manner == "e421":
                asyncio.get_running_loop().call_later(0.05, server.transport.close)
            return self.note(session, "end", manner, f"{manner[1:]} 5.7.1 <{envelope.rcpt_tos[0]}>: not this message")
        if manner != "drop":
            self.take(server, session, envelope)
        self.note(session, "end", manner, "250")
        if manner in ("drop", "take"):
            server.transport.abort()
        elif manner == "mute":
            await asyncio.sleep(3600)
        elif manner == "slow":
            await asyncio.sleep(1)
        return f"250 2.0.0 OK: queued as {len(self.seen)}-{session.number}"


class Connection(SMTP):
    """One connection; counts bytes, so that it can be cut at any of them."""

    def connection_made(self, transport):
        again = self.session is not None # after STARTTLS
        super().connection_made(transport)
        if not again:
            self.number, self.received, self.sent = next(self.event_handler.connections), 0, 0
            control = self.event_handler.control()
            turn = self.number // 2 if self.number % 2 == 0 else None
            self.cut_received = turn if turn and turn <= control.get("cut_received", 0) else None
            self.cut_sent = turn if turn and turn <= control.get("cut_sent", 0) else None
        self.session.number = self.number

    def data_received(self, data):
        self.received += len(data)
        if self.cut_received is not None and self.received >= self.cut_received:
            data = data[:len(data) - (self.received - self.cut_received)]
            self.loop.call_later(0.01, self.transport.abort)
            self.transport.pause_reading()
        if data:
            super().data_received(data)

    async def push(self, status):
        greet = self.event_handler.control().get("greet")
        if greet == "mute" and status.startswith("220 "):
            return
        if greet and status.startswith("220 "):
            await super().push(greet)
            self.transport.close()
            return
        left = None if self.cut_sent is None else self.cut_sent - self.sent
        if left is not None and len(status) + 2 >= left:
            self._writer.write((status + "\r\n").encode()[:max(left, 0)])
            await self._writer.drain()
            self.sent += len(status) + 2
            self.loop.call_later(0.01, self.transport.abort)
            return
        self.sent += len(status) + 2
        await super().push(status)


async def main(directory, port):
    server, loop = Server(directory), asyncio.get_running_loop()
    options, context, keys = server.options, None, {}
    if options.get("tls"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options["cert"], options["key"])
    if options.get("tls") == "starttls":
        keys.update(tls_context=context, require_starttls=True)
    if options.get("user"):
        keys.update(authenticator=server.authenticate, auth_required=True, auth_require_tls=options.get("tls") == "starttls")
    make = functools.partial(Connection, server, enable_SMTPUTF8=False, hostname="mail.test", loop=loop, **keys)
    listener = await loop.create_server(make, "127.0.0.1", port, ssl=context if options.get("tls") == "implicit" else None)
    path = os.path.join(directory, "port")
    with open(path + ".new", "w", encoding="ascii") as f:
        f.write(str(listener.sockets[0].getsockname()[1]))
    os.rename(path + ".new", path)
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0))
