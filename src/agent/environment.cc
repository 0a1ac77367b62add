#include "agent/environment.h"

#include <algorithm>

#include "base/text.h"

namespace skiff::agent {

namespace {

// "metadata.labels['a']" gives a; nothing when `path` is not that kind of path.
std::optional<std::string_view> subscript(std::string_view path, std::string_view base) {
    if (!path.starts_with(base)) return std::nullopt;
    path.remove_prefix(base.size());
    if (path.size() < 4 || !path.starts_with("['") || !path.ends_with("']")) return std::nullopt;
    return path.substr(2, path.size() - 4);
}

std::string lines_of(const auto& map) {
    std::string out;
    for (const auto& [key, value] : map) {
        append(out, out.empty() ? "" : "\n", std::string_view{key}, "=\"");
        for (const char c : std::string_view{value}) {   // as Go's %q, for what is common
            if (c == '"' || c == '\\') out += '\\';
            if (c == '\n')
                out += "\\n";
            else
                out += c;
        }
        out += '"';
    }
    return out;
}

// One container's variables while they are put together: the last of a name wins, in the place of
// the first, and values may use the names before them.
class Builder {
  public:
    Builder(const Container& container, const FieldSource& source, const ConfigValues& values)
        : container_{container}, source_{source}, values_{values} {}

    Result<std::vector<cri::KeyValue>> make() {
        const auto services =
            service_variables(values_.services, source_.pod.metadata.namespace_.view(),
                              source_.pod.spec.enableServiceLinks.value_or(true));
        known_ = services;   // what the container says itself stands before them
        for (const auto& from : container_.envFrom) TRY_OK(add_all(from));
        for (const auto& variable : container_.env) TRY_OK(add(variable));
        for (const auto& [name, value] : services)
            if (std::ranges::find(out_, name, &cri::KeyValue::key) == out_.end())
                out_.push_back({name, value});
        return std::move(out_);
    }

  private:
    void put(const std::string& name, std::string value) {
        known_[name] = value;
        const auto same = std::ranges::find(out_, name, &cri::KeyValue::key);
        if (same != out_.end())
            same->value = std::move(value);
        else
            out_.push_back({name, std::move(value)});
    }

    Result<> add_all(const Pod::EnvFromSource& from) {
        const auto all = [&](const auto& reference, const auto& objects,
                             const char* kind) -> Result<> {
            const auto found = objects.find(reference.name);
            if (found == objects.end()) {
                if (reference.optional.value_or(false)) return {};
                return fail(Reason::NotFound, concat(kind, " \"", reference.name, "\" not found"));
            }
            for (const auto& [key, value] : found->second) put(concat(from.prefix, key), value);
            return {};
        };
        if (from.configMapRef) return all(*from.configMapRef, values_.config_maps, "configmap");
        if (from.secretRef) return all(*from.secretRef, values_.secrets, "secret");
        return {};
    }

    Result<> add(const Pod::EnvVar& variable) {
        if (!variable.valueFrom) {
            put(variable.name, expand(variable.value, known_));
            return {};
        }
        const auto& from = *variable.valueFrom;
        if (from.fieldRef) {
            TRY(auto value, field_value(source_, from.fieldRef->fieldPath));
            put(variable.name, std::move(value));
        } else if (from.resourceFieldRef) {
            const auto& wanted = from.resourceFieldRef->containerName;
            const auto* of =
                wanted.empty() ? &container_ : find_container(source_.pod.spec, wanted);
            if (!of) return fail(Reason::NotFound, concat("container ", wanted, " not found"));
            TRY(auto value, resource_value(source_, *of, *from.resourceFieldRef));
            put(variable.name, std::move(value));
        } else if (from.configMapKeyRef) {
            return add_key(variable.name, *from.configMapKeyRef, values_.config_maps, "configmap",
                           "ConfigMap");
        } else if (from.secretKeyRef) {
            return add_key(variable.name, *from.secretKeyRef, values_.secrets, "secret", "Secret");
        }
        return {};
    }

    Result<> add_key(const std::string& variable, const auto& reference, const auto& objects,
                     const char* kind, const char* kind_title) {
        const auto object = objects.find(reference.name);
        const bool optional = reference.optional.value_or(false);
        if (object == objects.end()) {
            if (optional) return {};
            return fail(Reason::NotFound, concat(kind, " \"", reference.name, "\" not found"));
        }
        const auto value = object->second.find(reference.key);
        if (value == object->second.end()) {
            if (optional) return {};
            return fail(Reason::NotFound,
                        concat("couldn't find key ", reference.key, " in ", kind_title, " ",
                               source_.pod.metadata.namespace_, "/", reference.name));
        }
        put(variable, value->second);
        return {};
    }

