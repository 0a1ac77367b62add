#!/usr/bin/env python3
"""What the API server can do, beside nginx sending the same bytes and beside a durable commit. usage: ./x bench api [--seconds N] [--only WORD]
The server runs alone, without a node; RBAC is on: the loader is a service account with the role cluster-admin."""
import argparse
import base64
import contextlib
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from start import PROJECT, SKIFF, Cluster, run  # noqa: E402

LOADER = PROJECT / "build/release/client_bench"
NAMESPACE = "/api/v1/namespaces/bench"
SHAPES = ((1, 1), (8, 1), (64, 1), (1, 64))   # connections, and streams on each


def shape_name(shape):
    return f"{shape[0]} conn" if shape[1] == 1 else f"{shape[1]} streams"


def pod(name):
    """About as much as a Deployment's pod says; nobody schedules it."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web", "tier": "front", "pod-template-hash": "5d4f8c7b9"}},
            "spec": {"schedulerName": "nobody", "containers": [{
                "name": "web", "image": "registry.example/web:1.2.3", "ports": [{"containerPort": 8080, "name": "http"}],
                "env": [{"name": f"SETTING_{i}", "value": f"value-{i}"} for i in range(4)],
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
                "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5}}]}}


def config_map(name):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": "bench"}}, "data": {"t": "%t", "k": "v" * 64}}


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def anonymous_kib(pid, peak=False):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)" if peak else r"RssAnon:\s+(\d+)", text)[1])


class Server:
    """`skiff server` of a cluster whose node is down, and a loader's token."""

    def __init__(self):
        self.cluster = Cluster()
        self.cluster.up()
        run(SKIFF, "down", "--root", self.cluster.root, env=self.cluster.env)
        self.process = subprocess.Popen([SKIFF, "server", "--root", self.cluster.root], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        self.api = self.cluster.api()
        for _ in range(100):
            with contextlib.suppress(OSError, RuntimeError):
                self.api.connection = self.api.connect()
                self.api.call("GET", "/api/v1/namespaces/default/serviceaccounts/default")
                break
            time.sleep(0.1)
        self.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": "bench"}})
        for _ in range(100):
            with contextlib.suppress(RuntimeError):
                self.api.call("GET", f"{NAMESPACE}/serviceaccounts/default")
                break
            time.sleep(0.1)
        self.api.call("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
            "metadata": {"name": "bench"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "bench"}]})
        asked = self.api.call("POST", f"{NAMESPACE}/serviceaccounts/default/token", {"spec": {"expirationSeconds": 36000}})
        self.token = asked["status"]["token"]
        self.address = f"{self.api.host.split('//')[-1]}:{self.api.port}"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="skiff-bench-"))
        kubectl = shutil.which("kubectl")
        config = json.loads(run(kubectl, "--kubeconfig", f"{self.cluster.root}/admin.kubeconfig", "config", "view", "--raw", "-o", "json"))
        (self.folder / "ca").write_bytes(base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]))

    def loader(self, *words, version=""):
        env = {**os.environ, "SERVER": self.address, "CA": str(self.folder / "ca"), "TOKEN": self.token, "VERSION": version}
        done = subprocess.run([LOADER, *map(str, words)], capture_output=True, text=True, env=env)
        if done.returncode != 0:
            raise SystemExit(done.stdout + done.stderr)
        return json.loads(done.stdout)

    def body(self, content):
        path = self.folder / "body"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    def load(self, what, shape, seconds, method, path, body="", content_type="application/json"):
        before = cpu_seconds(self.pid)
        found = self.loader("requests", method, content_type if body else "", *shape, seconds, path, self.body(body) if body else "")
        used = cpu_seconds(self.pid) - before
        return self.row(what, shape, found["requests"], found["seconds"], found["p50_us"], found["p99_us"], found["bytes"], used,
                        found["failed"], found["problem"])

    @staticmethod
    def row(what, shape, requests, seconds, p50, p99, size, used, failed=0, problem=""):
        found = {"rate": requests / seconds, "p99_ms": p99 / 1000}
        print(f"| {what} | {shape_name(shape)} | {requests / seconds:,.0f}/s | {p50 / 1000:.2f} ms | {p99 / 1000:.2f} ms "
              f"| {size / seconds / 2**20:.1f} MiB/s | {used * 1e6 / max(1, requests):.0f} µs |{f' {failed} failed: {problem}' if failed else ''}", flush=True)
        return found

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        self.cluster.reset()
        shutil.rmtree(self.folder, ignore_errors=True)


