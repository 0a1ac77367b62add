// The ingress controller as a program of its own, with the command line of the classic one: what
// images/nginx-ingress-controller holds. It runs in a pod and speaks to the API as that pod's
// service account.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>

#include <poll.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/os.h"
#include "base/text.h"
#include "client/client.h"
#include "client/https_transport.h"
#include "ingress/controller.h"
#include "net/listen.h"
#include "net/server.h"

namespace skiff::ingress {
namespace {

constexpr std::string_view account_folder = "/var/run/secrets/kubernetes.io/serviceaccount/";
constexpr std::string_view folder = "/run/nginx-ingress";
constexpr uint16_t health_port = 10254;
constexpr int end_milliseconds_max = 25'000;

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

// --name=value and --name value; a flag that means nothing here is told and passed over, as a
// manifest of another release may name it.
std::map<std::string, std::string> flags_of(int argc, char** argv) {
    std::map<std::string, std::string> flags;
    for (int i = 1; i < argc; ++i) {
        std::string_view word = argv[i];
        if (!word.starts_with("-")) continue;
        word.remove_prefix(word.starts_with("--") ? 2 : 1);
        const auto [name, value] = cut(word, '=');
        if (value)
            flags[std::string{name}] = *value;
        else if (i + 1 < argc && argv[i + 1][0] != '-')
            flags[std::string{name}] = argv[++i];
        else
            flags[std::string{name}] = "true";
    }
    return flags;
}

Result<std::unique_ptr<client::Transport>> transport_of(net::Loop& loop) {
    const auto host = variable("KUBERNETES_SERVICE_HOST");
    const auto port = parse_number<uint16_t>(variable("KUBERNETES_SERVICE_PORT"));
    if (host.empty() || !port)
        return fail(Reason::Invalid, "this is no pod: KUBERNETES_SERVICE_HOST is not set");
    TRY(const auto ca, read_file(concat(account_folder, "ca.crt")));
    TRY(auto tls, net::make_client_tls(ca));
    return client::make_https_transport(
        loop, {.servers = {{.host = host, .port = *port, .tls = std::move(tls)}},
               .bearer_token =
                   [] {
                       const auto token = read_file(concat(account_folder, "token"));
                       return token ? std::string{trim(*token)} : std::string{};
                   },
               .user_agent = "nginx-ingress-controller"});
}

// Where this pod's node is reached from outside: what the status is to say.
std::string node_address(client::Client& client) {
    const auto pod = client.get_text({"", "v1", "pods"}, {.name_space = variable("POD_NAMESPACE"),
                                                          .name = variable("POD_NAME")});
    if (!pod) {
        log_warn("this pod cannot be read", {{"error", pod.error().message}});
        return {};
    }
    const auto document = codec::parse_json(*pod);
    return document ? std::string{document->root.text_at({"status", "hostIP"})} : std::string{};
}

// Whether this service account may read what today's controllers read.
bool may_list(client::Client& client, std::string_view path) {
    client::ApiRequest request;
    request.path = path;
    request.query = "limit=1";
    return client.call(std::move(request)).has_value();
}

ControllerOptions options_of(const std::map<std::string, std::string>& flags,
                             client::Client& client) {
    const auto flag = [&](const std::string& name, std::string otherwise) {
        const auto found = flags.find(name);
        return found == flags.end() ? otherwise : found->second;
    };
    const auto port = [&](const std::string& name, uint16_t otherwise) {
        return parse_number<uint16_t>(flag(name, "")).value_or(otherwise);
    };
    ControllerOptions options;
    options.model.default_backend = flag("default-backend-service", "");
    options.model.class_name = flag("ingress-class", "nginx");
    options.model.without_class = true;
    options.newer_kinds = may_list(client, "/apis/discovery.k8s.io/v1/endpointslices") &&
                          may_list(client, "/apis/networking.k8s.io/v1/ingressclasses");
    options.model.secrets = options.newer_kinds && may_list(client, "/api/v1/secrets");
    // Its log is the container's: that of the first process, whoever starts nginx.
    options.conf = {.folder = std::string{folder},
                    .error_log = concat("/proc/", ::getpid(), "/fd/2"),
                    .access_log = concat("/proc/", ::getpid(), "/fd/1"),
                    .user = ::getpwnam("www-data") ? "www-data" : "",
                    .http_port = port("http-port", 80),
                    .https_port = port("https-port", 443)};
    options.conf.workers =
        static_cast<unsigned>(std::clamp(::sysconf(_SC_NPROCESSORS_ONLN), 1L, 4L));
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0)
        options.conf.open_files =
            static_cast<unsigned long>(std::min<rlim_t>(files.rlim_max, 65536));
    options.conf.ipv6 = file_exists("/proc/net/if_inet6");
    options.nginx = {.folder = std::string{folder}, .log = {}};
    options.host = variable("POD_NAME");
    options.address = flag("publish-status-address", node_address(client));
    return options;
}

Result<std::unique_ptr<net::Server>> serve_health(net::Loop& loop, uint16_t port,
                                                  const Controller& controller) {
    TRY(auto listener, net::listen_tcp("0.0.0.0", port));
    return net::make_server(
        {&loop}, std::move(listener), nullptr,
        [&controller](const net::Request&, const std::shared_ptr<net::Responder>& responder) {
            const bool good = controller.healthy();
            net::Response response{.status = good ? 200 : 500};
            response.body.emplace_back(Bytes{good ? "ok" : "not ready"});
            responder->send(std::move(response));
        });
}

// What is under way is answered: when the first process of a container ends, all do.
void end_nginx_gracefully(const std::string& nginx_folder) {
    const auto text = read_file(nginx_folder + "/nginx.pid");
    const auto pid = text ? parse_number<pid_t>(trim(*text)) : std::nullopt;
    if (!pid || ::kill(*pid, SIGQUIT) != 0) return;
    const Fd process{static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0))};
    pollfd ended{.fd = process.get(), .events = POLLIN, .revents = 0};
    if (process) ::poll(&ended, 1, end_milliseconds_max);
}

int run(int argc, char** argv) {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    const auto flags = flags_of(argc, argv);
    auto& clock = os_clock();
    const auto executor = make_thread_pool(clock, {.threads_max = 16, .name = "ingress"});
    net::LoopThread loop{clock, "ingress-loop"};
    const auto transport = transport_of(loop.loop());
    if (!transport) {
        log_error("cannot start", {{"error", transport.error().message}});
        return 1;
    }
    client::Client client{*executor, **transport, "nginx-ingress-controller"};
    auto options = options_of(flags, client);
    const auto folder_of_nginx = options.nginx.folder;
    Controller controller{std::move(options), *executor, os_random(), loop.loop(), **transport};
    controller.start();
    const auto health = flags.find("healthz-port");
    const auto server = serve_health(
        loop.loop(),
        health == flags.end() ? health_port
                              : parse_number<uint16_t>(health->second).value_or(health_port),
        controller);
    if (!server) {
        log_error("cannot serve its health", {{"error", server.error().message}});
        return 1;
    }
    int signal = 0;
    sigwait(&ends, &signal);
    log_info("ending", {{"signal", signal}});
    controller.let_go_of_ports();
    end_nginx_gracefully(folder_of_nginx);
    std::_Exit(0);
}

}   // namespace
}   // namespace skiff::ingress

int main(int argc, char** argv) { return skiff::ingress::run(argc, argv); }
