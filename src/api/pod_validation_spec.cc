// A pod spec as a whole, and the small parts of it.
#include <algorithm>
#include <set>
#include <string>

#include "api/json_fields.h"
#include "api/names.h"
#include "api/pod_validation.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Json;

constexpr size_t name_servers_max = 3;
constexpr size_t search_domains_max = 32;
constexpr size_t search_text_max = 2048;

void validate_names(const Json& spec, const FieldPath& path, Causes& causes) {
    const auto check = [&](std::string_view name, std::string (*problem_of)(std::string_view)) {
        if (const auto value = text_of(spec, name); !value.empty())
            add_unless_ok(causes, path.child(name), value, problem_of(value));
    };
    check("serviceAccountName", check_dns1123_subdomain);
    check("nodeName", check_dns1123_subdomain);
    check("hostname", check_dns1123_label);
    check("subdomain", check_dns1123_label);
    check("priorityClassName", check_dns1123_subdomain);
    check("runtimeClassName", check_dns1123_subdomain);
}

void validate_ip(std::string_view value, const FieldPath& path, Causes& causes) {
    add_unless_ok(causes, path, value, check_format(Format::Ip, value));
}

void validate_host_aliases(const Json& spec, const FieldPath& path, Causes& causes) {
    const auto aliases = field(spec, "hostAliases").items();
    for (size_t i = 0; i < aliases.size(); ++i) {
        const FieldPath entry = path.child("hostAliases", i);
        if (const auto ip = text_of(aliases[i], "ip"); !ip.empty())
            validate_ip(ip, entry.child("ip"), causes);
        const auto names = field(aliases[i], "hostnames").items();
        for (size_t j = 0; j < names.size(); ++j)
            add_unless_ok(causes, entry.child("hostnames", j), names[j].text(),
                          check_dns1123_subdomain(names[j].text()));
    }
}

void validate_search_domains(const Json& config, const FieldPath& path, Causes& causes) {
    const auto searches = field(config, "searches").items();
    if (searches.size() > search_domains_max)
        add_invalid(causes, path.child("searches"), field(config, "searches"),
                    concat("must not have more than ", search_domains_max, " search paths"));
    size_t length = 0;
    for (size_t i = 0; i < searches.size(); ++i) {
        std::string domain{searches[i].text()};
        length += domain.size() + (i > 0);
        if (domain == ".") continue;
        if (domain.ends_with('.')) domain.pop_back();
        std::string checked = domain;   // underscores are letters here
        std::ranges::replace(checked, '_', 'x');
        add_unless_ok(causes, path.child("searches", i), domain, check_dns1123_subdomain(checked));
    }
    if (length > search_text_max)
        add_invalid(causes, path.child("searches"), field(config, "searches"),
                    concat("must not have more than ", search_text_max,
                           " characters (including spaces) in the search list"));
}

void validate_dns(const Json& spec, const FieldPath& path, Causes& causes) {
    const Json& config = field(spec, "dnsConfig");
    const FieldPath config_path = path.child("dnsConfig");
    const auto servers = field(config, "nameservers").items();
    if (text_of(spec, "dnsPolicy") == "None") {
        if (!present(config))
            return add_required(causes, config_path,
                                "must provide `dnsConfig` when `dnsPolicy` is None");
        if (servers.empty())
            return add_required(
                causes, config_path.child("nameservers"),
                "must provide at least one DNS nameserver when `dnsPolicy` is None");
    }
    if (servers.size() > name_servers_max)
        add_invalid(causes, config_path.child("nameservers"), field(config, "nameservers"),
                    concat("must not have more than ", name_servers_max, " nameservers"));
    for (size_t i = 0; i < servers.size(); ++i)
        validate_ip(servers[i].text(), config_path.child("nameservers", i), causes);
    validate_search_domains(config, config_path, causes);
    const auto options = field(config, "options").items();
    for (size_t i = 0; i < options.size(); ++i)
        if (text_of(options[i], "name").empty())
            add_required(causes, config_path.child("options", i), "must not be empty");
}

void validate_gates(const Json& spec, const FieldPath& path, Causes& causes) {
    const auto readiness = field(spec, "readinessGates").items();
    for (size_t i = 0; i < readiness.size(); ++i) {
        const FieldPath entry = path.child("readinessGates", i);
        if (const auto type = text_of(readiness[i], "conditionType"); !type.empty())
            add_unless_ok(causes, entry.child("conditionType"), type, check_qualified_name(type));
    }
    const auto scheduling = field(spec, "schedulingGates").items();
    std::set<std::string_view> names;
    for (size_t i = 0; i < scheduling.size(); ++i) {
        const FieldPath entry = path.child("schedulingGates", i);
        const auto name = text_of(scheduling[i], "name");
        if (name.empty()) continue;
        add_unless_ok(causes, entry, name, check_qualified_name(name));
        if (!names.insert(name).second) add_duplicate(causes, entry, name);
    }
}

void validate_resource_claims(const Json& spec, const FieldPath& path, Causes& causes) {
    const auto claims = field(spec, "resourceClaims").items();
    std::set<std::string_view> names;
    for (size_t i = 0; i < claims.size(); ++i) {
        const FieldPath entry = path.child("resourceClaims", i);
        const auto name = text_of(claims[i], "name");
        if (!name.empty()) {
            add_unless_ok(causes, entry.child("name"), name, check_dns1123_label(name));
            if (!names.insert(name).second) add_duplicate(causes, entry.child("name"), name);
        }
        const bool claim = present(field(claims[i], "resourceClaimName"));
        const bool made = present(field(claims[i], "resourceClaimTemplateName"));
        if (claim == made)
            add_invalid(causes, entry, claims[i],
                        claim ? "at most one of `resourceClaimName` or `resourceClaimTemplateName` "
                                "may be specified"
                              : "must specify one of: `resourceClaimName`, "
                                "`resourceClaimTemplateName`");
    }
}

void validate_os(const Json& spec, const FieldPath& path, Causes& causes) {
    const auto name = text_of(spec, "os", "name");
    if (name.empty() || name == "linux" || name == "windows") return;
    const FieldPath os = path.child("os");
    add_not_supported(causes, os, name, {"linux", "windows"});
}

}   // namespace

PodFacts::PodFacts(const Json& pod_spec)
    : spec(pod_spec),
      host_network(truth(field(pod_spec, "hostNetwork"))),
      grace_period_seconds(int_or(field(pod_spec, "terminationGracePeriodSeconds"), 30)) {
    for (const Json& one : field(pod_spec, "volumes").items())
        volumes.emplace(text_of(one, "name"), &one);
}

const Json* PodFacts::volume(std::string_view name) const {
    const auto found = volumes.find(name);
    return found == volumes.end() || name.empty() ? nullptr : found->second;
}

void validate_pod_spec(const Json& spec, const FieldPath& path, Causes& causes) {
    const PodFacts pod{spec};
    validate_volumes(spec, path, causes);
    validate_containers(pod, path, causes);
    validate_pod_level_resources(spec, path, causes);
    validate_names(spec, path, causes);
    validate_placement(spec, path, causes);
    validate_pod_security(spec, path, causes);
    validate_host_aliases(spec, path, causes);
    validate_dns(spec, path, causes);
    validate_gates(spec, path, causes);
    validate_resource_claims(spec, path, causes);
    validate_os(spec, path, causes);
}

}   // namespace skiff::api
