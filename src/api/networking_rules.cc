// Network policies, endpoint slices, service addresses and their ranges.
#include <arpa/inet.h>

#include <array>
#include <optional>
#include <set>
#include <string>

#include "api/field_errors.h"
#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/names.h"
#include "api/pod_validation.h"
#include "api/special_addresses.h"
#include "base/ipv4.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr size_t endpoints_max = 1000;
constexpr size_t addresses_max = 100;
constexpr size_t ports_max = 100;
constexpr size_t topology_max = 16;

// A range of either family.
struct Range {
    std::array<uint8_t, 16> address{};
    unsigned bits = 0;
    bool six = false;

    bool contains(const Range& other) const {
        if (six != other.six) return false;
        for (unsigned bit = 0; bit < bits; ++bit) {
            const auto mask = static_cast<uint8_t>(0x80u >> (bit % 8));
            if ((address[bit / 8] ^ other.address[bit / 8]) & mask) return false;
        }
        return true;
    }
};

std::optional<Range> parse_range(std::string_view text) {
    if (!check_format(Format::Cidr, text).empty()) return std::nullopt;
    const auto [address, bits] = cut(text, '/');
    Range range{.six = address.find(':') != address.npos};
    range.bits = *parse_number<unsigned>(*bits);
    inet_pton(range.six ? AF_INET6 : AF_INET, std::string{address}.c_str(), range.address.data());
    return range;
}

// Ingress always, Egress where there are rules for it.
void default_networkpolicy(Json& policy, Arena& arena) {
    Json* spec = policy.find("spec");
    if (!spec || !spec->is_object() || !blank(field(*spec, "policyTypes"))) return;
    Json& types = spec->set_borrowed(arena, "policyTypes", Json::array());
    types.push(arena, Json::borrowed("Ingress"));
    if (!blank(field(*spec, "egress"))) types.push(arena, Json::borrowed("Egress"));
}

void validate_policy_port(const Json& entry, const FieldPath& path, Causes& causes) {
    const auto protocol = text_of(entry, "protocol");
    if (protocol != "TCP" && protocol != "UDP" && protocol != "SCTP")
        add_not_supported(causes, path.child("protocol"), protocol, {"TCP", "UDP", "SCTP"});
    const Json &port = field(entry, "port"), &end = field(entry, "endPort");
    const FieldPath port_path = path.child("port"), end_path = path.child("endPort");
    if (!present(port)) {
        if (present(end))
            add_invalid(causes, end_path, end, "may not be specified when `port` is not specified");
        return;
    }
    if (port.is_string()) {
        if (present(end))
            add_invalid(causes, end_path, end, "may not be specified when `port` is non-numeric");
        return add_unless_ok(causes, port_path, port.text(),
                             check_format(Format::PortName, port.text()));
    }
    check_port_number(causes, port_path, int_or(port, 0));
    if (!present(end)) return;
    if (int_or(end, 0) < int_or(port, 0))
        add_invalid(causes, end_path, end, "must be greater than or equal to `port`");
    check_port_number(causes, end_path, int_or(end, 0));
}

void validate_block(const Json& block, const FieldPath& path, Causes& causes) {
    const auto cidr = text_of(block, "cidr");
    if (cidr.empty()) return add_required(causes, path.child("cidr"));
    const auto range = parse_range(cidr);
    if (!range)
        return add_invalid(causes, path.child("cidr"), cidr, check_format(Format::Cidr, cidr));
    const auto except = field(block, "except").items();
    for (size_t i = 0; i < except.size(); ++i) {
        const FieldPath at = path.child("except", i);
        const auto text = except[i].text();
        const auto inner = parse_range(text);
        if (!inner)
            add_invalid(causes, at, text, check_format(Format::Cidr, text));
        else if (!range->contains(*inner) || range->bits >= inner->bits)
            add_invalid(causes, at, text, "must be a strict subset of `cidr`");
    }
}

void validate_peer(const Json& peer, const FieldPath& path, Causes& causes) {
    int peers = 0;
    for (const std::string_view name : {"podSelector", "namespaceSelector"}) {
        if (!present(field(peer, name))) continue;
        const FieldPath at = path.child(name);
        validate_label_selector(field(peer, name), at, causes);
        ++peers;
    }
    const Json& block = field(peer, "ipBlock");
    if (present(block)) {
        const FieldPath at = path.child("ipBlock");
        validate_block(block, at, causes);
        if (peers > 0) add_forbidden(causes, path, "may not specify both ipBlock and another peer");
    } else if (peers == 0) {
        add_required(causes, path, "must specify a peer");
    }
}

