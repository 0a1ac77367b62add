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
constexpr int name_tries_max = 8;

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

// The request may have reached the server although no answer came back.
bool may_be_done(const Error& error) {
    switch (error.reason) {
    case Reason::ServiceUnavailable:
    case Reason::ServerTimeout:
    case Reason::Timeout:
    case Reason::InternalError:
    case Reason::Unknown: return true;
    default: return false;
    }
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
    if (const auto at = text.find(what); at != std::string::npos) text.replace(at, what.size(), by);
    return text;
}

std::string what_is_done(const Write& write) {
    constexpr std::string_view verbs[] = {"create", "update", "patch", "delete"};
    return concat(verbs[static_cast<size_t>(write.verb)], " ", write.resource.resource, " ",
                  write.key.text());
}

}   // namespace

bool is_namespace_ending(const Error& error) {
    return std::ranges::any_of(
        error.causes, [](const Cause& cause) { return cause.type == "NamespaceTerminating"; });
}

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
    if (expectation.in_doubt) return false;
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

Result<> PlanExecutor::settle_doubts(const ObjectKey& key) {
    std::vector<Expectation> doubts;
    expectations_.use([&](auto& all) {
        const auto mine = all.find(key);
        if (mine == all.end()) return;
        std::ranges::copy_if(mine->second, std::back_inserter(doubts), &Expectation::in_doubt);
    });
    for (Expectation& doubt : doubts) {
        const auto answer = client_.get_text(doubt.resource, doubt.key);
        std::optional<Expectation> becomes;
        if (answer) {
            const auto identity = identity_of(answer->view());
            if (identity && identity->resource_version != doubt.was.resource_version) {
                becomes = doubt;
                becomes->at_version = identity->resource_version;
            }
        } else if (answer.error().reason != Reason::NotFound) {
            return std::unexpected{answer.error()};
        } else if (!doubt.was.uid.empty()) {
            becomes = doubt;
        }
        expectations_.use([&](auto& all) {
            auto& mine = all[key];
            std::erase_if(mine, [&](const Expectation& one) {
                return one.in_doubt && one.key == doubt.key && one.resource == doubt.resource;
            });
            if (!becomes) return;
            becomes->in_doubt = false;
            mine.push_back(std::move(*becomes));
        });
    }
    return {};
}

Result<Requeue> PlanExecutor::reconcile(const ObjectKey& key, const Planner& planner) {
    if (leadership_ && !leadership_->leads()) return Requeue::no();   // keys come anew to a leader
    TRY_OK(settle_doubts(key));
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
    for (size_t i = 0; i < plan.writes.size();) {
        if (leadership_ && !leadership_->leads()) return Requeue::no();
        if (plan.writes[i].together) {
            TRY(i, carry_out_batches(key, plan, i));
            continue;
        }
        TRY_OK(carry_out_one(key, plan.writes[i++], plan.about));
    }
    if (plan.again) return Requeue::in(*plan.again);
    return Requeue::no();
}

// A name that is taken is chosen anew.
Result<> PlanExecutor::carry_out_one(const ObjectKey& key, const Write& write,
                                     const ObjectReference& about) {
    const auto was = cached_version(write);
    for (int tries = 1;; ++tries) {
        Write named = write;
        TRY(auto request, request_of(named));
        auto answer = client_.call(std::move(request));
        const bool taken =
            write.adds_suffix && !answer && answer.error().reason == Reason::AlreadyExists;
        if (!taken || tries == name_tries_max)
            return answered(key, named, about, was, std::move(answer));
    }
}

// Returns the index behind the run of writes that may go together.
Result<size_t> PlanExecutor::carry_out_batches(const ObjectKey& key, const Plan& plan,
                                               size_t first) {
    size_t end = first;
    while (end < plan.writes.size() && plan.writes[end].together) ++end;
    for (size_t size = 1; first < end; size *= 2) {
        if (leadership_ && !leadership_->leads()) return end;
        const size_t count = std::min(size, end - first);
        TRY_OK(carry_out_batch(key, std::span{plan.writes}.subspan(first, count), plan.about));
        first += count;
    }
    return end;
}

Result<> PlanExecutor::carry_out_batch(const ObjectKey& key, std::span<const Write> writes,
                                       const ObjectReference& about) {
    struct Sent {
        Write write;
        std::optional<ObjectCache::Version> was;
        std::optional<Result<ApiResponse>> answer;
    };
    struct Batch {
        std::vector<Sent> sent;
        std::atomic<size_t> left;
        std::shared_ptr<Waiter> all;
    };
    if (writes.size() == 1) return carry_out_one(key, writes.front(), about);
    const auto batch = std::make_shared<Batch>();
    std::vector<ApiRequest> requests;
    for (const Write& write : writes) {
        auto& one = batch->sent.emplace_back(write, cached_version(write), std::nullopt);
        TRY(auto request, request_of(one.write));
        requests.push_back(std::move(request));
    }
    batch->left = writes.size();
    batch->all = client_.executor().make_waiter();
    for (size_t i = 0; i < requests.size(); ++i) {
        client_.transport().send(std::move(requests[i]), [batch, i](Result<ApiResponse> answer) {
            batch->sent[i].answer = std::move(answer);
            if (batch->left.fetch_sub(1) == 1) batch->all->notify();
        });
    }
    batch->all->wait();
    Result<> first_failure{};
    for (Sent& one : batch->sent) {
        auto done = answered(key, one.write, about, one.was, std::move(*one.answer));
        if (!done && first_failure) first_failure = std::move(done);
    }
    return first_failure;
}

