#include "apiserver/audit.h"

#include <algorithm>

#include "apiserver/call.h"
#include "apiserver/objects.h"
#include "base/guarded.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/json_text.h"

namespace skiff::apiserver {
namespace {

constexpr size_t waiting_bytes_max = 8u << 20;
constexpr auto gather_time = std::chrono::milliseconds{50};
constexpr size_t body_bytes_max = 1u << 20;   // a larger one is left out

void put(std::string& out, std::string_view key, std::string_view value) {
    append(out, ",\"", key, "\":");
    codec::write_json_string(value, out);
}

void put_unless_empty(std::string& out, std::string_view key, std::string_view value) {
    if (!value.empty()) put(out, key, value);
}

std::string user_text(const User& user) {
    std::string out = "{\"username\":";
    codec::write_json_string(user.name, out);
    put_unless_empty(out, "uid", user.uid);
    if (!user.groups.empty()) append(out, ",\"groups\":", codec::quoted_list(user.groups));
    if (!user.extra.empty()) {
        out += ",\"extra\":{";
        bool first = true;
        for (const auto& [key, values] : user.extra) {
            if (!std::exchange(first, false)) out += ',';
            codec::write_json_string(key, out);
            append(out, ":", codec::quoted_list(values));
        }
        out += '}';
    }
    return out + "}";
}

std::vector<std::string> sources_of(const net::Request& request) {
    std::vector<std::string> sources;
    if (const auto forwarded = request.headers.find("x-forwarded-for"))
        for (const auto address : split(*forwarded, ',')) sources.emplace_back(trim(address));
    const auto remote = request.peer ? request.peer->address : std::string{"127.0.0.1"};
    if (sources.empty() || sources.back() != remote) sources.push_back(remote);
    return sources;
}

// Their bodies hold what nobody may read elsewhere.
bool confidential(const RequestInfo& info) {
    return (info.group.empty() && info.resource == "secrets") || info.resource == "tokenreviews" ||
           info.subresource == "token";
}

std::string object_text(const RequestInfo& info, std::string_view name) {
    std::string out = "{\"resource\":";
    codec::write_json_string(info.resource, out);
    put_unless_empty(out, "namespace", info.name_space);
    put_unless_empty(out, "name", info.name.empty() ? name : std::string_view{info.name});
    put_unless_empty(out, "apiGroup", info.group);
    put_unless_empty(out, "apiVersion", info.version);
    put_unless_empty(out, "subresource", info.subresource);
    return out + "}";
}

std::optional<codec::Document> json_body(const net::Response& response) {
    size_t size = 0;
    for (const auto& slice : response.body) size += slice.size;
    const auto type = response.headers.find("content-type").value_or("");
    if (size == 0 || size > body_bytes_max || !type.starts_with("application/json")) return {};
    std::string text;
    for (const auto& slice : response.body) text += slice.view();
    auto document = codec::parse_json(text);
    if (!document || !document->root.is_object()) return {};
    return std::move(*document);
}

std::string status_text(int code, const codec::Document* failure) {
    std::string out = R"({"metadata":{})";
    if (failure) {
        put_unless_empty(out, "status", failure->root.text_at({"status"}));
        put_unless_empty(out, "message", failure->root.text_at({"message"}));
        put_unless_empty(out, "reason", failure->root.text_at({"reason"}));
    }
    append(out, ",\"code\":", code, "}");
    return out;
}

void drop_managed_fields(Json& object) {
    if (auto* metadata = object.find("metadata")) metadata->remove("managedFields");
    if (auto* items = object.find("items"))
        for (auto& item : items->items())
            if (auto* metadata = item.find("metadata")) metadata->remove("managedFields");
}

void put_answer(std::string& out, const Call& call, const AuditEntry& entry,
                const net::Response& response) {
    const bool wants = entry.decision.level == AuditLevel::RequestResponse &&
                       !confidential(call.info) && call.info.is_resource;
    auto body = response.status >= 400 || wants ? json_body(response) : std::nullopt;
    append(out, ",\"responseStatus\":",
           status_text(response.status, response.status >= 400 && body ? &*body : nullptr));
    if (!entry.request_object.empty() && !confidential(call.info))
        append(out, ",\"requestObject\":", entry.request_object);
    if (!wants || !body) return;
    if (entry.decision.omit_managed_fields) drop_managed_fields(body->root);
    append(out, ",\"responseObject\":", codec::to_json(body->root));
}

// A stream whose end is told.
class ToldSource final : public net::BodySource {
  public:
    ToldSource(std::shared_ptr<net::BodySource> inner, std::move_only_function<void()> ended)
        : inner_{std::move(inner)}, ended_{std::move(ended)} {}
    ~ToldSource() override { tell(); }
    State pull(std::vector<Slice>& out, size_t want) override {
        const auto state = inner_->pull(out, want);
        if (state == State::End || state == State::Abort) tell();
        return state;
    }
    void on_wake(std::function<void()> wake) override { inner_->on_wake(std::move(wake)); }
    bool may_end_early() const override { return inner_->may_end_early(); }

  private:
    void tell() {
        if (auto ended = std::exchange(ended_, {})) ended();
    }

    std::shared_ptr<net::BodySource> inner_;
    std::move_only_function<void()> ended_;
};

}   // namespace

struct AuditLog::State : std::enable_shared_from_this<State> {
    State(Sink its_sink, Executor& its_executor)
        : sink{std::move(its_sink)}, executor{its_executor} {}

    struct Waiting {
        std::string lines;
        uint64_t count = 0;
        bool scheduled = false;
        AuditStatistics statistics;
    };
    Sink sink;
    Executor& executor;
    Guarded<Waiting> waiting;
    Guarded<bool> writing{false};

