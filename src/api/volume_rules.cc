// Persistent volumes and the claims on them.
#include <algorithm>
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

constexpr std::string_view single_pod_mode = "ReadWriteOncePod";
constexpr std::string_view known_modes[] = {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce",
                                            single_pod_mode};
constexpr std::string_view sources[] = {
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "azureDisk",
    "portworxVolume",
    "photonPersistentDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
};

void validate_access_modes(const Json& modes, const FieldPath& path, Causes& causes) {
    bool single_pod = false;
    bool other = false;
    for (const Json& mode : modes.items()) {
        if (std::ranges::find(known_modes, mode.text()) == std::end(known_modes))
            add_not_supported(causes, path, mode.text(), known_modes);
        (mode.text() == single_pod_mode ? single_pod : other) = true;
    }
    if (single_pod && other)
        add_forbidden(causes, path, "may not use ReadWriteOncePod with other access modes");
}

void validate_class_name(const Json& name, const FieldPath& path, Causes& causes) {
    if (!name.text().empty())
        add_unless_ok(causes, path, name.text(), check_dns1123_subdomain(name.text()));
}

void validate_size(std::string_view text, const FieldPath& path, Causes& causes) {
    const auto size = Quantity::parse(text);
    if (size && !(*size > Quantity{})) add_invalid(causes, path, text, "must be greater than zero");
}

void validate_capacity(const Json& capacity, const FieldPath& path, Causes& causes) {
    if (blank(capacity)) return;   // required, says the table
    if (!present(field(capacity, "storage")) || capacity.size() > 1)
        add_not_supported(causes, path, codec::to_json(capacity), {"storage"});
    for (const auto& [name, amount] : capacity.members())
        validate_size(amount.text(), path.key(name), causes);
}

void validate_csi_secret(const Json& csi, std::string_view name, const FieldPath& path,
                         Causes& causes) {
    const Json& secret = field(csi, name);
    if (!present(secret)) return;
    const FieldPath secret_path = path.child(name);
    for (const std::string_view part : {"name", "namespace"})
        if (text_of(secret, part).empty()) add_required(causes, secret_path.child(part));
}

bool steps_back(std::string_view path) {
    return std::ranges::any_of(split(path, '/'), [](auto part) { return part == ".."; });
}

void validate_source(const Json& spec, std::string_view name, const FieldPath& path,
                     Causes& causes) {
    const Json& source = field(spec, name);
    if (name == "hostPath" || name == "local") {
        const auto folder = text_of(source, "path");
        if (steps_back(folder))
            add_invalid(causes, path.child("path"), folder, "must not contain '..'");
    } else if (name == "nfs") {
        const auto folder = text_of(source, "path");
        if (!folder.empty() && !folder.starts_with('/'))
            add_invalid(causes, path.child("path"), folder, "must be an absolute path");
    } else if (name == "csi") {
        if (const auto driver = text_of(source, "driver"); !driver.empty())
            add_unless_ok(causes, path.child("driver"), driver,
                          check_dns1123_subdomain(lower(driver)));
        for (const std::string_view secret :
             {"controllerPublishSecretRef", "nodePublishSecretRef", "nodeStageSecretRef",
              "controllerExpandSecretRef", "nodeExpandSecretRef"})
            validate_csi_secret(source, secret, path, causes);
    }
}

void validate_sources(const Json& spec, const FieldPath& path, Causes& causes) {
    size_t found = 0;
    for (const auto name : sources) {
        if (!present(field(spec, name))) continue;
        const FieldPath source = path.child(name);
        if (++found > 1)
            add_forbidden(causes, source, "may not specify more than 1 volume type");
        else
            validate_source(spec, name, source, causes);
    }
    if (found == 0) add_required(causes, path, "must specify a volume type");
    if (text_of(spec, "hostPath", "path") == "/" &&
        text_of(spec, "persistentVolumeReclaimPolicy") == "Recycle")
        add_forbidden(causes, path.child("persistentVolumeReclaimPolicy"),
                      "may not be 'recycle' for a hostPath mount of '/'");
}

void validate_volume_update(const Json& spec, const Json& old, const FieldPath& path,
                            Causes& causes) {
    if (std::ranges::any_of(sources,
                            [&](auto name) { return !(field(spec, name) == field(old, name)); }))
        add_forbidden(causes, path.child("persistentvolumesource"),
                      "spec.persistentvolumesource is immutable after creation");
    if (present(field(old, "volumeMode")) &&
        !(field(spec, "volumeMode") == field(old, "volumeMode")))
        add_invalid(causes, path.child("volumeMode"), field(spec, "volumeMode"), immutable_message);
    if (present(field(old, "nodeAffinity")) &&
        !(field(spec, "nodeAffinity") == field(old, "nodeAffinity")))
        add_invalid(causes, path.child("nodeAffinity"), field(spec, "nodeAffinity"),
                    immutable_message);
}

void set_pending(Json& object, Arena& arena) {
    Json& status = object.set_borrowed(arena, "status", Json::object());
    status.set_borrowed(arena, "phase", Json::borrowed("Pending"));
}

void prepare_volume(Json& volume, const Json* old, Arena& arena) {
    if (!old) set_pending(volume, arena);
}

