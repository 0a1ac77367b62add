"""Ingresses through a real nginx: hosts, paths, TLS, cookies, annotations, bad ones, kills, updates under load."""
import base64
import glob
import http.server
import os
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest
from cluster import Cluster
from load import Load


def own_address():
    """An address of this machine that an endpoint may have."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]


class Backend:
    """A web server that says its name, the path and what it was told of the client."""

    def __init__(self, name, address):
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if self.headers.get("Upgrade") == "websocket":
                    self.send_response(101)
                    self.send_header("Upgrade", "websocket")
                    self.send_header("Connection", "Upgrade")
                    self.end_headers()
                    self.wfile.write(self.rfile.readline())
                    self.close_connection = True
                    return
                text = f"{name} {self.path} {self.headers.get('Host')} {self.headers.get('X-Forwarded-Proto')}".encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
        backend.server = Server((address, 0), Handler)
        backend.port = backend.server.server_address[1]
        threading.Thread(target=backend.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class World:
    def __init__(self, cluster):
        self.cluster, self.address = cluster, own_address()
        with open(f"{cluster.root}/cluster.json") as stream:
            import json
            shown = json.load(stream)
        self.http, self.https = shown["ingressHttpPort"], shown["ingressHttpsPort"]
        self.backends = {}

    def service(self, name, *backends):
        """A service whose endpoints are these."""
        for one in backends:
            self.backends.setdefault(one, None)
            if not self.backends[one]:
                self.backends[one] = Backend(one, self.address)
        self.cluster.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
                            "spec": {"clusterIP": "None", "ports": [{"name": "web", "port": 80}]}}).ok()
        self.endpoints(name, *backends)

    def endpoints(self, name, *backends):
        items = [{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                  "metadata": {"name": f"{name}-{one}", "labels": {"kubernetes.io/service-name": name}},
                  "endpoints": [{"addresses": [self.address], "conditions": {"ready": one in backends}}],
                  "ports": [{"name": "web", "port": backend.port}]} for one, backend in sorted(self.backends.items(), key=lambda each: each[0] not in backends)   # who comes before who goes
                 if backend and (one in backends or one.startswith(name))]
        self.cluster.apply({"apiVersion": "v1", "kind": "List", "items": items}, verb="apply").ok()

    def ingress(self, name, host, paths=(("/", "Prefix", "web"),), annotations=None, tls=None, verb="apply", **spec):
        rule = {"host": host} if host else {}
        rule["http"] = {"paths": [{"path": path, "pathType": kind, "backend": {"service": {"name": service, "port": {"number": 80}}}}
                                  for path, kind, service in paths]}
        made = {
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name, "annotations": annotations or {}},
            "spec": {"rules": [rule], **({"tls": tls} if tls else {}), **spec}}
        return self.cluster.apply(made, verb=verb).ok() if verb else made

    def get(self, host, path="/", headers=None, tls=False, method="GET", body=None):
        """Status, body and headers, without following anything."""
        import http.client
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            raw = context.wrap_socket(socket.create_connection(("127.0.0.1", self.https), 10), server_hostname=host)
        else:
            raw = socket.create_connection(("127.0.0.1", self.http), 10)
        client = http.client.HTTPConnection(host)
        client.sock = raw
        try:
            client.request(method, path, body=body, headers={"Host": host, **(headers or {})})
            answer = client.getresponse()
            return answer.status, answer.read().decode(), {key.lower(): value for key, value in answer.getheaders()}
        finally:
            client.close()

    def until(self, what, host, path="/", seconds=10, **more):
        def check():
            try:
                answer = self.get(host, path, **more)
            except OSError:
                return None
            return answer if what(answer) else None
        return self.cluster.eventually(f"{host}{path}", check, seconds)

    def says(self, name, host, path="/", **more):
        return self.until(lambda answer: answer[0] == 200 and answer[1].startswith(name + " "), host, path, **more)

    def events(self, ingress):
        return self.cluster.kubectl(["get", "events", "--field-selector", f"involvedObject.name={ingress}",
                                     "-o", "jsonpath={range .items[*]}{.reason}: {.message}\n{end}"]).ok().out

    def master(self):
        try:
            with open(f"{self.cluster.root}/ingress/nginx.pid") as stream:
                pid = int(stream.read())
        except (OSError, ValueError):
            return None
        return pid if pid in self.nginx() else None

    def kill_nginx(self):
        """The master first: it would make new workers."""
        master = self.master()
        killed = [master, *(pid for pid in self.nginx() if pid != master)]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        return killed

    def nginx(self):
        """The processes of this cluster's nginx: master and workers."""
        found = []
        for path in glob.glob("/proc/[0-9]*/fd/*"):
            try:
                if os.readlink(path) == f"{self.cluster.root}/log/ingress.log":
                    found.append(int(path.split("/")[2]))
            except OSError:
                pass
        return sorted(set(found))


