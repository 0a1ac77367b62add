"""What a container finds in its environment, /etc/hosts, /etc/resolv.conf and its command."""
import pathlib
import socket

import pytest


def from_field(name, path):
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def from_resource(name, resource, **more):
    return {"name": name, "valueFrom": {"resourceFieldRef": {"resource": resource, **more}}}


def from_object(variable, kind, key, **more):
    return {"name": variable, "valueFrom": {f"{kind}KeyRef": {"key": key, **more}}}


ENV = [
    {"name": "PLAIN", "value": "a b"}, {"name": "TWICE", "value": "$(PLAIN) and $(PLAIN)"}, {"name": "DOLLAR", "value": "$$(PLAIN) $$ $"},
    {"name": "UNKNOWN", "value": "$(NOT_THERE)"}, {"name": "LATER", "value": "$(LAST)"}, {"name": "FROM_MAP", "value": "<$(M_color)>"},
    {"name": "LAST", "value": "z"},
    from_field("NAME", "metadata.name"), from_field("NAMESPACE", "metadata.namespace"), from_field("UID", "metadata.uid"),
    from_field("LABEL", "metadata.labels['app']"), from_field("NOTE", "metadata.annotations['example.com/note']"),
    from_field("NODE", "spec.nodeName"), from_field("ACCOUNT", "spec.serviceAccountName"), from_field("HOST_IP", "status.hostIP"),
    from_field("POD_IP", "status.podIP"), from_field("POD_IPS", "status.podIPs"),
    from_resource("CPU", "limits.cpu"), from_resource("MILLI", "limits.cpu", divisor="1m"), from_resource("MEMORY", "requests.memory"),
    from_resource("MIB", "limits.memory", divisor="1Mi"), from_resource("OTHERS", "requests.cpu", containerName="other", divisor="1m"),
    from_object("COLOR", "configMap", "color", name="settings"), from_object("PASSWORD", "secret", "password", name="keys"),
    from_object("NO_KEY", "configMap", "nothing", name="settings", optional=True),
    from_object("NO_MAP", "configMap", "x", name="nothing", optional=True), from_object("NO_SECRET", "secret", "x", name="nothing", optional=True),
]
FROM = [{"configMapRef": {"name": "settings"}, "prefix": "M_"}, {"secretRef": {"name": "keys"}, "prefix": "S_"},
        {"configMapRef": {"name": "nothing", "optional": True}}, {"secretRef": {"name": "nothing", "optional": True}}]


def bad(space, name, **fields):
    return space.pod(name, space.container("main", "true", **fields), restartPolicy="Never")


@pytest.fixture(scope="module", autouse=True)
def pods(space):
    c, sleep = space.container, "sleep 600"
    everything = space.pod("everything", c("main", sleep, env=ENV, envFrom=FROM, resources={
        "limits": {"cpu": "250m", "memory": "64Mi"}, "requests": {"memory": "32Mi"}}), c("other", sleep, resources={"requests": {"cpu": "10m"}}),
        hostname="given", subdomain="group", hostAliases=[{"ip": "192.0.2.7", "hostnames": ["seven", "sieben"]}],
        dnsConfig={"nameservers": ["192.0.2.53"], "searches": ["example.com"], "options": [{"name": "timeout", "value": "3"}, {"name": "edns0"}]})
    everything["metadata"].update(labels={"app": "x"}, annotations={"example.com/note": "a \"note\""})
    args = c("main", "")
    args.update(command=["echo", "$(WHO)", "$$(WHO)"], args=["$(WHO)-$(NONE)", "$(POD)"],
                env=[{"name": "WHO", "value": "me"}, from_field("POD", "metadata.name")])
    space.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"color": "blue", "not-a-name.x": "odd"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"password": "geheim"}},
        everything, space.pod("args", args, restartPolicy="Never"),
        space.pod("own-dns", c("main", sleep), dnsPolicy="None", dnsConfig={"nameservers": ["192.0.2.1"], "searches": ["a.test", "b.test"],
                                                                             "options": [{"name": "ndots", "value": "2"}]}),
        space.pod("node-dns", c("main", sleep), dnsPolicy="Default", setHostnameAsFQDN=True, subdomain="group"),
        space.pod("on-host", c("main", sleep), hostNetwork=True),
        bad(space, "no-map", env=[from_object("X", "configMap", "x", name="late")]),
        bad(space, "no-key", env=[from_object("X", "secret", "nothing", name="keys")]),
        bad(space, "no-from", envFrom=[{"secretRef": {"name": "nothing"}}]))


