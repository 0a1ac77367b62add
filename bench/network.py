#!/usr/bin/env python3
"""What the service network costs: requests through a cluster IP, a node port and an Ingress beside the pod's own address
and an nginx by hand, and one change among many services. usage: ./x bench network [--seconds N] [--rounds N] [--services N,N] [--changes N]"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from start import PROJECT, SKIFF, Cluster, run  # noqa: E402


def requests_a_second(url, seconds):
    text = run("wrk", "-t1", "-c16", f"-d{seconds}s", url)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])


def cpu_seconds(pid):
    """Of all its threads, also those that have ended; in ticks, so over many changes."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def opens(address, port):
    """True: somebody listens; False: refused."""
    with socket.socket() as client:
        client.settimeout(1)
        try:
            client.connect((address, port))
            return True
        except (ConnectionRefusedError, TimeoutError):
            return False


class Bench:
    def __init__(self, options):
        self.options, self.cluster = options, Cluster()
        self.cluster.up()
        run(SKIFF, "image", "import", str(PROJECT / "build/images/echo.tar"), "--root", self.cluster.root)
        self.api = self.cluster.api()
        self.made = 0

    def pod(self):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "echo", "labels": {"app": "echo"}},
               "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "echo", "image": "skiff/echo:1"}]}}
        path = "/api/v1/namespaces/default"
        deadline = time.monotonic() + 20
        while True:   # the default account comes a moment after the namespace
            try:
                self.api.call("POST", f"{path}/pods", pod)
                break
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
        while (shown := self.api.call("GET", f"{path}/pods/echo")).get("status", {}).get("phase") != "Running":
            if time.monotonic() > deadline + 20:
                raise SystemExit(f"the pod does not run: {json.dumps(shown['status'])}")
            time.sleep(0.05)
        return shown["status"]["podIP"], shown["status"]["hostIP"]

    def service(self, name, address, kind="ClusterIP"):
        path = "/api/v1/namespaces/default/services"
        made = self.api.call("POST", path, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
                                            "spec": {"type": kind, "ports": [{"port": 80, "targetPort": 8080}]}})
        self.slice(name, [address], "POST")
        return made

    def slice(self, name, addresses, method):
        path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        body = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"name": f"{name}-x", "labels": {"kubernetes.io/service-name": name}},
                "ports": [{"name": "", "port": 8080, "protocol": "TCP"}], "endpoints": [{"addresses": [one]} for one in addresses]}
        self.api.call(method, path if method == "POST" else f"{path}/{name}-x", body)

    def ingress(self, host):
        """A way through the cluster's own nginx, and one through an nginx whose configuration is written by hand."""
        with open(f"{self.cluster.root}/cluster.json") as stream:
            port = json.load(stream)["ingressHttpPort"]
        self.api.call("POST", "/apis/networking.k8s.io/v1/namespaces/default/ingresses", {
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"}, "spec": {
                "ingressClassName": "nginx", "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}})
        return f"http://{host}:{port}/"

    def nginx(self, pod):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="skiff-bench-nginx-"))
        with socket.socket() as probe:
            probe.bind(("", 0))
            port = probe.getsockname()[1]
        headers = "".join(f"proxy_set_header {one};" for one in (
            "Host $http_host", "Connection ''", "X-Real-IP $remote_addr", "X-Forwarded-For $remote_addr", "X-Forwarded-Host $http_host",
            "X-Forwarded-Port $server_port", "X-Forwarded-Proto $scheme", "X-Request-ID $request_id"))
        (folder / "nginx.conf").write_text(
            f"worker_processes {min(os.cpu_count(), 4)};pid {folder}/pid;error_log {folder}/log;daemon on;events{{worker_connections 4096;}}"
            f"http{{access_log off;tcp_nodelay on;keepalive_requests 10000;proxy_http_version 1.1;proxy_buffering off;{headers}"
            f"upstream web{{server {pod}:8080;keepalive 64;}}server{{listen {port};location /{{proxy_pass http://web;}}}}}}")
        run("nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"))
        return folder, f"http://127.0.0.1:{port}/"

    def throughput(self, pod, host):
        made = self.service("web", pod, "NodePort")
        folder, plain = self.nginx(pod)
        try:
            self.compare(made, pod, host, plain)
        finally:
            os.kill(int((folder / "pid").read_text()), signal.SIGTERM)
            shutil.rmtree(folder, ignore_errors=True)

    def compare(self, made, pod, host, plain):
        ways = {"the pod's address": f"http://{pod}:8080/", "a cluster IP": f"http://{made['spec']['clusterIP']}/",
                "a node port": f"http://{host}:{made['spec']['ports'][0]['nodePort']}/",
                "an nginx by hand": plain, "an Ingress": self.ingress(host)}
        deadline = time.monotonic() + 10
        while not opens(made["spec"]["clusterIP"], 80) and time.monotonic() < deadline:
            time.sleep(0.01)
        while not opens(host, int(ways["an Ingress"].split(":")[2].strip("/"))) and time.monotonic() < deadline:
            time.sleep(0.01)
        seen = {way: [] for way in ways}
        for _ in range(self.options.rounds):   # side by side: the machine's moods hit all of them
            for way, url in ways.items():
                seen[way].append(requests_a_second(url, self.options.seconds))
        direct = statistics.median(seen["the pod's address"])
        print("\nrequests a second, 16 connections kept open, one thread of wrk\n| way | median | rounds | of direct |\n|---|---|---|---|")
        for way, rates in seen.items():
            print(f"| {way} | {statistics.median(rates):,.0f} | {' '.join(f'{rate:,.0f}' for rate in rates)} | {statistics.median(rates) / direct:.3f} |")
        print(f"\nan Ingress, of the nginx by hand: {statistics.median(seen['an Ingress']) / statistics.median(seen['an nginx by hand']):.3f}")

    def change(self, pod, count):
        """One slice there and back, with `count` services around."""
        while self.made < count:
            self.service(f"s{self.made}", pod)
            self.made += 1
        name = f"changing-{count}"
        address = self.service(name, pod)["spec"]["clusterIP"]
        agent = self.cluster.pid("agent")
        deadline = time.monotonic() + 60
        while not opens(address, 80) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(2)   # what the services around still cause
        waits, began = [], cpu_seconds(agent)
        for i in range(self.options.changes):
            there = i % 2 == 1
            self.slice(name, [pod] if there else [], "PUT")
            told = time.monotonic()
            while opens(address, 80) != there:
                pass
            waits.append(time.monotonic() - told)
        cpu = (cpu_seconds(agent) - began) / self.options.changes
        ordered = sorted(waits)
        return statistics.median(waits), ordered[int(len(ordered) * 0.95)], cpu

    def run(self):
        pod, host = self.pod()
        self.throughput(pod, host)
        print("\none change of a service's endpoints, from the API's answer until a connection shows it\n"
              "| services | median | 95 of 100 | agent's CPU a change |\n|---|---|---|---|")
        for count in self.options.services:
            median, most, cpu = self.change(pod, count)
            print(f"| {count:,} | {median * 1000:.1f} ms | {most * 1000:.1f} ms | {cpu * 1000:.2f} ms |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--changes", type=int, default=400)
    parser.add_argument("--services", type=lambda text: [int(word) for word in text.split(",")], default=[1000, 5000])
    bench = Bench(parser.parse_args())
    try:
        bench.run()
    finally:
        bench.cluster.reset()


if __name__ == "__main__":
    main()
