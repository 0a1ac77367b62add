"""Pods reach each other and the host, and are reached."""
import http.server
import pathlib
import socket
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


def test_nobody_beside_the_machine_reaches_its_loopback(space):
    """CVE-2020-8558: with route_localnet on, a neighbour may send to 127.0.0.1; without our table this very test gets in."""
    name, reach = "skiff-beside", "import socket, sys; print(socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).recv(9).decode())"
    inside = ("ip", "netns", "exec", name)

    def run(*command, check=True):
        return subprocess.run(command, check=check, capture_output=True, text=True)
    with socket.create_server(("0.0.0.0", 0)) as listener:
        def serve():
            while True:
                try:
                    with listener.accept()[0] as stream:
                        stream.sendall(b"open")
                except OSError:
                    return
        threading.Thread(target=serve, daemon=True).start()
        port = str(listener.getsockname()[1])
        try:
            run("ip", "netns", "add", name)
            run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            run("ip", "address", "add", "198.18.77.1/30", "dev", name)
            run("ip", "link", "set", name, "up")
            pathlib.Path(f"/proc/sys/net/ipv4/conf/{name}/route_localnet").write_text("1")
            run(*inside, "ip", "address", "add", "198.18.77.2/30", "dev", "eth0")
            run(*inside, "ip", "link", "set", "eth0", "up")
            run(*inside, "ip", "route", "add", "127.0.0.1/32", "via", "198.18.77.1")
            run(*inside, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet")
            assert run(*inside, "python3", "-c", reach, "198.18.77.1", port).stdout == "open\n"
            assert "TimeoutError" in run(*inside, "python3", "-c", reach, "127.0.0.1", port, check=False).stderr
        finally:
            run("ip", "netns", "del", name, check=False)
            run("ip", "link", "del", name, check=False)
