"""Pods reach each other and the host, and are reached."""
import http.server
import subprocess
import threading

import pytest


@pytest.fixture(scope="module", autouse=True)
def pods(space):
    def serve(text, port):
        return f"mkdir -p /www && echo {text} > /www/index.html && exec httpd -f -p {port} -h /www"
    c = space.container
    space.create(space.pod("one", c("main", serve("one", 8080)), c("beside", "sleep 600")), space.pod("two", c("main", serve("two", 8080))),
                 space.pod("ported", c("main", serve("ported", 8080), ports=[{"containerPort": 8080, "hostPort": 38471}])))


def address(space, name):
    return space.until_ready(name)["status"]["podIP"]


def test_pods_reach_each_other_and_keep_their_own_address(space):
    one, two = address(space, "one"), address(space, "two")
    assert one != two
    assert space.run("one", f"wget -qO- http://{two}:8080/", "main") == "two\n"
    assert space.run("two", f"wget -qO- http://{one}:8080/") == "one\n"
    assert space.run("one", "wget -qO- http://127.0.0.1:8080/", "beside") == "one\n"   # one network for all its containers
    assert space.run("one", f"wget -qO- http://{one}:8080/", "main") == "one\n"


def test_the_host_reaches_pods(space):
    answer = subprocess.run(["curl", "-sS", "-m", "5", f"http://{address(space, 'one')}:8080/"], capture_output=True, text=True)
    assert answer.stdout == "one\n", answer.stderr


def test_pods_reach_the_host(space):
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.client_address[0])
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"host")

        def log_message(self, *words):
            pass
    server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        pod = space.until_ready("one")
        assert space.run("one", f"wget -qO- http://{pod['status']['hostIP']}:{server.server_port}/", "main") == "host"
        assert seen == [pod["status"]["podIP"]]   # not masqueraded
    finally:
        server.shutdown()


def test_a_host_port_leads_to_its_pod(space):
    pod = space.until_ready("ported")

    def answer(host):
        return subprocess.run(["curl", "-sS", "-m", "5", f"http://{host}:38471/"], capture_output=True, text=True).stdout
    assert answer(pod["status"]["hostIP"]) == "ported\n"
    assert space.run("one", f"wget -qO- http://{pod['status']['hostIP']}:38471/", "main") == "ported\n"


def test_a_deleted_pod_gives_its_address_back(space):
    interfaces = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout.count("\n")
    space.create(space.pod("brief", space.container("main", "sleep 600")))
    space.until_ready("brief")
    space.kubectl("delete pod brief --grace-period=0 --force").ok()
    space.eventually("interface gone", lambda: subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout.count("\n") <= interfaces)
