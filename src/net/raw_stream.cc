#include "net/raw_stream.h"

namespace skiff::net {
namespace {

constexpr size_t write_mark_bytes = 256u << 10;

// What the channel calls. It outlives the RawStream by the call that is under way, because users
// destroy their stream from within its callbacks.
class Core final : public Channel::User, public std::enable_shared_from_this<Core> {
  public:
    Core(std::shared_ptr<Channel> channel, std::string early)
        : channel_{std::move(channel)}, early_{std::move(early)} {
        channel_->set_user(this);
        channel_->pause();
    }

    void start(std::function<void(std::string_view)> on_data, std::function<void()> on_end) {
        on_data_ = std::move(on_data);
        on_end_ = std::move(on_end);
        started_ = true;
        continue_later();
    }

    void set_paused(bool paused) {
        if (paused_ == paused) return;
        paused_ = paused;
        if (paused) {
            channel_->pause();
        } else if (started_) {
            continue_later();
        }
    }

    bool write(std::string_view bytes) {
        if (released_ || channel_->closed()) return true;   // on_end tells, or has told
        channel_->output().append(bytes);
        channel_->flush();
        if (channel_->waiting() > write_mark_bytes)
            full_ = true;
        else if (full_)
            drained_later();   // by this very write: the channel will not say so any more
        return !full_;
    }

    void on_drain(std::function<void()> drained) { drained_ = std::move(drained); }

    // The polite end; the channel sends the rest by itself.
    void finish() {
        finishing_ = released_ = true;
        channel_->finish();
        // Callbacks often own the stream that they serve: that circle ends here, but not under the
        // feet of the one that is running.
        loop().post([self = shared_from_this()] { self->drop_callbacks(); });
    }

    void destroy() {
        released_ = true;
        channel_->set_user(nullptr);
        if (!finishing_) channel_->close();
    }

    Loop& loop() { return channel_->loop(); }

    void opened() override {}
    void received(std::string_view bytes) override {
        const auto self = shared_from_this();
        on_data_(bytes);
    }
    void writable() override {
        const auto self = shared_from_this();
        if (!full_) return;
        full_ = false;
        if (drained_) drained_();
    }
    void ended(const Error*) override {
        const auto self = shared_from_this();
        tell_end();
    }

  private:
    // Data comes in a round of its own, never from within start() or resume().
    void continue_later() {
        loop().post([weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->go_on();
        });
    }

    void go_on() {
        if (released_ || paused_) return;
        if (!early_.empty()) {
            const auto early = std::exchange(early_, {});
            on_data_(early);
        }
        if (released_ || paused_) return;
        if (channel_->closed()) {   // it failed while nobody listened
            tell_end();
        } else {
            channel_->resume();
        }
    }

    void drained_later() {
        loop().post([weak = weak_from_this()] {
            const auto self = weak.lock();
            if (!self || self->released_ || self->channel_->waiting() > write_mark_bytes) return;
            self->writable();
        });
    }

    void tell_end() {
        if (released_ || ended_ || !started_) return;
        ended_ = true;
        const auto on_end = std::exchange(on_end_, nullptr);
        if (on_end) on_end();
        drop_callbacks();
    }

    void drop_callbacks() {
        const auto data = std::exchange(on_data_, nullptr);
        const auto end = std::exchange(on_end_, nullptr);
        const auto drained = std::exchange(drained_, nullptr);
    }

    std::shared_ptr<Channel> channel_;
    std::string early_;
    std::function<void(std::string_view)> on_data_;
    std::function<void()> on_end_;
    std::function<void()> drained_;
    bool started_ = false;
    bool paused_ = false;
    bool released_ = false;
    bool finishing_ = false;
    bool full_ = false;
    bool ended_ = false;
};

class ChannelStream final : public RawStream {
  public:
    ChannelStream(std::shared_ptr<Channel> channel, std::string early)
        : core_{std::make_shared<Core>(std::move(channel), std::move(early))} {}
    ~ChannelStream() override { core_->destroy(); }
    ChannelStream(const ChannelStream&) = delete;
    ChannelStream& operator=(const ChannelStream&) = delete;

    void start(std::function<void(std::string_view)> on_data,
               std::function<void()> on_end) override {
        core_->start(std::move(on_data), std::move(on_end));
    }
    void pause() override { core_->set_paused(true); }
    void resume() override { core_->set_paused(false); }
    bool write(std::string_view bytes) override { return core_->write(bytes); }
    void on_drain(std::function<void()> drained) override { core_->on_drain(std::move(drained)); }
    void finish() override { core_->finish(); }
    Loop& loop() override { return core_->loop(); }

  private:
    std::shared_ptr<Core> core_;
};

}   // namespace

std::unique_ptr<RawStream> make_raw_stream(std::shared_ptr<Channel> channel, std::string early) {
    return std::make_unique<ChannelStream>(std::move(channel), std::move(early));
}

}   // namespace skiff::net
