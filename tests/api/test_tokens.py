"""Token Secrets and the issuer of service account tokens, as kubectl and other programs meet them."""
import base64
import json


def server(cluster):
    return cluster.kubectl("config view -o jsonpath={.clusters[0].cluster.server}").ok().out



def test_a_token_secret_is_filled_and_ends_with_its_account(cluster, namespace):
    cluster.kubectl(f"create serviceaccount robot -n {namespace}").ok()
    cluster.kubectl(f"create rolebinding robot --clusterrole=view --serviceaccount={namespace}:robot -n {namespace}").ok()
    cluster.apply({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
                   "metadata": {"name": "robot", "namespace": namespace, "annotations": {"kubernetes.io/service-account.name": "robot"}}}).ok()

    def data():
        return cluster.kubectl(f"get secret robot -n {namespace} -o json").json().get("data", {})
    cluster.eventually("the secret is filled", lambda: set(data()) == {"token", "ca.crt", "namespace"})
    assert base64.b64decode(data()["namespace"]).decode() == namespace
    token = base64.b64decode(data()["token"]).decode()
    alone = f"--kubeconfig=/dev/null --server={server(cluster)} --insecure-skip-tls-verify --token={token}"
    assert f"system:serviceaccount:{namespace}:robot" in cluster.kubectl(f"auth whoami {alone}").ok().out
    cluster.kubectl(f"get pods -n {namespace} {alone}").ok()
    cluster.kubectl(f"delete serviceaccount robot -n {namespace}").ok()
    assert "Unauthorized" in cluster.kubectl(f"get pods -n {namespace} {alone}").fails().err
    cluster.eventually("the secret is gone", lambda: "NotFound" in cluster.kubectl(f"get secret robot -n {namespace}").err)


def test_tokens_are_bound_to_secrets(cluster, namespace):
    cluster.kubectl(f"create secret generic key -n {namespace}").ok()
    token = cluster.kubectl(f"create token default -n {namespace} --bound-object-kind=Secret --bound-object-name=key").ok().out.strip()
    alone = f"--kubeconfig=/dev/null --server={server(cluster)} --insecure-skip-tls-verify --token={token}"
    cluster.kubectl(f"auth whoami {alone}").ok()
    cluster.kubectl(f"delete secret key -n {namespace}").ok()
    cluster.kubectl(f"auth whoami {alone}").fails()


def test_the_issuer_tells_its_keys(cluster):
    about = json.loads(cluster.kubectl("get --raw /.well-known/openid-configuration").ok().out)
    keys = json.loads(cluster.kubectl("get --raw /openid/v1/jwks").ok().out)["keys"]
    token = cluster.kubectl("create token default -n default").ok().out.strip()
    head = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["iss"] == about["issuer"]
    assert head["kid"] in [key["kid"] for key in keys]


def test_what_extension_servers_look_for_is_there(cluster):
    shown = cluster.kubectl("get configmap extension-apiserver-authentication -n kube-system -o json").json()
    assert "BEGIN CERTIFICATE" in shown["data"]["client-ca-file"]
    cluster.kubectl("get role extension-apiserver-authentication-reader -n kube-system").ok()
    assert "server: https://" in cluster.kubectl("get configmap cluster-info -n kube-public -o jsonpath={.data.kubeconfig}").ok().out
