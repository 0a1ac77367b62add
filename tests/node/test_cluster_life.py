"""up, status, down, reset, and two clusters side by side."""
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess

from cluster import SKIFF, Cluster, matches, pod


def mounts():
    return {line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()}


def tables():
    return set(subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout.splitlines())


def interfaces_of(facts):
    """Named after the cluster, or leading to its pods: what a pod's own is called says nothing."""
    network = ".".join(facts["podCidr"].split(".")[:2]) + "."
    routes = json.loads(subprocess.run(["ip", "-j", "route"], capture_output=True, text=True).stdout or "[]")
    return {name for name in os.listdir("/sys/class/net") if facts["id"] in name} | {
        route["dev"] for route in routes if route["dst"].startswith(network)}


def cgroups():
    return {str(path) for path in pathlib.Path("/sys/fs/cgroup").glob("*/*") if path.is_dir()}


def processes():
    """Those that run skiff, containerd or one of its shims."""
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                words = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if os.path.basename(words[0]).startswith(("skiff", "containerd")):
                found.add((int(entry), " ".join(words)))
    return found


def logs():
    found = set()
    for folder in ("/var/log/pods", "/var/log/containers"):
        if os.path.isdir(folder):
            found |= {f"{folder}/{name}" for name in os.listdir(folder) if "left" in name}   # the test's own pod
    return found


def switches():
    return {path: pathlib.Path(path).read_text() for path in ("/proc/sys/net/ipv4/ip_forward",)}


def other_clusters():
    """Ids and roots of the clusters that run on this machine."""
    folder = pathlib.Path("/run/skiff/clusters")
    if not folder.is_dir():
        return set()
    return {path.name for path in folder.iterdir()} | {path.read_text().strip() for path in folder.iterdir()}


def dns_address_of(facts):
    """The service network's tenth address, which DNS has on lo."""
    return facts["serviceCidr"].rsplit(".", 1)[0] + ".10"


