#include "client/plan.h"

#include <algorithm>

#include "base/log.h"

namespace skiff::client {
namespace {

// As upstream's ControllerExpectations: an expectation that old is wrong, not late.
constexpr Duration expectation_age_max = 5min;
// The event that is awaited wakes the key; this is for events that never come, such as of an
// object that no longer matches the informer's selector.
constexpr Duration look_again_min = 100ms;
constexpr Duration look_again_max = 30s;

Result<std::string> json_patch_with_tests(const Write& write) {
    const auto body = trim(write.body);
    if (!body.starts_with('[')) return fail(Reason::BadRequest, "a JSON patch must be an array");
    std::string out = "[";
    const auto test = [&](std::string_view path, std::string_view value) {
        if (value.empty()) return;
        append(out, out.size() > 1 ? "," : "", R"({"op":"test","path":")", path, R"(","value":)");
        codec::write_json_string(value, out);
        out += "}";
    };
    test("/metadata/uid", write.uid);
    test("/metadata/resourceVersion", write.resource_version);
    const auto rest = trim(body.substr(1));
    append(out, rest.starts_with(']') ? "" : ",", rest);
    return out;
}

// Answers that say: what was wanted is so already.
bool is_done(const Write& write, const Error& error) {
    if (write.verb == Write::Verb::Create)
        return write.if_absent && error.reason == Reason::AlreadyExists;
    if (write.verb != Write::Verb::Delete) return false;
    const bool other_object =
        error.reason == Reason::Conflict && !write.uid.empty() && write.resource_version.empty();
    return error.reason == Reason::NotFound || other_object;
}

std::string what_is_done(const Write& write) {
    constexpr std::string_view verbs[] = {"create", "update", "patch", "delete"};
    return concat(verbs[static_cast<size_t>(write.verb)], " ", write.resource.resource, " ",
                  write.key.text());
}

}   // namespace

Result<std::string> with_preconditions(const Write& write) {
    if (write.verb == Write::Verb::Delete || (write.uid.empty() && write.resource_version.empty()))
        return write.body;
    if (write.verb == Write::Verb::Patch && write.patch == PatchType::Json)
        return json_patch_with_tests(write);
    TRY(auto document, codec::parse_json(write.body));
    if (!document.root.is_object()) return fail(Reason::BadRequest, "a body must be an object");
    auto& metadata = document.root.make_object(document.arena, "metadata");
    const auto set = [&](std::string_view name, std::string_view value) {
        if (value.empty()) return;
        metadata.set(document.arena, name, codec::Json::string(document.arena, value));
    };
    set("uid", write.uid);
    set("resourceVersion", write.resource_version);
    return codec::to_json(document.root);
}

void PlanExecutor::observe(const ResourceName& resource, const InformerCore& informer) {
    informers_.emplace_back(resource, &informer);
}

const InformerCore* PlanExecutor::informer_of(const ResourceName& resource) const {
    const auto known = std::ranges::find_if(
        informers_, [&](const auto& entry) { return entry.first == resource; });
    return known == informers_.end() ? nullptr : known->second;
}

bool PlanExecutor::seen(const Expectation& expectation) const {
    if (expectation.at_version)
        return expectation.informer->reached(expectation.key, *expectation.at_version);
    const auto now = expectation.informer->cache().version_of(expectation.key);
    return !now || now->uid != expectation.was.uid ||
           now->resource_version != expectation.was.resource_version;
}

bool PlanExecutor::settled(const ObjectKey& key) {
    const MonoTime now = client_.executor().clock().monotonic();
    return expectations_.use([&](auto& all) {
        const auto mine = all.find(key);
        if (mine == all.end()) return true;
        std::erase_if(mine->second, [&](const Expectation& expectation) {
            return now - expectation.since > expectation_age_max || seen(expectation);
        });
        if (!mine->second.empty()) return false;
        all.erase(mine);
        return true;
    });
}

Result<Requeue> PlanExecutor::reconcile(const ObjectKey& key, const Planner& planner) {
    if (leadership_ && !leadership_->leads()) return Requeue::no();   // keys come anew to a leader
    if (!settled(key)) {
        const MonoTime now = client_.executor().clock().monotonic();
        const Duration age = expectations_.use([&](auto& all) {
            const auto mine = all.find(key);
            return mine == all.end() ? Duration::zero() : now - mine->second.front().since;
        });
        return Requeue::in(std::clamp(age, look_again_min, look_again_max));
    }
    TRY(const Plan plan, planner());
    return carry_out(key, plan);
}

Result<Requeue> PlanExecutor::carry_out(const ObjectKey& key, const Plan& plan) {
    for (const Write& write : plan.writes) {
        if (leadership_ && !leadership_->leads()) return Requeue::no();
        auto done = carry_out_one(key, write);
        if (!done && !is_done(write, done.error()))
            return std::unexpected{std::move(done).error().in(what_is_done(write))};
    }
    if (plan.again) return Requeue::in(*plan.again);
    return Requeue::no();
}

Result<> PlanExecutor::carry_out_one(const ObjectKey& key, const Write& write) {
    const InformerCore* informer = informer_of(write.resource);
    const bool removes = write.verb == Write::Verb::Delete;
    const auto was = informer && removes ? informer->cache().version_of(write.key) : std::nullopt;
    TRY(auto body, with_preconditions(write));
    TRY(const Bytes answer, send(write, std::move(body)));
    if (!informer || (removes && !was)) return {};
    Expectation expectation{
        .informer = informer, .key = write.key, .since = client_.executor().clock().monotonic()};
    if (removes) {
        expectation.was = *was;
    } else {
        // A subresource may answer with another kind (a Status for a Binding): nothing to wait for.
        const auto identity = identity_of(answer.view());
        if (!identity || identity->resource_version.empty()) return {};
        expectation.key = {identity->name_space, identity->name};
        expectation.at_version = identity->resource_version;
    }
    expectations_.use([&](auto& all) { all[key].push_back(std::move(expectation)); });
    return {};
}

Result<Bytes> PlanExecutor::send(const Write& write, std::string body) {
    switch (write.verb) {
    case Write::Verb::Create:
        return client_.create_text(write.resource, write.key.name_space, std::move(body),
                                   write.subresource.empty() ? "" : write.key.name,
                                   write.subresource);
    case Write::Verb::Update:
        return client_.update_text(write.resource, write.key, std::move(body), write.subresource);
    case Write::Verb::Patch:
        return client_.patch_text(write.resource, write.key, write.patch, std::move(body),
                                  write.subresource);
    case Write::Verb::Delete: {
        DeletePreconditions preconditions = write.deletion;
        if (!write.uid.empty()) preconditions.uid = write.uid;
        if (!write.resource_version.empty())
            preconditions.resource_version = write.resource_version;
        return client_.remove_for_answer(write.resource, write.key, preconditions);
    }
    }
    return fail(Reason::InternalError, "a write without a verb");
}

}   // namespace skiff::client
