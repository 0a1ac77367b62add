#include "agent/containerd_fixture.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/os.h"
#include "base/text.h"

namespace skiff::agent {
namespace {

constexpr const char* plugins_folder = "/usr/lib/cni";
constexpr const char* runc_path = "/usr/sbin/runc";

Result<std::string> output_of(const std::vector<std::string>& command) {
    TRY(auto done, run_command(command, {.timeout = 60s}));
    if (done.exit_code != 0)
        return fail(Reason::InternalError, concat(join(command, " "), ": ", done.error));
    return std::move(done.out);
}

Result<std::string> sha256_of(const std::string& path) {
    TRY(const auto line, output_of({"sha256sum", path}));
    return line.substr(0, 64);
}

}   // namespace

std::string ContainerdFixture::missing() {
    if (::geteuid() != 0) return "this test needs root";
    for (const char* path : {"/usr/bin/containerd", "/usr/bin/ctr", runc_path, "/bin/busybox",
                             "/usr/lib/cni/ptp", "/usr/lib/cni/host-local"})
        if (!file_exists(path)) return concat("this test needs ", path);
    return {};
}

ContainerdFixture::ContainerdFixture(const std::string& network)
    : executor_{make_thread_pool(os_clock())}, loop_{os_clock(), "cri-test"} {
    char name[] = "/tmp/skiff-cri.XXXXXX";
    folder_ = ::mkdtemp(name);
    cgroup_ = "/skiff-test-" + folder_.substr(folder_.size() - 6);
    client_ = net::make_grpc_client(*executor_, loop_.loop(),
                                    {.unix_path = folder_ + "/containerd.sock"});
    cri_ = make_cri(*client_);
    write_config(network);
}

void ContainerdFixture::write_config(const std::string& network) {
    const std::string config = concat(
        "version = 2\n"
        "root = \"",
        folder_,
        "/root\"\n"
        "state = \"",
        folder_,
        "/state\"\n"
        "disabled_plugins = [\"io.containerd.snapshotter.v1.aufs\", "
        "\"io.containerd.snapshotter.v1.btrfs\", \"io.containerd.snapshotter.v1.devmapper\", "
        "\"io.containerd.snapshotter.v1.zfs\"]\n"
        "[grpc]\n  address = \"",
        folder_,
        "/containerd.sock\"\n"
        "[plugins.\"io.containerd.grpc.v1.cri\"]\n"
        "  sandbox_image = \"",
        image,
        "\"\n"
        "  restrict_oom_score_adj = true\n"   // lowering it needs CAP_SYS_RESOURCE
        "  netns_mounts_under_state_dir = true\n"
        "  [plugins.\"io.containerd.grpc.v1.cri\".cni]\n"
        "    bin_dir = \"",
        plugins_folder,
        "\"\n"
        "    conf_dir = \"",
        folder_,
        "/net.d\"\n"
        "  [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n"
        "    runtime_type = \"io.containerd.runc.v2\"\n"
        "    [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\n"
        "      BinaryName = \"",
        runc_path,
        "\"\n"
        "      SystemdCgroup = false\n");
    const bool bridge = network == "bridge";
    const std::string conflist =
        concat(R"({"cniVersion":"0.4.0","name":"skiff-test","plugins":[{"type":")", network,
               R"(",)", bridge ? R"("bridge":"skbrtest","isGateway":true,)" : "",
               R"("ipMasq":false,"ipam":{"type":"host-local","dataDir":")", folder_,
               R"(/networks","ranges":[[{"subnet":"10.213.77.0/24"}]],)",
               R"("routes":[{"dst":"0.0.0.0/0"}]}}]})");
    const bool written = make_directories(folder_ + "/net.d") &&
                         make_directories(folder_ + "/logs") &&
                         write_file_atomic(folder_ + "/config.toml", config) &&
                         write_file_atomic(folder_ + "/net.d/10-test.conflist", conflist);
    ASSERT(written);
}

Result<> ContainerdFixture::start() {
    pid_ = ::fork();
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const std::string log = folder_ + "/containerd.log", config = folder_ + "/config.toml";
        const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        ::dup2(out, 1), ::dup2(out, 2);
        ::execl("/usr/bin/containerd", "containerd", "-c", config.c_str(), nullptr);
        ::_exit(127);
    }
    const auto deadline = os_clock().monotonic() + 20s;
    while (true) {   // there is nothing to wait on before its socket is there
        const auto status = cri_->status();
        if (status) break;
        if (os_clock().monotonic() > deadline) return std::unexpected{status.error()};
        executor_->make_waiter()->wait_until(os_clock().monotonic() + 10ms);
    }
    if (!file_exists(folder_ + "/image.tar")) TRY_OK(make_image());
    return {};
}