    void add(std::string_view line) {
        const bool schedule = waiting.use([&](Waiting& now) {
            if (now.lines.size() + line.size() > waiting_bytes_max) {
                ++now.statistics.dropped;
                now.statistics.problem = "more than can be written";
                return false;
            }
            append(now.lines, line, "\n");
            ++now.count;
            ++now.statistics.events;
            return !std::exchange(now.scheduled, true);
        });
        if (!schedule) return;
        executor.after(gather_time, [weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->flush();
        });
    }

    void flush() {
        writing.use([&](bool&) {
            uint64_t count = 0;
            const auto lines = waiting.use([&](Waiting& now) {
                now.scheduled = false;
                count = std::exchange(now.count, 0);
                return std::exchange(now.lines, {});
            });
            if (lines.empty()) return;
            const auto done = sink(lines);
            const bool news = waiting.use([&](Waiting& now) {
                const bool was_well = now.statistics.problem.empty();
                now.statistics.problem = done ? std::string{} : done.error().message;
                if (done) return !was_well;
                now.statistics.dropped += count;
                return was_well;
            });
            if (news && !done)
                log_error("the audit log loses events", {{"error", done.error().message}});
            else if (news)
                log_info("the audit log is written again");
        });
    }
};

AuditLog::AuditLog(AuditPolicy policy, Sink sink, Executor& executor, Random& random)
    : policy_{std::move(policy)},
      executor_{executor},
      random_{random},
      state_{std::make_shared<State>(std::move(sink), executor)} {}

AuditLog::~AuditLog() { state_->flush(); }

std::shared_ptr<AuditEntry> AuditLog::begin(const User& user, const RequestInfo& info,
                                            const net::Request& request) {
    const auto decision = policy_.decide(user, info);
    if (decision.level == AuditLevel::None) return nullptr;
    const auto given = request.headers.find("audit-id");
    const bool usable = given && !given->empty() && given->size() <= 64;
    return std::make_shared<AuditEntry>(
        AuditEntry{.decision = decision,
                   .id = usable ? std::string{*given} : random_.uuid(),
                   .received = executor_.clock().now(),
                   .user = user,
                   .annotations = {},
                   .object_name = {},
                   .request_object = {}});
}

void AuditLog::tell(const Call& call, const AuditEntry& entry, AuditStage stage,
                    const net::Response* response) {
    if (!entry.decision.tells(stage)) return;
    state_->add(audit_event(call, entry, stage, response, executor_.clock().now()));
}

AuditStatistics AuditLog::statistics() const {
    return state_->waiting.use([](const auto& now) { return now.statistics; });
}

void AuditLog::tell_now(std::string event) {
    constexpr std::string_view key = R"("stageTimestamp":")";
    const auto time = rfc3339_micro(executor_.clock().now());
    if (const auto at = event.rfind(key); at != std::string::npos)
        event.replace(at + key.size(), time.size(), time);
    state_->add(event);
}

void audit_answer(const std::shared_ptr<AuditLog>& log, const Call& call, net::Response& response) {
    const auto entry = call.audit;
    if (!entry) return;
    response.headers.set("audit-id", entry->id);
    const bool runs_on = response.source || response.status == 101;
    if (runs_on) log->tell(call, *entry, AuditStage::ResponseStarted, &response);
    if (!response.source) return log->tell(call, *entry, AuditStage::ResponseComplete, &response);
    if (!entry->decision.tells(AuditStage::ResponseComplete)) return;
    const net::Response ended{.status = response.status};
    auto event = audit_event(call, *entry, AuditStage::ResponseComplete, &ended, entry->received);
    response.source = std::make_shared<ToldSource>(
        std::move(response.source),
        [log, event = std::move(event)]() mutable { log->tell_now(std::move(event)); });
}

std::string audit_event(const Call& call, const AuditEntry& entry, AuditStage stage,
                        const net::Response* response, WallTime now) {
    std::string out = R"({"kind":"Event","apiVersion":"audit.k8s.io/v1")";
    const auto level = entry.decision.level > AuditLevel::Metadata && confidential(call.info)
                           ? AuditLevel::Metadata
                           : entry.decision.level;
    put(out, "level", text_of(level));
    put(out, "auditID", entry.id);
    put(out, "stage", text_of(stage));
    const auto& query = call.request.query;
    put(out, "requestURI",
        query.empty() ? call.request.path : concat(call.request.path, "?", query));
    put(out, "verb", call.info.verb);
    append(out, ",\"user\":", user_text(entry.user));
    if (call.impersonates) append(out, ",\"impersonatedUser\":", user_text(call.user));
    append(out, ",\"sourceIPs\":", codec::quoted_list(sources_of(call.request)));
    put_unless_empty(out, "userAgent", call.request.headers.find("user-agent").value_or(""));
    if (call.info.is_resource)
        append(out, ",\"objectRef\":", object_text(call.info, entry.object_name));
    if (response) put_answer(out, call, entry, *response);
    put(out, "requestReceivedTimestamp", rfc3339_micro(entry.received));
    put(out, "stageTimestamp", rfc3339_micro(now));
    if (!entry.annotations.empty()) {
        out += ",\"annotations\":{";
        bool first = true;
        for (const auto& [key, value] : entry.annotations) {
            if (!std::exchange(first, false)) out += ',';
            codec::write_json_string(key, out);
            out += ':';
            codec::write_json_string(value, out);
        }
        out += '}';
    }
    return out + "}";
}

}   // namespace skiff::apiserver
