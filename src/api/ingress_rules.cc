// Ingresses and their classes: upstream's checks in upstream's words.
#include <string>

#include "api/field_errors.h"
#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/names.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Json;

constexpr std::string_view class_annotation = "kubernetes.io/ingress.class";
constexpr size_t controller_bytes_max = 250;

std::string check_wildcard(std::string_view host) {
    if (host.size() > 253) return "must be no more than 253 bytes";
    if (host.starts_with("*.") && check_dns1123_subdomain(host.substr(2)).empty()) return "";
    return "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, "
           "which must consist of lower case alphanumeric characters, '-' or '.' and end with an "
           "alphanumeric character (e.g. '*.example.com', regex used for validation is "
           "'\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
}

std::string check_host(std::string_view host) {
    return host.find('*') != host.npos ? check_wildcard(host) : check_dns1123_subdomain(host);
}

bool is_address(std::string_view text) { return check_format(Format::Ip, text).empty(); }

void check_segment(Causes& causes, const FieldPath& path, std::string_view value) {
    if (value.empty())
        add_required(causes, path);
    else
        add_unless_ok(causes, path, value, check_path_segment(value));
}

void validate_reference(const Json& reference, const FieldPath& path, Causes& causes) {
    if (const Json& group = field(reference, "apiGroup"); present(group))
        add_unless_ok(causes, path.child("apiGroup"), group.text(),
                      check_dns1123_subdomain(group.text()));
    check_segment(causes, path.child("kind"), text_of(reference, "kind"));
    check_segment(causes, path.child("name"), text_of(reference, "name"));
}

void validate_service_backend(const Json& service, const FieldPath& path, Causes& causes) {
    const FieldPath at = path.child("service");
    const FieldPath port_path = at.child("port");
    if (const auto name = text_of(service, "name"); name.empty())
        add_required(causes, at.child("name"));
    else
        add_unless_ok(causes, at.child("name"), name, check_dns1035_label(name));
    const auto name = text_of(service, "port", "name");
    const int64_t number = int_or(field(service, "port", "number"), 0);
    if (!name.empty() && number != 0)
        add_invalid(causes, path, "", "cannot set both port name & port number");
    else if (!name.empty())
        add_unless_ok(causes, port_path.child("name"), name, check_format(Format::PortName, name));
    else if (number != 0)
        check_port_number(causes, port_path.child("number"), number);
    else
        add_required(causes, path, "port name or number is required");
}

void validate_backend(const Json& backend, const FieldPath& path, Causes& causes) {
    const Json &resource = field(backend, "resource"), &service = field(backend, "service");
    if (present(resource) && present(service))
        return add_invalid(causes, path, "", "cannot set both resource and service backends");
    if (present(resource)) {
        const FieldPath at = path.child("resource");
        return validate_reference(resource, at, causes);
    }
    if (present(service)) return validate_service_backend(service, path, causes);
    add_invalid(causes, path, "", "resource or service backend is required");
}

void validate_clean_path(std::string_view text, const FieldPath& path, Causes& causes) {
    for (const std::string_view part : {"//", "/./", "/../", "%2f", "%2F"})
        if (text.find(part) != text.npos)
            add_invalid(causes, path, text, concat("must not contain '", part, "'"));
    for (const std::string_view end : {"/..", "/."})
        if (text.ends_with(end))
            add_invalid(causes, path, text, concat("cannot end with '", end, "'"));
}

void validate_http_path(const Json& entry, const FieldPath& path, Causes& causes) {
    const Json& type = field(entry, "pathType");
    if (!present(type))
        return add_required(causes, path.child("pathType"), "pathType must be specified");
    const auto text = text_of(entry, "path");
    const FieldPath at = path.child("path");
    if (type.text() == "Exact" || type.text() == "Prefix") {
        if (!text.starts_with('/')) add_invalid(causes, at, text, "must be an absolute path");
        validate_clean_path(text, at, causes);
    } else if (type.text() == "ImplementationSpecific") {
        if (!text.empty() && !text.starts_with('/'))
            add_invalid(causes, at, text, "must be an absolute path");
    } else {
        add_not_supported(causes, path.child("pathType"), type.text(),
                          {"Exact", "ImplementationSpecific", "Prefix"});
    }
    const FieldPath backend = path.child("backend");
    validate_backend(field(entry, "backend"), backend, causes);
}

void validate_rule_value(const Json& rule, const FieldPath& path, Causes& causes) {
    const Json& http = field(rule, "http");
    if (!present(http)) return;
    const FieldPath http_path = path.child("http");
    const auto paths = field(http, "paths").items();
    if (paths.empty()) add_required(causes, http_path.child("paths"));
    for (size_t i = 0; i < paths.size(); ++i) {
        const FieldPath at = http_path.child("paths", i);
        validate_http_path(paths[i], at, causes);
    }
}

// What was let in before the check existed stays allowed.
bool had_bad_wildcard_rule(const Json* old) {
    if (!old) return false;
    Causes causes;
    const FieldPath nowhere;
    for (const Json& rule : field(*old, "spec", "rules").items())
        if (text_of(rule, "host").find('*') != std::string_view::npos)
            validate_rule_value(rule, nowhere, causes);
    return !causes.empty();
}

bool had_bad_secret_name(const Json* old) {
    if (!old) return false;
    for (const Json& tls : field(*old, "spec", "tls").items())
        if (const auto name = text_of(tls, "secretName");
            !name.empty() && !check_dns1123_subdomain(name).empty())
            return true;
    return false;
}

