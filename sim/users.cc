#include "sim/users.h"

#include "base/text.h"

namespace skiff::sim {
namespace {

constexpr client::ResourceName pods{"", "v1", "pods"};
constexpr client::ResourceName namespaces{"", "v1", "namespaces"};
constexpr client::ResourceName configmaps{"", "v1", "configmaps"};
constexpr client::ResourceName deployments{"apps", "v1", "deployments"};
constexpr std::string_view deployment_prefix = "/registry/deployments/";
constexpr client::ResourceName volumes{"", "v1", "persistentvolumes"};
constexpr client::ResourceName claims{"", "v1", "persistentvolumeclaims"};
constexpr std::string_view volume_prefix = "/registry/persistentvolumes/";
constexpr client::ResourceName node_resource{"", "v1", "nodes"};

}   // namespace

Users::Users(Cluster& cluster, int nodes, Topic topic)
    : cluster_{cluster},
      world_{cluster.world()},
      nodes_{nodes},
      topic_{topic},
      process_{world_},
      transport_{cluster,
                 process_,
                 {.name = "jane", .uid = {}, .groups = {"system:masters"}, .extra = {}}},
      client_{process_, transport_, "kubectl"},
      about_volumes_{world_.chance(0.25)} {}

Users::~Users() { process_.settle(); }

void Users::begin(int deeds, Duration longest_pause) {
    left_ = deeds;
    longest_pause_ = longest_pause;
    process_.after(world_.between(0ms, longest_pause_), [this] { act(); });
}

void Users::act() {
    deed();
    if (--left_ > 0) process_.after(world_.between(0ms, longest_pause_), [this] { act(); });
}

void Users::race() {
    const auto dice = world_.below(100);
    if (dice < 25) return make_volume();
    if (dice < 60) return make_claims();
    if (dice < 78) return hand_volume_over();
    if (dice < 90)
        return remove("persistentvolumeclaims", "/registry/persistentvolumeclaims/", false);
    reuse_volume();
}

void Users::deed() {
    if (topic_ == Topic::Claims) return race();
    const auto dice =
        about_volumes_ && world_.chance(0.7) ? 130 + world_.below(26) : world_.below(156);
    if (dice < 38) return make_pod(some_namespace());
    if (dice < 48) return remove("pods", "/registry/pods/", false);
    if (dice < 56) return replace_pod();
    if (dice < 60) return bind_again();
    if (dice < 70) return make_namespace();
    if (dice < 77) return remove("namespaces", "/registry/namespaces/ns-", true);
    if (dice < 88) return change_config(some_namespace());
    if (dice < 93) return remove("configmaps", "/registry/configmaps/", false);
    if (dice < 100) return resize();
    if (dice < 108) return make_deployment(some_namespace());
    if (dice < 126) return change_deployment();
    if (dice < 130) return remove_deployment();
    if (dice < 137) return make_volume();
    if (dice < 146) return make_claims();
    if (dice < 148) return remove("persistentvolumes", std::string{volume_prefix}, true);
    if (dice < 153)
        return remove("persistentvolumeclaims", "/registry/persistentvolumeclaims/", false);
    reuse_volume();
}

std::string Users::some_namespace() {
    std::vector<std::string> names{"default"};
    const std::string prefix = "/registry/namespaces/";
    for (const auto& [key, stored] : cluster_.record().state())
        if (key.starts_with(concat(prefix, "ns-")) && !stored.text.empty())
            names.push_back(key.substr(prefix.size()));
    return names[world_.below(names.size())];
}

void Users::make_pod(const std::string& name_space) {
    static constexpr std::string_view kinds[] = {"runs-", "runs-",  "runs-",
                                                 "ends-", "fails-", "big-"};
    const auto kind = kinds[world_.below(std::size(kinds))];
    const auto cpu = kind == "big-" ? 1500 + world_.below(6000) : 50 + world_.below(800);
    const auto body =
        concat(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")", kind, world_.below(12),
               R"("},"spec":{"terminationGracePeriodSeconds":)", world_.below(20),
               R"(,"containers":[{"name":"c","image":"busybox","resources":{"requests":{"cpu":")",
               cpu, R"(m"}}}]}})");
    static_cast<void>(client_.create_text(pods, name_space, body));
}

std::string Users::some_key(const std::string& prefix) {
    std::vector<std::string> keys;
    for (const auto& [key, stored] : cluster_.record().state())
        if (key.starts_with(prefix) && !stored.text.empty()) keys.push_back(key);
    return keys.empty() ? "" : keys[world_.below(keys.size())];
}

