#include "agent/volumes/volumes.h"

#include <cstdlib>
#include <filesystem>

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/pod_testing.h"
#include "agent/volumes/atomic_writer.h"
#include "agent/volumes/mounts.h"
#include "agent/volumes/subpath.h"
#include "base/os.h"

namespace skiff::agent {
namespace {

namespace fs = std::filesystem;
using testing::pod_from;

struct VolumesTest : ::testing::Test {
    void SetUp() override {
        char pattern[] = "/tmp/skiff-volumes-XXXXXX";
        folder = ::mkdtemp(pattern);
    }
    void TearDown() override {
        unmount_below(folder);
        fs::remove_all(folder);
    }
    std::string read(const std::string& name) const {
        return read_file(folder + "/" + name).value_or("(none)");
    }

    std::string folder;
    WallTime now{std::chrono::seconds{1'800'000'000}};
};

TEST_F(VolumesTest, a_payload_changes_all_at_once) {
    EXPECT_TRUE(write_payload(folder, {{"a", {"1"}}, {"d/b", {"2", 0600}}}, now).value());
    EXPECT_EQ(read("a"), "1");
    EXPECT_EQ(read("d/b"), "2");
    EXPECT_EQ(fs::read_symlink(folder + "/a"), "..data/a");
    struct stat info {};
    ASSERT_EQ(::stat((folder + "/d/b").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    EXPECT_FALSE(write_payload(folder, {{"a", {"1"}}, {"d/b", {"2", 0600}}}, now + 1s)
                     .value());   // as it is
    EXPECT_TRUE(write_payload(folder, {{"a", {"3"}}, {"c", {"4"}}}, now + 2s).value());
    EXPECT_EQ(read("a"), "3");
    EXPECT_EQ(read("c"), "4");
    EXPECT_EQ(read("d/b"), "(none)");
    size_t entries = 0;
    for (const auto& entry : fs::directory_iterator{folder})
        entries += entry.exists() || entry.is_symlink();
    EXPECT_EQ(entries, 4u);   // a, c, ..data and one folder
}

std::string payload_of(const std::string& volume, const ConfigValues& values,
                       const Tokens& tokens = {}) {
    const auto pod =
        pod_from(concat(R"({"volumes":[)", volume,
                        R"(],"containers":[{"name":"a","resources":{"limits":{"cpu":"2"}}}]})"),
                 R"(,"labels":{"app":"web"})");
    const auto made = volume_payload(pod->spec.volumes[0], {.pod = *pod}, values, tokens);
    if (!made) return made.error().message;
    std::string out;
    for (const auto& [path, file] : *made) {
        char mode[8];
        std::snprintf(mode, sizeof mode, "%o", file.mode);
        append(out, out.empty() ? "" : " ", path, "=", file.content, "/", mode);
    }
    return out;
}

TEST(Payload, is_made_of_what_the_volume_names) {
    const ConfigValues values{.config_maps = {{"c", {{"k", "v"}, {"l", "w"}}}},
                              .secrets = {{"s", {{"k", "secret"}}}}};
    const Tokens tokens{{{"", 3600}, "t"}};
    struct Row {
        const char* why;
        const char* volume;
        const char* payload;
    };
    const Row rows[] = {
        {"a whole ConfigMap", R"({"name":"v","configMap":{"name":"c"}})", "k=v/644 l=w/644"},
        {"some of it, elsewhere, with modes",
         R"({"name":"v","configMap":{"name":"c","defaultMode":256,"items":[{"key":"k","path":"x/y"},{"key":"l","path":"z","mode":493}]}})",
         "x/y=v/400 z=w/755"},
        {"a Secret", R"({"name":"v","secret":{"secretName":"s"}})", "k=secret/644"},
        {"a missing one", R"({"name":"v","secret":{"secretName":"no"}})",
         "secret \"no\" not found"},
        {"a missing one that is optional",
         R"({"name":"v","configMap":{"name":"no","optional":true}})", ""},
        {"a missing key",
         R"({"name":"v","configMap":{"name":"c","items":[{"key":"no","path":"x"}]}})",
         "references non-existent config key: no"},
        {"a path that leads out",
         R"({"name":"v","configMap":{"name":"c","items":[{"key":"k","path":"../x"}]}})",
         "invalid path, must not contain '..': ../x"},
        {"what the pod is",
         R"({"name":"v","downwardAPI":{"items":[{"path":"l","fieldRef":{"fieldPath":"metadata.labels"}},{"path":"c","resourceFieldRef":{"containerName":"a","resource":"limits.cpu"}}]}})",
         "c=2/644 l=app=\"web\"/644"},
        {"all together",
         R"({"name":"v","projected":{"sources":[{"configMap":{"name":"c","items":[{"key":"k","path":"a"}]}},{"secret":{"name":"s"}},{"serviceAccountToken":{"path":"token","expirationSeconds":3600}}]}})",
         "a=v/644 k=secret/644 token=t/644"},
    };
    for (const Row& row : rows)
        EXPECT_EQ(payload_of(row.volume, values, tokens), row.payload) << row.why;
}

TEST_F(VolumesTest, a_subpath_never_leads_out) {
    fs::create_directories(folder + "/v/in");
    fs::create_directory_symlink("/etc", folder + "/v/absolute");
    fs::create_directory_symlink("../..", folder + "/v/in/up");
    fs::create_directory_symlink("in", folder + "/v/inside");
    struct Row {
        const char* path;
        bool fine;
    };
    const Row rows[] = {
        {"in", true},
        {"inside", true},
        {"absolute", false},
        {"absolute/passwd", false},
        {"in/up", false},
        {"../x", false},
        {"made/new", true},
        {"in/up/v/in", false},
        {"/etc/hostname", false},
    };
    for (const Row& row : rows) {
        EXPECT_EQ(open_beneath(folder + "/v", row.path).has_value(), row.fine) << row.path;
    }
    EXPECT_TRUE(fs::is_directory(folder + "/v/made/new"));
}

TEST_F(VolumesTest, a_bound_subpath_is_what_was_opened) {
    if (::geteuid() != 0) GTEST_SKIP() << "mounting needs root";
    fs::create_directories(folder + "/v/in");
    ASSERT_TRUE(write_file(folder + "/v/in/f", "x").has_value());
    ASSERT_TRUE(bind_beneath(folder + "/v", "in", folder + "/t").has_value());
    ASSERT_TRUE(bind_beneath(folder + "/v", "in/f", folder + "/u/file").has_value());
    fs::rename(folder + "/v/in", folder + "/v/old");
    fs::create_directory_symlink("/etc", folder + "/v/in");
    EXPECT_EQ(read("t/f"), "x");
    EXPECT_EQ(read("u/file"), "x");
    EXPECT_TRUE(is_mount_point(folder + "/t"));
    unmount_below(folder);
    EXPECT_FALSE(is_mount_point(folder + "/t"));
}

TEST(Mounts, the_deepest_come_first) {
    EXPECT_EQ(mount_points_below("1 0 0:1 / /a rw\n2 1 0:2 / /a/b\\040c rw\n3 1 0:3 / /ab rw\n4 2 "
                                 "0:4 / /a/b\\040c/d rw\n",
                                 "/a"),
              (std::vector<std::string>{"/a/b c/d", "/a/b c", "/a"}));
}

TEST_F(VolumesTest, volumes_are_made_and_taken_away) {
    if (::geteuid() != 0) GTEST_SKIP() << "mounting needs root";
    const auto pod = pod_from(
        R"({"securityContext":{"fsGroup":4321},"volumes":[{"name":"e","emptyDir":{}},{"name":"m","emptyDir":{"medium":"Memory","sizeLimit":"1Mi"}},
        {"name":"s","secret":{"secretName":"s"}},{"name":"c","configMap":{"name":"c"}}],"containers":[]})");
    ConfigValues values{.config_maps = {{"c", {{"k", "v"}}}}, .secrets = {{"s", {{"k", "x"}}}}};
    const PodFolder pod_folder{folder, "u"};
    const FieldSource source{.pod = *pod};
    const VolumeFacts facts{.source = source, .values = values, .tokens = {}, .now = now};
    const auto paths = mount_volumes(pod_folder, facts);
    ASSERT_TRUE(paths.has_value()) << paths.error().message;
    EXPECT_TRUE(is_mount_point(paths->at("m")));
    EXPECT_TRUE(is_mount_point(paths->at("s")));   // never on a disk
    EXPECT_FALSE(is_mount_point(paths->at("c")));
    struct stat info {};
    ASSERT_EQ(::stat(paths->at("e").c_str(), &info), 0);
    EXPECT_EQ(info.st_gid, 4321u);
    EXPECT_EQ(info.st_mode & 07777, 02777u);
    values.config_maps["c"]["k"] = "w";
    ASSERT_TRUE(mount_volumes(pod_folder, facts).has_value());
    EXPECT_EQ(read_file(paths->at("c") + "/k").value(), "w");
    ASSERT_TRUE(remove_pod_folder(pod_folder).has_value());
    EXPECT_FALSE(file_exists(pod_folder.path()));
    values.secrets.clear();
    EXPECT_EQ(mount_volumes(pod_folder, facts).error().message,
              "MountVolume.SetUp failed for volume \"s\" : secret \"s\" not found");
}

TEST_F(VolumesTest, host_paths_are_checked_by_their_type) {
    EXPECT_TRUE(check_host_path(folder, "Directory").has_value());
    EXPECT_EQ(check_host_path(folder, "File").error().message,
              concat("hostPath type check failed: ", folder, " is not a file"));
    EXPECT_TRUE(check_host_path(folder + "/new", "DirectoryOrCreate").has_value());
    EXPECT_TRUE(check_host_path(folder + "/file", "FileOrCreate").has_value());
    EXPECT_FALSE(check_host_path(folder + "/none", "Socket").has_value());
    EXPECT_TRUE(check_host_path(folder + "/none", "").has_value());
}

}   // namespace
}   // namespace skiff::agent
