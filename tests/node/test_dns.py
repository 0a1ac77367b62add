"""Names as pods find them: services, their pods, the outside; resolv.conf; what kills and changes do to it."""
import os
import random
import select
import signal
import socket
import struct
import threading
import time

import pytest


@pytest.fixture(scope="module", autouse=True)
def things(space):
    c = space.container
    serve = "mkdir -p /www && echo web > /www/index.html && exec httpd -f -p 8080 -h /www"
    web = space.pod("web-0", c("main", serve), hostname="web-0", subdomain="peers")
    web["metadata"]["labels"] = {"app": "web"}

    def service(name, **spec):
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
    port = [{"name": "http", "port": 8080}]
    space.create(service("web", selector={"app": "web"}, ports=port), service("peers", clusterIP="None", selector={"app": "web"}, ports=port),
                 service("out", type="ExternalName", externalName=f"web.{space.name}.svc.cluster.local"))
    space.create(web, space.pod("client", c("main", "sleep 600")))
    space.until_ready("client")
    space.until_ready("web-0")


def dns_address(space):
    return space.cluster.kubectl("get service kube-dns -n kube-system -o jsonpath={.spec.clusterIP}").ok().out


def looked_up(space, name, kind="A", pod="client"):
    """The addresses (or names) that nslookup prints behind its server's own."""
    said = space.kubectl(["exec", pod, "--", "sh", "-c", f"nslookup -type={kind} {name} || true"]).out
    answer = said.split("\n\n", 1)[-1]
    return [line.split(":", 1)[1].strip() if line.startswith("Address") else line.split()[-1] for line in answer.splitlines()
            if line.startswith("Address") or " = " in line]


def test_a_services_name_is_its_address(space):
    ip = space.kubectl("get service web -o jsonpath={.spec.clusterIP}").ok().out
    # As programs look names up, along the search path: nslookup does not follow it for names with dots.
    for name in ("web", f"web.{space.name}", f"web.{space.name}.svc", f"web.{space.name}.svc.cluster.local"):
        space.eventually(name, lambda: f"({ip})" in space.run("client", f"ping -c 1 -w 1 {name} 2>&1 | head -1"))
    api = space.cluster.kubectl("get service kubernetes -o jsonpath={.spec.clusterIP}").ok().out
    assert looked_up(space, "kubernetes.default.svc.cluster.local") == [api]
    assert looked_up(space, f"out.{space.name}.svc.cluster.local")[-1] == ip


def test_a_headless_services_name_is_its_pods(space):
    pod_ip = space.shown("web-0")["status"]["podIP"]
    domain = f"{space.name}.svc.cluster.local"
    space.eventually("the pod behind peers", lambda: looked_up(space, f"peers.{domain}") == [pod_ip])
    assert looked_up(space, f"web-0.peers.{domain}") == [pod_ip]
    assert space.run("client", "wget -qO- http://web-0.peers:8080/") == "web\n"
    reversed_ip = ".".join(reversed(pod_ip.split(".")))
    assert looked_up(space, f"{reversed_ip}.in-addr.arpa", "PTR") == [f"web-0.peers.{domain}"]
    assert "8080 web-0.peers" in " ".join(space.run("client", f"nslookup -type=SRV _http._tcp.peers.{domain}").split())


def test_what_is_not_there_is_said_to_be_so(space):
    said = space.run("client", f"nslookup none.{space.name}.svc.cluster.local 2>&1 || true")
    assert "NXDOMAIN" in said
    said = space.run("client", f"nslookup -type=AAAA web.{space.name}.svc.cluster.local 2>&1 || true")
    assert "NXDOMAIN" not in said and "can't find" not in said


def test_changes_are_seen_at_once(space):
    domain = f"{space.name}.svc.cluster.local"
    space.kubectl("create service clusterip fresh --tcp=80:80").ok()
    space.eventually("the new name", lambda: looked_up(space, f"fresh.{domain}"), 2)
    space.kubectl("delete service fresh").ok()
    space.eventually("the old name is gone", lambda: not looked_up(space, f"fresh.{domain}"), 2)


