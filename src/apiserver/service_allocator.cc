#include "apiserver/service_allocator.h"

#include <set>

#include "api/field_errors.h"
#include "api/json_fields.h"
#include "api/normalize.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

using api::field;
using api::FieldPath;
using api::int_or;
using api::text_of;

constexpr uint32_t node_port_first = 30000;
constexpr uint32_t node_ports = 2768;
constexpr int random_tries = 32;

bool takes_node_ports(const Json& spec) {
    const auto type = text_of(spec, "type");
    return type == "NodePort" ||
           (type == "LoadBalancer" && api::truth(field(spec, "allocateLoadBalancerNodePorts")));
}

bool needs_health_port(const Json& spec) {
    return text_of(spec, "type") == "LoadBalancer" &&
           text_of(spec, "externalTrafficPolicy") == "Local";
}

// The lower part of a range is kept for those who choose by themselves (KEP-3070, KEP-3668).
uint32_t static_part(uint64_t size, uint64_t divisor, uint64_t most) {
    constexpr uint64_t least = 16;
    if (size <= least) return 0;
    return static_cast<uint32_t>(std::clamp(size / divisor, least, most));
}

bool six(std::string_view address) { return address.find(':') != address.npos; }

}   // namespace

bool is_service(const ServedResource& resource) {
    return resource.stored->group.empty() && resource.stored->plural == "services";
}

// The addresses and ports that a service holds.
struct ServiceAllocator::Held {
    std::set<std::string> addresses;
    std::set<uint32_t> ports;

    static Held of(const Json& service) {
        Held held;
        const Json& spec = field(service, "spec");
        if (text_of(spec, "type") == "ExternalName") return held;
        for (const Json& address : field(spec, "clusterIPs").items())
            if (const auto ip = address.text(); !ip.empty() && ip != "None")
                held.addresses.emplace(ip);
        const auto add = [&](const Json& port) {
            if (const int64_t number = int_or(port, 0); number > 0)
                held.ports.insert(static_cast<uint32_t>(number));
        };
        for (const Json& port : field(spec, "ports").items()) add(field(port, "nodePort"));
        add(field(spec, "healthCheckNodePort"));
        return held;
    }
};

class ServiceAllocator::Work {
  public:
    Work(const ServiceAllocator& owner, Json& service, const Json* old, Arena& arena)
        : owner_{owner},
          addresses_{owner.store_.view(owner.addresses_)},
          ports_{owner.store_.view(owner.ports_)},
          service_{service},
          spec_{service.make_object(arena, "spec")},
          old_{old ? Held::of(*old) : Held{}},
          arena_{arena} {}

    Result<> run() {
        if (text_of(spec_, "type") != "ExternalName") {
            set_families();
            TRY_OK(checked());
            TRY_OK(take_address());
        }
        TRY_OK(take_node_ports());
        TRY_OK(take_health_port());
        return checked();
    }

  private:
    Result<> checked() {
        if (causes_.empty()) return {};
        return std::unexpected{api::invalid_error(*api::builtin_kind("", "v1", "Service"),
                                                  metadata_text(service_, "name"),
                                                  std::move(causes_))};
    }

    void set_policy(std::string_view policy) {
        spec_.set_borrowed(arena_, "ipFamilyPolicy", Json::borrowed(policy));
    }

    // This cluster's services have IPv4 alone. A headless service without a selector may still say
    // that it has both, since nothing is given to it.
    void set_families() {
        const FieldPath path{"spec"};
        const bool free_headless =
            text_of(spec_, "clusterIP") == "None" && api::blank(field(spec_, "selector"));
        if (text_of(spec_, "ipFamilyPolicy").empty())
            set_policy(free_headless ? "RequireDualStack" : "SingleStack");
        const auto policy = text_of(spec_, "ipFamilyPolicy");
        Json& families = spec_.make_array(arena_, "ipFamilies");
        const auto addresses = field(spec_, "clusterIPs").items();
        for (const std::string_view list : {"clusterIPs", "ipFamilies"})
            if (policy == "SingleStack" && field(spec_, list).size() > 1)
                api::add_invalid(
                    causes_, path.child("ipFamilyPolicy"), policy,
                    concat("must be 'RequireDualStack' or 'PreferDualStack' when "
                           "multiple ",
                           list == "clusterIPs" ? "cluster IPs" : "IP families", " are specified"));
        for (size_t i = families.size(); i < addresses.size(); ++i) {
            const auto ip = addresses[i].text();
            if (ip == "None") break;
            if (six(ip))
                api::add_invalid(causes_, path.child("clusterIPs", i), field(spec_, "clusterIPs"),
                                 "IPv6 is not configured on this cluster");
            else
                families.push(arena_, Json::borrowed("IPv4"));
        }
        if (!causes_.empty()) return;
        if (families.empty()) families.push(arena_, Json::borrowed("IPv4"));
        if (free_headless) {
            if (families.size() < 2 && policy != "SingleStack")
                families.push(
                    arena_, Json::borrowed(families.items()[0].text() == "IPv4" ? "IPv6" : "IPv4"));
            return;
        }
        if (policy == "RequireDualStack")
            api::add_invalid(causes_, path.child("ipFamilyPolicy"), policy,
                             "this cluster is not configured for dual-stack services");
        for (size_t i = 0; i < families.size(); ++i)
            if (families.items()[i].text() != "IPv4")
                api::add_invalid(causes_, path.child("ipFamilies", i), families.items()[i].text(),
                                 "not configured on this cluster");
    }