@pytest.fixture(scope="module")
def world():
    cluster = Cluster(flags=["--ingress-ports", "18080,18443"]).up()
    try:
        world = World(cluster)
        world.service("web", "web-1")
        world.service("api", "api-1")
        yield world
    finally:
        cluster.reset().ok()


def test_hosts_and_paths_go_where_kubernetes_says(world):
    world.ingress("paths", "paths.k8s", [("/", "Prefix", "web"), ("/foo", "Prefix", "api"), ("/foo/exact", "Exact", "web")])
    world.ingress("wild", "*.wild.k8s", [("/", "ImplementationSpecific", "api")])
    world.says("web-1", "paths.k8s")
    for path, name in (("/foo", "api-1"), ("/foo/", "api-1"), ("/foo/bar", "api-1"), ("/foobar", "web-1"), ("/foo/exact", "web-1"),
                       ("/foo/exact/", "api-1"), ("/foo?a=b", "api-1")):
        assert world.get("paths.k8s", path)[1].split()[:2] == [name, path], path
    world.says("api-1", "one.wild.k8s")
    assert world.get("two.labels.wild.k8s")[0] == 404 and world.get("wild.k8s")[0] == 404
    assert world.get("nobody.k8s")[:2] == (404, "default backend - 404")
    assert world.get("paths.k8s")[1].split()[2:] == ["paths.k8s", "http"]
    shown = world.cluster.kubectl("get ingress paths -o json").json()
    assert shown["status"]["loadBalancer"]["ingress"][0]["ip"] == world.address
    assert shown["spec"]["ingressClassName"] == "nginx"


def test_an_ingress_of_2017_keeps_a_client_on_one_pod(world):
    world.service("sticky", "sticky-1", "sticky-2")
    world.cluster.apply({
        "apiVersion": "extensions/v1beta1", "kind": "Ingress",
        "metadata": {"name": "old", "annotations": {
            "kubernetes.io/ingress.class": "nginx", "ingress.kubernetes.io/affinity": "cookie",
            "ingress.kubernetes.io/session-cookie-name": "route", "ingress.kubernetes.io/session-cookie-hash": "sha1"}},
        "spec": {"rules": [{"host": "*.old", "http": {"paths": [{"path": "/", "backend": {"serviceName": "sticky", "servicePort": 80}}]}}]}}).ok()
    world.until(lambda answer: answer[0] == 200, "api.old")
    seen = {}
    for _ in range(20):
        _, text, headers = world.get("api.old")
        name, value = headers["set-cookie"].split(";")[0].split("=")
        assert name == "route"
        seen[text.split()[0]] = value
    assert set(seen) == {"sticky-1", "sticky-2"}
    for server, value in seen.items():
        answers = [world.get("api.old", headers={"Cookie": f"a=b; route={value}"}) for _ in range(10)]
        assert {answer[1].split()[0] for answer in answers} == {server}
        assert not any("set-cookie" in answer[2] for answer in answers)
    world.endpoints("sticky", "sticky-2")   # its pod is gone: another takes over, with a cookie of its own
    moved = world.until(lambda answer: "set-cookie" in answer[2], "api.old", headers={"Cookie": f"route={seen['sticky-1']}"})
    assert moved[1].startswith("sticky-2 ") and seen["sticky-2"] in moved[2]["set-cookie"]


