// The volumes of pods that have a node: asked for there, and waited for, before the pod is bound.
// All of it belongs to the scheduler's strand.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/executor.h"
#include "base/random.h"
#include "base/result.h"
#include "client/informer.h"
#include "client/transport.h"
#include "scheduler/decide.h"
#include "scheduler/volumes.h"

namespace skiff::scheduler {

class VolumeBinder {
  public:
    // Runs a task on the scheduler's strand, unless the scheduler is gone.
    using Post = std::function<void(std::function<void()>)>;
    // No error: all are bound. Called once, on the strand, unless the pod is forgotten before.
    using Done = std::function<void(Result<>)>;

    VolumeBinder(Executor& executor, Random& random, client::Transport& transport);

    // Whether a change may help a pod that waits.
    using Concerns = std::function<bool(const view::Pod& pod)>;

    // `changed`: a volume, claim or class did, on the strand; `synced`: all are known, anywhere.
    void start(Post post, std::function<void(const Concerns&)> changed,
               std::function<void()> synced);
    void stop();

    // Of one decision: what the pod needs, as things stand.
    struct Look {
        std::vector<VolumePtr> volumes;
        std::vector<ClassPtr> classes;
        VolumeFacts facts;
        VolumeNeeds needs;
        Look(VolumeBinder& binder, const view::Pod& pod,
             std::function<bool(const view::PersistentVolumeClaim&)> in_use);
        Look(const Look&) = delete;
    };

    // Sets volumes aside, or asks the provisioner, for the claims that wait; then waits for all.
    void prepare(const PodPtr& pod, const std::string& node, std::vector<VolumeChoice> choices,
                 Done done);
    void forget(const std::string& pod_uid);

  private:
    struct Preparing {
        PodPtr pod;
        std::string node;
        std::vector<VolumeChoice> choices;
        std::map<std::string, bool, std::less<>> asked;   // claim uid: it shows the node
        Done done;
        TimerId timer = TimerId::None;
    };

    using Changed = std::function<void(const Concerns&)>;

    void claim_changed(const view::PersistentVolumeClaim& claim, const Changed& changed);
    bool has_claim_that(const view::Pod& pod,
                        const std::function<bool(const view::PersistentVolumeClaim&)>& is) const;
    void ask(const std::string& pod_uid, const VolumeChoice& choice, const std::string& node);
    void look_at(const std::string& pod_uid);
    void end(const std::string& pod_uid, Result<> result);

    Executor& executor_;
    client::Transport& transport_;
    client::Informer<view::PersistentVolumeClaim> claims_;
    client::Informer<view::PersistentVolume> volumes_;
    client::Informer<view::StorageClass> classes_;
    Post post_;
    std::map<std::string, Preparing> preparing_;   // by pod uid
};

}   // namespace skiff::scheduler
