"""pods/proxy and services/proxy: a web server behind the API."""
import json

from cluster import pod

SERVE = "mkdir -p /www/sub && echo hello > /www/index.html && echo below > /www/sub/index.html && exec httpd -f -p 8080 -h /www"


def raw(cluster, path):
    return cluster.kubectl(["get", "--raw", path])


def test_pods_and_services_are_reached_through_the_api(cluster, namespace):
    manifest = pod("web", SERVE)
    manifest["metadata"] = {"name": "web", "namespace": namespace, "labels": {"app": "web"}}
    manifest["spec"]["containers"][0] |= {"ports": [{"containerPort": 8080}],
                                          "readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 1}}
    cluster.apply(manifest).ok()
    cluster.wait_ready("web", namespace=namespace)
    base = f"/api/v1/namespaces/{namespace}"
    for name in ("web", "web:8080", "http:web:8080"):
        assert raw(cluster, f"{base}/pods/{name}/proxy/").ok().out == "hello\n"
    assert raw(cluster, f"{base}/pods/web/proxy/sub/").ok().out == "below\n"
    assert "NotFound" in raw(cluster, f"{base}/pods/web/proxy/none").fails().err
    assert 'pods "none" not found' in raw(cluster, f"{base}/pods/none/proxy/").fails().err
    # A redirect to a path of the pod's own is one below the proxy's.
    through = cluster.kubectl(["get", "--raw", f"{base}/pods/web/proxy/sub", "-v=8"])
    assert f"Location: {base}/pods/web/proxy/sub/" in through.err + through.out

    cluster.kubectl(f"expose pod web -n {namespace} --port=80 --target-port=8080").ok()
    cluster.eventually("endpoints", lambda: json.loads(cluster.kubectl(f"get endpoints web -n {namespace} -o json").out or "{}").get("subsets"))
    for name in ("web", "web:80", "http:web:80"):
        assert raw(cluster, f"{base}/services/{name}/proxy/").ok().out == "hello\n"
    assert "no service port" in raw(cluster, f"{base}/services/web:81/proxy/").fails().err
    cluster.kubectl(f"create service clusterip lonely --tcp=80 -n {namespace}").ok()
    assert 'no endpoints available for service "lonely"' in raw(cluster, f"{base}/services/lonely/proxy/").fails().err