// Gone and there again under the same name before anybody has looked.
void Users::replace_pod() {
    const auto key = some_key("/registry/pods/");
    if (key.empty()) return;
    const auto [name_space, name] =
        cut(std::string_view{key}.substr(std::string_view{"/registry/pods/"}.size()), '/');
    client::DeletePreconditions now;
    now.grace_period_seconds = 0;
    static_cast<void>(
        client_.remove_text(pods, {std::string{name_space}, std::string{*name}}, now));
    const auto body =
        concat(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")", *name,
               R"("},"spec":{"containers":[{"name":"c","image":"busybox",)",
               R"("resources":{"requests":{"cpu":")", 50 + world_.below(2000), R"(m"}}}]}})");
    static_cast<void>(client_.create_text(pods, name_space, body));
}

// What another scheduler might try: a pod that has a node gets another one. It must not.
void Users::bind_again() {
    const auto key = some_key("/registry/pods/");
    const auto pod = codec::parse_json(key.empty() ? "{}" : cluster_.record().find(key)->text);
    if (!pod || pod->root.text_at({"spec", "nodeName"}).empty()) return;
    const auto [name_space, name] =
        cut(std::string_view{key}.substr(std::string_view{"/registry/pods/"}.size()), '/');
    const auto other = node(static_cast<int>(world_.below(static_cast<uint64_t>(nodes_))));
    const auto done =
        client_.create_text(pods, name_space,
                            concat(R"({"apiVersion":"v1","kind":"Binding","metadata":{"name":")",
                                   *name, R"(","uid":")", pod->root.text_at({"metadata", "uid"}),
                                   R"("},"target":{"kind":"Node","name":")", other, R"("}})"),
                            *name, "binding");
    if (done) cluster_.record().broken(concat(key, " was bound again, and the answer was yes"));
}

void Users::make_deployment(const std::string& name_space) {
    const auto name = concat("web-", world_.below(2));
    const bool recreates = world_.chance(0.15);
    const auto surge = world_.below(3);
    const auto strategy =
        recreates ? std::string{R"("type":"Recreate")"}
                  : concat(R"("rollingUpdate":{"maxSurge":)", surge, R"(,"maxUnavailable":)",
                           world_.below(2) + (surge == 0 ? 1 : 0), "}");
    static_cast<void>(client_.create_text(
        deployments, name_space,
        concat(
            R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":")", name,
            R"("},"spec":{"replicas":)", 1 + world_.below(3), R"(,"revisionHistoryLimit":)",
            world_.below(3), R"(,"strategy":{)", strategy,
            R"(},"selector":{"matchLabels":{"app":")", name,
            R"("}},"template":{"metadata":{"labels":{"app":")", name,
            R"("}},"spec":{"terminationGracePeriodSeconds":)", world_.below(3),
            R"(,"containers":[{"name":"c","image":"image-0","resources":{"requests":{"cpu":"10m"}}}]}}}})")));
}

// Another number, another image (or one that was before), a pause and its end, or a restart.
void Users::change_deployment() {
    const auto key = some_key(std::string{deployment_prefix});
    if (key.empty()) return make_deployment("default");
    const auto [name_space, name] =
        cut(std::string_view{key}.substr(deployment_prefix.size()), '/');
    const auto dice = world_.below(10);
    const auto patch =
        dice < 4 ? concat(R"({"spec":{"replicas":)", world_.below(4), "}}")
        : dice < 8
            ? concat(
                  R"({"spec":{"paused":false,"template":{"spec":{"containers":[{"name":"c","image":"image-)",
                  world_.below(4), R"("}]}}}})")
            : concat(R"({"spec":{"paused":)", dice == 8 ? "true" : "false", "}}");
    static_cast<void>(client_.patch_text(deployments, {std::string{name_space}, std::string{*name}},
                                         client::PatchType::StrategicMerge, patch));
}

void Users::remove_deployment() {
    const auto key = some_key(std::string{deployment_prefix});
    if (key.empty()) return;
    const auto [name_space, name] =
        cut(std::string_view{key}.substr(deployment_prefix.size()), '/');
    client::DeletePreconditions how;
    how.propagation_policy = world_.chance(0.5) ? "Foreground" : "Background";
    static_cast<void>(
        client_.remove_text(deployments, {std::string{name_space}, std::string{*name}}, how));
}

// Sometimes for a claim of that name only, which may be there or not.
void Users::make_volume() {
    const auto reserved =
        world_.chance(0.2)
            ? concat(R"(,"claimRef":{"namespace":"default","name":"claim-)", world_.below(5), "\"}")
            : std::string{};
    const auto name = concat("vol-", world_.below(5));
    static_cast<void>(client_.create_text(
        volumes, "",
        concat(R"({"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":")", name,
               R"("},"spec":{"capacity":{"storage":")", 1 + world_.below(4),
               R"(Gi"},"accessModes":["ReadWriteOnce"],"hostPath":{"path":"/data"})", reserved,
               "}}")));
}

// A few at once: they race for what is there. Some ask for a volume by name.
void Users::make_claims() {
    const auto name_space = some_namespace();
    for (auto left = 1 + world_.below(3); left > 0; --left) {
        const auto wish = world_.chance(0.2)
                              ? concat(R"(,"volumeName":"vol-)", world_.below(5), "\"")
                              : std::string{};
        const auto name = concat("claim-", world_.below(5));
        static_cast<void>(client_.create_text(
            claims, name_space,
            concat(R"({"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":")",
                   name, R"("},"spec":{"storageClassName":"","accessModes":["ReadWriteOnce"],)",
                   R"("resources":{"requests":{"storage":")", 1 + world_.below(3), R"(Gi"}})", wish,
                   "}}")));
    }
}