def test_variables_have_their_values(space):
    pod = space.until_ready("everything")
    found = dict(line.split("=", 1) for line in space.run("everything", "env", "main").splitlines() if "=" in line)
    status, metadata = pod["status"], pod["metadata"]
    wanted = {
        "PLAIN": "a b", "TWICE": "a b and a b", "DOLLAR": "$(PLAIN) $ $", "UNKNOWN": "$(NOT_THERE)", "LATER": "$(LAST)", "FROM_MAP": "<blue>",
        "LAST": "z", "NAME": "everything", "NAMESPACE": space.name, "UID": metadata["uid"], "LABEL": "x", "NOTE": 'a "note"',
        "NODE": pod["spec"]["nodeName"], "ACCOUNT": "default", "HOST_IP": status["hostIP"], "POD_IP": status["podIP"], "POD_IPS": status["podIP"],
        "CPU": "1", "MILLI": "250", "MEMORY": str(32 << 20), "MIB": "64", "OTHERS": "10", "COLOR": "blue", "PASSWORD": "geheim",
        "M_color": "blue", "S_password": "geheim", "HOSTNAME": "given"}
    assert {name: found.get(name) for name in wanted} == wanted
    assert not {"NO_KEY", "NO_MAP", "NO_SECRET", "color"} & set(found)
    assert "M_not-a-name.x=odd" in space.kubectl("exec everything -c main -- env").ok().out.splitlines()   # a shell drops it


def test_command_and_arguments_are_expanded(space):
    space.until_phase("args", "Succeeded")
    assert space.log("args") == "me $(WHO) me-$(NONE) args\n"


def test_hosts_and_hostname(space):
    pod = space.until_ready("everything")
    hosts = space.run("everything", "cat /etc/hosts; hostname", "main")
    assert f"{pod['status']['podIP']}\tgiven.group.{space.name}.svc.cluster.local\tgiven\n" in hosts
    assert "192.0.2.7\tseven\tsieben\n" in hosts and "127.0.0.1\tlocalhost\n" in hosts and hosts.endswith("\ngiven\n")
    space.until_ready("node-dns")
    assert space.run("node-dns", "hostname") == f"node-dns.group.{space.name}.svc.cluster.local\n"
    space.until_ready("on-host")
    assert space.run("on-host", "hostname").strip() == socket.gethostname()


def test_resolv_conf_follows_policy_and_config(space):
    space.until_ready("everything")
    lines = space.run("everything", "cat /etc/resolv.conf", "main").splitlines()
    search = next(line for line in lines if line.startswith("search")).split()[1:]
    assert "example.com" in search
    assert "nameserver 192.0.2.53" in lines
    options = next(line for line in lines if line.startswith("options")).split()[1:]
    assert {"timeout:3", "edns0"} <= set(options)
    space.until_ready("own-dns")
    assert sorted(space.run("own-dns", "cat /etc/resolv.conf").splitlines()) == ["nameserver 192.0.2.1", "options ndots:2", "search a.test b.test"]
    space.until_ready("node-dns")

    def servers(text):
        return [line.split()[1] for line in text.splitlines() if line.startswith("nameserver")]
    assert servers(space.run("node-dns", "cat /etc/resolv.conf")) == servers(pathlib.Path("/etc/resolv.conf").read_text())[:3]


@pytest.mark.parametrize("name, message", [
    ("no-map", 'configmap "late" not found'), ("no-key", "couldn't find key nothing in Secret test-environment/keys"),
    ("no-from", 'secret "nothing" not found')])
def test_what_is_missing_and_needed_holds_the_container_back(space, name, message):
    def waits():
        state = space.status_of(name, "main").get("state", {}).get("waiting", {})
        return state if state.get("reason") == "CreateContainerConfigError" else None
    assert space.eventually("waits", waits)["message"] == message
    space.until_event(name, "Failed", "^Error: " + message.replace("(", "."))


def test_what_was_missing_is_used_when_it_comes(space):
    space.kubectl("create configmap late --from-literal=x=now").ok()
    space.until_phase("no-map", "Succeeded", 10)
