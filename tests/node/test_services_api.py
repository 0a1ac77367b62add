"""Services as kubectl makes and shows them, and the endpoints that follow the pods."""
import json
import time

import pytest


@pytest.fixture(scope="module", autouse=True)
def pods(space):
    c = space.container
    ready = {"exec": {"command": ["test", "-e", "/ready"]}, "periodSeconds": 1}
    things = []
    for name, command in (("a", "touch /ready; sleep 600"), ("b", "sleep 600")):
        pod = space.pod(name, c("main", command, readinessProbe=ready, ports=[{"name": "http", "containerPort": 8080}]),
                        terminationGracePeriodSeconds=4)
        pod["metadata"]["labels"] = {"app": "web"}
        things.append(pod)
    space.create(*things)
    space.kubectl("create service clusterip web --tcp=80:http").ok()
    space.kubectl(["patch", "service", "web", "-p", json.dumps({"spec": {"selector": {"app": "web"}}})]).ok()
    space.until_ready("a")
    space.until_phase("b", "Running")


def slices(space, service):
    return space.kubectl(["get", "endpointslices", "-l", f"kubernetes.io/service-name={service}", "-o", "json"]).json()["items"]


def conditions(space, service):
    """Pod to its conditions: "rs" ready and serving, "st" serving and terminating …"""
    found = {}
    for one in slices(space, service):
        for endpoint in one.get("endpoints") or []:
            said = endpoint["conditions"]
            found[endpoint["targetRef"]["name"]] = "".join(key[0] for key in ("ready", "serving", "terminating") if said.get(key))
    return found


def test_endpoints_follow_the_pods(space):
    space.eventually("b waits", lambda: conditions(space, "web") == {"a": "rs", "b": ""})
    space.run("b", "touch /ready")
    space.eventually("b is ready", lambda: conditions(space, "web") == {"a": "rs", "b": "rs"})
    ip = {name: space.shown(name)["status"]["podIP"] for name in "ab"}
    endpoints = space.kubectl("get endpoints web -o json").json()
    assert sorted(address["ip"] for address in endpoints["subsets"][0]["addresses"]) == sorted(ip.values())
    assert endpoints["subsets"][0]["ports"] == [{"name": "80-http", "port": 8080, "protocol": "TCP"}]
    # One that is told to end gets no new connections from then on, and is gone when it has ended.
    space.kubectl("delete pod b --wait=false").ok()
    space.eventually("b ends", lambda: conditions(space, "web").get("b") in ("t", "st"), 3)
    assert ip["b"] not in space.kubectl("get endpoints web -o json").ok().out
    space.eventually("b is gone", lambda: "b" not in conditions(space, "web"))


def test_expose_and_what_is_shown(space):
    space.kubectl("expose pod a --port=80 --target-port=http --name=exposed").ok()
    space.kubectl("expose pod a --port=80 --type=NodePort --name=noded").ok()
    space.kubectl("expose pod a --port=80 --type=LoadBalancer --name=balanced").ok()
    assert space.kubectl("get service exposed").ok().out.split()[:11][6:10] != []
    port = space.kubectl("get service noded -o jsonpath={.spec.ports[0].nodePort}").ok().out
    assert 30000 <= int(port) <= 32767
    assert f"80:{port}/TCP" in space.kubectl("get service noded").ok().out
    node_ip = space.cluster.kubectl(["get", "nodes", "-o", 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}']).ok().out
    space.eventually("the balancer's address", lambda: node_ip in space.kubectl("get service balanced").ok().out)
    said = space.kubectl("describe service exposed").ok().out
    assert f"{space.shown('a')['status']['podIP']}:8080" in said


def test_addresses_are_unique_kept_and_given_back(space):
    ip = space.kubectl("get service web -o jsonpath={.spec.clusterIP}").ok().out
    taken = space.kubectl(f"create service clusterip other --tcp=80 --clusterip={ip}").fails()
    assert "provided IP is already allocated" in taken.err
    assert space.kubectl(["patch", "service", "web", "-p", '{"spec":{"clusterIP":"10.0.0.9"}}']).fails()
    space.kubectl("create service clusterip passing --tcp=80").ok()
    passing = space.kubectl("get service passing -o jsonpath={.spec.clusterIP}").ok().out
    space.kubectl("delete service passing").ok()
    space.kubectl(f"create service clusterip heir --tcp=80 --clusterip={passing}").ok()


def test_endpoints_of_ones_own_are_mirrored(space):
    space.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "own"}, "spec": {"ports": [{"port": 80}]}},
                 {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "own"},
                  "subsets": [{"addresses": [{"ip": "192.0.2.77"}], "ports": [{"port": 8080}]}]})
    space.eventually("the mirror", lambda: [endpoint["addresses"] for one in slices(space, "own") for endpoint in one["endpoints"]] == [["192.0.2.77"]])
    space.kubectl("delete service own").ok()
    space.eventually("the mirror goes with it", lambda: slices(space, "own") == [])


def test_the_way_to_the_api_is_always_there(space):
    kubectl = space.cluster.kubectl
    before = kubectl("get endpoints kubernetes -o jsonpath={.subsets}").ok().out
    address = kubectl("get service kubernetes -o jsonpath={.spec.clusterIP}").ok().out
    kubectl("delete service kubernetes").ok()
    kubectl("delete endpoints kubernetes")
    kubectl("delete endpointslice kubernetes")
    space.eventually("the service is back", lambda: kubectl("get service kubernetes -o jsonpath={.spec.clusterIP}").out == address)
    space.eventually("its endpoints are back", lambda: kubectl("get endpoints kubernetes -o jsonpath={.subsets}").out == before)
    space.eventually("its slice is back", lambda: kubectl("get endpointslice kubernetes").code == 0)


def test_a_change_is_published_quickly(space):
    """From a pod's deletion to the slice without it: the controller waits for nothing."""
    pod = space.pod("quick", space.container("main", "sleep 600"), terminationGracePeriodSeconds=5)
    pod["metadata"]["labels"] = {"app": "quick"}
    space.create(pod)
    space.kubectl("create service clusterip quick --tcp=80:80").ok()
    space.until_ready("quick")
    space.eventually("it is ready", lambda: conditions(space, "quick") == {"quick": "rs"})
    space.kubectl("delete pod quick --wait=false").ok()
    began = time.monotonic()
    space.eventually("it ends", lambda: conditions(space, "quick").get("quick", "t").endswith("t"), 2)
    assert time.monotonic() - began < 1.5   # kubectl's own time is most of it
