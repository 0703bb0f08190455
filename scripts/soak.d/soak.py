"""Runs Burdock under load with faults for a long time. It uses its own loopback addresses, and ends every process that it starts."""

import asyncio
import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

LISTEN, ADMIN = ("127.0.8.1", 8080), "127.0.8.1:9180"
SERVERS = {f"web-{n}": f"127.0.8.1:{9000 + n}" for n in range(1, 5)}
CLIENTS, STREAMS = 48, 8
# The time from one fault to the next. Failures after 0.6 of it are not excused by the fault.
FAULT_EVERY = 12.0
ORIGIN = pathlib.Path(__file__).with_name("origin.py")


class Origins:
    def __init__(self):
        self.running = {}

    def start(self, name):
        self.running[name] = subprocess.Popen([sys.executable, "-B", str(ORIGIN), name, SERVERS[name]])

    def signal(self, name, number):
        self.running[name].send_signal(number)

    def restart(self, name):
        self.running[name].kill()
        self.running[name].wait()
        self.start(name)

    def end(self):
        for process in self.running.values():
            process.kill()
            process.wait()


class Burdock:
    def __init__(self, binary, directory):
        self.binary, self.directory, self.file = binary, directory, directory / "burdock.yaml"
        for private in ("state", "run"):
            (directory / private).mkdir(mode=0o700)
        self.configure(list(SERVERS))
        with open(directory / "stderr", "wb") as err:
            self.process = subprocess.Popen([binary, "run", "-c", str(self.file)], stderr=err)

    def configure(self, servers, balance="round_robin"):
        listed = "".join(f"      - {{id: {name}, address: '{SERVERS[name]}'}}\n" for name in servers)
        self.file.write_text(
            f"listeners: ['{LISTEN[0]}:{LISTEN[1]}']\nadmin: {{address: '{ADMIN}'}}\n"
            f"process: {{state_dir: {self.directory}/state, runtime_dir: {self.directory}/run, shutdown: {{lame_duck: 0s, grace: 5s}}}}\n"
            f"access_log: {{to: {self.directory}/access.log, format: json}}\n"
            "tables: {shop: {capacity: 20000, idle_timeout: 60s}}\n"
            f"upstreams:\n  shop:\n    balance: {balance}\n"
            "    health_check: {http: {path: /healthz}, interval: 500ms, timeout: 400ms, rise: 1, fall: 1}\n"
            "    timeouts: {read: 2s}\n"
            "    sticky:\n      - cookie: {idle_timeout: 60s}\n"
            "      - learn: {create: 'set_cookie:JSESSIONID', lookup: 'cookie:JSESSIONID'}\n"
            f"    servers:\n{listed}"
        )

    @property
    def pid(self):
        """The process that accepts connections; an upgrade replaces it."""
        return int((self.directory / "run/burdock.pid").read_text())

    def reload(self):
        os.kill(self.pid, signal.SIGHUP)

    def upgrade(self):
        command = [self.binary, "upgrade", "-c", str(self.file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            print(f"soak: upgrade: {done.stderr.strip()}", flush=True)

    def end(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
        except (OSError, ValueError):
            pass
        self.process.kill()
        self.process.wait()

    def ctl(self, *words):
        command = [self.binary, "ctl", "-c", str(self.file), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        if done.returncode != 0:
            print(f"soak: ctl {' '.join(words)}: {done.stderr.strip()}", flush=True)

    def metrics(self):
        with urllib.request.urlopen(f"http://{ADMIN}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def gauge(self, family):
        lines = [line for line in self.metrics().splitlines() if line.startswith(family)]
        return sum(float(line.split()[-1]) for line in lines)

    def usage(self):
        pid = self.pid
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        resident = int(status.split("VmRSS:")[1].split()[0])
        return resident, len(os.listdir(f"/proc/{pid}/fd"))


class Answers:
    """The results of requests. A failure is excused if a fault can have caused it."""

    def __init__(self):
        self.total = self.excused = 0
        self.unexcused, self.moved = [], 0
        self.fault_until = 0.0

    def fault(self):
        self.fault_until = time.monotonic() + FAULT_EVERY * 0.6

    def failed(self, what):
        if time.monotonic() < self.fault_until:
            self.excused += 1
        else:
            self.unexcused.append(what)


async def request(reader, writer, path, cookies):
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    writer.write(f"GET {path} HTTP/1.1\r\nHost: shop\r\n{f'Cookie: {cookie}{chr(13)}{chr(10)}' if cookie else ''}\r\n".encode())
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, chunked, length, kept = int(head.split(" ")[1]), False, 0, True
    for field in head.split("\r\n")[1:]:
        name, _, value = field.partition(":")
        if name.lower() == "set-cookie":
            key, _, text = value.strip().split(";")[0].partition("=")
            cookies[key] = text
        chunked |= name.lower() == "transfer-encoding"
        kept &= (name.lower(), value.strip().lower()) != ("connection", "close")
        length = int(value) if name.lower() == "content-length" else length
    body = b""
    while chunked and (size := int((await reader.readuntil(b"\r\n")).strip(), 16)):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    if chunked:
        await reader.readexactly(2)
    return status, body or await reader.readexactly(length), kept


async def client(answers, over, rng):
    """A browser that comes and goes: it keeps its cookies for some requests, sometimes disconnects, and starts again without cookies."""
    while not over.is_set():
        cookies, home = {}, None
        try:
            reader, writer = await asyncio.open_connection(*LISTEN)
        except OSError as error:
            answers.failed(f"connect: {error}")
            await asyncio.sleep(0.2)
            continue
        try:
            for _ in range(rng.randrange(5, 80)):
                if over.is_set():
                    break
                path = "/stream" if rng.random() < 0.05 else "/"
                if rng.random() < 0.01:
                    writer.write(b"GET /stream HTTP/1.1\r\nHost: shop\r\n\r\n")
                    await asyncio.sleep(0.05)
                    break
                status, body, kept = await asyncio.wait_for(request(reader, writer, path, cookies), 15)
                answers.total += 1
                if not kept:
                    writer.close()
                    reader, writer = await asyncio.open_connection(*LISTEN)
                server = body.split(b" ")[0].decode()
                if status != 200:
                    answers.failed(f"status {status}")
                elif home not in (None, server):
                    answers.moved += 1
                    answers.failed(f"moved from {home} to {server}")
                home = server if status == 200 else home
                await asyncio.sleep(0.02)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
            answers.failed(f"{type(error).__name__} {error}")
        finally:
            writer.close()


async def stream(over):
    """A WebSocket that sends a message every second, and reconnects when it is closed."""
    while not over.is_set():
        try:
            reader, writer = await asyncio.open_connection(*LISTEN)
            writer.write(b"GET /upgrade HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 15)
            for _ in range(20):
                if over.is_set():
                    break
                writer.write(b"ping")
                await asyncio.wait_for(reader.readexactly(4), 15)
                await asyncio.sleep(1)
            writer.close()
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            await asyncio.sleep(0.5)


async def faults(burdock, origins, answers, over, rng):
    async def killed(name):
        origins.restart(name)

    async def stopped(name):
        origins.signal(name, signal.SIGSTOP)
        await asyncio.sleep(3)
        origins.signal(name, signal.SIGCONT)

    async def reloaded(_):
        for _ in range(5):
            burdock.configure(list(SERVERS), rng.choice(["round_robin", "least_conn", "random_two"]))
            burdock.reload()
            await asyncio.sleep(0.3)

    async def removed(name):
        burdock.configure([other for other in SERVERS if other != name])
        burdock.reload()
        await asyncio.sleep(3)
        burdock.configure(list(SERVERS))
        burdock.reload()

    async def drained(name):
        await asyncio.to_thread(burdock.ctl, "drain", f"shop/{name}")
        await asyncio.sleep(3)
        await asyncio.to_thread(burdock.ctl, "ready", f"shop/{name}")

    async def log_reopened(_):
        os.kill(burdock.pid, signal.SIGUSR1)

    async def upgraded(_):
        await asyncio.to_thread(burdock.upgrade)

    harmless = {reloaded, removed, drained, log_reopened, upgraded}
    while not over.is_set():
        kind, name = rng.choice([killed, stopped, reloaded, removed, drained, log_reopened, upgraded]), rng.choice(list(SERVERS))
        print(f"soak: {kind.__name__} {name}", flush=True)
        if kind not in harmless:
            answers.fault()
        await kind(name)
        await asyncio.sleep(FAULT_EVERY)


async def watch(burdock, over, samples):
    while not over.is_set():
        samples.append((time.monotonic(), *burdock.usage()))
        await asyncio.sleep(2)


async def soak(burdock, origins, seconds, seed):
    rng, answers, over, samples = random.Random(seed), Answers(), asyncio.Event(), []
    tasks = [client(answers, over, random.Random(seed + n)) for n in range(CLIENTS)]
    tasks += [stream(over) for _ in range(STREAMS)]
    tasks += [watch(burdock, over, samples)]
    running = [asyncio.create_task(task) for task in tasks]
    fault_task = asyncio.create_task(faults(burdock, origins, answers, over, rng))
    await asyncio.sleep(seconds)
    over.set()
    fault_task.cancel()
    for name in SERVERS:
        origins.signal(name, signal.SIGCONT)
    await asyncio.gather(*running, return_exceptions=True)
    return answers, samples


def report(burdock, answers, samples, before):
    """Prints the results and returns the problems."""
    third = len(samples) // 3
    resident = [statistics.median(sample[1] for sample in part) for part in (samples[third : 2 * third], samples[2 * third :])]
    descriptors = [statistics.median(sample[2] for sample in part) for part in (samples[third : 2 * third], samples[2 * third :])]
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and (burdock.gauge("burdock_server_in_flight_requests") or burdock.usage()[1] > before[1] + 8):
        time.sleep(0.5)
    left, (_, open_now) = burdock.gauge("burdock_server_in_flight_requests"), burdock.usage()
    print(json.dumps({
        "requests": answers.total, "failed during a fault": answers.excused, "failed without a fault": len(answers.unexcused),
        "resident KiB, second and last third": resident, "descriptors, second and last third": descriptors,
        "descriptors before and after": [before[1], open_now], "in flight afterwards": left,
    }, indent=2))
    problems = []
    if answers.unexcused:
        problems.append(f"{len(answers.unexcused)} requests failed without a fault: {sorted(set(answers.unexcused))[:5]}")
    if resident[1] > resident[0] * 1.1:
        problems.append("memory grows")
    if left or open_now > before[1] + 8:
        problems.append("requests in flight or descriptors are left")
    if "panicked" in (burdock.directory / "stderr").read_text(errors="replace"):
        problems.append("Burdock panicked")
    return problems


def main():
    binary, seconds, seed = sys.argv[1], float(sys.argv[2]), int(os.environ.get("SOAK_SEED", "1"))
    directory, origins, burdock = pathlib.Path(tempfile.mkdtemp(prefix="burdock-soak.")), Origins(), None
    try:
        for name in SERVERS:
            origins.start(name)
        time.sleep(1)
        burdock = Burdock(binary, directory)
        deadline = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(f"http://{ADMIN}/readyz", timeout=5).close()
                break
            except OSError as error:
                if time.monotonic() > deadline or burdock.process.poll() is not None:
                    sys.exit(f"soak: not ready: {error}\n{(directory / 'stderr').read_text()}")
                time.sleep(0.1)
        # A process that an upgrade started has some more descriptors than the first one.
        burdock.upgrade()
        before = burdock.usage()
        answers, samples = asyncio.run(soak(burdock, origins, seconds, seed))
        problems = report(burdock, answers, samples, before)
        for problem in problems:
            print(f"soak: FAILED: {problem}")
        if problems:
            shutil.copy(directory / "stderr", "/tmp/burdock-soak.stderr")
        print("soak: all checks passed" if not problems else "soak: failed; Burdock's messages are in /tmp/burdock-soak.stderr")
        sys.exit(1 if problems else 0)
    finally:
        if burdock:
            burdock.end()
        origins.end()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
