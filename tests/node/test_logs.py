"""Log files: where they are, how they turn, and all that `kubectl logs` can ask."""
import datetime
import os
import re
import subprocess
import threading

import pytest

LIMIT_BYTES = 10 << 20   # the agent's own; a file may have grown past it before it is turned
LINE = "x" * 1000


@pytest.fixture(scope="module", autouse=True)
def pods(space):
    c = space.container
    flood = f"i=0; while [ $i -lt 25000 ]; do echo \"$i {LINE}\"; i=$((i+1)); done; echo END; sleep 600"
    again = "echo run; if [ -e /x/seen ]; then sleep 600; fi; touch /x/seen; exit 1"
    space.create(
        space.pod("talk", c("main", "i=0; while [ $i -lt 20 ]; do echo out $i; i=$((i+1)); done; echo err >&2; sleep 600"),
                  c("other", "echo other; sleep 600"), initContainers=[c("init", "echo init")]),
        space.pod("flood", c("main", flood)),
        space.pod("again", c("main", again, volumeMounts=[{"name": "x", "mountPath": "/x"}]), volumes=[{"name": "x", "emptyDir": {}}]),
        space.pod("long", c("main", "head -c 40000 /dev/zero | tr '\\0' y; echo; echo after; sleep 600")))


def test_files_are_where_the_field_looks_for_them(space):
    pod = space.until_ready("talk")
    uid, ident = pod["metadata"]["uid"], space.status_of("talk", "main")["containerID"].split("://")[1]
    path = f"/var/log/pods/{space.name}_talk_{uid}/main/0.log"
    link = f"/var/log/containers/talk_{space.name}_main-{ident}.log"
    assert os.path.realpath(link) == path
    with open(path) as stream:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d) std(out F out 0|err F err)\n", stream.readline())
    space.eventually("all written", lambda: " stdout F out 19\n" in open(path).read() and " stderr F err\n" in open(path).read())


def test_tail_since_timestamps_and_bytes(space):
    space.until_ready("talk")
    space.eventually("all written", lambda: len(space.log("talk", "main").splitlines()) == 21)
    assert [line for line in space.log("talk", "main").splitlines() if line.startswith("out")] == [f"out {i}" for i in range(20)]
    assert len(space.log("talk", "main", "--tail=3").splitlines()) == 3
    assert space.log("talk", "main", "--tail=0") == ""
    # The two streams are two pipes: only within one of them is the order given.
    assert space.log("talk", "main", "--limit-bytes=9") == space.log("talk", "main")[:9]
    stamped = [line.split(" ", 1) for line in space.log("talk", "main", "--timestamps").splitlines()]
    stamp = next(stamp for stamp, text in stamped if text == "out 0")
    then = datetime.datetime.fromisoformat(re.sub(r"\.\d+", "", stamp).replace("Z", "+00:00"))
    assert "out 0" in space.log("talk", "main", "--since=1h")
    later = (then + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert space.log("talk", "main", f"--since-time={later}") == ""
    assert "out 0" in space.log("talk", "main", f"--since-time={(then - datetime.timedelta(seconds=1)).strftime('%Y-%m-%dT%H:%M:%SZ')}")


def test_all_containers_and_the_wrong_ones(space):
    space.until_ready("talk")
    space.eventually("all written", lambda: "other" in space.log("talk", "other"))
    shown = space.log("talk", None, "--all-containers", "--prefix")
    assert "[pod/talk/other] other" in shown and "[pod/talk/init] init" in shown and "[pod/talk/main] out 0" in shown
    assert "container nothing is not valid for pod talk" in space.kubectl("logs talk -c nothing").fails().err
    assert 'previous terminated container "main" in pod "talk" not found' in space.kubectl("logs -p talk -c main").fails().err


def test_previous(space):
    space.eventually("restarted", lambda: space.status_of("again", "main").get("restartCount") == 1)
    assert space.log("again", "main", "--previous") == "run\n"


def test_long_lines_are_put_together(space):
    space.until_ready("long")
    lines = space.eventually("written", lambda: (lambda text: text.splitlines() if "after" in text else None)(space.log("long")))
    assert [len(line) for line in lines] == [40000, 5]


def test_following_goes_on_across_rotations_and_old_files_go(space):
    space.until_phase("flood", "Running")
    follower = subprocess.Popen(space.cluster.command(f"logs -f flood -n {space.name}"), stdout=subprocess.PIPE, text=True,
                                env=space.cluster.environment())
    watchdog = threading.Timer(60, follower.kill)
    watchdog.start()
    try:
        numbers = []
        for line in follower.stdout:
            if line == "END\n":
                break
            number, text = line.rstrip("\n").split(" ", 1)
            assert text == LINE
            numbers.append(int(number))
        else:
            raise AssertionError(f"the stream ended after {len(numbers)} lines")
    finally:
        watchdog.cancel()
        follower.kill()
        follower.wait()
    # Whoever follows from the start gets every line once, in order.
    assert numbers == list(range(numbers[0], 25000)) and numbers[0] == 0
    uid = space.shown("flood")["metadata"]["uid"]
    folder = f"/var/log/pods/{space.name}_flood_{uid}/main"
    files = space.eventually("turned", lambda: (lambda found: found if len(found) > 1 else None)(sorted(os.listdir(folder))))
    assert "0.log" in files and all(re.fullmatch(r"0\.log(\.\d{8}-\d{6}(\.\d+)?(\.gz)?)?", name) for name in files), files
    assert len(files) <= 5 and os.path.getsize(f"{folder}/0.log") < 2 * LIMIT_BYTES


def test_logs_go_with_their_pod(space):
    space.until_ready("long")
    uid = space.shown("long")["metadata"]["uid"]
    ident = space.status_of("long", "main")["containerID"].split("://")[1]
    space.kubectl("delete pod long --grace-period=1").ok()
    space.eventually("gone", lambda: not os.path.exists(f"/var/log/pods/{space.name}_long_{uid}")
                     and not os.path.lexists(f"/var/log/containers/long_{space.name}_main-{ident}.log"))
