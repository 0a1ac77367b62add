"""DNS: answers a second and how long one takes, of a running cluster's server. ./x bench dns [--seconds N] [--root DIR]"""
import argparse
import json
import pathlib
import selectors
import socket
import struct
import time


def query(name, number):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", number, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def measure(server, names, seconds, at_once, malformed):
    """`at_once` questions are always under way, each from a socket of its own; one in ten is preceded by bytes that are no question."""
    waiting = selectors.DefaultSelector()
    times, number, lost = [], 0, 0

    def ask(asker):
        nonlocal number
        number += 1
        if malformed and number % 10 == 0:
            asker.send(b"\xff" * (number % 40))
        asked[asker] = time.monotonic()   # before: the answer may be there when send returns
        asker.send(query(names[number % len(names)], number % 65536))
    asked = {}
    for _ in range(at_once):
        asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asker.connect((server, 53))
        waiting.register(asker, selectors.EVENT_READ)
        ask(asker)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ready = waiting.select(0.5)
        if not ready:
            lost += at_once
            for asker in asked:
                ask(asker)
        for key, _ in ready:
            answer = key.fileobj.recv(4096)
            if answer[3] & 15 == 1:   # to what was malformed
                continue
            times.append(time.monotonic() - asked[key.fileobj])
            ask(key.fileobj)
    times.sort()
    return {"answers a second": round(len(times) / seconds), "p50 ms": round(times[len(times) // 2] * 1000, 3),
            "p99 ms": round(times[len(times) * 99 // 100] * 1000, 3), "unanswered": lost}


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--root", default="/var/lib/skiff")
    options.add_argument("--seconds", type=float, default=3)
    options = options.parse_args()
    facts = json.loads(pathlib.Path(options.root, "cluster.json").read_text())
    server = facts["serviceCidr"].rsplit(".", 1)[0] + ".10"
    names = ["kubernetes.default.svc.cluster.local", "kube-dns.kube-system.svc.cluster.local", "none.default.svc.cluster.local"]
    for at_once in (1, 16):
        for malformed in (False, True):
            print(f"{at_once} at once{', malformed ones among them' if malformed else ''}:",
                  json.dumps(measure(server, names, options.seconds, at_once, malformed)))


if __name__ == "__main__":
    main()
