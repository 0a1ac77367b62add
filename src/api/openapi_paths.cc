#include <algorithm>
#include <array>

#include "api/openapi_parts.h"
#include "base/text.h"

namespace skiff::api::openapi {
namespace {

using codec::Arena;
using codec::Json;

constexpr std::string_view status_name = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
constexpr std::string_view delete_options_name =
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
constexpr std::string_view patch_name = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
constexpr std::string_view media_types[] = {"application/json", "application/yaml",
                                            "application/vnd.kubernetes.protobuf"};
constexpr std::string_view stream_media_types[] = {
    "application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"};
constexpr std::string_view patch_media_types[] = {
    "application/json-patch+json", "application/merge-patch+json",
    "application/strategic-merge-patch+json", "application/apply-patch+yaml"};

struct Parameter {
    std::string_view name;
    std::string_view type;
    std::string_view doc;
};
constexpr Parameter pretty{"pretty", "string", "'true' indents the output."};
constexpr Parameter dry_run{"dryRun", "string",
                            "'All' goes through all stages and stores nothing."};
constexpr Parameter field_manager{"fieldManager", "string",
                                  "Who owns the changed fields; at most 128 characters."};
constexpr Parameter field_validation{
    "fieldValidation", "string", "What unknown and duplicate fields do: Ignore, Warn or Strict."};
constexpr Parameter force{"force", "boolean", "Apply takes over fields that other managers own."};
constexpr Parameter list_parameters[] = {
    {"allowWatchBookmarks", "boolean", "The watch may send BOOKMARK events."},
    {"continue", "string", "Where the list goes on, as the part before told."},
    {"fieldSelector", "string", "Only objects with these fields."},
    {"labelSelector", "string", "Only objects with these labels."},
    {"limit", "integer", "At most so many objects in one answer."},
    {"resourceVersion", "string", "How old the answer may be, or where the watch begins."},
    {"resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."},
    {"sendInitialEvents", "boolean", "The watch begins with what there is."},
    {"timeoutSeconds", "integer", "When the list or watch ends."},
    {"watch", "boolean", "Send changes as they come instead of a list."},
};
constexpr Parameter delete_parameters[] = {
    {"gracePeriodSeconds", "integer", "How long the object has to end; 0 at once."},
    {"orphanDependents", "boolean", "Deprecated; use propagationPolicy."},
    {"propagationPolicy", "string",
     "What becomes of dependents: Orphan, Background or Foreground."},
};

std::string capitalized(std::string_view text) {
    std::string out{text};
    if (!out.empty() && out[0] >= 'a' && out[0] <= 'z') out[0] = static_cast<char>(out[0] - 32);
    return out;
}

// "core" and "v1" give CoreV1, "rbac.authorization.k8s.io" RbacAuthorizationV1.
std::string id_infix(std::string_view group, std::string_view version) {
    if (group.ends_with(".k8s.io")) group.remove_suffix(7);
    std::string text;
    for (const auto part : split(group.empty() ? "core" : group, '.')) text += capitalized(part);
    return text + capitalized(version);
}

bool has_verb(std::string_view verbs, std::string_view verb) {
    const auto all = split(verbs, ',');
    return std::ranges::find(all, verb) != all.end();
}

std::string_view message_name(const Message* message) {
    return message ? message->openapi_name : std::string_view{};
}

class KindPaths {
  public:
    explicit KindPaths(const Kind& kind)
        : kind_{kind},
          namespaced_{kind.scope == Scope::Namespaced},
          gvk_{kind.group, kind.version, kind.kind},
          infix_{id_infix(kind.group, kind.version)},
          noun_{concat(namespaced_ ? "Namespaced" : "", kind.kind)},
          root_{kind.group.empty() ? concat("/api/", kind.version)
                                   : concat("/apis/", kind.group, "/", kind.version)} {}

