"""Measures Burdock with many servers: the CPU time of the admin service's answers, how long reloads take, the slowest request during
reloads beside that of a quiet period of the same length, and the memory before and after a hundred reloads.

Every server has an address of its own on the loopback interface, and one origin listens for all of them."""

import http.client
import itertools
import multiprocessing
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from load import Client, answers
from processes import Program, end_all, two_cores

LISTEN, ADMIN = "127.0.9.1:8080", "127.0.9.1:9180"
ORIGIN_PORT = 18080
CALLS = 50
CLIENTS = 4
# Seconds between two requests of a client: 400 requests a second together.
PAUSE = 0.01
RELOADS = 10
MANY_RELOADS = 100
# Seconds until memory is read: the allocator gives some back.
REST = 5
_TICK_MS = 1_000 / os.sysconf("SC_CLK_TCK")

_ORIGIN = """daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr error;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    default_type text/plain;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    server {{ listen 0.0.0.0:{port}; location / {{ return 200 "{body}"; }} }}
}}
"""


def configuration(directory, upstreams, servers, weight):
    lines = [
        f"listeners: ['{LISTEN}']",
        f"admin: {{address: '{ADMIN}'}}",
        f"process: {{state_dir: {directory}/state, runtime_dir: {directory}/run}}",
        "access_log: {to: off}",
        "upstreams:",
    ]
    for upstream in range(upstreams):
        lines.append(f"  u{upstream}:\n    sticky: cookie\n    servers:")
        for n in range(upstream * servers // upstreams, (upstream + 1) * servers // upstreams):
            lines.append(
                f"      - {{id: s{n}, address: '127.{50 + n // 62_500}.{n // 250 % 250}.{n % 250 + 1}:{ORIGIN_PORT}', "
                f"weight: {weight(upstream, n)}}}"
            )
    lines.append("routes:")
    lines += [f"  - {{match: {{hosts: [u{n}.test]}}, upstream: u{n}}}" for n in range(1, upstreams)]
    lines.append("  - {match: {}, upstream: u0}")
    return "\n".join(lines) + "\n"


class _OverSocket(http.client.HTTPConnection):
    """A connection to the admin socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self._path)


class Burdock:
    """A running Burdock, with its configuration file."""

    def __init__(self, binary, directory, cores):
        self._binary, self._directory = binary, directory
        self.file = directory / "burdock.yaml"
        self._program = Program([binary, "run", "-c", str(self.file)], directory, cores)
        self._program.wait_until(lambda: answers(LISTEN), 60)

    def cpu_ms(self):
        """User and system time of the process so far, ended threads included."""
        fields = pathlib.Path(f"/proc/{self._program.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * _TICK_MS

    def resident_mib(self):
        return self._program.resident_kib() / 1024

    def calls(self, path):
        """Calls a path of the admin service. Returns the CPU time and the wall time of a call, and the bytes of an answer."""
        connection = _OverSocket(self._directory / "run/admin.sock")
        size = self._get(connection, path)
        cpu, started = self.cpu_ms(), time.monotonic()
        for _ in range(CALLS):
            size = self._get(connection, path)
        ended = time.monotonic()
        connection.close()
        return (self.cpu_ms() - cpu) / CALLS, (ended - started) * 1e3 / CALLS, size

    @staticmethod
    def _get(connection, path):
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status}: {body[:200]!r}")
        return len(body)

    def hang_up(self, text):
        """Sends SIGHUP and waits until the log says that the file is applied. Returns the start and the end."""
        log = self._directory / "stderr"
        at = log.stat().st_size
        self.file.write_text(text)
        started = time.monotonic()
        self._program.signal(signal.SIGHUP)
        # The differences are logged after it: one line for each changed server.
        while b": SIGHUP: reloaded " not in _read_from(log, at):
            time.sleep(0.002)
        return started, time.monotonic()

    def ctl_reload(self, text):
        """Reloads with `ctl reload`. Returns the start and the end."""
        self.file.write_text(text)
        started = time.monotonic()
        command = [self._binary, "ctl", "--socket", str(self._directory / "run/admin.sock"), "reload"]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"ctl reload: {done.stderr}")
        return started, time.monotonic()


def _read_from(path, at):
    with open(path, "rb") as file:
        file.seek(at)
        return file.read(4096)


def _send_requests(over, results):
    """Sends requests one after the other on one connection, until `over`. Results are the start and the time of each."""
    took = []
    with Client(LISTEN) as client:
        while not over.is_set():
            started = time.monotonic()
            client.send(None)
            took.append((started, time.monotonic() - started))
            time.sleep(PAUSE)
    results.put(took)


class Load:
    """Clients in processes of their own, so that this one's work does not slow them."""

    def __init__(self):
        self._over, self._results = multiprocessing.Event(), multiprocessing.Queue()
        self._clients = [
            multiprocessing.Process(target=_send_requests, args=(self._over, self._results), daemon=True) for _ in range(CLIENTS)
        ]
        for client in self._clients:
            client.start()

    def end(self):
        """Returns all requests, each as its start and its time."""
        self._over.set()
        took = [entry for _ in self._clients for entry in self._results.get(timeout=60)]
        for client in self._clients:
            client.join()
        return took


def main():
    binary, servers, upstreams = sys.argv[1], int(sys.argv[2]), [int(count) for count in sys.argv[3:]]
    for count in upstreams:
        directory = pathlib.Path(tempfile.mkdtemp(prefix="burdock-scale."))
        try:
            measure(binary, servers, count, directory)
        finally:
            end_all()
            shutil.rmtree(directory, ignore_errors=True)


def measure(binary, servers, upstreams, directory):
    proxy_core, load_core = two_cores()
    origin = directory / "origin"
    origin.mkdir()
    (origin / "nginx.conf").write_text(_ORIGIN.format(directory=origin, port=ORIGIN_PORT, body="." * 100))
    nginx = Program(["nginx", "-p", str(origin), "-c", str(origin / "nginx.conf")], origin, load_core)
    nginx.wait_until(lambda: answers(f"127.50.0.1:{ORIGIN_PORT}"), 20)
    for private in ("state", "run"):
        (directory / private).mkdir(mode=0o700)
    text = lambda weight: configuration(directory, upstreams, servers, weight)
    (directory / "burdock.yaml").write_text(text(lambda *_: 1))
    burdock = Burdock(binary, directory, (proxy_core, load_core))
    print(f"\n## {servers:,} servers in {upstreams:,} upstreams\n", flush=True)
    print_calls(burdock, text)
    print_reloads(burdock, text, upstreams)
    print_memory(burdock, text)


def print_calls(burdock, text):
    cpu = burdock.cpu_ms()
    time.sleep(5)
    print(f"CPU while idle: {(burdock.cpu_ms() - cpu) / 5:.1f} ms a second\n")
    print("| GET | CPU ms | wall ms | bytes |\n|---|--:|--:|--:|")
    paths = ["/metrics", "/api/v1/upstreams", "/api/v1/drains", "/api/v1/upstreams/u0/servers"]
    for path in paths:
        _print_call(burdock, path, "")
    burdock.ctl_reload(text(lambda *_: 0))
    _print_call(burdock, "/api/v1/drains", ", every server draining")
    burdock.ctl_reload(text(lambda *_: 1))


def _print_call(burdock, path, state):
    cpu, wall, size = burdock.calls(path)
    print(f"| {path}{state} | {cpu:.1f} | {wall:.1f} | {size:,} |", flush=True)


def print_reloads(burdock, text, upstreams):
    """Each kind of reload, and the slowest requests during them and in quiet periods of the same length."""
    every = [text(lambda *_: 2), text(lambda *_: 3)]
    last = [text(lambda upstream, _, weight=weight: weight if upstream == upstreams - 1 else 3) for weight in (4, 5)]
    kinds = [
        ("every weight, SIGHUP", burdock.hang_up, every),
        ("every weight, ctl reload", burdock.ctl_reload, every),
        ("one upstream's weights, ctl reload", burdock.ctl_reload, last),
        ("nothing, ctl reload", burdock.ctl_reload, last[1:]),
    ]
    load, spans, quiet, rows = Load(), [], [], []
    time.sleep(3)
    for what, reload, texts in kinds:
        times, cpu = [], 0
        for round in range(RELOADS):
            before = burdock.cpu_ms()
            started, ended = reload(texts[round % len(texts)])
            cpu += burdock.cpu_ms() - before
            # What the reload leaves to others, such as freeing the old configuration, is a part of it too.
            ended += 0.2
            spans.append((started, ended))
            times.append(ended - 0.2 - started)
            time.sleep(1.2)
            quiet.append((ended + 0.3, ended + 0.3 + (ended - started)))
            time.sleep(max(0, quiet[-1][1] - time.monotonic()))
        times.sort()
        rows.append((what, times, cpu / RELOADS))
    took = load.end()
    print("\n| reload | median s | longest s | CPU ms, with requests |\n|---|--:|--:|--:|")
    for what, times, cpu in rows:
        print(f"| {what} | {times[len(times) // 2]:.3f} | {times[-1]:.3f} | {cpu:.0f} |")
    print("\n| requests | number | p99 ms | slowest ms |\n|---|--:|--:|--:|")
    for what, periods in (("quiet", quiet), ("during reloads", spans)):
        inside = sorted(span for started, span in took if any(first <= started + span and started <= last for first, last in periods))
        print(f"| {what} | {len(inside):,} | {inside[len(inside) * 99 // 100] * 1e3:.2f} | {inside[-1] * 1e3:.2f} |", flush=True)


def print_memory(burdock, text):
    """Memory at rest, before and after reloads that change every weight and leave their sum as it is."""
    texts = [text(lambda _, n, odd=odd: 1 + (n + odd) % 2) for odd in (0, 1)]
    resident, turn = [], itertools.cycle(texts)
    for reloads in (2, 1, 9, 40, MANY_RELOADS - 50):
        for _ in range(reloads):
            burdock.ctl_reload(next(turn))
        time.sleep(REST)
        resident.append(burdock.resident_mib())
    print(f"\nresident MiB: {resident[0]:.0f}; after 1, 10, 50 and {MANY_RELOADS} more reloads: ", end="")
    print(", ".join(f"{one:.0f}" for one in resident[1:]), flush=True)


if __name__ == "__main__":
    main()
