"""Attacks, each named after what it guards; docs/security.md has the table of findings.

They are made with the means of whom they would help: a user with a namespace's `edit` role, a pod, a stranger."""
import base64
import itertools
import json
import socket
import subprocess
import sys

import pytest
from cluster import PROJECT, pod

sys.path.insert(0, str(PROJECT / "bench"))
from client import Api  # noqa: E402


class Acting(Api):
    """The API as `user`, by impersonation: authorization sees that user alone."""

    def __init__(self, cluster, user=None):
        super().__init__(cluster.kubectl("config view --raw -o json").ok().out)
        self.user = user

    def status(self, method, path, body=None, content="application/json"):
        headers = {"Content-Type": content} | ({"Impersonate-User": self.user} if self.user else {})
        self.connection.request(method, path, body if body is None or isinstance(body, (str, bytes)) else json.dumps(body), headers)
        answer = self.connection.getresponse()
        text = answer.read().decode(errors="replace")
        return answer.status, text


@pytest.fixture
def editor(cluster, namespace):
    user = f"mallory-{namespace}"
    cluster.kubectl(f"create rolebinding mallory --clusterrole=edit --user={user} -n {namespace}").ok()
    return Acting(cluster, user)


# --- what `edit` may, against what RBAC's own tables say --------------------------------------------