    std::vector<Path> all() {
        add_collection();
        add_object();
        for (const Subresource& sub : kind_.subresources) add_subresource(sub);
        if (namespaced_ && has_verb(kind_.verbs, "list")) {
            Path path{.path = concat(root_, "/", kind_.plural), .operations = {}};
            add(path, "get", "list", concat("list", infix_, kind_.kind, "ForAllNamespaces"), {},
                message_name(kind_.list_message));
            paths_.push_back(std::move(path));
        }
        return std::move(paths_);
    }

  private:
    void add(Path& path, std::string_view method, std::string_view action, std::string id,
             std::string_view body, std::string_view answer) {
        path.operations.push_back({method, action, std::move(id), gvk_, body, answer});
    }
    std::string collection() const {
        return concat(root_, namespaced_ ? "/namespaces/{namespace}/" : "/", kind_.plural);
    }

    void add_collection() {
        Path path{.path = collection(), .operations = {}, .namespaced = namespaced_};
        const auto own = message_name(kind_.message);
        if (has_verb(kind_.verbs, "list"))
            add(path, "get", "list", concat("list", infix_, noun_), {},
                message_name(kind_.list_message));
        if (has_verb(kind_.verbs, "create"))
            add(path, "post", "post", concat("create", infix_, noun_), own, own);
        if (has_verb(kind_.verbs, "deletecollection"))
            add(path, "delete", "deletecollection", concat("delete", infix_, "Collection", noun_),
                delete_options_name, status_name);
        if (!path.operations.empty()) paths_.push_back(std::move(path));
    }

    void add_object() {
        Path path{.path = collection() + "/{name}",
                  .operations = {},
                  .named = true,
                  .namespaced = namespaced_};
        const auto own = message_name(kind_.message);
        if (has_verb(kind_.verbs, "get"))
            add(path, "get", "get", concat("read", infix_, noun_), {}, own);
        if (has_verb(kind_.verbs, "update"))
            add(path, "put", "put", concat("replace", infix_, noun_), own, own);
        if (has_verb(kind_.verbs, "delete"))
            add(path, "delete", "delete", concat("delete", infix_, noun_), delete_options_name,
                status_name);
        if (has_verb(kind_.verbs, "patch"))
            add(path, "patch", "patch", concat("patch", infix_, noun_), patch_name, own);
        if (!path.operations.empty()) paths_.push_back(std::move(path));
    }

    void add_subresource(const Subresource& sub) {
        constexpr std::array<std::string_view, 4> connected{"exec", "attach", "portforward",
                                                            "proxy"};
        const bool connects = std::ranges::find(connected, sub.name) != connected.end();
        const auto body = message_name(message_of(kind_, sub));
        const bool text = connects || body.empty() || sub.name == "log";
        Path path{.path = concat(collection(), "/{name}/", sub.name),
                  .operations = {},
                  .named = true,
                  .namespaced = namespaced_};
        struct Row {
            std::string_view verb, method, action, prefix;
        };
        constexpr Row rows[] = {{"get", "get", "get", "read"},
                                {"create", "post", "post", "create"},
                                {"update", "put", "put", "replace"},
                                {"patch", "patch", "patch", "patch"},
                                {"delete", "delete", "delete", "delete"}};
        for (const Row& row : rows) {
            if (!has_verb(sub.verbs, row.verb)) continue;
            std::string id = connects ? concat("connect", infix_, capitalized(row.method))
                                      : concat(row.prefix, infix_);
            append(id, noun_, capitalized(sub.name));
            const bool reads = row.verb == "get" || row.verb == "delete";
            add(path, row.method, connects ? "connect" : row.action, std::move(id),
                text || reads         ? std::string_view{}
                : row.verb == "patch" ? patch_name
                                      : body,
                text ? std::string_view{} : body);
            path.operations.back().gvk = {sub.group, sub.version, sub.kind};
        }
        if (!path.operations.empty()) paths_.push_back(std::move(path));
    }

    const Kind& kind_;
    bool namespaced_;
    GroupVersionKind gvk_;
    std::string infix_;
    std::string noun_;
    std::string root_;
    std::vector<Path> paths_;
};

// Writes one operation in a dialect.
class OperationWriter {
  public:
    OperationWriter(Dialect dialect, const Path::Operation& operation, Arena& arena)
        : dialect_{dialect}, operation_{operation}, arena_{arena} {}

