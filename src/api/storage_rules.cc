// storage.k8s.io: classes, drivers, attachments and capacities.
#include <set>
#include <string>

#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/names.h"
#include "api/pod_validation.h"
#include "api/quantity.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr size_t parameters_max = 512;
constexpr size_t parameters_bytes_max = 256 * 1024;
constexpr size_t driver_name_bytes_max = 63;
constexpr size_t node_id_bytes_max = 192;
constexpr int64_t token_seconds_min = 600;
constexpr int64_t update_period_seconds_min = 10;

void validate_parameters(const Json& parameters, const FieldPath& path, Causes& causes) {
    if (parameters.size() > parameters_max)
        return add_too_many(causes, path, parameters.size(), parameters_max);
    size_t bytes = 0;
    for (const auto& [key, value] : parameters.members()) {
        if (key.empty()) add_invalid(causes, path, key, "field can not be empty.");
        bytes += key.size() + value.text().size();
    }
    if (bytes > parameters_bytes_max) add_too_long(causes, path, parameters_bytes_max);
}

void validate_topologies(const Json& topologies, const FieldPath& path, Causes& causes) {
    const auto terms = topologies.items();
    for (size_t i = 0; i < terms.size(); ++i) {
        const FieldPath term = path.index(i);
        const auto requirements = field(terms[i], "matchLabelExpressions").items();
        std::set<std::string_view> keys;
        for (size_t j = 0; j < requirements.size(); ++j) {
            const FieldPath requirement = term.child("matchLabelExpressions", j);
            const auto key = text_of(requirements[j], "key");
            if (!key.empty())
                add_unless_ok(causes, requirement.child("key"), key, check_qualified_name(key));
            if (!keys.insert(key).second) add_duplicate(causes, requirement.child("key"), key);
            std::set<std::string_view> values;
            const auto given = field(requirements[j], "values").items();
            for (size_t k = 0; k < given.size(); ++k)
                if (!values.insert(given[k].text()).second)
                    add_duplicate(causes, requirement.child("values", k), given[k].text());
        }
    }
}

void validate_class(const Json& storage_class, const Json* old, Causes& causes) {
    const auto provisioner = text_of(storage_class, "provisioner");
    const FieldPath provisioner_path{"provisioner"};
    if (!provisioner.empty())
        add_unless_ok(causes, provisioner_path, provisioner,
                      check_qualified_name(lower(provisioner)));
    validate_parameters(field(storage_class, "parameters"), FieldPath{"parameters"}, causes);
    const auto policy = text_of(storage_class, "reclaimPolicy");
    if (policy != "Delete" && policy != "Retain")
        add_not_supported(causes, FieldPath{"reclaimPolicy"}, policy, {"Delete", "Retain"});
    const FieldPath topologies{"allowedTopologies"};
    validate_topologies(field(storage_class, "allowedTopologies"), topologies, causes);
    if (!old) return;
    const auto changed = [&](std::string_view name) {
        return !(field(storage_class, name) == field(*old, name)) &&
               !(blank(field(storage_class, name)) && blank(field(*old, name)));
    };
    for (const std::string_view name : {"parameters", "provisioner", "reclaimPolicy"})
        if (changed(name))
            add_forbidden(causes, FieldPath{name}, concat("updates to ", name, " are forbidden."));
    if (changed("volumeBindingMode"))
        add_invalid(causes, FieldPath{"volumeBindingMode"},
                    field(storage_class, "volumeBindingMode"), immutable_message);
}

void validate_driver_name(std::string_view name, const FieldPath& path, Causes& causes) {
    if (name.empty()) return;
    if (name.size() > driver_name_bytes_max) add_too_long(causes, path, driver_name_bytes_max);
    add_unless_ok(causes, path, name, check_dns1123_subdomain(lower(name)));
}

void validate_token_requests(const Json& spec, const FieldPath& path, Causes& causes) {
    const auto requests = field(spec, "tokenRequests").items();
    std::set<std::string_view> audiences;
    for (size_t i = 0; i < requests.size(); ++i) {
        const FieldPath entry = path.child("tokenRequests", i);
        const auto audience = text_of(requests[i], "audience");
        if (!audiences.insert(audience).second)
            add_duplicate(causes, entry.child("audience"), audience);
        const Json& seconds = field(requests[i], "expirationSeconds");
        if (present(seconds) && int_or(seconds, 0) < token_seconds_min)
            add_invalid(causes, entry.child("expirationSeconds"), seconds,
                        "may not specify a duration less than 10 minutes");
        if (int_or(seconds, 0) > int64_t{1} << 32)
            add_invalid(causes, entry.child("expirationSeconds"), seconds,
                        "may not specify a duration larger than 2^32 seconds");
    }
}

