// The budget of the image: what an object costs beside its text. Prints what it measures.
#include <cstdio>

#include <gtest/gtest.h>
#include <malloc.h>

#include "base/text.h"
#include "store/image.h"
#include "store/object.h"

namespace skiff::store {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool heap_is_measurable = false;
#else
constexpr bool heap_is_measurable = true;
#endif

constexpr int objects = 20'000;
constexpr size_t text_bytes = 2048;

size_t heap_bytes() {
    const auto heap = ::mallinfo2();
    return heap.uordblks + heap.hblkhd;
}

std::string pod_name(int i) {
    // As a ReplicaSet names its pods, in no order.
    const unsigned noise = static_cast<unsigned>(i) * 2654435761u;
    return concat("default/web-7d9f8b6c5-",
                  hex(std::string_view{reinterpret_cast<const char*>(&noise), 4}));
}

std::shared_ptr<const Attributes> pod_attributes(int i) {
    return std::make_shared<const Attributes>(
        Attributes{.uid = concat("0f6d1c1e-5c3b-4a43-9c57-", 100'000'000'000 + i),
                   .labels = {{"app", "web"}, {"pod-template-hash", "7d9f8b6c5"}},
                   .fields = {{"metadata.name", pod_name(i)},
                              {"metadata.namespace", "default"},
                              {"spec.nodeName", "node-1"},
                              {"status.phase", "Running"}},
                   .owner_uids = {"5f3a2a7e-5c3b-4a43-9c57-100000000000"}});
}

// Bytes an object costs beside its text.
size_t overhead(bool attributes, size_t& nodes) {
    const size_t before = heap_bytes();
    Image image{5min, 100'000};
    const auto pods = image.resource("/registry/pods/");
    const std::string text = concat("{\"metadata\":{", std::string(text_bytes - 13, ' '));
    for (int i = 0; i < objects; ++i) {
        image.load_old(
            {.key = {pods, pod_name(i)},
             .object = make_object({.text = text,
                                    .splice_at = 13,
                                    .created = {i + 1},
                                    .modified = {i + 1},
                                    .attributes = attributes ? pod_attributes(i) : nullptr}),
             .revision = {i + 1}});
    }
    image.start({objects}, {objects});
    const size_t after = heap_bytes();
    EXPECT_EQ(image.objects(), static_cast<size_t>(objects));
    nodes = image.tree_bytes(pods) / objects;
    return (after - before) / objects - text_bytes;
}

TEST(StoreMemory, an_object_costs_little_beside_its_text) {
    if (!heap_is_measurable) GTEST_SKIP() << "the sanitizer's heap says nothing";
    size_t nodes = 0;
    const size_t bare = overhead(false, nodes);
    const size_t with_attributes = overhead(true, nodes);
    std::printf(
        "image: %zu bytes an object beside its text, %zu of them in the tree;"
        " attributes of a pod %zu more\n",
        bare, nodes, with_attributes - bare);
    RecordProperty("overhead_bytes", static_cast<int>(bare));
    EXPECT_LE(bare, 200u);
    EXPECT_LE(with_attributes - bare, 1024u);
}

}   // namespace
}   // namespace skiff::store
