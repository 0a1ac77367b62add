"""Startup, liveness and readiness probes in all four forms."""
from concurrent import futures

import grpc
import pytest

OFTEN = {"periodSeconds": 1}


SERVE = "mkdir -p /www && echo fine > /www/ok && exec httpd -f -p 8080 -h /www"
PORTS = [{"name": "web", "containerPort": 8080}]
FORMS = {
    "exec": ({"exec": {"command": ["true"]}}, {"exec": {"command": ["sh", "-c", "echo sick; exit 1"]}}, "sick"),
    "http": ({"httpGet": {"path": "/ok", "port": "web"}}, {"httpGet": {"path": "/none", "port": 8080}},
             "HTTP probe failed with statuscode: 404"),
    "tcp": ({"tcpSocket": {"port": 8080}}, {"tcpSocket": {"port": 81}}, "dial tcp .*:81: .*[Cc]onnection refused"),
    "grpc": (None, {"grpc": {"port": 81}}, "error: health rpc failed"),
}


@pytest.fixture(scope="module", autouse=True)
def pods(space):
    c, pods = space.container, []
    for form, (good, bad, _) in FORMS.items():
        if good:
            pods.append(space.pod(f"{form}-good", c("main", SERVE, ports=PORTS, startupProbe={**good, **OFTEN, "failureThreshold": 20},
                                                    livenessProbe={**good, **OFTEN, "initialDelaySeconds": 1}, readinessProbe={**good, **OFTEN})))
        pods.append(space.pod(f"{form}-unready", c("main", SERVE, ports=PORTS, readinessProbe={**bad, **OFTEN})))
        pods.append(space.pod(f"{form}-dead", c("main", SERVE, ports=PORTS, livenessProbe={**bad, **OFTEN, "failureThreshold": 2})))
    slow = {"exec": {"command": ["sleep", "60"]}, "timeoutSeconds": 1, **OFTEN}
    switch = {"exec": {"command": ["test", "-e", "/tmp/on"]}, **OFTEN}
    pods += [
        space.pod("slow", c("main", "sleep 600", readinessProbe=slow)),
        space.pod("switch", c("main", "sleep 600", readinessProbe={**switch, "successThreshold": 2, "failureThreshold": 2})),
        space.pod("starts", c("main", "sleep 600", startupProbe={**switch, "failureThreshold": 100}, livenessProbe={
            "exec": {"command": ["test", "-e", "/tmp/on"]}, "failureThreshold": 1, **OFTEN})),
        space.pod("never-starts", c("main", "sleep 600", startupProbe={**switch, "failureThreshold": 1}), restartPolicy="Never"),
        space.pod("own-grace", c("main", "trap '' TERM; while :; do sleep 0.1; done", livenessProbe={
            "exec": {"command": ["false"]}, "failureThreshold": 1, "terminationGracePeriodSeconds": 1, **OFTEN}),
            restartPolicy="Never", terminationGracePeriodSeconds=600),
    ]
    space.create(*pods)


@pytest.mark.parametrize("form", [form for form in FORMS if FORMS[form][0]])
def test_a_good_probe_makes_the_pod_ready(space, form):
    status = space.until_ready(f"{form}-good")["status"]["containerStatuses"][0]
    assert status["started"] and status["restartCount"] == 0


@pytest.mark.parametrize("form", FORMS)
def test_a_failing_readiness_probe_keeps_the_pod_unready(space, form):
    space.until_event(f"{form}-unready", "Unhealthy", "Readiness probe (failed|errored).*" + f"({FORMS[form][2]})")
    status = space.until_phase(f"{form}-unready", "Running")["status"]["containerStatuses"][0]
    assert status["started"] and not status["ready"] and status["restartCount"] == 0
    condition = space.conditions(f"{form}-unready")["Ready"]
    assert condition["status"] == "False" and condition["reason"] == "ContainersNotReady"
    assert condition["message"] == "containers with unready status: [main]"


@pytest.mark.parametrize("form", FORMS)
def test_a_failing_liveness_probe_restarts_the_container(space, form):
    name = f"{form}-dead"
    status = space.eventually("restarted", lambda: (lambda one: one if one.get("restartCount", 0) >= 1 else None)(space.status_of(name, "main")))
    assert status["lastState"]["terminated"]["exitCode"] in (0, 137, 143)
    space.until_event(name, "Unhealthy", "Liveness probe (failed|errored).*" + f"({FORMS[form][2]})")
    space.until_event(name, "Killing", "^Container main failed liveness probe, will be restarted$")


def test_a_probe_that_takes_too_long_fails(space):
    space.until_event("slow", "Unhealthy", "timed out|timeout|deadline")


def test_thresholds_of_readiness(space):
    space.until_phase("switch", "Running")
    assert not space.status_of("switch", "main")["ready"]
    space.run("switch", "touch /tmp/on")
    space.until_ready("switch")
    space.run("switch", "rm /tmp/on")
    space.eventually("unready", lambda: not space.status_of("switch", "main")["ready"])


def test_nothing_else_is_probed_before_the_startup_probe_succeeds(space):
    space.until_phase("starts", "Running")
    space.until_event("starts", "Unhealthy", "Startup probe failed")
    before = space.status_of("starts", "main")
    assert not before["started"] and not before["ready"] and before["restartCount"] == 0
    space.run("starts", "touch /tmp/on")
    assert space.until_ready("starts")["status"]["containerStatuses"][0]["started"]
    space.run("starts", "rm /tmp/on")
    space.eventually("restarted by the liveness probe", lambda: space.status_of("starts", "main")["restartCount"] == 1)


def test_a_failed_startup_probe_ends_the_container(space):
    pod = space.until_phase("never-starts", "Failed")
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] in (137, 143)
    space.until_event("never-starts", "Killing", "Container main failed startup probe")


def test_a_probe_can_have_its_own_grace_period(space):
    assert space.until_phase("own-grace", "Failed")["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137


class Health(grpc.GenericRpcHandler):
    """grpc.health.v1.Health as bytes: {1: service} is answered by {1: status}, 1 SERVING and 2 NOT_SERVING."""

    def __init__(self):
        self.status, self.asked = 1, set()

    def service(self, details):
        if details.method != "/grpc.health.v1.Health/Check":
            return None

        def check(request, context):
            self.asked.add(request)
            return bytes([0x08, self.status])
        return grpc.unary_unary_rpc_method_handler(check)


@pytest.fixture
def health():
    """A real gRPC server on this machine's network, where a pod of the host's network is probed."""
    server, made = grpc.server(futures.ThreadPoolExecutor(2)), Health()
    server.add_generic_rpc_handlers([made])
    made.port = server.add_insecure_port("0.0.0.0:0")
    server.start()
    yield made
    server.stop(None)


def test_a_grpc_service_is_asked_for_its_health(space, health):
    probe = {"grpc": {"port": health.port, "service": "way"}, **OFTEN, "failureThreshold": 1}
    space.create(space.pod("grpc-good", space.container("main", "sleep 600", readinessProbe=probe), hostNetwork=True))
    space.until_ready("grpc-good")
    assert health.asked == {b"\x0a\x03way"}
    health.status = 2
    space.until_event("grpc-good", "Unhealthy", 'Readiness probe failed: service unhealthy')
    space.eventually("unready", lambda: not space.status_of("grpc-good", "main")["ready"])
