"""Manifests with mistakes: the Status that Kubernetes gives, never a crash."""
import json
import subprocess

import pytest
from cluster import matches, pod


def changed(**spec):
    manifest = pod("bad", "true")
    manifest["spec"].update(spec)
    return manifest


CASES = [
    ("a syntax error", "apiVersion: v1\nkind: Pod\n  metadata: {", r"error (parsing|converting)"),
    ("a wrong type", {**pod("bad", "true"), "spec": {"containers": "none"}}, r"cannot unmarshal string|unmarshal|invalid|expected"),
    ("an unknown field", {**pod("bad", "true"), "spec": {**pod("bad", "true")["spec"], "imaginary": 1}}, r'unknown field "spec.imaginary"'),
    ("a bad name", pod("Bad_Name", "true"), r'metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain'),
    ("no containers", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bad"}, "spec": {"containers": []}}, r"spec.containers: Required value"),
    ("an unknown kind", {"apiVersion": "v1", "kind": "Pood", "metadata": {"name": "bad"}}, r'no matches for kind "Pood"'),
    ("a bad policy", changed(restartPolicy="Sometimes"), r'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"|spec.restartPolicy: Unsupported value'),
    ("a mount without its volume", changed(containers=[{"name": "c", "image": "x", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]),
     r'spec.containers\[0\].volumeMounts\[0\].name: Not found: "v"'),
    ("two containers of one name", changed(containers=[{"name": "c", "image": "x"}, {"name": "c", "image": "x"}]),
     r'spec.containers\[1\].name: Duplicate value: "c"'),
    ("a bad quantity", changed(containers=[{"name": "c", "image": "x", "resources": {"limits": {"memory": "lots"}}}]),
     r"quantities must match|unable to parse quantity|Invalid value"),
    ("limits below requests", changed(containers=[{"name": "c", "image": "x", "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}}]),
     r'Invalid value: "2": must be less than or equal to cpu limit'),
]


@pytest.mark.parametrize("what,manifest,expected", CASES, ids=[case[0] for case in CASES])
def test_a_manifest_with(cluster, what, manifest, expected):
    done = cluster.apply(manifest).fails()
    assert matches(expected, done.err), done.err
    assert cluster.kubectl("get --raw /readyz").ok().out == "ok"


def raw(cluster, *arguments, stdin=None):
    """curl with the admin's certificate."""
    config = json.loads(cluster.kubectl("config view --raw -o json").ok().out)
    user, server = config["users"][0]["user"], config["clusters"][0]["cluster"]
    import base64
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        for name, value in (("ca", server["certificate-authority-data"]), ("crt", user["client-certificate-data"]), ("key", user["client-key-data"])):
            with open(f"{folder}/{name}", "wb") as stream:
                stream.write(base64.b64decode(value))
        return subprocess.run(["curl", "-sS", "-m", "20", "--cacert", f"{folder}/ca", "--cert", f"{folder}/crt", "--key", f"{folder}/key",
                               "-w", "\n%{http_code}", *[a.replace("SERVER", server["server"]) for a in arguments]],
                              input=stdin, capture_output=True, text=True).stdout


def test_a_body_over_three_mebibytes_gets_413(cluster):
    body = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"}, "data": {"x": "y" * (3 << 20)}})
    answer = raw(cluster, "SERVER/api/v1/namespaces/default/configmaps", "-H", "content-type: application/json", "--data-binary", "@-", stdin=body)
    text, code = answer.rsplit("\n", 1)
    assert code == "413" and json.loads(text)["reason"] == "RequestEntityTooLarge"


def test_without_credentials_nothing_is_told(cluster):
    server = json.loads(cluster.kubectl("config view --raw -o json").ok().out)["clusters"][0]["cluster"]["server"]
    answer = subprocess.run(["curl", "-skS", "-m", "10", f"{server}/api/v1/secrets", "-w", "\n%{http_code}"], capture_output=True, text=True).stdout
    body, code = answer.rsplit("\n", 1)
    assert code == "403" and 'User "system:anonymous" cannot list resource "secrets"' in json.loads(body)["message"]
    wrong = subprocess.run(["curl", "-skS", "-m", "10", "-H", "Authorization: Bearer none", f"{server}/api/v1/secrets", "-w", "\n%{http_code}"],
                           capture_output=True, text=True).stdout
    assert wrong.rsplit("\n", 1)[1] == "401"   # who says who he is must prove it
    assert subprocess.run(["curl", "-skS", "-m", "10", f"{server}/readyz"], capture_output=True, text=True).stdout == "ok"


def test_an_object_that_is_not_there(cluster):
    assert 'pods "nowhere" not found' in cluster.kubectl("get pod nowhere").fails().err


def test_a_conflict_is_told(cluster, namespace):
    cluster.kubectl(f"create configmap c -n {namespace}").ok()
    stale = cluster.kubectl(f"get cm c -n {namespace} -o json").json()
    cluster.kubectl(f"label cm c a=b -n {namespace}").ok()
    done = cluster.kubectl("replace -f -", stdin=json.dumps(stale)).fails()
    assert "the object has been modified" in done.err