def resolv_conf(space, name):
    lines = space.run(name, "cat /etc/resolv.conf").splitlines()
    found = {}
    for line in lines:
        words = line.split()
        if words:
            found.setdefault(words[0], []).extend(words[1:])
    return found


def test_each_policy_has_its_own_resolv_conf(space):
    c = space.container
    own = {"nameservers": ["192.0.2.53"], "searches": ["example.com"], "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}
    space.create(space.pod("none", c("main", "sleep 600"), dnsPolicy="None", dnsConfig=own),
                 space.pod("merged", c("main", "sleep 600"), dnsConfig=own),
                 space.pod("default", c("main", "sleep 600"), dnsPolicy="Default"),
                 space.pod("hostnet", c("main", "sleep 600"), dnsPolicy="ClusterFirstWithHostNet", hostNetwork=True),
                 space.pod("fqdn", c("main", "sleep 600"), hostname="named", subdomain="peers", setHostnameAsFQDN=True))
    for name in ("none", "merged", "default", "hostnet", "fqdn"):
        space.until_ready(name)
    server = dns_address(space)
    cluster_search = [f"{space.name}.svc.cluster.local", "svc.cluster.local", "cluster.local"]
    first = resolv_conf(space, "client")
    assert first["nameserver"] == [server] and first["search"][:3] == cluster_search and first["options"] == ["ndots:5"]
    assert resolv_conf(space, "hostnet")["nameserver"] == [server]
    none = resolv_conf(space, "none")
    assert none == {"nameserver": ["192.0.2.53"], "search": ["example.com"], "options": ["ndots:2", "edns0"]}
    merged = resolv_conf(space, "merged")
    assert merged["nameserver"] == [server, "192.0.2.53"]
    assert merged["search"][:3] == cluster_search and merged["search"][-1] == "example.com"
    assert sorted(merged["options"]) == ["edns0", "ndots:2"]
    assert server not in resolv_conf(space, "default").get("nameserver", [])
    assert space.run("fqdn", "hostname") == f"named.peers.{space.name}.svc.cluster.local\n"


def test_services_are_in_the_environment(space):
    c = space.container
    space.create(space.pod("linked", c("main", "sleep 600")), space.pod("unlinked", c("main", "sleep 600"), enableServiceLinks=False))
    space.until_ready("linked")
    space.until_ready("unlinked")
    ip = space.kubectl("get service web -o jsonpath={.spec.clusterIP}").ok().out
    environment = dict(line.split("=", 1) for line in space.run("linked", "env").splitlines())
    assert environment["WEB_SERVICE_HOST"] == ip and environment["WEB_SERVICE_PORT_HTTP"] == "8080"
    assert environment["WEB_PORT_8080_TCP"] == f"tcp://{ip}:8080"
    assert environment["KUBERNETES_SERVICE_PORT"] == "443"
    environment = dict(line.split("=", 1) for line in space.run("unlinked", "env").splitlines())
    assert "WEB_SERVICE_HOST" not in environment and environment["KUBERNETES_SERVICE_HOST"]


def query(name, number=7):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", number, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def answers(server, name):
    asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asker.settimeout(0.5)
    with asker:
        asker.sendto(query(name), (server, 53))
        try:
            answer = asker.recv(4096)
        except OSError:
            return None
    return answer[3] & 15, struct.unpack(">H", answer[6:8])[0]


def test_both_transports_and_the_outside(space):
    server = dns_address(space)
    assert answers(server, "kubernetes.default.svc.cluster.local") == (0, 1)
    with socket.create_connection((server, 53), timeout=5) as stream:
        message = query("kubernetes.default.svc.cluster.local")
        stream.sendall(struct.pack(">H", len(message)) + message)
        size = struct.unpack(">H", stream.recv(2))[0]
        assert stream.recv(size)[3] & 15 == 0
    # A name of elsewhere is asked elsewhere: whatever comes of it, our own are not held up.
    asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with asker:
        for number in range(50):
            asker.sendto(query(f"name-{number}.example.com", number), (server, 53))
        began = time.monotonic()
        assert answers(server, "kubernetes.default.svc.cluster.local") == (0, 1)
        assert time.monotonic() - began < 0.5


GARBAGE = [
    b"", b"\0", b"\xff" * 12, b"\0" * 12, os.urandom(40), os.urandom(1400),
    query("kubernetes.default.svc.cluster.local")[:20],                                        # cut within the name
    struct.pack(">HHHHHH", 1, 0x100, 1, 0, 0, 0) + b"\xc0\x0c" + struct.pack(">HH", 1, 1),      # a pointer to itself
    struct.pack(">HHHHHH", 1, 0x100, 65535, 65535, 65535, 65535) + os.urandom(200),
    struct.pack(">HHHHHH", 1, 0x100, 1, 0, 0, 0) + b"\x3f" + b"a" * 300 + b"\0\0\1\0\1",         # a label longer than the rest
    struct.pack(">HHHHHH", 1, 0x8180, 1, 0, 0, 0) + query("a.b")[12:],                          # an answer
    struct.pack(">HHHHHH", 1, 0x7900, 1, 0, 0, 1) + query("a.b")[12:] + b"\0\0\x29\xff\xff" + b"\xff" * 8,
]


class Flood(threading.Thread):
    """Sends questions at a steady pace, bad ones among them, and collects who of the good ones was answered, and with what code."""

    def __init__(self, server, rate, bad_share, seconds):
        super().__init__(daemon=True)
        self.server, self.rate, self.bad_share, self.seconds = server, rate, bad_share, seconds
        self.asked, self.codes = 0, {}

    def run(self):
        name, dice = "kubernetes.default.svc.cluster.local", random.Random(1)
        asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        rubbish = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with asker, rubbish:
            began, number = time.monotonic(), 0
            while (elapsed := time.monotonic() - began) < self.seconds:
                while number < elapsed * self.rate:
                    number += 1
                    if dice.random() < self.bad_share:
                        rubbish.sendto(dice.choice(GARBAGE), (self.server, 53))
                    else:
                        self.asked += 1
                        asker.sendto(query(name, self.asked), (self.server, 53))
                self.take(asker, 0.002)
            end = time.monotonic() + 5
            while len(self.codes) < self.asked and time.monotonic() < end:
                self.take(asker, 0.05)

    def take(self, asker, wait):
        while select.select([asker], [], [], wait)[0]:
            answer = asker.recv(4096)
            self.codes[struct.unpack(">H", answer[:2])[0]] = (answer[3] & 15, struct.unpack(">H", answer[6:8])[0])
            wait = 0

    def all_right(self):
        wrong = {number: code for number, code in self.codes.items() if code != (0, 1)}
        assert not wrong, f"{len(wrong)} of {self.asked} were answered wrongly: {list(wrong.items())[:5]}"
        assert len(self.codes) == self.asked, f"{self.asked - len(self.codes)} of {self.asked} questions were not answered"


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as stream:
        return int(next(line for line in stream if line.startswith("VmRSS")).split()[1])


def test_a_flood_with_rubbish_in_it_is_answered(space):
    server, agent = dns_address(space), space.cluster.pid_of("agent")
    before = resident_kib(agent)
    flood = Flood(server, 1500, 0.3, 4)   # more than 1,000 good ones a second
    flood.start()
    for message in GARBAGE * 5:   # over TCP as well
        try:
            with socket.create_connection((server, 53), timeout=2) as stream:
                stream.sendall(struct.pack(">H", len(message)) + message)
                stream.settimeout(0.05)
                stream.recv(512)
        except OSError:
            pass
    flood.join(30)
    flood.all_right()
    assert flood.asked >= 4000
    assert space.cluster.pid_of("agent") == agent, "the agent has crashed"
    assert resident_kib(agent) - before < 8 << 10, f"{before} KiB became {resident_kib(agent)}"


def test_a_killed_agent_loses_no_question(space):
    flood = Flood(dns_address(space), 200, 0, 4)
    flood.start()
    space.eventually("some answers", lambda: len(flood.codes) > 20)
    before = space.cluster.pid_of("agent")
    os.kill(before, signal.SIGKILL)
    flood.join(30)
    flood.all_right()
    space.eventually("another agent", lambda: space.cluster.pid_of("agent") != before)
