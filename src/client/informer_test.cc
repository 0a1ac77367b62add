#include "client/informer_core.h"

#include <set>

#include <gtest/gtest.h>

#include "base/log.h"
#include "client/testing.h"

namespace skiff::client {
namespace {

using testing::FakeApi;
using testing::FakeExecutor;
using testing::FakeRandom;

Result<AnyObject> decode_text(std::string_view json) {
    if (json.find("undecodable") != std::string_view::npos)
        return fail(Reason::BadRequest, "this one cannot be decoded");
    return AnyObject{std::make_shared<std::string>(json)};
}
const std::string& text_of(const AnyObject& object) {
    return *static_cast<const std::string*>(object.get());
}
std::string spec_of(const void* object) {
    return json_text(json_member(*static_cast<const std::string*>(object), "spec"));
}
std::string spec(std::string_view value) { return concat(",\"spec\":\"", value, "\""); }

struct InformerTest : ::testing::Test {
    InformerTest() { set_log_level(LogLevel::Error); }
    ~InformerTest() override { set_log_level(LogLevel::Info); }

    std::unique_ptr<InformerCore> make(InformerOptions options = {}) {
        auto informer = std::make_unique<InformerCore>(
            InformerCore::Parts{executor, random, api, {"", "v1", "things"}, decode_text},
            std::move(options));
        informer->on_change([this](const AnyObject& old, const AnyObject& now) {
            const auto name = identity_of(text_of(now ? now : old))->name;
            const std::string_view what = !old ? "+" : !now ? "-" : "~";
            changes.push_back(concat(what, name));
        });
        return informer;
    }
    std::vector<std::string> take_changes() { return std::exchange(changes, {}); }
    size_t asked(std::string_view part) const {
        return static_cast<size_t>(std::ranges::count_if(
            api.requests, [&](const auto& line) { return line.find(part) != std::string::npos; }));
    }