// An OCI image layout of one layer with busybox and links to it (image-spec, image-layout.md).
Result<> ContainerdFixture::make_image() {
    const std::string root = folder_ + "/rootfs", layout = folder_ + "/layout";
    const std::string blobs = layout + "/blobs/sha256";
    for (const char* part : {"/bin", "/etc", "/tmp", "/proc", "/dev", "/var/log"})
        TRY_OK(make_directories(root + part));
    TRY_OK(make_directories(blobs));
    TRY_OK(output_of({"cp", "/bin/busybox", root + "/bin/busybox"}));
    TRY_OK(output_of({"/bin/busybox", "--install", root + "/bin"}));
    TRY_OK(
        write_file_atomic(root + "/etc/passwd", "root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:\n"));
    TRY_OK(output_of({"tar", "-C", root, "-cf", folder_ + "/layer.tar", "."}));
    const auto add_blob = [&](const std::string& file) -> Result<std::string> {
        TRY(auto digest, sha256_of(file));
        TRY_OK(output_of({"cp", file, blobs + "/" + digest}));
        return digest;
    };
    TRY(const auto layer, add_blob(folder_ + "/layer.tar"));
    const auto layer_size = std::filesystem::file_size(folder_ + "/layer.tar");
    const std::string config = concat(
        R"({"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"],)",
        R"("Cmd":["/bin/sleep","2147483647"]},"rootfs":{"type":"layers","diff_ids":["sha256:)",
        layer, R"("]}})");
    TRY_OK(write_file_atomic(folder_ + "/config.json", config));
    TRY(const auto config_digest, add_blob(folder_ + "/config.json"));
    const std::string manifest = concat(
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)",
        R"({"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:)",
        config_digest, R"(","size":)", config.size(), R"(},"layers":[{"mediaType":)",
        R"("application/vnd.oci.image.layer.v1.tar","digest":"sha256:)", layer, R"(","size":)",
        layer_size, "}]}");
    TRY_OK(write_file_atomic(folder_ + "/manifest.json", manifest));
    TRY(const auto manifest_digest, add_blob(folder_ + "/manifest.json"));
    TRY_OK(write_file_atomic(
        layout + "/index.json",
        concat(R"({"schemaVersion":2,"manifests":[{"mediaType":)",
               R"("application/vnd.oci.image.manifest.v1+json","digest":"sha256:)", manifest_digest,
               R"(","size":)", manifest.size(), R"(,"annotations":{"io.containerd.image.name":")",
               image, R"("}}]})")));
    TRY_OK(write_file_atomic(layout + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})"));
    TRY_OK(output_of({"tar", "-C", layout, "-cf", folder_ + "/image.tar", "."}));
    TRY_OK(output_of({"ctr", "--address", folder_ + "/containerd.sock", "-n", "k8s.io", "images",
                      "import", folder_ + "/image.tar"}));
    return {};
}

void ContainerdFixture::kill() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
}

ContainerdFixture::~ContainerdFixture() {
    if (pid_ >= 0) {
        if (const auto pods = cri_->list_pod_sandboxes()) {
            for (const auto& pod : *pods) {
                (void)cri_->stop_pod_sandbox(pod.id);
                (void)cri_->remove_pod_sandbox(pod.id);
            }
        }
    }
    kill();
    client_.reset();
    (void)run_command({"sh", "-c",
                       concat("grep -o ' ", folder_,
                              "[^ ]*' /proc/mounts | xargs -r umount -l; "
                              "rm -rf ",
                              folder_,
                              "; ip link del skbrtest 2>/dev/null; "
                              "for i in 1 2 3; do find /sys/fs/cgroup -depth -type d -path '*",
                              cgroup_, "*' -exec rmdir {} + 2>/dev/null; done; true")});
}

std::string ContainerdFixture::log_tail() const {
    const auto log = read_file(folder_ + "/containerd.log");
    if (!log) return log.error().message;
    return log->substr(log->size() - std::min<size_t>(log->size(), 4000));
}

cri::PodSandboxConfig ContainerdFixture::pod(const std::string& name) const {
    cri::PodSandboxConfig config;
    config.metadata = {.name = name, .uid = "uid-" + name, .namespace_ = "default"};
    config.hostname = name;
    config.log_directory = folder_ + "/logs/" + name;
    config.dns_config.servers = {"10.96.0.10"};
    config.dns_config.searches = {"default.svc.cluster.local"};
    config.labels = {{"app", name}, {"test", "yes"}};
    config.annotations = {{"note", "x"}};
    config.linux.cgroup_parent = cgroup_ + "/" + name;
    config.linux.security_context.seccomp = {.profile_type = cri::ProfileType::RuntimeDefault};
    return config;
}

cri::ContainerConfig ContainerdFixture::shell(const std::string& name, const std::string& script) {
    cri::ContainerConfig config;
    config.metadata.name = name;
    config.image.image = image;
    config.command = {"/bin/sh", "-c", script};
    config.log_path = name + ".log";
    config.linux.security_context.namespace_options.pid = cri::NamespaceMode::Container;
    return config;
}

}   // namespace skiff::agent