    Result<> take_address() {
        const auto given = field(spec_, "clusterIPs").items();
        const std::string ip{given.empty() ? std::string_view{} : given[0].text()};
        if (ip == "None" || old_.addresses.contains(ip)) return {};
        if (!ip.empty()) {
            if (const auto problem = address_problem(ip); !problem.empty()) {
                const FieldPath path{"spec"};
                api::add_invalid(causes_, path.child("clusterIPs"), field(spec_, "clusterIPs"),
                                 concat("failed to allocate IP ", ip, ": ", problem));
            }
            return {};
        }
        const auto chosen = free_address();
        if (!chosen)
            return fail(Reason::InternalError, "failed to allocate a serviceIP: range is full");
        const Json text = Json::string(arena_, ipv4_text(*chosen));
        spec_.set_borrowed(arena_, "clusterIP", text);
        spec_.set_borrowed(arena_, "clusterIPs", Json::array()).push(arena_, text);
        return {};
    }

    std::string address_problem(const std::string& ip) const {
        const auto address = parse_ipv4(ip);
        const auto& range = owner_.range_;
        // Neither the network's own address nor the last one, which is for broadcasts.
        if (!address || !range.contains(*address) || *address == range.base ||
            *address == range.base + range.size() - 1)
            return concat("the provided IP (", ip,
                          ") is not in the valid range. The range of valid IPs is ", range.text());
        return addresses_.get(ip) ? "provided IP is already allocated" : "";
    }

    // Any of count numbers from `first` that is free: by chance, and one after the other when
    // chance finds none.
    template <class Free>
    std::optional<uint32_t> any_free(uint32_t first, uint32_t count, Free&& is_free) const {
        if (count == 0) return std::nullopt;
        for (int i = 0; i < random_tries; ++i) {
            const auto candidate = first + static_cast<uint32_t>(owner_.random_.below(count));
            if (is_free(candidate)) return candidate;
        }
        for (uint32_t i = 0; i < count; ++i)
            if (is_free(first + i)) return first + i;
        return std::nullopt;
    }

    std::optional<uint32_t> free_address() const {
        const auto& range = owner_.range_;
        const auto reserved = std::max(1u, static_part(range.size(), 16, 256));
        const auto is_free = [&](uint32_t ip) { return !addresses_.get(ipv4_text(ip)); };
        const auto last = static_cast<uint32_t>(range.size() - 1);
        if (auto found = any_free(range.base + reserved, last - reserved, is_free)) return found;
        return any_free(range.base + 1, reserved - 1, is_free);
    }

    bool port_is_free(uint32_t port) const {
        return !taken_.contains(port) && !ports_.get(std::to_string(port));
    }

    std::optional<uint32_t> free_port() {
        const auto reserved = static_part(node_ports, 32, 128);
        const auto is_free = [&](uint32_t port) { return port_is_free(port); };
        auto found = any_free(node_port_first + reserved, node_ports - reserved, is_free);
        if (!found) found = any_free(node_port_first, reserved, is_free);
        if (found) taken_.insert(*found);
        return found;
    }

    // "" when it may be had: it is this service's already, or nobody's.
    std::string take_given_port(uint32_t port) {
        if (old_.ports.contains(port) || taken_.contains(port)) return "";
        if (port < node_port_first || port >= node_port_first + node_ports)
            return concat("provided port is not in the valid range. The range of valid ports is ",
                          node_port_first, "-", node_port_first + node_ports - 1);
        if (!port_is_free(port)) return "provided port is already allocated";
        taken_.insert(port);
        return "";
    }

