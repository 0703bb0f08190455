"""Measures reloads of a large configuration under load: how long each takes, and the latency of requests during reloads, compared
with a quiet period of the same run."""

import pathlib
import shutil
import signal
import sys
import tempfile
import threading
import time
import urllib.request

import contenders
from load import Client, answers
from processes import Program, end_all, two_cores

LISTEN, ADMIN = "127.0.9.1:8080", "127.0.9.1:9180"
ORIGIN = contenders.ORIGINS[0]
CLIENTS = 4
ROUNDS = 5


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
        for server in range(servers // upstreams):
            address = ORIGIN if upstream == 0 else f"127.{100 + upstream // 250}.{upstream % 250}.{server % 250 + 1}:{9000 + server // 250}"
            lines.append(f"      - {{id: s{server}, address: '{address}', weight: {weight(upstream, server)}}}")
    lines.append("routes:")
    lines += [f"  - {{match: {{hosts: [u{n}.test]}}, upstream: u{n}}}" for n in range(1, upstreams)]
    lines.append("  - {match: {}, upstream: u0}")
    return "\n".join(lines) + "\n"


def applied():
    with urllib.request.urlopen(f"http://{ADMIN}/metrics", timeout=30) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith('burdock_reloads_total{result="applied"}'):
                return float(line.split()[1])
    return 0.0


class RequestLoop(threading.Thread):
    """A client that sends requests one after the other, and records the start and the latency of each."""

    def __init__(self, over):
        super().__init__()
        self._over, self.took = over, []

    def run(self):
        with Client(LISTEN) as client:
            while not self._over.is_set():
                started = time.monotonic()
                client.send(None)
                self.took.append((started, time.monotonic() - started))
                time.sleep(0.001)


def reload(program, file, text):
    """Sends SIGHUP and waits until the configuration is applied. Returns the start and the end."""
    before = applied()
    file.write_text(text)
    started = time.monotonic()
    program.signal(signal.SIGHUP)
    while applied() == before:
        time.sleep(0.005)
    return started, time.monotonic()


def main():
    binary, servers, upstreams = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    directory = pathlib.Path(tempfile.mkdtemp(prefix="burdock-reload."))
    try:
        measure(binary, servers, upstreams, directory)
    finally:
        end_all()
        shutil.rmtree(directory, ignore_errors=True)


def measure(binary, servers, upstreams, directory):
    proxy_core, load_core = two_cores()
    origins = directory / "origins"
    origins.mkdir()
    config = origins / "origins.conf"
    config.write_text(contenders.fill("origins.conf", origins, "0:0"))
    nginx = Program(["nginx", "-p", str(origins), "-c", str(config)], origins, load_core)
    nginx.wait_until(lambda: answers(ORIGIN), 20)
    for private in ("state", "run"):
        (directory / private).mkdir(mode=0o700)
    file = directory / "burdock.yaml"
    file.write_text(configuration(directory, upstreams, servers, lambda *_: 1))
    burdock = Program([binary, "run", "-c", str(file)], directory, (proxy_core, load_core))
    burdock.wait_until(lambda: answers(LISTEN), 60)
    over = threading.Event()
    clients = [RequestLoop(over) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    kinds = [
        ("every weight", lambda round: lambda *_: 2 + round % 2),
        ("one upstream's weights", lambda round: lambda upstream, _: 4 + round % 2 if upstream == 1 else 1),
    ]
    spans, rows = [], []
    time.sleep(3)
    quiet = (clients[0].took[0][0], time.monotonic())
    for what, weights in kinds:
        times = []
        for round in range(ROUNDS):
            started, ended = reload(burdock, file, configuration(directory, upstreams, servers, weights(round)))
            spans.append((started, ended))
            times.append(ended - started)
            time.sleep(0.5)
        rows.append((what, sorted(times)))
    over.set()
    for client in clients:
        client.join()
    print(f"{servers:,} servers in {upstreams:,} upstreams, {CLIENTS} clients\n")
    print("| changed | median s | longest s |\n|---|--:|--:|")
    for what, times in rows:
        print(f"| {what} | {times[len(times) // 2]:.3f} | {times[-1]:.3f} |")
    took = [entry for client in clients for entry in client.took]
    during = [span for started, span in took if any(first <= started + span and started <= last for first, last in spans)]
    calm = [span for started, span in took if quiet[0] <= started <= quiet[1]]
    print("\n| requests | number | p99 ms | slowest ms |\n|---|--:|--:|--:|")
    for what, spans in (("quiet period", calm), ("during reloads", during)):
        spans.sort()
        print(f"| {what} | {len(spans):,} | {spans[len(spans) * 99 // 100] * 1e3:.2f} | {spans[-1] * 1e3:.2f} |")


if __name__ == "__main__":
    main()
