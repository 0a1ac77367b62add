// Kinds with little to say: service accounts, leases, endpoints, bindings, access reviews.
#include <string>

#include "api/field_errors.h"
#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/names.h"
#include "api/special_addresses.h"

namespace skiff::api {
namespace {

using codec::Json;

void validate_lease(const Json& lease, const Json*, Causes& causes) {
    const FieldPath spec_path{"spec"};
    const Json& spec = field(lease, "spec");
    const Json& seconds = field(spec, "leaseDurationSeconds");
    if (present(seconds) && int_or(seconds, 0) <= 0)
        add_invalid(causes, spec_path.child("leaseDurationSeconds"), seconds,
                    "must be greater than 0");
    const auto strategy = text_of(spec, "strategy");
    if (!strategy.empty() && strategy.find('/') == strategy.npos &&
        strategy != "OldestEmulationVersion")
        add_unless_ok(causes, spec_path.child("strategy"), strategy,
                      check_qualified_name(strategy));
    if (!blank(field(spec, "preferredHolder")) && strategy.empty())
        add_forbidden(causes, spec_path.child("preferredHolder"),
                      "may only be specified if `strategy` is defined");
}

void validate_endpoint_addresses(const Json& subset, std::string_view list, const FieldPath& path,
                                 Causes& causes) {
    const auto addresses = field(subset, list).items();
    for (size_t i = 0; i < addresses.size(); ++i) {
        const FieldPath entry = path.child(list, i);
        if (const auto ip = text_of(addresses[i], "ip"); !ip.empty()) {
            add_unless_ok(causes, entry.child("ip"), ip, check_format(Format::Ip, ip));
            validate_no_special_address(ip, entry.child("ip"), causes);
        }
        if (const auto host = text_of(addresses[i], "hostname"); !host.empty())
            add_unless_ok(causes, entry.child("hostname"), host, check_dns1123_label(host));
    }
}

void validate_endpoints(const Json& endpoints, const Json*, Causes& causes) {
    const auto subsets = field(endpoints, "subsets").items();
    for (size_t i = 0; i < subsets.size(); ++i) {
        const FieldPath root;
        const FieldPath path = root.child("subsets", i);
        if (blank(field(subsets[i], "addresses")) && blank(field(subsets[i], "notReadyAddresses")))
            add_required(causes, path, "must specify `addresses` or `notReadyAddresses`");
        validate_endpoint_addresses(subsets[i], "addresses", path, causes);
        validate_endpoint_addresses(subsets[i], "notReadyAddresses", path, causes);
        const auto ports = field(subsets[i], "ports").items();
        for (size_t j = 0; j < ports.size(); ++j) {
            const FieldPath port = path.child("ports", j);
            const auto name = text_of(ports[j], "name");
            if (name.empty() && ports.size() > 1)
                add_required(causes, port.child("name"));
            else if (!name.empty())
                add_unless_ok(causes, port.child("name"), name, check_dns1123_label(name));
        }
    }
}

void validate_binding(const Json& binding, const Json*, Causes& causes) {
    const FieldPath target{"target"};
    const auto kind = text_of(binding, "target", "kind");
    if (!kind.empty() && kind != "Node")
        add_not_supported(causes, target.child("kind"), kind, {"Node", "<empty>"});
    if (text_of(binding, "target", "name").empty()) add_required(causes, target.child("name"));
}

// The expiry that a token may have; the server's own limit may be shorter.
void validate_token_request(const Json& request, const Json*, Causes& causes) {
    const FieldPath spec{"spec"};
    const FieldPath path = spec.child("expirationSeconds");
    const int64_t seconds = int_or(field(request, "spec", "expirationSeconds"), 3600);
    if (seconds < 600)
        add_invalid(causes, path, seconds, "may not specify a duration less than 10 minutes");
    if (seconds > int64_t{1} << 32)
        add_invalid(causes, path, seconds, "may not specify a duration larger than 2^32 seconds");
}

// One action is asked about, on objects or on a path.
void validate_action(const Json& spec, const FieldPath& path, Causes& causes) {
    const bool resource = present(field(spec, "resourceAttributes"));
    const bool other = present(field(spec, "nonResourceAttributes"));
    if (resource && other)
        add_invalid(causes, path.child("nonResourceAttributes"),
                    field(spec, "nonResourceAttributes"),
                    "cannot be specified in combination with resourceAttributes");
    if (!resource && !other)
        add_invalid(causes, path.child("resourceAttributes"), field(spec, "resourceAttributes"),
                    "exactly one of nonResourceAttributes or resourceAttributes must be specified");
}

void validate_self_access_review(const Json& review, const Json*, Causes& causes) {
    const FieldPath path{"spec"};
    validate_action(field(review, "spec"), path, causes);
}

void validate_access_review(const Json& review, const Json*, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(review, "spec");
    validate_action(spec, path, causes);
    if (text_of(spec, "user").empty() && blank(field(spec, "groups")))
        add_invalid(causes, path.child("user"), "",
                    "at least one of user or group must be specified");
}

void validate_local_access_review(const Json& review, const Json*, Causes& causes) {
    validate_access_review(review, nullptr, causes);
    const FieldPath path{"spec"};
    const Json& spec = field(review, "spec");
    const FieldPath attributes = path.child("resourceAttributes");
    if (present(field(spec, "nonResourceAttributes")))
        add_invalid(causes, path.child("nonResourceAttributes"),
                    field(spec, "nonResourceAttributes"), "disallowed on this kind of request");
    const auto asked = text_of(spec, "resourceAttributes", "namespace");
    if (present(field(spec, "resourceAttributes")) &&
        asked != text_of(review, "metadata", "namespace"))
        add_invalid(causes, attributes.child("namespace"), asked, "must match metadata.namespace");
}

}   // namespace

const Rules binding_rules{.validate = validate_binding};
const Rules endpoints_rules{.validate = validate_endpoints};
const Rules lease_rules{.validate = validate_lease};
const Rules serviceaccount_rules{};
const Rules localsubjectaccessreview_rules{.validate = validate_local_access_review};
const Rules selfsubjectaccessreview_rules{.validate = validate_self_access_review};
const Rules subjectaccessreview_rules{.validate = validate_access_review};
const Rules tokenrequest_rules{.validate = validate_token_request};

}   // namespace skiff::api
