#include "agent/oci_image.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "codec/json.h"
#include "net/tls.h"

namespace skiff::agent {
namespace {

// The content of one file of a tar; absent when it has none of that name.
std::optional<std::string> tar_file(std::string_view tar, std::string_view wanted) {
    for (size_t at = 0; at + 512 <= tar.size() && tar[at] != '\0';) {
        const std::string name{tar.data() + at};
        const size_t size = std::stoul(std::string{tar.substr(at + 124, 11)}, nullptr, 8);
        if (name == wanted) return std::string{tar.substr(at + 512, size)};
        at += 512 + (size + 511) / 512 * 512;
    }
    return std::nullopt;
}

TEST(OciImage, the_pause_program_is_an_executable) {
    EXPECT_TRUE(
        pause_program().starts_with("\x7f"
                                    "ELF"));
    EXPECT_LT(pause_program().size(), 16u << 10);
}

TEST(OciImage, every_digest_names_the_blob_it_stands_for) {
    const std::string tar = make_oci_image({.name = "docker.io/library/a:1",
                                            .files = {{.path = "bin/x", .content = "hello"}},
                                            .entrypoint = {"/bin/x"}});
    EXPECT_EQ(tar.size() % 512, 0u);
    const auto blob = [&](std::string_view digest) {
        EXPECT_TRUE(digest.starts_with("sha256:"));
        const auto content = tar_file(tar, concat("blobs/sha256/", digest.substr(7)));
        EXPECT_TRUE(content.has_value()) << digest;
        EXPECT_EQ(hex(net::sha256(content.value_or(""))), digest.substr(7));
        return content.value_or("");
    };
    const auto index = codec::parse_json(tar_file(tar, "index.json").value());
    ASSERT_TRUE(index.has_value());
    const auto& entry = index->root.find("manifests")->items()[0];
    EXPECT_EQ(entry.text_at({"annotations", "io.containerd.image.name"}), "docker.io/library/a:1");
    EXPECT_EQ(entry.text_at({"annotations", "org.opencontainers.image.ref.name"}), "1");
    const auto manifest = codec::parse_json(blob(entry.text_at({"digest"})));
    ASSERT_TRUE(manifest.has_value());
    const auto layer = blob(manifest->root.find("layers")->items()[0].text_at({"digest"}));
    EXPECT_EQ(tar_file(layer, "bin/x"), "hello");
    const auto config = codec::parse_json(blob(manifest->root.text_at({"config", "digest"})));
    ASSERT_TRUE(config.has_value());
    EXPECT_EQ(config->root.at_path({"rootfs", "diff_ids"})->items()[0].text(),
              manifest->root.find("layers")->items()[0].text_at({"digest"}));
}

TEST(OciImage, the_same_recipe_gives_the_same_bytes) {
    EXPECT_EQ(make_pause_image(), make_pause_image());
}

}   // namespace
}   // namespace skiff::agent
