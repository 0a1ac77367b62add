#include "cmd/image.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include <unistd.h>

#include "agent/image_name.h"
#include "agent/imported_images.h"
#include "agent/registry_auth.h"
#include "base/os.h"
#include "base/text.h"
#include "cmd/flags.h"
#include "cmd/progress.h"
#include "cmd/runtime_session.h"

namespace skiff::cmd {
namespace {

Result<> import_file(const Cluster& cluster, const std::string& file) {
    if (!file_exists(file)) return fail(Reason::NotFound, concat("there is no file ", file));
    TRY(const auto session, RuntimeSession::open(cluster));
    TRY(const auto names,
        agent::import_images(session->executor(), session->cri(),
                             {.file = absolute_path(file),
                              .socket = cluster.containerd_socket(),
                              .record_path = agent::imported_images_path(cluster.root)}));
    for (const auto& name : names) std::printf("imported %s\n", name.c_str());
    return {};
}

// With the credentials of a file as docker keeps them (~/.docker/config.json), if one is named.
Result<> pull(const Cluster& cluster, const std::string& image, const std::string& auth_file) {
    TRY(const auto name, agent::parse_image_name(image));
    std::vector<std::string> configs;
    if (!auth_file.empty()) {
        TRY(auto content, read_file(auth_file));
        configs.push_back(std::move(content));
    }
    auto auths = agent::registry_auths(configs, name);
    if (auths.empty() && !configs.empty()) {
        return fail(Reason::Invalid, concat(auth_file, " has no credentials for ", name.registry));
    }
    TRY(const auto session, RuntimeSession::open(cluster));
    Result<std::string> pulled = fail(Reason::Unknown, "");
    for (size_t i = 0; i < std::max<size_t>(auths.size(), 1) && !pulled; ++i) {
        const auto auth = auths.empty() ? std::nullopt : std::optional{auths[i]};
        pulled = session->cri().pull_image({.image = name.text()}, auth, {}, {});
    }
    if (!pulled) return std::unexpected{std::move(pulled).error()};
    std::printf("pulled %s\n", name.text().c_str());
    return {};
}

Result<> list(const Cluster& cluster) {
    TRY(const auto session, RuntimeSession::open(cluster));
    TRY(const auto images, session->cri().list_images());
    TRY(const auto imported,
        agent::read_imported_images(agent::imported_images_path(cluster.root)));
    std::printf("%-48s %-10s %s\n", "IMAGE", "SIZE", "ORIGIN");
    for (const auto& image : images) {
        for (const auto& tag : image.repo_tags)
            std::printf("%-48s %-10s %s\n", tag.c_str(), concat(image.size >> 10, " KiB").c_str(),
                        imported.contains(tag) ? "imported" : "pulled");
    }
    return {};
}

}   // namespace

int run_image(const std::vector<std::string>& arguments) {
    constexpr auto usage =
        "usage: skiff image import FILE | skiff image pull NAME | skiff image list";
    const auto flags =
        Flags::parse(arguments,
                     {{"root", "DIR", "all state of the cluster (default /var/lib/skiff)"},
                      {"auth-file", "FILE", "pull: credentials, as in ~/.docker/config.json"}},
                     2);
    if (!flags) return complain(flags.error().message);
    if (::geteuid() != 0) return complain("images belong to the node: sudo skiff image …");
    const auto cluster = load_cluster(flags->text("root", default_root));
    if (!cluster) return complain(cluster.error().message);
    const auto& words = flags->arguments();
    Result<> done = fail(Reason::Invalid, usage);
    if (words.size() == 2 && words[0] == "import") done = import_file(*cluster, words[1]);
    if (words.size() == 2 && words[0] == "pull")
        done = pull(*cluster, words[1], flags->text("auth-file"));
    if (words.size() == 1 && words[0] == "list") done = list(*cluster);
    return done ? 0 : complain(done.error().message);
}

}   // namespace skiff::cmd
