"""Measures the cost of persisting learned sessions: the CPU time of the writer thread as a share of the process's, while one request
in twenty creates a session; and the same load without persistence."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from load import answers
from processes import Program, end_all, two_cores

LISTEN, ORIGIN = "127.0.7.1:8080", "127.0.7.1:9001"
SECONDS, ROUNDS = 20, 3

NGINX = f"""daemon off; master_process off; pid nginx.pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_timeout 600s; keepalive_requests 1000000000;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {{ listen {ORIGIN};
    location = /new {{ add_header Set-Cookie "JSESSIONID=$request_id; Path=/"; return 200 "a new session\\n"; }}
    location / {{ return 200 "an existing session\\n"; }} }} }}
"""


def configuration(directory, persist):
    return (
        f"listeners: ['{LISTEN}']\nadmin: {{address: none}}\n"
        f"process: {{state_dir: {directory}/state, runtime_dir: {directory}/run}}\naccess_log: {{to: off}}\n"
        f"tables: {{shop: {{capacity: 1000000, idle_timeout: 60s, persist: {persist}}}}}\n"
        f"upstreams: {{shop: {{servers: ['{ORIGIN}'], sticky: [{{learn: {{create: 'set_cookie:JSESSIONID', lookup: 'cookie:JSESSIONID'}}}}]}}}}\n"
    )


def cpu_time(program):
    """CPU time in nanoseconds: of all threads, and of the writer thread."""
    total, writer = 0, 0
    for task in pathlib.Path(f"/proc/{program.pid}/task").iterdir():
        spent = int((task / "schedstat").read_text().split()[0])
        total += spent
        if (task / "comm").read_text().strip() == "sessions":
            writer += spent
    return total, writer


def measure(binary, persist, directory, core, load_core):
    directory.mkdir()
    for private in ("state", "run"):
        (directory / private).mkdir(mode=0o700)
    file = directory / "burdock.yaml"
    file.write_text(configuration(directory, persist))
    program = Program([binary, "run", "-c", str(file)], directory, core)
    program.wait_until(lambda: answers(LISTEN), 20)
    before = cpu_time(program)
    script = pathlib.Path(__file__).with_name("journal.lua")
    wrk = ["taskset", "-c", str(load_core), "wrk", "-t1", "-c32", f"-d{SECONDS}s", "-s", str(script), f"http://{LISTEN}/"]
    output = subprocess.run(wrk, capture_output=True, text=True, check=True).stdout
    time.sleep(1)
    total, writer = (after - start for after, start in zip(cpu_time(program), before))
    program.end()
    requests = int(next(line for line in output.splitlines() if "requests in" in line).split()[0])
    return requests, total / requests / 1e3, writer / total * 100


def main():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="burdock-journal."))
    core, load_core = two_cores()
    try:
        origin = directory / "origin"
        origin.mkdir()
        (origin / "nginx.conf").write_text(NGINX)
        nginx = Program(["nginx", "-p", str(origin), "-c", str(origin / "nginx.conf")], origin, load_core)
        nginx.wait_until(lambda: answers(ORIGIN), 20)
        print("| persist | requests | CPU µs per request | writer's share |\n|---|--:|--:|--:|")
        for round in range(ROUNDS):
            for persist in ("true", "false"):
                requests, each, share = measure(sys.argv[1], persist, directory / f"{persist}{round}", core, load_core)
                print(f"| {persist} | {requests:,} | {each:.1f} | {share:.2f} % |", flush=True)
    finally:
        end_all()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