void validate_volume(const Json& volume, const Json* old, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(volume, "spec");
    const FieldPath modes = path.child("accessModes");
    if (blank(field(spec, "accessModes"))) add_required(causes, modes);
    validate_access_modes(field(spec, "accessModes"), modes, causes);
    validate_capacity(field(spec, "capacity"), path.child("capacity"), causes);
    validate_class_name(field(spec, "storageClassName"), path.child("storageClassName"), causes);
    const Json& affinity = field(spec, "nodeAffinity");
    const FieldPath affinity_path = path.child("nodeAffinity");
    if (present(affinity)) {
        const FieldPath required = affinity_path.child("required");
        if (!present(field(affinity, "required")))
            add_required(causes, required, "must specify required node constraints");
        else
            validate_node_selector(field(affinity, "required"), required, causes);
    } else if (present(field(spec, "local"))) {
        add_required(causes, affinity_path, "Local volume requires node affinity");
    }
    validate_sources(spec, path, causes);
    if (old) validate_volume_update(spec, field(*old, "spec"), path, causes);
}

// dataSource and the newer dataSourceRef say the same as far as the older one can.
void align_data_sources(Json& spec, Arena& arena) {
    const Json older = field(spec, "dataSource");
    const Json newer = field(spec, "dataSourceRef");
    if (present(older) && !present(newer))
        spec.set_borrowed(arena, "dataSourceRef", older.deep_copy(arena));
    else if (present(newer) && !present(older) && text_of(newer, "namespace").empty())
        spec.set_borrowed(arena, "dataSource", newer.deep_copy(arena));
}

void prepare_claim(Json& claim, const Json* old, Arena& arena) {
    if (!old) set_pending(claim, arena);
    if (Json* spec = claim.find("spec"); spec && spec->is_object())
        align_data_sources(*spec, arena);
}

void validate_claim_spec(const Json& spec, const FieldPath& path, Causes& causes) {
    const FieldPath modes = path.child("accessModes");
    if (blank(field(spec, "accessModes")))
        add_required(causes, modes, "at least 1 access mode is required");
    const FieldPath selector = path.child("selector");
    validate_label_selector(field(spec, "selector"), selector, causes);
    validate_access_modes(field(spec, "accessModes"), modes, causes);
    const FieldPath resources = path.child("resources");
    const Json& size = field(spec, "resources", "requests", "storage");
    if (!present(size))
        add_required(causes, resources.key("storage"));
    else
        validate_size(size.text(), resources.key("storage"), causes);
    validate_class_name(field(spec, "storageClassName"), path.child("storageClassName"), causes);
    const Json& source = field(spec, "dataSource");
    if (present(source) && text_of(source, "apiGroup").empty() &&
        text_of(source, "kind") != "PersistentVolumeClaim")
        add_invalid(causes, path.child("dataSource"), text_of(source, "kind"),
                    "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
}

// A claim may be bound once; a bound one may grow and change its attributes, nothing else.
void validate_claim_update(const Json& claim, const Json& old, const FieldPath& path,
                           Causes& causes) {
    Arena arena;
    Json allowed = field(old, "spec").deep_copy(arena);
    const Json& spec = field(claim, "spec");
    const auto take = [&](std::string_view name) {
        if (present(field(spec, name)))
            allowed.set_borrowed(arena, name, field(spec, name));
        else
            allowed.remove(name);
    };
    const Json& old_spec = field(old, "spec");
    if (text_of(old_spec, "volumeName").empty()) take("volumeName");
    if (!present(field(old_spec, "storageClassName"))) take("storageClassName");
    if (text_of(old, "status", "phase") == "Bound" ||
        text_of(claim, "status", "phase") == "Bound") {
        Json& resources = allowed.make_object(arena, "resources");
        resources.set_borrowed(arena, "requests", field(spec, "resources", "requests"));
        take("volumeAttributesClassName");
    }
    for (const std::string_view name : {"dataSource", "dataSourceRef"})
        if (!present(field(old_spec, "dataSource")) || !present(field(old_spec, "dataSourceRef")))
            if (!present(field(old_spec, name)) && (present(field(old_spec, "dataSource")) ||
                                                    present(field(old_spec, "dataSourceRef"))))
                take(name);
    if (!(allowed == spec))
        add_forbidden(causes, path,
                      "spec is immutable after creation except resources.requests and "
                      "volumeAttributesClassName for bound claims");
    const auto now = Quantity::parse(text_of(spec, "resources", "requests", "storage"));
    const auto before = Quantity::parse(text_of(old_spec, "resources", "requests", "storage"));
    const auto has = Quantity::parse(text_of(old, "status", "capacity", "storage"));
    if (now && before && *now < *before && !(has && *now > *has)) {
        const FieldPath resources = path.child("resources");
        const FieldPath requests = resources.child("requests");
        add_forbidden(causes, requests.child("storage"),
                      "field can not be less than status.capacity");
    }
}

void validate_claim(const Json& claim, const Json* old, Causes& causes) {
    const FieldPath path{"spec"};
    validate_claim_spec(field(claim, "spec"), path, causes);
    if (old) validate_claim_update(claim, *old, path, causes);
}

void validate_claim_status(const Json& claim, const Json*, Causes& causes) {
    const FieldPath status{"status"};
    const FieldPath capacity = status.child("capacity");
    for (const auto& [name, amount] : field(claim, "status", "capacity").members()) {
        const auto size = Quantity::parse(amount.text());
        if (size && size->is_negative())
            add_invalid(causes, capacity.key(name), amount, not_negative_message);
    }
}

}   // namespace

const Rules persistentvolume_rules{.prepare = prepare_volume, .validate = validate_volume};

const Rules persistentvolumeclaim_rules{
    .prepare = prepare_claim,
    .validate = validate_claim,
    .validate_status = validate_claim_status,
};

}   // namespace skiff::api
