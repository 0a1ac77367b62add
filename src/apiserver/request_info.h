// What a request asks, read off its method, path and query: the words that authorization, audit
// and the registry share (apiserver RequestInfo).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "net/http.h"

namespace skiff::apiserver {

struct RequestInfo {
    bool is_resource = false;
    std::string path;   // decoded, without a trailing slash but for "/"
    std::string verb;   // get list watch create update patch delete deletecollection; for
                        // non-resources the method in lower case
    std::string group;
    std::string version;
    std::string resource;   // plural
    std::string subresource;
    std::string name_space;
    std::string name;
    std::string rest;   // after the subresource: proxy paths, percent-encoded, "/"-led or ""
};

// BadRequest for escapes that hide '/' or '..' in names and other tricks.
Result<RequestInfo> parse_request_info(const net::Request& request);

enum class FieldValidation : uint8_t { Ignore, Warn, Strict };

// The query options of all verbs; what a verb does not know is ignored, as upstream.
struct RequestOptions {
    std::string label_selector;
    std::string field_selector;
    std::optional<std::string> resource_version;
    std::string resource_version_match;
    int64_t limit = 0;
    std::string continue_token;
    bool watch = false;
    bool allow_watch_bookmarks = false;
    std::optional<bool> send_initial_events;
    std::optional<std::chrono::seconds> timeout;
    bool dry_run = false;
    std::string field_manager;
    FieldValidation field_validation = FieldValidation::Warn;
    bool force = false;
    std::optional<int64_t> grace_period_seconds;
    std::string propagation_policy;
    bool orphan_dependents = false;
    bool pretty = false;
    std::string include_object;   // Table: "", None, Metadata, Object
    net::Query query;

    std::string_view find(std::string_view key) const;
};
Result<RequestOptions> parse_request_options(const net::Request& request);

// What the client wants to be answered in, from the Accept header.
struct Negotiated {
    enum class Form : uint8_t { Object, Table, PartialObjectMetadata } form = Form::Object;
    enum class Encoding : uint8_t { Json, Yaml, Protobuf } encoding = Encoding::Json;
    std::string meta_version = "v1";   // of meta.k8s.io, for Table and PartialObjectMetadata
};
// NotAcceptable when nothing that is offered is accepted.
Result<Negotiated> negotiate(const net::Headers& headers);

}   // namespace skiff::apiserver
