// Whose an object is: the references that controllers set and take away. Pure.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "api/selectors.h"
#include "client/informer.h"
#include "client/plan.h"
#include "controllers/pod_facts.h"

namespace skiff::controllers {

// What a selector and the references of its possible children come to.
template <class Child>
struct Claims {
    std::vector<client::Shared<Child>> mine;      // without those that are still to be adopted
    std::vector<client::Shared<Child>> adopt;     // match, and nobody's
    std::vector<client::Shared<Child>> release;   // ours, and match no more
};

// `children`: those owned by `uid` and the orphans of its namespace. An owner that is being deleted
// takes and lets go of nothing.
template <class Child>
Claims<Child> claim(std::string_view uid, bool deleting, const api::LabelSelector& selector,
                    const std::vector<client::Shared<Child>>& children) {
    Claims<Child> claims;
    for (const auto& child : children) {
        const bool matches = selector.matches(child->metadata.labels);
        const auto* controller = controller_of(*child);
        if (controller && controller->uid == uid) {
            if (matches)
                claims.mine.push_back(child);
            else if (!deleting)
                claims.release.push_back(child);
        } else if (!controller && matches && !deleting && !child->metadata.deletionTimestamp) {
            claims.adopt.push_back(child);
        }
    }
    return claims;
}

// {"apiVersion":…,"kind":…,"name":…,"uid":…,"controller":true,"blockOwnerDeletion":true}
std::string owner_reference_json(const client::ObjectReference& owner);
// Strategic merge patches of a child's references.
std::string adoption_patch(const client::ObjectReference& owner);
std::string release_patch(std::string_view owner_uid);

template <class Child>
void plan_claims(client::Plan& plan, const client::ObjectReference& owner,
                 const Claims<Child>& claims) {
    const auto patch = [&](const Child& child, std::string body) {
        plan.patch<Child>({child.metadata.namespace_.str(), child.metadata.name}, std::move(body))
            .uid = child.metadata.uid;
    };
    for (const auto& child : claims.release) patch(*child, release_patch(owner.uid));
    for (const auto& child : claims.adopt) patch(*child, adoption_patch(owner));
}

// Before anything is adopted the owner is looked at once more, past the cache: it is the same and
// not being deleted.
template <class Owner>
Result<> may_adopt(client::Client& client, const client::ObjectKey& key, std::string_view uid) {
    TRY(const Owner fresh, client.get<Owner>(key));
    if (fresh.metadata.uid != uid)
        return fail(Reason::Conflict, "the owner is gone: another one has its name");
    if (fresh.metadata.deletionTimestamp)
        return fail(Reason::Conflict, "the owner is being deleted");
    return {};
}

// The informers' index of objects that have no controller, by namespace.
inline constexpr std::string_view orphans_index = "orphans";
template <class V>
void index_orphans(client::Informer<V>& informer) {
    informer.add_index(std::string{orphans_index}, [](const V& object) {
        std::vector<std::string> keys;
        if (!controller_of(object)) keys.push_back(object.metadata.namespace_.str());
        return keys;
    });
}

// Owned ones and orphans, what claim() takes.
template <class V>
std::vector<client::Shared<V>> possible_children(const client::Informer<V>& informer,
                                                 std::string_view owner_uid,
                                                 std::string_view name_space) {
    auto children = informer.owned_by(owner_uid);
    for (auto& orphan : informer.by_index(orphans_index, name_space)) {
        const bool known =
            std::ranges::any_of(children, [&](const auto& child) { return child == orphan; });
        if (!known) children.push_back(std::move(orphan));
    }
    return children;
}

}   // namespace skiff::controllers
