#include "cmd/commands.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "apiserver/version.h"
#include "base/os.h"
#include "base/text.h"
#include "cmd/agent_role.h"
#include "cmd/cluster.h"
#include "cmd/down.h"
#include "cmd/encryption.h"
#include "cmd/flags.h"
#include "cmd/image.h"
#include "cmd/kubeconfig.h"
#include "cmd/progress.h"
#include "cmd/reset.h"
#include "cmd/server.h"
#include "cmd/status.h"
#include "cmd/up.h"

namespace skiff::cmd {
namespace {

using Arguments = std::vector<std::string>;

int run_version(const Arguments& arguments) {
    // --root means nothing here, but every verb takes it.
    const auto flags = Flags::parse(
        arguments, {{"root", "DIR", "all state of the cluster (default /var/lib/skiff)"}});
    if (!flags) return complain(flags.error().message);
    std::printf("skiff %.*s (Kubernetes %.*s)\n", static_cast<int>(apiserver::skiff_version.size()),
                apiserver::skiff_version.data(),
                static_cast<int>(apiserver::kubernetes_version.size()),
                apiserver::kubernetes_version.data());
    return 0;
}

int run_kubeconfig(const Arguments& arguments) {
    const auto flags = Flags::parse(
        arguments, {{"root", "DIR", "all state of the cluster (default /var/lib/skiff)"},
                    {"path", "", "print where it is instead of what is in it"}});
    if (!flags) return complain(flags.error().message);
    const auto cluster = load_cluster(flags->text("root", default_root));
    if (!cluster) return complain(cluster.error().message);
    if (flags->on("path")) return std::printf("%s\n", cluster->admin_kubeconfig().c_str()), 0;
    const auto text = read_file(cluster->admin_kubeconfig());
    if (!text) return complain(text.error().message);
    std::fputs(text->c_str(), stdout);
    return 0;
}

struct Verb {
    std::string_view name;
    std::string_view help;
    int (*run)(const Arguments&);
};

constexpr std::array verbs{
    Verb{"up", "start the cluster on this machine, return when the node is Ready", run_up},
    Verb{"status", "what runs, since when, how large, what is wrong", run_status},
    Verb{"down", "stop it; --keep-pods leaves the containers running", run_down},
    Verb{"reset", "stop it and remove all that it ever made on this machine", run_reset},
    Verb{"kubeconfig", "print the admin kubeconfig; --path prints where it is", run_kubeconfig},
    Verb{"image", "import FILE | list: images on this node without a registry", run_image},
    Verb{"encryption", "status | rotate: the keys that Secrets are sealed with", run_encryption},
    Verb{"server", "the server's role in the foreground", run_server},
    Verb{"agent", "the node agent's role in the foreground", run_agent},
    Verb{"version", "print the version", run_version},
};

int usage(FILE* to) {
    std::fputs("Skiff: Kubernetes in one small, fast binary.\n\nusage: skiff <verb> [flags]\n\n",
               to);
    for (const auto& verb : verbs)
        std::fprintf(to, "  %-12s%.*s\n", std::string{verb.name}.c_str(),
                     static_cast<int>(verb.help.size()), verb.help.data());
    std::fputs(
        "\nEvery verb takes --root DIR (default /var/lib/skiff); several clusters can live on one "
        "machine.\n"
        "skiff <verb> --help lists the flags of a verb.\n",
        to);
    return to == stdout ? 0 : 2;
}

}   // namespace

int run(int argc, char** argv) {
    if (argc < 2) return usage(stderr);
    const std::string_view name = argv[1];
    if (name == "help" || name == "--help" || name == "-h") return usage(stdout);
    const auto verb = std::ranges::find(verbs, name, &Verb::name);
    if (verb == verbs.end()) {
        complain(concat("there is no verb '", name, "'"));
        return usage(stderr);
    }
    return verb->run(Arguments{argv + 2, argv + argc});
}

}   // namespace skiff::cmd