// What was released is given back by hand, as an administrator does.
void Users::reuse_volume() {
    const auto key = some_key(std::string{volume_prefix});
    if (key.empty()) return make_volume();
    const auto seen = *cluster_.record().find(key);
    const auto volume = codec::parse_json(seen.text);
    if (!volume || volume->root.text_at({"status", "phase"}) != "Released") return make_volume();
    static_cast<void>(client_.patch_text(
        volumes, {"", key.substr(volume_prefix.size())}, client::PatchType::Merge,
        concat(R"({"metadata":{"uid":")", volume->root.text_at({"metadata", "uid"}),
               R"(","resourceVersion":")", seen.revision, R"("},"spec":{"claimRef":null}})")));
}

// By hand, to a claim that waits: whoever binds volumes may just be about to give it to another.
void Users::hand_volume_over() {
    const auto volume_key = some_key(std::string{volume_prefix});
    const auto claim_key = some_key("/registry/persistentvolumeclaims/");
    if (volume_key.empty() || claim_key.empty()) return make_volume();
    const auto seen = *cluster_.record().find(volume_key);
    const auto volume = codec::parse_json(seen.text);
    const auto claim = codec::parse_json(cluster_.record().find(claim_key)->text);
    if (!volume || !claim || !volume->root.text_at({"spec", "claimRef", "uid"}).empty() ||
        !claim->root.text_at({"spec", "volumeName"}).empty())
        return make_claims();
    const auto of = [&](std::string_view name) { return claim->root.text_at({"metadata", name}); };
    static_cast<void>(client_.patch_text(
        volumes, {"", volume_key.substr(volume_prefix.size())}, client::PatchType::Merge,
        concat(R"({"metadata":{"uid":")", volume->root.text_at({"metadata", "uid"}),
               R"(","resourceVersion":")", seen.revision,
               R"("},"spec":{"claimRef":{"kind":"PersistentVolumeClaim","apiVersion":"v1",)",
               R"("namespace":")", of("namespace"), R"(","name":")", of("name"), R"(","uid":")",
               of("uid"), R"("}}})")));
}

void Users::make_namespace() {
    const auto name = concat("ns-", world_.below(6));
    const auto done = client_.create_text(
        namespaces, "",
        concat(R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":")", name, R"("}})"));
    if (done && world_.chance(0.7)) make_pod(name);
}

void Users::change_config(const std::string& name_space) {
    const auto name =
        world_.chance(0.2) ? std::string{"kube-root-ca.crt"} : concat("config-", world_.below(4));
    const auto data = concat(R"("data":{"count":")", ++made_, R"("})");
    const auto done = client_.patch_text(configmaps, {name_space, name}, client::PatchType::Merge,
                                         concat("{", data, "}"));
    if (done || done.error().reason != Reason::NotFound) return;
    static_cast<void>(
        client_.create_text(configmaps, name_space,
                            concat(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":")",
                                   name, R"("},)", data, "}")));
}

void Users::resize() {
    const auto name = node(static_cast<int>(world_.below(static_cast<uint64_t>(nodes_))));
    static_cast<void>(
        client_.patch_text(node_resource, {"", name}, client::PatchType::StrategicMerge,
                           concat(R"({"status":{"allocatable":{"cpu":")", 500 + world_.below(4000),
                                  R"(m","pods":")", 1 + world_.below(10), R"("}}})"),
                           "status"));
}

void Users::remove(std::string_view plural, const std::string& prefix, bool of_namespaces) {
    const auto key = some_key(prefix);
    if (key.empty()) return;
    const auto rest = key.substr(key.find('/', 10) + 1);
    const auto [first, second] = cut(rest, '/');
    const client::ObjectKey object =
        of_namespaces ? client::ObjectKey{"", rest}
                      : client::ObjectKey{std::string{first}, std::string{second.value_or("")}};
    client::DeletePreconditions how;
    if (world_.chance(0.2)) how.grace_period_seconds = 0;
    const auto before = cluster_.record().find(key);
    const std::string text = before ? before->text : "";
    const auto done = client_.remove_text({"", "v1", plural}, object, how);
    if (!done || text.empty()) return;
    // It was told to go: it is gone, another, or marked.
    const auto* now = cluster_.record().find(key);
    const auto was = codec::parse_json(text);
    const auto is = now ? codec::parse_json(now->text) : Result<codec::Document>{codec::Document{}};
    if (!now || !was || !is) return;
    const auto uid = [](const auto& document) {
        return document->root.text_at({"metadata", "uid"});
    };
    if (uid(was) == uid(is) && is->root.text_at({"metadata", "deletionTimestamp"}).empty())
        cluster_.record().broken(concat("the deletion of ", key, " was answered, but it is there"));
}

}   // namespace skiff::sim