void validate_direction(const Json& spec, std::string_view name, std::string_view peers_name,
                        const FieldPath& path, Causes& causes) {
    const auto rules = field(spec, name).items();
    for (size_t i = 0; i < rules.size(); ++i) {
        const FieldPath rule = path.child(name, i);
        const auto ports = field(rules[i], "ports").items();
        for (size_t j = 0; j < ports.size(); ++j) {
            const FieldPath at = rule.child("ports", j);
            validate_policy_port(ports[j], at, causes);
        }
        const auto peers = field(rules[i], peers_name).items();
        for (size_t j = 0; j < peers.size(); ++j) {
            const FieldPath at = rule.child(peers_name, j);
            validate_peer(peers[j], at, causes);
        }
    }
}

void validate_networkpolicy(const Json& policy, const Json*, Causes& causes) {
    const Json& spec = field(policy, "spec");
    const FieldPath path{"spec"};
    const FieldPath selector = path.child("podSelector");
    validate_label_selector(field(spec, "podSelector"), selector, causes);
    validate_direction(spec, "ingress", "from", path, causes);
    validate_direction(spec, "egress", "to", path, causes);
    const auto types = field(spec, "policyTypes").items();
    if (types.size() > 2)
        return add_invalid(causes, path.child("policyTypes"), field(spec, "policyTypes"),
                           "may not specify more than two policyTypes");
    for (size_t i = 0; i < types.size(); ++i)
        if (types[i].text() != "Ingress" && types[i].text() != "Egress")
            add_not_supported(causes, path.child("policyTypes", i), types[i].text(),
                              {"Ingress", "Egress"});
}

void validate_domain(std::string_view name, const FieldPath& path, Causes& causes) {
    if (name.empty()) return add_required(causes, path);
    const auto whole = name.ends_with('.') ? name.substr(0, name.size() - 1) : name;
    if (const auto problem = check_dns1123_subdomain(whole); !problem.empty())
        return add_invalid(causes, path, whole, problem);
    if (whole.find('.') == whole.npos)
        return add_invalid(causes, path, whole,
                           "should be a domain with at least two segments separated by dots");
    for (const auto label : split(whole, '.'))
        add_unless_ok(causes, path, label, check_dns1123_label(label));
}

void validate_address(std::string_view type, std::string_view address, const FieldPath& path,
                      Causes& causes) {
    if (type == "FQDN") return validate_domain(address, path, causes);
    const bool six = address.find(':') != address.npos;
    const bool valid = check_format(Format::Ip, address).empty();
    if (type == "IPv4" && (!valid || six))
        return add_invalid(causes, path, address, "must be a valid IPv4 address");
    if (type == "IPv6" && (!valid || !six))
        return add_invalid(causes, path, address, "must be a valid IPv6 address");
    if (valid) validate_no_special_address(address, path, causes);
}

void validate_slice_endpoint(const Json& endpoint, std::string_view type, const FieldPath& path,
                             Causes& causes) {
    const FieldPath addresses_path = path.child("addresses");
    const auto addresses = field(endpoint, "addresses").items();
    if (addresses.empty())
        add_required(causes, addresses_path, "must contain at least 1 address");
    else if (addresses.size() > addresses_max)
        add_too_many(causes, addresses_path, addresses.size(), addresses_max);
    for (size_t i = 0; i < addresses.size(); ++i) {
        const FieldPath at = addresses_path.index(i);
        validate_address(type, addresses[i].text(), at, causes);
    }
    const Json& topology = field(endpoint, "deprecatedTopology");
    const FieldPath topology_path = path.child("topology");
    if (topology.size() > topology_max)
        add_too_many(causes, topology_path, topology.size(), topology_max);
    for (const auto& [key, value] : topology.members()) {
        add_unless_ok(causes, topology_path, key, check_qualified_name(key));
        add_unless_ok(causes, topology_path, value.text(), check_label_value(value.text()));
    }
    if (const Json& host = field(endpoint, "hostname"); present(host))
        add_unless_ok(causes, path.child("hostname"), host.text(),
                      check_dns1123_label(host.text()));
}

