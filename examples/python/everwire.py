"""A client for everwire servers, written from docs/PROTOCOL.md: WebSocket, HTTP streaming and long-polling, one session.

    async with await everwire.connect('ws://localhost:8080/realtime') as socket:
        await socket.send('hello')
        async for message in socket:    # str or bytes
            print(message)

Needs Python 3.9 and the package `websockets`. Numbers in brackets are sections of the document. It is an example: it tries one
transport after the other, where everwire's own client tries them beside each other. While HTTP carries the session, it tries a
WebSocket beside it from time to time, and returns to that.
"""
import asyncio, base64, json, os, ssl, sys
from urllib.parse import urlsplit

import websockets

TEXT, BINARY, CLOSE, PING, PONG, ABORT, WELCOME, HELLO = range(1, 9)
PAUSE, ACK, TAKE, HEAR, SUPERSEDED = 10, 11, 12, 13, 15
OPEN, STANDBY, HOLD, STREAM, AGAIN = 1, 2, 4, 8, 16

OPENING = 4  # seconds until a transport has shown a welcome, or the next is tried
QUIET = 1.5  # seconds of silence that this client allows; many paths cut what is silent for longer
LATE = 4  # seconds after which an answer that is due does not come any more
RETURN = 3  # seconds over HTTP before a WebSocket is tried beside it; twice as many after each failure, at most 300
ACK_AFTER = 0.25
BODY = 60 * 1024  # of messages in one request
MAX_CONTROL = 16 * 1024


class Ended(Exception):
    """The session is over."""

    def __init__(self, code, reason):
        super().__init__(f'{code} {reason}'.strip())
        self.code, self.reason = code, reason


class Failed(Exception):
    """A carrier or an exchange failed; the session goes on over another."""


# ---- bytes (head of the document, 3.2 to 3.4) ----

def leb(number):
    out = bytearray()
    while number >= 128:
        out.append(number % 128 + 128)
        number //= 128
    return bytes(out) + bytes([number])


def record(kind, payload, more=False):
    data = payload.encode() if isinstance(payload, str) else payload
    return bytes([kind + 128 * more]) + leb(len(data)) + data


class Reader:
    """Takes bytes as they come; gives numbers and records when they are whole."""

    def __init__(self):
        self.buffer, self.at = b'', 0

    def push(self, chunk):
        self.buffer, self.at = self.buffer[self.at:] + chunk, 0

    def numbers(self, count, start):
        """The numbers from `start` on, and where they end; None while some are missing."""
        found = []
        while len(found) < count:
            value, factor = 0, 1
            while True:
                if start >= len(self.buffer):
                    return None
                byte, start = self.buffer[start], start + 1
                value, factor = value + byte % 128 * factor, factor * 128
                if byte < 128:
                    break
            found.append(value)
        return found, start

    def head(self):
        if self.buffer[:1] not in (b'', b'\xe1'):
            raise Failed('this is no answer of the protocol')
        read = self.numbers(4, 2)
        if not read:
            return None
        (has, has_offset, at, at_offset), self.at = read
        return self.buffer[1], (has, has_offset), (at, at_offset)

    def record(self):
        read = self.numbers(1, self.at + 1)
        if not read or read[1] + read[0][0] > len(self.buffer):
            return None
        (length,), start = read
        kind, self.at = self.buffer[self.at], start + length
        return kind % 128, kind >= 128, self.buffer[start:self.at]


# ---- HTTP, as much as is needed: one connection for each request ----

