"""Counts user instructions: runs a program under callgrind, with counting switched on only for the steady state."""

import os
import re
import subprocess

from processes import Program


class Counted:
    """A program under callgrind. Nothing is counted until `start_counting`."""

    def __init__(self, argv, directory, core):
        self._pipes = f"--vgdb-prefix={directory}/vgdb"
        self._profile = directory / "callgrind.out"
        callgrind = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", "--fair-sched=yes", self._pipes]
        self.program = Program([*callgrind, f"--callgrind-out-file={self._profile}", *argv], directory, core)
        self._dumps = 0

    def start_counting(self):
        self._control("instrumentation on")

    def count(self, work):
        """The instructions of all threads of the program while `work()` runs."""
        self._control("zero")
        work()
        self._control("dump")
        self._dumps += 1
        return _total(f"{self._profile}.{self._dumps}")

    def keep_profile(self, dump, path):
        """Moves the profile of this count to `path`, for callgrind_annotate."""
        os.replace(f"{self._profile}.{dump}", path)

    def _control(self, command):
        vgdb = ["vgdb", f"--pid={self.program.pid}", self._pipes, *command.split()]
        subprocess.run(vgdb, check=True, timeout=60, capture_output=True)


def _total(path):
    with open(path, encoding="utf-8", errors="replace") as profile:
        for line in profile:
            if found := re.match(r"(?:totals|summary): (\d+)", line):
                return int(found.group(1))
    raise ValueError(f"no total in {path}")
