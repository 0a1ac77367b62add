#include "apiserver/request_info.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace skiff::apiserver {
namespace {

std::string told(std::string_view method, std::string_view target) {
    const auto [path, query] = cut(target, '?');
    const auto info = parse_request_info({.method = std::string{method},
                                          .path = std::string{path},
                                          .query = std::string{query.value_or("")}});
    if (!info) return "error";
    if (!info->is_resource) return concat(info->verb, " path ", info->path);
    return concat(info->verb, " g=", info->group, " v=", info->version, " ns=", info->name_space,
                  " r=", info->resource, " n=", info->name,
                  info->subresource.empty() ? "" : concat(" s=", info->subresource),
                  info->rest.empty() ? "" : concat(" rest=", info->rest));
}

TEST(RequestInfo, every_form_of_path_is_understood) {
    struct Case {
        std::string_view method, target, want;
    };
    const Case cases[] = {
        {"GET", "/", "get path /"},
        {"GET", "/healthz", "get path /healthz"},
        {"GET", "/api", "get path /api"},
        {"GET", "/api/v1", "get path /api/v1"},
        {"GET", "/api/v1/", "get path /api/v1"},
        {"GET", "/apis/apps/v1", "get path /apis/apps/v1"},
        {"GET", "/api/v1/pods", "list g= v=v1 ns= r=pods n="},
        {"GET", "/api/v1/pods/", "list g= v=v1 ns= r=pods n="},
        {"GET", "/api/v1/pods?watch=1", "watch g= v=v1 ns= r=pods n="},
        {"GET", "/api/v1/pods?watch=true", "watch g= v=v1 ns= r=pods n="},
        {"GET", "/api/v1/pods?watch", "watch g= v=v1 ns= r=pods n="},
        {"GET", "/api/v1/pods?watch=false", "list g= v=v1 ns= r=pods n="},
        {"GET", "/api/v1/pods?watch=0", "list g= v=v1 ns= r=pods n="},
        {"GET", "/api/v1/pods?watch=FALSE", "list g= v=v1 ns= r=pods n="},
        {"GET", "/api/v1/pods?watch=yes", "watch g= v=v1 ns= r=pods n="},
        {"GET", "/api/v1/pods?watch=1&watch=0", "watch g= v=v1 ns= r=pods n="},
        {"POST", "/api/v1/pods?watch=1", "create g= v=v1 ns= r=pods n="},
        {"HEAD", "/api/v1/pods?watch=1", "list g= v=v1 ns= r=pods n="},
        {"GET", "/api/v1/watch/pods", "watch g= v=v1 ns= r=pods n="},
        {"GET", "/api/v1/watch/namespaces/a/pods/b", "watch g= v=v1 ns=a r=pods n=b"},
        {"GET", "/api/v1/namespaces", "list g= v=v1 ns= r=namespaces n="},
        {"GET", "/api/v1/namespaces/a", "get g= v=v1 ns=a r=namespaces n=a"},
        {"PUT", "/api/v1/namespaces/a/finalize", "update g= v=v1 ns=a r=namespaces n=a s=finalize"},
        {"PATCH", "/api/v1/namespaces/a/status", "patch g= v=v1 ns=a r=namespaces n=a s=status"},
        {"GET", "/api/v1/namespaces/a/pods", "list g= v=v1 ns=a r=pods n="},
        {"DELETE", "/api/v1/namespaces/a/pods", "deletecollection g= v=v1 ns=a r=pods n="},
        {"GET", "/api/v1/namespaces/a/pods/b", "get g= v=v1 ns=a r=pods n=b"},
        {"DELETE", "/api/v1/namespaces/a/pods/b/", "delete g= v=v1 ns=a r=pods n=b"},
        {"POST", "/api/v1/namespaces/a/pods/b/binding", "create g= v=v1 ns=a r=pods n=b s=binding"},
        {"GET", "/api/v1/namespaces/a/pods/b:80/proxy/x/y",
         "get g= v=v1 ns=a r=pods n=b:80 s=proxy rest=/x/y"},
        {"GET", "/api/v1/namespaces/a/pods/b/proxy/x/",
         "get g= v=v1 ns=a r=pods n=b s=proxy rest=/x/"},
        {"GET", "/api/v1/nodes/b/proxy/x%0d%0aHost:y/z%3Fq%20r",
         "get g= v=v1 ns= r=nodes n=b s=proxy rest=/x%0D%0AHost%3Ay/z%3Fq%20r"},
        {"GET", "/apis/apps/v1/namespaces/a/deployments/b/scale",
         "get g=apps v=v1 ns=a r=deployments n=b s=scale"},
        {"GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
         "get g=rbac.authorization.k8s.io v=v1 ns= r=clusterroles n=system:node"},
        {"HEAD", "/api/v1/nodes/a", "get g= v=v1 ns= r=nodes n=a"},
        {"OPTIONS", "/api/v1/nodes", "options g= v=v1 ns= r=nodes n="},
        {"FROB", "/api/v1/nodes/a", "frob g= v=v1 ns= r=nodes n=a"},
    };
    for (const auto& c : cases)
        EXPECT_EQ(told(c.method, c.target), c.want) << c.method << ' ' << c.target;
}

TEST(RequestInfo, tricks_with_escapes_and_dots_are_refused_and_never_resolved) {
    for (const std::string_view path :
         {"/api/v1/namespaces/a/pods/b%2fc", "/api/v1/namespaces/a/pods/%2e%2e",
          "/api/v1/namespaces/../pods", "/api/v1/namespaces/a/pods/.",
          "/api/v1/namespaces/a/pods/b%00", "/api/v1/namespaces/a%2Fb/pods"})
        EXPECT_EQ(told("GET", path), "error") << path;
    // What only looks like the API is a plain path, as it stands.
    EXPECT_EQ(told("GET", "/healthz/../api/v1/pods"), "get path /healthz/../api/v1/pods");
    EXPECT_EQ(told("GET", "/%61pi/v1/pods"), "get path /%61pi/v1/pods");
    EXPECT_EQ(told("GET", "//api/v1/pods"), "get path //api/v1/pods");
    EXPECT_EQ(told("GET", "/api//v1//pods"), "list g= v=v1 ns= r=pods n=");
}

Result<RequestOptions> options_of(std::string query) {
    return parse_request_options(
        {.method = "GET", .path = "/api/v1/pods", .query = std::move(query)});
}

TEST(RequestOptions, what_kubectl_and_client_go_send_is_read) {
    const auto options = options_of(
        "labelSelector=app%3Dweb%2Ctier%20in%20(a)&fieldSelector=metadata.name%3Dx&limit=500&"
        "continue=abc&"
        "resourceVersion=0&resourceVersionMatch=NotOlderThan&timeoutSeconds=9&allowWatchBookmarks="
        "true&"
        "sendInitialEvents=true&fieldManager=kubectl-create&fieldValidation=Strict&dryRun=All&"
        "force=true&"
        "gracePeriodSeconds=0&propagationPolicy=Background&pretty=true&includeObject=Object&frob="
        "1");
    ASSERT_TRUE(options);
    EXPECT_EQ(options->label_selector, "app=web,tier in (a)");
    EXPECT_EQ(options->field_selector, "metadata.name=x");
    EXPECT_EQ(options->limit, 500);
    EXPECT_EQ(options->continue_token, "abc");
    EXPECT_EQ(options->resource_version, "0");
    EXPECT_EQ(options->resource_version_match, "NotOlderThan");
    EXPECT_EQ(options->timeout, std::chrono::seconds{9});
    EXPECT_TRUE(options->allow_watch_bookmarks && options->send_initial_events.value_or(false) &&
                options->dry_run && options->force && options->pretty);
    EXPECT_EQ(options->field_manager, "kubectl-create");
    EXPECT_EQ(options->field_validation, FieldValidation::Strict);
    EXPECT_EQ(options->grace_period_seconds, 0);
    EXPECT_EQ(options->find("frob"), "1");
}

TEST(RequestOptions, wrong_values_are_told_and_not_ignored) {
    struct Case {
        std::string query;
        Reason reason;
    };
    const Case cases[] = {{"limit=x", Reason::BadRequest},
                          {"timeoutSeconds=1s", Reason::BadRequest},
                          {"gracePeriodSeconds=", Reason::BadRequest},
                          {"dryRun=Some", Reason::Invalid},
                          {"fieldValidation=strict", Reason::Invalid}};
    for (const auto& c : cases) {
        const auto options = options_of(c.query);
        ASSERT_FALSE(options) << c.query;
        EXPECT_EQ(options.error().reason, c.reason) << c.query;
    }
}

std::string negotiated(std::vector<std::string> lines) {
    net::Headers headers;
    for (const auto& line : lines) headers.add("accept", line);
    const auto found = negotiate(headers);
    if (!found) return std::to_string(http_status(found.error().reason));
    constexpr std::string_view forms[] = {"object", "table", "partial"};
    constexpr std::string_view encodings[] = {"json", "yaml", "protobuf"};
    return concat(forms[static_cast<size_t>(found->form)], ' ',
                  encodings[static_cast<size_t>(found->encoding)], ' ', found->meta_version);
}

TEST(Negotiation, what_real_clients_accept_is_answered_in_the_form_they_read) {
    const std::string table =
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/"
        "json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
    EXPECT_EQ(negotiated({}), "object json v1");
    EXPECT_EQ(negotiated({"*/*"}), "object json v1");
    EXPECT_EQ(negotiated({table}), "table json v1");
    EXPECT_EQ(negotiated({"application/json;as=Table;v=v1beta1;g=meta.k8s.io, application/json"}),
              "table json v1beta1");
    EXPECT_EQ(negotiated({"application/json;as=Table;v=v9;g=meta.k8s.io, application/json"}),
              "object json v1");
    EXPECT_EQ(negotiated({"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}),
              "partial json v1");
    EXPECT_EQ(negotiated({"application/vnd.kubernetes.protobuf,application/json"}),
              "object json v1");
    EXPECT_EQ(negotiated({"application/vnd.kubernetes.protobuf"}), "object protobuf v1");
    EXPECT_EQ(negotiated({"application/yaml"}), "object yaml v1");
    EXPECT_EQ(negotiated({"text/html", "application/json"}), "object json v1");
    EXPECT_EQ(negotiated({"text/html"}), "406");
    EXPECT_EQ(negotiated({"application/json;as=Table;v=v1;g=else"}), "406");
}

}   // namespace
}   // namespace skiff::apiserver
