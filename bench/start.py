#!/usr/bin/env python3
"""How quickly a cluster and its pods start, and what it costs at rest. usage: ./x bench start [--runs N] [--rest SECONDS]"""
import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from client import Api  # noqa: E402

PROJECT = pathlib.Path(__file__).resolve().parent.parent
SKIFF = os.environ.get("SKIFF", str(PROJECT / "build/release/skiff"))


def run(*command, env=None):
    done = subprocess.run(command, capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


class Cluster:
    def __init__(self):
        self.root, self.home = tempfile.mkdtemp(prefix="skiff-bench-"), tempfile.mkdtemp(prefix="skiff-home-")
        self.env = {**os.environ, "HOME": self.home}

    def up(self):
        """Seconds from the command's start to API ready and to node Ready, as its lines come."""
        begun, seen, text = time.monotonic(), {}, ""
        with subprocess.Popen([SKIFF, "up", "--root", self.root], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=self.env) as process:
            for line in process.stdout:
                text += line
                for what, pattern in (("api", "API server … ready"), ("node", "… Ready")):
                    if pattern in line:
                        seen.setdefault(what, time.monotonic() - begun)
        if process.returncode != 0 or len(seen) != 2:
            raise SystemExit(text)
        return seen["api"], seen["node"]

    def api(self):
        kubectl = shutil.which("kubectl")
        return Api(run(kubectl, "--kubeconfig", f"{self.root}/admin.kubeconfig", "config", "view", "--raw", "-o", "json"))

    def pid(self, part):
        return int(pathlib.Path(f"{self.root}/run/{part}.pid").read_text().split()[0])

    def reset(self):
        run(SKIFF, "reset", "--root", self.root, env=self.env)
        shutil.rmtree(self.home, ignore_errors=True)


def pss_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])


def cpu_ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def shims(root):
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                command = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes()
            except OSError:
                continue
            if b"containerd-shim" in command and root.encode() in command:
                found.append(int(entry))
    return found


def pod(name):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
        "terminationGracePeriodSeconds": 0, "containers": [
            {"name": "main", "image": "busybox:1.35", "command": ["sleep", "3600"]}]}}


def start_pods(api, names):
    """Seconds from the first POST until each is Running."""
    pods = "/api/v1/namespaces/default/pods"
    version = api.call("GET", pods + "?limit=1")["metadata"]["resourceVersion"]
    left, took, ready = set(names), {}, threading.Event()

    def follow():
        events = api.watch(f"{pods}?watch=true&resourceVersion={version}")
        ready.set()
        for _, shown in events:
            name = shown["metadata"]["name"]
            if name in left and shown.get("status", {}).get("phase") == "Running":
                took[name] = time.monotonic() - begun
                left.discard(name)
            if not left:
                return
    begun = time.monotonic()
    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    time.sleep(0.2)   # the watch is open
    begun = time.monotonic()
    for name in names:
        api.call("POST", pods, pod(name))
    follower.join(120)
    if left:
        raise SystemExit(f"not Running after 120 s: {sorted(left)}")
    return list(took.values())


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--rest", type=int, default=60, help="seconds of rest to measure CPU over")
    options = options.parse_args()
    ticks = os.sysconf("SC_CLK_TCK")
    rows = []
    for number in range(options.runs):
        cluster = Cluster()
        try:
            api_ready, node_ready = cluster.up()
            run(SKIFF, "image", "import", str(PROJECT / "build/images/busybox.tar"), "--root", cluster.root)
            api = cluster.api()
            single = [start_pods(api, [f"one-{i}"])[0] for i in range(20)]
            many = max(start_pods(api, [f"many-{i}" for i in range(20)]))
            rows.append((api_ready, node_ready, statistics.median(single), many))
            print(f"run {number + 1}: API ready {api_ready:.2f} s, node Ready {node_ready:.2f} s, "
                  f"POST to Running {statistics.median(single) * 1000:.0f} ms (median of 20, worst {max(single) * 1000:.0f}), "
                  f"20 at once {many:.2f} s", flush=True)
            if number + 1 < options.runs:
                continue
            for name in [f"one-{i}" for i in range(20)] + [f"many-{i}" for i in range(20)]:
                api.call("DELETE", f"/api/v1/namespaces/default/pods/{name}?gracePeriodSeconds=0")
            time.sleep(15)
            parts = ["supervisor", "server", "agent", "containerd"]
            before = {part: cpu_ticks(cluster.pid(part)) for part in parts}
            time.sleep(options.rest)
            print(f"at rest, over {options.rest} s:")
            for part in parts:
                used = (cpu_ticks(cluster.pid(part)) - before[part]) / ticks / options.rest * 100
                print(f"  {part:<11} {pss_kib(cluster.pid(part)) / 1024:6.1f} MiB PSS  {used:5.2f} % of a core")
            own = sum(pss_kib(cluster.pid(part)) for part in parts[:3]) / 1024
            print(f"  Skiff's three processes together: {own:.1f} MiB; shims left: {len(shims(cluster.root))}")
        finally:
            cluster.reset()
    median = [statistics.median(column) for column in zip(*rows)]
    print(f"median of {options.runs}: API ready {median[0]:.2f} s, node Ready {median[1]:.2f} s, "
          f"POST to Running {median[2] * 1000:.0f} ms, 20 at once {median[3]:.2f} s")


if __name__ == "__main__":
    main()
