#include "apiserver/node_authorizer.h"

#include <array>

#include "apiserver/authn.h"
#include "apiserver/objects.h"
#include "base/log.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

constexpr size_t events_at_once = 1024;
constexpr std::string_view node_prefix = "system:node:";

void add(std::set<std::string>& names, std::string_view plural, std::string_view name) {
    if (!name.empty()) names.insert(concat(plural, "/", name));
}

// A pod's spec has these members for nothing else, so a walk finds those of every volume and
// container, of kinds of volume yet to come too.
void walk(const Json& value, std::set<std::string>& names) {
    for (const auto& item : value.items()) walk(item, names);
    for (const auto& [key, member] : value.members()) {
        if (key == "secretRef" || key == "secretKeyRef" || key == "nodePublishSecretRef")
            add(names, "secrets", member.text_at({"name"}));
        else if (key == "secret" || key == "azureFile") {
            add(names, "secrets", member.text_at({"secretName"}));
            add(names, "secrets", member.text_at({"name"}));   // of a projected volume
        } else if (key == "configMap" || key == "configMapRef" || key == "configMapKeyRef")
            add(names, "configmaps", member.text_at({"name"}));
        else if (key == "imagePullSecrets")
            for (const auto& item : member.items()) add(names, "secrets", item.text_at({"name"}));
        walk(member, names);
    }
}

std::string_view field_of(const store::Object& object, std::string_view name) {
    if (object.attributes)
        for (const auto& [key, value] : object.attributes->fields)
            if (key == name) return value;
    return {};
}

}   // namespace

std::set<std::string> named_by_pod(const Json& pod) {
    std::set<std::string> names;
    const auto* spec = pod.find("spec");
    if (!spec) return names;
    walk(*spec, names);
    if (const auto* volumes = spec->find("volumes")) {
        for (const auto& volume : volumes->items()) {
            add(names, "persistentvolumeclaims",
                volume.text_at({"persistentVolumeClaim", "claimName"}));
            if (const auto* own = volume.find("ephemeral"); own && own->is_object())
                add(names, "persistentvolumeclaims",
                    concat(pod.text_at({"metadata", "name"}), "-", volume.text_at({"name"})));
        }
    }
    const auto account = spec->text_at({"serviceAccountName"});
    add(names, "serviceaccounts", account.empty() ? "default" : account);
    return names;
}

std::string_view node_of(const User& user) {
    if (!user.in_group("system:nodes") || !names_node(user)) return {};
    return std::string_view{user.name}.substr(node_prefix.size());
}

NodeAuthorizer::NodeAuthorizer(const Authorizer& rest, store::Store& store, const Catalog& catalog)
    : rest_{rest}, store_{store} {
    const auto* pods = catalog.find("", "v1", "pods");
    ASSERT(pods && pods->persistent);
    pods_ = pods->resource;
    const auto* volumes = catalog.find("", "v1", "persistentvolumes");
    ASSERT(volumes && volumes->persistent);
    volumes_ = volumes->resource;
}

NodeAuthorizer::~NodeAuthorizer() {
    state_.use([](State& state) { state.watch.reset(); });
}

void NodeAuthorizer::drop(State& state, const std::string& name) {
    const auto found = state.pods.find(name);
    if (found == state.pods.end()) return;
    auto& needed = state.needed[found->second.node];
    for (const auto& need : found->second.needs)
        if (--needed[need] <= 0) needed.erase(need);
    if (needed.empty()) state.needed.erase(found->second.node);
    state.pods.erase(found);
}

// What a pod names never changes once it is bound, but for its ephemeral containers.
void NodeAuthorizer::take(State& state, const std::string& name, const store::Object* object) {
    if (!object) return drop(state, name);
    const auto node = field_of(*object, "spec.nodeName");
    if (node.empty()) return drop(state, name);
    const std::string_view text{object->text};
    const auto known = state.pods.find(name);
    if (known != state.pods.end() && object->attributes &&
        known->second.uid == object->attributes->uid &&
        text.find("\"ephemeralContainers\"") == std::string_view::npos)
        return;
    drop(state, name);
    const auto document = codec::parse_json(text);
    if (!document) return;   // the store's own text: cannot be
    Pod pod{.uid = object->attributes ? object->attributes->uid : "",
            .node = std::string{node},
            .needs = {}};
    const auto name_space = name.substr(0, name.find('/'));
    auto& needed = state.needed[pod.node];
    for (const auto& need : named_by_pod(document->root)) {
        const auto [plural, what] = cut(need, '/');
        const auto& [entry, fresh] =
            pod.needs.insert(concat(plural, "/", name_space, "/", what.value_or("")));
        if (fresh) ++needed[*entry];
    }
    state.pods.emplace(name, std::move(pod));
}

void NodeAuthorizer::load(State& state) const {
    state.pods.clear();
    state.needed.clear();
    const auto view = store_.view(pods_);
    view.scan({}, std::nullopt, [&](std::string_view name, const store::ObjectPtr& object) {
        take(state, std::string{name}, object.get());
        return true;
    });
    auto watch = store_.watch(pods_, {}, view.revision(), [] {});
    if (watch)
        state.watch = std::move(*watch);
    else
        log_error("pods cannot be followed", {{"error", watch.error().message}});
}

// By the one who asks: a pod that was bound before the question counts.
void NodeAuthorizer::catch_up(State& state) const {
    if (!state.watch) load(state);
    while (state.watch) {
        const auto events = state.watch->drain(events_at_once);
        if (!events) {   // too slow: from the start
            load(state);
            continue;
        }
        for (const auto& event : *events)
            take(state, event->key.name,
                 event->kind == store::Event::Kind::Delete ? nullptr : event->object.get());
        if (events->size() < events_at_once) return;
    }
}

// The claim that a volume is bound to, "persistentvolumeclaims/namespace/x"; "" for none.
std::string NodeAuthorizer::claim_of(std::string_view volume) const {
    const auto object = store_.view(volumes_).get(volume);
    if (!object) return {};
    const auto document = codec::parse_json(std::string_view{object->text});
    if (!document) return {};
    const auto claim = [&](std::string_view member) {
        return document->root.text_at({"spec", "claimRef", member});
    };
    if (claim("name").empty()) return {};
    return concat("persistentvolumeclaims/", claim("namespace"), "/", claim("name"));
}

bool NodeAuthorizer::allows(const User& user, const Question& question) const {
    const auto node = node_of(user);
    if (node.empty() || !question.is_resource || !question.group.empty())
        return rest_.allows(user, question);
    const auto resource = question.resource;
    const bool token = resource == "serviceaccounts" && question.subresource == "token";
    const bool volume = resource == "persistentvolumes";
    const bool content = resource == "secrets" || resource == "configmaps" ||
                         resource == "persistentvolumeclaims" || volume;
    if (!content && !token) return rest_.allows(user, question);
    constexpr std::array<std::string_view, 3> reads{"get", "list", "watch"};
    const bool verb = token ? question.verb == "create"
                            : question.subresource.empty() &&
                                  std::ranges::find(reads, question.verb) != reads.end();
    if (!verb || question.name.empty() || question.name_space.empty() != volume) return false;
    const auto need = volume ? claim_of(question.name)
                             : concat(resource, "/", question.name_space, "/", question.name);
    return state_.use([&](State& state) {
        catch_up(state);
        const auto found = state.needed.find(node);
        return found != state.needed.end() && found->second.contains(need);
    });
}

}   // namespace skiff::apiserver
