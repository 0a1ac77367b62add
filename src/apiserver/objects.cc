#include "apiserver/objects.h"

#include "base/text.h"

namespace skiff::apiserver {

const Json* metadata_of(const Json& object) {
    const auto* metadata = object.find("metadata");
    return metadata && metadata->is_object() ? metadata : nullptr;
}

Json& metadata_of(Json& object, Arena& arena) { return object.make_object(arena, "metadata"); }

std::string_view metadata_text(const Json& object, std::string_view member) {
    const auto* metadata = metadata_of(object);
    const auto* value = metadata ? metadata->find(member) : nullptr;
    return value ? value->text() : std::string_view{};
}

bool being_deleted(const Json& object) {
    return !metadata_text(object, "deletionTimestamp").empty();
}

bool has_finalizers(const Json& object) {
    const auto* metadata = metadata_of(object);
    const auto* finalizers = metadata ? metadata->find("finalizers") : nullptr;
    return finalizers && !finalizers->empty();
}

int64_t generation_of(const Json& object) {
    const auto* generation = object.at_path({"metadata", "generation"});
    return generation && generation->is_integer() ? generation->as_int() : 0;
}

StoredText stored_text(const Json& object, const api::Kind& kind) {
    StoredText stored;
    auto& out = stored.text;
    out = concat(R"({"kind":")", kind.kind, R"(","apiVersion":")",
                 api_version_of(kind.group, kind.version), R"(","metadata":{)");
    stored.splice_at = static_cast<uint32_t>(out.size());
    bool first = true;
    if (const auto* metadata = metadata_of(object)) {
        for (const auto& member : metadata->members()) {
            if (member.key == "resourceVersion" || member.key == "selfLink") continue;
            if (!std::exchange(first, false)) out += ',';
            codec::write_json_string(member.key, out);
            out += ':';
            codec::write_json(member.value, out);
        }
    }
    out += '}';
    for (const auto& member : object.members()) {
        if (member.key == "metadata" || member.key == "kind" || member.key == "apiVersion")
            continue;
        out += ',';
        codec::write_json_string(member.key, out);
        out += ':';
        codec::write_json(member.value, out);
    }
    out += '}';
    return stored;
}

store::ObjectPtr made_object(const ServedResource& resource, const Json& object) {
    auto made = std::make_shared<store::Object>();
    made->text = Bytes{stored_text(object, *resource.kind).text};
    made->attributes = describe(*resource.kind, object);
    return made;
}

Result<Document> parse_stored(const store::Object& object) {
    TRY(auto document, parse_current(object));
    if (auto* metadata = document.root.find("metadata")) metadata->remove("resourceVersion");
    return document;
}

Result<Document> parse_current(const store::Object& object) {
    auto document = codec::parse_json(object.text);
    if (!document) return std::unexpected{std::move(document).error().in("a stored object")};
    return document;
}

ErrorSubject subject_of(const ServedResource& resource, std::string_view name) {
    return {.group = std::string{resource.kind->group},
            .kind = std::string{resource.kind->plural},
            .name = std::string{name},
            .uid = {}};
}

namespace {
std::string qualified(const ServedResource& resource) {
    return resource.kind->group.empty() ? std::string{resource.kind->plural}
                                        : concat(resource.kind->plural, '.', resource.kind->group);
}
}   // namespace

Error not_found(const ServedResource& resource, std::string_view name) {
    Error error{.reason = Reason::NotFound,
                .message = concat(qualified(resource), " \"", name, "\" not found")};
    error.subject = subject_of(resource, name);
    return error;
}

Error already_exists(const ServedResource& resource, std::string_view name) {
    Error error{.reason = Reason::AlreadyExists,
                .message = concat(qualified(resource), " \"", name, "\" already exists")};
    error.subject = subject_of(resource, name);
    return error;
}

Error conflict(const ServedResource& resource, std::string_view name, std::string_view why) {
    if (why.empty())
        why =
            "the object has been modified; please apply your changes to the latest version and try "
            "again";
    Error error{.reason = Reason::Conflict,
                .message = concat("Operation cannot be fulfilled on ", qualified(resource), " \"",
                                  name, "\": ", why)};
    error.subject = subject_of(resource, name);
    return error;
}

std::string store_name(const ServedResource& resource, std::string_view name_space,
                       std::string_view name) {
    return resource.namespaced ? concat(name_space, '/', name) : std::string{name};
}

std::vector<std::string> texts_of(const Json* list) {
    std::vector<std::string> texts;
    if (list)
        for (const auto& item : list->items()) texts.emplace_back(item.text());
    return texts;
}

Json text_array(const std::vector<std::string>& texts, Arena& arena) {
    auto array = Json::array();
    for (const auto& text : texts) array.push(arena, Json::string(arena, text));
    return array;
}

}   // namespace skiff::apiserver
