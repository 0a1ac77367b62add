#include "apiserver/watch_source.h"

#include <mutex>

#include "api/table.h"
#include "apiserver/body.h"
#include "apiserver/status.h"
#include "apiserver/watch_feed.h"
#include "base/guarded.h"
#include "base/text.h"
#include "codec/protobuf.h"

namespace skiff::apiserver {
namespace {

constexpr size_t events_per_pull_max = 128;
constexpr auto bookmark_every = std::chrono::seconds{60};
constexpr auto watch_time_min =
    std::chrono::minutes{30};   // then twice this at the most, as upstream

// Holds what may be called from other threads; outlives neither the source nor the wake.
struct Alarm {
    Guarded<std::function<void()>> wake;
    void ring() {
        auto call = wake.use([](auto& function) { return function; });
        if (call) call();
    }
};

Result<std::string> protobuf_object(const ServedResource& resource, std::string_view type,
                                    std::string_view text) {
    TRY(const auto document, codec::parse_json(text));
    if (type == "ERROR")
        return in_envelope(*api::builtin_message("meta.v1.Status"), "v1", "Status", document.root);
    return in_envelope(*resource.kind->message, resource.api_version(), resource.kind->kind,
                       document.root);
}

// A length of four bytes, then meta.v1.WatchEvent {1: type, 2: RawExtension {1: the object's own
// envelope}} (apimachinery, runtime/serializer/protobuf and util/framer).
std::string protobuf_frame(const ServedResource& resource, std::string_view type,
                           std::string_view text) {
    auto object = protobuf_object(resource, type, text);
    if (!object) {
        type = "ERROR";
        object = protobuf_object(resource, type, status_json(object.error()));
    }
    std::string frame(4, '\0');
    codec::ProtoWriter writer{frame};
    writer.text(1, type);
    writer.message(2, [&] { writer.bytes(1, object.value_or("")); });
    const auto size = static_cast<uint32_t>(frame.size() - 4);
    for (size_t i = 0; i < 4; ++i) frame[i] = static_cast<char>(size >> (24 - 8 * i));
    return frame;
}

class WatchSource final : public net::BodySource, public std::enable_shared_from_this<WatchSource> {
  public:
    WatchSource(CallPtr call, const RegistryParts& parts, std::unique_ptr<WatchFeed> feed,
                std::shared_ptr<Alarm> alarm)
        : call_{std::move(call)}, parts_{parts}, feed_{std::move(feed)}, alarm_{std::move(alarm)} {}

    ~WatchSource() override {
        alarm_->wake.use([](auto& wake) { wake = nullptr; });
        parts_.executor.cancel(bookmark_timer_);
        parts_.executor.cancel(end_timer_);
    }

    void begin() {
        const auto jitter = std::chrono::seconds{static_cast<int64_t>(parts_.random.below(1800))};
        const Duration time = call_->options.timeout > std::chrono::seconds{0}
                                  ? Duration{*call_->options.timeout}
                                  : watch_time_min + jitter;
        ends_at_ = parts_.clock.monotonic() + time;
        end_timer_ = parts_.executor.after(time, [alarm = alarm_] { alarm->ring(); });
        if (call_->options.allow_watch_bookmarks) set_bookmark_timer();
    }

    bool may_end_early() const override { return true; }

    void on_wake(std::function<void()> wake) override {
        alarm_->wake.use([&](auto& held) { held = std::move(wake); });
    }

    State pull(std::vector<Slice>& out, size_t want) override {
        if (ended_) return State::End;
        size_t taken = 0;
        while (taken < want) {
            auto events = feed_->next(events_per_pull_max);
            if (!events) {
                emit("ERROR", Slice{Bytes{status_json(events.error())}}, out);
                ended_ = true;
                return State::More;
            }
            if (events->empty()) break;
            for (const auto& event : *events) taken += emit_event(event, out);
        }
        if (taken) return State::More;
        const auto now = parts_.clock.monotonic();
        if (now >= ends_at_) {
            ended_ = true;
            if (call_->options.allow_watch_bookmarks) {
                emit_bookmark(feed_->progress(), false, out);
                return State::More;
            }
            return State::End;
        }
        if (bookmark_at_ && now >= *bookmark_at_) {
            set_bookmark_timer();
            emit_bookmark(feed_->progress(), false, out);
            return State::More;
        }
        return State::Wait;
    }

  private:
    void set_bookmark_timer() {
        bookmark_at_ = parts_.clock.monotonic() + bookmark_every;
        bookmark_timer_ =
            parts_.executor.after(bookmark_every, [alarm = alarm_] { alarm->ring(); });
    }

