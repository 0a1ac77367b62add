// Volumes, and where containers mount them.
#include <algorithm>
#include <set>
#include <string>

#include "api/json_fields.h"
#include "api/names.h"
#include "api/pod_validation.h"
#include "api/quantity.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Json;

// In the order in which upstream looks at them: the first one found is the volume's type.
constexpr std::string_view sources_in_order[] = {"emptyDir",
                                                 "hostPath",
                                                 "gitRepo",
                                                 "gcePersistentDisk",
                                                 "awsElasticBlockStore",
                                                 "secret",
                                                 "nfs",
                                                 "iscsi",
                                                 "glusterfs",
                                                 "flocker",
                                                 "persistentVolumeClaim",
                                                 "rbd",
                                                 "cinder",
                                                 "cephfs",
                                                 "quobyte",
                                                 "downwardAPI",
                                                 "fc",
                                                 "flexVolume",
                                                 "configMap",
                                                 "azureFile",
                                                 "vsphereVolume",
                                                 "photonPersistentDisk",
                                                 "portworxVolume",
                                                 "azureDisk",
                                                 "storageos",
                                                 "projected",
                                                 "scaleIO",
                                                 "csi",
                                                 "ephemeral",
                                                 "image"};

constexpr std::string_view mode_message =
    "must be a number between 0 and 0777 (octal), both inclusive";

bool has_parent_part(std::string_view path) {
    return std::ranges::any_of(split(path, '/'), [](auto part) { return part == ".."; });
}

void validate_mode(const Json& holder, std::string_view name, const FieldPath& path,
                   Causes& causes) {
    const Json& mode = field(holder, name);
    if (const int64_t bits = int_or(mode, 0); bits < 0 || bits > 0777)
        add_invalid(causes, path.child(name), bits, mode_message);
}

// A path below a volume that leads nowhere else.
void validate_inner_path(std::string_view value, const FieldPath& path, Causes& causes) {
    if (value.starts_with('/')) return add_invalid(causes, path, value, "must be a relative path");
    if (has_parent_part(value)) add_invalid(causes, path, value, "must not contain '..'");
}

void validate_file_path(std::string_view value, const FieldPath& path, Causes& causes) {
    if (value.empty()) return;   // required, says the table
    validate_inner_path(value, path, causes);
    if (value.starts_with("..") && !has_parent_part(value))
        add_invalid(causes, path, value, "must not start with '..'");
}

void validate_items(const Json& source, const FieldPath& path, Causes& causes) {
    const auto items = field(source, "items").items();
    for (size_t i = 0; i < items.size(); ++i) {
        const FieldPath item = path.child("items", i);
        validate_file_path(text_of(items[i], "path"), item.child("path"), causes);
        validate_mode(items[i], "mode", item, causes);
    }
}

void validate_downward_items(const Json& source, const FieldPath& path, Causes& causes) {
    const auto items = field(source, "items").items();
    for (size_t i = 0; i < items.size(); ++i) {
        const FieldPath item = path.child("items", i);
        validate_file_path(text_of(items[i], "path"), item.child("path"), causes);
        validate_mode(items[i], "mode", item, causes);
        const Json& by_field = field(items[i], "fieldRef");
        const Json& by_resource = field(items[i], "resourceFieldRef");
        if (present(by_field)) {
            validate_field_ref(by_field, FieldRefUse::File, item.child("fieldRef"), causes);
            if (present(by_resource))
                add_invalid(causes, item, "resource",
                            "fieldRef and resourceFieldRef can not be specified simultaneously");
        } else if (present(by_resource)) {
            validate_resource_field_ref(by_resource, FieldRefUse::File,
                                        item.child("resourceFieldRef"), causes);
        } else {
            add_required(causes, item.child("fieldRef"), "one of fieldRef and resourceFieldRef");
        }
    }
}

void validate_token(const Json& token, const FieldPath& path, Causes& causes) {
    const FieldPath seconds_path = path.child("expirationSeconds");
    const int64_t seconds = int_or(field(token, "expirationSeconds"), 3600);
    if (seconds < 600)
        add_invalid(causes, seconds_path, seconds,
                    "may not specify a duration less than 10 minutes");
    if (seconds > int64_t{1} << 32)
        add_invalid(causes, seconds_path, seconds,
                    "may not specify a duration larger than 2^32 seconds");
    validate_file_path(text_of(token, "path"), path.child("path"), causes);
}