    const Container& container_;
    const FieldSource& source_;
    const ConfigValues& values_;
    std::vector<cri::KeyValue> out_;
    std::map<std::string, std::string> known_;
};

}   // namespace

void ConfigNames::add(const ConfigNames& other) {
    config_maps.insert(other.config_maps.begin(), other.config_maps.end());
    claims.insert(other.claims.begin(), other.claims.end());
    secrets.insert(other.secrets.begin(), other.secrets.end());
}

ConfigNames environment_names(const Container& container) {
    ConfigNames names;
    for (const auto& from : container.envFrom) {
        if (from.configMapRef) names.config_maps.insert(from.configMapRef->name);
        if (from.secretRef) names.secrets.insert(from.secretRef->name);
    }
    for (const auto& variable : container.env) {
        if (!variable.valueFrom) continue;
        const auto& from = *variable.valueFrom;
        if (from.configMapKeyRef) names.config_maps.insert(from.configMapKeyRef->name);
        if (from.secretKeyRef) names.secrets.insert(from.secretKeyRef->name);
    }
    return names;
}

Result<std::string> field_value(const FieldSource& source, std::string_view path) {
    const auto& metadata = source.pod.metadata;
    const auto first = [](const std::vector<std::string>& all) {
        return all.empty() ? std::string{} : all.front();
    };
    if (path == "metadata.name") return metadata.name;
    if (path == "metadata.namespace") return metadata.namespace_.str();
    if (path == "metadata.uid") return metadata.uid;
    if (path == "metadata.labels") return lines_of(metadata.labels);
    if (path == "metadata.annotations") return lines_of(metadata.annotations);
    if (const auto key = subscript(path, "metadata.labels")) return metadata.labels.get(*key).str();
    if (const auto key = subscript(path, "metadata.annotations"))
        return metadata.annotations.get(*key);
    if (path == "spec.nodeName") return source.pod.spec.nodeName.str();
    if (path == "spec.serviceAccountName") return source.pod.spec.serviceAccountName.str();
    if (path == "status.hostIP") return first(source.host_addresses);
    if (path == "status.hostIPs") return join(source.host_addresses, ",");
    if (path == "status.podIP") return first(source.pod_addresses);
    if (path == "status.podIPs") return join(source.pod_addresses, ",");
    return fail(Reason::Invalid, concat("unsupported fieldPath: ", path));
}

Result<std::string> resource_value(const FieldSource& source, const Container& container,
                                   const Pod::ResourceFieldSelector& selector) {
    const auto [which, name] = cut(selector.resource, '.');
    if (!name || (which != "limits" && which != "requests")) {
        return fail(Reason::Invalid,
                    concat("unsupported container resource : ", selector.resource));
    }
    const auto& list =
        which == "limits" ? container.resources.limits : container.resources.requests;
    const bool cpu = *name == "cpu";
    api::Quantity amount = list.get(*name);
    if (which == "limits" && amount.value() <= 0) {
        if (cpu) amount = api::Quantity::from_milli(source.allocatable_cpu_milli);
        if (*name == "memory") amount = api::Quantity::from_value(source.allocatable_memory_bytes);
    }
    const bool divided = selector.divisor.milli_value() > 0;
    if (cpu) {
        const int64_t divisor = divided ? selector.divisor.milli_value() : 1000;
        return concat((amount.milli_value() + divisor - 1) / divisor);
    }
    const int64_t divisor = divided ? std::max<int64_t>(selector.divisor.value(), 1) : 1;
    return concat((amount.value() + divisor - 1) / divisor);
}

Result<std::vector<cri::KeyValue>> make_environment(const Container& container,
                                                    const FieldSource& source,
                                                    const ConfigValues& values) {
    return Builder{container, source, values}.make();
}

std::string expand(std::string_view text, const std::map<std::string, std::string>& values) {
    std::string out;
    for (size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '$' || at + 1 == text.size()) {
            out += text[at];
        } else if (text[at + 1] == '$') {
            out += '$';
            ++at;
        } else if (text[at + 1] == '(') {
            const size_t end = text.find(')', at + 2);
            if (end == std::string_view::npos) {
                out += text.substr(at);
                break;
            }
            const auto known = values.find(std::string{text.substr(at + 2, end - at - 2)});
            out += known == values.end() ? text.substr(at, end + 1 - at)
                                         : std::string_view{known->second};
            at = end;
        } else {
            out += '$';
        }
    }
    return out;
}

std::vector<std::string> expand(const std::vector<std::string>& texts,
                                const std::vector<cri::KeyValue>& environment) {
    std::map<std::string, std::string> values;
    for (const auto& variable : environment) values[variable.key] = variable.value;
    std::vector<std::string> out;
    for (const auto& text : texts) out.push_back(expand(text, values));
    return out;
}

}   // namespace skiff::agent