async def post(url, body, on_chunk):
    """Hands over each piece of the answer's body. Raises Failed for anything but a whole answer with status 200."""
    tls = ssl.create_default_context() if url.scheme == 'https' else None
    reader, writer = await asyncio.open_connection(url.hostname, url.port or (443 if tls else 80), ssl=tls)
    try:
        query = f'{url.query}&everwire=1' if url.query else 'everwire=1'
        host = url.netloc.rpartition('@')[2]
        writer.write(f'POST {url.path or "/"}?{query} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n'
                     f'Content-Length: {len(body)}\r\n\r\n'.encode() + body)
        status = int((await reader.readline()).split(b' ')[1])
        headers = {}
        while (line := (await reader.readline()).strip()):
            name, _, value = line.decode('latin-1').partition(':')
            headers[name.lower()] = value.strip().lower()
        if status != 200:
            raise Failed(f'status {status}')
        if headers.get('transfer-encoding') == 'chunked':
            while (size := int((await reader.readuntil(b'\r\n')).split(b';')[0], 16)) > 0:
                left = size
                while left > 0:
                    left -= len(on_chunk(await some(reader, left)))
                await reader.readexactly(2)
        elif 'content-length' in headers:
            left = int(headers['content-length'])
            while left > 0:
                left -= len(on_chunk(await some(reader, left)))
        else:
            while (chunk := await reader.read(65536)):
                on_chunk(chunk)
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise Failed(str(error)) from error
    finally:
        writer.close()


async def some(reader, most):
    chunk = await reader.read(min(most, 65536))
    if not chunk:
        raise EOFError('the answer was cut')
    return chunk


# ---- the session: two numbered queues (1), and no network ----

class Session:
    def __init__(self, protocols=()):
        self.id, self.key, self.protocols = os.urandom(12), os.urandom(16), list(protocols)
        self.epoch = 0
        self.welcome = None
        self.waiting = []  # [kind, bytes] that the other end has not acknowledged; the first has the number acked + 1
        self.acked = 0
        self.offset = 0  # how much of the next one the other end has
        self.got, self.part = 0, bytearray()
        self.messages = asyncio.Queue()
        self.own_close = self.their_close = None
        self.body = BODY  # less where something on the way refuses as much
        self.ended = None
        self.changed = asyncio.Event()  # something can be said

    # saying

    def say(self, kind, data):
        self.waiting.append((kind, data))
        self.changed.set()

    def close(self, code, reason):
        if self.own_close is None:
            self.say(CLOSE, b'' if code == 1005 else f'{code},{reason}'.encode())
            self.own_close = self.acked + len(self.waiting)

    @property
    def last(self):
        return self.acked + len(self.waiting)

    def message(self, number):
        return self.waiting[number - self.acked - 1]

    def acknowledged(self, number, offset=0):
        if number > self.last:
            raise self.end(1002, 'an acknowledgement of what was never sent')
        if number > self.acked:
            del self.waiting[:number - self.acked]
            self.acked, self.offset = number, 0
        if number == self.acked:
            self.offset = offset
        self.check_over()

    # hearing

    def take(self, kind, data, number, start=0, more=False):
        """A message, or a piece of it from `start` on. False: it comes too early."""
        if number <= self.got:
            return True
        if number > self.got + 1 or start > len(self.part):
            return False
        self.part += data[len(self.part) - start:]
        if not more:
            whole, self.part, self.got = bytes(self.part), bytearray(), number
            if kind == CLOSE:
                self.closed(whole.decode())
            elif self.their_close is None:
                self.messages.put_nowait(whole.decode() if kind == TEXT else whole)
        return True

    def closed(self, payload):
        code, _, reason = payload.partition(',')
        self.their_close = (int(code or 1005), reason)
        self.close(*self.their_close)

    def check_over(self):
        # Both closes have arrived (4.5). The server learns that by the acknowledgement that `carry` says last.
        if self.their_close and self.own_close and self.acked >= self.own_close:
            raise self.end(*self.their_close)

    def end(self, code, reason):
        self.ended = self.ended or Ended(code, reason)
        self.changed.set()
        return self.ended

    def welcomed(self, payload):
        read = json.loads(payload)
        self.welcome = self.welcome or read
        return read

    def aborted(self, payload):
        code, _, reason = payload.partition(',')
        raise self.end(int(code or 1006), reason)

    def head(self, epoch, ask, serial=0, quiet=0, has=(0, 0), at=(0, 0)):
        if not self.welcome:
            ask |= OPEN
        numbers = (epoch, serial, quiet, 0, *has, *at)
        return bytes([0xe1, ask]) + self.id + self.key + b''.join(map(leb, numbers))


# ---- WebSocket (2) ----

