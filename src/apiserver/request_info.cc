#include "apiserver/request_info.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "base/time.h"

namespace skiff::apiserver {
namespace {

std::string verb_of(const net::Request& request, bool named, bool watch) {
    const auto& method = request.method;
    if (method == "POST") return "create";
    if (method == "PUT") return "update";
    if (method == "PATCH") return "patch";
    if (method == "DELETE") return named ? "delete" : "deletecollection";
    if (method != "GET" && method != "HEAD") return lower(method);   // nothing is served by these
    if (watch) return "watch";
    return named ? "get" : "list";
}

// The path's segments, decoded; a segment that decodes to something with a slash or dots is a
// trick.
Result<std::vector<std::string>> segments_of(std::string_view path) {
    std::vector<std::string> segments;
    for (const auto raw : split(path, '/')) {
        if (raw.empty()) continue;
        auto segment = net::percent_decoded(raw);
        if (segment == "." || segment == ".." || segment.find('/') != std::string::npos ||
            segment.find('\0') != std::string::npos) {
            return fail(Reason::BadRequest,
                        concat("path segment '", raw, "' must not be '.', '..' or hold '/'"));
        }
        segments.push_back(std::move(segment));
    }
    return segments;
}

// apimachinery's conversion: only "false" and "0" are false; "?watch" is true.
bool flag(std::string_view value) { return value != "0" && !iequals(value, "false"); }

}   // namespace

Result<RequestInfo> parse_request_info(const net::Request& request) {
    RequestInfo info;
    info.path = request.path;
    while (info.path.size() > 1 && info.path.back() == '/') info.path.pop_back();
    info.verb = lower(request.method);
    const bool core = request.path.starts_with("/api/");
    if (!core && !request.path.starts_with("/apis/")) return info;

    TRY(const auto segments, segments_of(request.path));
    size_t at = core ? 1 : 2;
    if (segments.size() <= at + 1) return info;   // discovery
    info.group = core ? "" : segments[1];
    info.version = segments[at++];
    bool watch = false;
    const auto query = net::parse_query(request.query);
    const auto asked =
        std::ranges::find(query, "watch", &net::Query::value_type::first);   // the first counts
    if (asked != query.end()) watch = flag(asked->second);
    if (segments[at] == "watch" && segments.size() > at + 1) {   // the old /watch/ prefix
        watch = true;
        ++at;
    }
    if (segments[at] == "namespaces" && segments.size() > at + 2 &&
        !(info.group.empty() && (segments[at + 2] == "status" || segments[at + 2] == "finalize"))) {
        info.name_space = segments[at + 1];
        at += 2;
    } else if (segments[at] == "namespaces" && segments.size() > at + 1) {
        info.name_space = segments[at + 1];   // the namespace itself: upstream says so too
    }
    info.is_resource = true;
    info.resource = segments[at++];
    if (at < segments.size()) info.name = segments[at++];
    if (at < segments.size()) info.subresource = segments[at++];
    // Encoded anew: it becomes a request's target at a node, where a decoded line end would be one.
    for (; at < segments.size(); ++at) append(info.rest, '/', net::percent_encoded(segments[at]));
    if (!info.rest.empty() && request.path.back() == '/') info.rest += '/';
    info.verb = verb_of(request, !info.name.empty(), watch && request.method == "GET");
    if (info.verb == "watch" && !info.subresource.empty()) info.verb = "get";
    return info;
}

std::string_view RequestOptions::find(std::string_view key) const {
    for (const auto& [name, value] : query)
        if (name == key) return value;
    return {};
}

namespace {

Result<> read_number(std::string_view key, std::string_view value, int64_t& into) {
    const auto number = parse_number<int64_t>(value);
    if (!number)
        return fail(Reason::BadRequest,
                    concat("query parameter ", key, ": '", value, "' must be a number"));
    into = *number;
    return {};
}

Result<> read_field_validation(std::string_view value, RequestOptions& options) {
    if (value == "Strict")
        options.field_validation = FieldValidation::Strict;
    else if (value == "Ignore")
        options.field_validation = FieldValidation::Ignore;
    else if (value == "Warn" || value.empty())
        options.field_validation = FieldValidation::Warn;
    else
        return fail(Reason::Invalid,
                    concat("fieldValidation: Unsupported value: \"", value,
                           "\": supported values: \"Ignore\", \"Strict\", \"Warn\""));
    return {};
}

Result<> read_option(std::string_view key, const std::string& value, RequestOptions& options) {
    int64_t number = 0;
    if (key == "labelSelector")
        options.label_selector = value;
    else if (key == "fieldSelector")
        options.field_selector = value;
    else if (key == "resourceVersion")
        options.resource_version = value;
    else if (key == "resourceVersionMatch")
        options.resource_version_match = value;
    else if (key == "continue")
        options.continue_token = value;
    else if (key == "watch")
        options.watch = flag(value);
    else if (key == "allowWatchBookmarks")
        options.allow_watch_bookmarks = flag(value);
    else if (key == "sendInitialEvents")
        options.send_initial_events = flag(value);
    else if (key == "fieldManager")
        options.field_manager = value;
    else if (key == "force")
        options.force = flag(value);
    else if (key == "propagationPolicy")
        options.propagation_policy = value;
    else if (key == "orphanDependents")
        options.orphan_dependents = flag(value);
    else if (key == "pretty")
        options.pretty = flag(value);
    else if (key == "includeObject")
        options.include_object = value;
    else if (key == "fieldValidation") {
        TRY_OK(read_field_validation(value, options));
    } else if (key == "dryRun") {
        if (value != "All") {
            return fail(Reason::Invalid, concat("dryRun: Unsupported value: \"", value,
                                                "\": supported values: \"All\""));
        }
        options.dry_run = true;
    } else if (key == "limit") {
        TRY_OK(read_number(key, value, options.limit));
    } else if (key == "timeoutSeconds") {
        TRY_OK(read_number(key, value, number));
        options.timeout = std::chrono::seconds{number};
    } else if (key == "gracePeriodSeconds") {
        TRY_OK(read_number(key, value, number));
        options.grace_period_seconds = number;
    }
    return {};
}

}   // namespace

Result<RequestOptions> parse_request_options(const net::Request& request) {
    RequestOptions options;
    options.query = net::parse_query(request.query);
    for (const auto& [key, value] : options.query) TRY_OK(read_option(key, value, options));
    return options;
}

namespace {

struct MediaRange {
    std::string type;
    std::string as, group, version;
};

MediaRange parse_media_range(std::string_view text) {
    MediaRange range;
    bool first = true;
    for (const auto part : split(text, ';')) {
        const auto piece = trim(part);
        if (std::exchange(first, false)) {
            range.type = lower(piece);
            continue;
        }
        const auto [key, value] = cut(piece, '=');
        if (!value) continue;
        if (trim(key) == "as") range.as = trim(*value);
        if (trim(key) == "g") range.group = trim(*value);
        if (trim(key) == "v") range.version = trim(*value);
    }
    return range;
}

std::optional<Negotiated> offer(const MediaRange& range) {
    Negotiated chosen;
    if (range.type == "application/yaml")
        chosen.encoding = Negotiated::Encoding::Yaml;
    else if (range.type == "application/vnd.kubernetes.protobuf")
        chosen.encoding = Negotiated::Encoding::Protobuf;
    else if (range.type != "application/json" && range.type != "*/*" &&
             range.type != "application/*")
        return std::nullopt;
    if (range.as.empty()) return chosen;
    if (range.group != "meta.k8s.io") return std::nullopt;
    if (range.version != "v1" && range.version != "v1beta1") return std::nullopt;
    if (chosen.encoding == Negotiated::Encoding::Protobuf) return std::nullopt;
    chosen.meta_version = range.version;
    if (range.as == "Table")
        chosen.form = Negotiated::Form::Table;
    else if (range.as == "PartialObjectMetadata" || range.as == "PartialObjectMetadataList")
        chosen.form = Negotiated::Form::PartialObjectMetadata;
    else
        return std::nullopt;
    return chosen;
}

}   // namespace

// Order of preference is the client's; quality values are not used by Kubernetes' clients. Where
// JSON is accepted too it is taken before protobuf: the stored bytes are JSON.
Result<Negotiated> negotiate(const net::Headers& headers) {
    const auto lines = headers.all("accept");
    if (lines.empty()) return Negotiated{};
    std::optional<Negotiated> protobuf;
    for (const auto line : lines) {
        for (const auto part : split(line, ',')) {
            const auto chosen = offer(parse_media_range(part));
            if (!chosen) continue;
            if (chosen->encoding != Negotiated::Encoding::Protobuf) return *chosen;
            protobuf = chosen;
        }
    }
    if (protobuf) return *protobuf;
    return fail(Reason::NotAcceptable,
                "only the following media types are accepted: application/json, application/yaml, "
                "application/vnd.kubernetes.protobuf");
}

}   // namespace skiff::apiserver
