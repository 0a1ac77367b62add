// Get and list.
#include "api/table.h"
#include "apiserver/registry.h"
#include "apiserver/selection.h"
#include "apiserver/status.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

struct ContinueToken {
    int64_t revision = 0;
    std::string after;   // the last store name of the page before
};

std::string encoded_token(const ContinueToken& token) {
    std::string json = concat(R"({"v":"meta.k8s.io/v1","rv":)", token.revision, R"(,"start":)");
    codec::write_json_string(token.after, json);
    json += '}';
    return base64url(json);
}

Result<ContinueToken> decoded_token(std::string_view text) {
    const auto bad = [] {
        return fail(Reason::BadRequest,
                    "continue key is not valid: it must be one that a list gave");
    };
    const auto json = base64url_decoded(text);
    if (!json) return bad();
    const auto document = codec::parse_json(*json);
    if (!document) return bad();
    const auto* revision = document->root.find("rv");
    const auto* start = document->root.find("start");
    if (!revision || !revision->is_integer() || !start || !start->is_string()) return bad();
    return ContinueToken{.revision = revision->as_int(), .after = std::string{start->as_string()}};
}

// What a list shows: a page of objects and what stands in the list's metadata.
struct Page {
    store::Revision revision;
    std::vector<store::ObjectPtr> objects;
    std::string continue_token;
    std::optional<size_t> remaining;
};

Result<int64_t> parsed_version(std::string_view text) {
    const auto number = parse_number<int64_t>(text);
    if (!number || *number < 0)
        return fail(Reason::BadRequest,
                    concat("resourceVersion: Invalid value: \"", text, "\": must be a number"));
    return *number;
}

Error invalid_options(std::string_view why) {
    return {.reason = Reason::Invalid,
            .message = concat("ListOptions.meta.k8s.io \"\" is invalid: ", why)};
}

Result<> check_list_options(const RequestOptions& options) {
    const auto& match = options.resource_version_match;
    const auto version = options.resource_version.value_or("");
    if (options.send_initial_events)
        return std::unexpected{invalid_options(
            "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list")};
    if (match.empty()) return {};
    if (!options.continue_token.empty())
        return std::unexpected{
            invalid_options("resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden "
                            "when continue is provided")};
    if (version.empty())
        return std::unexpected{
            invalid_options("resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden "
                            "unless resourceVersion is provided")};
    if (match != "Exact" && match != "NotOlderThan") {
        return std::unexpected{
            invalid_options(concat("resourceVersionMatch: Unsupported value: \"", match,
                                   "\": supported values: \"Exact\", \"NotOlderThan\", \"\""))};
    }
    if (match == "Exact" && version == "0")
        return std::unexpected{
            invalid_options("resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is "
                            "forbidden for resourceVersion \"0\"")};
    return {};
}

// KEP-1904's table: which state of the store a list reads.
Result<store::View> view_for(const Call& call, store::Store& store, store::ResourceId resource,
                             std::optional<std::string>& after) {
    const auto& options = call.options;
    const auto& match = options.resource_version_match;
    TRY_OK(check_list_options(options));
    if (!options.continue_token.empty()) {
        TRY(const auto token, decoded_token(options.continue_token));
        if (options.resource_version && !options.resource_version->empty() &&
            *options.resource_version != "0")
            return fail(Reason::BadRequest,
                        "specifying resource version is not allowed when using continue");
        after = token.after;
        auto view = store.view_at(resource, store::Revision{token.revision});
        if (!view && view.error().reason == Reason::Expired) {
            return fail(Reason::Expired,
                        "The provided continue parameter is too old to display a consistent list "
                        "result. You must start a new list without the continue parameter.");
        }
        return view;
    }
    const auto wanted_text = options.resource_version.value_or("");
    if (wanted_text.empty()) return store.view(resource);
    TRY(const auto wanted, parsed_version(wanted_text));
    if (wanted > store.revision().value)
        return std::unexpected{too_large_version(store::Revision{wanted}, store.revision())};
    const bool exact = match == "Exact" || (match.empty() && options.limit > 0 && wanted > 0);
    if (exact) return store.view_at(resource, store::Revision{wanted});
    return store.view(resource);
}

