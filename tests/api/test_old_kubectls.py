"""The everyday commands with the oldest kubectl in use and one from the middle; the newest runs test_commands.py."""
import json
import subprocess

import pytest
from cluster import kubectls, matches, pod


@pytest.fixture(scope="module", params=["1.20", "1.27"])
def version(request):
    if request.param not in kubectls():
        pytest.skip(f"no kubectl {request.param} on this machine")
    return request.param


@pytest.fixture(scope="module")
def old(cluster, version):
    """Runs a line in a namespace of that kubectl's own, where the pod `web` serves."""
    path, name = kubectls()[version], "old-" + version.replace(".", "-")

    def run(line, **more):
        words = line.split() if isinstance(line, str) else list(line)
        return cluster.kubectl([words[0], "-n", name, *words[1:]], path=path, **more)
    run(f"create namespace {name}").ok()
    cluster.eventually("default service account", lambda: run("get sa default").code == 0)
    web = pod("web", "mkdir /www && echo hello > /www/index.html; echo started; exec httpd -f -p 8080 -h /www")
    run("create -f -", stdin=json.dumps(web)).ok()
    cluster.wait_ready("web", namespace=name)
    run.start = lambda line: subprocess.Popen(cluster.command(f"-n {name} {line}", path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                              env={**cluster.environment(), "KUBE_EDITOR": "sed -i s/front/back/"})
    yield run
    run("delete pods --all --grace-period=0 --force --wait=false")
    run(f"delete namespace {name} --wait=false")


def test_exec_cp_logs_and_attach(old, tmp_path):
    assert old(["exec", "web", "--", "echo", "hi there"]).ok().out == "hi there\n"
    assert old(["exec", "-i", "web", "--", "cat"], stdin="in\n").ok().out == "in\n"
    assert old(["exec", "web", "--", "sh", "-c", "exit 3"]).code == 3
    (tmp_path / "file").write_text("payload\n" * 1000)
    old(["cp", str(tmp_path / "file"), "web:/tmp/copied"]).ok()
    old(["cp", "web:/tmp/copied", str(tmp_path / "back")]).ok()
    assert (tmp_path / "back").read_text() == "payload\n" * 1000
    assert old("logs web").ok().out == "started\n" and old("logs web --tail=1 --timestamps").ok().out.endswith(" started\n")
    assert old(["run", "once", "-i", "--rm", "--restart=Never", "--image=busybox:1.35", "--", "cat"], stdin="piped\n").ok().out.startswith("piped\n")


def test_port_forward_and_proxy(old):
    for line, said, path, wanted in (("port-forward web :8080", "Forwarding from 127.0.0.1:", "/", "hello\n"),
                                     ("proxy --port=0", "Starting to serve on 127.0.0.1:", "/version", "gitVersion")):
        process = old.start(line)
        try:
            first = process.stdout.readline()
            assert said in first, first + process.stderr.read()
            port = first.split("127.0.0.1:")[1].split()[0]
            assert wanted in subprocess.run(["curl", "-sS", "-m", "10", f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True).stdout
        finally:
            process.terminate()
            process.wait(10)


def test_apply_diff_label_edit_patch_and_delete(old):
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
    assert "created" in old("apply -f -", stdin=json.dumps(manifest)).ok().out
    assert "unchanged" in old("apply -f -", stdin=json.dumps(manifest)).ok().out
    manifest["data"]["a"] = "2"
    assert matches(r'^\+.*a: "2"', old("diff -f -", stdin=json.dumps(manifest)).out)
    assert "configured" in old("apply -f -", stdin=json.dumps(manifest)).ok().out
    old("label configmap c tier=front").ok()
    old("annotate configmap c note=x").ok()
    edit = old.start("edit configmap c")
    assert "edited" in edit.communicate(timeout=30)[0]
    old(["patch", "configmap", "c", "-p", '{"data":{"b":"3"}}']).ok()
    stored = old("get configmap c -o json").json()
    assert stored["metadata"]["labels"] == {"tier": "back"} and stored["data"] == {"a": "2", "b": "3"}
    assert "deleted" in old("delete configmap c").ok().out
    refused = old("create deployment x --image=x --replicas=-1")
    assert refused.code != 0 and "replicas" in refused.err   # told, not crashed


def test_get_describe_wait_events_and_watch(old):
    assert matches(r"^web\s+1/1\s+Running\s+0\s+\d+", old("get pods").ok().out)
    assert matches(r"\d+\.\d+\.\d+\.\d+", old("get pods -o wide").ok().out)
    assert "kind: Pod" in old("get pod web -o yaml").ok().out
    assert old("get pod web -o jsonpath={.status.phase}").ok().out == "Running"
    assert matches(r"^\s+Normal\s+Started\s", old("describe pod web").ok().out)
    assert "Started" in old("get events").ok().out
    assert "condition met" in old("wait --for=condition=Ready pod/web --timeout=10s").ok().out
    watching = old.start("get pods -w")
    try:
        assert watching.stdout.readline().startswith("NAME") and watching.stdout.readline().startswith("web")
    finally:
        watching.terminate()
        watching.wait(10)


def test_explain_discovery_and_rights(old):
    assert "FIELDS:" in old("explain pod.spec").ok().out
    assert matches(r"^pods\s+po\s+v1\s+true\s+Pod$", old("api-resources").ok().out)
    assert "is running at" in old("cluster-info").ok().out
    assert "Server Version" in old("version").ok().out
    assert old("auth can-i create pods").ok().out.strip() == "yes"
    assert old("auth can-i create pods --as=nobody").out.strip() == "no"
    old("create secret generic s --from-literal=password=geheim").ok()
    assert "geheim" not in old("describe secret s").ok().out


def test_debug_with_an_ephemeral_container(cluster, old, version):
    if version == "1.20":
        pytest.skip("1.20 asks for ephemeral containers in a form that no server since 1.23 speaks")
    old(["debug", "web", "--image=busybox:1.35", "-c", "looker", "--", "sleep", "60"]).ok()
    cluster.eventually("runs", lambda: "running" in old(
        ["get", "pod", "web", "-o", "jsonpath={.status.ephemeralContainerStatuses[0].state}"]).out)
