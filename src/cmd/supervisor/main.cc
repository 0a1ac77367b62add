// The supervisor's program: static and apart from skiff's own, which would bring its libraries'
// relocations (1.5 MiB of dirty memory) into a process that sleeps. `skiff up` unpacks it.
#include <cstdio>

#include "base/log.h"
#include "cmd/flags.h"
#include "cmd/supervisor/supervisor.h"

namespace skiff::cmd {
namespace {

Result<SupervisorOptions> parse(const std::vector<std::string>& arguments) {
    TRY(const auto flags,
        Flags::parse(arguments, {{"root", "DIR", "all state of the cluster"},
                                 {"skiff", "FILE", "the program of server and agent"},
                                 {"port", "PORT", "the API server's"},
                                 {"agent-port", "PORT", "the node agent's"},
                                 {"dns-address", "ADDRESS", "of the cluster's DNS"},
                                 {"containerd-config", "FILE", "of the containerd to run"}}));
    SupervisorOptions options{.root = flags.text("root"),
                              .skiff = flags.text("skiff"),
                              .port = 0,
                              .agent_port = 0,
                              .dns_address = flags.text("dns-address"),
                              .containerd_config = flags.text("containerd-config")};
    TRY(options.port, flags.port("port", 0));
    TRY(options.agent_port, flags.port("agent-port", 0));
    if (options.root.empty() || options.skiff.empty() || !options.port || !options.agent_port)
        return fail(Reason::Invalid, "started by hand? `skiff up` starts it");
    return options;
}

}   // namespace
}   // namespace skiff::cmd

int main(int argc, char** argv) {
    auto options = skiff::cmd::parse({argv + 1, argv + argc});
    const auto done = options ? skiff::cmd::supervise(std::move(*options))
                              : std::unexpected{std::move(options).error()};
    if (done) return 0;
    skiff::log_error("the supervisor cannot go on", {{"error", done.error().message}});
    return 1;
}