void validate_projection(const Json& projection, const FieldPath& path, Causes& causes) {
    size_t types = 0;
    for (const std::string_view name :
         {"secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle"}) {
        const Json& source = field(projection, name);
        if (!present(source)) continue;
        const FieldPath source_path = path.child(name);
        if (++types > 1) {
            add_forbidden(causes, path, "may not specify more than 1 volume type");
            continue;
        }
        if (name == "secret" || name == "configMap") {
            if (text_of(source, "name").empty()) add_required(causes, source_path.child("name"));
            validate_items(source, source_path, causes);
        } else if (name == "downwardAPI") {
            validate_downward_items(source, source_path, causes);
        } else if (name == "serviceAccountToken") {
            validate_token(source, source_path, causes);
        } else {
            validate_file_path(text_of(source, "path"), source_path.child("path"), causes);
        }
    }
    if (types == 0) add_required(causes, path, "may not be empty");
}

// Two sources may not write one file.
void validate_projected_paths(const Json& source, const FieldPath& path, Causes& causes) {
    std::set<std::string_view> taken;
    const auto take = [&](std::string_view file) {
        if (!file.empty() && !taken.insert(file).second)
            add_invalid(causes, path, file, "conflicting duplicate paths");
    };
    for (const Json& projection : field(source, "sources").items()) {
        for (const std::string_view name : {"secret", "configMap", "downwardAPI"})
            for (const Json& item : field(projection, name, "items").items())
                take(text_of(item, "path"));
        for (const std::string_view name : {"serviceAccountToken", "clusterTrustBundle"})
            take(text_of(projection, name, "path"));
    }
}

void validate_projected(const Json& source, const FieldPath& path, Causes& causes) {
    validate_mode(source, "defaultMode", path, causes);
    const auto projections = field(source, "sources").items();
    for (size_t i = 0; i < projections.size(); ++i) {
        const FieldPath entry = path.child("sources", i);
        validate_projection(projections[i], entry, causes);
    }
    validate_projected_paths(source, path, causes);
}

void validate_empty_dir(const Json& source, const FieldPath& path, Causes& causes) {
    const auto limit = Quantity::parse(text_of(source, "sizeLimit"));
    if (limit && limit->is_negative())
        add_forbidden(causes, path.child("sizeLimit"),
                      "SizeLimit field must be a valid resource quantity");
    const auto medium = text_of(source, "medium");
    if (medium.empty() || medium == "Memory" || medium.starts_with("HugePages")) return;
    add_not_supported(causes, path.child("medium"), medium, {"", "HugePages", "Memory"});
}

void validate_host_path(const Json& source, const FieldPath& path, Causes& causes) {
    const auto value = text_of(source, "path");
    if (has_parent_part(value))
        add_invalid(causes, path.child("path"), value, "must not contain '..'");
}

void validate_source(std::string_view name, const Json& source, const FieldPath& path,
                     Causes& causes) {
    if (name == "emptyDir") {
        validate_empty_dir(source, path, causes);
    } else if (name == "hostPath") {
        validate_host_path(source, path, causes);
    } else if (name == "secret" || name == "configMap") {
        const std::string_view reference = name == "secret" ? "secretName" : "name";
        if (text_of(source, reference).empty()) add_required(causes, path.child(reference));
        validate_mode(source, "defaultMode", path, causes);
        validate_items(source, path, causes);
    } else if (name == "downwardAPI") {
        validate_mode(source, "defaultMode", path, causes);
        validate_downward_items(source, path, causes);
    } else if (name == "projected") {
        validate_projected(source, path, causes);
    } else if (name == "nfs") {
        const auto folder = text_of(source, "path");
        if (!folder.empty() && !folder.starts_with('/'))
            add_invalid(causes, path.child("path"), folder, "must be an absolute path");
    } else if (name == "gitRepo") {
        validate_file_path(text_of(source, "directory"), path.child("directory"), causes);
    } else if (name == "csi") {
        if (const auto driver = text_of(source, "driver"); !driver.empty())
            add_unless_ok(causes, path.child("driver"), driver,
                          check_dns1123_subdomain(lower(driver)));
    } else if (name == "image") {
        if (text_of(source, "reference").empty()) add_required(causes, path.child("reference"));
    }
}

void validate_volume(const Json& volume, const FieldPath& path, Causes& causes) {
    size_t sources = 0;
    for (const auto name : sources_in_order) {
        const Json& source = field(volume, name);
        if (!present(source)) continue;
        const FieldPath source_path = path.child(name);
        if (++sources > 1)
            add_forbidden(causes, source_path, "may not specify more than 1 volume type");
        else
            validate_source(name, source, source_path, causes);
    }
    if (sources == 0) add_required(causes, path, "must specify a volume type");
}

