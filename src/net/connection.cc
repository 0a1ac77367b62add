#include "net/connection.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <ctime>

#include "net/http_error.h"

namespace skiff::net {
namespace {

class ConnectionResponder final : public Responder {
  public:
    ConnectionResponder(Loop& loop, std::weak_ptr<Connection> connection, uint32_t exchange)
        : loop_{loop}, connection_{std::move(connection)}, exchange_{exchange} {}

    ~ConnectionResponder() override {
        if (answered_.exchange(true)) return;
        answer(status_response({.reason = Reason::InternalError,
                                .message = "the request was dropped without an answer"}));
    }

    void send(Response response) override {
        if (answered_.exchange(true)) return;
        answer(std::move(response));
    }

    void upgrade(Headers headers, std::function<void(std::unique_ptr<RawStream>)> take) override {
        if (answered_.exchange(true)) return;
        run([exchange = exchange_, headers = std::move(headers),
             take = std::move(take)](Connection& connection) mutable {
            connection.upgrade(exchange, std::move(headers), std::move(take));
        });
    }

    void on_gone(std::function<void()> gone) override {
        if (loop_.in_loop()) {
            with_gone(connection_, exchange_, std::move(gone));
            return;
        }
        loop_.post([weak = connection_, exchange = exchange_, gone = std::move(gone)]() mutable {
            with_gone(weak, exchange, std::move(gone));
        });
    }

    Loop& loop() override { return loop_; }

  private:
    static void with_gone(const std::weak_ptr<Connection>& weak, uint32_t exchange,
                          std::function<void()> gone) {
        if (const auto connection = weak.lock()) {
            connection->watch_gone(exchange, std::move(gone));
        } else {
            gone();
        }
    }

    void answer(Response response) {
        run([exchange = exchange_, response = std::move(response)](Connection& connection) mutable {
            connection.answer(exchange, std::move(response));
        });
    }

    // On the loop, at once when already there. The connection is locked on the loop only, so
    // that it also dies there.
    template <class F>
    void run(F function) {
        if (connection_.expired()) return;   // at the end of all things even the loop may be gone
        if (loop_.in_loop()) {
            if (const auto connection = connection_.lock()) function(*connection);
            return;
        }
        loop_.post([weak = connection_, function = std::move(function)]() mutable {
            if (const auto connection = weak.lock()) function(*connection);
        });
    }

    Loop& loop_;
    const std::weak_ptr<Connection> connection_;
    const uint32_t exchange_;
    std::atomic<bool> answered_{false};
};

struct WakeState {
    Loop& loop;
    std::weak_ptr<Connection> connection;
    uint32_t exchange;
    std::atomic<bool> posted{false};
};

}   // namespace

std::shared_ptr<Responder> make_responder(Loop& loop, std::weak_ptr<Connection> connection,
                                          uint32_t exchange) {
    return std::make_shared<ConnectionResponder>(loop, std::move(connection), exchange);
}

std::function<void()> make_wake(Loop& loop, std::weak_ptr<Connection> connection,
                                uint32_t exchange) {
    auto state = std::make_shared<WakeState>(loop, std::move(connection), exchange);
    return [state = std::move(state)] {
        if (state->connection.expired() || state->posted.exchange(true)) return;
        state->loop.post([state] {
            state->posted = false;   // before the pull: what comes during it wakes again
            if (const auto held = state->connection.lock()) held->wake(state->exchange);
        });
    };
}

void Hub::adopt(std::shared_ptr<Connection> connection) {
    auto* key = connection.get();
    connections.emplace(key, std::move(connection));
}

std::string_view Hub::date() {
    const auto now = std::chrono::floor<std::chrono::seconds>(loop.clock().now());
    const auto second = now.time_since_epoch().count();
    if (second == date_second_) return date_;
    const auto time = static_cast<std::time_t>(second);
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    char text[64];
    const auto size = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    date_.assign(text, size);
    date_second_ = second;
    return date_;
}

OutgoingBody::OutgoingBody(std::vector<Slice> slices, std::shared_ptr<BodySource> source)
    : slices_{std::move(slices)}, source_{std::move(source)} {
    for (const auto& slice : slices_) available_ += slice.size;
}

OutgoingBody::State OutgoingBody::fill(size_t want) {
    while (true) {
        if (available_ > 0) return State::More;
        if (!source_) return State::End;
        slices_.clear();
        index_ = offset_ = 0;
        const auto state = source_->pull(slices_, want);
        for (const auto& slice : slices_) available_ += slice.size;
        if (state == State::Abort) return State::Abort;
        if (state == State::End) source_.reset();
        if (state == State::Wait && available_ == 0) return State::Wait;
    }
}

template <class Use>
void OutgoingBody::consume(size_t size, Use use) {
    ASSERT(size <= available_);
    available_ -= size;
    while (size > 0) {
        auto& slice = slices_[index_];
        const auto piece = slice.view().substr(offset_, size);
        use(piece);
        offset_ += piece.size();
        size -= piece.size();
        if (offset_ < slice.size) continue;
        slice = Slice{};   // large lists are freed as they leave
        offset_ = 0;
        ++index_;
    }
}

void OutgoingBody::take(char* into, size_t size) {
    consume(size, [&](std::string_view piece) {
        if (!piece.empty()) std::memcpy(into, piece.data(), piece.size());
        into += piece.size();
    });
}

void OutgoingBody::append_to(std::string& out, size_t size) {
    consume(size, [&](std::string_view piece) { out.append(piece); });
}

Deadline::~Deadline() {
    if (timer_ != TimerId::None) loop_.cancel(timer_);
}

void Deadline::set(Duration from_now) {
    at_ = loop_.clock().monotonic() + from_now;
    if (at_ < timer_at_) arm();
}

void Deadline::arm() {
    if (timer_ != TimerId::None) loop_.cancel(timer_);
    timer_at_ = at_;
    timer_ = loop_.after(at_ - loop_.clock().monotonic(), [this] { fire(); });
}

void Deadline::fire() {
    timer_ = TimerId::None;
    timer_at_ = MonoTime::max();
    if (!is_set()) return;
    if (loop_.clock().monotonic() < at_) {
        arm();
        return;
    }
    clear();
    const auto passed = passed_;   // it may destroy this
    passed();
}

}   // namespace skiff::net