    // Ports of one number (DNS over UDP and TCP) share their node port.
    static uint32_t of_same_number(std::span<const Json> ports, int64_t number) {
        for (const Json& port : ports)
            if (int_or(field(port, "port"), 0) == number)
                if (const auto node_port = int_or(field(port, "nodePort"), 0); node_port != 0)
                    return static_cast<uint32_t>(node_port);
        return 0;
    }

    Result<> take_node_ports() {
        Json* list = spec_.find("ports");
        if (!list) return {};
        const auto ports = list->items();
        const bool allocates = takes_node_ports(spec_);
        const FieldPath path{"spec"};
        for (size_t i = 0; i < ports.size(); ++i) {
            const auto given = static_cast<uint32_t>(int_or(field(ports[i], "nodePort"), 0));
            if (given != 0) {
                const FieldPath entry = path.child("ports", i);
                if (const auto problem = take_given_port(given); !problem.empty())
                    api::add_invalid(causes_, entry.child("nodePort"), int64_t{given}, problem);
                continue;
            }
            if (!allocates) continue;
            auto chosen = of_same_number(ports, int_or(field(ports[i], "port"), 0));
            if (chosen == 0) {
                const auto found = free_port();
                if (!found)
                    return fail(Reason::InternalError,
                                "failed to allocate a nodePort: range is full");
                chosen = *found;
            }
            ports[i].set_borrowed(arena_, "nodePort", Json::integer(chosen));
        }
        return {};
    }

    Result<> take_health_port() {
        if (!needs_health_port(spec_)) return {};
        const auto given = static_cast<uint32_t>(int_or(field(spec_, "healthCheckNodePort"), 0));
        if (given != 0) {
            if (const auto problem = take_given_port(given); !problem.empty())
                return fail(Reason::InternalError,
                            concat("failed to allocate requested HealthCheck NodePort ", given,
                                   ": ", problem));
            return {};
        }
        const auto chosen = free_port();
        if (!chosen)
            return fail(Reason::InternalError,
                        "failed to allocate a HealthCheck NodePort: range is full");
        spec_.set_borrowed(arena_, "healthCheckNodePort", Json::integer(*chosen));
        return {};
    }

    const ServiceAllocator& owner_;
    store::View addresses_;
    store::View ports_;
    Json& service_;
    Json& spec_;
    Held old_;
    Arena& arena_;
    std::set<uint32_t> taken_;   // by this very write
    api::Causes causes_;
};

ServiceAllocator::ServiceAllocator(store::Store& store, Random& random, Ipv4Range range)
    : store_{store},
      random_{random},
      range_{range},
      addresses_{store.resource("/registry/ranges/serviceips/")},
      ports_{store.resource("/registry/ranges/servicenodeports/")} {}

namespace {

void claim(Claims& claims, store::Key key, const Json& service) {
    Arena arena;
    Json holder = Json::object();
    for (const std::string_view name : {"namespace", "name"})
        holder.set_borrowed(arena, name, Json::borrowed(metadata_text(service, name)));
    claims.also.push_back({.must = store::Precondition::Must::BeAbsent, .key = key, .at = {}});
    claims.writes.push_back({.key = std::move(key),
                             .text = codec::to_json(holder),
                             .attributes = std::make_shared<const store::Attributes>()});
}

}   // namespace

Result<> ServiceAllocator::allocate(Json& service, const Json* old, Arena& arena,
                                    Claims claims) const {
    TRY_OK(Work(*this, service, old, arena).run());
    const Held before = old ? Held::of(*old) : Held{};
    const Held now = Held::of(service);
    for (const auto& ip : now.addresses)
        if (!before.addresses.contains(ip)) claim(claims, {addresses_, ip}, service);
    for (const auto port : now.ports)
        if (!before.ports.contains(port)) claim(claims, {ports_, std::to_string(port)}, service);
    for (const auto& ip : before.addresses)
        if (!now.addresses.contains(ip)) claims.writes.push_back({.key = {addresses_, ip}});
    for (const auto port : before.ports)
        if (!now.ports.contains(port))
            claims.writes.push_back({.key = {ports_, std::to_string(port)}});
    return {};
}

void ServiceAllocator::release(const Json& service, Claims claims) const {
    const Held held = Held::of(service);
    for (const auto& ip : held.addresses) claims.writes.push_back({.key = {addresses_, ip}});
    for (const auto port : held.ports)
        claims.writes.push_back({.key = {ports_, std::to_string(port)}});
}

}   // namespace skiff::apiserver