void validate_sub_path(const Json& mount, ContainerRole role, const FieldPath& list,
                       const FieldPath& path, Causes& causes) {
    for (const std::string_view name : {"subPath", "subPathExpr"}) {
        const auto value = text_of(mount, name);
        if (value.empty()) continue;
        if (role == ContainerRole::Ephemeral)
            add_forbidden(causes, path.child(name), "cannot be set for an Ephemeral Container");
        else
            validate_inner_path(value, list.child(name), causes);
    }
    const auto expression = text_of(mount, "subPathExpr");
    if (!expression.empty() && !text_of(mount, "subPath").empty())
        add_invalid(causes, path.child("subPathExpr"), expression,
                    "subPathExpr and subPath are mutually exclusive");
}

void validate_recursive_read_only(const Json& mount, const FieldPath& path, Causes& causes) {
    const Json& mode = field(mount, "recursiveReadOnly");
    if (!present(mode)) return;
    const FieldPath mode_path = path.child("recursiveReadOnly");
    const auto value = mode.text();
    if (value != "Disabled" && value != "IfPossible" && value != "Enabled")
        return add_not_supported(causes, mode_path, value, {"Disabled", "Enabled", "IfPossible"});
    if (value == "Disabled") return;
    if (!truth(field(mount, "readOnly")))
        add_forbidden(causes, mode_path, "may only be specified when readOnly is true");
    const auto propagation = text_of(mount, "mountPropagation");
    if (!propagation.empty() && propagation != "None")
        add_forbidden(causes, mode_path,
                      "may only be specified when mountPropagation is None or not specified");
}

// Some of what is wrong stands at the list and not at its element, as upstream has it.
void validate_mount(const Json& mount, const Json& container, ContainerRole role,
                    const PodFacts& pod, const FieldPath& list, const FieldPath& path,
                    Causes& causes) {
    const auto name = text_of(mount, "name");
    if (!pod.volume(name)) add_not_found(causes, path.child("name"), name);
    validate_sub_path(mount, role, list, path, causes);
    validate_recursive_read_only(mount, list, causes);
    if (text_of(mount, "mountPropagation") == "Bidirectional" &&
        !truth(field(container, "securityContext", "privileged")))
        add_forbidden(causes, list.child("mountPropagation"),
                      "Bidirectional mount propagation is available only to privileged containers");
}

void validate_devices(const Json& container, const PodFacts& pod, const FieldPath& path,
                      Causes& causes) {
    const auto devices = field(container, "volumeDevices").items();
    std::set<std::string_view> places;
    for (size_t i = 0; i < devices.size(); ++i) {
        const FieldPath entry = path.child("volumeDevices", i);
        const auto name = text_of(devices[i], "name");
        if (name.empty()) continue;
        const Json* volume = pod.volume(name);
        if (!volume)
            add_not_found(causes, entry.child("name"), name);
        else if (!present(field(*volume, "persistentVolumeClaim")) &&
                 !present(field(*volume, "ephemeral")))
            add_invalid(causes, entry.child("name"), name,
                        "can only use volume source type of PersistentVolumeClaim or Ephemeral for "
                        "block mode");
        const auto place = text_of(devices[i], "devicePath");
        if (!places.insert(place).second)
            add_invalid(causes, entry.child("devicePath"), place, "must be unique");
    }
}

}   // namespace

void validate_volumes(const Json& spec, const FieldPath& path, Causes& causes) {
    const auto volumes = field(spec, "volumes").items();
    std::set<std::string_view> names;
    for (size_t i = 0; i < volumes.size(); ++i) {
        const FieldPath volume_path = path.child("volumes", i);
        validate_volume(volumes[i], volume_path, causes);
        const auto name = text_of(volumes[i], "name");
        if (name.empty()) continue;
        const FieldPath name_path = volume_path.child("name");
        add_unless_ok(causes, name_path, name, check_dns1123_label(name));
        if (!names.insert(name).second) add_duplicate(causes, name_path, name);
    }
}

void validate_volume_mounts(const Json& container, ContainerRole role, const PodFacts& pod,
                            const FieldPath& path, Causes& causes) {
    const auto mounts = field(container, "volumeMounts").items();
    const FieldPath list = path.child("volumeMounts");
    std::set<std::string_view> places;
    for (size_t i = 0; i < mounts.size(); ++i) {
        const FieldPath mount_path = path.child("volumeMounts", i);
        validate_mount(mounts[i], container, role, pod, list, mount_path, causes);
        const auto place = text_of(mounts[i], "mountPath");
        if (!place.empty() && !places.insert(place).second)
            add_invalid(causes, mount_path.child("mountPath"), place, "must be unique");
    }
    validate_devices(container, pod, path, causes);
}

}   // namespace skiff::api
