#include "cmd/cluster.h"

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/containerd_config.h"
#include "api/names.h"
#include "base/os.h"
#include "base/text.h"
#include "cmd/leftovers.h"
#include "cmd/process.h"
#include "codec/json.h"

namespace skiff::cmd {
namespace {

constexpr uint16_t default_port = 6443;
constexpr uint16_t default_agent_port = 10250;
constexpr int ports_tried_max = 200;
constexpr Duration certificate_life_min = std::chrono::seconds{10};   // a test's
constexpr Duration certificate_life_max = std::chrono::hours{24 * 365};
constexpr uint16_t spare_http_port = 8080;   // of ingresses, where another cluster has 80 and 443
constexpr uint16_t spare_https_port = 8443;

struct Range {
    uint32_t base = 0;
    unsigned bits = 0;
    uint32_t mask() const { return bits == 0 ? 0 : ~uint32_t{0} << (32 - bits); }
    bool overlaps(const Range& other) const {
        const auto wide = mask() & other.mask();
        return (base & wide) == (other.base & wide);
    }
};

Result<Range> parse_range(const std::string& text) {
    const auto bad = [&] {
        return fail(Reason::Invalid,
                    concat("'", text, "' must be an IPv4 range such as 10.244.0.0/16"));
    };
    const auto [address, bits] = cut(text, '/');
    const auto prefix = bits ? parse_number<unsigned>(*bits) : std::nullopt;
    in_addr parsed{};
    if (!prefix || *prefix < 8 || *prefix > 28 ||
        inet_pton(AF_INET, std::string{address}.c_str(), &parsed) != 1)
        return bad();
    Range range{.base = ntohl(parsed.s_addr), .bits = *prefix};
    if ((range.base & ~range.mask()) != 0)
        return fail(
            Reason::Invalid,
            concat("'", text, "' must be the range's first address: no bits behind the prefix"));
    return range;
}

std::string address_text(uint32_t address) {
    in_addr raw{.s_addr = htonl(address)};
    std::array<char, INET_ADDRSTRLEN> text{};
    inet_ntop(AF_INET, &raw, text.data(), text.size());
    return text.data();
}

// What the kernel routes now, the default route aside (/proc/net/route: little-endian hex).
std::vector<Range> routed_ranges() {
    std::vector<Range> ranges;
    const auto table = read_file("/proc/net/route");
    if (!table) return ranges;
    for (const auto line : split(*table, '\n')) {
        const auto fields = split(line, '\t');
        if (fields.size() < 8 || trim(fields[1]) == "Destination") continue;
        const auto destination =
            static_cast<uint32_t>(std::stoul(std::string{trim(fields[1])}, nullptr, 16));
        const auto mask =
            static_cast<uint32_t>(std::stoul(std::string{trim(fields[7])}, nullptr, 16));
        if (mask == 0) continue;
        ranges.push_back(
            {.base = ntohl(destination), .bits = static_cast<unsigned>(__builtin_popcount(mask))});
    }
    return ranges;
}

// The first of base, base + step, ... that nothing here routes.
std::string free_range(const std::string& base, uint32_t step, unsigned count,
                       const std::vector<Range>& taken) {
    auto range = parse_range(base);
    ASSERT(range.has_value());
    for (unsigned i = 0; i < count; ++i, range->base += step) {
        if (std::ranges::none_of(taken, [&](const Range& other) { return range->overlaps(other); }))
            return concat(address_text(range->base), "/", range->bits);
    }
    return base;
}

Result<uint16_t> free_port(uint16_t wished, uint16_t fallback) {
    if (wished) {
        if (port_is_free(wished)) return wished;
        return fail(
            Reason::Conflict,
            concat("port ", wished,
                   " is in use by another program; stop it, or choose another with --port"));
    }
    for (int i = 0; i < ports_tried_max; ++i) {
        const auto port = static_cast<uint16_t>(fallback + i);
        if (port_is_free(port)) return port;
    }
    return fail(Reason::Conflict,
                concat("no free port from ", fallback, " on; name one with --port"));
}

std::string host_name() {
    std::array<char, HOST_NAME_MAX + 1> name{};
    if (gethostname(name.data(), name.size() - 1) != 0 || !name[0]) return "localhost";
    return lower(name.data());
}

Result<> save(const Cluster& cluster) {
    codec::Document document{.arena = {}, .root = codec::Json::object()};
    auto& arena = document.arena;
    const auto put = [&](std::string_view key, std::string_view value) {
        document.root.set(arena, key, codec::Json::string(arena, value));
    };
    put("id", cluster.id);
    document.root.set(arena, "port", codec::Json::integer(cluster.port));
    document.root.set(arena, "agentPort", codec::Json::integer(cluster.agent_port));
    put("podCidr", cluster.pod_cidr);
    put("serviceCidr", cluster.service_cidr);
    put("nodeName", cluster.node_name);
    put("runtimeEndpoint", cluster.runtime_endpoint);
    put("compat", cluster.compat);
    put("legacyVersions", cluster.legacy_versions);
    document.root.set(arena, "ingressHttpPort", codec::Json::integer(cluster.ingress_http_port));
    document.root.set(arena, "ingressHttpsPort", codec::Json::integer(cluster.ingress_https_port));
    put("certificateLife", go_duration(cluster.certificate_life));
    std::string text;
    codec::write_json_pretty(document.root, text);
    return write_file_atomic(cluster.path("cluster.json"), text + "\n", 0644);
}

Result<> same_or(std::string_view what, std::string_view wished, std::string_view has) {
    if (wished.empty() || wished == has) return {};
    return fail(Reason::Conflict,
                concat("this cluster was made with ", what, " ", has, ", which cannot become ",
                       wished, "; `skiff reset` removes it, or use another --root"));
}

Result<std::string> wished_compat(std::string_view wished, const std::string& has) {
    if (wished.empty()) return has;
    if (wished == "off") return std::string{};
    if (wished == "2017") return std::string{wished};
    return fail(Reason::Invalid, concat("--compat must be 2017 or off, not '", wished, "'"));
}

Result<Duration> wished_life(std::string_view wished, Duration has) {
    if (wished.empty()) return has;
    const auto life = parse_go_duration(wished);
    if (life && *life >= certificate_life_min && *life <= certificate_life_max) return *life;
    return fail(Reason::Invalid, concat("--certificate-life must be a duration of ",
                                        go_duration(certificate_life_min), " to ",
                                        go_duration(certificate_life_max), ", not '", wished, "'"));
}

Result<std::string> wished_legacy_versions(std::string_view wished, const std::string& has) {
    if (wished.empty()) return has;
    if (wished == "on") return std::string{};
    if (wished == "off") return std::string{wished};
    return fail(Reason::Invalid, concat("--legacy-versions must be on or off, not '", wished, "'"));
}

std::string ingress_ports_text(const Cluster& cluster) {
    if (!cluster.has_ingress()) return "off";
    return concat(cluster.ingress_http_port, ",", cluster.ingress_https_port);
}

Result<> parse_ingress_ports(std::string_view wished, Cluster& cluster) {
    const auto [http, https] = cut(wished, ',');
    const auto first = parse_number<uint16_t>(http);
    const auto second = parse_number<uint16_t>(https.value_or(""));
    if (!first || !second || !*first || !*second || *first == *second)
        return fail(Reason::Invalid, "--ingress-ports must be HTTP,HTTPS (80,443) or off");
    cluster.ingress_http_port = *first;
    cluster.ingress_https_port = *second;
    return {};
}

// Without a wish those that the world expects; where another cluster has them, the next that are
// free. Nothing listens before there is an Ingress, and a port that is taken then is left alone.
Result<> choose_ingress_ports(std::string_view wished, const std::vector<Cluster>& others,
                              Cluster& cluster) {
    if (wished == "off") return {};
    if (!wished.empty()) return parse_ingress_ports(wished, cluster);
    const auto had = [&](uint16_t port) {
        return std::ranges::any_of(others, [port](const Cluster& other) {
            return other.ingress_http_port == port || other.ingress_https_port == port;
        });
    };
    cluster.ingress_http_port = 80;
    cluster.ingress_https_port = 443;
    if (!had(80) && !had(443)) return {};
    for (uint16_t i = 0; i < ports_tried_max; ++i) {
        cluster.ingress_http_port = static_cast<uint16_t>(spare_http_port + i);
        cluster.ingress_https_port = static_cast<uint16_t>(spare_https_port + i);
        const auto usable = [&](uint16_t port) { return !had(port) && port_is_free(port); };
        if (usable(cluster.ingress_http_port) && usable(cluster.ingress_https_port)) return {};
    }
    cluster.ingress_http_port = cluster.ingress_https_port = 0;
    return {};
}

// What may change between one `up` and the next.
Result<Cluster> with_changes(const ClusterWishes& wishes, Cluster cluster) {
    const auto ports = ingress_ports_text(cluster), compat_before = cluster.compat,
               legacy_before = cluster.legacy_versions;
    const auto life_before = cluster.certificate_life;
    if (!wishes.ingress_ports.empty()) {
        cluster.ingress_http_port = cluster.ingress_https_port = 0;
        TRY_OK(choose_ingress_ports(wishes.ingress_ports, {}, cluster));
    }
    TRY(cluster.compat, wished_compat(wishes.compat, compat_before));
    TRY(cluster.legacy_versions, wished_legacy_versions(wishes.legacy_versions, legacy_before));
    TRY(cluster.certificate_life, wished_life(wishes.certificate_life, life_before));
    const char* changed = ingress_ports_text(cluster) != ports       ? "--ingress-ports"
                          : cluster.compat != compat_before          ? "--compat"
                          : cluster.legacy_versions != legacy_before ? "--legacy-versions"
                          : cluster.certificate_life != life_before  ? "--certificate-life"
                                                                     : nullptr;
    if (!changed) return cluster;
    if (running(cluster.supervisor_pid_file()))
        return fail(Reason::Conflict,
                    concat(changed, " changes with the next start: `skiff down` first"));
    TRY_OK(save(cluster));
    return cluster;
}

}   // namespace

std::string Cluster::containerd_socket() const {
    return runtime_endpoint.empty() ? agent::containerd_paths(root).socket : runtime_endpoint;
}

std::string Cluster::context_name() const {
    return root == default_root ? "skiff" : concat("skiff-", id);
}

std::string absolute_path(const std::string& path) {
    if (path.starts_with('/')) return path;
    std::array<char, PATH_MAX> here{};
    if (!getcwd(here.data(), here.size())) return path;
    return concat(here.data(), "/", path);
}

bool port_is_free(uint16_t port) {
    const Fd socket_fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const int on = 1;
    setsockopt(socket_fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = INADDR_ANY;
    return bind(socket_fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

Result<std::string> first_address(const std::string& cidr) {
    TRY(const auto range, parse_range(cidr));
    return address_text(range.base + 1);
}

Result<Cluster> load_cluster(const std::string& root) {
    Cluster cluster{.root = absolute_path(root)};
    const auto path = cluster.path("cluster.json");
    if (!file_exists(path))
        return fail(Reason::NotFound,
                    concat("there is no cluster at ", cluster.root, "; `skiff up` makes one"));
    TRY(const auto text, read_file(path));
    auto document = codec::parse_json(text);
    if (!document) return std::unexpected{std::move(document).error().in(path)};
    const auto& json = document->root;
    const auto number = [&](std::string_view key) {
        const auto* value = json.find(key);
        return static_cast<uint16_t>(value && value->is_integer() ? value->as_int() : 0);
    };
    cluster.id = json.text_at({"id"});
    cluster.port = number("port");
    cluster.agent_port = number("agentPort");
    cluster.pod_cidr = json.text_at({"podCidr"});
    cluster.service_cidr = json.text_at({"serviceCidr"});
    cluster.node_name = json.text_at({"nodeName"});
    cluster.runtime_endpoint = json.text_at({"runtimeEndpoint"});
    cluster.compat = json.text_at({"compat"});
    cluster.legacy_versions = json.text_at({"legacyVersions"});
    cluster.ingress_http_port = number("ingressHttpPort");
    cluster.ingress_https_port = number("ingressHttpsPort");
    if (const auto life = parse_go_duration(json.text_at({"certificateLife"})))
        cluster.certificate_life = *life;
    if (cluster.id.empty() || !cluster.port)
        return fail(Reason::InternalError,
                    concat(path, " is not complete; `skiff reset` removes the cluster"));
    return cluster;
}

Result<Cluster> ensure_cluster(const ClusterWishes& wishes, Random& random) {
    auto loaded = load_cluster(wishes.root);
    if (loaded) {
        TRY_OK(same_or("port", wishes.port ? std::to_string(wishes.port) : "",
                       std::to_string(loaded->port)));
        TRY_OK(same_or("--pod-cidr", wishes.pod_cidr, loaded->pod_cidr));
        TRY_OK(same_or("--service-cidr", wishes.service_cidr, loaded->service_cidr));
        TRY_OK(same_or("--node-name", wishes.node_name, loaded->node_name));
        TRY_OK(same_or("--container-runtime-endpoint", wishes.runtime_endpoint,
                       loaded->runtime_endpoint));
        return with_changes(wishes, std::move(*loaded));
    }
    if (loaded.error().reason != Reason::NotFound) return loaded;
    Cluster cluster{.root = absolute_path(wishes.root), .id = random.name_suffix(6)};
    TRY(cluster.port, free_port(wishes.port, default_port));
    TRY(cluster.agent_port, free_port(0, default_agent_port));
    auto taken = routed_ranges();
    // A cluster without pods routes nothing yet, and service ranges are never routed.
    std::vector<Cluster> others;
    for (const auto& root : known_cluster_roots()) {
        const auto other = load_cluster(root);
        if (!other) continue;
        others.push_back(*other);
        for (const auto& range : {other->pod_cidr, other->service_cidr})
            if (const auto parsed = parse_range(range)) taken.push_back(*parsed);
    }
    if (!wishes.pod_cidr.empty()) TRY_OK(parse_range(wishes.pod_cidr));
    if (!wishes.service_cidr.empty()) TRY_OK(parse_range(wishes.service_cidr));
    cluster.pod_cidr = wishes.pod_cidr.empty() ? free_range("10.244.0.0/16", 1u << 16, 12, taken)
                                               : wishes.pod_cidr;
    taken.push_back(*parse_range(cluster.pod_cidr));
    cluster.service_cidr = wishes.service_cidr.empty()
                               ? free_range("10.96.0.0/16", 1u << 16, 64, taken)
                               : wishes.service_cidr;
    cluster.node_name = wishes.node_name.empty() ? host_name() : wishes.node_name;
    if (const auto wrong = api::check_dns1123_subdomain(cluster.node_name); !wrong.empty())
        return fail(Reason::Invalid, concat("--node-name: '", cluster.node_name, "': ", wrong));
    cluster.runtime_endpoint = wishes.runtime_endpoint;
    TRY(cluster.compat, wished_compat(wishes.compat, ""));
    TRY(cluster.legacy_versions, wished_legacy_versions(wishes.legacy_versions, ""));
    TRY_OK(choose_ingress_ports(wishes.ingress_ports, others, cluster));
    TRY(cluster.certificate_life, wished_life(wishes.certificate_life, cluster.certificate_life));
    TRY_OK(make_directories(cluster.root, 0755));
    TRY_OK(save(cluster));
    return cluster;
}

}   // namespace skiff::cmd
