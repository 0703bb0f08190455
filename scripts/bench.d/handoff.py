"""Measures upgrades with a large session table: how long the handoff of the sessions takes, and the latency of requests during
upgrades, compared with a quiet period of the same run."""

import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from journal import NGINX, ORIGIN
from load import answers
from processes import Program, end_all, two_cores

LISTEN, ADMIN = "127.0.7.1:8080", "127.0.7.1:9180"
ROUNDS, CLIENTS = 5, 2


def configuration(directory, sessions):
    return (
        f"listeners: ['{LISTEN}']\nadmin: {{address: '{ADMIN}'}}\n"
        f"process: {{state_dir: {directory}/state, runtime_dir: {directory}/run, shutdown: {{lame_duck: 0s, grace: 1s}}}}\n"
        f"access_log: {{to: off}}\n"
        f"tables: {{shop: {{capacity: {sessions * 2}, idle_timeout: 1h}}}}\n"
        f"upstreams: {{shop: {{servers: ['{ORIGIN}'], sticky: [{{learn: {{create: 'set_cookie:JSESSIONID', lookup: 'cookie:JSESSIONID'}}}}]}}}}\n"
    )


class RequestLoop(threading.Thread):
    """Sends requests one after the other, on a new connection if the last one was closed. Records the start and the latency of each."""

    def __init__(self, over):
        super().__init__()
        self._over, self.took, self.failed = over, [], []

    def run(self):
        connection = None
        while not self._over.is_set():
            started = time.monotonic()
            try:
                if connection is None:
                    connection = socket.create_connection(("127.0.7.1", 8080), timeout=30)
                connection.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\nCookie: JSESSIONID=unknown\r\n\r\n")
                answer = connection.recv(4096)
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise OSError(f"unexpected response {answer[:60]!r}")
                if b"onnection: close" in answer:
                    connection.close()
                    connection = None
            except OSError as error:
                self.failed.append(str(error))
                connection = None
            self.took.append((started, time.monotonic() - started))
            time.sleep(0.0005)


def sessions():
    with urllib.request.urlopen(f"http://{ADMIN}/metrics", timeout=30) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("burdock_table_sessions{"):
                return int(float(line.split()[1]))
    return 0


def fill(wanted, load_core):
    script = pathlib.Path(__file__).with_name("handoff.lua")
    while (count := sessions()) < wanted:
        wrk = ["taskset", "-c", str(load_core), "wrk", "-t1", "-c64", "-d5s", "-s", str(script), f"http://{LISTEN}/"]
        subprocess.run(wrk, capture_output=True, check=True)
        if sessions() == count:
            sys.exit("no sessions are created")
    return sessions()


def upgrade(binary, socket_path):
    started = time.monotonic()
    output = subprocess.run([binary, "upgrade", "--socket", str(socket_path)], capture_output=True, text=True, check=False)
    if output.returncode != 0:
        sys.exit(output.stderr)
    return started, time.monotonic(), int(re.search(r"process (\d+)", output.stderr).group(1))


def ended(pid):
    return not pathlib.Path(f"/proc/{pid}/cmdline").exists() or not pathlib.Path(f"/proc/{pid}/cmdline").read_text()


def main():
    binary, wanted = sys.argv[1], int(sys.argv[2])
    directory = pathlib.Path(tempfile.mkdtemp(prefix="burdock-handoff."))
    new_pids = []
    try:
        measure(binary, wanted, directory, new_pids)
    finally:
        for pid in new_pids:
            if not ended(pid):
                subprocess.run(["kill", "-KILL", str(pid)], check=False)
        end_all()
        shutil.rmtree(directory, ignore_errors=True)


def measure(binary, wanted, directory, new_pids):
    core, load_core = two_cores()
    origin = directory / "origin"
    origin.mkdir()
    (origin / "nginx.conf").write_text(NGINX)
    nginx = Program(["nginx", "-p", str(origin), "-c", str(origin / "nginx.conf")], origin, load_core)
    nginx.wait_until(lambda: answers(ORIGIN), 20)
    for private in ("state", "run"):
        (directory / private).mkdir(mode=0o700)
    file = directory / "burdock.yaml"
    file.write_text(configuration(directory, wanted))
    burdock = Program([binary, "run", "-c", str(file)], directory, (core, load_core))
    burdock.wait_until(lambda: answers(LISTEN), 20)
    count = fill(wanted, load_core)
    over = threading.Event()
    clients = [RequestLoop(over) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(3)
    calm = (clients[0].took[0][0], time.monotonic())
    spans, before = [], burdock.pid
    for _ in range(ROUNDS):
        started, until, pid = upgrade(binary, directory / "run" / "admin.sock")
        new_pids.append(pid)
        spans.append((started, until + 1))
        if before == burdock.pid:
            burdock.wait_ended(30)
        else:
            deadline = time.monotonic() + 30
            while not ended(before) and time.monotonic() < deadline:
                time.sleep(0.05)
        before = pid
    over.set()
    for client in clients:
        client.join()
    output = (directory / "stderr").read_text()
    report(count, sessions(), output, clients, calm, spans)


def report(count, after, output, clients, calm, spans):
    took = re.findall(r"(\d+) sessions, from the running process in ([0-9.]+)(ms|s)", output)
    moved = sorted(float(number) * (1 if unit == "s" else 1e-3) for _, number, unit in took)
    print(f"{count:,} sessions before, {after:,} after {ROUNDS} upgrades; received by each process: {[int(count) for count, _, _ in took]}\n")
    print(f"handoff in {moved[len(moved) // 2]:.3f} s (median), {moved[-1]:.3f} s (longest)")
    print(f"duration of `burdock upgrade`: {', '.join(f'{until - 1 - started:.2f}' for started, until in spans)} s\n")
    failed = [why for client in clients for why in client.failed]
    all_took = [entry for client in clients for entry in client.took]
    print(f"{len(all_took):,} requests, {len(failed)} failed {failed[:3] if failed else ''}\n")
    print("| requests | number | p99 ms | slowest ms |\n|---|--:|--:|--:|")
    during = [span for started, span in all_took if any(first <= started + span and started <= last for first, last in spans)]
    quiet = [span for started, span in all_took if calm[0] <= started <= calm[1]]
    for what, spans_of in (("quiet period", quiet), ("during upgrades", during)):
        spans_of.sort()
        print(f"| {what} | {len(spans_of):,} | {spans_of[len(spans_of) * 99 // 100] * 1e3:.2f} | {spans_of[-1] * 1e3:.2f} |")


if __name__ == "__main__":
    main()
