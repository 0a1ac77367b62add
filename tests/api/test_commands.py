"""What every user tries next, with the newest kubectl."""
import json
import os
import pty
import select
import socket
import subprocess
import time

import pytest
from cluster import matches, pod


@pytest.fixture(scope="module")
def web(cluster):
    """A pod that serves its index page on port 8080 and ends quickly when told."""
    cluster.apply(pod("web", "mkdir /www && echo hello > /www/index.html && exec httpd -f -p 8080 -h /www"), "create").ok()
    cluster.wait_ready("web")
    yield "web"
    cluster.kubectl("delete pod web --grace-period=0 --force")


def test_exec_passes_output_and_exit_code(cluster, web):
    assert cluster.kubectl(["exec", web, "--", "echo", "hi there"]).ok().out == "hi there\n"
    failed = cluster.kubectl(["exec", web, "--", "sh", "-c", "echo oops >&2; exit 3"])
    assert failed.code == 3 and "oops" in failed.err


def test_exec_passes_input(cluster, web):
    assert cluster.kubectl(["exec", "-i", web, "--", "cat"], stdin="a\nb\n").ok().out == "a\nb\n"


def read_until(fd, text, seconds=15):
    seen, deadline = b"", time.monotonic() + seconds
    while text not in seen and time.monotonic() < deadline:
        ready, _, _ = select.select([fd], [], [], 0.2)
        if ready:
            try:
                seen += os.read(fd, 4096)
            except OSError:
                break
    return seen


def test_exec_on_a_terminal(cluster, web):
    pid, fd = pty.fork()
    if pid == 0:
        command = cluster.command(["exec", "-it", web, "--", "sh"])
        os.execve(command[0], command, cluster.environment())
    try:
        read_until(fd, b"#")
        os.write(fd, b"tty && echo is-a-$((40+2))\n")
        assert b"is-a-42" in read_until(fd, b"is-a-42")
        os.write(fd, b"exit\n")
    finally:
        os.waitpid(pid, 0)
        os.close(fd)


def test_run_interactively_once(cluster):
    done = cluster.kubectl(["run", "once", "-i", "--rm", "--restart=Never", "--image=busybox:1.35", "--", "sh", "-c", "cat; echo end"],
                           stdin="from stdin\n", timeout=60)
    assert "from stdin" in done.ok().out
    cluster.eventually("removed", lambda: cluster.kubectl("get pod once").code != 0)