def make_certificate(folder, host):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-keyout", f"{folder}/{host}.key", "-out", f"{folder}/{host}.crt", "-subj", f"/CN={host}"],
                   check=True, capture_output=True)
    return {name: base64.b64encode(open(f"{folder}/{host}.{end}", "rb").read()).decode() for name, end in (("tls.crt", "crt"), ("tls.key", "key"))}


def shown_name(world, host):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(socket.create_connection(("127.0.0.1", world.https), 10), server_hostname=host) as tls:
        pem = ssl.DER_cert_to_PEM_cert(tls.getpeercert(True))
    return subprocess.run(["openssl", "x509", "-noout", "-subject"], input=pem, capture_output=True, text=True, check=True).stdout


def test_tls_by_name_with_certificates_from_secrets(world, tmp_path):
    for host in ("a.tls", "b.tls"):
        secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": host}, "data": make_certificate(tmp_path, host)}
        world.cluster.apply(secret).ok()
        world.ingress(host, host, tls=[{"hosts": [host], "secretName": host}])
    world.ingress("c.tls", "c.tls", tls=[{"hosts": ["c.tls"], "secretName": "missing"}],
                  annotations={"nginx.ingress.kubernetes.io/ssl-redirect": "false"})
    for host in ("a.tls", "b.tls"):
        assert world.says("web-1", host, tls=True)[1].endswith(f"{host} https")
        assert f"CN = {host}" in shown_name(world, host)
        status, _, headers = world.get(host, "/x?y=z")
        assert (status, headers["location"]) == (308, f"https://{host}:18443/x?y=z")
    world.says("web-1", "c.tls", tls=True)
    world.says("web-1", "c.tls")
    assert "CN = ingress.local" in shown_name(world, "c.tls")
    world.cluster.eventually("told", lambda: "secret default/missing of type kubernetes.io/tls does not exist" in world.events("c.tls"))


def test_annotations_with_both_prefixes(world):
    new, old = "nginx.ingress.kubernetes.io/", "ingress.kubernetes.io/"
    world.ingress("rewrite", "rewrite.k8s", [("/base(/|$)(.*)", "ImplementationSpecific", "web")], {new + "rewrite-target": "/$2", new + "use-regex": "true"})
    world.ingress("oldrewrite", "oldrewrite.k8s", [("/base", "ImplementationSpecific", "web")], {old + "rewrite-target": "/in"})
    world.ingress("moved", "moved.k8s", annotations={new + "permanent-redirect": "https://example.com/there"})
    world.ingress("root", "root.k8s", annotations={new + "app-root": "/app"})
    world.ingress("limits", "limits.k8s", annotations={new + "proxy-body-size": "1k", old + "proxy-read-timeout": "7"})
    world.ingress("closed", "closed.k8s", annotations={new + "whitelist-source-range": "10.255.0.0/16, 2001:db8::/32"})
    world.ingress("open", "open.k8s", annotations={new + "whitelist-source-range": "127.0.0.0/8", new + "upstream-vhost": "other.example"})
    assert world.says("web-1", "rewrite.k8s", "/base/a/b?c")[1].split()[1] == "/a/b?c"
    assert world.get("rewrite.k8s", "/base")[1].split()[1] == "/"
    assert world.says("web-1", "oldrewrite.k8s", "/base/a")[1].split()[1] == "/in/a"
    moved = world.until(lambda answer: answer[0] == 301, "moved.k8s", "/x")
    assert moved[2]["location"] == "https://example.com/there"
    assert world.until(lambda answer: answer[0] == 302, "root.k8s")[2]["location"].endswith("/app")
    assert world.says("web-1", "limits.k8s", method="POST", body="x" * 1000)
    assert world.get("limits.k8s", method="POST", body="x" * 2000)[0] == 413
    world.until(lambda answer: answer[0] == 403, "closed.k8s")
    assert world.says("web-1", "open.k8s")[1].split()[2] == "other.example"


