// How Secrets lie on the disk: sealed with AES-256-GCM under keys of the cluster's own, in
// Kubernetes' form (k8s:enc:aesgcm:v1:NAME:…) and with Kubernetes' configuration file, so that
// upstream's API server could read them. It guards copies and snapshots of the database, not a disk
// that was stolen whole: the keys lie beside it.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "cmd/cluster.h"
#include "store/sealed_engine.h"

namespace skiff::cmd {

struct EncryptionKey {
    std::string name;
    std::string secret;   // 32 bytes
};
// The first seals, all open. Made when there are none.
Result<std::vector<EncryptionKey>> ensure_encryption_keys(const Cluster& cluster, Random& random);
store::Cipher secrets_cipher(std::vector<EncryptionKey> keys, Random& random);
// Writes the Secrets whose keys are listed anew; waits for it. One that changes meanwhile is sealed
// by that.
Result<> reseal(Executor& executor, store::Store& store,
                const std::set<std::string, std::less<>>& stale);
std::string encryption_path(const Cluster& cluster);

int run_encryption(const std::vector<std::string>& arguments);

}   // namespace skiff::cmd
