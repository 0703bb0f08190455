"""The two clients: one that sends an exact number of requests on one connection, and wrk for speed."""

import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 64
_REPORT = Path(__file__).with_name("report.lua")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class LoadFailed(Exception):
    """The proxy gave a wrong response, so the figures of the run would mean nothing."""


@dataclass
class Response:
    status: int
    head: bytes
    body: bytes

    def set_cookie(self, name):
        """`NAME=VALUE` of a Set-Cookie of this name, or None."""
        found = re.search(rb"\r\nset-cookie: *(" + name.encode() + rb"=[^;\r\n]*)", self.head, re.IGNORECASE)
        return found.group(1).decode() if found else None


class Client:
    """One keep-alive connection, one request at a time: the same bytes and the same order in every run."""

    def __init__(self, address, timeout=30):
        host, port = address.rsplit(":", 1)
        self._address = address
        self._socket = socket.create_connection((host, int(port)), timeout=timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def send(self, cookie, count=1):
        """Sends `count` identical requests and returns the last response. Raises LoadFailed unless every status is 200."""
        wire = _request(self._address, cookie)
        for _ in range(count):
            self._socket.sendall(wire)
            response = self._receive()
            if response.status != 200:
                raise LoadFailed(f"status {response.status} from {self._address}: {response.body[:200]!r}")
        return response

    def _receive(self):
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        head = data[:end]
        length = _LENGTH.search(head)
        if length is None:
            raise LoadFailed(f"no Content-Length from {self._address}: {head!r}")
        whole = end + 4 + int(length.group(1))
        while len(data) < whole:
            data += self._more()
        return Response(int(head.split(b" ", 2)[1]), head, data[end + 4 :])

    def _more(self):
        data = self._socket.recv(65536)
        if not data:
            raise LoadFailed(f"{self._address} closed the connection")
        return data


@dataclass
class Load:
    requests: int
    seconds: float
    p99_ms: float


def wrk(address, cookie, seconds):
    """Sends load to `address` from this process's core for some seconds. Raises LoadFailed if a request fails."""
    argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", str(_REPORT)]
    for header in _headers(cookie):
        argv += ["-H", header]
    done = subprocess.run(argv + [f"http://{address}/"], capture_output=True, text=True, timeout=seconds + 30, check=False)
    found = re.search(r"^bench (\d+) (\d+) (\d+) (\d+)$", done.stdout, re.MULTILINE)
    if found is None:
        raise LoadFailed(f"unexpected output of wrk: {done.stdout} {done.stderr}")
    requests, micros, failed, p99 = map(int, found.groups())
    if failed or not requests:
        raise LoadFailed(f"{failed} of {requests} requests to {address} failed")
    return Load(requests, micros / 1e6, p99 / 1e3)


def answers(address):
    """Whether the proxy serves requests yet."""
    try:
        with Client(address, timeout=5) as client:
            client.send(None)
        return True
    except (OSError, LoadFailed):
        return False


def _headers(cookie):
    return ["User-Agent: bench", "Accept: */*"] + ([f"Cookie: {cookie}"] if cookie else [])


def _request(address, cookie):
    return "\r\n".join(["GET / HTTP/1.1", f"Host: {address}", *_headers(cookie), "", ""]).encode()


