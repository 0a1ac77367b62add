"""Services lead to their pods: through cluster IPs and node ports, from pods and from the node, and for as long as a pod serves.

Services here have no selector: their endpoint slices are written by hand, so that each test says when they change."""
import json
import os
import signal
import subprocess
import time

import pytest

SERVE = "mkdir -p /www && echo {name} > /www/index.html && exec httpd -f -p 8080 -h /www"


def curl(url, *flags):
    done = subprocess.run(["curl", "-sS", "-m", "3", *flags, url], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else f"curl {done.returncode}"


REFUSED = "curl 7"


def make_slice(space, service, pods, ready=True, terminating=False, name=None, port=8080):
    endpoints = [{"addresses": [pod["status"]["podIP"]], "nodeName": pod["spec"]["nodeName"],
                  "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"], "namespace": space.name, "uid": pod["metadata"]["uid"]},
                  "conditions": {"ready": ready, "serving": True, "terminating": terminating}} for pod in pods]
    body = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": endpoints,
            "metadata": {"name": name or f"{service}-x", "labels": {"kubernetes.io/service-name": service}},
            "ports": [{"name": "", "port": port, "protocol": "TCP"}]}
    space.kubectl("apply -f -", stdin=json.dumps(body)).ok()


def make_service(space, name, **spec):
    space.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
                  "spec": {"ports": [{"port": 80, "targetPort": 8080}], **spec}})
    return space.shown(name, "service")


@pytest.fixture(scope="module", autouse=True)
def pods(space):
    c = space.container
    space.create(*[space.pod(name, c("main", SERVE.format(name=name))) for name in ("one", "two")])
    return [space.until_ready(name) for name in ("one", "two")]


@pytest.fixture(scope="module")
def web(space, pods):
    service = make_service(space, "web", type="NodePort")
    make_slice(space, "web", pods)
    address = service["spec"]["clusterIP"]
    space.eventually("answers", lambda: curl(f"http://{address}/") in ("one", "two"))
    return service


def wget(space, pod, url):
    return space.run(pod, f"wget -qO- {url} || echo failed").strip()


def test_a_cluster_ip_leads_to_every_pod(space, web):
    address = web["spec"]["clusterIP"]
    assert {curl(f"http://{address}/") for _ in range(24)} == {"one", "two"}
    assert {wget(space, "one", f"http://{address}:80/") for _ in range(12)} == {"one", "two"}   # itself, too
    assert curl(f"http://{address}:81/") == REFUSED


def test_a_node_port_is_open_on_the_nodes_addresses(space, web, pods):
    port = web["spec"]["ports"][0]["nodePort"]
    for host in (pods[0]["status"]["hostIP"], "127.0.0.1"):
        assert curl(f"http://{host}:{port}/") in ("one", "two")
    assert wget(space, "one", f"http://{pods[0]['status']['hostIP']}:{port}/") in ("one", "two")


def test_a_service_without_endpoints_refuses_at_once(space):
    service = make_service(space, "empty")
    address = service["spec"]["clusterIP"]
    space.eventually("refused", lambda: curl(f"http://{address}/") == REFUSED, 5)
    began = time.monotonic()
    assert curl(f"http://{address}/") == REFUSED
    assert time.monotonic() - began < 1
    space.kubectl("delete service empty").ok()


def test_a_change_is_in_force_at_once(space, pods):
    """50 ms are the aim; the limit here is what a loaded machine keeps."""
    service = make_service(space, "quick")
    address = service["spec"]["clusterIP"]
    for wanted in ([pods[0]], [pods[1]]):
        make_slice(space, "quick", wanted)
        space.eventually("in force", lambda: curl(f"http://{address}/") == wanted[0]["metadata"]["name"], 2)
    space.kubectl("delete service quick").ok()
    space.eventually("gone", lambda: curl(f"http://{address}/", "-m", "0.3") != "two", 5)


def test_affinity_keeps_a_client_with_its_pod(space, pods):
    service = make_service(space, "sticky", sessionAffinity="ClientIP")
    make_slice(space, "sticky", pods)
    address = service["spec"]["clusterIP"]
    first = space.eventually("answers", lambda: (lambda text: text if text in ("one", "two") else None)(curl(f"http://{address}/")))
    assert {curl(f"http://{address}/") for _ in range(12)} == {first}


def test_rules_outlive_a_killed_agent(space, cluster, web):
    address = web["spec"]["clusterIP"]
    handle = subprocess.run(["nft", "-a", "list", "tables"], capture_output=True, text=True).stdout
    os.kill(cluster.pid_of("agent"), signal.SIGKILL)
    deadline = time.monotonic() + 3
    answers = set()
    while time.monotonic() < deadline:
        answers.add(curl(f"http://{address}/"))
    assert answers == {"one", "two"}, handle   # not one failed, neither before nor while the next agent took over


