// Config maps and secrets: keys, sizes, and what is fixed once `immutable` is set.
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

constexpr size_t data_bytes_max = 1024 * 1024;

void validate_keys(const Json& data, const FieldPath& path, Causes& causes) {
    for (const auto& [key, value] : data.members())
        add_unless_ok(causes, path.key(key), key, check_format(Format::ConfigMapKey, key));
}

// How long base64 text is once decoded.
size_t decoded_size(std::string_view text) {
    size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=')
        ++padding;
    return text.size() / 4 * 3 - padding;
}

size_t bytes_of(const Json& data, bool encoded) {
    size_t bytes = 0;
    for (const auto& member : data.members()) {
        const auto text = member.value.text();
        bytes += encoded ? decoded_size(text) : text.size();
    }
    return bytes;
}

// `immutable` cannot be taken back, and holds for the fields named.
void validate_immutable(const Json& object, const Json& old,
                        std::initializer_list<std::string_view> fixed, Causes& causes) {
    if (!truth(field(old, "immutable"))) return;
    const std::string detail = "field is immutable when `immutable` is set";
    if (!truth(field(object, "immutable"))) add_forbidden(causes, FieldPath{"immutable"}, detail);
    for (const auto name : fixed) {
        const Json& now = field(object, name);
        const Json& before = field(old, name);
        if (!(now == before) && !(blank(now) && blank(before)))
            add_forbidden(causes, FieldPath{name}, detail);
    }
}

void validate_configmap(const Json& map, const Json* old, Causes& causes) {
    const Json& data = field(map, "data");
    const Json& binary = field(map, "binaryData");
    const FieldPath data_path{"data"};
    const FieldPath binary_path{"binaryData"};
    validate_keys(data, data_path, causes);
    for (const auto& [key, value] : data.members())
        if (binary.find(key))
            add_invalid(causes, data_path.key(key), key, "duplicate of key present in binaryData");
    validate_keys(binary, binary_path, causes);
    if (bytes_of(data, false) + bytes_of(binary, true) > data_bytes_max)
        add_too_long(causes, FieldPath{}, data_bytes_max);
    if (old) validate_immutable(map, *old, {"data", "binaryData"}, causes);
}

// stringData is for writing only: its texts go to data.
void default_secret(Json& secret, Arena& arena) {
    const Json texts = field(secret, "stringData");
    if (!present(texts)) return;
    for (const auto& [key, value] : texts.members())
        secret.make_object(arena, "data")
            .set(arena, key, Json::string(arena, base64(value.text())));
    secret.remove("stringData");
}

// The keys that a type asks for, and what stands in them.
void require_key(const Json& data, std::string_view key, Causes& causes) {
    const FieldPath path{"data"};
    if (!data.find(key)) add_required(causes, path.key(key));
}

void validate_docker_config(const Json& data, std::string_view key, Causes& causes) {
    require_key(data, key, causes);
    const Json& value = field(data, key);
    if (!present(value)) return;
    const FieldPath path{"data"};
    const auto config = base64_decoded(value.text());
    const auto parsed = codec::parse_json(config.value_or(""));
    if (!parsed)
        add_invalid(causes, path.key(key), "<secret contents redacted>", parsed.error().message);
    else if (!parsed->root.is_object())
        add_invalid(causes, path.key(key), "<secret contents redacted>",
                    "json: cannot unmarshal value into Go value of type map[string]interface {}");
}

void validate_secret_type(const Json& secret, const Json& data, Causes& causes) {
    const auto type = text_of(secret, "type");
    const FieldPath path{"data"};
    if (type == "kubernetes.io/service-account-token") {
        constexpr std::string_view annotation = "kubernetes.io/service-account.name";
        const FieldPath metadata{"metadata"};
        if (text_of(secret, "metadata", "annotations", annotation).empty())
            add_required(causes, metadata.child("annotations", annotation));
    } else if (type == "kubernetes.io/dockercfg") {
        validate_docker_config(data, ".dockercfg", causes);
    } else if (type == "kubernetes.io/dockerconfigjson") {
        validate_docker_config(data, ".dockerconfigjson", causes);
    } else if (type == "kubernetes.io/basic-auth") {
        if (!data.find("username") && !data.find("password")) {
            add_required(causes, path.key("username"));
            add_required(causes, path.key("password"));
        }
    } else if (type == "kubernetes.io/ssh-auth") {
        if (blank(field(data, "ssh-privatekey"))) add_required(causes, path.key("ssh-privatekey"));
    } else if (type == "kubernetes.io/tls") {
        require_key(data, "tls.crt", causes);
        require_key(data, "tls.key", causes);
    }
}

void validate_secret(const Json& secret, const Json* old, Causes& causes) {
    static const Json no_data = Json::object();
    const Json& data = present(field(secret, "data")) ? field(secret, "data") : no_data;
    const FieldPath path{"data"};
    validate_keys(data, path, causes);
    if (bytes_of(data, true) > data_bytes_max) add_too_long(causes, path, data_bytes_max);
    validate_secret_type(secret, data, causes);
    if (!old) return;
    if (!(field(secret, "type") == field(*old, "type")))
        add_invalid(causes, FieldPath{"type"}, text_of(secret, "type"), immutable_message);
    validate_immutable(secret, *old, {"data"}, causes);
}

}   // namespace

const Rules configmap_rules{.validate = validate_configmap};
const Rules secret_rules{.defaults = default_secret, .validate = validate_secret};

}   // namespace skiff::api
