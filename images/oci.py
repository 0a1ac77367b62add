"""Makes OCI images (image-spec 1.0) as tar files that `skiff image import` reads. Same input, same bytes."""
import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile


def _digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Layer:
    """Files, built up in memory. A layer that several images share is packed once."""

    def __init__(self):
        self._entries = {}
        self._packed = None

    def folder(self, path, mode=0o755, uid=0, gid=0):
        self._put(path, tarfile.DIRTYPE, mode, uid=uid, gid=gid)

    def file(self, path, content, mode=0o644, uid=0, gid=0):
        self._put(path, tarfile.REGTYPE, mode, content=content, uid=uid, gid=gid)

    def link(self, path, target):
        self._put(path, tarfile.SYMTYPE, 0o777, target=target)

    def hard_link(self, path, target):
        self._put(path, tarfile.LNKTYPE, 0o644, target=target)

    def copy(self, source, path, mode=None):
        with open(source, "rb") as stream:
            self.file(path, stream.read(), mode or (os.stat(source).st_mode & 0o777))

    def tree(self, source, path):
        """A folder of this machine with all below it, as root's."""
        for here, folders, names in os.walk(source):
            folders.sort()
            inside = os.path.normpath(os.path.join(path, os.path.relpath(here, source)))
            self.folder(inside)
            for name in sorted(names + [each for each in folders if os.path.islink(os.path.join(here, each))]):
                full = os.path.join(here, name)
                if os.path.islink(full):
                    self.link(f"{inside}/{name}", os.readlink(full))
                else:
                    self.copy(full, f"{inside}/{name}", 0o755 if os.stat(full).st_mode & 0o100 else 0o644)

    def has(self, path):
        return path.strip("/") in self._entries

    def _put(self, path, kind, mode, content=b"", target="", uid=0, gid=0):
        path = path.strip("/")
        parent = os.path.dirname(path)
        if parent and parent not in self._entries:
            self.folder(parent)
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(content), target
        entry.uid, entry.gid, entry.mtime = uid, gid, 0
        self._entries[path] = (entry, content)
        self._packed = None

    def packed(self):
        """The digest of the tar, and the tar compressed (zstd: both ways several times as quick as gzip)."""
        if self._packed is None:
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
                # Hard links after what they name.
                for path in sorted(self._entries, key=lambda path: (self._entries[path][0].type == tarfile.LNKTYPE, path)):
                    entry, content = self._entries[path]
                    tar.addfile(entry, io.BytesIO(content))
            done = subprocess.run(["zstd", "-q", "-c", "-3"], input=out.getvalue(), capture_output=True, check=True)
            self._packed = (_digest(out.getvalue()), done.stdout)
        return self._packed


class Image:
    """Layers and how to start what is in them: what a recipe fills. Files that it is given itself make the last layer."""

    def __init__(self, names, layers=()):
        self.names = names   # full names: docker.io/library/busybox:latest
        self.config = {}     # Entrypoint, Cmd, Env, WorkingDir, User, ExposedPorts, Volumes, StopSignal
        self.layers = [*layers, Layer()]

    def __getattr__(self, name):
        if name in ("folder", "file", "link", "hard_link", "copy", "tree"):
            return getattr(self.layers[-1], name)
        raise AttributeError(name)

    def _blobs(self):
        """The manifest, then all that it needs."""
        layers = [layer.packed() for layer in self.layers]
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        config = json.dumps({"architecture": machine, "os": "linux", "config": self.config,
                             "rootfs": {"type": "layers", "diff_ids": [digest for digest, _ in layers]}}, sort_keys=True).encode()
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": _digest(config), "size": len(config)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", "digest": _digest(packed), "size": len(packed)}
                       for _, packed in layers],
        }, sort_keys=True).encode()
        return [manifest, config, *(packed for _, packed in layers)]


def write_images(path, images):
    """One tar with them all; layers that they share are in it once."""
    files, manifests = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}, []
    for image in images:
        blobs = image._blobs()
        manifests += [
            {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": _digest(blobs[0]), "size": len(blobs[0]),
             "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]}}
            for name in image.names]
        files.update({"blobs/sha256/" + _digest(blob)[7:]: blob for blob in blobs})
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": manifests}, sort_keys=True).encode()
    temporary = path + ".new"
    with tarfile.open(temporary, "w") as tar:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            tar.addfile(entry, io.BytesIO(files[name]))
    os.replace(temporary, path)