void validate_rules(const Json& spec, const Json* old, const FieldPath& path, Causes& causes) {
    const auto rules = field(spec, "rules").items();
    const bool lenient = had_bad_wildcard_rule(old);
    for (size_t i = 0; i < rules.size(); ++i) {
        const FieldPath at = path.child("rules", i);
        const auto host = text_of(rules[i], "host");
        if (!host.empty()) {
            if (is_address(host))
                add_invalid(causes, at.child("host"), host,
                            "must be a DNS name, not an IP address");
            add_unless_ok(causes, at.child("host"), host, check_host(host));
        }
        if (!lenient || host.find('*') == host.npos) validate_rule_value(rules[i], at, causes);
    }
}

void validate_tls(const Json& spec, const Json* old, const FieldPath& path, Causes& causes) {
    const auto all = field(spec, "tls").items();
    for (size_t i = 0; i < all.size(); ++i) {
        const FieldPath at = path.child("tls", i);
        const auto hosts = field(all[i], "hosts").items();
        for (size_t j = 0; j < hosts.size(); ++j)
            add_unless_ok(causes, at.child("hosts", j), hosts[j].text(),
                          check_host(hosts[j].text()));
        const auto secret = text_of(all[i], "secretName");
        if (!secret.empty() && !had_bad_secret_name(old))
            add_unless_ok(causes, at.child("secretName"), secret, check_dns1123_subdomain(secret));
    }
}

void validate_ingress(const Json& ingress, const Json* old, Causes& causes) {
    const Json& spec = field(ingress, "spec");
    const FieldPath path{"spec"};
    const Json& fallback = field(spec, "defaultBackend");
    if (blank(field(spec, "rules")) && !present(fallback))
        add_invalid(causes, path, field(spec, "rules"),
                    "either `defaultBackend` or `rules` must be specified");
    if (present(fallback)) {
        const FieldPath at = path.child("defaultBackend");
        validate_backend(fallback, at, causes);
    }
    validate_rules(spec, old, path, causes);
    validate_tls(spec, old, path, causes);
    const Json& name = field(spec, "ingressClassName");
    if (present(name))
        add_unless_ok(causes, path.child("ingressClassName"), name.text(),
                      check_dns1123_subdomain(name.text()));
    const Json& annotation = field(ingress, "metadata", "annotations", class_annotation);
    if (!old && present(annotation) && present(name) && annotation.text() != name.text()) {
        const FieldPath annotations{"annotations"};
        add_invalid(causes, annotations.child(class_annotation), annotation.text(),
                    "must match `ingressClassName` when both are specified");
    }
}

void validate_ingress_status(const Json& ingress, const Json*, Causes& causes) {
    const FieldPath status{"status"};
    const FieldPath balancer = status.child("loadBalancer");
    const auto all = field(ingress, "status", "loadBalancer", "ingress").items();
    for (size_t i = 0; i < all.size(); ++i) {
        const FieldPath at = balancer.child("ingress", i);
        if (const auto ip = text_of(all[i], "ip"); !ip.empty())
            add_unless_ok(causes, at.child("ip"), ip, check_format(Format::Ip, ip));
        const auto host = text_of(all[i], "hostname");
        if (host.empty()) continue;
        add_unless_ok(causes, at.child("hostname"), host, check_dns1123_subdomain(host));
        if (is_address(host))
            add_invalid(causes, at.child("hostname"), host,
                        "must be a DNS name, not an IP address");
    }
}

void validate_controller(std::string_view controller, const FieldPath& path, Causes& causes) {
    if (controller.empty()) return add_required(causes, path);
    if (controller.size() > controller_bytes_max) add_too_long(causes, path, controller_bytes_max);
    const auto [domain, rest] = cut(controller, '/');
    if (domain.empty() || !rest || rest->empty())
        return add_invalid(causes, path, controller,
                           "must be a domain-prefixed path (such as \"acme.io/foo\")");
    add_unless_ok(causes, path, domain, check_dns1123_subdomain(domain));
    constexpr std::string_view allowed =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-._~%!$&'()*+,;=:";
    if (rest->find_first_not_of(allowed) != rest->npos)
        add_invalid(causes, path, *rest,
                    "Invalid path (regex used for validation is "
                    "'[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')");
}

void validate_parameters(const Json& parameters, const FieldPath& path, Causes& causes) {
    validate_reference(parameters, path, causes);
    const Json &scope = field(parameters, "scope"), &space = field(parameters, "namespace");
    if (!present(scope)) return add_required(causes, path.child("scope"));
    const FieldPath at = path.child("namespace");
    if (scope.text() == "Namespace") {
        if (!present(space))
            add_required(causes, at, "`parameters.scope` is set to 'Namespace'");
        else
            add_unless_ok(causes, at, space.text(), check_dns1123_label(space.text()));
    } else if (scope.text() == "Cluster") {
        if (present(space)) add_forbidden(causes, at, "`parameters.scope` is set to 'Cluster'");
    } else {
        add_not_supported(causes, path.child("scope"), scope.text(), {"Cluster", "Namespace"});
    }
}

void validate_ingress_class(const Json& object, const Json* old, Causes& causes) {
    const FieldPath spec{"spec"};
    const FieldPath controller = spec.child("controller");
    const auto name = text_of(object, "spec", "controller");
    if (old && name != text_of(*old, "spec", "controller"))
        add_invalid(causes, controller, name, immutable_message);
    validate_controller(name, controller, causes);
    const Json& parameters = field(object, "spec", "parameters");
    if (!present(parameters)) return;
    const FieldPath at = spec.child("parameters");
    validate_parameters(parameters, at, causes);
}

}   // namespace

const Rules ingress_rules{.validate = validate_ingress, .validate_status = validate_ingress_status};
const Rules ingressclass_rules{.validate = validate_ingress_class};

}   // namespace skiff::api
