"""A server far away: a proxy before the receiver, whose replies arrive a round trip late.

smtp-sink delays by whole seconds only. What a client writes passes at once, so each wait for a reply costs
one latency, however much was written before it: what a network does to SMTP (RFC 2920).
"""

import asyncio
import sys


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, latency: float) -> None:
    """Copy what is read to the writer, each piece so many seconds later."""
    loop = asyncio.get_running_loop()
    while data := await reader.read(1 << 16):
        if latency:
            loop.call_later(latency, writer.write, data)
        else:
            writer.write(data)
            await writer.drain()
    loop.call_later(latency, writer.close)


async def serve(port: int, receiver_port: int, latency: float) -> None:
    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", receiver_port)
        await asyncio.gather(
            carry(reader, to_writer, 0), carry(to_reader, writer, latency), return_exceptions=True
        )

    server = await asyncio.start_server(meet, "127.0.0.1", port, backlog=512)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
