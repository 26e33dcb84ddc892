# The client of examples/python, told what to do: one JSON object a line, in and out.
import asyncio, base64, json, os, sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', '..', 'examples', 'python'))
import everwire

def tell(**event):
    print(json.dumps(event), flush=True)

async def main(url, *transports):
    options = {'transports': transports} if transports else {}
    socket = await everwire.connect(url, on_transport=lambda name: tell(transport=name), **options)
    tell(open=socket.protocol)

    async def obey():
        reader = asyncio.StreamReader(limit=2**26)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            command = json.loads(line)
            if 'text' in command:
                await socket.send(command['text'])
            elif 'binary' in command:
                await socket.send(base64.b64decode(command['binary']))
            elif 'close' in command:
                await socket.close(command['close'], command['reason'])

    doing = asyncio.ensure_future(obey())
    async for data in socket:
        if isinstance(data, str):
            tell(text=data)
        else:
            tell(binary=base64.b64encode(data).decode())
    ended = socket.session.ended
    tell(close=ended.code, reason=ended.reason)
    doing.cancel()

asyncio.run(main(*sys.argv[1:]))
