#include "agent/volumes/payload.h"

#include "base/text.h"

namespace skiff::agent {

namespace {

constexpr int32_t mode_default = 0644;

// A path of an item must stay inside: the API checks it too, manifests on disk do not pass there.
Result<> check_path(const std::string& path) {
    if (path.empty() || path.front() == '/')
        return fail(Reason::Invalid, concat("invalid path: '", path, "'"));
    for (const auto part : split(path, '/')) {
        if (part == "..")
            return fail(Reason::Invalid, concat("invalid path, must not contain '..': ", path));
    }
    return {};
}

struct Keys {
    const std::vector<Pod::KeyToPath>& items;
    bool optional = false;
    int32_t mode = mode_default;
    std::string_view missing;   // what to say of a key that is not there
};

Result<> add_keys(const KeyValues& content, const Keys& keys, Payload& out) {
    const auto mode_of = [&](const std::optional<int32_t>& own) {
        return static_cast<unsigned>(own.value_or(keys.mode));
    };
    if (keys.items.empty()) {
        for (const auto& [key, value] : content) out[key] = {value, mode_of({})};
        return {};
    }
    for (const auto& item : keys.items) {
        const auto found = content.find(item.key);
        if (found == content.end()) {
            if (keys.optional) continue;
            return fail(Reason::NotFound, concat(keys.missing, item.key));
        }
        TRY_OK(check_path(item.path));
        out[item.path] = {found->second, mode_of(item.mode)};
    }
    return {};
}

// A ConfigMap or Secret by name, with its keys.
Result<> add_object(const std::map<std::string, KeyValues>& objects, const std::string& name,
                    std::string_view kind, const Keys& keys, Payload& out) {
    const auto found = objects.find(name);
    if (found == objects.end()) {
        if (keys.optional) return {};
        return fail(Reason::NotFound, concat(kind, " \"", name, "\" not found"));
    }
    return add_keys(found->second, keys, out);
}

Result<> add_downward(const std::vector<Pod::DownwardAPIVolumeFile>& items, int32_t mode,
                      const FieldSource& source, Payload& out) {
    for (const auto& item : items) {
        TRY_OK(check_path(item.path));
        PayloadFile file{.mode = static_cast<unsigned>(item.mode.value_or(mode))};
        if (item.fieldRef) {
            TRY(file.content, field_value(source, item.fieldRef->fieldPath));
        } else if (item.resourceFieldRef) {
            const auto* container =
                find_container(source.pod.spec, item.resourceFieldRef->containerName);
            if (!container) {
                return fail(
                    Reason::NotFound,
                    concat("container ", item.resourceFieldRef->containerName, " not found"));
            }
            TRY(file.content, resource_value(source, *container, *item.resourceFieldRef));
        }
        out[item.path] = std::move(file);
    }
    return {};
}

TokenWanted token_of(const Pod::ServiceAccountTokenProjection& projection) {
    return {projection.audience, projection.expirationSeconds.value_or(3600)};
}

Result<> add_projection(const Pod::VolumeProjection& from, int32_t mode, const FieldSource& source,
                        const ConfigValues& values, const Tokens& tokens, Payload& out) {
    if (from.secret) {
        const Keys keys{from.secret->items, from.secret->optional.value_or(false), mode,
                        "references non-existent secret key: "};
        return add_object(values.secrets, from.secret->name, "secret", keys, out);
    }
    if (from.configMap) {
        const Keys keys{from.configMap->items, from.configMap->optional.value_or(false), mode,
                        "references non-existent config key: "};
        return add_object(values.config_maps, from.configMap->name, "configmap", keys, out);
    }
    if (from.downwardAPI) return add_downward(from.downwardAPI->items, mode, source, out);
    if (from.serviceAccountToken) {
        const auto found = tokens.find(token_of(*from.serviceAccountToken));
        if (found == tokens.end()) return fail(Reason::NotFound, "no service account token");
        TRY_OK(check_path(from.serviceAccountToken->path));
        // Whoever the containers run as must be able to read it: kubelet gives 0600 to a lone
        // user, else the group by fsGroup; a plain 0644 on a private tmpfs says the same.
        out[from.serviceAccountToken->path] = {found->second, static_cast<unsigned>(mode)};
        return {};
    }
    return fail(Reason::Invalid, "a projected source of this kind is not supported");
}

}   // namespace

ConfigNames volume_names(const PodSpec& spec) {
    ConfigNames names;
    for (const auto& volume : spec.volumes) {
        if (volume.configMap) names.config_maps.insert(volume.configMap->name);
        if (volume.secret) names.secrets.insert(volume.secret->secretName);
        if (!volume.projected) continue;
        for (const auto& from : volume.projected->sources) {
            if (from.configMap) names.config_maps.insert(from.configMap->name);
            if (from.secret) names.secrets.insert(from.secret->name);
        }
    }
    return names;
}

std::vector<TokenWanted> volume_tokens(const PodSpec& spec) {
    std::vector<TokenWanted> wanted;
    for (const auto& volume : spec.volumes) {
        if (!volume.projected) continue;
        for (const auto& from : volume.projected->sources) {
            if (from.serviceAccountToken) wanted.push_back(token_of(*from.serviceAccountToken));
        }
    }
    return wanted;
}

bool has_payload(const Volume& volume) {
    return volume.configMap || volume.secret || volume.downwardAPI || volume.projected;
}

Result<Payload> volume_payload(const Volume& volume, const FieldSource& source,
                               const ConfigValues& values, const Tokens& tokens) {
    Payload out;
    if (volume.configMap) {
        const auto& from = *volume.configMap;
        const Keys keys{from.items, from.optional.value_or(false),
                        from.defaultMode.value_or(mode_default),
                        "references non-existent config key: "};
        TRY_OK(add_object(values.config_maps, from.name, "configmap", keys, out));
    } else if (volume.secret) {
        const auto& from = *volume.secret;
        const Keys keys{from.items, from.optional.value_or(false),
                        from.defaultMode.value_or(mode_default),
                        "references non-existent secret key: "};
        TRY_OK(add_object(values.secrets, from.secretName, "secret", keys, out));
    } else if (volume.downwardAPI) {
        TRY_OK(add_downward(volume.downwardAPI->items,
                            volume.downwardAPI->defaultMode.value_or(mode_default), source, out));
    } else if (volume.projected) {
        const int32_t mode = volume.projected->defaultMode.value_or(mode_default);
        for (const auto& from : volume.projected->sources) {
            TRY_OK(add_projection(from, mode, source, values, tokens, out));
        }
    }
    return out;
}

}   // namespace skiff::agent
