// The Node authorizer: of secrets, config maps, account tokens and claims a node gets those that
// pods bound to it name, of volumes those bound to such claims, and no others. A graph of who needs
// what follows the pods' watch.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

#include "apiserver/authz.h"
#include "apiserver/catalog.h"
#include "base/guarded.h"
#include "store/store.h"

namespace skiff::apiserver {

// What a pod names of its own namespace, each "secrets/x", "configmaps/x", "serviceaccounts/x",
// "persistentvolumeclaims/x".
std::set<std::string> named_by_pod(const codec::Json& pod);

// The NAME of system:node:NAME, when the user is one of system:nodes; else "".
std::string_view node_of(const User& user);

class NodeAuthorizer final : public Authorizer {
  public:
    // All else is for `rest` to say.
    NodeAuthorizer(const Authorizer& rest, store::Store& store, const Catalog& catalog);
    ~NodeAuthorizer() override;

    bool allows(const User& user, const Question& question) const override;
    Rules rules_for(const User& user, std::string_view name_space) const override {
        return rest_.rules_for(user, name_space);
    }

  private:
    struct Pod {
        std::string uid;
        std::string node;
        std::set<std::string> needs;   // "secrets/namespace/x"
    };
    struct State {
        std::unique_ptr<store::Watch> watch;
        std::unordered_map<std::string, Pod> pods;   // by "namespace/name"; those bound to a node
        // How many pods of the node need it.
        std::map<std::string, std::unordered_map<std::string, int>, std::less<>> needed;
    };

    void catch_up(State& state) const;
    void load(State& state) const;
    static void take(State& state, const std::string& name, const store::Object* object);
    static void drop(State& state, const std::string& name);

    std::string claim_of(std::string_view volume) const;

    const Authorizer& rest_;
    store::Store& store_;
    store::ResourceId pods_{};
    store::ResourceId volumes_{};
    mutable Guarded<State> state_;
};

}   // namespace skiff::apiserver
