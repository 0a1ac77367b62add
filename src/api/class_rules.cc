// Cluster-wide classes and settings with a rule or two each: priorities, runtimes, attributes of
// volumes, trust bundles, candidates for a lease, flow control.
#include <string>

#include "api/field_errors.h"
#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/names.h"
#include "api/pod_validation.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr int64_t user_priority_max = 1'000'000'000;
constexpr int64_t precedence_max = 10000;
constexpr std::string_view system_prefix = "system-";
constexpr std::pair<std::string_view, int64_t> system_classes[] = {
    {"system-cluster-critical", 2'000'000'000}, {"system-node-critical", 2'000'001'000}};

bool is_system_class(std::string_view name, int64_t value) {
    for (const auto& [known, its_value] : system_classes)
        if (known == name) return its_value == value;
    return false;
}

void validate_priority(const Json& priority, const Json* old, Causes& causes) {
    const auto name = text_of(priority, "metadata", "name");
    const int64_t value = int_or(field(priority, "value"), 0);
    const FieldPath metadata{"metadata"};
    if (name.starts_with(system_prefix)) {
        if (!is_system_class(name, value))
            add_forbidden(causes, metadata.child("name"),
                          "priority class names with 'system-' prefix are reserved for system use "
                          "only");
    } else if (value > user_priority_max) {
        add_forbidden(
            causes, FieldPath{"value"},
            concat("maximum allowed value of a user defined priority is ", user_priority_max));
    }
    const auto preemption = text_of(priority, "preemptionPolicy");
    if (!preemption.empty() && preemption != "Never" && preemption != "PreemptLowerPriority")
        add_not_supported(causes, FieldPath{"preemptionPolicy"}, preemption,
                          {"Never", "PreemptLowerPriority"});
    if (!old) return;
    if (value != int_or(field(*old, "value"), 0))
        add_forbidden(causes, FieldPath{"value"}, "may not be changed in an update.");
    if (!(field(priority, "preemptionPolicy") == field(*old, "preemptionPolicy")))
        add_invalid(causes, FieldPath{"preemptionPolicy"}, field(priority, "preemptionPolicy"),
                    immutable_message);
}

void validate_runtime(const Json& runtime, const Json* old, Causes& causes) {
    const auto handler = text_of(runtime, "handler");
    const FieldPath handler_path{"handler"};
    if (!handler.empty())
        add_unless_ok(causes, handler_path, handler, check_dns1123_label(handler));
    if (old && !(field(runtime, "handler") == field(*old, "handler")))
        add_invalid(causes, handler_path, handler, immutable_message);
    const FieldPath scheduling{"scheduling"};
    const FieldPath selector = scheduling.child("nodeSelector");
    validate_labels(field(runtime, "scheduling", "nodeSelector"), selector, causes);
}

void validate_attributes(const Json& attributes, const Json*, Causes& causes) {
    if (blank(field(attributes, "parameters")))
        add_required(causes, FieldPath{"parameters"}, "must contain at least one key/value pair");
}

void validate_bundle(const Json& bundle, const Json* old, Causes& causes) {
    const FieldPath spec{"spec"};
    const auto signer = text_of(bundle, "spec", "signerName");
    const auto name = text_of(bundle, "metadata", "name");
    const FieldPath metadata{"metadata"};
    if (signer.empty() && name.find(':') != name.npos)
        add_invalid(causes, metadata.child("name"), name,
                    "ClusterTrustBundle without signer name must not have \":\" in its name");
    if (!signer.empty()) {
        std::string prefix{signer};
        for (char& c : prefix)
            if (c == '/') c = ':';
        prefix += ':';
        if (!name.starts_with(prefix))
            add_invalid(causes, metadata.child("name"), name,
                        concat("ClusterTrustBundle for signerName ", signer,
                               " must be named with prefix ", prefix));
    }
    const auto certificates = text_of(bundle, "spec", "trustBundle");
    if (!certificates.empty() &&
        certificates.find("-----BEGIN CERTIFICATE-----") == certificates.npos)
        add_invalid(causes, spec.child("trustBundle"), "<value omitted>",
                    "at least one trust anchor must be provided");
    if (old && signer != text_of(*old, "spec", "signerName"))
        add_invalid(causes, spec.child("signerName"), signer, immutable_message);
}

void validate_candidate(const Json& candidate, const Json*, Causes& causes) {
    const FieldPath spec{"spec"};
    const auto lease = text_of(candidate, "spec", "leaseName");
    if (!lease.empty())
        add_unless_ok(causes, spec.child("leaseName"), lease, check_dns1123_subdomain(lease));
}

void clear(Json& object, const Json* old, Arena& arena) {
    if (!old) object.set_borrowed(arena, "status", Json::object());
}

