#include "agent/local_path.h"

#include <algorithm>

#include "api/volume_match.h"
#include "base/log.h"
#include "base/os.h"
#include "base/text.h"
#include "client/event_recorder.h"
#include "client/informer.h"
#include "client/work_queue.h"
#include "codec/json.h"

namespace skiff::agent {
namespace {

using api::bind_completed;
using api::provisioned_by;
using api::selected_node;
using client::ObjectKey;
using client::Requeue;
using codec::Json;

constexpr std::string_view hostname_label = "kubernetes.io/hostname";
constexpr Duration class_retry = std::chrono::seconds{1};

std::string volume_name(const view::PersistentVolumeClaim& claim) {
    return concat("pvc-", claim.metadata.uid);
}

bool is_ours(const view::PersistentVolume& volume) {
    const auto* by = volume.metadata.annotations.find(provisioned_by);
    return by && std::string_view{*by} == local_path_provisioner;
}

bool on_node(const view::PersistentVolume& volume, std::string_view node) {
    if (!volume.spec.nodeAffinity || !volume.spec.nodeAffinity->required) return false;
    const auto& terms = volume.spec.nodeAffinity->required->nodeSelectorTerms;
    return std::ranges::any_of(terms, [&](const auto& term) {
        return std::ranges::any_of(term.matchExpressions, [&](const auto& one) {
            return std::string_view{one.key} == hostname_label && one.values.size() == 1 &&
                   std::string_view{one.values[0]} == node;
        });
    });
}

std::string volume_text(const view::PersistentVolumeClaim& claim,
                        const view::StorageClass& storage_class, const LocalPathOptions& options) {
    codec::Arena arena;
    const auto set = [&](Json& object, std::string_view key, std::string_view value) {
        object.set(arena, key, Json::string(arena, value));
    };
    const auto name = volume_name(claim);
    Json volume = Json::object();
    set(volume, "apiVersion", "v1");
    set(volume, "kind", "PersistentVolume");
    Json& metadata = volume.make_object(arena, "metadata");
    set(metadata, "name", name);
    set(metadata.make_object(arena, "annotations"), provisioned_by, local_path_provisioner);
    Json& spec = volume.make_object(arena, "spec");
    if (const auto* amount = claim.spec.resources.requests.find("storage"))
        set(spec.make_object(arena, "capacity"), "storage", amount->canonical());
    Json& modes = spec.make_array(arena, "accessModes");
    for (const auto& mode : claim.spec.accessModes)
        modes.push(arena, Json::string(arena, std::string_view{mode}));
    set(spec, "persistentVolumeReclaimPolicy",
        std::string_view{storage_class.reclaimPolicy.value_or("Delete")});
    set(spec, "storageClassName", storage_class.metadata.name);
    set(spec, "volumeMode", "Filesystem");
    Json& reference = spec.make_object(arena, "claimRef");
    set(reference, "kind", "PersistentVolumeClaim");
    set(reference, "apiVersion", "v1");
    set(reference, "namespace", claim.metadata.namespace_.view());
    set(reference, "name", claim.metadata.name);
    set(reference, "uid", claim.metadata.uid);
    set(reference, "resourceVersion", claim.metadata.resourceVersion);
    Json& path = spec.make_object(arena, "hostPath");
    set(path, "path", concat(options.folder, "/", name));
    set(path, "type", "DirectoryOrCreate");
    Json& required = spec.make_object(arena, "nodeAffinity").make_object(arena, "required");
    Json expression = Json::object();
    set(expression, "key", hostname_label);
    set(expression, "operator", "In");
    expression.make_array(arena, "values").push(arena, Json::string(arena, options.node_name));
    Json term = Json::object();
    term.make_array(arena, "matchExpressions").push(arena, expression);
    required.make_array(arena, "nodeSelectorTerms").push(arena, term);
    return codec::to_json(volume);
}

std::string class_text(bool is_default) {
    return concat(R"({"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":")",
                  local_path_class, '"',
                  is_default
                      ? R"(,"annotations":{"storageclass.kubernetes.io/is-default-class":"true"})"
                      : "",
                  R"(},"provisioner":")", local_path_provisioner,
                  R"(","reclaimPolicy":"Delete","volumeBindingMode":"WaitForFirstConsumer"})");
}

}   // namespace

Provision provision(const view::PersistentVolumeClaim& claim,
                    const view::StorageClass& storage_class, const LocalPathOptions& options) {
    if (storage_class.provisioner != local_path_provisioner || !claim.spec.volumeName.empty() ||
        claim.metadata.deletionTimestamp || claim.metadata.annotations.contains(bind_completed))
        return {};
    const auto* node = claim.metadata.annotations.find(selected_node);
    const bool waits = storage_class.volumeBindingMode == "WaitForFirstConsumer";
    if (node ? std::string_view{*node} != options.node_name : waits) return {};
    if (claim.spec.selector)
        return {{}, "claim.spec.selector is not supported: a new folder has no labels"};
    if (claim.spec.volumeMode == "Block")
        return {{}, "volumeMode Block is not supported: a folder is a file system"};
    return {volume_text(claim, storage_class, options), {}};
}

