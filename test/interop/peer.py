# Python's `websockets`, told what to do: one JSON object a line, in and out. See bridge.ts.
import asyncio, base64, json, sys
import websockets

def tell(**event):
    print(json.dumps(event), flush=True)

async def commands():
    reader = asyncio.StreamReader(limit=2**26)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)

async def obey(socket):
    async for command in commands():
        if 'text' in command:
            await socket.send(command['text'])
        elif 'binary' in command:
            await socket.send(base64.b64decode(command['binary']))
        elif 'ping' in command:
            await (await socket.ping(command['ping']))
            tell(pong=command['ping'])
        elif 'close' in command:
            await socket.close(command['close'], command['reason'])

async def connect(url, protocols):
    options = {'subprotocols': protocols or None, 'max_size': None, 'ping_interval': None}
    async with websockets.connect(url, **options) as socket:
        tell(open=socket.subprotocol or '')
        doing = asyncio.create_task(obey(socket))
        try:
            async for data in socket:
                if isinstance(data, str):
                    tell(text=data)
                else:
                    tell(binary=base64.b64encode(data).decode())
        except websockets.ConnectionClosedError:
            pass
        tell(close=socket.close_code, reason=socket.close_reason or '')
        doing.cancel()

async def echo(socket, _path=None):
    try:
        async for data in socket:
            if data == 'close me':
                await socket.close(4009, 'as asked')
            elif data == 'drop me':
                socket.transport.abort()
            else:
                await socket.send(data)
    except websockets.ConnectionClosed:
        pass
    tell(close=socket.close_code, reason=socket.close_reason or '')

async def serve(protocols):
    async with websockets.serve(echo, '127.0.0.1', 0, subprotocols=protocols or None, max_size=None) as server:
        tell(port=server.sockets[0].getsockname()[1])
        await asyncio.Future()

what, *rest = sys.argv[1:]
asyncio.run(connect(rest[0], rest[1:]) if what == 'connect' else serve(rest))