class Nginx:
    """The mark: the same bytes from files, with the same kind of key, by one worker for each core."""

    def __init__(self, files):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="skiff-nginx-"))
        self.port = 18443
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{self.folder}/key", "-out", f"{self.folder}/ca")
        for name, text in files.items():
            (self.folder / name).write_bytes(text)
        self.folder.chmod(0o755)
        (self.folder / "conf").write_text(
            f"worker_processes 2; pid {self.folder}/pid; error_log {self.folder}/error.log;\n"
            "events { worker_connections 4096; }\n"
            f"http {{ access_log off; open_file_cache max=100; keepalive_requests 100000000; default_type application/json; sendfile on; tcp_nopush on;\n"
            f"server {{ listen 127.0.0.1:{self.port} ssl http2; ssl_certificate {self.folder}/ca; ssl_certificate_key {self.folder}/key; root {self.folder}; }} }}\n")
        self.process = subprocess.Popen(["nginx", "-c", f"{self.folder}/conf", "-g", "daemon off;"], stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        self.workers = [int(p) for p in run("pgrep", "-P", str(self.process.pid)).split()]

    def load(self, what, shape, seconds, path):
        before = sum(map(cpu_seconds, self.workers))
        env = {**os.environ, "SERVER": f"127.0.0.1:{self.port}", "CA": f"{self.folder}/ca", "TOKEN": "-"}
        found = json.loads(subprocess.run([LOADER, "requests", "GET", "", *map(str, shape), str(seconds), path, ""],
                                          capture_output=True, text=True, env=env, check=True).stdout)
        used = sum(map(cpu_seconds, self.workers)) - before
        return Server.row(what, shape, found["requests"], found["seconds"], found["p50_us"], found["p99_us"], found["bytes"], used,
                          found["failed"], found["problem"])

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


class Bench:
    def __init__(self, options):
        self.options, self.server = options, Server()
        print("| what | at once | rate | p50 | p99 | bytes | server's CPU a request |\n|---|---|---|---|---|---|---|", flush=True)

    def wanted(self, name):
        return not self.options.only or self.options.only in name

    def raw(self, path):
        connection = self.server.api.connect()
        connection.request("GET", path)
        return connection.getresponse().read()

    def reads(self):
        api, seconds = self.server.api, self.options.seconds
        for number in range(1000):
            api.call("POST", f"{NAMESPACE}/pods", pod(f"pod-{number}"))
        files = {"pod": self.raw(f"{NAMESPACE}/pods/pod-7"), "list": self.raw(f"{NAMESPACE}/pods")}
        nginx = Nginx(files)
        try:
            for what, path, file in (("GET pod", f"{NAMESPACE}/pods/pod-7", "/pod"), ("LIST 1,000 pods", f"{NAMESPACE}/pods", "/list")):
                for shape in SHAPES:
                    # In turns, for the machine's pace changes.
                    rounds = [(self.server.load(what, shape, seconds, "GET", path)["rate"],
                               nginx.load(f"nginx, the same {len(files[file[1:]]):,} bytes", shape, seconds, file)["rate"])
                              for _ in range(self.options.rounds)]
                    print(f"| {what}, of nginx | {shape_name(shape)} | {statistics.median(a / b for a, b in rounds):.2f} | | | | |", flush=True)
        finally:
            nginx.end()

    def writes(self):
        load, seconds = self.server.load, self.options.seconds
        for shape in SHAPES:
            tag = f"{shape[0]}-{shape[1]}-%t-%n"
            load("GET /version", shape, seconds, "GET", "/version")
            load("POST configmap", shape, seconds, "POST", f"{NAMESPACE}/configmaps", config_map(f"map-{tag}"))
            load("POST pod", shape, seconds, "POST", f"{NAMESPACE}/pods", pod(f"new-{tag}"))
        for number in range(1000):
            self.server.api.call("POST", "/api/v1/namespaces/default/configmaps", config_map(f"m{number}".replace("%", "")))
        maps = "/api/v1/namespaces/default/configmaps"
        for shape in SHAPES:
            # "%3n" is the number below 1,000: each write changes another object.
            load("PUT configmap", shape, seconds, "PUT", f"{maps}/m%3n", config_map("m%3n"))
            load("merge patch", shape, seconds, "PATCH", f"{maps}/m%3n", {"data": {"t": "%t"}}, "application/merge-patch+json")
            load("server-side apply", shape, seconds, "PATCH", f"{maps}/m%3n?fieldManager=bench&force=true",
                 {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m%3n"}, "data": {"t": "%t"}}, "application/apply-patch+yaml")

    def limits(self):
        """What a write cannot be quicker than: one durable commit of 2 KB, and an empty round trip."""
        with tempfile.TemporaryDirectory(dir=self.server.cluster.root) as folder:
            said = run(str(PROJECT / "build/release/store_bench"), folder, "1")
        print("\n".join(f"| {line.strip()} | | | | | | |" for line in said.splitlines() if "in flight" in line or "plain" in line), flush=True)
        self.server.load("GET /version", (1, 1), self.options.seconds, "GET", "/version")

    def watches(self):
        self.server.api.call("POST", f"{NAMESPACE}/configmaps", {"metadata": {"name": "bench"}, "data": {"t": "0", "k": "v" * 60}})
        body = self.server.body('{"data":{"t":"%t"}}')
        for rate in (100, 200, 400):
            version = self.server.api.call("GET", f"{NAMESPACE}/configmaps/bench")["metadata"]["resourceVersion"]
            before = cpu_seconds(self.server.pid)
            found = self.server.loader("watches", 1000, 8, rate, self.options.seconds, f"{NAMESPACE}/configmaps", body, version=version)
            used = cpu_seconds(self.server.pid) - before
            assert not found["problem"], found
            print(f"| 1,000 watches, {rate} writes/s wanted | 8 conn | {found['events'] / found['seconds']:,.0f} events/s of "
                  f"{found['bytes'] // max(1, found['events'])} bytes, {found['events']} of {found['expected']} | {found['p50_us'] / 1000:.2f} ms "
                  f"| {found['p99_us'] / 1000:.2f} ms | {found['bytes'] / found['seconds'] / 2**20:.1f} MiB/s | {used * 1e6 / max(1, found['events']):.1f} µs |", flush=True)

    def large_list(self):
        api, pid = self.server.api, self.server.pid
        api.call("POST", "/api/v1/namespaces", {"metadata": {"name": "large"}})
        time.sleep(1)
        made = 0
        while made < 10000:
            made += self.server.loader("requests", "POST", "application/json", 8, 1, 1, "/api/v1/namespaces/large/pods",
                                       self.server.body(pod(f"p-{made}-%n")))["requests"]
        time.sleep(2)
        rest = anonymous_kib(pid)
        pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")   # the high-water mark begins anew
        before = anonymous_kib(pid, peak=True)
        self.server.load(f"LIST {made:,} pods", (1, 1), self.options.seconds, "GET", "/api/v1/namespaces/large/pods")
        extra = anonymous_kib(pid, peak=True) - before
        print(f"| memory of that | | {extra / 1024:.1f} MiB more at the most | | | | |", flush=True)
        self.server.load(f"LIST {made:,} pods", (8, 1), self.options.seconds, "GET", "/api/v1/namespaces/large/pods")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and anonymous_kib(pid) > rest * 1.1:
            time.sleep(1)
        print(f"| memory after | | {anonymous_kib(pid) / 1024:.1f} MiB, {rest / 1024:.1f} before | | | | |", flush=True)

    def run(self):
        for name in ("limits", "reads", "writes", "watches", "large_list"):
            if self.wanted(name):
                getattr(self, name)()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="limits, reads, writes, watches or large_list")
    bench = Bench(parser.parse_args())
    try:
        bench.run()
    finally:
        bench.server.end()


if __name__ == "__main__":
    main()