def test_attach_shows_what_is_written(cluster):
    cluster.apply(pod("talker", "while true; do echo tick; sleep 0.2; done")).ok()
    cluster.wait_ready("talker")
    attached = subprocess.Popen(cluster.command("attach talker"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=cluster.environment())
    try:
        assert attached.stdout.readline() == b"tick\n"
    finally:
        attached.terminate()
        attached.wait(10)
    cluster.kubectl("delete pod talker --grace-period=0 --force").ok()


def test_cp_both_ways(cluster, web, tmp_path):
    there = tmp_path / "file"
    there.write_text("payload\n" * 1000)
    cluster.kubectl(["cp", str(there), f"{web}:/tmp/copied"]).ok()
    cluster.kubectl(["cp", f"{web}:/tmp/copied", str(tmp_path / "back")]).ok()
    assert (tmp_path / "back").read_text() == there.read_text()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_port_forward(cluster, web):
    port = free_port()
    forward = subprocess.Popen(cluster.command(f"port-forward {web} {port}:8080"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, env=cluster.environment())
    try:
        assert "Forwarding from" in forward.stdout.readline()
        for _ in range(3):
            assert subprocess.run(["curl", "-sS", "-m", "10", f"http://127.0.0.1:{port}/"], capture_output=True, text=True).stdout == "hello\n"
    finally:
        forward.terminate()
        forward.wait(10)


def test_apply_diff_label_annotate_edit(cluster, namespace):
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": namespace}, "data": {"a": "1"}}
    assert "created" in cluster.apply(manifest, "apply").ok().out
    assert "unchanged" in cluster.apply(manifest, "apply").ok().out
    manifest["data"]["a"] = "2"
    differs = cluster.kubectl("diff -f -", stdin=json.dumps(manifest))
    assert differs.code == 1 and matches(r'^\+.*a: "2"', differs.out)
    assert "configured" in cluster.apply(manifest, "apply").ok().out
    cluster.kubectl(f"label configmap c tier=front -n {namespace}").ok()
    cluster.kubectl(f"annotate configmap c note=x -n {namespace}").ok()
    assert "c " in cluster.kubectl(f"get configmap -l tier=front -n {namespace}").ok().out
    env = {**cluster.environment(), "KUBE_EDITOR": "sed -i s/front/back/"}
    edited = subprocess.run(cluster.command(f"edit configmap c -n {namespace}"), capture_output=True, text=True, env=env, timeout=30)
    assert "edited" in edited.stdout, edited.stderr
    stored = cluster.kubectl(f"get configmap c -n {namespace} -o json").json()
    assert stored["metadata"]["labels"] == {"tier": "back"} and stored["data"] == {"a": "2"}


def test_server_side_apply(cluster, namespace):
    manifest = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s", "namespace": namespace}, "data": {"a": "1"}})
    cluster.kubectl("apply --server-side -f -", stdin=manifest).ok()
    other = cluster.kubectl("apply --server-side --field-manager=other -f -", stdin=manifest.replace('"1"', '"2"')).fails()
    assert "conflict" in other.err
    cluster.kubectl("apply --server-side --force-conflicts --field-manager=other -f -", stdin=manifest.replace('"1"', '"2"')).ok()
    assert cluster.kubectl(f"get cm s -n {namespace} -o jsonpath={{.data.a}}").ok().out == "2"


def test_wait_and_watch(cluster, namespace):
    watching = subprocess.Popen(cluster.command(f"get pods -w -n {namespace}"), stdout=subprocess.PIPE, text=True, env=cluster.environment())
    cluster.kubectl(f"create -n {namespace} -f -", stdin=json.dumps(pod("w", "sleep 300"))).ok()
    cluster.kubectl(f"wait --for=condition=Ready pod/w -n {namespace} --timeout=30s").ok()
    cluster.kubectl(f"delete pod w -n {namespace} --grace-period=1").ok()
    lines = []
    while not any("Running" in line for line in lines):
        lines.append(watching.stdout.readline())
    watching.terminate()
    watching.wait(10)
    assert lines[0].startswith("NAME")


def test_explain_api_resources_cluster_info(cluster):
    assert "FIELDS:" in cluster.kubectl("explain pod.spec").ok().out
    assert "containers" in cluster.kubectl("explain pod.spec --recursive").ok().out
    assert matches(r"^pods\s+po\s+v1\s+true\s+Pod$", cluster.kubectl("api-resources").ok().out)
    assert "is running at" in cluster.kubectl("cluster-info").ok().out


def test_create_and_delete_of_the_small_kinds(cluster, namespace):
    cluster.kubectl(f"create configmap cm --from-literal=k=v -n {namespace}").ok()
    cluster.kubectl(f"create secret generic s --from-literal=password=geheim -n {namespace}").ok()
    assert "geheim" not in cluster.kubectl(f"describe secret s -n {namespace}").ok().out
    assert cluster.kubectl(f"get secret s -n {namespace} -o jsonpath={{.data.password}}").ok().out == "Z2VoZWlt"
    cluster.kubectl(f"delete cm/cm secret/s -n {namespace}").ok()
    cluster.kubectl("create namespace short-lived").ok()
    cluster.kubectl("delete namespace short-lived --timeout=30s").ok()
    assert "NotFound" in cluster.kubectl("get namespace short-lived").fails().err


def test_auth_can_i(cluster):
    assert cluster.kubectl("auth can-i create pods").ok().out.strip() == "yes"
    assert cluster.kubectl("auth can-i create pods --as=nobody").out.strip() == "no"
    assert "kubernetes-admin" in cluster.kubectl("auth whoami").ok().out


def test_proxy(cluster, web):
    port = free_port()
    proxy = subprocess.Popen(cluster.command(f"proxy --port={port}"), stdout=subprocess.PIPE, text=True, env=cluster.environment())
    try:
        assert "Starting to serve" in proxy.stdout.readline()
        answer = subprocess.run(["curl", "-sS", "-m", "10", f"http://127.0.0.1:{port}/api/v1/namespaces/default/pods/{web}"],
                                capture_output=True, text=True)
        assert json.loads(answer.stdout)["metadata"]["name"] == web
    finally:
        proxy.terminate()
        proxy.wait(10)


def test_debug_adds_an_ephemeral_container(cluster, web):
    cluster.kubectl(["debug", web, "--image=busybox:1.35", "-c", "looker", "--", "sleep", "60"]).ok()

    def running():
        shown = cluster.kubectl(f"get pod {web} -o json").json()
        return any("running" in status.get("state", {}) for status in shown["status"].get("ephemeralContainerStatuses", []))
    cluster.eventually("the ephemeral container runs", running)


def test_logs_of_the_previous_container(cluster, namespace):
    manifest = pod("again", "echo run; if [ -e /x/seen ]; then sleep 300; fi; touch /x/seen; exit 1", volumes=[{"name": "x", "emptyDir": {}}])
    manifest["spec"]["containers"][0]["volumeMounts"] = [{"name": "x", "mountPath": "/x"}]
    cluster.kubectl(f"create -n {namespace} -f -", stdin=json.dumps(manifest)).ok()
    cluster.eventually("restarted", lambda: cluster.kubectl(
        ["get", "pod", "again", "-n", namespace, "-o", "jsonpath={.status.containerStatuses[0].restartCount}"]).out not in ("", "0"), 60)
    assert "run" in cluster.kubectl(f"logs -p again -n {namespace}").ok().out


def test_get_events(cluster, web):
    assert matches(r"Started", cluster.kubectl("get events").ok().out)


def test_get_output_forms(cluster, web):
    assert "kind: Pod" in cluster.kubectl(f"get pod {web} -o yaml").ok().out
    wide = cluster.kubectl("get pods -o wide").ok().out
    assert matches(r"\d+\.\d+\.\d+\.\d+", wide)
    assert cluster.kubectl(["get", "pods", "-o", "custom-columns=N:.metadata.name", "--no-headers"]).ok().out.split().count(web) == 1
