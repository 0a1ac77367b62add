#include "net/channel.h"

#include <span>

#include <sys/socket.h>

namespace skiff::net {
namespace {

constexpr size_t read_buffer_bytes = 64u << 10;
constexpr int reads_per_round_max = 4;   // then other connections have their turn
constexpr size_t kept_output_bytes_max = 1024;
constexpr size_t swallowed_bytes_max = 16u << 20;
constexpr Duration linger_max = 5s;

// One buffer for all connections of a loop: what arrives is used or copied before the next read.
std::span<char> read_buffer() {
    thread_local const auto buffer = std::make_unique<char[]>(read_buffer_bytes);
    return {buffer.get(), read_buffer_bytes};
}

}   // namespace

std::shared_ptr<Channel> Channel::make(Loop& loop, Transport transport,
                                       std::shared_ptr<void> token) {
    return std::make_shared<Channel>(loop, std::move(transport), std::move(token));
}

Channel::Channel(Loop& loop, Transport transport, std::shared_ptr<void> token)
    : loop_{loop}, transport_{std::move(transport)}, token_{std::move(token)} {}

Channel::~Channel() = default;

void Channel::start(User& user) {
    user_ = &user;
    watch_ = loop_.watch(transport_.fd(), 0, [self = shared_from_this()](unsigned events) {
        const auto pinned = self;   // close() frees this callback
        pinned->on_events(events);
    });
    // In a later round even when plain: callers finish what they are doing first.
    loop_.post([weak = weak_from_this()] {
        if (const auto self = weak.lock(); self && !self->closed_) self->step_handshake();
    });
}

void Channel::on_events(unsigned events) {
    if (closed_) return;
    if (!open_) {
        step_handshake();
        return;
    }
    const bool broken = events & Loop::HangUp;
    if (asked_writable_ || waiting() > 0) {
        const unsigned ready = write_wants_read_ ? Loop::Readable : Loop::Writable;
        if (broken || (events & ready)) write_some();
    }
    if (closed_ || read_ended_ || (paused_ && !finishing_)) {
        if (!closed_ && broken && read_ended_) close();   // both sides are gone
        if (!closed_) update_interest();
        return;
    }
    if (broken || (events & (read_wants_write_ ? Loop::Writable : Loop::Readable))) read_some();
    if (!closed_) update_interest();
}

void Channel::step_handshake() {
    if (open_) return;
    const auto status = transport_.handshake();
    switch (status) {
    case Transport::Status::Ok:
        open_ = true;
        if (user_) user_->opened();
        if (!closed_ && transport_.pending()) read_later();
        if (!closed_) update_interest();
        return;
    case Transport::Status::WantRead:
    case Transport::Status::WantWrite:
        handshake_wants_write_ = status == Transport::Status::WantWrite;
        update_interest();
        return;
    case Transport::Status::Ended:
    case Transport::Status::Failed: fail("TLS handshake"); return;
    }
}

void Channel::read_some() {
    for (int round = 0; round < reads_per_round_max; ++round) {
        const auto buffer = read_buffer();
        const auto outcome = transport_.read(buffer);
        read_wants_write_ = outcome.status == Transport::Status::WantWrite;
        switch (outcome.status) {
        case Transport::Status::Ok: break;
        case Transport::Status::WantRead:
        case Transport::Status::WantWrite: return;
        case Transport::Status::Ended:
            read_ended_ = true;
            if (finishing_ && shut_) {
                close();
            } else if (user_) {
                user_->ended(nullptr);
            }
            return;
        case Transport::Status::Failed: fail("read"); return;
        }
        if (user_) {
            user_->received({buffer.data(), outcome.bytes});
        } else {
            swallowed_ += outcome.bytes;
            if (swallowed_ > swallowed_bytes_max) close();
        }
        if (closed_ || (paused_ && !finishing_)) return;
        // A plain socket is asked again by epoll; a short read needs no second system call.
        if (!transport_.tls() && outcome.bytes < buffer.size()) return;
    }
    if (transport_.pending()) read_later();
}

// Bytes inside OpenSSL are invisible to epoll.
void Channel::read_later() {
    if (read_posted_) return;
    read_posted_ = true;
    loop_.post([weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->read_posted_ = false;
        if (self->closed_ || self->read_ended_ || (self->paused_ && !self->finishing_)) return;
        self->read_some();
        if (!self->closed_) self->update_interest();
    });
}

void Channel::flush() {
    if (closed_ || failed_ || !open_) return;
    while (sent_ < output_.size()) {
        const auto outcome = transport_.write(std::string_view{output_}.substr(sent_));
        write_wants_read_ = outcome.status == Transport::Status::WantRead;
        if (outcome.status == Transport::Status::Ok) {
            sent_ += outcome.bytes;
            continue;
        }
        if (outcome.status == Transport::Status::Failed ||
            outcome.status == Transport::Status::Ended) {
            // The caller is in the midst of something: it hears of this in a later round.
            failed_ = true;
            loop_.post([weak = weak_from_this()] {
                if (const auto self = weak.lock(); self && !self->closed_) self->fail("write");
            });
        } else {
            was_blocked_ = true;
        }
        break;
    }
    if (sent_ == output_.size()) {
        sent_ = 0;
        if (output_.capacity() > kept_output_bytes_max) {
            output_ = {};
        } else {
            output_.clear();
        }
    } else if (sent_ > output_bytes_max) {
        output_.erase(0, sent_);
        sent_ = 0;
    }
    update_interest();
}

void Channel::ask_writable() {
    asked_writable_ = true;
    update_interest();
}

void Channel::write_some() {
    flush();
    if (closed_ || failed_ || waiting() > 0) return;
    const bool told = asked_writable_ || was_blocked_;
    asked_writable_ = was_blocked_ = false;
    if (finishing_) {
        linger();
    } else if (told && user_) {
        user_->writable();
    }
}

void Channel::pause() {
    paused_ = true;
    update_interest();
}

void Channel::resume() {
    if (!paused_) return;
    paused_ = false;
    if (closed_) return;
    if (transport_.pending()) read_later();
    update_interest();
}

void Channel::finish() {
    if (closed_ || finishing_) return;
    finishing_ = true;
    user_ = nullptr;
    const auto self = shared_from_this();
    limit_linger(waiting());
    flush();
    if (failed_ || !open_) {
        close();
    } else if (waiting() == 0) {
        linger();
    }
}

// A slow reader may take what waits as long as it takes some; a silent one has had its time.
void Channel::limit_linger(size_t waiting_before) {
    linger_timer_ = loop_.after(linger_max, [weak = weak_from_this(), waiting_before] {
        const auto self = weak.lock();
        if (!self) return;
        self->linger_timer_ = TimerId::None;
        if (self->shut_ || self->waiting() == waiting_before) {
            self->close();
        } else {
            self->limit_linger(self->waiting());
        }
    });
}

void Channel::linger() {
    if (!shut_) {
        shut_ = true;
        transport_.shut();
    }
    if (read_ended_) {
        close();
    } else {
        if (transport_.pending()) read_later();
        update_interest();
    }
}

void Channel::close() {
    if (closed_) return;
    closed_ = true;
    user_ = nullptr;
    const auto self = shared_from_this();   // the watch's callback may hold the last reference
    if (linger_timer_ != TimerId::None) loop_.cancel(linger_timer_);
    watch_.reset();
    output_ = {};
    sent_ = 0;
    transport_ = Transport{Fd{}};
    token_.reset();
}

void Channel::abandon() {
    if (closed_) return;
    auto* user = user_;
    close();
    const Error problem{.reason = Reason::ServiceUnavailable, .message = "the server is stopping"};
    if (user) user->ended(&problem);
}

void Channel::fail(std::string_view doing) {
    const auto self = shared_from_this();
    auto* user = user_;
    std::string message = transport_.problem();
    if (message.empty()) message = std::string{doing} + ": the peer closed the connection";
    if (transport_.plain_http_on_tls()) {
        constexpr std::string_view answer =
            "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
        [[maybe_unused]] const auto sent =
            ::send(transport_.fd(), answer.data(), answer.size(), MSG_NOSIGNAL);
    }
    failed_ = true;
    const Error problem{.reason = Reason::ServiceUnavailable, .message = std::move(message)};
    close();
    if (user) user->ended(&problem);
}

void Channel::update_interest() {
    if (closed_ || !watch_) return;
    unsigned events = 0;
    if (!open_) {
        events = handshake_wants_write_ ? Loop::Writable : Loop::Readable;
    } else if (!failed_) {
        const bool reading = !read_ended_ && (!paused_ || finishing_);
        if (reading) events |= read_wants_write_ ? Loop::Writable : Loop::Readable;
        if (waiting() > 0) events |= write_wants_read_ ? Loop::Readable : Loop::Writable;
        if (asked_writable_) events |= Loop::Writable;
    }
    watch_->want(events);
}

}   // namespace skiff::net
