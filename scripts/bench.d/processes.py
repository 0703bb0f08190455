"""Starting programs on a chosen core, reading what the kernel counts of them, ending them. Knows nothing of proxies."""

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
    """A program ended, or did not answer in time. The text holds what it said."""


class Program:
    """A running program with its folder; stdout and stderr go to files there, appended, so that they can be cut."""

    def __init__(self, argv, folder, core):
        self.folder = folder
        with open(folder / "stdout", "ab") as out, open(folder / "stderr", "ab") as err:
            self._process = subprocess.Popen(
                argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, preexec_fn=lambda: _settle_in(core)
            )
        self.pid = self._process.pid
        _started.append(self)

    def wait_until(self, ready, seconds):
        """Returns when `ready()` is true. Raises StartFailed when the program ends or the time has passed."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self._process.poll() is not None:
                raise StartFailed(f"ended with status {self._process.returncode}: {self._last_words()}")
            if time.monotonic() > deadline:
                raise StartFailed(f"no answer within {seconds} s: {self._last_words()}")
            time.sleep(0.05)

    def wait_ended(self, seconds):
        """Waits until it has ended by itself."""
        self._process.wait(seconds)

    def signal(self, number):
        self._process.send_signal(number)

    def end(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def cpu_ns(self):
        """Nanoseconds on a processor, all threads, user and system."""
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

    def cut_logs(self):
        for name in ("stdout", "stderr"):
            os.truncate(self.folder / name, 0)

    def logged_lines(self):
        with open(self.folder / "stdout", "rb") as log:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: log.read(1 << 20), b""))

    def _last_words(self):
        said = ""
        for name in ("stderr", "stdout"):
            lines = (self.folder / name).read_text(errors="replace").strip().splitlines()
            said += "\n".join(lines[-12:])
        return said or "it said nothing"


def end_all():
    """Ends what this process started, and nothing else."""
    while _started:
        _started.pop().end()


def two_cores():
    """(core of the proxy under test, core of load and origins). With one core both are the same."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[min(1, len(cores) - 1)]


def busy_ns(core):
    """Nanoseconds that a core was not idle, whoever used it."""
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, line.split()[1:9])
            return (user + nice + system + irq + softirq + steal) * tick
    return 0


def _settle_in(core):
    os.sched_setaffinity(0, set(core) if isinstance(core, tuple) else {core})
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