Result<> PlanExecutor::answered(const ObjectKey& key, const Write& write,
                                const ObjectReference& about,
                                const std::optional<ObjectCache::Version>& was,
                                Result<ApiResponse> answer) {
    if (answer) {
        expect(key, write, was, answer->body.view());
        record(write, about, nullptr);
        return {};
    }
    auto& error = answer.error();
    if (is_done(write, error)) return {};
    if (may_be_done(error)) doubt(key, write, was);
    record(write, about, &error);
    return std::unexpected{std::move(error).in(what_is_done(write))};
}

std::optional<ObjectCache::Version> PlanExecutor::cached_version(const Write& write) const {
    const InformerCore* informer = informer_of(write.resource);
    if (!informer || write.verb == Write::Verb::Create) return std::nullopt;
    return informer->cache().version_of(write.key);
}

void PlanExecutor::expect(const ObjectKey& key, const Write& write,
                          const std::optional<ObjectCache::Version>& was, std::string_view answer) {
    const InformerCore* informer = informer_of(write.resource);
    const bool removes = write.verb == Write::Verb::Delete;
    if (!informer || (removes && !was)) return;
    Expectation expectation{.informer = informer,
                            .key = write.key,
                            .at_version = std::nullopt,
                            .was = {},
                            .since = client_.executor().clock().monotonic(),
                            .in_doubt = false,
                            .resource = write.resource};
    if (removes) {
        expectation.was = *was;
    } else {
        // A subresource may answer with another kind (a Status for a Binding): nothing to wait for.
        const auto identity = identity_of(answer);
        if (!identity || identity->resource_version.empty()) return;
        expectation.key = {identity->name_space, identity->name};
        expectation.at_version = identity->resource_version;
    }
    expectations_.use([&](auto& all) { all[key].push_back(std::move(expectation)); });
}

void PlanExecutor::doubt(const ObjectKey& key, const Write& write,
                         const std::optional<ObjectCache::Version>& was) {
    const InformerCore* informer = informer_of(write.resource);
    if (!informer || write.key.name.empty()) return;
    expectations_.use([&](auto& all) {
        all[key].push_back({.informer = informer,
                            .key = write.key,
                            .at_version = std::nullopt,
                            .was = was.value_or(ObjectCache::Version{}),
                            .since = client_.executor().clock().monotonic(),
                            .in_doubt = true,
                            .resource = write.resource});
    });
}

void PlanExecutor::record(const Write& write, const ObjectReference& about, const Error* error) {
    const auto& event = error ? write.when_failed : write.when_done;
    if (!event || !events_ || (error && is_namespace_ending(*error))) return;
    auto message = replaced(event->message, "{name}", write.key.name);
    if (error) message = replaced(message, "{error}", error->message);
    events_->record(about, event->type, event->reason, message);
}

// The request of a write, which gets its name here if that ends by chance.
Result<ApiRequest> PlanExecutor::request_of(Write& write) {
    if (write.adds_suffix) {
        ASSERT(random_ != nullptr);
        write.key.name += random_->name_suffix();
        TRY(auto document, codec::parse_json(write.body));
        document.root.make_object(document.arena, "metadata")
            .set_borrowed(document.arena, "name", codec::Json::borrowed(write.key.name));
        write.body = codec::to_json(document.root);
    }
    TRY(auto body, with_preconditions(write));
    switch (write.verb) {
    case Write::Verb::Create:
        return client_.create_request(write.resource, write.key.name_space, std::move(body),
                                      write.subresource.empty() ? "" : write.key.name,
                                      write.subresource);
    case Write::Verb::Update:
        return client_.update_request(write.resource, write.key, std::move(body),
                                      write.subresource);
    case Write::Verb::Patch:
        return client_.patch_request(write.resource, write.key, write.patch, std::move(body),
                                     write.subresource);
    case Write::Verb::Delete: {
        DeletePreconditions preconditions = write.deletion;
        if (!write.uid.empty()) preconditions.uid = write.uid;
        if (!write.resource_version.empty())
            preconditions.resource_version = write.resource_version;
        return Client::remove_request(write.resource, write.key, preconditions);
    }
    }
    return fail(Reason::InternalError, "a write without a verb");
}

}   // namespace skiff::client