EVIL = [
    ("permanent-redirect", "https://x/;} location /own { return 200 owned; } #"),
    ("rewrite-target", "/$request_uri\"; return 200 owned; #"),
    ("upstream-hash-by", "$host; return 200 owned; #"),
    ("proxy-body-size", "1m; return 200 owned; #"),
    ("proxy-read-timeout", "1; return 200 owned; #"),
    ("session-cookie-path", "/\"; return 200 owned; #"),
    ("upstream-vhost", "a\"; return 200 owned; #"),
    ("cors-allow-origin", "*\" always; return 200 owned; #"),
    ("configuration-snippet", "return 200 owned;"),
    ("server-snippet", "return 200 owned;"),
]


def test_no_text_of_a_user_becomes_configuration(world):
    world.cluster.apply({"apiVersion": "v1", "kind": "List", "items": [
        world.ingress(f"evil{number}", f"evil{number}.k8s", verb=None, annotations={
            f"nginx.ingress.kubernetes.io/{name}": value, "nginx.ingress.kubernetes.io/affinity": "cookie",
            "nginx.ingress.kubernetes.io/enable-cors": "true"}) for number, (name, value) in enumerate(EVIL)]}).ok()
    world.ingress("evilpath", "evilpath.k8s", [("/a\"{return 200 owned;}", "ImplementationSpecific", "web"), ("/b", "ImplementationSpecific", "web")])
    world.ingress("evilauth", "evilauth.k8s", annotations={"nginx.ingress.kubernetes.io/auth-url": "http://x/"})
    world.ingress("evilregex", "evilregex.k8s", [("/a(", "ImplementationSpecific", "web")], {"nginx.ingress.kubernetes.io/use-regex": "true"})
    for number, (name, _) in enumerate(EVIL):
        world.says("web-1", f"evil{number}.k8s")

    def told():
        events = world.cluster.kubectl(["get", "events", "-o", "jsonpath={range .items[*]}{.involvedObject.name} {.message}\n{end}"]).ok().out
        return all(any(line.startswith(f"evil{number} ") and name in line for line in events.split("\n")) for number, (name, _) in enumerate(EVIL))
    world.cluster.eventually("each is told", told)
    world.says("web-1", "evilpath.k8s", "/b")
    world.until(lambda answer: answer[0] == 503, "evilauth.k8s")   # better closed than open
    with open(f"{world.cluster.root}/ingress/nginx.conf") as stream:
        assert "owned" not in stream.read()
    # What nginx itself does not take costs its own ingress only.
    world.cluster.eventually("rejected", lambda: "Rejected: nginx does not take it" in world.events("evilregex"))
    world.says("web-1", "evilpath.k8s", "/b")


def test_a_bad_ingress_breaks_no_other(world):
    world.ingress("lonely", "lonely.k8s", [("/", "Prefix", "nowhere")])
    world.until(lambda answer: answer[0] == 503, "lonely.k8s")
    world.cluster.eventually("told", lambda: "BackendNotFound: there is no service default/nowhere" in world.events("lonely"))
    world.ingress("first", "shared.k8s", [("/", "Prefix", "web")])
    world.says("web-1", "shared.k8s")
    world.ingress("second", "shared.k8s", [("/", "Prefix", "api"), ("/api", "Prefix", "api")])
    world.says("api-1", "shared.k8s", "/api")
    assert world.get("shared.k8s")[1].startswith("web-1 ")
    world.cluster.eventually("told", lambda: "belongs to the ingress default/first" in world.events("second"))
    world.service("nowhere", "nowhere-1")   # what was missing appears
    world.says("nowhere-1", "lonely.k8s")
    world.ingress("others", "others.k8s", ingressClassName="someone-else")
    world.ingress("fallback", "fallback.k8s", [("/only", "Prefix", "api")], defaultBackend={"service": {"name": "web", "port": {"name": "web"}}})
    world.says("web-1", "fallback.k8s", "/else")
    assert world.get("others.k8s")[0] == 404


