#include "agent/images.h"

#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

#include "agent/cri_fake.h"
#include "agent/image_name.h"
#include "base/text.h"

namespace skiff::agent {
namespace {

TEST(ImageName, is_completed_as_docker_does) {
    struct Row {
        const char* given;
        const char* complete;
    };
    const Row rows[] = {
        {"busybox", "docker.io/library/busybox:latest"},
        {"busybox:1.35", "docker.io/library/busybox:1.35"},
        {"user/app", "docker.io/user/app:latest"},
        {"localhost/app", "localhost/app:latest"},
        {"registry.example:5000/a/b:v1", "registry.example:5000/a/b:v1"},
        {"index.docker.io/library/x", "docker.io/library/x:latest"},
        {"a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
         "docker.io/library/"
         "a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
    };
    for (const Row& row : rows) {
        const auto name = parse_image_name(row.given);
        ASSERT_TRUE(name.has_value()) << row.given;
        EXPECT_EQ(name->text(), row.complete);
    }
    for (const char* wrong : {"", "UPPER", "a b", "a:b:c", "a@sha256:12", "a//b", "-a", "a:-b"}) {
        EXPECT_FALSE(parse_image_name(wrong).has_value()) << wrong;
    }
    EXPECT_EQ(default_pull_policy("a"), "Always");
    EXPECT_EQ(default_pull_policy("a:latest"), "Always");
    EXPECT_EQ(default_pull_policy("a:1"), "IfNotPresent");
}

TEST(ImportedImages, names_come_from_ctrs_output) {
    EXPECT_EQ(imported_names("unpacking docker.io/library/busybox:latest (sha256:77e8)...done\n"
                             "unpacking x:1 (sha256:88)...\nelse\n"),
              (std::vector<std::string>{"docker.io/library/busybox:latest", "x:1"}));
}

struct ImageCri final : FakeCri {
    Result<cri::ImageStatusResponse> image_status(const cri::ImageSpec&, bool) override {
        cri::ImageStatusResponse out;
        if (!present.empty()) out.image = cri::Image{.id = present};
        return out;
    }
    Result<std::string> pull_image(const cri::ImageSpec&,
                                   const std::optional<cri::AuthConfig>& auth,
                                   const cri::PodSandboxConfig&, Duration limit) override {
        ++pulls;
        if (!password.empty() && (!auth || auth->password != password))
            return fail(Reason::Unknown, concat("401 for ", auth ? auth->username : "nobody"));
        timeout = limit;
        if (pull_error) return std::unexpected{*pull_error};
        present = "sha256:pulled";
        return present;
    }
    std::string present;
    std::optional<Error> pull_error;
    std::string password;   // that the registry asks for; "" for none
    int pulls = 0;
    Duration timeout{};
};

struct ImagesTest : ::testing::Test {
    void SetUp() override {
        char pattern[] = "/tmp/skiff-images-XXXXXX";
        folder = ::mkdtemp(pattern);
    }
    void TearDown() override { std::filesystem::remove_all(folder); }
    std::string record() const { return folder + "/imported.json"; }
    // What came of it, and the reasons of the events in between.
    std::string ensure(const std::string& image, const std::string& policy = "") {
        std::string out;
        const auto done =
            images.ensure({.image = image, .policy = policy},
                          [&](const ImageEvent& event) { append(out, event.reason, " "); });
        return out + (done ? done->reference : done.error().reason);
    }

    std::string folder;
    std::unique_ptr<Executor> executor = make_thread_pool(os_clock());
    ImageCri cri;
    Images images{*executor, cri, "/nonexistent"};
};

TEST_F(ImagesTest, the_policy_decides) {
    EXPECT_EQ(ensure("a:1", "Never"), "ErrImageNeverPull ErrImageNeverPull");
    EXPECT_EQ(ensure("a:1"), "Pulling Pulled sha256:pulled");
    EXPECT_EQ(ensure("a:1"), "Pulled sha256:pulled");
    EXPECT_EQ(cri.pulls, 1);
    EXPECT_EQ(ensure("a"), "Pulling Pulled sha256:pulled");   // latest
    EXPECT_EQ(cri.pulls, 2);
    EXPECT_EQ(ensure("A"), "InspectFailed InvalidImageName");
    cri.pull_error = Error{Reason::NotFound, "not found"};
    EXPECT_EQ(ensure("b"), "Pulling Failed ErrImagePull");
}

TEST_F(ImagesTest, every_credential_is_tried) {
    const auto secret = [](const char* user, const char* password) {
        return concat(R"({"auths":{"r.example":{"username":")", user, R"(","password":")", password,
                      R"("}}})");
    };
    const auto ensured = [&](std::vector<std::string> configs) {
        cri.present.clear();
        const auto done = images.ensure(
            {.image = "r.example/a:1", .docker_configs = std::move(configs)}, [](const auto&) {});
        return done ? done->reference : done.error().message;
    };
    cri.password = "right";
    EXPECT_EQ(ensured({secret("x", "wrong"), secret("y", "right")}), "sha256:pulled");
    EXPECT_EQ(ensured({secret("x", "wrong"), secret("y", "wrong")}), "[401 for x, 401 for y]");
    EXPECT_EQ(ensured({secret("x", "wrong")}), "401 for x");
    EXPECT_EQ(ensured({}), "401 for nobody");
}

TEST_F(ImagesTest, an_imported_image_stands_in_for_a_registry_out_of_reach) {
    Images with_record{*executor, cri, record()};
    ASSERT_TRUE(record_imported_images(record(), {{"docker.io/library/a:latest", "sha256:mine"}})
                    .has_value());
    std::string events;
    const auto ensure_with = [&] {
        events.clear();
        return with_record.ensure(
            {.image = "a"}, [&](const ImageEvent& event) { append(events, event.reason, " "); });
    };
    cri.present = "sha256:mine";
    cri.pull_error = Error{Reason::Unknown, "dial tcp: lookup registry-1.docker.io: no such host"};
    auto done = ensure_with();
    ASSERT_TRUE(done.has_value());
    EXPECT_EQ(done->reference, "sha256:mine");
    EXPECT_EQ(events, "Pulling ImportedImageUsed ");
    EXPECT_EQ(cri.timeout, 1s);
    done = ensure_with();
    EXPECT_TRUE(done.has_value());
    EXPECT_EQ(cri.pulls, 1);   // remembered for a minute
    EXPECT_EQ(events, "ImportedImageUsed ");
}

TEST_F(ImagesTest, never_for_an_image_that_was_only_pulled) {
    Images with_record{*executor, cri, record()};
    ASSERT_TRUE(record_imported_images(record(), {{"docker.io/library/a:latest", "sha256:mine"}})
                    .has_value());
    cri.present = "sha256:other";   // another one has that name by now
    cri.pull_error = Error{Reason::Unknown, "dial tcp: i/o timeout"};
    const auto done = with_record.ensure({.image = "a"}, [](const ImageEvent&) {});
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().reason, "ErrImagePull");
}

TEST_F(ImagesTest, a_registry_that_answers_is_believed) {
    Images with_record{*executor, cri, record()};
    ASSERT_TRUE(record_imported_images(record(), {{"docker.io/library/a:latest", "sha256:mine"}})
                    .has_value());
    cri.present = "sha256:mine";
    cri.pull_error = Error{Reason::Unknown, "pull access denied, repository does not exist"};
    EXPECT_FALSE(with_record.ensure({.image = "a"}, [](const ImageEvent&) {}).has_value());
}

}   // namespace
}   // namespace skiff::agent