class WebSocketCarrier:
    name = 'websocket'

    def __init__(self, session, url, proven, epoch):
        self.session, self.url, self.proven, self.epoch = session, url, proven, epoch
        self.standby = self.answered = False

    async def dial(self, ask):
        """Opens a WebSocket and waits for its welcome."""
        session = self.session
        head = session.head(self.epoch, ask, has=(session.got, 0))
        token = base64.urlsafe_b64encode(head).decode().rstrip('=')
        offered = [*session.protocols, 'everwire.1', f'everwire.1.{token}']
        scheme = {'https': 'wss', 'http': 'ws'}[self.url.scheme]
        try:
            self.socket = await asyncio.wait_for(websockets.connect(
                self.url._replace(scheme=scheme).geturl(), subprotocols=offered, max_size=None,
                compression=None, ping_interval=None, close_timeout=1), OPENING)
        except (OSError, asyncio.TimeoutError, websockets.WebSocketException, EOFError) as error:
            raise Failed(str(error)) from error
        kind, payload = self.read(await self.next(OPENING))
        if kind == ABORT:
            session.aborted(payload)
        if kind != WELCOME:
            raise Failed('a server that begins otherwise')
        return session.welcomed(payload)

    async def stand_by(self):
        """Begins beside another carrier (2.2), and returns when an answer shows that both directions are open."""
        self.standby = True
        try:
            await self.dial(STANDBY)
            await self.control(HEAR, int(QUIET * 1000))
            while self.read(await self.next(OPENING))[0] != PONG:
                pass
        except BaseException as error:
            self.drop()
            if isinstance(error, websockets.ConnectionClosed):
                raise Failed(str(error)) from error
            raise

    def drop(self):
        if hasattr(self, 'socket'):
            self.socket.transport.abort()

    async def carry(self):
        session = self.session
        try:
            # A message comes whole over a WebSocket: what there is of one is dropped.
            session.part.clear()
            await (self.take() if self.standby else self.begin())
            await together(self.listen(), self.talk(), self.acknowledge(), self.doubt())
        except websockets.ConnectionClosed as error:
            raise Failed(str(error)) from error
        finally:
            if session.ended and hasattr(self, 'socket'):
                # The last acknowledgement; then the server closes.
                try:
                    await self.control(ACK, session.got)
                    await asyncio.wait_for(self.socket.wait_closed(), 1)
                except (websockets.ConnectionClosed, asyncio.TimeoutError):
                    pass
            self.drop()

    async def begin(self):
        session = self.session
        welcome = await self.dial(0)
        session.acknowledged(welcome['got'])
        self.sent, self.came, self.owed = welcome['got'], welcome['start'], 0
        await self.control(HEAR, int(QUIET * 1000))

    async def take(self):
        session = self.session
        self.sent, self.came, self.owed = session.acked, session.got, 0
        await self.control(TAKE, f'{session.got},{session.acked}')
        self.answered = True
        self.proven(self)

    async def doubt(self):
        await asyncio.sleep(OPENING)
        if not self.answered:
            raise Failed('nothing arrives at the server')
        await asyncio.Future()

    async def next(self, limit):
        try:
            return await asyncio.wait_for(self.socket.recv(), limit)
        except asyncio.TimeoutError as error:
            raise Failed('silence') from error

    def read(self, data):
        if isinstance(data, bytes):
            return BINARY, data
        if data[:1] == '\0':
            if data[1:2] != '\0':
                return ord(data[1]), data[2:]
            data = data[1:]
        return TEXT, data.encode()

    async def listen(self):
        session = self.session
        while True:
            kind, payload = self.read(await self.next(QUIET + LATE))
            if kind == PONG and not self.answered:
                # Both directions are open (2.4); a welcome shows only one.
                self.answered = True
                self.proven(self)
            if kind in (TEXT, BINARY, CLOSE):
                self.came += 1
                data = payload.encode() if kind == CLOSE else payload
                if not session.take(kind, data, self.came):
                    raise Failed('messages are missing')
                self.owed += 1
                if self.owed >= 64 or kind == CLOSE:
                    await self.say_ack()
                session.check_over()
            elif kind == PING:
                await self.control(PONG, payload)
            elif kind == ACK:
                session.acknowledged(int(payload))
            elif kind == ABORT:
                session.aborted(payload)
            elif kind == SUPERSEDED:
                raise Failed('superseded')

    async def talk(self):
        session = self.session
        while True:
            session.changed.clear()
            while self.sent < session.last:
                self.sent = max(self.sent, session.acked)
                if self.sent == session.last:
                    break
                kind, data = session.message(self.sent + 1)
                self.sent += 1
                if kind == CLOSE:
                    await self.control(CLOSE, data.decode())
                elif kind == TEXT:
                    await self.socket.send('\0' * data.startswith(b'\0') + data.decode())
                else:
                    await self.socket.send(data)
            await session.changed.wait()

    async def acknowledge(self):
        while True:
            await asyncio.sleep(ACK_AFTER)
            if self.owed:
                await self.say_ack()

    async def say_ack(self):
        self.owed = 0
        await self.control(ACK, self.session.got)

    async def control(self, kind, payload):
        await self.socket.send(f'\0{chr(kind)}{payload}')


