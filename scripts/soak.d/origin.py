"""A server with sessions: sets a JSESSIONID, and responds with its name and whether it knows the session. `/stream` responds in
chunks, `/upgrade` becomes an echo."""

import asyncio
import secrets
import sys

NAME = sys.argv[1]
sessions = set()


async def serve(reader, writer):
    try:
        while await answer(reader, writer):
            pass
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()


async def answer(reader, writer):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    path = line.split(" ")[1]
    if length := int(headers.get("content-length", 0)):
        await reader.readexactly(length)
    if path == "/upgrade":
        return await echo(reader, writer)
    cookies = dict(pair.strip().split("=", 1) for pair in headers.get("cookie", "").split(";") if "=" in pair)
    session, set_cookie = cookies.get("JSESSIONID"), ""
    known = session in sessions
    if not known and path != "/healthz":
        session = secrets.token_hex(16)
        sessions.add(session)
        set_cookie = f"Set-Cookie: JSESSIONID={session}; Path=/\r\n"
    body = f"{NAME} {'known' if known else 'new'}\n".encode()
    if path == "/stream":
        writer.write(f"HTTP/1.1 200 OK\r\n{set_cookie}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(10):
            writer.write(b"%x\r\n%s\r\n" % (len(body), body))
            await writer.drain()
            await asyncio.sleep(0.1)
        writer.write(b"0\r\n\r\n")
    else:
        writer.write(f"HTTP/1.1 200 OK\r\n{set_cookie}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    return True


async def echo(reader, writer):
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    while piece := await reader.read(4096):
        writer.write(piece)
        await writer.drain()
    return False


async def main():
    host, port = sys.argv[2].rsplit(":", 1)
    server = await asyncio.start_server(serve, host, int(port))
    await server.serve_forever()


asyncio.run(main())
