// Lists and watches for clients that take protobuf only.
#include "codec/protobuf.h"
#include "api/normalize.h"
#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

constexpr std::string_view maps = "/api/v1/namespaces/default/configmaps";
const HeaderList protobuf_only{{"accept", "application/vnd.kubernetes.protobuf"}};

struct Opened {
    std::string kind;
    codec::Document document;
};

Opened opened(std::string_view message, std::string_view body) {
    Opened out;
    const auto envelope = codec::open_kubernetes_envelope(body);
    EXPECT_TRUE(envelope) << (envelope ? "" : envelope.error().message);
    if (!envelope) return out;
    out.kind = envelope->kind;
    auto tree =
        api::decode_protobuf(*api::builtin_message(message), envelope->raw, out.document.arena);
    EXPECT_TRUE(tree) << (tree ? "" : tree.error().message);
    if (tree) out.document.root = std::move(*tree).deep_copy(out.document.arena);
    return out;
}

struct Frame {
    std::string type;
    std::string object;   // an envelope
};

std::vector<Frame> frames_of(std::string_view stream) {
    std::vector<Frame> frames;
    while (stream.size() >= 4) {
        size_t size = 0;
        for (size_t i = 0; i < 4; ++i) size = size << 8 | static_cast<unsigned char>(stream[i]);
        EXPECT_LE(size, stream.size() - 4);
        if (size > stream.size() - 4) break;
        Frame frame;
        codec::ProtoReader event{stream.substr(4, size)};
        while (event.next()) {
            if (event.number() == 1) frame.type = event.text();
            if (event.number() != 2) continue;
            codec::ProtoReader extension{event.bytes()};
            while (extension.next())
                if (extension.number() == 1) frame.object = extension.bytes();
        }
        frames.push_back(std::move(frame));
        stream.remove_prefix(4 + size);
    }
    EXPECT_TRUE(stream.empty());
    return frames;
}

TEST(Protobuf, a_list_is_given_with_its_items_and_continue_token) {
    TestServer server;
    server.config_map("a");
    server.config_map("b");
    const auto answer = server.get(concat(maps, "?limit=1"), protobuf_only);
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.header("content-type"), "application/vnd.kubernetes.protobuf");
    const auto list = opened("core.v1.ConfigMapList", answer.body);
    EXPECT_EQ(list.kind, "ConfigMapList");
    const auto* items = list.document.root.find("items");
    ASSERT_TRUE(items && items->size() == 1);
    EXPECT_EQ(items->items()[0].text_at({"metadata", "name"}), "a");
    EXPECT_EQ(items->items()[0].text_at({"data", "k"}), "v");
    EXPECT_FALSE(list.document.root.text_at({"metadata", "continue"}).empty());
    EXPECT_EQ(list.document.root.at_path({"metadata", "remainingItemCount"})->as_int(), 1);
}

TEST(Protobuf, a_watch_sends_frames_each_with_an_object_of_its_own) {
    TestServer server;
    const auto made = server.config_map("a").version();
    auto answer =
        server.get(concat(maps,
                          "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
                          "&allowWatchBookmarks=true"),
                   {{"accept", "application/vnd.kubernetes.protobuf;stream=watch"}});
    ASSERT_EQ(answer.status, 200);
    EXPECT_EQ(answer.header("content-type"), "application/vnd.kubernetes.protobuf;stream=watch");
    server.remove(concat(maps, "/a"));
    server.executor.settle();
    std::vector<Slice> out;
    while (answer.source->pull(out, 1 << 16) == net::BodySource::State::More) {}
    const auto frames = frames_of(text_of(out));
    ASSERT_EQ(frames.size(), 3u);
    EXPECT_EQ(frames[0].type, "ADDED");
    EXPECT_EQ(frames[1].type, "BOOKMARK");
    EXPECT_EQ(frames[2].type, "DELETED");
    const auto added = opened("core.v1.ConfigMap", frames[0].object);
    EXPECT_EQ(added.document.root.text_at({"metadata", "resourceVersion"}), made);
    EXPECT_EQ(added.document.root.text_at({"data", "k"}), "v");
    const auto bookmark = opened("core.v1.ConfigMap", frames[1].object);
    EXPECT_EQ(
        bookmark.document.root.text_at({"metadata", "annotations", "k8s.io/initial-events-end"}),
        "true");
}

}   // namespace
}   // namespace skiff::apiserver::testing
