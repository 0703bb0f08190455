"""Counting user instructions: a program under callgrind, with counting switched on for the steady state only."""

import os
import re
import subprocess

from processes import Program


class Counted:
    """A program under callgrind. Nothing is counted until `start_counting`."""

    def __init__(self, argv, folder, core):
        self._pipes = f"--vgdb-prefix={folder}/vgdb"
        self._profile = folder / "callgrind.out"
        callgrind = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", "--fair-sched=yes", self._pipes]
        self.program = Program([*callgrind, f"--callgrind-out-file={self._profile}", *argv], folder, core)
        self._dumps = 0

    def start_counting(self):
        self._say("instrumentation on")

    def count(self, work):
        """Instructions spent while `work()` ran, by all threads of the program."""
        self._say("zero")
        work()
        self._say("dump")
        self._dumps += 1
        return _total(f"{self._profile}.{self._dumps}")

    def keep_profile(self, dump, path):
        """Moves the profile of the nth count away, for callgrind_annotate."""
        os.replace(f"{self._profile}.{dump}", path)

    def _say(self, command):
        vgdb = ["vgdb", f"--pid={self.program.pid}", self._pipes, *command.split()]
        subprocess.run(vgdb, check=True, timeout=60, capture_output=True)


def _total(path):
    with open(path, encoding="utf-8", errors="replace") as profile:
        for line in profile:
            if found := re.match(r"(?:totals|summary): (\d+)", line):
                return int(found.group(1))
    raise ValueError(f"no total in {path}")
