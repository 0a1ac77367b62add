#include "net/opening.h"

#include "base/text.h"

namespace skiff::net {

Opening::Opening(Loop& loop, Endpoint endpoint, Transport::ClientTls tls)
    : loop_{loop},
      endpoint_{std::move(endpoint)},
      tls_{std::move(tls)},
      target_{endpoint_.host, endpoint_.port, endpoint_.unix_path} {}

Opening::~Opening() {
    if (timer_ != TimerId::None) loop_.cancel(timer_);
    if (channel_ && done_) channel_->close();
}

void Opening::start(Duration timeout, Done done) {
    timeout_ = timeout;
    done_ = std::move(done);
    dial_ = dial(loop_, target_, timeout, [this](Result<Fd> fd) { dialled(std::move(fd)); });
}

void Opening::dialled(Result<Fd> fd) {
    if (!fd) return finish(std::unexpected{std::move(fd).error()});
    auto transport = make_transport(*std::move(fd));
    if (!transport) return finish(std::unexpected{std::move(transport).error()});
    channel_ = Channel::make(loop_, *std::move(transport));
    timer_ = loop_.after(timeout_, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->timer_ = TimerId::None;
        self->channel_->close();
        self->finish(fail(
            Reason::ServiceUnavailable,
            concat("connect to ", self->target_.text(), ": TLS handshake: no answer in time")));
    });
    channel_->start(*this);
}

Result<Transport> Opening::make_transport(Fd fd) {
    if (!endpoint_.tls) return Transport{std::move(fd)};
    return Transport::client(std::move(fd), endpoint_.tls->native(), tls_);
}

void Opening::opened() {
    channel_->set_user(nullptr);
    finish(channel_);
}

void Opening::ended(const Error* problem) {
    channel_->close();
    finish(fail(Reason::ServiceUnavailable,
                concat("connect to ", target_.text(), ": ",
                       problem ? problem->message : std::string{"closed at once"})));
}

void Opening::finish(Result<std::shared_ptr<Channel>> result) {
    const auto self = shared_from_this();
    if (timer_ != TimerId::None) loop_.cancel(std::exchange(timer_, TimerId::None));
    if (const auto done = std::exchange(done_, nullptr)) done(std::move(result));
}

}   // namespace skiff::net
