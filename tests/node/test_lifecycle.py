"""Init containers, sidecars, restart policies, deadlines, termination messages, ephemeral containers."""
import datetime

import pytest

SCRATCH = {"name": "w", "emptyDir": {}}
W = [{"name": "w", "mountPath": "/w"}]


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


@pytest.fixture(scope="module", autouse=True)
def pods(space):
    c, pod = space.container, space.pod
    side = ("echo side >> /w/order; trap 'echo told to end; exit 0' TERM; sleep 1; echo side-up >> /w/order;"
            "while :; do sleep 0.1; done")
    ready = {"exec": {"command": ["grep", "side-up", "/w/order"]}, "periodSeconds": 1, "failureThreshold": 20}
    fail_once = "[ -e /w/{0} ] || {{ touch /w/{0}; exit 7; }}; "
    space.create(
        pod("ordered", c("main", "cat /w/order; sleep 1", volumeMounts=W), restartPolicy="Never", volumes=[SCRATCH], initContainers=[
            c("one", "sleep 0.3; echo one >> /w/order", volumeMounts=W),
            c("side", side, volumeMounts=W, restartPolicy="Always", startupProbe=ready),
            c("two", "echo two >> /w/order", volumeMounts=W)], terminationGracePeriodSeconds=5),
        pod("init-fails", c("main", "echo never"), initContainers=[c("bad", "exit 3"), c("after", "true")], restartPolicy="Never"),
        pod("init-again", c("main", "sleep 600"), volumes=[SCRATCH],
            initContainers=[c("bad", fail_once.format("i") + "true", volumeMounts=W)]),
        pod("side-again", c("main", "sleep 600"), volumes=[SCRATCH],
            initContainers=[c("side", fail_once.format("s") + "sleep 600", volumeMounts=W, restartPolicy="Always")]),
        pod("never", c("main", "echo last words; exit 4", terminationMessagePolicy="FallbackToLogsOnError"),
            c("fine", "echo -n all done > /tmp/say; exit 0", terminationMessagePath="/tmp/say"),
            c("quiet", "echo a log; exit 0", terminationMessagePolicy="FallbackToLogsOnError"), restartPolicy="Never"),
        pod("on-failure", c("main", "true"), restartPolicy="OnFailure"),
        pod("on-failure-again", c("main", fail_once.format("f") + "true", volumeMounts=W), restartPolicy="OnFailure", volumes=[SCRATCH]),
        pod("always", c("main", "exit 0")),
        pod("deadline", c("main", "sleep 600"), activeDeadlineSeconds=20),
        pod("late", c("main", "sleep 600"), activeDeadlineSeconds=1, restartPolicy="Never",
            initContainers=[c("slow", "sleep 600")]),
        pod("host", c("main", "sleep 600"), c("other", "sleep 601"), readinessGates=[{"conditionType": "example.com/gate"}]),
    )


def test_init_containers_and_sidecars_start_in_order_and_a_sidecar_keeps_no_pod_alive(space):
    pod = space.until_phase("ordered", "Succeeded")
    assert space.log("ordered", "main") == "one\nside\nside-up\ntwo\n"
    states = {one["name"]: one["state"]["terminated"] for kind in ("containerStatuses", "initContainerStatuses") for one in pod["status"][kind]}
    assert [states[name]["exitCode"] for name in ("one", "side", "two", "main")] == [0, 0, 0, 0]
    assert when(states["one"]["finishedAt"]) <= when(states["two"]["startedAt"])
    assert when(states["two"]["finishedAt"]) <= when(states["main"]["startedAt"])
    assert when(states["side"]["finishedAt"]) >= when(states["main"]["finishedAt"])
    assert space.log("ordered", "side") == "told to end\n"
    conditions = space.conditions("ordered")
    assert conditions["Initialized"]["status"] == "True" and conditions["Ready"]["reason"] == "PodCompleted"


