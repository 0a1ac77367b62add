"""busybox, from Debian's busybox-static: a shell and some three hundred small tools."""
import subprocess

from oci import Image

PROGRAM = "/bin/busybox"


def build():
    image = Image(["docker.io/library/busybox:latest", "docker.io/library/busybox:1.35"])
    image.config = {"Cmd": ["sh"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
    image.copy(PROGRAM, "bin/busybox", 0o755)
    applets = subprocess.run([PROGRAM, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in applets:
        if applet != "busybox":
            image.link(f"bin/{applet}", "busybox")
    image.folder("tmp", 0o1777)
    image.folder("root", 0o700)
    for folder in ("dev", "proc", "sys", "var/log", "home", "usr/bin", "usr/sbin"):
        image.folder(folder)
    image.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n")
    image.file("etc/group", b"root:x:0:\nnogroup:x:65534:\n")
    return image