void validate_driver(const Json& driver, const Json* old, Causes& causes) {
    const FieldPath metadata{"metadata"};
    validate_driver_name(text_of(driver, "metadata", "name"), metadata.child("name"), causes);
    const FieldPath path{"spec"};
    const Json& spec = field(driver, "spec");
    validate_token_requests(spec, path, causes);
    const Json& period = field(spec, "nodeAllocatableUpdatePeriodSeconds");
    if (present(period) && int_or(period, 0) < update_period_seconds_min)
        add_invalid(
            causes, path.child("nodeAllocatableUpdatePeriodSeconds"), period,
            concat("must be greater than or equal to ", update_period_seconds_min, " seconds"));
    if (!old) return;
    for (const std::string_view name : {"attachRequired", "volumeLifecycleModes"})
        if (!(field(spec, name) == field(*old, "spec", name)))
            add_invalid(causes, path.child(name), field(spec, name), immutable_message);
}

void validate_node_driver(const Json& driver, const FieldPath& path, Causes& causes) {
    validate_driver_name(text_of(driver, "name"), path.child("name"), causes);
    const auto id = text_of(driver, "nodeID");
    if (id.size() > node_id_bytes_max)
        add_invalid(causes, path.child("nodeID"), id,
                    concat("must be ", node_id_bytes_max, " characters or less"));
    std::set<std::string_view> keys;
    for (const Json& key : field(driver, "topologyKeys").items()) {
        const FieldPath topology = path.child("topologyKeys");
        if (!keys.insert(key.text()).second) add_duplicate(causes, topology, key.text());
        add_unless_ok(causes, topology, key.text(), check_qualified_name(key.text()));
    }
}

void validate_csi_node(const Json& node, const Json* old, Causes& causes) {
    const FieldPath path{"spec"};
    const auto drivers = field(node, "spec", "drivers").items();
    std::set<std::string_view> names;
    for (size_t i = 0; i < drivers.size(); ++i) {
        const FieldPath entry = path.child("drivers", i);
        validate_node_driver(drivers[i], entry, causes);
        const auto name = text_of(drivers[i], "name");
        if (!names.insert(name).second) add_duplicate(causes, entry.child("name"), name);
        if (!old) continue;
        for (const Json& before : field(*old, "spec", "drivers").items())
            if (text_of(before, "name") == name &&
                !(field(before, "nodeID") == field(drivers[i], "nodeID")))
                add_invalid(causes, path.child("drivers"), drivers[i], immutable_message);
    }
}

void prepare_attachment(Json& attachment, const Json* old, Arena& arena) {
    if (old) return;
    Json& status = attachment.set_borrowed(arena, "status", Json::object());
    status.set_borrowed(arena, "attached", Json::boolean(false));
}

void validate_attachment(const Json& attachment, const Json* old, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(attachment, "spec");
    validate_driver_name(text_of(spec, "attacher"), path.child("attacher"), causes);
    const Json& source = field(spec, "source");
    const bool named = present(field(source, "persistentVolumeName"));
    const bool inlined = present(field(source, "inlineVolumeSpec"));
    const FieldPath source_path = path.child("source");
    if (!named && !inlined)
        add_required(causes, source_path,
                     "must specify exactly one of inlineVolumeSpec and persistentVolumeName");
    if (named && inlined)
        add_forbidden(causes, source_path,
                      "must specify exactly one of inlineVolumeSpec and persistentVolumeName");
    const auto name = text_of(source, "persistentVolumeName");
    if (named && name.empty()) add_required(causes, source_path.child("persistentVolumeName"));
    if (old && !(spec == field(*old, "spec"))) add_invalid(causes, path, spec, immutable_message);
}

void validate_capacity(const Json& capacity, const Json*, Causes& causes) {
    const auto name = text_of(capacity, "storageClassName");
    if (!name.empty())
        add_unless_ok(causes, FieldPath{"storageClassName"}, name, check_dns1123_subdomain(name));
    const FieldPath topology{"nodeTopology"};
    validate_label_selector(field(capacity, "nodeTopology"), topology, causes);
    for (const std::string_view part : {"capacity", "maximumVolumeSize"}) {
        const auto amount = Quantity::parse(text_of(capacity, part));
        if (amount && amount->is_negative())
            add_invalid(causes, FieldPath{part}, field(capacity, part), not_negative_message);
    }
}

}   // namespace

const Rules storageclass_rules{.validate = validate_class};
const Rules csidriver_rules{.validate = validate_driver};
const Rules csinode_rules{.validate = validate_csi_node};
const Rules volumeattachment_rules{.prepare = prepare_attachment, .validate = validate_attachment};
const Rules csistoragecapacity_rules{.validate = validate_capacity};

}   // namespace skiff::api