def test_a_failing_init_container_fails_a_pod_that_never_restarts(space):
    pod = space.until_phase("init-fails", "Failed")
    bad, after = pod["status"]["initContainerStatuses"]
    assert bad["state"]["terminated"]["exitCode"] == 3 and bad["state"]["terminated"]["reason"] == "Error"
    assert after["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert pod["status"]["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    initialized = space.conditions("init-fails")["Initialized"]
    assert initialized["status"] == "False" and initialized["reason"] == "ContainersNotInitialized"
    assert "Init:Error" in space.kubectl("get pod init-fails").ok().out


def test_a_failing_init_container_is_tried_again(space):
    pod = space.until_ready("init-again")
    assert pod["status"]["initContainerStatuses"][0]["restartCount"] == 1
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_sidecar_is_restarted_alone(space):
    space.eventually("restarted", lambda: space.status_of("side-again", "side").get("restartCount") == 1)
    pod = space.until_ready("side-again")
    side = pod["status"]["initContainerStatuses"][0]
    assert side["started"] and side["ready"] and side["lastState"]["terminated"]["exitCode"] == 7
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_never_keeps_what_ended_with_its_messages(space):
    pod = space.until_phase("never", "Failed")
    states = {one["name"]: one["state"]["terminated"] for one in pod["status"]["containerStatuses"]}
    assert states["main"]["exitCode"] == 4 and states["main"]["reason"] == "Error" and states["main"]["message"] == "last words\n"
    assert states["fine"]["reason"] == "Completed" and states["fine"]["message"] == "all done"
    assert "message" not in states["quiet"]
    assert all(one["restartCount"] == 0 for one in pod["status"]["containerStatuses"])
    assert states["main"]["containerID"].startswith("containerd://")
    assert when(states["main"]["startedAt"]) <= when(states["main"]["finishedAt"])


def test_on_failure_restarts_what_failed_and_only_that(space):
    assert space.until_phase("on-failure", "Succeeded")["status"]["containerStatuses"][0]["restartCount"] == 0
    again = space.until_phase("on-failure-again", "Succeeded")["status"]["containerStatuses"][0]
    assert again["restartCount"] == 1 and again["state"]["terminated"]["exitCode"] == 0
    assert again["lastState"]["terminated"]["exitCode"] == 7


def test_always_restarts_and_backs_off(space):
    status = space.eventually("waits", lambda: (lambda one: one if one.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff"
                                                else None)(space.status_of("always", "main")))
    assert status["state"]["waiting"]["message"].startswith("back-off 10s restarting failed container=main pod=always_test-lifecycle(")
    assert status["lastState"]["terminated"]["reason"] == "Completed" and status["restartCount"] >= 1
    assert not status["ready"] and not status["started"]
    space.until_event("always", "BackOff", "Back-off restarting failed container main in pod always_test-lifecycle")
    assert space.phase("always") == "Running"


def test_an_active_deadline_ends_the_pod(space):
    for name in ("deadline", "late"):
        pod = space.until_phase(name, "Failed")
        assert pod["status"]["reason"] == "DeadlineExceeded"
        assert pod["status"]["message"] == "Pod was active on the node longer than the specified deadline"
    ended = space.eventually("ended", lambda: space.status_of("deadline", "main").get("state", {}).get("terminated"))
    assert ended["exitCode"] in (137, 143)
    space.until_event("deadline", "DeadlineExceeded")


def test_a_readiness_gate_holds_the_pod_back(space):
    space.until_phase("host", "Running")
    space.eventually("containers ready", lambda: space.conditions("host").get("ContainersReady", {}).get("status") == "True")
    conditions = space.conditions("host")
    assert conditions["Ready"]["status"] == "False" and conditions["Ready"]["reason"] == "ReadinessGatesNotReady"
    assert conditions["PodScheduled"]["status"] == conditions["Initialized"]["status"] == "True"
    assert conditions["PodReadyToStartContainers"]["status"] == "True"
    space.kubectl(["patch", "pod", "host", "--subresource=status", "-p",
                   '{"status":{"conditions":[{"type":"example.com/gate","status":"True"}]}}']).ok()
    space.until_ready("host")


def test_an_ephemeral_container_sees_its_target(space):
    space.until_phase("host", "Running")
    space.kubectl(["debug", "host", "--image=busybox:1.35", "-c", "look", "--target=main", "--", "sh", "-c", "ps; exit 5"]).ok()
    ended = space.eventually("ended", lambda: space.status_of("host", "look").get("state", {}).get("terminated"))
    assert ended["exitCode"] == 5
    seen = space.log("host", "look")
    assert "sleep 600" in seen and "sleep 601" not in seen
    assert "spec.ephemeralContainers{look}" in space.kubectl("get events -o yaml").out
    assert space.status_of("host", "look").get("restartCount") == 0
