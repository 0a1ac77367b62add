#include "agent/container_events.h"

#include <condition_variable>
#include <mutex>

#include <gtest/gtest.h>

#include "base/text.h"
#include "codec/protobuf.h"

namespace skiff::agent {
namespace {

using Kind = ContainerEvent::Kind;

std::string envelope(std::string_view topic,
                     const std::function<void(codec::ProtoWriter&)>& event) {
    std::string out;
    codec::ProtoWriter w{out};
    w.message(1, [&] { w.int64(1, 1000), w.int32(2, 5); });
    w.text(2, "k8s.io");
    w.text(3, topic);
    w.message(4, [&] {
        w.text(1, "containerd.events.Any");
        w.message(2, [&] { event(w); });
    });
    return out;
}

TEST(AgentContainerEvents, envelopes_of_containerd_become_events) {
    const auto exit = event_of_envelope(envelope("/tasks/exit", [](codec::ProtoWriter& w) {
        w.text(1, "c1"), w.text(2, "c1"), w.uint32(3, 4711), w.uint32(4, 137);
        w.message(5, [&] { w.int64(1, 2000), w.int32(2, 7); });
    }));
    ASSERT_TRUE(exit);
    EXPECT_EQ(exit->kind, Kind::Exited);
    EXPECT_EQ(exit->id, "c1");
    EXPECT_EQ(exit->exit_code, 137);
    EXPECT_EQ(exit->at, WallTime{2000s + 7ns});

    const auto removed = event_of_envelope(
        envelope("/tasks/delete", [](codec::ProtoWriter& w) { w.text(1, "c1"), w.uint32(3, 1); }));
    ASSERT_TRUE(removed);
    EXPECT_EQ(removed->kind, Kind::Deleted);
    EXPECT_EQ(removed->exit_code, 1);

    const auto oom = event_of_envelope(envelope("/tasks/oom", [](auto& w) { w.text(1, "c1"); }));
    ASSERT_TRUE(oom);
    EXPECT_EQ(oom->kind, Kind::OutOfMemory);
    EXPECT_EQ(oom->at, WallTime{1000s + 5ns});
}

TEST(AgentContainerEvents, processes_of_an_exec_and_other_topics_are_nobodys_business) {
    EXPECT_FALSE(event_of_envelope(envelope(
        "/tasks/exit", [](codec::ProtoWriter& w) { w.text(1, "c1"), w.text(2, "exec-5"); })));
    EXPECT_FALSE(event_of_envelope(envelope("/images/create", [](auto& w) { w.text(1, "i"); })));
    EXPECT_FALSE(event_of_envelope("\x0a\x7f"));
}

// Streams that the test feeds.
class Runtime : public net::GrpcClient {
  public:
    struct Opened {
        std::string method;
        std::string request;
        std::shared_ptr<StreamSink> sink;
    };
    class Handle : public Stream {
      public:
        void send(std::string) override {}
        void half_close() override {}
    };
    Result<std::string> call(std::string_view, std::string_view, Duration) override {
        return std::string{};
    }
    std::unique_ptr<Stream> stream(std::string_view method, std::string request,
                                   StreamSink sink) override {
        const std::lock_guard lock{mutex_};
        opened_.push_back({std::string{method}, std::move(request),
                           std::make_shared<StreamSink>(std::move(sink))});
        changed_.notify_all();
        return std::make_unique<Handle>();
    }
    // The n-th stream of the method, counted from 0.
    Opened await(std::string_view method, int n) {
        std::unique_lock lock{mutex_};
        std::optional<Opened> found;
        const auto there = [&] {
            int seen = 0;
            for (const auto& each : opened_)
                if (each.method.ends_with(method) && seen++ == n) found = each;
            return found.has_value();
        };
        EXPECT_TRUE(changed_.wait_for(lock, 20s, there)) << method << " " << n;
        return found.value_or(Opened{});
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Opened> opened_;
};

class AgentFollowEvents : public testing::Test {
  protected:
    ContainerEventSink sink() {
        return {.event =
                    [this](const ContainerEvent& event) {
                        const std::lock_guard lock{mutex_};
                        said_.push_back(event.id);
                        changed_.notify_all();
                    },
                .resync =
                    [this] {
                        const std::lock_guard lock{mutex_};
                        said_.push_back("resync");
                        changed_.notify_all();
                    }};
    }
    std::vector<std::string> await(size_t count) {
        std::unique_lock lock{mutex_};
        EXPECT_TRUE(changed_.wait_for(lock, 20s, [&] { return said_.size() >= count; }));
        return said_;
    }
    // What the runtime gets to forward comes back to the subscriber, as containerd does it.
    static std::string forwarded(const std::string& request) {
        codec::ProtoReader reader{request};
        EXPECT_TRUE(reader.next());
        return std::string{reader.bytes()};
    }
    static std::string exit_of(std::string_view id) {
        return envelope("/tasks/exit", [&](codec::ProtoWriter& w) { w.text(1, id); });
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> said_;
    Runtime runtime_;
    std::unique_ptr<Executor> pool_ = make_thread_pool(os_clock());
};

using Lines = std::vector<std::string>;

TEST_F(AgentFollowEvents, following_begins_when_its_own_marker_comes_back) {
    const auto events = follow_container_events(*pool_, os_random(), runtime_, sink());
    const auto first = runtime_.await("/Subscribe", 0);
    runtime_.await("/Forward", 0);   // too early: lost, so it is sent again
    const auto marker = runtime_.await("/Forward", 1);
    first.sink->message(forwarded(marker.request));
    EXPECT_EQ(await(1), Lines{"resync"});
    first.sink->message(exit_of("c1"));
    EXPECT_EQ(await(2), (Lines{"resync", "c1"}));

    first.sink->end(fail(Reason::ServiceUnavailable, "gone"));
    const auto second = runtime_.await("/Subscribe", 1);
    first.sink->message(exit_of("of the old stream"));
    first.sink->message(forwarded(marker.request));
    for (int n = 2;; ++n) {   // the newest marker is the second subscription's
        const auto next = runtime_.await("/Forward", n);
        if (forwarded(next.request) == forwarded(marker.request)) continue;
        second.sink->message(forwarded(next.request));
        break;
    }
    second.sink->message(exit_of("c2"));
    EXPECT_EQ(await(4), (Lines{"resync", "c1", "resync", "c2"}));
}

TEST_F(AgentFollowEvents, a_runtime_without_containerds_events_is_followed_by_cris) {
    const auto events = follow_container_events(*pool_, os_random(), runtime_, sink());
    runtime_.await("/Subscribe", 0).sink->end(fail(Reason::MethodNotAllowed, "unimplemented"));
    const auto stream = runtime_.await("/GetContainerEvents", 0);
    EXPECT_EQ(await(1), Lines{"resync"});
    std::string stopped;
    codec::ProtoWriter writer{stopped};
    writer.text(1, "c1");
    writer.int32(2, 2);   // CONTAINER_STOPPED_EVENT
    stream.sink->message(stopped);
    EXPECT_EQ(await(2), (Lines{"resync", "c1"}));
}

TEST_F(AgentFollowEvents, a_runtime_without_any_events_is_looked_at_every_second) {
    const auto events = follow_container_events(*pool_, os_random(), runtime_, sink());
    runtime_.await("/Subscribe", 0).sink->end(fail(Reason::MethodNotAllowed, "unimplemented"));
    runtime_.await("/GetContainerEvents", 0).sink->end(fail(Reason::MethodNotAllowed, "neither"));
    EXPECT_EQ(await(2), (Lines{"resync", "resync"}));
}

TEST_F(AgentFollowEvents, nothing_is_said_after_the_end) {
    auto events = follow_container_events(*pool_, os_random(), runtime_, sink());
    const auto stream = runtime_.await("/Subscribe", 0);
    const auto marker = runtime_.await("/Forward", 0);
    events.reset();
    stream.sink->message(forwarded(marker.request));
    stream.sink->end(fail(Reason::ServiceUnavailable, "gone"));
    const std::lock_guard lock{mutex_};
    EXPECT_TRUE(said_.empty());
}

}   // namespace
}   // namespace skiff::agent