def test_a_pod_is_told_to_end_when_its_endpoint_is_dropped(space):
    script = "trap 'echo term; exit 0' TERM; echo ready; while true; do sleep 0.05; done"
    names = ["drained", "stuck", "alone"]
    space.create(*[space.pod(name, space.container("main", script), terminationGracePeriodSeconds=20) for name in names])
    made = {name: space.until_ready(name) for name in names}
    make_service(space, "drain")
    make_slice(space, "drain", [made["drained"]], name="drain-a")
    make_slice(space, "drain", [made["stuck"]], name="drain-b")
    address = space.shown("drain", "service")["spec"]["clusterIP"]
    space.eventually("known", lambda: curl(f"http://{address}/") == REFUSED)   # of the pods: nobody listens there

    def seconds_to_end(name, meanwhile=lambda: None):
        began = time.monotonic()
        space.kubectl(f"delete pod {name} --wait=false").ok()
        meanwhile()
        space.eventually("ended", lambda: space.kubectl(f"get pod {name}").code != 0)
        return time.monotonic() - began

    def drop():
        time.sleep(0.8)   # the endpoint is still there: so is the pod
        assert "term" not in space.log("drained")
        make_slice(space, "drain", [made["drained"]], ready=False, terminating=True, name="drain-a")
    alone = seconds_to_end("alone")
    assert 0.8 <= seconds_to_end("drained", drop)
    stuck = seconds_to_end("stuck")
    assert stuck >= 2 and alone < stuck   # two seconds are the most
    space.kubectl("delete service drain").ok()


def test_reset_of_rules_is_noticed(space, cluster, web):
    """What removed the tables is not known; services go on."""
    table = next(line.split()[2] for line in subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout.splitlines()
                 if line.endswith("-services") and json.load(open(f"{cluster.root}/cluster.json"))["id"] in line)
    subprocess.run(["nft", "delete", "table", "ip", table], check=True)
    make_service(space, "another")   # the next change finds out, or a look every half a minute
    space.eventually("answers again", lambda: curl(f"http://{web['spec']['clusterIP']}/", "-m", "1") in ("one", "two"))


def test_a_local_load_balancer_tells_whether_there_is_an_endpoint_here(space, pods):
    made = make_service(space, "balanced", type="LoadBalancer", externalTrafficPolicy="Local")
    port = made["spec"]["healthCheckNodePort"]
    make_slice(space, "balanced", pods)
    url = f"http://127.0.0.1:{port}/anything"
    space.eventually("healthy", lambda: curl(url, "-o", "/dev/null", "-w", "%{http_code}") == "200")
    told = json.loads(curl(url))
    assert told == {"service": {"namespace": space.name, "name": "balanced"}, "localEndpoints": 2, "serviceProxyHealthy": True}
    make_slice(space, "balanced", pods, ready=False)
    space.eventually("not any more", lambda: curl(url, "-o", "/dev/null", "-w", "%{http_code}") == "503")
    assert json.loads(curl(url))["localEndpoints"] == 0
    space.eventually("told", lambda: {"EnsuringLoadBalancer", "EnsuredLoadBalancer"} <= {reason for reason, _ in space.events("balanced")})
    space.kubectl("delete service balanced").ok()
    space.eventually("nobody listens", lambda: curl(url) == REFUSED)


def test_hints_keep_traffic_in_the_zone(space, pods):
    node = pods[0]["spec"]["nodeName"]
    service = make_service(space, "close", trafficDistribution="PreferClose")
    address = service["spec"]["clusterIP"]

    def hinted(*zones):
        endpoints = [{"addresses": [pod["status"]["podIP"]], "nodeName": node, "conditions": {"ready": True}, "hints": {"forZones": [{"name": zone}]}}
                     for pod, zone in zip(pods, zones)]
        space.kubectl("apply -f -", stdin=json.dumps({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": endpoints,
            "metadata": {"name": "close-x", "labels": {"kubernetes.io/service-name": "close"}},
            "ports": [{"name": "", "port": 8080, "protocol": "TCP"}]})).ok()

    def met():
        return {curl(f"http://{address}/") for _ in range(12)}
    hinted("here", "there")
    space.eventually("a node without a zone goes to both", lambda: met() == {"one", "two"})
    space.kubectl(f"label node {node} topology.kubernetes.io/zone=here").ok()
    try:
        space.eventually("its own zone alone", lambda: met() == {"one"})
        hinted("there", "there")
        space.eventually("none is hinted for it", lambda: met() == {"one", "two"})
    finally:
        space.kubectl(f"label node {node} topology.kubernetes.io/zone-").ok()
