"""Starts programs on a chosen core, reads their resource usage from the kernel, and ends them. Knows nothing of proxies."""

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_started = []


class StartFailed(Exception):
    """A program ended, or was not ready in time. The message contains the end of its output."""


class Program:
    """A running program and its directory, with stdout and stderr in files there. They are opened for appending, so they can be truncated."""

    def __init__(self, argv, directory, core):
        self.directory = directory
        with open(directory / "stdout", "ab") as out, open(directory / "stderr", "ab") as err:
            self._process = subprocess.Popen(
                argv, cwd=directory, stdin=subprocess.DEVNULL, stdout=out, stderr=err, preexec_fn=lambda: _set_up_child(core)
            )
        self.pid = self._process.pid
        _started.append(self)

    def wait_until(self, ready, seconds):
        """Waits until `ready()` is true. Raises StartFailed if the program ends or the time runs out."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self._process.poll() is not None:
                raise StartFailed(f"ended with status {self._process.returncode}: {self._output_tail()}")
            if time.monotonic() > deadline:
                raise StartFailed(f"not ready within {seconds} s: {self._output_tail()}")
            time.sleep(0.05)

    def wait_ended(self, seconds):
        """Waits until it ends by itself."""
        self._process.wait(seconds)

    def signal(self, number):
        self._process.send_signal(number)

    def end(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def cpu_ns(self):
        """CPU time of all threads in nanoseconds, user and system."""
        total = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except FileNotFoundError:
                continue
        return total

    def resident_kib(self):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    def truncate_logs(self):
        for name in ("stdout", "stderr"):
            os.truncate(self.directory / name, 0)

    def logged_lines(self):
        with open(self.directory / "stdout", "rb") as log:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: log.read(1 << 20), b""))

    def _output_tail(self):
        tail = ""
        for name in ("stderr", "stdout"):
            lines = (self.directory / name).read_text(errors="replace").strip().splitlines()
            tail += "\n".join(lines[-12:])
        return tail or "no output"


def end_all():
    """Ends the programs that this process started, and nothing else."""
    while _started:
        _started.pop().end()


def two_cores():
    """The core of the proxy under test, and the core of load and origins. On a machine with one core they are the same."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[min(1, len(cores) - 1)]


def busy_ns(core):
    """Nanoseconds that a core was busy, with any process."""
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, line.split()[1:9])
            return (user + nice + system + irq + softirq + steal) * tick
    return 0


def _set_up_child(core):
    os.sched_setaffinity(0, set(core) if isinstance(core, tuple) else {core})
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
