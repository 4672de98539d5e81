"""A proxy for a unix socket whose connections can be delayed, cut at a chosen byte or word, or silenced.

Runs as a thread with its own event loop in the test's process; clients connect to DIR/.s.PGSQL.PORT as if it were the server. It
sees bytes only. Rules hold for connections that are open and for those to come; `cut_after_word` fires once.
"""
import asyncio
import os
import threading


class Proxy:
    def __init__(self, directory, target, port=5432):
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.dir, self.port, self.target = directory, port, target
        self.path = os.path.join(directory, f".s.PGSQL.{port}")
        self.delay = 0.0          # seconds before each piece is passed on, both ways
        self.silent = False       # a black hole: accepts and reads, passes nothing on
        self.refuse = False       # new connections are closed at once
        self.cuts = 0             # connections that a rule has cut
        self._cut_bytes = None    # from the server, over all connections
        self._word = None         # (bytes, what to do)
        self._writers = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True, name="proxy")

    def start(self):
        started = threading.Event()
        self._started = started
        self._thread.start()
        started.wait(10)
        return self

    def stop(self):
        self.cut_all()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def cut_all(self):
        self._loop.call_soon_threadsafe(self._abort_all)

    def cut_after_bytes(self, count):
        """All connections are cut once the server has sent that many more bytes."""
        self._cut_bytes = count

    def cut_after_word(self, word, reply=False):
        """When a client has sent `word`: it reaches the server, and the connection is cut before the client sees any answer
        (reply=True: when the server has sent the word, before the client sees it)."""
        self._word = (word, reply)

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_unix_server(self._serve, self.path))
        self._started.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))

    def _abort_all(self):
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader, writer):
        if self.refuse:
            writer.transport.abort()
            return
        try:
            up_reader, up_writer = await asyncio.open_unix_connection(self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, up_writer)
        self._writers.update(pair)
        state = {"mute": False}
        try:
            await asyncio.gather(self._pass(reader, up_writer, pair, state, False), self._pass(up_reader, writer, pair, state, True))
        finally:
            self._writers.difference_update(pair)

    async def _pass(self, reader, writer, pair, state, from_server):
        try:
            while data := await reader.read(65536):
                if self.delay:
                    await asyncio.sleep(self.delay)
                while self.silent:
                    await asyncio.sleep(0.05)
                if from_server and (state["mute"] or self._counts(len(data))):
                    break
                if self._word and self._word[1] == from_server and self._word[0] in data:
                    self._word = None
                    state["mute"] = True
                    if from_server:
                        break
                writer.write(data)
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass
        if state["mute"] and from_server:
            self.cuts += 1
        for end in pair:
            end.transport.abort() if state["mute"] or from_server else end.close()

    def _counts(self, length):
        if self._cut_bytes is None:
            return False
        self._cut_bytes -= length
        if self._cut_bytes > 0:
            return False
        self._cut_bytes = None
        self.cuts += 1
        return True
