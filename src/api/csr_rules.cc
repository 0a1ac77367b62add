// Certificate signing requests. Who asks is filled in by the server's pipeline, which knows it.
#include <algorithm>
#include <set>
#include <string>

#include "api/field_errors.h"
#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/names.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr std::string_view usages[] = {"any",
                                       "cert sign",
                                       "client auth",
                                       "code signing",
                                       "content commitment",
                                       "crl sign",
                                       "data encipherment",
                                       "decipher only",
                                       "digital signature",
                                       "email protection",
                                       "encipher only",
                                       "ipsec end system",
                                       "ipsec tunnel",
                                       "ipsec user",
                                       "key agreement",
                                       "key encipherment",
                                       "microsoft sgc",
                                       "netscape sgc",
                                       "ocsp signing",
                                       "s/mime",
                                       "server auth",
                                       "signing",
                                       "timestamping"};
constexpr int64_t expiration_seconds_min = 600;
constexpr size_t signer_name_max = 571;

void prepare(Json& request, const Json* old, Arena& arena) {
    if (old) {
        // What was asked stays what was asked.
        request.set_borrowed(arena, "spec", field(*old, "spec").deep_copy(arena));
        return;
    }
    request.set_borrowed(arena, "status", Json::object());
}

// Only the frame: the server's signer reads what is inside.
void validate_pem(const Json& spec, const FieldPath& path, Causes& causes) {
    const auto encoded = text_of(spec, "request");
    if (encoded.empty()) return;   // required, says the table
    const auto text = base64_decoded(encoded).value_or("");
    const auto begin = text.find("-----BEGIN ");
    if (begin != text.npos && text.compare(begin, 35, "-----BEGIN CERTIFICATE REQUEST-----") == 0)
        return;
    add_invalid(causes, path.child("request"), encoded,
                "PEM block type must be CERTIFICATE REQUEST");
}

void validate_usages(const Json& spec, const FieldPath& path, Causes& causes) {
    const auto wanted = field(spec, "usages").items();
    if (wanted.empty())
        return add_required(causes, path.child("usages"), "usages must be non-empty");
    std::set<std::string_view> seen;
    for (size_t i = 0; i < wanted.size(); ++i) {
        const auto usage = wanted[i].text();
        if (std::ranges::find(usages, usage) == std::end(usages))
            add_not_supported(causes, path.child("usages", i), usage, std::span{usages});
        if (!seen.insert(usage).second) add_duplicate(causes, path.child("usages", i), usage);
    }
}

// "example.com/signer-name"
void validate_signer_name(const Json& spec, const FieldPath& path, Causes& causes) {
    const auto name = text_of(spec, "signerName");
    if (name.empty()) return;   // required, says the table
    const FieldPath name_path = path.child("signerName");
    if (name.size() > signer_name_max) return add_too_long(causes, name_path, signer_name_max);
    const auto [domain, rest] = cut(name, '/');
    if (!rest || domain.empty() || rest->empty() || rest->find('/') != rest->npos)
        return add_invalid(causes, name_path, name,
                           "must be a fully qualified domain and path of the form "
                           "'example.com/signer-name'");
    add_unless_ok(causes, name_path, domain, check_dns1123_subdomain(domain));
    if (domain.find('.') == domain.npos)
        add_invalid(causes, name_path, domain,
                    "should be a domain with at least two segments separated by dots");
    for (const auto part : split(*rest, '.'))
        add_unless_ok(causes, name_path, part, check_dns1123_label(lower(part)));
}

bool has_condition(const Json& request, std::string_view type) {
    return std::ranges::any_of(field(request, "status", "conditions").items(),
                               [&](const Json& c) { return text_of(c, "type") == type; });
}

void validate_conditions(const Json& request, Causes& causes) {
    const FieldPath status{"status"};
    const FieldPath path = status.child("conditions");
    const auto conditions = field(request, "status", "conditions").items();
    std::set<std::string_view> seen;
    for (size_t i = 0; i < conditions.size(); ++i) {
        const auto type = text_of(conditions[i], "type");
        const auto value = text_of(conditions[i], "status");
        const FieldPath entry = status.child("conditions", i);
        if (type.empty()) add_required(causes, entry.child("type"));
        const bool decision = type == "Approved" || type == "Denied" || type == "Failed";
        if (value.empty())
            add_required(causes, entry.child("status"));
        else if (decision && value != "True")
            add_not_supported(causes, entry.child("status"), value, {"True"});
        if (!seen.insert(type).second) add_duplicate(causes, entry.child("type"), type);
    }
    if (has_condition(request, "Approved") && has_condition(request, "Denied"))
        add_invalid(causes, path, "Denied",
                    "Approved and Denied conditions are mutually exclusive");
}

void validate_kept_decisions(const Json& request, const Json& old, Causes& causes) {
    const FieldPath status{"status"};
    for (const std::string_view type : {"Approved", "Denied", "Failed"})
        if (has_condition(old, type) && !has_condition(request, type))
            add_forbidden(causes, status.child("conditions"),
                          concat("updates may not remove a condition of type \"", type, "\""));
}

void validate(const Json& request, const Json* old, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(request, "spec");
    if (old) return validate_conditions(request, causes);
    validate_pem(spec, path, causes);
    validate_usages(spec, path, causes);
    validate_signer_name(spec, path, causes);
    const Json& seconds = field(spec, "expirationSeconds");
    if (present(seconds) && int_or(seconds, 0) < expiration_seconds_min)
        add_invalid(causes, path.child("expirationSeconds"), seconds,
                    "may not specify a duration less than 600 seconds (10 minutes)");
}

void validate_status(const Json& request, const Json* old, Causes& causes) {
    validate_conditions(request, causes);
    if (!old) return;
    validate_kept_decisions(request, *old, causes);
    const FieldPath status{"status"};
    const Json& issued = field(*old, "status", "certificate");
    if (!blank(issued) && !(issued == field(request, "status", "certificate")))
        add_forbidden(causes, status.child("certificate"),
                      "updates may not modify the contents of an issued certificate");
}

void validate_subresource(std::string_view, const Json& request, const Json& old, Causes& causes) {
    validate_conditions(request, causes);
    validate_kept_decisions(request, old, causes);
}

}   // namespace

const Rules csr_rules{
    .prepare = prepare,
    .validate = validate,
    .validate_status = validate_status,
    .validate_subresource = validate_subresource,
};

}   // namespace skiff::api