Result<Page> read_page(const Call& call, store::Store& store, const ServedResource& resource) {
    TRY(const auto selection, selection_of(call, resource));
    std::optional<std::string> after;
    TRY(const auto view, view_for(call, store, resource.resource, after));
    Page page{.revision = view.revision()};
    const auto limit = static_cast<size_t>(std::max<int64_t>(call.options.limit, 0));

    // One exact name in one namespace is a look-up.
    const auto* exact = selection.fields.exact("metadata.name");
    if (exact && (!resource.namespaced || !selection.prefix.empty()) && !after) {
        if (auto object = view.get(concat(selection.prefix, *exact));
            object && selection.matches(*object))
            page.objects.push_back(std::move(object));
        return page;
    }
    std::string last;
    bool more = false;
    view.scan(selection.prefix, after, [&](std::string_view name, const store::ObjectPtr& object) {
        if (!selection.matches(*object)) return true;
        if (limit && page.objects.size() == limit) {
            more = true;
            return false;
        }
        page.objects.push_back(object);
        if (limit) last = name;
        return true;
    });
    if (!more) return page;
    page.continue_token = encoded_token({.revision = page.revision.value, .after = last});
    if (selection.everything) page.remaining = view.remaining(selection.prefix, last);
    return page;
}

std::string list_metadata(const Page& page) {
    auto out = concat(R"("metadata":{"resourceVersion":")", page.revision.value, '"');
    if (!page.continue_token.empty()) append(out, R"(,"continue":")", page.continue_token, '"');
    if (page.remaining) append(out, R"(,"remainingItemCount":)", *page.remaining);
    return out + "}";
}

