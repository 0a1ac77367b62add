// A transport on a loop: reads, writes with backpressure, closes politely. It belongs to the loop
// from start() until close(): whoever uses it holds a reference and may let go at any time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/loop.h"
#include "net/transport.h"

namespace skiff::net {

class Channel final : public std::enable_shared_from_this<Channel> {
  public:
    // Called on the loop, never from within a call to the channel.
    class User {
      public:
        virtual void opened() = 0;   // handshake done; plain: at once
        virtual void received(
            std::string_view bytes) = 0;                // the user keeps what it cannot use yet
        virtual void writable() = 0;                    // all that was written is with the kernel
        virtual void ended(const Error* problem) = 0;   // nothing more arrives; null: a proper end

      protected:
        ~User() = default;
    };
    static constexpr size_t output_bytes_max = 64u << 10;   // what a well-behaved user buffers

    // `token` is held until the channel is closed: servers count connections by it.
    static std::shared_ptr<Channel> make(Loop& loop, Transport transport,
                                         std::shared_ptr<void> token = nullptr);
    Channel(Loop& loop, Transport transport, std::shared_ptr<void> token);   // by make()
    ~Channel();

    void start(User& user);
    void set_user(User* user) { user_ = user; }
    Loop& loop() { return loop_; }
    Transport& transport() { return transport_; }

    // Append to output(), then flush(). room() is how much more a well-behaved user appends.
    std::string& output() { return output_; }
    size_t room() const {
        const auto waiting = output_.size() - sent_;
        return waiting >= output_bytes_max ? 0 : output_bytes_max - waiting;
    }
    size_t waiting() const { return output_.size() - sent_; }
    void flush();
    void ask_writable();   // calls writable() in a later round even if nothing waits

    void pause();
    void resume();
    bool closed() const { return closed_; }
    bool read_ended() const { return read_ended_; }
    // Lets go of the user, sends what waits, says that nothing follows, and swallows a bounded
    // rest of what the peer is still sending, so that it gets to read the answer.
    void finish();
    void close();     // now, without telling the user
    void abandon();   // now, and the user hears that it ended

  private:
    void on_events(unsigned events);
    void step_handshake();
    void read_some();
    void read_later();
    void linger();
    void limit_linger(size_t waiting_before);
    void write_some();
    void fail(std::string_view doing);
    void update_interest();

    Loop& loop_;
    Transport transport_;
    std::shared_ptr<void> token_;
    User* user_ = nullptr;
    std::unique_ptr<Loop::Watch> watch_;
    std::string output_;
    size_t sent_ = 0;
    size_t swallowed_ = 0;
    TimerId linger_timer_ = TimerId::None;
    bool open_ = false;
    bool closed_ = false;
    bool failed_ = false;
    bool paused_ = false;
    bool read_ended_ = false;
    bool read_posted_ = false;
    bool asked_writable_ = false;
    bool was_blocked_ = false;
    bool finishing_ = false;
    bool shut_ = false;
    bool read_wants_write_ = false;
    bool write_wants_read_ = false;
    bool handshake_wants_write_ = false;
};

}   // namespace skiff::net
