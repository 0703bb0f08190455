"""Measures the memory of a learned session, in Burdock's table and in a stick table of HAProxy, which is filled through its socket."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

# Commands in one line to HAProxy's socket.
BATCH = 150


def burdock(binary, sessions):
    out = subprocess.run([binary, str(sessions)], check=True, capture_output=True, text=True).stdout
    return json.loads(out)


def resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("haproxy has ended")


def command(path, line):
    with socket.socket(socket.AF_UNIX) as admin:
        admin.connect(str(path))
        admin.sendall(line.encode() + b"\n")
        output = b""
        while piece := admin.recv(65536):
            output += piece
    return output.decode()


def haproxy(sessions):
    with tempfile.TemporaryDirectory() as directory:
        admin = pathlib.Path(directory, "admin.sock")
        config = pathlib.Path(directory, "haproxy.cfg")
        config.write_text(
            f"global\n  nbthread 1\n  stats socket {admin} level admin\n"
            "defaults\n  mode http\n  timeout client 5s\n  timeout server 5s\n  timeout connect 5s\n"
            f"backend t\n  stick-table type string len 36 size {sessions} expire 1h store server_id\n  server s1 127.0.0.1:1\n"
        )
        process = subprocess.Popen(["haproxy", "-f", str(config)], stderr=subprocess.DEVNULL)
        try:
            while not admin.exists():
                time.sleep(0.05)
            before = resident(process.pid)
            for first in range(0, sessions, BATCH):
                names = range(first, min(first + BATCH, sessions))
                command(admin, ";".join(f"set table t key {name:036} data.server_id 1" for name in names))
            used = command(admin, "show table").split("used:")[1].split()[0]
            return {"sessions": sessions, "live": int(used), "each": (resident(process.pid) - before) / sessions}
        finally:
            process.kill()
            process.wait()


def main():
    binary, sessions, ours = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rows = [("burdock", burdock(binary, ours)), ("burdock", burdock(binary, sessions)), ("haproxy", haproxy(sessions))]
    print("| table | sessions | live | bytes each |\n|---|--:|--:|--:|")
    for name, row in rows:
        print(f"| {name} | {row['sessions']:,} | {row['live']:,} | {row['each']:.1f} |")


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    main()