    FakeExecutor executor;
    FakeRandom random;
    FakeApi api{executor};
    std::vector<std::string> changes;
};
using Changes = std::vector<std::string>;

const std::string a = "/api/v1/namespaces/x/things/a";
const std::string b = "/api/v1/namespaces/y/things/b";
const std::string c = "/api/v1/namespaces/x/things/c";

TEST_F(InformerTest, a_list_then_a_watch_from_its_revision_fill_the_cache) {
    api.put(a, spec("1"), "owner-1");
    api.put(b, spec("2"));
    auto informer = make();
    bool called = false;
    informer->on_synced([&] { called = informer->synced(); });
    informer->start();
    executor.settle();
    EXPECT_FALSE(informer->synced());   // the answer takes a timer of no length
    executor.advance(0s);
    EXPECT_TRUE(called);
    EXPECT_EQ(take_changes(), (Changes{"+a", "+b"}));
    EXPECT_EQ(api.requests[0], "GET /api/v1/things?limit=500");
    EXPECT_TRUE(api.requests[1].starts_with(
        "GET "
        "/api/v1/things?watch=true&allowWatchBookmarks=true&resourceVersion=102&timeoutSeconds="));

    api.put(c, spec("1"), "owner-1");
    api.put(a, spec("3"), "owner-1");
    api.erase(b);
    executor.settle();
    EXPECT_EQ(take_changes(), (Changes{"+c", "~a", "-b"}));
    EXPECT_EQ(spec_of(informer->cache().find({"x", "a"}).get()), "3");
    EXPECT_FALSE(informer->cache().find({"y", "b"}));
    EXPECT_EQ(informer->cache().size(), 2u);
    EXPECT_EQ(informer->cache().by_index(ObjectCache::by_namespace, "x").size(), 2u);
    EXPECT_EQ(informer->cache().by_index(ObjectCache::by_namespace, "y").size(), 0u);
    EXPECT_EQ(informer->cache().by_index(ObjectCache::by_owner, "owner-1").size(), 2u);
    called = false;
    informer->on_synced([&] { called = true; });
    executor.settle();
    EXPECT_TRUE(called);
}

TEST_F(InformerTest, a_long_list_comes_in_pages_of_one_revision) {
    for (int i = 0; i < 7; ++i) api.put(concat("/api/v1/namespaces/x/things/n", i));
    auto informer = make({.name_space = "x", .query = {.label_selector = "a=b,c"}, .page_size = 3});
    informer->start();
    executor.advance(0s);
    EXPECT_EQ(informer->cache().size(), 7u);
    EXPECT_EQ(asked("limit=3"), 3u);
    EXPECT_EQ(api.requests[0], "GET /api/v1/namespaces/x/things?labelSelector=a%3Db%2Cc&limit=3");
    EXPECT_EQ(asked("watch=true"), 1u);
}

TEST_F(InformerTest, a_continue_token_that_expires_starts_the_list_over) {
    for (int i = 0; i < 4; ++i) api.put(concat("/api/v1/namespaces/x/things/n", i));
    auto informer = make({.page_size = 2});
    api.on_request = [&](const ApiRequest& request) {
        if (request.query.find("continue=") == std::string::npos || !api.fail_sends.empty()) return;
        api.fail_sends.push_back(Error{.reason = Reason::Expired, .message = "expired"});
        api.on_request = nullptr;
    };
    informer->start();
    executor.advance(0s);
    EXPECT_TRUE(informer->synced());
    EXPECT_EQ(informer->cache().size(), 4u);
    EXPECT_EQ(take_changes().size(), 4u);   // nobody is told twice
    EXPECT_EQ(executor.at(), MonoTime{});   // and it was not waited for
}

TEST_F(InformerTest, a_watch_that_ends_goes_on_from_the_last_event_or_bookmark) {
    api.put(a);
    auto informer = make();
    informer->start();
    executor.advance(0s);
    api.put(b);
    executor.settle();
    api.drop_watches();
    api.put(c);   // while nobody watches
    executor.advance(0s);
    EXPECT_EQ(take_changes(), (Changes{"+a", "+b", "+c"}));
    EXPECT_EQ(asked("resourceVersion=102&"), 1u);
    api.revision = 150;   // writes elsewhere
    api.bookmark();
    executor.settle();
    EXPECT_TRUE(informer->reached({"x", "none"}, "150"));
    EXPECT_FALSE(informer->reached({"x", "none"}, "151"));
    api.drop_watches();
    executor.advance(0s);
    EXPECT_EQ(asked("resourceVersion=150&"), 1u);
    EXPECT_EQ(asked("limit="), 1u);   // one list ever
}

TEST_F(InformerTest, an_expired_watch_lists_anew_and_tells_the_difference) {
    api.put(a, spec("1"));
    api.put(b, spec("1"));
    api.put("/api/v1/things/same", spec("1"));
    auto informer = make();
    informer->start();
    executor.advance(0s);
    take_changes();
    api.drop_watches(fail(Reason::ServiceUnavailable, "gone for a while"));
    api.put(a, spec("2"));
    api.erase(b);
    api.put(c);
    api.compact();
    executor.advance(1s);
    EXPECT_EQ(take_changes(), (Changes{"~a", "+c", "-b"}));
    EXPECT_EQ(asked("limit="), 2u);
    EXPECT_EQ(api.watches(), 1u);
    api.put(b);
    executor.settle();
    EXPECT_EQ(take_changes(), (Changes{"+b"}));
}

TEST_F(InformerTest, a_server_that_always_expires_the_watch_is_not_hammered) {
    auto informer = make();
    for (int i = 0; i < 1000; ++i)
        api.fail_watches.push_back(Error{.reason = Reason::Expired, .message = "expired"});
    informer->start();
    executor.advance(60s);
    EXPECT_LT(api.requests.size(), 30u);
    api.fail_watches.clear();
    executor.advance(60s);
    EXPECT_EQ(api.watches(), 1u);
}

TEST_F(InformerTest, a_server_that_always_ends_the_watch_is_not_hammered) {
    auto informer = make();
    informer->start();
    executor.advance(0s);
    for (int i = 0; i < 100; ++i) {
        api.drop_watches();
        executor.advance(100ms);
    }
    EXPECT_LT(asked("watch=true"), 20u);
    executor.advance(60s);
    EXPECT_EQ(api.watches(), 1u);
}

TEST_F(InformerTest, failing_lists_come_again_ever_later_and_as_late_as_asked) {
    for (int i = 0; i < 5; ++i)
        api.fail_sends.push_back(Error{.reason = Reason::ServiceUnavailable, .message = "down"});
    api.fail_sends.push_back(
        Error{.reason = Reason::TooManyRequests, .message = "busy", .retry_after = 20s});
    auto informer = make();
    std::vector<Duration> times;
    api.on_request = [&](const ApiRequest&) { times.push_back(executor.at().time_since_epoch()); };
    informer->start();
    executor.advance(60s);
    EXPECT_TRUE(informer->synced());
    ASSERT_EQ(times.size(), 7u);
    for (size_t i = 1; i < 6; ++i) {
        const Duration gap = times[i] - times[i - 1];
        const Duration whole = 100ms * (1 << (i - 1));
        EXPECT_GE(gap, whole / 2) << i;
        EXPECT_LE(gap, whole) << i;
    }
    EXPECT_EQ(times[6] - times[5], 20s);
}

TEST_F(InformerTest, an_object_that_cannot_be_decoded_harms_no_other) {
    api.put(a, spec("undecodable"));
    api.put(b);
    auto informer = make();
    informer->start();
    ::testing::internal::CaptureStderr();
    executor.advance(0s);
    EXPECT_NE(::testing::internal::GetCapturedStderr().find("cannot be decoded"),
              std::string::npos);
    EXPECT_EQ(take_changes(), (Changes{"+b"}));
    api.put(a, spec("fine"));
    executor.settle();
    EXPECT_EQ(take_changes(), (Changes{"+a"}));
}

TEST_F(InformerTest, a_custom_index_follows_its_objects) {
    auto informer = make();
    informer->cache().add_index(
        "spec", [](const void* object) { return std::vector<std::string>{spec_of(object)}; });
    informer->start();
    api.put(a, spec("red"));
    api.put(b, spec("red"));
    executor.advance(0s);
    const auto count = [&](std::string_view color) {
        return informer->cache().by_index("spec", color).size();
    };
    EXPECT_EQ(count("red"), 2u);
    api.put(a, spec("blue"));
    executor.settle();
    EXPECT_EQ(count("red"), 1u);
    EXPECT_EQ(count("blue"), 1u);
    api.erase(b);
    executor.settle();
    EXPECT_EQ(count("red"), 0u);
}

TEST_F(InformerTest, a_handler_may_end_its_own_informer) {
    auto informer = make();
    informer->on_change([&](const AnyObject&, const AnyObject&) { informer.reset(); });
    api.put(a);
    api.put(b);
    informer->start();
    executor.advance(1h);
    EXPECT_FALSE(informer);
    EXPECT_EQ(api.watches(), 0u);
}

TEST_F(InformerTest, nothing_comes_after_the_end) {
    auto informer = make();
    informer->start();
    api.latency = 1s;
    executor.settle();
    informer.reset();   // while the list is on its way
    api.put(a);
    executor.advance(1h);
    EXPECT_TRUE(changes.empty());
    EXPECT_EQ(executor.timers(), 0u);
}

// The cache is what the API holds, and handlers were told exactly the way there, whatever breaks.
TEST_F(InformerTest, faults_of_every_kind_end_in_the_same_cache) {
    for (uint64_t seed = 1; seed <= 100; ++seed) {
        FakeExecutor world;
        FakeRandom chance{seed};
        FakeApi server{world};
        std::map<ObjectKey, std::string> told;
        bool consistent = true;
        InformerCore informer{{world, chance, server, {"", "v1", "things"}, decode_text},
                              {.page_size = 3}};
        informer.on_change([&](const AnyObject& old, const AnyObject& now) {
            const auto identity = identity_of(text_of(now ? now : old));
            const ObjectKey key{identity->name_space, identity->name};
            const auto known = told.find(key);
            if ((known != told.end()) != (old != nullptr)) consistent = false;
            if (old && known != told.end() && known->second != text_of(old)) consistent = false;
            if (now)
                told[key] = text_of(now);
            else
                told.erase(key);
        });
        informer.start();
        for (int i = 0; i < 200; ++i) {
            const auto path = concat("/api/v1/namespaces/x/things/n", chance.below(10));
            switch (chance.below(8)) {
            case 0: server.erase(path); break;
            case 1: server.drop_watches(); break;
            case 2: server.drop_watches(fail(Reason::ServiceUnavailable, "cut")); break;
            case 3: server.compact(); break;
            case 4:
                server.fail_sends.push_back({.reason = Reason::Timeout, .message = "slow"});
                break;
            case 5: server.bookmark(); break;
            default: server.put(path, spec(concat(i))); break;
            }
            server.latency = Duration{static_cast<int64_t>(chance.below(3) * 50'000'000)};
            world.advance(Duration{static_cast<int64_t>(chance.below(100'000'000))});
        }
        server.fail_sends.clear();
        world.advance(120s);
        EXPECT_TRUE(consistent) << "seed " << seed;
        size_t held = 0;
        for (int i = 0; i < 10; ++i) {
            const auto name = concat("n", i);
            const auto path = concat("/api/v1/namespaces/x/things/", name);
            const auto cached = informer.cache().find({"x", name});
            ASSERT_EQ(cached != nullptr, server.has(path)) << "seed " << seed;
            if (!cached) continue;
            ++held;
            EXPECT_EQ(text_of(cached), server.text(path)) << "seed " << seed;
            EXPECT_EQ(told[(ObjectKey{"x", name})], text_of(cached)) << "seed " << seed;
        }
        EXPECT_EQ(told.size(), held);
        EXPECT_EQ(server.watches(), 1u);
    }
}

}   // namespace
}   // namespace skiff::client