Result<net::Response> object_list(const ServedResource& resource, const Page& page) {
    net::Response response;
    response.headers.add("content-type", "application/json");
    response.body.emplace_back(
        Bytes{concat(R"({"kind":")", resource.kind->list_kind, R"(","apiVersion":")",
                     resource.api_version(), R"(",)", list_metadata(page), R"(,"items":[)")});
    static const Bytes comma{","};
    static const Bytes end{"]}"};
    bool first = true;
    for (const auto& object : page.objects) {
        if (!std::exchange(first, false)) response.body.emplace_back(comma);
        TRY(auto slice, served_bytes(resource, object->text));
        response.body.push_back(std::move(slice));
    }
    response.body.emplace_back(end);
    return response;
}

Result<std::vector<Json>> served_items(const ServedResource& resource,
                                       std::span<const store::ObjectPtr> objects,
                                       std::vector<Document>& keep) {
    std::vector<Json> items;
    keep.reserve(objects.size());
    items.reserve(objects.size());
    for (const auto& object : objects) {
        TRY(auto document, served_tree(resource, *object));
        keep.push_back(std::move(document));
        items.push_back(keep.back().root);
    }
    return items;
}

Json with_list_metadata(Json list, const Page& page, Arena& arena) {
    auto& metadata = list.make_object(arena, "metadata");
    metadata.set_borrowed(arena, "resourceVersion",
                          Json::string(arena, std::to_string(page.revision.value)));
    if (!page.continue_token.empty())
        metadata.set_borrowed(arena, "continue", Json::string(arena, page.continue_token));
    if (page.remaining)
        metadata.set_borrowed(arena, "remainingItemCount",
                              Json::integer(static_cast<int64_t>(*page.remaining)));
    return list;
}

api::IncludeObject included(const Call& call) {
    if (call.options.include_object == "None") return api::IncludeObject::None;
    if (call.options.include_object == "Object") return api::IncludeObject::Object;
    return api::IncludeObject::Metadata;
}

// A Table without its rows, and one of a few objects at a time: ten thousand parsed pods at once
// would be a hundred megabytes.
Result<net::Response> table_list(const Call& call, const ServedResource& resource, const Page& page,
                                 WallTime now) {
    constexpr size_t objects_at_once = 64;
    const auto version = std::to_string(page.revision.value);
    const auto meta_version = concat("meta.k8s.io/", call.accepted.meta_version);
    const auto table_of = [&](std::span<const Json> items, Arena& arena) {
        return api::make_table(*resource.kind, items, included(call), meta_version, version, now,
                               arena);
    };
    if (call.accepted.encoding != Negotiated::Encoding::Json || call.options.pretty) {
        Arena arena;
        std::vector<Document> keep;
        TRY(const auto items, served_items(resource, page.objects, keep));
        return encoded(call, 200, with_list_metadata(table_of(items, arena), page, arena), nullptr);
    }
    Arena outer;
    auto head = with_list_metadata(table_of({}, outer), page, outer);
    head.remove("rows");
    auto text = codec::to_json(head);
    text.pop_back();
    text += R"(,"rows":[)";
    bool first = true;
    for (size_t at = 0; at < page.objects.size(); at += objects_at_once) {
        Arena arena;
        std::vector<Document> keep;
        const auto some = std::span{page.objects}.subspan(
            at, std::min(objects_at_once, page.objects.size() - at));
        TRY(const auto items, served_items(resource, some, keep));
        const auto table = table_of(items, arena);
        const auto* rows = table.find("rows");
        for (const auto& row : rows ? rows->items() : std::span<const Json>{}) {
            if (!std::exchange(first, false)) text += ',';
            codec::write_json(row, text);
        }
    }
    text += "]}";
    return json_response(200, std::move(text));
}

Result<net::Response> tree_list(const Call& call, const ServedResource& resource,
                                const Page& page) {
    Arena arena;
    std::vector<Document> keep;
    TRY(const auto items, served_items(resource, page.objects, keep));
    auto list = Json::object();
    auto array = Json::array();
    const bool partial = call.accepted.form == Negotiated::Form::PartialObjectMetadata;
    list.set_borrowed(arena, "kind",
                      partial ? Json::borrowed("PartialObjectMetadataList")
                              : Json::borrowed(resource.kind->list_kind));
    list.set(arena, "apiVersion",
             Json::string(arena, partial ? concat("meta.k8s.io/", call.accepted.meta_version)
                                         : resource.api_version()));
    list.make_object(arena, "metadata");
    for (const auto& item : items)
        array.push(arena,
                   partial ? partial_metadata(item, call.accepted.meta_version, arena) : item);
    list.set_borrowed(arena, "items", array);
    list = with_list_metadata(list, page, arena);
    if (call.accepted.encoding != Negotiated::Encoding::Protobuf)
        return encoded(call, 200, list, nullptr);
    TRY(auto text, in_envelope(*resource.kind->list_message, resource.api_version(),
                               resource.kind->list_kind, list));
    auto response = json_response(200, std::move(text));
    response.headers.set("content-type", "application/vnd.kubernetes.protobuf");
    return response;
}

}   // namespace

namespace {

Result<net::Response> list_response(const Call& call, const ServedResource& resource,
                                    const Page& page, WallTime now) {
    const bool plain = call.accepted.form == Negotiated::Form::Object &&
                       call.accepted.encoding == Negotiated::Encoding::Json;
    if (plain) return object_list(resource, page);
    if (call.accepted.form == Negotiated::Form::Table) return table_list(call, resource, page, now);
    return tree_list(call, resource, page);
}

}   // namespace

void Registry::get(const CallPtr& call) {
    const auto& resource = *call->resource;
    const auto object = find(resource, call->info.name_space, call->info.name);
    if (!object) return call->fail(not_found(resource, call->info.name));
    answer_object(*call, 200, object, parts_.clock.now());
}

void Registry::list(const CallPtr& call) {
    const bool plain = call->accepted.form == Negotiated::Form::Object &&
                       call->accepted.encoding == Negotiated::Encoding::Json;
    if (plain && call->resource->kind == call->resource->stored) return answer_list(call);
    // Trees cost CPU: not on a loop.
    parts_.executor.post([this, call] { answer_list(call); });
}

void Registry::answer_list(const CallPtr& call) {
    guard(call, [&]() -> Result<> {
        const auto& resource = *call->resource;
        TRY(const auto page, read_page(*call, parts_.store, resource));
        TRY(auto response, list_response(*call, resource, page, parts_.clock.now()));
        call->answer(std::move(response));
        return {};
    });
}

void Registry::answer_made(const CallPtr& call, std::vector<store::ObjectPtr> objects) {
    guard(call, [&]() -> Result<> {
        const auto& resource = *call->resource;
        TRY(const auto selection, selection_of(*call, resource));
        const bool one = call->info.verb == "get";
        std::erase_if(objects, [&](const auto& object) { return !selection.matches(*object); });
        if (one && objects.empty()) return std::unexpected{not_found(resource, call->info.name)};
        if (one) {
            answer_object(*call, 200, objects.front(), parts_.clock.now());
            return {};
        }
        const Page page{.revision = parts_.store.revision(), .objects = std::move(objects)};
        TRY(auto response, list_response(*call, resource, page, parts_.clock.now()));
        call->answer(std::move(response));
        return {};
    });
}

}   // namespace skiff::apiserver
