#include "agent/image_collector.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "agent/cri_fake.h"
#include "agent/imported_images.h"
#include "base/os.h"
#include "base/text.h"

namespace skiff::agent {
namespace {

struct Marks {
    const char* why;
    DiskSpace disk;
    int64_t to_free;
};

TEST(ImageCollector, it_begins_at_the_high_mark_and_ends_at_the_low_one) {
    const Marks rows[] = {
        {"empty", {1000, 1000}, 0},
        {"just below", {1000, 160}, 0},
        {"at the mark", {1000, 150}, 50},
        {"full", {1000, 0}, 200},
        {"no capacity", {0, 0}, 0},
        {"more than there is", {1000, 5000}, 0},
        {"rounded up", {100'000, 15'999}, 4001},
    };
    for (const auto& [why, disk, to_free] : rows)
        EXPECT_EQ(image_bytes_to_free({}, disk), to_free) << why;
}

constexpr WallTime now{std::chrono::hours{100}};

TEST(ImageCollector, what_was_not_used_for_the_longest_time_goes_first) {
    const auto order = removable_images({},
                                        {{"used lately", 1, {now - 50h, now - 1h}, false},
                                         {"never used, newer", 1, {now - 3h, {}}, false},
                                         {"never used", 1, {now - 4h, {}}, false},
                                         {"in use", 1, {now - 50h, now}, false},
                                         {"kept", 1, {now - 50h, {}}, true},
                                         {"used long ago", 1, {now - 50h, now - 9h}, false},
                                         {"just pulled", 1, {now - 1min, {}}, false}},
                                        now);
    std::vector<std::string> ids;
    for (const auto& image : order) ids.push_back(image.id);
    EXPECT_EQ(ids, (std::vector<std::string>{"never used", "never used, newer", "used long ago",
                                             "used lately"}));
}

// A runtime with images and containers, and a disk that is as full as the images make it.
class Runtime final : public FakeCri {
  public:
    Result<std::vector<cri::Image>> list_images(const std::string&) override { return images; }
    Result<std::vector<cri::Container>> list_containers(const cri::ContainerFilter&) override {
        return containers;
    }
    Result<> remove_image(const cri::ImageSpec& image) override {
        removed.push_back(image.image);
        std::erase_if(images, [&](const auto& one) { return one.id == image.image; });
        return {};
    }
    Result<cri::ImageFsInfoResponse> image_fs_info() override {
        cri::ImageFsInfoResponse info;
        info.image_filesystems.push_back({.fs_id = {.mountpoint = "/images"}});
        return info;
    }
    void add(const std::string& id, const std::string& tag, uint64_t size) {
        images.push_back({.id = id, .repo_tags = {tag}, .repo_digests = {}, .size = size});
    }

    std::vector<cri::Image> images;
    std::vector<cri::Container> containers;
    std::vector<std::string> removed;
};

std::optional<DiskSpace> nearly_full(const std::string& folder) {
    EXPECT_EQ(folder, "/images");
    return DiskSpace{.capacity = 1000, .available = 100};
}

TEST(ImageCollector, images_that_are_wanted_stay) {
    Runtime runtime;
    runtime.add("sha256:1", "registry/old:1", 60);
    runtime.add("sha256:2", "registry/used:1", 60);
    runtime.add("sha256:3", "docker.io/library/imported:1", 60);
    runtime.add("sha256:4", "skiff.local/pause:1", 60);
    runtime.add("sha256:5", "registry/pinned:1", 60);
    runtime.add("sha256:6", "registry/also-old:1", 60);
    runtime.add("sha256:7", "registry/not-needed-yet:1", 60);
    runtime.images[4].pinned = true;
    cri::Container container;
    container.image_ref = "registry/used:1";
    runtime.containers = {container};
    char folder[] = "/tmp/skiff-images-XXXXXX";
    ASSERT_NE(::mkdtemp(folder), nullptr);
    const auto record = concat(folder, "/imported.json");
    ASSERT_TRUE(record_imported_images(record, {{"docker.io/library/imported:1", "sha256:3"}}));
    ImageCollector collector{runtime, record, nearly_full};
    EXPECT_FALSE(collector.look(now)) << "all are new";
    EXPECT_TRUE(runtime.removed.empty());
    EXPECT_FALSE(collector.look(now + 5min));
    EXPECT_EQ(runtime.removed, (std::vector<std::string>{"sha256:1", "sha256:6"}));
    std::filesystem::remove_all(folder);
}

TEST(ImageCollector, a_disk_that_cannot_be_freed_is_told) {
    Runtime runtime;
    runtime.add("sha256:1", "registry/old:1", 60);
    ImageCollector collector{runtime, "/nowhere/imported.json", nearly_full};
    EXPECT_FALSE(collector.look(now));
    const auto event = collector.look(now + 5min);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->reason, "FreeDiskSpaceFailed");
    EXPECT_EQ(event->message,
              "Failed to garbage collect required amount of images. Attempted to free 100 bytes, "
              "but only found 60 bytes eligible to free.");
}

}   // namespace
}   // namespace skiff::agent
