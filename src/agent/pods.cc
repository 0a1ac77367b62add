#include "agent/pods.h"

#include "agent/log_files.h"
#include "base/log.h"
#include "base/text.h"

namespace skiff::agent {

namespace {

std::string label_of(const cri::StringMap& labels, const char* key) {
    const auto found = labels.find(key);
    return found == labels.end() ? std::string{} : found->second;
}

// A pod that only the runtime knows: enough of it to end it.
SharedPod orphan_of(const cri::StringMap& labels) {
    auto pod = std::make_shared<Pod>();
    pod->metadata.name = label_of(labels, label_pod_name);
    pod->metadata.namespace_ = label_of(labels, label_pod_namespace);
    pod->metadata.uid = label_of(labels, label_pod_uid);
    return pod;
}

struct Found {
    PodRecord record;
    cri::StringMap labels;
};

}   // namespace

Pods::Pods(PodParts parts, Checks& checks, std::function<void(const std::string&)> ended)
    : parts_{std::move(parts)}, checks_{checks}, ended_{std::move(ended)} {}

Pods::~Pods() = default;

WorkerParts Pods::worker_parts() {
    return {.pod = parts_,
            .checks = checks_,
            .finished =
                [this](const std::string& uid) {
                    std::shared_ptr<PodWorker> last;   // dies outside the lock
                    const std::lock_guard lock{mutex_};
                    if (const auto found = workers_.find(uid); found != workers_.end()) {
                        last = std::move(found->second);
                        workers_.erase(found);
                    }
                    std::erase_if(owners_, [&](const auto& entry) { return entry.second == uid; });
                },
            .ended = ended_,
            .owns =
                [this](const std::string& id, const std::string& uid) {
                    const std::lock_guard lock{mutex_};
                    owners_[id] = uid;
                }};
}

void Pods::add(const SharedPod& pod, PodRecord record, bool gone) {
    auto worker = std::make_shared<PodWorker>(worker_parts(), pod, std::move(record), gone);
    const std::lock_guard lock{mutex_};
    workers_[pod->metadata.uid] = std::move(worker);
}

Result<> Pods::adopt(const std::vector<SharedPod>& pods) {
    const cri::StringMap ours{{label_cluster, parts_.node.cluster_id}};
    std::map<std::string, Found> found;
    TRY(const auto sandboxes, parts_.cri.list_pod_sandboxes({.label_selector = ours}));
    for (const auto& sandbox : sandboxes) {
        const auto answer = parts_.cri.pod_sandbox_status(sandbox.id);
        if (!answer) continue;   // gone meanwhile
        auto& pod = found[label_of(sandbox.labels, label_pod_uid)];
        pod.labels = sandbox.labels;
        pod.record.put(record_of(answer->status));
    }
    TRY(const auto containers, parts_.cri.list_containers({.label_selector = ours}));
    std::map<std::string, SharedPod> known;
    for (const auto& pod : pods) known[pod->metadata.uid] = pod;
    for (const auto& container : containers) {
        auto& pod = found[label_of(container.labels, label_pod_uid)];
        if (pod.labels.empty()) pod.labels = container.labels;
        const auto api = known.find(label_of(container.labels, label_pod_uid));
        const SharedPod owner = api == known.end() ? orphan_of(container.labels) : api->second;
        auto record = read_container(parts_, *owner, container.id, container.pod_sandbox_id);
        if (record) pod.record.put(*std::move(record));
    }
    for (const auto& pod : pods) {
        const auto seen = found.find(pod->metadata.uid);
        add(pod, seen == found.end() ? PodRecord{} : std::move(seen->second.record), false);
    }
    for (const auto& uid : uids_with_files(parts_.root)) {   // of pods that left nothing but files
        if (known.contains(uid) || found.contains(uid)) continue;
        add(orphan_of({{label_pod_uid, uid}}), {}, true);
    }
    for (auto& [uid, orphan] : found) {
        if (known.contains(uid)) continue;
        log_info("ending a pod that the API does not have",
                 {{"pod", label_of(orphan.labels, label_pod_name)}});
        add(orphan_of(orphan.labels), std::move(orphan.record), true);
    }
    return {};
}

void Pods::changed(const SharedPod& old, const SharedPod& now) {
    const auto worker_of = [this](const SharedPod& pod) -> std::shared_ptr<PodWorker> {
        const std::lock_guard lock{mutex_};
        const auto found = workers_.find(pod->metadata.uid);
        return found == workers_.end() ? nullptr : found->second;
    };
    // A pod that was deleted and made again between two looks is two pods.
    if (old && (!now || now->metadata.uid != old->metadata.uid)) {
        if (const auto worker = worker_of(old)) worker->deleted(old);
    }
    if (!now) return;
    if (const auto worker = worker_of(now)) return worker->update(now);
    add(now, {}, false);
}

void Pods::event(const ContainerEvent& event) {
    std::shared_ptr<PodWorker> worker;
    {
        const std::lock_guard lock{mutex_};
        const auto owner = owners_.find(event.id);
        if (owner == owners_.end()) return;
        const auto found = workers_.find(owner->second);
        if (found != workers_.end()) worker = found->second;
    }
    if (worker) worker->event(event);
}

void Pods::resync() {
    for (const auto& worker : all()) worker->resync();
}

std::shared_ptr<PodWorker> Pods::find(const std::string& name_space,
                                      const std::string& name) const {
    for (const auto& worker : all()) {
        const auto pod = worker->pod();
        if (pod->metadata.namespace_ == name_space && pod->metadata.name == name && !worker->gone())
            return worker;
    }
    return nullptr;
}

std::vector<std::shared_ptr<PodWorker>> Pods::all() const {
    const std::lock_guard lock{mutex_};
    std::vector<std::shared_ptr<PodWorker>> out;
    for (const auto& [uid, worker] : workers_) out.push_back(worker);
    return out;
}

}   // namespace skiff::agent
