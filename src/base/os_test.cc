#include "base/os.h"

#include <cstdlib>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/program.h"
#include "base/text.h"

namespace skiff {
namespace {

class Os : public testing::Test {
  protected:
    Os() {
        std::string pattern = testing::TempDir() + "skiff-os-XXXXXX";
        root_ = ::mkdtemp(pattern.data());
    }
    ~Os() override { EXPECT_TRUE(remove_tree(root_)); }
    std::string in(std::string_view name) const { return concat(root_, "/", name); }

    std::string root_;
};

mode_t mode_of(const std::string& path) {
    struct stat status {};
    ::stat(path.c_str(), &status);
    return status.st_mode & 07777;
}

TEST_F(Os, an_fd_closes_itself_once) {
    int raw = -1;
    {
        Fd fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
        raw = fd.get();
        Fd other = std::move(fd);
        EXPECT_FALSE(fd);
        EXPECT_EQ(other.get(), raw);
        EXPECT_EQ(::fcntl(raw, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
    EXPECT_EQ(::fcntl(raw, F_GETFD), -1);
}

TEST_F(Os, an_atomic_write_replaces_content_and_mode_and_leaves_nothing_beside) {
    ASSERT_TRUE(write_file_atomic(in("a"), "one", 0600));
    EXPECT_EQ(read_file(in("a")).value(), "one");
    EXPECT_EQ(mode_of(in("a")), 0600u);
    ASSERT_TRUE(write_file_atomic(in("a"), std::string(100'000, 'x'), 0644));
    EXPECT_EQ(read_file(in("a"))->size(), 100'000u);
    EXPECT_EQ(mode_of(in("a")), 0644u);
    ASSERT_TRUE(make_directories(in("folder/inside")));
    EXPECT_FALSE(write_file_atomic(in("folder"), "no"));
    const auto names = run_command({"ls", "-A", root_}).value().out;
    EXPECT_EQ(names, "a\nfolder\n");
}

TEST_F(Os, errors_name_the_path_and_have_a_reason) {
    const auto missing = read_file(in("none"));
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().reason, Reason::NotFound);
    EXPECT_EQ(missing.error().message, concat("open ", in("none"), ": No such file or directory"));
    ASSERT_TRUE(write_file(in("big"), "12345"));
    EXPECT_EQ(read_file(in("big"), 5).value(), "12345");
    EXPECT_EQ(read_file(in("big"), 4).error().reason, Reason::RequestEntityTooLarge);
    EXPECT_FALSE(make_directories(in("big/x")));
    EXPECT_TRUE(read_file("/proc/self/status").value().starts_with("Name:"));
}

TEST_F(Os, directories_are_made_with_their_parents) {
    ASSERT_TRUE(make_directories(in("a/b//c/")));
    ASSERT_TRUE(make_directories(in("a/b/c")));
    EXPECT_TRUE(file_exists(in("a/b/c")));
    EXPECT_FALSE(file_exists(in("a/x")));
}

TEST_F(Os, remove_tree_does_not_follow_links) {
    ASSERT_TRUE(make_directories(in("keep")));
    ASSERT_TRUE(write_file(in("keep/file"), "x"));
    ASSERT_TRUE(make_directories(in("tree/a/b")));
    ASSERT_TRUE(write_file(in("tree/a/b/file"), "x"));
    ASSERT_EQ(::symlink("../keep", in("tree/link").c_str()), 0);
    ASSERT_EQ(::symlink("keep", in("toplink").c_str()), 0);
    ASSERT_TRUE(remove_tree(in("tree/")));
    EXPECT_FALSE(file_exists(in("tree")));
    ASSERT_TRUE(remove_tree(in("toplink")));
    EXPECT_TRUE(file_exists(in("keep/file")));
    EXPECT_TRUE(remove_tree(in("none/at/all")));
    for (const char* bad : {"", "/", "..", "a/.."}) EXPECT_FALSE(remove_tree(bad)) << bad;
}

TEST_F(Os, remove_tree_copes_with_depth) {
    ASSERT_TRUE(make_directories(in("deep")));
    const Fd before{::open(".", O_PATH | O_CLOEXEC)};
    ASSERT_EQ(::chdir(in("deep").c_str()), 0);
    for (int i = 0; i < 1500; ++i) {   // far beyond PATH_MAX and the usual 1,024 descriptors
        ASSERT_EQ(::mkdir("dddd", 0755), 0);
        ASSERT_EQ(::chdir("dddd"), 0);
    }
    ASSERT_EQ(::fchdir(before.get()), 0);
    ASSERT_TRUE(remove_tree(in("deep")));
    EXPECT_FALSE(file_exists(in("deep")));
}

TEST_F(Os, remove_tree_stops_at_a_mount_point) {
    ASSERT_TRUE(make_directories(in("source")));
    ASSERT_TRUE(write_file(in("source/precious"), "x"));
    ASSERT_TRUE(make_directories(in("tree/mounted")));
    // A bind mount: same device, so that comparing device numbers would not notice.
    if (::mount(in("source").c_str(), in("tree/mounted").c_str(), nullptr, MS_BIND, nullptr) != 0)
        GTEST_SKIP() << "may not mount here";
    const auto removed = remove_tree(in("tree"));
    const auto itself = remove_tree(in("tree/mounted"));
    EXPECT_TRUE(file_exists(in("source/precious")));
    ASSERT_EQ(::umount(in("tree/mounted").c_str()), 0);
    ASSERT_FALSE(removed);
    EXPECT_EQ(removed.error().message,
              concat("remove ", in("tree/mounted"), ": something is mounted there"));
    EXPECT_FALSE(itself);
}

TEST_F(Os, a_command_gives_its_output_and_exit_code) {
    const struct {
        const char* script;
        int exit_code;
        const char *out, *error;
    } rows[] = {
        {"echo out; echo bad >&2; exit 3", 3, "out\n", "bad\n"},
        {"kill -TERM $$", 143, "", ""},
        {"cat; cat", 0, "fed", ""},
        {"sleep 1000 & echo early", 0, "early\n", ""},
    };
    for (const auto& row : rows) {
        const auto result = run_command({"sh", "-c", row.script}, {.input = "fed"});
        ASSERT_TRUE(result) << row.script;
        EXPECT_EQ(result->exit_code, row.exit_code) << row.script;
        EXPECT_EQ(result->out, row.out);
        EXPECT_EQ(result->error, row.error);
    }
}

TEST_F(Os, a_command_gets_the_environment_it_is_given) {
    EXPECT_EQ(run_command({"/usr/bin/env"}, {.environment = {"A=b"}})->out, "A=b\n");
    EXPECT_NE(run_command({"env"})->out.find("PATH="), std::string::npos);
    EXPECT_EQ(run_command({"cat"})->out, "");
}

// A daemon that we start must not keep a port that we listen on.
TEST_F(Os, a_command_gets_no_descriptor_but_the_three) {
    const Fd inheritable{::open("/dev/zero", O_RDONLY)};
    ASSERT_GE(inheritable.get(), 3);
    const auto seen = run_command({"sh", "-c", "readlink /proc/self/fd/* | grep -c /dev/zero"});
    EXPECT_EQ(trim(seen->out), "0") << seen->out;
}

TEST_F(Os, a_program_keeps_the_descriptors_it_is_given_and_no_other) {
    const Fd before{::open("/dev/zero", O_RDONLY)};
    const Fd kept{::open("/dev/zero", O_RDONLY | O_CLOEXEC)};
    const Fd after{::open("/dev/zero", O_RDONLY)};
    const Fd nothing{::open("/dev/null", O_RDWR | O_CLOEXEC)};
    const auto told = root_ + "/told";
    const auto script = concat("for fd in /proc/self/fd/*; do case $(readlink $fd) in /dev/zero) ",
                               "echo ${fd##*/};; esac; done > ", told);
    const auto pid = start_program({"sh", "-c", script},
                                   {.standard = {nothing.get(), nothing.get(), nothing.get()},
                                    .kept = {kept.get()},
                                    .environment = {}});
    ASSERT_TRUE(pid) << pid.error().message;
    int status = -1;
    ASSERT_EQ(::waitpid(*pid, &status, 0), *pid);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(read_file(told), concat(kept.get(), "\n"));
}

TEST_F(Os, commands_that_are_missing_slow_or_loud_fail) {
    EXPECT_EQ(run_command({"no-such-program-x"}).error().reason, Reason::NotFound);
    EXPECT_EQ(run_command({"/etc/passwd"}).error().reason, Reason::Forbidden);
    EXPECT_EQ(run_command({}).error().reason, Reason::Invalid);
    const auto slow = run_command({"sleep", "1000"}, {.timeout = 20ms});
    ASSERT_FALSE(slow);
    EXPECT_EQ(slow.error().reason, Reason::Timeout);
    EXPECT_EQ(slow.error().message, "run sleep: took longer than 20ms");
    const auto loud = run_command({"yes"}, {.output_bytes_max = 1000});
    ASSERT_FALSE(loud);
    EXPECT_EQ(loud.error().reason, Reason::RequestEntityTooLarge);
    EXPECT_EQ(run_command({"head", "-c", "300000", "/dev/zero"})->out.size(), 300'000u);
}

}   // namespace
}   // namespace skiff
