"""Secrets on the disk, as who runs a cluster finds them."""
import glob


def test_the_disk_has_no_secret_in_the_clear_and_keys_rotate(cluster, namespace):
    word = f"word-of-{namespace}"
    cluster.kubectl(f"create secret generic hidden --from-literal=key={word} -n {namespace}").ok()
    encoded = cluster.kubectl(["get", "secret", "hidden", "-n", namespace, "-o", "jsonpath={.data.key}"]).ok().out

    def on_disk():
        files = glob.glob(f"{cluster.root}/server/store.db*") + glob.glob(f"{cluster.root}/log/*")
        return b"".join(open(path, "rb").read() for path in files)
    held = on_disk()
    assert word.encode() not in held and encoded.encode() not in held
    assert b"k8s:enc:aesgcm:v1:secrets-1:" in held
    assert "secrets-1" in cluster.skiff("encryption", "status").ok().out
    assert "new key secrets-2" in cluster.skiff("encryption", "rotate").ok().out
    assert b"k8s:enc:aesgcm:v1:secrets-2:" in on_disk()
    assert cluster.kubectl(["get", "secret", "hidden", "-n", namespace, "-o", "jsonpath={.data.key}"]).ok().out == encoded