    Json write(std::string_view tag) {
        Json out = Json::object();
        Json tags = Json::array();
        tags.push(arena_, Json::string(arena_, tag));
        out.set_borrowed(arena_, "tags", tags);
        out.set_borrowed(arena_, "description", Json::borrowed(description()));
        out.set_borrowed(arena_, "operationId", Json::string(arena_, operation_.id));
        if (dialect_ == Dialect::V2) {
            out.set_borrowed(arena_, "consumes", consumes());
            out.set_borrowed(arena_, "produces", produces());
            Json schemes = Json::array();
            schemes.push(arena_, Json::borrowed("https"));
            out.set_borrowed(arena_, "schemes", schemes);
        }
        Json parameters = query_parameters();
        if (!operation_.body.empty()) add_body(out, parameters);
        if (!parameters.empty()) out.set_borrowed(arena_, "parameters", parameters);
        out.set_borrowed(arena_, "responses", responses());
        out.set_borrowed(arena_, "x-kubernetes-action", Json::borrowed(operation_.action));
        out.set_borrowed(arena_, "x-kubernetes-group-version-kind",
                         gvk_json(operation_.gvk, arena_));
        return out;
    }

    Json parameter(const Parameter& shown, std::string_view place) {
        Json out = Json::object();
        out.set_borrowed(arena_, "name", Json::borrowed(shown.name));
        out.set_borrowed(arena_, "in", Json::borrowed(place));
        if (!shown.doc.empty()) out.set_borrowed(arena_, "description", Json::borrowed(shown.doc));
        if (place == "path") out.set_borrowed(arena_, "required", Json::boolean(true));
        Json& typed =
            dialect_ == Dialect::V2 ? out : out.set_borrowed(arena_, "schema", Json::object());
        typed.set_borrowed(arena_, "type", Json::borrowed(shown.type));
        typed.set_borrowed(arena_, "uniqueItems", Json::boolean(true));
        return out;
    }

  private:
    bool writes() const {
        return operation_.action == "post" || operation_.action == "put" ||
               operation_.action == "patch";
    }

    std::string_view description() const {
        const auto action = operation_.action;
        if (action == "list") return "list or watch objects";
        if (action == "get") return "read an object";
        if (action == "post") return "create an object";
        if (action == "put") return "replace an object";
        if (action == "patch") return "change parts of an object";
        if (action == "delete") return "delete an object";
        if (action == "deletecollection") return "delete several objects";
        return "connect to what the object stands for";
    }

    Json texts(std::span<const std::string_view> values) {
        Json list = Json::array();
        for (const auto value : values) list.push(arena_, Json::borrowed(value));
        return list;
    }

    Json consumes() {
        if (operation_.action == "patch") return texts(patch_media_types);
        constexpr std::string_view any[] = {"*/*"};
        return texts(any);
    }

    Json produces() {
        constexpr std::string_view any[] = {"*/*"};
        Json types = operation_.answer.empty() ? texts(any) : texts(media_types);
        if (operation_.action == "list")
            for (const auto type : stream_media_types) types.push(arena_, Json::borrowed(type));
        return types;
    }

    Json query_parameters() {
        Json list = Json::array();
        const auto add = [&](const Parameter& shown) {
            list.push(arena_, parameter(shown, "query"));
        };
        if (operation_.action == "connect") return list;
        if (operation_.action == "list" || operation_.action == "deletecollection")
            for (const Parameter& shown : list_parameters) {
                const bool watches = shown.name == "watch" || shown.name == "allowWatchBookmarks";
                if (operation_.action == "list" || !watches) add(shown);
            }
        if (writes() || operation_.action.starts_with("delete")) add(dry_run);
        if (operation_.action.starts_with("delete"))
            for (const Parameter& shown : delete_parameters) add(shown);
        if (writes()) {
            add(field_manager);
            add(field_validation);
        }
        if (operation_.action == "patch") add(force);
        return list;
    }

