#include "apiserver/local_transport.h"

#include "apiserver/api_server.h"
#include "apiserver/watch_feed.h"
#include "apiserver/watch_source.h"
#include "base/text.h"

#include <mutex>

namespace skiff::apiserver {
namespace {

constexpr size_t events_per_turn_max = 64;

Bytes whole_body(const net::Response& response) {
    if (response.body.size() == 1 &&
        response.body.front().size == response.body.front().whole.size())
        return response.body.front().whole;
    std::string joined;
    for (const auto& slice : response.body) joined += slice.view();
    return Bytes{joined};
}

// Turns store events into calls of the sink, one turn at a time on a strand.
class LocalStream final : public client::Transport::Stream {
  public:
    struct State : std::enable_shared_from_this<State> {
        State(ApiServer& api, CallPtr call_, std::shared_ptr<client::WatchSink> sink_)
            : server{api},
              call{std::move(call_)},
              sink{std::move(sink_)},
              strand{api.registry().parts().executor} {}

        void ring() {
            strand.post([weak = weak_from_this()] {
                if (const auto self = weak.lock()) self->turn();
            });
        }
        void turn() {
            const std::lock_guard lock{delivering};
            if (stopped || !feed) return;
            auto events = feed->next(events_per_turn_max);
            if (!events) {
                feed.reset();
                return sink->ended(std::unexpected{events.error()});
            }
            for (auto& event : *events) {
                if (stopped) return;
                deliver(event);
            }
            if (events->size() >= events_per_turn_max) ring();
        }
        void deliver(FeedEvent& event) {
            using Type = client::WatchEvent::Type;
            client::WatchEvent out;
            if (event.type == FeedEvent::Type::Bookmark) {
                out.type = Type::Bookmark;
                out.object =
                    Bytes{bookmark_object(*call->resource, event.revision, event.initial_end)};
                return sink->event(std::move(out));
            }
            out.type = event.type == FeedEvent::Type::Added      ? Type::Added
                       : event.type == FeedEvent::Type::Modified ? Type::Modified
                                                                 : Type::Deleted;
            out.object = event.text;
            if (call->resource->kind != call->resource->stored) {
                auto slice = served_bytes(*call->resource, event.text);
                if (!slice) return;
                out.object = slice->whole;
            }
            sink->event(std::move(out));
        }

        ApiServer& server;
        CallPtr call;
        std::shared_ptr<client::WatchSink> sink;
        std::unique_ptr<WatchFeed> feed;
        std::atomic<bool> stopped{false};
        std::recursive_mutex delivering;   // the sink may destroy the stream inside a call
        Strand strand;
    };

    explicit LocalStream(std::shared_ptr<State> state) : state_{std::move(state)} {}
    ~LocalStream() override {
        state_->stopped = true;
        const std::lock_guard lock{state_->delivering};
        // Here: a notification under way may hold the state last, and must not destroy its own
        // watch.
        state_->feed.reset();
    }

  private:
    std::shared_ptr<State> state_;
};

class LocalTransport final : public client::Transport {
  public:
    LocalTransport(ApiServer& server, User user) : server_{server}, user_{std::move(user)} {
        add_authenticated_group(user_);
    }

    void send(client::ApiRequest request,
              std::move_only_function<void(Result<client::ApiResponse>)> done) override {
        auto shared = std::make_shared<decltype(done)>(std::move(done));
        const auto call = call_of(std::move(request), [shared](net::Response response) {
            const auto body = whole_body(response);
            if (response.status >= 400)
                return (*shared)(std::unexpected{client::error_from_status(response.status, body)});
            (*shared)(client::ApiResponse{.status = response.status, .body = body});
        });
        server_.serve_authenticated(call);
    }

    std::unique_ptr<Stream> watch(client::ApiRequest request,
                                  std::shared_ptr<client::WatchSink> sink) override {
        // The pipeline's checks run on a call of their own; then the feed is read without HTTP.
        request.query += request.query.empty() ? "watch=true" : "&watch=true";
        auto call = call_of(std::move(request), [](net::Response) {});
        auto state = std::make_shared<LocalStream::State>(server_, call, std::move(sink));
        auto opened = server_.open_watch(call, [weak = std::weak_ptr{state}] {
            if (const auto held = weak.lock()) held->ring();
        });
        if (opened) {
            const std::lock_guard lock{state->delivering};   // it may have been rung already
            state->feed = std::move(*opened);
        } else
            state->strand.post([state, error = std::move(opened).error()]() mutable {
                if (!state->stopped) state->sink->ended(std::unexpected{std::move(error)});
            });
        state->ring();
        return std::make_unique<LocalStream>(std::move(state));
    }

  private:
    CallPtr call_of(client::ApiRequest request, std::function<void(net::Response)> reply) const {
        net::Request incoming{.method = std::move(request.method),
                              .path = std::move(request.path),
                              .query = std::move(request.query)};
        if (!request.content_type.empty())
            incoming.headers.add("content-type", request.content_type);
        incoming.headers.add("user-agent", cut(user_.name, '/').first);
        incoming.body = std::move(request.body);
        auto call = std::make_shared<Call>(std::move(incoming), nullptr, std::move(reply));
        call->user = user_;
        return call;
    }

    ApiServer& server_;
    User user_;
};

}   // namespace

std::unique_ptr<client::Transport> make_local_transport(ApiServer& server, User user) {
    return std::make_unique<LocalTransport>(server, std::move(user));
}

}   // namespace skiff::apiserver