def test_web_sockets_pass(world):
    world.ingress("socket", "socket.k8s")
    world.says("web-1", "socket.k8s")
    with socket.create_connection(("127.0.0.1", world.http), 10) as raw:
        raw.sendall(b"GET /ws HTTP/1.1\r\nHost: socket.k8s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello\n")
        text = b""
        while b"hello\n" not in text:
            part = raw.recv(4096)
            assert part, text
            text += part
        assert text.startswith(b"HTTP/1.1 101")


def test_killed_nginx_and_agent_come_back(world):
    world.ingress("life", "life.k8s")
    world.says("web-1", "life.k8s")
    killed = world.kill_nginx()
    world.cluster.eventually("another", lambda: world.master() not in (None, *killed))
    world.says("web-1", "life.k8s")
    before = world.nginx()
    os.kill(world.master(), signal.SIGKILL)   # its workers stay behind
    world.cluster.eventually("another", lambda: set(world.nginx()) and not set(world.nginx()) & set(before))
    world.says("web-1", "life.k8s")
    kept = world.nginx()
    agent = world.cluster.pid_of("agent")
    os.kill(agent, signal.SIGKILL)
    assert world.get("life.k8s")[0] == 200   # nobody needs the agent for this
    world.cluster.eventually("agent again", lambda: world.cluster.pid_of("agent") != agent)
    world.ingress("after", "after.k8s")
    world.says("web-1", "after.k8s")
    assert kept[0] in world.nginx()   # taken over, not replaced


def sockets_of(pid):
    found = set()
    for path in glob.glob(f"/proc/{pid}/fd/*"):
        try:
            if (target := os.readlink(path)).startswith("socket:"):
                found.add(target)
        except OSError:
            continue
    return found


def test_nginx_holds_no_socket_of_the_agents_but_its_own(world):
    """Port 10250 and DNS are the agent's; nginx outlives it, and would keep them."""
    world.ingress("sockets", "sockets.k8s")
    world.says("web-1", "sockets.k8s")
    inherited = {os.readlink(f"/proc/{world.cluster.pid_of('agent')}/fd/{number}") for number in (3, 4, 5)}
    assert len(inherited) == 3 and all(one.startswith("socket:") for one in inherited)
    for pid in world.nginx():
        assert not sockets_of(pid) & inherited


@pytest.mark.parametrize("victim", ["worker", "master", "all"])
def test_a_killed_nginx_costs_no_new_request(world, victim):
    world.ingress("killed", "killed.k8s")
    world.says("web-1", "killed.k8s")
    with Load("127.0.0.1", world.http, header={"Host": "killed.k8s"}) as load:
        world.cluster.eventually("some answers", lambda: load.total > 50)
        kills = []
        for _ in range(3):
            world.cluster.eventually("a master", world.master)
            before, master, began = world.nginx(), world.master(), time.time()
            if victim == "all":
                world.kill_nginx()
            else:
                os.kill(master if victim == "master" else next(pid for pid in before if pid != master), signal.SIGKILL)
            world.cluster.eventually("others", lambda: len(set(world.nginx()) - set(before)) >= (1 if victim == "worker" else 2))
            answered = load.total
            world.cluster.eventually("more answers", lambda: load.total > answered + 50)
            kills.append((began, time.time()))
    load.none_failed(kills)


def test_endpoints_change_under_load_and_no_request_fails(world):
    world.service("load", "load-1", "load-2", "load-3")
    world.ingress("load", "load.k8s")
    world.ingress("load", "load.k8s", [("/", "Prefix", "load")])
    world.says("load-1", "load.k8s")
    with Load("127.0.0.1", world.http, header={"Host": "load.k8s"}) as load:
        for kept in (("load-1", "load-2"), ("load-3",), ("load-2", "load-3"), ("load-1",), ("load-1", "load-2", "load-3")):
            world.endpoints("load", *kept)
            seen = set()
            world.cluster.eventually(f"only {kept}", lambda: (seen.clear(), seen.update(world.get("load.k8s")[1].split()[0] for _ in range(6)), seen <= set(kept))[2])
        world.backends["load-2"].stop()   # refused before it is known
        before = load.total
        world.cluster.eventually("more answers", lambda: load.total > before + 200)
    load.none_failed()


