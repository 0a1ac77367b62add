"""Graceful termination and the hooks around a container's life."""
import datetime
import http.server
import os
import threading
import time

import pytest

HOLD = {"finalizers": ["example.com/hold"]}   # keeps the object, so that its last status can be read


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@pytest.fixture(scope="module")
def asked():
    """A server on the host that says 404 to /missing; gives its port and what was asked of it."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.path, self.headers.get("X-Mark"), self.headers.get("User-Agent")))
            self.send_response(404 if self.path == "/missing" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, seen
    server.shutdown()


@pytest.fixture(scope="module", autouse=True)
def pods(space, asked):
    c, volumes = space.container, [{"name": "h", "hostPath": {"path": space.folder}}]
    mounts = [{"name": "h", "mountPath": "/h"}]
    port = asked[0]

    def pod(name, *containers, **spec):
        made = space.pod(name, *containers, volumes=volumes, **spec)
        made["metadata"].update(HOLD)
        return made

    def get(path):
        return {"httpGet": {"host": "127.0.0.1", "port": port, "path": path, "httpHeaders": [{"name": "X-Mark", "value": path[1:]}]}}

    told = "trap 'echo told > /h/{0}; sleep 0.5; echo ended >> /h/{0}; exit 3' TERM; while :; do sleep 0.1; done"
    space.create(
        pod("polite", c("main", told.format("polite"), volumeMounts=mounts), terminationGracePeriodSeconds=20),
        pod("stubborn", c("main", "trap '' TERM; while :; do sleep 0.1; done"), terminationGracePeriodSeconds=2),
        pod("hooked", c("main", "trap 'echo term >> /h/hooked; exit 0' TERM; while :; do sleep 0.1; done", volumeMounts=mounts, lifecycle={
            "postStart": {"exec": {"command": ["sh", "-c", "echo post >> /h/hooked"]}},
            "preStop": {"exec": {"command": ["sh", "-c", "echo pre >> /h/hooked"]}}}), terminationGracePeriodSeconds=20),
        pod("asks", c("main", "sleep 600", lifecycle={"postStart": get("/post"), "preStop": get("/pre")})),
        pod("slow-hook", c("main", "trap 'echo term > /h/slow; exit 0' TERM; while :; do sleep 0.1; done", volumeMounts=mounts, lifecycle={
            "preStop": {"exec": {"command": ["sleep", "600"]}}}), terminationGracePeriodSeconds=1),
        pod("bad-stop", c("main", "sleep 600", lifecycle={"preStop": {"exec": {"command": ["false"]}}})),
        space.pod("bad-hook", c("main", "sleep 600", lifecycle={"postStart": {"exec": {"command": ["sh", "-c", "echo no >&2; exit 9"]}}}),
                  restartPolicy="Never"),
        space.pod("bad-ask", c("main", "sleep 600", lifecycle={"postStart": get("/missing")}), restartPolicy="Never"),
    )
    for name in ("polite", "stubborn", "hooked", "asks", "slow-hook", "bad-stop"):
        space.until_ready(name)
    space.told_at = time.time()
    space.kubectl("delete pod --wait=false polite stubborn hooked asks slow-hook bad-stop").ok()
    yield
    for name in ("polite", "stubborn", "hooked", "asks", "slow-hook", "bad-stop"):
        space.kubectl(["patch", "pod", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}'])


def ended(space, name):
    """How the only container ended, and how long after the deletion."""
    state = space.eventually(f"{name} ended", lambda: space.status_of(name, "main").get("state", {}).get("terminated"))
    return state, when(state["finishedAt"]) - space.told_at


def test_a_container_is_told_and_given_its_time(space):
    state, took = ended(space, "polite")
    assert state["exitCode"] == 3 and took < 8
    assert space.file("polite") == "told\nended\n"
    assert space.until_phase("polite", "Failed")["status"]["containerStatuses"][0]["restartCount"] == 0
    space.until_event("polite", "Killing", "^Stopping container main$")


def test_a_container_that_does_not_listen_is_killed_after_its_time(space):
    state, took = ended(space, "stubborn")
    assert state["exitCode"] == 137 and 1 <= took <= 8


def test_exec_hooks_run_around_the_container(space):
    state, _ = ended(space, "hooked")
    assert state["exitCode"] == 0
    assert space.file("hooked") == "post\npre\nterm\n"


def test_http_hooks_are_asked(space, asked):
    ended(space, "asks")
    assert ("/post", "post") in [ask[:2] for ask in asked[1]] and ("/pre", "pre") in [ask[:2] for ask in asked[1]]
    assert all(ask[2].startswith("kube-lifecycle/") for ask in asked[1])


def test_a_hook_that_takes_too_long_leaves_the_container_two_seconds(space):
    state, took = ended(space, "slow-hook")
    assert state["exitCode"] == 0 and took < 10
    assert space.file("slow") == "term\n"
    space.until_event("slow-hook", "FailedPreStopHook")


def test_a_failed_pre_stop_hook_is_told_and_stops_nothing(space):
    ended(space, "bad-stop")
    space.until_event("bad-stop", "FailedPreStopHook", "PreStopHook failed")


@pytest.mark.parametrize("name", ["bad-hook", "bad-ask"])
def test_a_failed_post_start_hook_ends_the_container(space, name):
    space.until_event(name, "FailedPostStartHook", "PostStartHook failed")
    space.until_event(name, "Killing", "FailedPostStartHook")
    assert space.until_phase(name, "Failed")["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] in (137, 143)


def test_a_pod_of_which_nothing_holds_is_gone_and_its_folder_with_it(space):
    uid = space.shown("bad-hook")["metadata"]["uid"]
    space.kubectl("delete pod bad-hook --timeout=20s").ok()
    assert space.shown("bad-hook") == {}
    space.eventually("its folder is gone", lambda: not os.path.exists(f"{space.cluster.root}/agent/pods/{uid}"))