def rules_of(admin, user_role):
    """The rules of a ClusterRole, as stored."""
    return admin.call("GET", f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{user_role}")["rules"] or []


def allowed_by(rules, verb, group, resource):
    def has(values, wanted):
        return "*" in values or wanted in values
    return any(has(rule.get("verbs", []), verb) and has(rule.get("apiGroups", []), group) and
               (has(rule.get("resources", []), resource) or ("/" in resource and f"*/{resource.split('/')[1]}" in rule.get("resources", [])))
               for rule in rules if not rule.get("resourceNames"))


def every_resource(admin):
    found = [("", "v1", resource) for resource in admin.call("GET", "/api/v1")["resources"]]
    for group in admin.call("GET", "/apis")["groups"]:
        for version in group["versions"]:
            for resource in admin.call("GET", f"/apis/{version['groupVersion']}")["resources"]:
                found.append((group["name"], version["version"], resource))
    return found


METHODS = {"get": ("GET", "/none"), "list": ("GET", ""), "create": ("POST", ""), "update": ("PUT", "/none"), "patch": ("PATCH", "/none"),
           "delete": ("DELETE", "/none"), "deletecollection": ("DELETE", "")}


def requests_for(group, version, resource, namespaces):
    """(verb, method, path) of every verb that discovery names, in each namespace."""
    base = f"/api/{version}" if not group else f"/apis/{group}/{version}"
    name, _, sub = resource["name"].partition("/")
    places = [f"{base}/namespaces/{space}" for space in namespaces] if resource["namespaced"] else [base]
    for place, verb in itertools.product(places, resource["verbs"]):
        if verb not in METHODS:   # watch is a list that stays, with the same rule
            continue
        method, tail = METHODS[verb]
        path = f"{place}/{name}" + (f"/none/{sub}" if sub else tail)
        yield verb, method, path + "?dryRun=All&labelSelector=none%3Dnone"


def test_an_editor_may_what_rbacs_table_says_and_no_more(cluster, namespace, editor):
    admin = Acting(cluster)
    # Everybody's: what is bound to system:authenticated, everywhere.
    everybody = [rule for binding in admin.call("GET", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings")["items"]
                 if any(subject["name"] == "system:authenticated" for subject in binding.get("subjects") or [])
                 for rule in rules_of(admin, binding["roleRef"]["name"])]
    own = rules_of(admin, "edit")
    wrong, asked = [], 0
    for group, version, resource in every_resource(admin):
        for verb, method, path in requests_for(group, version, resource, [namespace, "default", "kube-system"]):
            rules = everybody + (own if f"/namespaces/{namespace}/" in path else [])
            expected = allowed_by(rules, verb, group, resource["name"])
            status, text = editor.status(method, path, "{}" if method in ("POST", "PUT", "PATCH") else None,
                                         "application/merge-patch+json" if method == "PATCH" else "application/json")
            asked += 1
            # An alias asks for what it names: extensions' deployments need a rule for extensions.
            if (status == 403 and '"reason":"Forbidden"' in text.replace(" ", "") and " cannot " in text) == expected:
                wrong.append((verb, path, status, expected))
    assert asked > 1000 and not wrong, (asked, wrong[:20])


# --- ways around ------------------------------------------------------------------------------------

def test_tokens_of_another_namespaces_accounts_are_not_given(cluster, namespace, editor):
    """Service-account tokens of other namespaces: NCC 2022's class of escalation by TokenRequest."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    assert editor.status("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token", body)[0] == 201
    assert editor.status("POST", "/api/v1/namespaces/kube-system/serviceaccounts/default/token", body)[0] == 403


def test_nobody_becomes_another_by_impersonation_or_certificate(cluster, namespace, editor):
    """`impersonate`, `escalate`, `bind`, CSRs."""
    key = subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null",
                          "-subj", "/O=system:masters/CN=mallory"], capture_output=True, check=True).stdout
    name = f"masters-{namespace}"
    csr = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name},
           "spec": {"request": base64.b64encode(key).decode(), "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}}
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    assert editor.status("POST", path, csr)[0] == 403
    # Even who may ask and one who may approve get no certificate for system:masters.
    admin = Acting(cluster)
    assert admin.status("POST", path, csr)[0] in (201, 403)
    cluster.kubectl(f"certificate approve {name}")
    def issued():
        return admin.call("GET", f"{path}/{name}")["status"].get("certificate") if admin.status("GET", f"{path}/{name}")[0] == 200 else None
    assert issued() is None
    admin.status("DELETE", f"{path}/{name}")
    # Nobody acts as somebody else without the verb.
    headers = {"Impersonate-User": editor.user}
    editor.connection.request("GET", f"/api/v1/namespaces/{namespace}/pods", headers=headers | {"Impersonate-Group": "system:masters"})
    answer = editor.connection.getresponse()
    answer.read()
    assert answer.status == 200   # it was the administrator who asked; the next is not
    token = cluster.kubectl(f"create token default -n {namespace}").ok().out.strip()
    code = subprocess.run(["curl", "-skS", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"authorization: Bearer {token}",
                           "-H", "impersonate-user: kubernetes-admin", "-H", "impersonate-group: system:masters",
                           f"https://{editor.host}:{editor.port}/api/v1/nodes"], capture_output=True, text=True).stdout
    assert code == "403"


def test_a_node_is_not_reached_through_its_proxy_without_the_right(cluster, namespace, editor):
    """`nodes/proxy`: who may look at nodes may not use them (NCC 2022)."""
    node = cluster.kubectl("get nodes -o name").ok().out.strip().removeprefix("node/")
    user = f"watcher-{namespace}"
    cluster.kubectl(f"create clusterrole {user} --verb=get,list --resource=nodes,nodes/status").ok()
    cluster.kubectl(f"create clusterrolebinding {user} --clusterrole={user} --user={user}").ok()
    watcher = Acting(cluster, user)
    assert watcher.status("GET", f"/api/v1/nodes/{node}")[0] == 200
    for path in ("pods", "logs/", "run/default/x/y?cmd=id", "exec/default/x/y?command=id&output=1", "containerLogs/default/x/y"):
        for method in ("GET", "POST"):
            assert watcher.status(method, f"/api/v1/nodes/{node}/proxy/{path}")[0] == 403, path
    cluster.kubectl(f"delete clusterrolebinding,clusterrole {user}").ok()


class Raw:
    """One TLS connection, bytes by hand, the administrator's certificate."""

    def __init__(self, cluster):
        api = Acting(cluster)
        self.stream = api.context.wrap_socket(socket.create_connection((api.host, int(api.port)), timeout=10), server_hostname=api.host)

    def ask(self, text):
        self.stream.sendall(text.encode())

    def answer(self):
        """Status, headers and body of the next answer; None when the other side closed."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.stream.recv(65536)
            if not more:
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        while len(body) < length:
            more = self.stream.recv(65536)
            if not more:
                break
            body += more
        return int(head.split()[1]), head.decode(), body.decode(errors="replace")


def test_an_upgrade_that_is_refused_leaves_no_way_to_the_node(cluster, namespace):
    """CVE-2018-1002105: after the node refused, the same connection is the API server's, not the node's."""
    cluster.apply(pod("target", "sleep 1000") | {"metadata": {"name": "target", "namespace": namespace}}).ok()
    cluster.wait_ready("target", namespace=namespace)
    for path in (f"pods/target/exec?container=none&command=id&stdout=1", f"pods/target/exec?stdout=1", f"pods/target/attach?container=none&stdout=1",
                 f"pods/target/portforward?ports=none"):
        raw = Raw(cluster)
        raw.ask(f"POST /api/v1/namespaces/{namespace}/{path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
                "X-Stream-Protocol-Version: v4.channel.k8s.io\r\nContent-Length: 0\r\n\r\n")
        first = raw.answer()
        if first and first[0] == 101:   # told in the stream: what follows are its frames, and no requests
            continue
        assert first is None or first[0] >= 400, (path, first)
        try:
            raw.ask("GET /pods HTTP/1.1\r\nHost: x\r\n\r\n")
            second = raw.answer()
        except OSError:
            second = None
        assert second is None or (second[0] in (403, 404) and "target" not in second[2]), (path, second)


def test_a_redirect_is_never_followed(cluster, namespace):
    """CVE-2020-8559, CVE-2022-3172: what a pod answers goes to who asked; the API server goes nowhere for it."""
    answer = "HTTP/1.1 302 Found\\r\\nLocation: http://127.0.0.1:1/secret\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n"
    manifest = pod("redirects", f"while true; do printf '{answer}' | nc -l -p 8080 >/dev/null; done")
    manifest["metadata"] = {"name": "redirects", "namespace": namespace}
    cluster.apply(manifest).ok()
    cluster.wait_ready("redirects", namespace=namespace)
    admin = Acting(cluster)

    def asked():
        admin.connection.request("GET", f"/api/v1/namespaces/{namespace}/pods/redirects:8080/proxy/")
        response = admin.connection.getresponse()
        response.read()
        return response.status == 302 and response.getheader("location")
    assert "secret" in cluster.eventually("the redirect itself", asked, 20)


def test_no_endpoint_leads_to_the_machine_itself(cluster, namespace, editor):
    """CVE-2020-8555, CVE-2020-8562 and CVE-2021-25740: addresses that pods are never at."""
    for address in ("127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0"):
        body = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "way"}, "subsets": [
            {"addresses": [{"ip": address}], "ports": [{"port": 10250}]}]}
        # By default editors write no endpoints at all; who may is refused too.
        assert editor.status("POST", f"/api/v1/namespaces/{namespace}/endpoints", body)[0] == 403
        status, text = Acting(cluster).status("POST", f"/api/v1/namespaces/{namespace}/endpoints", body)
        assert status == 422 and "subsets[0].addresses[0].ip" in text, (address, status, text)


@pytest.mark.parametrize("name", ["../up", "..", ".", "a/b", "a%b", "A", "a" * 254, "-a", "a\n"])
def test_a_name_is_no_path(cluster, namespace, editor, name):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    assert editor.status("POST", f"/api/v1/namespaces/{namespace}/configmaps", body)[0] in (400, 422)
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ok"}, "data": {name: "x"}}
    if name not in ("A", "-a"):   # keys are freer than names
        assert editor.status("POST", f"/api/v1/namespaces/{namespace}/configmaps?dryRun=All", body)[0] == 422


@pytest.mark.parametrize("path", ["/api/v1/namespaces/{ns}/../../../../metrics", "/api/v1/namespaces/{ns}/%2e%2e/kube-system/secrets",
                                  "/api/v1/namespaces/{ns}/configmaps/..%2f..%2fsecrets", "//api/v1/nodes", "/api/v1/namespaces/{ns}/pods/../secrets/x",
                                  "/healthz/../api/v1/nodes", "/api/v1/nodes/x/proxy/../../secrets"])
def test_dots_in_a_path_pass_nobody_by(cluster, namespace, editor, path):
    """What is authorized is what is served: never 200 for what the user may not read."""
    status, text = editor.status("GET", path.format(ns=namespace))
    assert status in (301, 400, 403, 404), (status, text[:200])


@pytest.mark.parametrize("spec, where", [
    ({"volumes": [{"name": "v", "hostPath": {"path": "/var/../etc"}}]}, "hostPath.path"),
    ({"volumes": [{"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": "../up"}]}}]}, "path"),
    ({"volumes": [{"name": "v", "secret": {"secretName": "c", "items": [{"key": "k", "path": "/abs"}]}}]}, "path"),
    ({"volumes": [{"name": "v", "downwardAPI": {"items": [{"path": "..", "fieldRef": {"fieldPath": "metadata.name"}}]}}]}, "path"),
])
def test_a_volumes_path_stays_in_its_volume(cluster, namespace, editor, spec, where):
    """CVE-2017-1002101's way in by configuration; links are test_volumes.py's."""
    body = pod("out", "true", **spec)
    status, text = editor.status("POST", f"/api/v1/namespaces/{namespace}/pods", body)
    assert status == 422 and where in text, (status, text)


@pytest.mark.parametrize("sub_path", ["../up", "/abs", "a/../../b"])
def test_a_sub_path_stays_in_its_volume(cluster, namespace, editor, sub_path):
    body = pod("out", "true", volumes=[{"name": "v", "emptyDir": {}}])
    body["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v", "subPath": sub_path}]
    status, text = editor.status("POST", f"/api/v1/namespaces/{namespace}/pods", body)
    assert status == 422 and "subPath" in text, (status, text)


def test_a_bomb_of_aliases_costs_nothing(cluster, namespace, editor):
    """CVE-2019-11253: YAML whose aliases multiply."""
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"] + [f"a{n}: &a{n} [" + ",".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 10)]
    bomb = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\n" + "\n".join(lines) + "\n"
    server = cluster.pid_of("server")

    def peak():
        return int(next(line.split()[1] for line in open(f"/proc/{server}/status") if line.startswith("VmHWM")))
    before = peak()
    status, text = editor.status("POST", f"/api/v1/namespaces/{namespace}/configmaps", bomb, "application/yaml")
    assert status == 400, (status, text[:200])
    assert peak() - before < 1024 + 16 * len(bomb) // 1024 + 4096   # KiB; 4 MiB for what other tests do meanwhile


def test_a_pods_own_token_opens_nothing_by_itself(cluster, namespace):
    """A taken-over pod: its account has no rights that nobody gave it."""
    token = cluster.kubectl(f"create token default -n {namespace}").ok().out.strip()
    api = Acting(cluster)
    for path in (f"/api/v1/namespaces/{namespace}/secrets", "/api/v1/nodes", "/api/v1/pods", f"/api/v1/namespaces/{namespace}/pods", "/metrics", "/logs/"):
        code = subprocess.run(["curl", "-skS", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"authorization: Bearer {token}",
                               f"https://{api.host}:{api.port}{path}"], capture_output=True, text=True).stdout
        assert code in ("403", "404"), (path, code)
