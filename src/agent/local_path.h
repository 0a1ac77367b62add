// The cluster's own provisioner: a claim whose pod comes to this node gets a folder of it as its
// volume; the folder goes when the volume is released and its policy is Delete.
#pragma once

#include <memory>
#include <string>

#include "agent/storage.h"
#include "base/executor.h"
#include "base/random.h"
#include "base/result.h"
#include "client/transport.h"

namespace skiff::agent {

inline constexpr std::string_view local_path_provisioner = "skiff.local/local-path";
inline constexpr std::string_view local_path_class = "local-path";

struct LocalPathOptions {
    std::string node_name;
    std::string folder;   // in which the volumes' folders are
    // Makes the class `local-path`, once in the life of this note's file.
    std::string note;
    bool class_is_default = true;
};

// What this node owes a claim. Pure.
struct Provision {
    std::string volume;    // the PersistentVolume to create, JSON; "" for none
    std::string problem;   // why it cannot be made, for an event; or ""
};
Provision provision(const view::PersistentVolumeClaim& claim,
                    const view::StorageClass& storage_class, const LocalPathOptions& options);

// The folder to remove with a released volume; "" when it is not ours to remove. Pure.
std::string folder_to_remove(const view::PersistentVolume& volume, const LocalPathOptions& options);

class LocalPathProvisioner {
  public:
    // What it is given outlives it.
    LocalPathProvisioner(LocalPathOptions options, Executor& executor, Random& random,
                         client::Transport& transport);
    ~LocalPathProvisioner();
    void start();

  private:
    class Core;
    std::unique_ptr<Core> core_;
};

}   // namespace skiff::agent