void validate_slice_ports(const Json& slice, Causes& causes) {
    const FieldPath path{"ports"};
    const auto ports = field(slice, "ports").items();
    if (ports.size() > ports_max) return add_too_many(causes, path, ports.size(), ports_max);
    std::set<std::string_view> names;
    for (size_t i = 0; i < ports.size(); ++i) {
        const FieldPath at = path.index(i);
        const auto name = text_of(ports[i], "name");
        if (!name.empty()) add_unless_ok(causes, at.child("name"), name, check_dns1123_label(name));
        if (!names.insert(name).second) add_duplicate(causes, at.child("name"), name);
        if (const Json& app = field(ports[i], "appProtocol"); present(app))
            add_unless_ok(causes, at.child("appProtocol"), app.text(),
                          check_qualified_name(app.text()));
    }
}

void validate_endpointslice(const Json& slice, const Json*, Causes& causes) {
    const FieldPath path{"endpoints"};
    const auto endpoints = field(slice, "endpoints").items();
    const auto type = text_of(slice, "addressType");
    if (endpoints.size() > endpoints_max)
        add_too_many(causes, path, endpoints.size(), endpoints_max);
    else
        for (size_t i = 0; i < endpoints.size(); ++i) {
            const FieldPath at = path.index(i);
            validate_slice_endpoint(endpoints[i], type, at, causes);
        }
    validate_slice_ports(slice, causes);
}

void validate_ipaddress(const Json& object, const Json* old, Causes& causes) {
    const FieldPath metadata{"metadata"}, spec{"spec"};
    const FieldPath path = spec.child("parentRef");
    const auto name = text_of(object, "metadata", "name");
    add_unless_ok(causes, metadata.child("name"), name, check_format(Format::Ip, name));
    const Json& parent = field(object, "spec", "parentRef");
    if (!present(parent)) return;   // the table says it is required
    if (old && !(parent == field(*old, "spec", "parentRef")))
        add_invalid(causes, path, parent, immutable_message);
    if (const auto group = text_of(parent, "group"); !group.empty())
        add_unless_ok(causes, path.child("group"), group, check_dns1123_subdomain(group));
    for (const std::string_view part : {"resource", "name", "namespace"}) {
        const auto text = text_of(parent, part);
        if (text.empty() && part != "namespace")
            add_required(causes, path.child(part));
        else if (!text.empty())
            add_unless_ok(causes, path.child(part), text, check_path_segment(text));
    }
}

void validate_cidrs(const Json& cidrs, const FieldPath& path, Causes& causes) {
    const auto items = cidrs.items();
    if (items.empty()) return add_required(causes, path, "at least one CIDR required");
    if (items.size() > 2) return add_invalid(causes, path, cidrs, "may only hold up to 2 values");
    for (size_t i = 0; i < items.size(); ++i)
        add_unless_ok(causes, path.index(i), items[i].text(),
                      check_format(Format::Cidr, items[i].text()));
    const auto six = [](const Json& one) { return one.text().find(':') != std::string_view::npos; };
    if (items.size() == 2 && six(items[0]) == six(items[1]))
        add_invalid(causes, path, cidrs,
                    "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and "
                    "2001:db8::/64");
}

void validate_servicecidr(const Json& object, const Json* old, Causes& causes) {
    const FieldPath spec{"spec"};
    const FieldPath path = spec.child("cidrs");
    const Json& cidrs = field(object, "spec", "cidrs");
    if (!old) return validate_cidrs(cidrs, path, causes);
    const auto now = cidrs.items(), before = field(*old, "spec", "cidrs").items();
    const bool grown = before.size() == 1 && now.size() == 2;
    if (now.size() != before.size() && !grown)
        return add_invalid(causes, path, cidrs, immutable_message);
    for (size_t i = 0; i < before.size(); ++i)
        if (!(now[i] == before[i]))
            add_invalid(causes, path.index(i), now[i].text(), immutable_message);
    if (grown) validate_cidrs(cidrs, path, causes);
}

}   // namespace

const Rules endpointslice_rules{.validate = validate_endpointslice};
const Rules ipaddress_rules{.validate = validate_ipaddress};
const Rules networkpolicy_rules{.defaults = default_networkpolicy,
                                .validate = validate_networkpolicy};
const Rules servicecidr_rules{.validate = validate_servicecidr};

}   // namespace skiff::api
