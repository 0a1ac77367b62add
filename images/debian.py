"""Layers of Debian packages with all that they need. Nothing is installed on this machine: apt works out the closure against
an empty system, the archives are unpacked into the layer. No maintainer script runs; what one would have done that matters
(merged /usr, users) is done here or in the recipe."""
import io
import pathlib
import re
import subprocess
import tarfile

from oci import Layer

cache = pathlib.Path(__file__).resolve().parent.parent / "build" / "image-cache"
merged = ("bin", "sbin", "lib", "lib64")
left_out = re.compile(r"usr/share/(doc/(?!.*/copyright$).+|(man|info|locale|lintian|bug|bash-completion|menu|pixmaps|doc-base)(/|$))")

passwd = b"root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
group = b"root:x:0:\nnogroup:x:65534:\n"

# What every image of this kind stands on: a shell, its usual tools, and libraries that most programs need.
BASE = ("base-files", "bash", "coreutils", "dash", "findutils", "gzip", "grep", "hostname", "libssl3", "libstdc++6",
        "netbase", "sed", "tzdata", "zlib1g")


def _apt(*words, lists=None):
    (cache / "debs" / "partial").mkdir(parents=True, exist_ok=True)
    (cache / "status").touch()
    settings = {"Dir::State::status": cache / "status", "Dir::Cache::archives": cache / "debs", "Dir::Cache::pkgcache": "",
                "Dir::Cache::srcpkgcache": "", "Debug::NoLocking": "1", "APT::Install-Recommends": "0", "APT::Sandbox::User": ""}
    if lists:
        settings["Dir::State::lists"] = lists
    command = ["apt-get", "-qq", "-y", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}")), *words]
    return subprocess.run(command, capture_output=True, text=True)


def _archives(packages):
    """The files of these packages and all that they depend on, by name; fetched where they are not there yet."""
    lists = None
    for attempt in range(2):
        fetched = _apt("--download-only", "install", *packages, lists=lists)
        if fetched.returncode == 0:
            break
        if attempt == 1:
            raise SystemExit(f"images: Debian's packages could not be had: {' '.join(packages)}\n{fetched.stderr}")
        lists = cache / "lists"   # this machine's are empty, or older than the mirror: our own
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        _apt("update", lists=lists)
    planned = _apt("-s", "install", *packages, lists=lists)
    found = {}
    for name, version in re.findall(r"^Inst (\S+) \((\S+)", planned.stdout, re.M):
        files = list((cache / "debs").glob(f"{name}_{version.replace(':', '%3a')}_*.deb"))
        if not files:
            raise SystemExit(f"images: apt did not fetch {name} {version}")
        found[name] = files[0]
    return found


def _place(path):
    path = re.sub(r"^\./", "", path).strip("/")
    top = path.split("/")[0]
    return f"usr/{path}" if top in merged else path


def _unpack(archive, layer):
    packed = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(archive)], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        for entry in tar:
            path = _place(entry.name)
            if path in ("", ".", "usr") or path in {f"usr/{top}" for top in merged} or left_out.match(path):
                continue
            if entry.isdir():
                if not layer.has(path):
                    layer.folder(path, entry.mode & 0o7777, entry.uid, entry.gid)
            elif entry.issym():
                layer.link(path, entry.linkname)
            elif entry.islnk():
                layer.hard_link(path, _place(entry.linkname))
            else:
                layer.file(path, tar.extractfile(entry).read(), entry.mode & 0o7777, entry.uid, entry.gid)


_base = []   # made once a run: its layer, and the names of its packages


def base():
    if not _base:
        layer = Layer()
        for top in merged:
            layer.link(top, f"usr/{top}")
        for folder in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64"):
            layer.folder(folder)
        archives = _archives(BASE)
        for name in sorted(archives):
            _unpack(archives[name], layer)
        layer.link("usr/bin/sh", "dash")
        layer.link("usr/bin/awk", "mawk")
        layer.link("etc/localtime", "/usr/share/zoneinfo/Etc/UTC")
        layer.folder("tmp", 0o1777)
        layer.folder("run")
        layer.folder("root", 0o700)
        layer.link("var/run", "/run")
        layer.file("etc/passwd", passwd)
        layer.file("etc/group", group)
        _base.extend((layer, set(archives)))
    return _base[0]


def packages(*names):
    """Layers: the base, and one of these packages with what the base lacks."""
    below = base()
    layer = Layer()
    archives = _archives([*BASE, *names])
    for name in sorted(set(archives) - _base[1]):
        _unpack(archives[name], layer)
    return [below, layer]


def add_user(image, name, uid, home):
    """A user and a group of that name, beside those of the base."""
    image.file("etc/passwd", passwd + f"{name}:x:{uid}:{uid}:{name}:{home}:/bin/sh\n".encode())
    image.file("etc/group", group + f"{name}:x:{uid}:\n".encode())
