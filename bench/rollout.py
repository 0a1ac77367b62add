#!/usr/bin/env python3
"""A rolling update of many pods under load: failed requests, duration. usage: ./x bench rollout [--pods N] [--connections N]
Through a ClusterIP with an application that drains on SIGTERM, and through Ingress (if this cluster has one on its node)."""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
from cluster import Cluster  # noqa: E402

OPTIONS = argparse.ArgumentParser()
OPTIONS.add_argument("--pods", type=int, default=20)
OPTIONS.add_argument("--connections", type=int, default=16)
OPTIONS.add_argument("--node-port-of-ingress", type=int, default=80)


def objects(pods):
    labels = {"app": "echo"}
    return {"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "echo"}, "spec": {
            "replicas": pods, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {
                "containers": [{"name": "echo", "image": "skiff/echo:1", "ports": [{"containerPort": 8080}],
                                "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}}]}}}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "echo"},
         "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "echo"}, "spec": {"rules": [
            {"host": "echo.k8s", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {
                "service": {"name": "echo", "port": {"number": 80}}}}]}}]}}]}


def roll(cluster, way, url, header, image, connections):
    """wrk runs from before the update until after it; what it counts is told."""
    command = ["wrk", "-t1", f"-c{connections}", "-d300s", "--timeout", "10s", *(("-H", header) if header else ()), url]
    load = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)
    try:
        time.sleep(2)
        begun = time.monotonic()
        cluster.kubectl(f"set image deployment/echo echo={image}").ok()
        cluster.kubectl("rollout status deployment/echo --timeout=240s", timeout=250).ok()
        took = time.monotonic() - begun
        time.sleep(5)   # the last old pods end
    finally:
        load.send_signal(2)   # wrk then prints what it has
        text = load.communicate(timeout=30)[0]
    requests = int(re.search(r"(\d+) requests in", text)[1])
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    failed = sum(map(int, errors.groups())) if errors else 0
    failed += int(other[1]) if other else 0
    print(f"{way}: {took:.1f} s for the update; {requests} requests, {failed} failed" +
          (f" ({errors[0] if errors else ''} {other[0] if other else ''})" if failed else ""), flush=True)


def main():
    options = OPTIONS.parse_args()
    cluster = Cluster()
    try:
        cluster.up().import_images("echo")
        cluster.apply(json.dumps(objects(options.pods))).ok()
        cluster.kubectl("rollout status deployment/echo --timeout=240s", timeout=250).ok()
        address = cluster.kubectl("get service echo -o jsonpath={.spec.clusterIP}").ok().out
        roll(cluster, "ClusterIP", f"http://{address}/", None, "skiff/echo:2", options.connections)
        node = cluster.kubectl(["get", "nodes", "-o", "jsonpath={.items[0].status.addresses[?(@.type==\"InternalIP\")].address}"]).ok().out
        place = f"{node}:{options.node_port_of_ingress}"
        shown = subprocess.run(["curl", "-s", "-m", "5", "--noproxy", "*", "-H", "Host: echo.k8s", f"http://{place}/"], capture_output=True, text=True).stdout
        if shown.startswith("2 "):
            roll(cluster, "Ingress", f"http://{place}/", "Host: echo.k8s", "skiff/echo:3", options.connections)
        else:
            print("Ingress: nothing answers there: left out")
    finally:
        if os.environ.get("SKIFF_TEST_KEEP"):
            print(f"kept: {cluster.root}")
        else:
            cluster.reset()


main()
