"""Makes OCI images (image-spec 1.0) as tar files that `skiff image import` reads. Same input, same bytes."""
import gzip
import hashlib
import io
import json
import os
import platform
import tarfile


def _digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Image:
    """One layer, built up in memory: what a recipe fills."""

    def __init__(self, names):
        self.names = names   # full names: docker.io/library/busybox:latest
        self.config = {}     # Entrypoint, Cmd, Env, WorkingDir, User, ExposedPorts
        self._entries = {}

    def folder(self, path, mode=0o755, uid=0, gid=0):
        self._put(path, tarfile.DIRTYPE, mode, uid=uid, gid=gid)

    def file(self, path, content, mode=0o644, uid=0, gid=0):
        self._put(path, tarfile.REGTYPE, mode, content=content, uid=uid, gid=gid)

    def link(self, path, target):
        self._put(path, tarfile.SYMTYPE, 0o777, target=target)

    def copy(self, source, path, mode=None):
        with open(source, "rb") as stream:
            self.file(path, stream.read(), mode or (os.stat(source).st_mode & 0o777))

    def _put(self, path, kind, mode, content=b"", target="", uid=0, gid=0):
        path = path.strip("/")
        parent = os.path.dirname(path)
        if parent and parent not in self._entries:
            self.folder(parent)
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(content), target
        entry.uid, entry.gid, entry.mtime = uid, gid, 0
        self._entries[path] = (entry, content)

    def _layer(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path in sorted(self._entries):
                entry, content = self._entries[path]
                tar.addfile(entry, io.BytesIO(content))
        return out.getvalue()

    def write(self, path):
        layer = self._layer()
        packed = gzip.compress(layer, 6, mtime=0)
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        config = json.dumps({"architecture": machine, "os": "linux", "config": self.config,
                             "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]}}, sort_keys=True).encode()
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": _digest(config), "size": len(config)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": _digest(packed), "size": len(packed)}],
        }, sort_keys=True).encode()
        index = json.dumps({"schemaVersion": 2, "manifests": [
            {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": _digest(manifest), "size": len(manifest),
             "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]}}
            for name in self.names]}, sort_keys=True).encode()
        files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index}
        for blob in (config, packed, manifest):
            files["blobs/sha256/" + _digest(blob)[7:]] = blob
        temporary = path + ".new"
        with tarfile.open(temporary, "w") as tar:
            for name in sorted(files):
                entry = tarfile.TarInfo(name)
                entry.size = len(files[name])
                tar.addfile(entry, io.BytesIO(files[name]))
        os.replace(temporary, path)