    void add_body(Json& out, Json& parameters) {
        const bool optional = operation_.action.starts_with("delete");
        if (dialect_ == Dialect::V2) {
            Json body = Json::object();
            body.set_borrowed(arena_, "name", Json::borrowed("body"));
            body.set_borrowed(arena_, "in", Json::borrowed("body"));
            if (!optional) body.set_borrowed(arena_, "required", Json::boolean(true));
            body.set_borrowed(arena_, "schema", reference(dialect_, operation_.body, arena_));
            parameters.push(arena_, body);
            return;
        }
        constexpr std::string_view any[] = {"*/*"};
        const bool patch = operation_.action == "patch";
        const auto types = patch ? std::span<const std::string_view>{patch_media_types}
                                 : std::span<const std::string_view>{any};
        Json& body = out.set_borrowed(arena_, "requestBody", Json::object());
        Json content = content_of(operation_.body, types);
        body.set_borrowed(arena_, "content", content);
        if (!optional) body.set_borrowed(arena_, "required", Json::boolean(true));
    }

    Json content_of(std::string_view name, std::span<const std::string_view> types) {
        Json content = Json::object();
        for (const auto type : types) {
            Json& media = content.set_borrowed(arena_, type, Json::object());
            media.set_borrowed(arena_, "schema", reference(dialect_, name, arena_));
        }
        return content;
    }

    Json answer(std::string_view text) {
        Json out = Json::object();
        out.set_borrowed(arena_, "description", Json::borrowed(text));
        if (operation_.answer.empty()) {
            Json string = Json::object();
            string.set_borrowed(arena_, "type", Json::borrowed("string"));
            if (dialect_ == Dialect::V2) {
                out.set_borrowed(arena_, "schema", string);
                return out;
            }
            Json& content = out.set_borrowed(arena_, "content", Json::object());
            content.set_borrowed(arena_, "*/*", Json::object())
                .set_borrowed(arena_, "schema", string);
            return out;
        }
        if (dialect_ == Dialect::V2)
            out.set_borrowed(arena_, "schema", reference(dialect_, operation_.answer, arena_));
        else
            out.set_borrowed(arena_, "content", content_of(operation_.answer, media_types));
        return out;
    }

    Json responses() {
        Json out = Json::object();
        out.set_borrowed(arena_, "200", answer("OK"));
        const bool makes = operation_.action == "post" || operation_.action == "put" ||
                           operation_.action == "patch";
        if (makes) out.set_borrowed(arena_, "201", answer("Created"));
        if (operation_.action == "post" || operation_.action == "delete")
            out.set_borrowed(arena_, "202", answer("Accepted"));
        Json refused = Json::object();
        refused.set_borrowed(arena_, "description", Json::borrowed("Unauthorized"));
        out.set_borrowed(arena_, "401", refused);
        return out;
    }

    Dialect dialect_;
    const Path::Operation& operation_;
    Arena& arena_;
};

}   // namespace

std::vector<Path> paths_of(const Kind& kind) { return KindPaths{kind}.all(); }

std::string tag_of(std::string_view group, std::string_view version) {
    auto text = id_infix(group, "");
    text[0] = static_cast<char>(text[0] | 0x20);
    return concat(text, "_", version);
}

Json path_item(Dialect dialect, const Path& path, std::string_view tag, Arena& arena) {
    Json item = Json::object();
    for (const auto& operation : path.operations)
        item.set_borrowed(arena, operation.method,
                          OperationWriter{dialect, operation, arena}.write(tag));
    OperationWriter writer{dialect, path.operations[0], arena};
    Json parameters = Json::array();
    if (path.named)
        parameters.push(arena, writer.parameter({"name", "string", "The object's name."}, "path"));
    if (path.namespaced)
        parameters.push(arena, writer.parameter({"namespace", "string", "Its namespace."}, "path"));
    if (path.operations[0].action != "connect")
        parameters.push(arena, writer.parameter(pretty, "query"));
    if (!parameters.empty()) item.set_borrowed(arena, "parameters", parameters);
    return item;
}

}   // namespace skiff::api::openapi
