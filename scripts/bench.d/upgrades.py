"""Requests that fail while a proxy is replaced ten times under load: Burdock by its upgrade, HAProxy and nginx by their reloads,
one after the other in one run. A request fails when its connection breaks before the answer, or the answer is no success."""

import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from load import answers
from processes import Program, end_all, two_cores

ORIGIN = "127.0.7.2:9001"
TIMES, PAUSE, CONNECTIONS = 10, 2.5, 64

SCRATCH = "client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;"
SERVES = f"""daemon off; master_process off; pid nginx.pid; error_log stderr error; events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_timeout 600s; keepalive_requests 1000000000; {SCRATCH}
  server {{ listen {ORIGIN}; location / {{ return 200 "ok\\n"; }} }} }}
"""


def burdock(folder, listen, binary):
    for private in ("state", "run"):
        (folder / private).mkdir(mode=0o700)
    (folder / "burdock.yaml").write_text(
        f"listeners: ['{listen}']\nadmin: {{address: none}}\n"
        f"process: {{state_dir: {folder}/state, runtime_dir: {folder}/run}}\naccess_log: {{to: off}}\n"
        f"upstreams: {{shop: {{servers: ['{ORIGIN}'], sticky: cookie}}}}\n"
    )

    def replace(_program):
        said = subprocess.run([binary, "upgrade", "--socket", folder / "run/admin.sock"], capture_output=True, text=True, check=False)
        if said.returncode != 0:
            sys.exit(said.stderr)
        line.append(int(re.search(r"process (\d+)", said.stderr).group(1)))

    return [binary, "run", "-c", str(folder / "burdock.yaml")], replace


def haproxy(folder, listen, _binary):
    (folder / "haproxy.cfg").write_text(
        f"global\n  stats socket {folder}/socket mode 600 level admin expose-fd listeners\n"
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"
        f"frontend f\n  bind {listen}\n  default_backend b\n"
        f"backend b\n  cookie S insert indirect nocache\n  server s {ORIGIN} cookie s\n"
    )
    return ["haproxy", "-W", "-f", str(folder / "haproxy.cfg")], lambda program: program.signal(signal.SIGUSR2)


def nginx(folder, listen, _binary):
    (folder / "nginx.conf").write_text(
        "daemon off; worker_processes 2; pid nginx.pid; error_log stderr error; events { worker_connections 1024; }\n"
        f"http {{ access_log off; keepalive_timeout 600s; keepalive_requests 1000000000; {SCRATCH}\n"
        f'  upstream u {{ server {ORIGIN}; keepalive 64; }} server {{ listen {listen};\n'
        '  location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; } } }\n'
    )
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], lambda program: program.signal(signal.SIGHUP)


line = []


def measure(make, folder, listen, binary):
    folder.mkdir()
    argv, replace = make(folder, listen, binary)
    program = Program(argv, folder, two_cores())
    program.wait_until(lambda: answers(listen), 20)
    wrk = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{int(TIMES * PAUSE) + 5}s", f"http://{listen}/"]
    load = subprocess.Popen(wrk, stdout=subprocess.PIPE, text=True)
    time.sleep(2)
    for nth in range(TIMES):
        due = time.monotonic() + PAUSE
        replace(program)
        time.sleep(max(0.0, due - time.monotonic()))
    said = load.communicate()[0]
    program.signal(signal.SIGTERM)
    return said


def failed(said):
    errors = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return sum(map(int, errors.groups() if errors else ())) + int(other.group(1) if other else 0)


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="burdock-upgrades."))
    try:
        origin = folder / "origin"
        origin.mkdir()
        (origin / "nginx.conf").write_text(SERVES)
        serving = Program(["nginx", "-p", str(origin), "-c", str(origin / "nginx.conf")], origin, two_cores())
        serving.wait_until(lambda: answers(ORIGIN), 20)
        print(f"replaced {TIMES} times under {CONNECTIONS} connections\n\n| proxy | requests | failed |\n|---|--:|--:|")
        for nth, make in enumerate((burdock, haproxy, nginx)):
            said = measure(make, folder / make.__name__, f"127.0.7.3:{8080 + nth}", sys.argv[1])
            requests = int(re.search(r"(\d+) requests in", said).group(1))
            print(f"| {make.__name__} | {requests:,} | {failed(said)} |", flush=True)
    finally:
        for pid in line:
            command = pathlib.Path(f"/proc/{pid}/cmdline")
            if command.exists() and str(folder) in command.read_text():
                subprocess.run(["kill", "-KILL", str(pid)], check=False)
        end_all()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
