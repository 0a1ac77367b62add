#include "apiserver/registry.h"

#include <algorithm>
#include <iterator>

#include "apiserver/status.h"
#include "base/text.h"
#include "store/object.h"

namespace skiff::apiserver {
namespace {

constexpr int mutation_tries_max = 16;
constexpr int contended_tries_max = 128;   // where others write the same object beside theirs

}   // namespace

store::Key Registry::key_of(const ServedResource& resource, std::string_view name_space,
                            std::string_view name) const {
    return {.resource = resource.resource, .name = store_name(resource, name_space, name)};
}

store::ObjectPtr Registry::find(const ServedResource& resource, std::string_view name_space,
                                std::string_view name) const {
    return parts_.store.view(resource.resource).get(store_name(resource, name_space, name));
}

const ServedResource& Registry::core(std::string_view plural) const {
    const auto* found = parts_.catalog.find("", "v1", plural);
    ASSERT(found != nullptr);
    return *found;
}

void Registry::serve(const CallPtr& call) {
    const auto& info = call->info;
    if (serve_subresource(call)) return;
    const auto& verb = info.verb;
    if (verb == "get") return get(call);
    if (verb == "list") return list(call);
    if (verb == "create") return create(call);
    if (verb == "update") return update(call);
    if (verb == "patch") return patch(call);
    if (verb == "delete") return remove(call);
    if (verb == "deletecollection") return remove_collection(call);
    call->fail(
        {.reason = Reason::MethodNotAllowed,
         .message = concat("the server does not allow this method on the requested resource")});
}

void Registry::mutate(const CallPtr& call, const ServedResource& resource, const std::string& name,
                      Decide decide) {
    try_mutation(call, resource, name, std::move(decide), 0);
}

void Registry::try_mutation(const CallPtr& call, const ServedResource& resource,
                            const std::string& name, Decide decide, int tries) {
    const auto current = parts_.store.view(resource.resource).get(name);
    auto mutation = decide(current);
    if (!mutation) return call->fail(mutation.error());
    commit(call, resource, std::make_shared<Mutation>(std::move(*mutation)), current, name,
           std::move(decide), tries);
}

namespace {

void answer_mutation(Call& call, const Mutation& mutation, const store::ObjectPtr& object,
                     WallTime now) {
    if (mutation.answer) return mutation.answer(call, object);
    answer_object(call, mutation.status, object, now);
}

// What a dry run would have stored: the new text under the revision the object has now.
store::ObjectPtr imagined(const StoredText& text, const store::ObjectPtr& current) {
    if (current)
        return store::make_object({.text = text.text,
                                   .splice_at = text.splice_at,
                                   .created = current->created,
                                   .modified = current->modified,
                                   .attributes = nullptr});
    store::Object object;
    object.text = Bytes{text.text};
    object.splice_at = text.splice_at;
    return std::make_shared<const store::Object>(std::move(object));
}

// Node leases and events may be answered before their fdatasync (design: the store).
store::Durability durability_of(const ServedResource& resource, std::string_view name) {
    const auto& prefix = resource.stored->storage_prefix;
    if (prefix == "/registry/events/") return store::Durability::Relaxed;
    if (prefix == "/registry/leases/" && name.starts_with("kube-node-lease/"))
        return store::Durability::Relaxed;
    return store::Durability::Durable;
}

}   // namespace

void Registry::commit(const CallPtr& call, const ServedResource& resource,
                      std::shared_ptr<Mutation> mutation, store::ObjectPtr current,
                      const std::string& name, Decide decide, int tries) {
    using What = Mutation::What;
    const auto now = parts_.clock.now();
    if (mutation->what == What::Keep || (mutation->what == What::Delete && call->options.dry_run)) {
        ASSERT(current != nullptr || mutation->answer);
        return answer_mutation(*call, *mutation, current, now);
    }
    store::Transaction transaction{.preconditions = std::move(mutation->also),
                                   .writes = {},
                                   .durability = durability_of(resource, name)};
    const store::Key key{.resource = resource.resource, .name = name};
    using Must = store::Precondition::Must;
    transaction.preconditions.push_back({.must = current ? Must::BeAt : Must::BeAbsent,
                                         .key = key,
                                         .at = current ? current->modified : store::Revision{}});
    store::Write write{.key = key};
    if (mutation->what == What::Put) {
        auto text = stored_text(mutation->document.root, *resource.stored);
        if (text.text.size() > limits::object_bytes_max) {
            return call->fail(
                {.reason = Reason::RequestEntityTooLarge,
                 .message = concat("the object would be ", text.text.size(),
                                   " bytes, the limit is ", limits::object_bytes_max)});
        }
        if (call->options.dry_run)
            return answer_mutation(*call, *mutation, imagined(text, current), now);
        write.attributes = describe(*resource.stored, mutation->document.root);
        write.text = std::move(text.text);
        write.splice_at = text.splice_at;
    }
    transaction.writes.push_back(std::move(write));
    std::ranges::move(mutation->writes, std::back_inserter(transaction.writes));
    const bool contended = transaction.writes.size() > 1;
    parts_.store.commit(std::move(transaction), [this, call, &resource, mutation, current, name,
                                                 decide = std::move(decide), tries,
                                                 contended](Result<store::Committed> done) mutable {
        if (done) {
            if (resource.namespaced && (mutation->frees || mutation->what == What::Delete) &&
                quotas_.guard(cut(name, '/').first))
                quotas_.freed(cut(name, '/').first);
            // A deletion answers with the last state, under the deletion's revision.
            auto object = done->objects.empty() ? nullptr : done->objects.front();
            if (!object && current) {
                store::Object last = *current;
                last.text = current->with_revision(done->revision);
                last.modified = done->revision;
                object = std::make_shared<const store::Object>(std::move(last));
            }
            return answer_mutation(*call, *mutation, object, parts_.clock.now());
        }
        const auto reason = done.error().reason;
        const bool moved_on = reason == Reason::Conflict || reason == Reason::NotFound ||
                              reason == Reason::AlreadyExists;
        if (!moved_on) return call->fail(done.error());
        const int tries_max = contended ? contended_tries_max : mutation_tries_max;
        if (tries + 1 >= tries_max) return call->fail(conflict(resource, call->info.name));
        parts_.executor.post(
            [this, call, &resource, name, decide = std::move(decide), tries]() mutable {
                try_mutation(call, resource, name, std::move(decide), tries + 1);
            });
    });
}

}   // namespace skiff::apiserver