    size_t emit(std::string_view type, Slice object, std::vector<Slice>& out) {
        if (protobuf()) {
            auto frame = protobuf_frame(*call_->resource, type, object.view());
            const size_t size = frame.size();
            out.emplace_back(Bytes{std::move(frame)});
            return size;
        }
        static const Bytes end{"}\n"};
        const size_t size = object.size + type.size();
        out.emplace_back(Bytes{concat(R"({"type":")", type, R"(","object":)")});
        out.push_back(std::move(object));
        out.emplace_back(end);
        return size;
    }

    bool protobuf() const { return call_->accepted.encoding == Negotiated::Encoding::Protobuf; }

    size_t emit_bookmark(store::Revision revision, bool initial_end, std::vector<Slice>& out) {
        return emit("BOOKMARK", Slice{Bytes{bookmark(revision, initial_end)}}, out);
    }

    // In the form that the client decodes: a metadata-only client knows no Pod.
    std::string bookmark(store::Revision revision, bool initial_end) const {
        if (call_->accepted.form == Negotiated::Form::Object)
            return bookmark_object(*call_->resource, revision, initial_end);
        const bool table = call_->accepted.form == Negotiated::Form::Table;
        return concat(
            R"({"kind":")", table ? "Table" : "PartialObjectMetadata",
            R"(","apiVersion":"meta.k8s.io/)", call_->accepted.meta_version,
            R"(","metadata":{"resourceVersion":")", revision.value, '"',
            initial_end && !table ? R"(,"annotations":{"k8s.io/initial-events-end":"true"})" : "",
            table ? R"(},"columnDefinitions":null,"rows":[]})" : "}}");
    }

    size_t emit_event(const FeedEvent& event, std::vector<Slice>& out) {
        if (event.type == FeedEvent::Type::Bookmark)
            return emit_bookmark(event.revision, event.initial_end, out);
        auto object = in_form(event);
        if (!object) return emit("ERROR", Slice{Bytes{status_json(object.error())}}, out);
        return emit(type_text(event.type), std::move(*object), out);
    }

    Result<Slice> in_form(const FeedEvent& event) {
        TRY(auto slice, served_bytes(*call_->resource, event.text));
        if (call_->accepted.form == Negotiated::Form::Object) return slice;
        TRY(auto document, codec::parse_json(slice.view()));
        auto& arena = document.arena;
        if (call_->accepted.form == Negotiated::Form::PartialObjectMetadata)
            return Slice{Bytes{codec::to_json(
                partial_metadata(document.root, call_->accepted.meta_version, arena))}};
        const auto include = call_->options.include_object == "None" ? api::IncludeObject::None
                             : call_->options.include_object == "Object"
                                 ? api::IncludeObject::Object
                                 : api::IncludeObject::Metadata;
        auto table =
            api::make_table(*call_->resource->kind, {&document.root, 1}, include,
                            concat("meta.k8s.io/", call_->accepted.meta_version),
                            std::to_string(event.revision.value), parts_.clock.now(), arena);
        if (std::exchange(columns_sent_, true))
            table.set_borrowed(arena, "columnDefinitions", Json{});
        return Slice{Bytes{codec::to_json(table)}};
    }

    CallPtr call_;
    RegistryParts parts_;
    std::unique_ptr<WatchFeed> feed_;
    std::shared_ptr<Alarm> alarm_;
    MonoTime ends_at_;
    std::optional<MonoTime> bookmark_at_;
    TimerId bookmark_timer_ = TimerId::None;
    TimerId end_timer_ = TimerId::None;
    bool ended_ = false;
    bool columns_sent_ = false;
};

}   // namespace

std::string bookmark_object(const ServedResource& resource, store::Revision revision,
                            bool initial_end) {
    return concat(
        R"({"kind":")", resource.kind->kind, R"(","apiVersion":")", resource.api_version(),
        R"(","metadata":{"resourceVersion":")", revision.value, R"(","creationTimestamp":null)",
        initial_end ? R"(,"annotations":{"k8s.io/initial-events-end":"true"})" : "", "}}");
}

void serve_watch(const CallPtr& call, const RegistryParts& parts) {
    guard(call, [&]() -> Result<> {
        auto alarm = std::make_shared<Alarm>();
        TRY(auto feed,
            WatchFeed::open(*call, parts.store, *call->resource, [alarm] { alarm->ring(); }));
        auto source = std::make_shared<WatchSource>(call, parts, std::move(feed), std::move(alarm));
        source->begin();
        net::Response response;
        response.headers.add("content-type",
                             call->accepted.encoding == Negotiated::Encoding::Protobuf
                                 ? "application/vnd.kubernetes.protobuf;stream=watch"
                                 : "application/json");
        response.source = source;
        call->answer(std::move(response));
        return {};
    });
}

}   // namespace skiff::apiserver
