#include "apiserver/rbac_authorizer.h"

#include "base/log.h"
#include "base/text.h"
#include "codec/json_text.h"

namespace skiff::apiserver {
namespace {

using codec::Json;

constexpr size_t events_at_once = 1024;

std::string subject_key(const Json& subject, std::string_view name_space) {
    const auto kind = subject.text_at({"kind"});
    const auto name = subject.text_at({"name"});
    if (kind == "Group") return concat("g:", name);
    if (kind == "User") return concat("u:", name);
    const auto said = subject.text_at({"namespace"});
    return concat("u:system:serviceaccount:", said.empty() ? name_space : said, ":", name);
}

std::string grant_key(std::string_view name_space, std::string_view kind, std::string_view name) {
    std::string key{name_space};
    key += '\0';
    return append(key, kind, name), key;
}

std::string role_key(std::string_view kind, std::string_view name_space, std::string_view name) {
    return kind == "Role" ? concat(name_space, "/", name) : std::string{name};
}

// `RoleBinding "a/default" of Role "b"`, as upstream words it.
std::shared_ptr<const std::string> source_of(const codec::Json& binding) {
    const auto name_space = binding.text_at({"metadata", "namespace"});
    return std::make_shared<const std::string>(concat(
        name_space.empty() ? "ClusterRoleBinding" : "RoleBinding", " \"",
        binding.text_at({"metadata", "name"}), name_space.empty() ? "" : "/", name_space, "\" of ",
        binding.text_at({"roleRef", "kind"}), " \"", binding.text_at({"roleRef", "name"}), "\""));
}

}   // namespace

RbacAuthorizer::RbacAuthorizer(const Authorizer& first, store::Store& store, const Catalog& catalog)
    : first_{first}, store_{store} {
    constexpr std::array<std::string_view, feeds> plurals{"roles", "clusterroles", "rolebindings",
                                                          "clusterrolebindings"};
    for (size_t i = 0; i < feeds; ++i) {
        const auto* resource = catalog.find("rbac.authorization.k8s.io", "v1", plurals[i]);
        ASSERT(resource && resource->persistent);
        resources_[i] = resource->resource;
    }
}

RbacAuthorizer::~RbacAuthorizer() {
    state_.use([](State& state) { state.watches = {}; });
}

void RbacAuthorizer::take(State& state, Feed feed, const std::string& name,
                          const std::string* text) {
    const bool role = feed == Roles || feed == ClusterRoles;
    if (!text) {
        if (role)
            state.roles.erase(name);
        else
            state.bindings.erase(name);
        return;
    }
    const auto document = codec::parse_json(*text);
    if (!document) return;   // the store's own text: cannot be
    const auto& object = document->root;
    if (role) {
        state.roles[name] =
            std::make_shared<const std::vector<PolicyRule>>(policy_rules_of(object));
        return;
    }
    Binding binding{.source = source_of(object),
                    .name_space = std::string{object.text_at({"metadata", "namespace"})},
                    .role = std::string{object.text_at({"roleRef", "name"})},
                    .subjects = {}};
    if (object.text_at({"roleRef", "kind"}) == "Role")
        binding.role = concat(binding.name_space, "/", binding.role);
    if (const auto* subjects = object.find("subjects"))
        for (const auto& subject : subjects->items())
            binding.subjects.push_back(subject_key(subject, binding.name_space));
    state.bindings[name] = std::move(binding);
}

// All that is there now, and a watch from then on.
void RbacAuthorizer::load(State& state, Feed feed) const {
    const bool role = feed == Roles || feed == ClusterRoles;
    const bool namespaced = feed == Roles || feed == RoleBindings;
    const auto stale = [&](const auto& entry) {
        return namespaced == (entry.first.find('/') != std::string::npos);
    };
    if (role)
        std::erase_if(state.roles, stale);
    else
        std::erase_if(state.bindings, stale);
    const auto view = store_.view(resources_[feed]);
    view.scan({}, std::nullopt, [&](std::string_view name, const store::ObjectPtr& object) {
        const std::string text{std::string_view{object->text}};
        take(state, feed, std::string{name}, &text);
        return true;
    });
    auto watch = store_.watch(resources_[feed], {}, view.revision(), [this] { ++told_; });
    if (watch)
        state.watches[feed] = std::move(*watch);
    else
        log_error("roles and bindings cannot be followed", {{"error", watch.error().message}});
}

void RbacAuthorizer::catch_up(State& state) const {
    for (size_t i = 0; i < feeds; ++i) {
        const auto feed = static_cast<Feed>(i);
        if (!state.watches[feed]) load(state, feed);
        for (;;) {
            if (!state.watches[feed]) break;
            const auto events = state.watches[feed]->drain(events_at_once);
            if (!events) {   // too slow: from the start
                state.watches[feed].reset();
                load(state, feed);
                continue;
            }
            for (const auto& event : *events) {
                const std::string text{std::string_view{event->object->text}};
                take(state, feed, event->key.name,
                     event->kind == store::Event::Kind::Delete ? nullptr : &text);
            }
            if (events->size() < events_at_once) break;
        }
    }
}

std::shared_ptr<const RbacAuthorizer::Index> RbacAuthorizer::made_of(const State& state) {
    auto index = std::make_shared<Index>();
    index->roles = state.roles;
    for (const auto& [name, binding] : state.bindings) {
        const auto role = state.roles.find(binding.role);
        if (role == state.roles.end()) continue;   // counts once there is one
        for (const auto& subject : binding.subjects)
            index->granted[grant_key(binding.name_space, subject.substr(0, 2), subject.substr(2))]
                .push_back({role->second, binding.source});
    }
    return index;
}

std::shared_ptr<const RbacAuthorizer::Index> RbacAuthorizer::index() const {
    const auto told = told_.load();
    auto now = index_.use([](const auto& index) { return index; });
    if (now && now->seen >= told) return now;
    return state_.use([&](State& state) {
        const auto seen = told_.load();
        auto latest = index_.use([](const auto& index) { return index; });
        if (latest && latest->seen >= seen) return latest;
        catch_up(state);
        auto made = std::make_shared<Index>(*made_of(state));
        made->seen = seen;
        std::shared_ptr<const Index> fresh = std::move(made);
        index_.use([&](auto& index) { index = fresh; });
        return fresh;
    });
}

// Calls use(grant, "User" or "Group", name) for every role bound to the user, cluster-wide and in
// the namespace, until it answers true.
template <class F>
void RbacAuthorizer::each_grant(const User& user, std::string_view name_space, F&& use) const {
    const auto now = index();
    const auto look = [&](std::string_view where, std::string_view kind, std::string_view name) {
        const auto found = now->granted.find(grant_key(where, kind, name));
        return found != now->granted.end() &&
               std::ranges::any_of(found->second, [&](const auto& grant) {
                   return use(grant, kind == "u:" ? "User" : "Group", name);
               });
    };
    const auto look_in = [&](std::string_view where) {
        return look(where, "u:", user.name) ||
               std::ranges::any_of(user.groups,
                                   [&](const auto& group) { return look(where, "g:", group); });
    };
    if (look_in("")) return;
    if (!name_space.empty()) look_in(name_space);
}

bool RbacAuthorizer::allows(const User& user, const Question& question) const {
    if (first_.allows(user, question)) return true;
    bool allowed = false;
    each_grant(user, question.is_resource ? question.name_space : std::string_view{},
               [&](const Grant& grant, std::string_view, std::string_view) {
                   allowed = std::ranges::any_of(*grant.rules, [&](const auto& rule) {
                       return apiserver::allows(rule, question);
                   });
                   return allowed;
               });
    return allowed;
}

// RBAC is asked first here, since it can say why.
bool RbacAuthorizer::decide(const User& user, const Question& question, std::string& reason) const {
    bool allowed = false;
    reason.clear();
    each_grant(user, question.is_resource ? question.name_space : std::string_view{},
               [&](const Grant& grant, std::string_view kind, std::string_view name) {
                   allowed = std::ranges::any_of(*grant.rules, [&](const auto& rule) {
                       return apiserver::allows(rule, question);
                   });
                   if (allowed)
                       reason = concat("RBAC: allowed by ", *grant.source, " to ", kind, " \"",
                                       name, "\"");
                   return allowed;
               });
    return allowed || first_.allows(user, question);
}

std::vector<PolicyRule> RbacAuthorizer::held_by(const User& user,
                                                std::string_view name_space) const {
    std::vector<PolicyRule> held;
    each_grant(user, name_space, [&](const Grant& grant, std::string_view, std::string_view) {
        held.insert(held.end(), grant.rules->begin(), grant.rules->end());
        return false;
    });
    return held;
}

std::vector<PolicyRule> RbacAuthorizer::rules_of_role(std::string_view kind,
                                                      std::string_view name_space,
                                                      std::string_view name) const {
    const auto now = index();
    const auto found = now->roles.find(role_key(kind, name_space, name));
    return found == now->roles.end() ? std::vector<PolicyRule>{} : *found->second;
}

bool RbacAuthorizer::has_role(std::string_view kind, std::string_view name_space,
                              std::string_view name) const {
    return index()->roles.contains(role_key(kind, name_space, name));
}

Authorizer::Rules RbacAuthorizer::rules_for(const User& user, std::string_view name_space) const {
    auto rules = first_.rules_for(user, name_space);
    for (const auto& rule : held_by(user, name_space)) {
        if (!rule.resources.empty()) rules.resource_rules.push_back(json_of(rule));
        if (!rule.non_resource_urls.empty())
            rules.non_resource_rules.push_back(
                concat(R"({"verbs":)", codec::quoted_list(rule.verbs), R"(,"nonResourceURLs":)",
                       codec::quoted_list(rule.non_resource_urls), "}"));
    }
    return rules;
}

}   // namespace skiff::apiserver
