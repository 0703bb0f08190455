"""Counts the requests that fail while a proxy is replaced ten times under load: Burdock by an upgrade, HAProxy and nginx by a reload.
A request fails if its connection breaks before the response, or if the status is not a success."""

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

TEMP_PATHS = "client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;"
ORIGIN_CONFIG = f"""daemon off; master_process off; pid nginx.pid; error_log stderr error; events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_timeout 600s; keepalive_requests 1000000000; {TEMP_PATHS}
  server {{ listen {ORIGIN}; location / {{ return 200 "ok\\n"; }} }} }}
"""


def burdock(directory, listen, binary):
    for private in ("state", "run"):
        (directory / private).mkdir(mode=0o700)
    (directory / "burdock.yaml").write_text(
        f"listeners: ['{listen}']\nadmin: {{address: none}}\n"
        f"process: {{state_dir: {directory}/state, runtime_dir: {directory}/run}}\naccess_log: {{to: off}}\n"
        f"upstreams: {{shop: {{servers: ['{ORIGIN}'], sticky: cookie}}}}\n"
    )

    def replace(_program):
        output = subprocess.run([binary, "upgrade", "--socket", directory / "run/admin.sock"], capture_output=True, text=True, check=False)
        if output.returncode != 0:
            sys.exit(output.stderr)
        new_pids.append(int(re.search(r"process (\d+)", output.stderr).group(1)))

    return [binary, "run", "-c", str(directory / "burdock.yaml")], replace


def haproxy(directory, listen, _binary):
    (directory / "haproxy.cfg").write_text(
        f"global\n  stats socket {directory}/socket mode 600 level admin expose-fd listeners\n"
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"
        f"frontend f\n  bind {listen}\n  default_backend b\n"
        f"backend b\n  cookie S insert indirect nocache\n  server s {ORIGIN} cookie s\n"
    )
    return ["haproxy", "-W", "-f", str(directory / "haproxy.cfg")], lambda program: program.signal(signal.SIGUSR2)


def nginx(directory, listen, _binary):
    (directory / "nginx.conf").write_text(
        "daemon off; worker_processes 2; pid nginx.pid; error_log stderr error; events { worker_connections 1024; }\n"
        f"http {{ access_log off; keepalive_timeout 600s; keepalive_requests 1000000000; {TEMP_PATHS}\n"
        f'  upstream u {{ server {ORIGIN}; keepalive 64; }} server {{ listen {listen};\n'
        '  location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; } } }\n'
    )
    return ["nginx", "-p", str(directory), "-c", str(directory / "nginx.conf")], lambda program: program.signal(signal.SIGHUP)


new_pids = []


def measure(make, directory, listen, binary):
    directory.mkdir()
    argv, replace = make(directory, listen, binary)
    program = Program(argv, directory, two_cores())
    program.wait_until(lambda: answers(listen), 20)
    wrk = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{int(TIMES * PAUSE) + 5}s", f"http://{listen}/"]
    load = subprocess.Popen(wrk, stdout=subprocess.PIPE, text=True)
    time.sleep(2)
    for nth in range(TIMES):
        due = time.monotonic() + PAUSE
        replace(program)
        time.sleep(max(0.0, due - time.monotonic()))
    output = load.communicate()[0]
    program.signal(signal.SIGTERM)
    return output


def failed(output):
    errors = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    return sum(map(int, errors.groups() if errors else ())) + int(other.group(1) if other else 0)


def main():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="burdock-upgrades."))
    try:
        origin = directory / "origin"
        origin.mkdir()
        (origin / "nginx.conf").write_text(ORIGIN_CONFIG)
        nginx_origin = Program(["nginx", "-p", str(origin), "-c", str(origin / "nginx.conf")], origin, two_cores())
        nginx_origin.wait_until(lambda: answers(ORIGIN), 20)
        print(f"replaced {TIMES} times under {CONNECTIONS} connections\n\n| proxy | requests | failed |\n|---|--:|--:|")
        for nth, make in enumerate((burdock, haproxy, nginx)):
            output = measure(make, directory / make.__name__, f"127.0.7.3:{8080 + nth}", sys.argv[1])
            requests = int(re.search(r"(\d+) requests in", output).group(1))
            print(f"| {make.__name__} | {requests:,} | {failed(output)} |", flush=True)
    finally:
        for pid in new_pids:
            command = pathlib.Path(f"/proc/{pid}/cmdline")
            if command.exists() and str(directory) in command.read_text():
                subprocess.run(["kill", "-KILL", str(pid)], check=False)
        end_all()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
