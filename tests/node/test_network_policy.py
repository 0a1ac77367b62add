"""NetworkPolicies hold between pods, also through services, and follow labels at once."""
import json

import pytest

SERVE = "mkdir -p /www && echo {name} > /www/index.html && exec httpd -f -p 8080 -h /www"


@pytest.fixture(scope="module", autouse=True)
def pods(space):
    def labelled(name, **labels):
        pod = space.pod(name, space.container("main", SERVE.format(name=name), ports=[{"name": "web", "containerPort": 8080}],
                                              readinessProbe={"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}))
        pod["metadata"]["labels"] = labels
        return pod
    space.create(labelled("server", app="server"), labelled("client", app="client"), labelled("stranger", app="stranger"))
    return {name: space.until_ready(name) for name in ("server", "client", "stranger")}


def reaches(space, who, url):
    return space.run(who, f"timeout 1 wget -qO- {url} || true").strip() == "server"


def policy(space, name, **spec):
    space.kubectl("apply -f -", stdin=json.dumps({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                                                  "metadata": {"name": name}, "spec": spec})).ok()


def test_a_policy_lets_in_whom_it_names(space, pods):
    url = f"http://{pods['server']['status']['podIP']}:8080/"
    assert reaches(space, "client", url) and reaches(space, "stranger", url)
    policy(space, "deny", podSelector={"matchLabels": {"app": "server"}}, policyTypes=["Ingress"])
    space.eventually("denied", lambda: not reaches(space, "client", url) and not reaches(space, "stranger", url))
    policy(space, "clients", podSelector={"matchLabels": {"app": "server"}}, policyTypes=["Ingress"],
           ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "client"}}}], "ports": [{"port": "web"}]}])
    space.eventually("let in", lambda: reaches(space, "client", url))
    assert not reaches(space, "stranger", url)
    assert reaches(space, "server", url)   # itself
    # A label makes a client of it, and unmakes it.
    space.kubectl("label pod stranger app=client --overwrite").ok()
    space.eventually("let in", lambda: reaches(space, "stranger", url))
    space.kubectl("label pod stranger app=stranger --overwrite").ok()
    space.eventually("kept out", lambda: not reaches(space, "stranger", url))
    # Probes come from the node: the server stays ready.
    assert space.conditions("server")["Ready"]["status"] == "True"


def test_it_holds_behind_a_service(space, pods):
    space.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "server"}, "spec": {"ports": [{"port": 80, "targetPort": 8080}]}},
                 {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                  "metadata": {"name": "server-x", "labels": {"kubernetes.io/service-name": "server"}},
                  "ports": [{"name": "", "port": 8080, "protocol": "TCP"}], "endpoints": [{"addresses": [pods["server"]["status"]["podIP"]]}]})
    url = f"http://{space.shown('server', 'service')['spec']['clusterIP']}:80/"
    space.eventually("let in", lambda: reaches(space, "client", url))
    assert not reaches(space, "stranger", url)


def test_a_new_pod_is_closed_before_it_starts(space, pods):
    """Its very first packets meet the policy already."""
    policy(space, "locked", podSelector={"matchLabels": {"app": "locked"}}, policyTypes=["Egress"])
    address = pods["client"]["status"]["podIP"]
    for i in range(3):
        pod = space.pod(f"locked-{i}", space.container("main", f"timeout 2 wget -qO- http://{address}:8080/ && echo open || echo closed"),
                        restartPolicy="Never")
        pod["metadata"]["labels"] = {"app": "locked"}
        space.create(pod)
        space.until_phase(f"locked-{i}", "Succeeded")
        assert "closed" in space.log(f"locked-{i}") and "open" not in space.log(f"locked-{i}")


def test_without_policies_all_is_open_again(space, pods):
    space.kubectl("delete networkpolicy --all").ok()
    url = f"http://{pods['server']['status']['podIP']}:8080/"
    space.eventually("open", lambda: reaches(space, "stranger", url))
