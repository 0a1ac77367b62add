// RBAC over the stored roles and bindings. What is bound to whom is kept as an index that follows
// the store's watch: a request parses nothing, and a binding counts from its commit on.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "apiserver/catalog.h"
#include "apiserver/policy_rule.h"
#include "base/guarded.h"
#include "store/store.h"

namespace skiff::apiserver {

class RbacAuthorizer final : public Authorizer {
  public:
    // What `first` allows is allowed (system:masters, nodes, Skiff's own parts); then RBAC decides.
    RbacAuthorizer(const Authorizer& first, store::Store& store, const Catalog& catalog);
    ~RbacAuthorizer() override;

    bool allows(const User& user, const Question& question) const override;
    bool decide(const User& user, const Question& question, std::string& reason) const override;
    Rules rules_for(const User& user, std::string_view name_space) const override;

    // What the user holds in that namespace ("" : cluster-wide only), through RBAC.
    std::vector<PolicyRule> held_by(const User& user, std::string_view name_space) const;
    // The rules of a role that a binding names; empty when there is none.
    std::vector<PolicyRule> rules_of_role(std::string_view kind, std::string_view name_space,
                                          std::string_view name) const;

    bool has_role(std::string_view kind, std::string_view name_space, std::string_view name) const;

  private:
    using RoleRules = std::shared_ptr<const std::vector<PolicyRule>>;
    struct Grant {
        RoleRules rules;
        std::shared_ptr<const std::string> source;   // `ClusterRoleBinding "a" of ClusterRole "b"`
    };
    struct Binding {
        std::shared_ptr<const std::string> source;
        std::string name_space;              // "" of a ClusterRoleBinding
        std::string role;                    // "name" or "namespace/name": a key of `roles`
        std::vector<std::string> subjects;   // "u:…" or "g:…"
    };
    // Never changed once published: "namespace\0u:name" to the rules of all roles bound to it.
    struct Index {
        std::unordered_map<std::string, std::vector<Grant>> granted;
        std::map<std::string, RoleRules, std::less<>> roles;
        uint64_t seen = 0;
    };
    enum Feed : size_t { Roles, ClusterRoles, RoleBindings, ClusterRoleBindings, feeds };
    struct State {
        std::array<std::unique_ptr<store::Watch>, feeds> watches;
        std::map<std::string, RoleRules, std::less<>> roles;
        std::map<std::string, Binding> bindings;
    };

    std::shared_ptr<const Index> index() const;
    void catch_up(State& state) const;
    void load(State& state, Feed feed) const;
    static void take(State& state, Feed feed, const std::string& name, const std::string* text);
    static std::shared_ptr<const Index> made_of(const State& state);
    template <class F>
    void each_grant(const User& user, std::string_view name_space, F&& use) const;

    const Authorizer& first_;
    store::Store& store_;
    std::array<store::ResourceId, feeds> resources_{};
    mutable std::atomic<uint64_t> told_{1};   // counts the watches' notifications
    mutable Guarded<State> state_;
    mutable Guarded<std::shared_ptr<const Index>> index_;
};

}   // namespace skiff::apiserver