# ---- HTTP (3): one held exchange that listens, one short one that talks ----

class HttpCarrier:
    def __init__(self, session, url, proven, epoch, streaming):
        self.session, self.url, self.proven, self.epoch = session, url, proven, epoch
        self.streaming = streaming
        self.name = 'stream' if streaming else 'polling'
        self.serials = {'short': 0, 'held': 0}
        self.again = False  # something that the server gave was lost: it must start again after `has`
        self.given = (0, 0)  # how far the server says that it has filled the stream (3.2)
        self.told = 0  # what the server knows that this end has
        self.paused = False
        self.controls = []

    async def carry(self):
        session = self.session
        await self.short(False)  # opens or resumes, and brings no messages yet
        self.proven(self)
        try:
            await together(self.listen(), self.talk(), self.acknowledge())
        finally:
            if session.ended:
                try:
                    await self.short(False)
                except (Failed, Ended):
                    pass

    # talking

    async def talk(self):
        session = self.session
        while True:
            session.changed.clear()
            if self.controls or (session.waiting and not self.paused):
                await self.patiently(lambda: self.short(True))
            elif self.paused:
                await asyncio.sleep(0.5)
                await self.patiently(lambda: self.short(False))
            else:
                await session.changed.wait()

    async def acknowledge(self):
        """Streams do not end, and so bring no acknowledgement: a short exchange does."""
        while True:
            before = self.session.got
            await asyncio.sleep(1)
            if before > self.told:
                self.controls.append(b'')
                self.session.changed.set()

    async def short(self, with_messages):
        session = self.session
        controls, self.controls = self.controls, []
        records = [record(HELLO, json.dumps({'protocols': session.protocols}))] if not session.welcome else []
        records += controls
        if with_messages:
            records += self.messages()
        try:
            answer = Answer(self, streamed=False)
            await self.exchange('short', STREAM * self.streaming, records, answer, LATE)
        except Failed:
            self.controls = controls + self.controls
            raise
        self.paused = answer.paused

    def messages(self):
        """Records from where the server is, as far as they fit."""
        session, room, offset = self.session, self.session.body, self.session.offset
        for kind, data in session.waiting[:1000]:
            piece = data[offset:offset + room]
            more = offset + len(piece) < len(data)
            if more and kind == CLOSE:
                return
            yield record(kind, piece, more)
            room, offset = room - len(piece) - 8, 0
            if more or room <= 0:
                return

    # listening

    async def listen(self):
        idle = 0
        while True:
            before = asyncio.get_running_loop().time()
            brought = await self.patiently(self.hold)
            # A server must not decide how busy this client is (3.5).
            fast = asyncio.get_running_loop().time() - before < 0.05 and not brought
            idle = min(idle * 2 + 0.01, 4) if fast else 0
            await asyncio.sleep(idle)

    async def hold(self):
        answer = Answer(self, streamed=self.streaming)
        limit = None if self.streaming else QUIET + LATE
        await self.exchange('held', HOLD | STREAM * self.streaming, [], answer, limit)
        return answer.records

    async def patiently(self, attempt):
        """Tries again after a failure, a few times; then the carrier is over."""
        for pause in (0.05, 0.2, 0.5, 1):
            try:
                return await attempt()
            except HeldBack:
                self.streaming, self.name, self.again = False, 'polling', True
                self.proven(self)
                return None
            except Failed as error:
                self.again = True
                if 'status 413' in str(error):
                    self.session.body = max(self.session.body // 2, 512)
                await asyncio.sleep(pause)
        return await attempt()

    async def exchange(self, kind, ask, records, answer, limit):
        session = self.session
        self.serials[kind] += 1
        again, self.again = self.again, False
        position = (session.got, len(session.part))
        head = session.head(self.epoch, ask | AGAIN * again, self.serials[kind], int(QUIET * 1000), position,
                            (session.acked, session.offset))
        body = head + b''.join(records)
        try:
            watch = answer.watch() if answer.streamed else asyncio.sleep(limit)
            await first_of(post(self.url, body, answer.push), watch)
        except (OSError, EOFError) as error:
            raise Failed(str(error)) from error
        if not answer.began:
            raise Failed('an answer without a head')
        self.told = max(self.told, position[0])


class HeldBack(Failed):
    """Something on the way keeps a stream to itself."""


class Answer:
    """Reads one answer, and tells the session."""

    def __init__(self, carrier, streamed):
        self.carrier, self.session, self.streamed = carrier, carrier.session, streamed
        self.reader = Reader()
        self.began = self.paused = False
        self.records = 0
        self.heard = asyncio.get_running_loop().time()

    async def watch(self):
        """A stream must begin, bring its second piece (3.2), bring what it was given, and never be silent for long."""
        started = self.heard
        self.owed_since = None
        while True:
            await asyncio.sleep(0.1)
            now = asyncio.get_running_loop().time()
            behind = self.carrier.given > (self.session.got, len(self.session.part))
            self.owed_since = (self.owed_since or now) if behind else None
            if self.owed_since and now - self.owed_since > 1:
                raise HeldBack('the stream keeps what it was given')
            if self.records == 0 and now - started > 1.5:
                raise HeldBack('the stream does not begin')
            if now - self.heard > QUIET + LATE:
                raise Failed('the stream is silent')

    def push(self, chunk):
        self.heard = asyncio.get_running_loop().time()
        self.reader.push(chunk)
        if not self.began:
            head = self.reader.head()
            if not head:
                return chunk
            self.begin(*head)
        while (one := self.reader.record()):
            self.records += 1
            self.obey(*one)
        return chunk

    def begin(self, status, has, at):
        self.began = True
        if status == 2:
            raise self.session.end(1006, 'unknown session')
        if status == 1:
            raise Failed('superseded')
        # An answer that was overtaken knows less than is known already.
        if has >= (self.session.acked, self.session.offset):
            self.session.acknowledged(*has)
        self.place = list(at)
        if not self.streamed and self.carrier.streaming:
            self.carrier.given = at

    def obey(self, kind, more, payload):
        session = self.session
        if kind in (TEXT, BINARY, CLOSE):
            number, offset = self.place
            if not session.take(kind, payload, number + 1, offset, more):
                self.carrier.again = True
            self.place = [number, offset + len(payload)] if more else [number + 1, 0]
            session.check_over()
        elif kind == WELCOME:
            session.welcomed(payload)
        elif kind == PING:
            self.carrier.controls.append(record(PONG, payload))
            session.changed.set()
        elif kind == PAUSE:
            self.paused = payload == b'1'
        elif kind == ABORT:
            session.aborted(payload.decode())


# ---- tasks ----

async def together(*coroutines):
    """Runs them until one ends or fails; the others are cancelled."""
    tasks = [asyncio.ensure_future(one) for one in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def first_of(work, limit):
    """The end of `work`, or Failed when `limit` ends before."""
    worker = asyncio.ensure_future(work)

    async def clock():
        await limit
        raise Failed('too late')

    await together(worker, clock())


# ---- the client ----

class Socket:
    def __init__(self, url, protocols=(), transports=('websocket', 'stream', 'polling'), on_transport=None):
        parts = urlsplit(url)
        scheme = {'ws': 'http', 'wss': 'https'}.get(parts.scheme, parts.scheme)
        self.url = parts._replace(scheme=scheme, fragment='')
        self.session = Session(protocols)
        self.transports = list(transports)
        self.transport = self.better = None
        self.on_transport = on_transport or (lambda name: None)
        self.opened = asyncio.Event()
        self.running = asyncio.ensure_future(self.run())

    async def run(self):
        """One carrier after the other, until the session is over."""
        session, now = self.session, asyncio.get_running_loop().time
        at, last_proven, pause = 0, now(), 0.05
        while not session.ended:
            carrier = self.better or self.carrier(self.transports[at % len(self.transports)])
            self.better, self.was_proven = None, False
            try:
                await together(carrier.carry(), self.look_for_better(carrier))
            except Ended:
                break
            except Failed:
                pass
            if self.was_proven:
                last_proven, pause = now(), 0.05
                at = self.transports.index(self.transport)
            else:
                at += 1
            patience = (session.welcome or {}).get('patience', 30000) / 1000
            if now() - last_proven > patience:
                session.end(1006, 'connection lost')
            if not self.was_proven and at % len(self.transports) == 0:
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5)
        session.messages.put_nowait(session.ended)
        self.opened.set()

    def carrier(self, name):
        self.session.epoch += 1
        which = (self.session, self.url, self.proven, self.session.epoch)
        return WebSocketCarrier(*which) if name == 'websocket' else HttpCarrier(*which, name == 'stream')

    async def look_for_better(self, than):
        """Ends when there is a WebSocket to go on with."""
        pause = RETURN if than.name != 'websocket' and 'websocket' in self.transports else None
        while pause:
            await asyncio.sleep(pause)
            pause = min(pause * 2, 300)
            try:
                carrier = self.carrier('websocket')
                await carrier.stand_by()
                self.better = carrier
                return
            except Failed:
                pass
        await asyncio.Future()

    def proven(self, carrier):
        self.was_proven = True
        self.opened.set()
        if self.transport != carrier.name:
            self.transport = carrier.name
            self.on_transport(carrier.name)

    @property
    def protocol(self):
        return (self.session.welcome or {}).get('protocol', '')

    async def send(self, data):
        """Returns at once; the message arrives once and in order as long as the session lives."""
        session = self.session
        if session.ended or session.own_close:
            raise session.ended or Ended(1000, 'closed')
        kind = TEXT if isinstance(data, str) else BINARY
        session.say(kind, data.encode() if kind == TEXT else bytes(data))

    async def recv(self):
        """The next message. Raises Ended when the session is over and all messages were read."""
        message = await self.session.messages.get()
        if isinstance(message, Ended):
            self.session.messages.put_nowait(message)
            raise message
        return message

    async def close(self, code=1000, reason=''):
        """Messages sent before arrive first. Returns when the server has answered the close."""
        self.session.close(code, reason)
        await self.running

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return await self.recv()
        except Ended:
            raise StopAsyncIteration from None

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()


async def connect(url, protocols=(), **options):
    """Opens a session. Raises Ended if no server lets it in within half a minute."""
    socket = Socket(url, protocols, **options)
    await socket.opened.wait()
    if socket.session.ended:
        raise socket.session.ended
    return socket


async def main(url):
    """Sends each line of the standard input, prints each message."""
    socket = await connect(url, on_transport=lambda name: print(f'over {name}', file=sys.stderr))

    async def lines():
        loop = asyncio.get_running_loop()
        while (line := await loop.run_in_executor(None, sys.stdin.readline)):
            await socket.send(line.rstrip('\n'))
        await socket.close()

    sending = asyncio.ensure_future(lines())
    async for message in socket:
        print(message)
    print(f'closed: {socket.session.ended}', file=sys.stderr)
    sending.cancel()


if __name__ == '__main__':
    asyncio.run(main(sys.argv[1]))