void validate_subjects(const Json& rule, const FieldPath& path, Causes& causes) {
    constexpr std::pair<std::string_view, std::string_view> kinds[] = {
        {"Group", "group"}, {"ServiceAccount", "serviceAccount"}, {"User", "user"}};
    const auto subjects = field(rule, "subjects").items();
    for (size_t i = 0; i < subjects.size(); ++i) {
        const FieldPath subject = path.child("subjects", i);
        for (const auto& [kind, member] : kinds) {
            const bool is = text_of(subjects[i], "kind") == kind;
            const bool has = present(field(subjects[i], member));
            if (is && !has)
                add_required(causes, subject.child(member),
                             concat(member, " is required when subject kind is '", kind, "'"));
            if (!is && has)
                add_forbidden(
                    causes, subject.child(member),
                    concat(member, " is forbidden when subject kind is not '", kind, "'"));
        }
    }
}

void validate_flow(const Json& flow, const Json*, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(flow, "spec");
    const int64_t precedence = int_or(field(spec, "matchingPrecedence"), 0);
    const FieldPath precedence_path = path.child("matchingPrecedence");
    if (precedence <= 0)
        add_invalid(causes, precedence_path, precedence, "must be a positive value");
    if (precedence > precedence_max)
        add_invalid(causes, precedence_path, precedence,
                    concat("must not be greater than ", precedence_max));
    const auto rules = field(spec, "rules").items();
    for (size_t i = 0; i < rules.size(); ++i) {
        const FieldPath rule = path.child("rules", i);
        validate_subjects(rules[i], rule, causes);
        if (blank(field(rules[i], "resourceRules")) && blank(field(rules[i], "nonResourceRules")))
            add_required(causes, rule,
                         "at least one of resourceRules and nonResourceRules has to be non-empty");
        const auto resources = field(rules[i], "resourceRules").items();
        for (size_t j = 0; j < resources.size(); ++j)
            if (blank(field(resources[j], "namespaces")) &&
                !truth(field(resources[j], "clusterScope"))) {
                const FieldPath resource = rule.child("resourceRules", j);
                add_required(causes, resource.child("namespaces"),
                             "resource rules that are not cluster scoped must supply at least one "
                             "namespace");
            }
    }
}

// A level that is limited says how, with the defaults of what it does not say.
void default_level(Json& level, Arena& arena) {
    Json* response = level.at_path({"spec", "limited", "limitResponse"});
    if (response && text_of(*response, "type") == "Queue" && present(field(*response, "queuing"))) {
        Json& queuing = response->make_object(arena, "queuing");
        constexpr std::pair<std::string_view, int64_t> defaults[] = {
            {"queues", 64}, {"handSize", 8}, {"queueLengthLimit", 50}};
        for (const auto& [name, value] : defaults)
            if (int_or(field(queuing, name), 0) == 0)
                queuing.set_borrowed(arena, name, Json::integer(value));
    }
    Json* spec = level.find("spec");
    if (spec && text_of(*spec, "type") == "Exempt" && !present(field(*spec, "exempt"))) {
        Json& exempt = spec->make_object(arena, "exempt");
        exempt.set_borrowed(arena, "nominalConcurrencyShares", Json::integer(0));
        exempt.set_borrowed(arena, "lendablePercent", Json::integer(0));
    }
}

void validate_level(const Json& level, const Json*, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(level, "spec");
    const auto type = text_of(spec, "type");
    const FieldPath limited = path.child("limited");
    const Json& given = field(spec, "limited");
    if (type == "Exempt" && present(given))
        add_forbidden(causes, limited, "must be nil if the type is not Limited");
    if (type == "Limited" && present(field(spec, "exempt")))
        add_forbidden(causes, path.child("exempt"), "must be nil if the type is Limited");
    if (type == "Limited" && !present(given))
        return add_required(causes, limited, "must not be empty when type is Limited");
    if (type != "Limited") return;
    const FieldPath response = limited.child("limitResponse");
    const auto what = text_of(given, "limitResponse", "type");
    const bool queues = present(field(given, "limitResponse", "queuing"));
    if (what == "Queue" && !queues)
        add_required(causes, response.child("queuing"),
                     "must not be empty if limited.limitResponse."
                     "type is Limited");
    if (what == "Reject" && queues)
        add_forbidden(causes, response.child("queuing"),
                      "must be nil if limited.limitResponse.type is not Limited");
    const int64_t hand = int_or(field(given, "limitResponse", "queuing", "handSize"), 0);
    const int64_t count = int_or(field(given, "limitResponse", "queuing", "queues"), 0);
    const FieldPath queuing = response.child("queuing");
    if (queues && hand > count)
        add_invalid(causes, queuing.child("handSize"), hand,
                    concat("should not be greater than queues (", count, ")"));
}

}   // namespace

const Rules priorityclass_rules{.validate = validate_priority};
const Rules runtimeclass_rules{.validate = validate_runtime};
const Rules volumeattributesclass_rules{.validate = validate_attributes};
const Rules clustertrustbundle_rules{.validate = validate_bundle};
const Rules leasecandidate_rules{.validate = validate_candidate};
const Rules flowschema_rules{.prepare = clear, .validate = validate_flow};
const Rules prioritylevel_rules{
    .defaults = default_level, .prepare = clear, .validate = validate_level};

}   // namespace skiff::api