def loopback_addresses():
    """Local addresses of lo, as the kernel routes them."""
    table = pathlib.Path("/proc/net/fib_trie").read_text().split("Local:")[-1]
    return set(re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", table))


def snapshot():
    return {"mounts": mounts(), "tables": tables(), "cgroups": cgroups(), "processes": processes(),
            "logs": logs(), "switches": switches(), "netns": set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else set(),
            "run": set(os.listdir("/run"))}


def test_reset_leaves_nothing_behind():
    before, others = snapshot(), other_clusters()
    cluster = Cluster()
    config = pathlib.Path(cluster.home) / ".kube" / "config"
    try:
        cluster.up().import_images()
        assert config.exists() and "current-context: skiff-" in config.read_text()
        cluster.apply(pod("left", "sleep 1000")).ok()
        cluster.wait_ready("left")
        assert snapshot() != before
        facts = json.loads(pathlib.Path(cluster.root, "cluster.json").read_text())
        assert interfaces_of(facts)
        assert dns_address_of(facts) in loopback_addresses()
    finally:
        home_had_config = config.exists()
        outcome = cluster.skiff("reset", timeout=180)
        still_config = config.exists()
        shutil.rmtree(cluster.home, ignore_errors=True)
    outcome.ok()
    others |= other_clusters()
    after = snapshot()
    others |= other_clusters()
    assert not interfaces_of(facts)
    assert dns_address_of(facts) not in loopback_addresses()
    assert after["switches"] == before["switches"] or others
    for what in before:
        if what == "switches":
            continue
        new = {str(item) for item in after[what] - before[what]}
        # Other clusters of this machine live on meanwhile: what names one of them is theirs.
        new = {item for item in new if not any(name in item for name in others)}
        assert not new, f"{what}: {new}"
    assert home_had_config and not still_config
    assert not os.path.exists(cluster.root)


def test_a_second_up_changes_nothing_and_says_so(cluster):
    before = [cluster.pid_of(part) for part in ("supervisor", "server", "agent", "containerd")]
    assert "up already" in cluster.skiff("up").ok().out
    assert [cluster.pid_of(part) for part in ("supervisor", "server", "agent", "containerd")] == before


def test_status_says_what_runs(cluster):
    shown = cluster.skiff("status").ok().out
    for part in ("supervisor", "server", "agent", "containerd"):
        assert matches(rf"^{part}\s+running\s+[\d.]+ MiB", shown), shown
    assert "All is well." in shown


def test_two_clusters_side_by_side(cluster):
    other = Cluster()
    try:
        other.up().import_images()
        for one in (cluster, other):
            one.apply(pod("same-name", "sleep 1000")).ok()
        for one in (cluster, other):
            one.wait_ready("same-name")
        facts = [json.loads(pathlib.Path(one.root, "cluster.json").read_text()) for one in (cluster, other)]
        for key in ("id", "port", "agentPort", "podCidr", "serviceCidr"):
            assert facts[0][key] != facts[1][key], key
        addresses = {one.kubectl("get pod same-name -o jsonpath={.status.podIP}").ok().out for one in (cluster, other)}
        assert len(addresses) == 2
        assert other.kubectl("delete pod same-name --grace-period=1").ok()
        assert cluster.kubectl("exec same-name -- true").ok()
    finally:
        other.reset().ok()
    assert cluster.kubectl("exec same-name -- true").ok()
    cluster.kubectl("delete pod same-name --grace-period=1").ok()


def test_down_and_up_again_keep_the_objects(request):
    cluster = Cluster()
    try:
        cluster.up().import_images()
        cluster.apply(pod("stays", "sleep 1000")).ok()
        cluster.wait_ready("stays")
        cluster.skiff("down").ok()
        assert "does not run" in cluster.skiff("status").out
        assert "was not running" in cluster.skiff("down").ok().out
        cluster.up()
        cluster.wait_ready("stays", 60)
    finally:
        cluster.reset().ok()


def test_down_can_leave_the_containers_running(request):
    cluster = Cluster()
    try:
        cluster.up().import_images()
        cluster.apply(pod("runs-on", "sleep 1000")).ok()
        cluster.wait_ready("runs-on")
        container = "jsonpath={.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}"
        before = cluster.kubectl(["get", "pod", "runs-on", "-o", container]).ok().out
        cluster.skiff("down", "--keep-pods").ok()
        cluster.up()
        cluster.wait_ready("runs-on")
        assert cluster.kubectl(["get", "pod", "runs-on", "-o", container]).ok().out == before
    finally:
        cluster.reset().ok()


def test_a_port_in_use_is_one_clear_line():
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        cluster = Cluster(["--port", str(port)])
        refused = cluster.skiff("up", *cluster.flags).fails()
        assert refused.err.strip().count("\n") == 0 and f"port {port} is in use" in refused.err
        shutil.rmtree(cluster.root)


def test_no_root_is_one_clear_line():
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", SKIFF, "up", "--root", "/tmp/skiff-nobody"],
                          capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.strip() == "skiff: up must be run as root: sudo skiff up"


def test_no_disk_space_is_one_clear_line(tmp_path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(tmp_path)], check=True)
    try:
        done = subprocess.run([SKIFF, "up", "--root", f"{tmp_path}/cluster"], capture_output=True, text=True)
        assert done.returncode == 1 and "MiB left" in done.stderr and done.stderr.strip().count("\n") == 0, done.stderr
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_an_exec_without_identity_is_refused(cluster):
    port = json.loads(pathlib.Path(cluster.root, "cluster.json").read_text())["agentPort"]
    for path in ("/exec/default/web/main?command=id&output=1", "/containerLogs/default/web/main", "/pods", "/run/default/web/main?cmd=id"):
        answer = subprocess.run(["curl", "-skS", "-m", "10", "-X", "POST", f"https://127.0.0.1:{port}{path}", "-o", "/dev/null", "-w", "%{http_code}"],
                                capture_output=True, text=True).stdout
        assert answer in ("401", "403"), f"{path}: {answer}"


def test_a_bootstrap_token_asks_for_one_certificate_only():
    """The node has its certificate, so the token that got it may not ask again. A cluster of its own: tokens live for ten minutes."""
    cluster = Cluster()
    try:
        cluster.up()
        token = pathlib.Path(cluster.root, "server/bootstrap-token").read_text().split()
        assert token[2] == "used"
        server = json.loads(cluster.kubectl("config view --raw -o json").ok().out)["clusters"][0]["cluster"]["server"]
        url = f"{server}/apis/certificates.k8s.io/v1/certificatesigningrequests"

        def code(*arguments):
            return subprocess.run(["curl", "-skS", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"authorization: Bearer {token[0]}",
                                   *arguments, url], capture_output=True, text=True).stdout
        assert code() == "200"
        assert code("-X", "POST", "-H", "content-type: application/json", "--data", "{}") == "403"
    finally:
        cluster.reset()