std::string folder_to_remove(const view::PersistentVolume& volume,
                             const LocalPathOptions& options) {
    if (!is_ours(volume) || volume.status.phase != "Released" ||
        volume.spec.persistentVolumeReclaimPolicy != "Delete" || !volume.spec.hostPath ||
        !on_node(volume, options.node_name))
        return {};
    // Only what was made here, whatever the object says of paths.
    auto path = concat(options.folder, "/", volume.metadata.name);
    return std::string_view{volume.spec.hostPath->path} == path ? path : std::string{};
}

class LocalPathProvisioner::Core {
  public:
    Core(LocalPathOptions options, Executor& executor, Random& random, client::Transport& transport)
        : options_{std::move(options)},
          client_{executor, transport, "local-path-provisioner"},
          events_{
              executor, transport, {.component = std::string{local_path_provisioner}, .host = {}}},
          claims_{executor, random, transport},
          volumes_{executor, random, transport},
          classes_{executor, random, transport},
          wanted_{executor,
                  [this](const ObjectKey& key) { return serve(key); },
                  {.name = "claims of local folders", .workers = 2}},
          released_{executor,
                    [this](const ObjectKey& key) { return clear(key); },
                    {.name = "released folders", .workers = 1}},
          class_{executor,
                 [this](const ObjectKey&) { return make_class(); },
                 {.name = "storage class", .workers = 1, .backoff_first = class_retry}} {
        claims_.on_change([this](const auto&, const auto& now) {
            if (now) want(*now);
        });
        classes_.on_change([this](const auto&, const auto&) {
            for (const auto& claim : claims_.all()) want(*claim);
        });
        volumes_.on_change([this](const auto&, const auto& now) {
            if (now && !folder_to_remove(*now, options_).empty())
                released_.add({.name_space = {}, .name = now->metadata.name});
        });
    }
    ~Core() {
        claims_.stop();
        volumes_.stop();
        classes_.stop();
    }

    void start() {
        classes_.on_synced([this] { claims_.start(); });
        classes_.start();
        volumes_.start();
        wanted_.start();
        released_.start();
        class_.start();
        class_.add({.name_space = {}, .name = std::string{local_path_class}});
    }

  private:
    void want(const view::PersistentVolumeClaim& claim) {
        if (claim.spec.volumeName.empty())
            wanted_.add(
                {.name_space = claim.metadata.namespace_.str(), .name = claim.metadata.name});
    }

    Result<Requeue> serve(const ObjectKey& key) {
        const auto claim = claims_.find(key);
        if (!claim) return Requeue::no();
        const auto storage_class = classes_.find({.name_space = {}, .name = api::class_of(*claim)});
        if (!storage_class) return Requeue::no();
        const auto due = provision(*claim, *storage_class, options_);
        const auto about = client::reference_to(*claim);
        if (!due.problem.empty()) {
            events_.record(about, client::EventType::Warning, "ProvisioningFailed",
                           concat("failed to provision volume with StorageClass \"",
                                  storage_class->metadata.name, "\": ", due.problem));
            return Requeue::no();
        }
        if (due.volume.empty()) return Requeue::no();
        const auto made =
            client_.create_text(client::resource_of<view::PersistentVolume>(), "", due.volume);
        if (!made && made.error().reason == Reason::AlreadyExists) return Requeue::no();
        if (!made) return std::unexpected{made.error()};
        events_.record(about, client::EventType::Normal, "ProvisioningSucceeded",
                       concat("Successfully provisioned volume ", volume_name(*claim)));
        return Requeue::no();
    }

    Result<Requeue> clear(const ObjectKey& key) {
        const auto volume = volumes_.find(key);
        if (!volume) return Requeue::no();
        const auto folder = folder_to_remove(*volume, options_);
        if (folder.empty()) return Requeue::no();
        if (file_exists(folder)) TRY_OK(remove_tree(folder));
        const auto done = client_.remove<view::PersistentVolume>(key, {.uid = volume->metadata.uid,
                                                                       .resource_version = {},
                                                                       .grace_period_seconds = {},
                                                                       .propagation_policy = {}});
        if (!done && done.error().reason != Reason::NotFound) return std::unexpected{done.error()};
        log_info("a volume's folder was removed", {{"volume", volume->metadata.name}});
        return Requeue::no();
    }

    // Once: a class that its user deleted or changed stays so.
    Result<Requeue> make_class() {
        if (options_.note.empty() || file_exists(options_.note)) return Requeue::no();
        const auto made = client_.create_text(client::resource_of<view::StorageClass>(), "",
                                              class_text(options_.class_is_default));
        if (!made && made.error().reason != Reason::AlreadyExists)
            return std::unexpected{made.error()};
        TRY_OK(write_file_atomic(options_.note, "made\n", 0644, Sync::No));
        return Requeue::no();
    }

    LocalPathOptions options_;
    client::Client client_;
    client::EventRecorder events_;
    client::Informer<view::PersistentVolumeClaim> claims_;
    client::Informer<view::PersistentVolume> volumes_;
    client::Informer<view::StorageClass> classes_;
    client::WorkQueue wanted_;
    client::WorkQueue released_;
    client::WorkQueue class_;
};

LocalPathProvisioner::LocalPathProvisioner(LocalPathOptions options, Executor& executor,
                                           Random& random, client::Transport& transport)
    : core_{std::make_unique<Core>(std::move(options), executor, random, transport)} {}
LocalPathProvisioner::~LocalPathProvisioner() = default;
void LocalPathProvisioner::start() { core_->start(); }

}   // namespace skiff::agent