def test_a_reload_costs_no_request(world):
    """Clients that keep their connections busy do not meet one that was just closed."""
    world.ingress("reload", "reload.k8s")
    world.says("web-1", "reload.k8s")
    with Load("127.0.0.1", world.http, header={"Host": "reload.k8s"}, requests_a_connection=1000) as load:
        for number in range(3):
            world.ingress("reload-more", f"reload{number}.k8s")
            world.says("web-1", f"reload{number}.k8s")
    load.none_failed()


def test_a_rolling_update_of_what_dies_at_once(world):
    """Nobody waits for the last request but the agent and nginx."""
    world.cluster.import_images("echo")
    labels = {"app": "abrupt"}
    container = {"name": "echo", "image": "skiff/echo:1", "env": [{"name": "DRAIN_SECONDS", "value": "-1"}],
                 "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}}
    for made in (
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "abrupt"}, "spec": {
                "replicas": 3, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "abrupt"}, "spec": {
                "selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}}):
        world.cluster.apply(made).ok()
    world.ingress("abrupt", "abrupt.k8s", [("/", "Prefix", "abrupt")])
    world.cluster.kubectl("rollout status deployment/abrupt --timeout=60s", timeout=70).ok()
    world.until(lambda answer: answer[0] == 200, "abrupt.k8s")
    with Load("127.0.0.1", world.http, path="/slow?ms=20", header={"Host": "abrupt.k8s"}, requests_a_connection=50) as load:
        world.cluster.kubectl("set image deployment/abrupt echo=skiff/echo:2").ok()
        world.cluster.kubectl("rollout status deployment/abrupt --timeout=60s", timeout=70).ok()
        world.cluster.eventually("only the new ones are left", lambda: len(world.cluster.kubectl(
            "get pods -l app=abrupt -o name").ok().out.split()) == 3)
    load.none_failed()
    assert world.get("abrupt.k8s")[1].startswith("2 ")
    world.cluster.kubectl("delete deployment/abrupt --wait=false").ok()


def test_a_pod_that_claims_the_port_is_given_way(world):
    node = world.cluster.kubectl("get nodes -o jsonpath={.items[0].metadata.name}").ok().out
    world.says("web-1", "paths.k8s")
    world.cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "claims"}, "spec": {
        "nodeName": node, "containers": [{"name": "c", "image": "not/there:1", "ports": [{"containerPort": 80, "hostPort": 80}]}]}}).ok()

    def refused():
        try:
            world.get("paths.k8s")
        except ConnectionRefusedError:
            return True
    world.cluster.eventually("released", refused)
    world.cluster.kubectl("delete pod claims --grace-period=0 --force").ok()
    world.says("web-1", "paths.k8s")


def test_down_ends_nginx_and_up_leaves_a_port_that_is_taken(world):
    world.says("web-1", "paths.k8s")
    world.cluster.skiff("down").ok()
    assert world.nginx() == []
    with socket.create_server(("0.0.0.0", world.http)):
        world.cluster.up()
        world.says("web-1", "a.tls", tls=True)
        assert f"ingress  port {world.https}; port {world.http} is in use by another program" in world.cluster.skiff("status").ok().out
        node = world.cluster.kubectl("get nodes -o jsonpath={.items[0].metadata.name}").ok().out
        world.cluster.eventually("told of the node", lambda: "IngressPortInUse" in world.events(node))
    world.says("web-1", "paths.k8s")
    assert f"ingress  ports {world.http} and {world.https}\n" in world.cluster.skiff("status").ok().out


def test_nginx_runs_while_there_is_an_ingress(world):
    world.says("web-1", "paths.k8s")
    world.cluster.kubectl("delete ingress --all").ok()
    world.cluster.eventually("nginx ends", lambda: not world.nginx())
    assert "once there is an Ingress" in world.cluster.skiff("status").ok().out
    world.ingress("again", "again.k8s")
    world.says("web-1", "again.k8s")
