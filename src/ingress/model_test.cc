// What is served of a given world, and how it stands in nginx.conf.
#include <gtest/gtest.h>

#include "base/text.h"
#include "codec/yaml.h"
#include "ingress/nginx_conf.h"

namespace skiff::ingress {
namespace {

Model model_of(const Observed& observed, const ModelOptions& options) {
    TriedPairs pairs;
    return ingress::model_of(observed, options, pairs);
}

template <class V>
std::shared_ptr<const V> view_of(std::string_view yaml) {
    const auto document = codec::parse_yaml(yaml);
    if (!document) {
        ADD_FAILURE() << document.error().message << "\n" << yaml;
        return std::make_shared<V>();
    }
    auto decoded = api::decode<V>(codec::to_json(document->root));
    if (decoded) return std::make_shared<V>(std::move(*decoded));
    ADD_FAILURE() << decoded.error().message << "\n" << yaml;
    return std::make_shared<V>();
}

std::shared_ptr<const view::Ingress> ingress_of(std::string_view name, std::string_view more,
                                                std::string_view annotations = "{}") {
    static int count = 0;   // each younger than the one before
    const int second = 10 + count++ % 50;
    return view_of<view::Ingress>(concat("metadata: {name: ", name, ", namespace: d, uid: u-", name,
                                         ", creationTimestamp: '2026-01-01T00:00:", second,
                                         "Z', annotations: ", annotations, "}\nspec: ", more));
}

// The services web (of two pods) and empty (of none).
Observed world(std::vector<std::shared_ptr<const view::Ingress>> ingresses) {
    Observed seen{.ingresses = std::move(ingresses)};
    seen.classes = {view_of<view::IngressClass>(
        "metadata: {name: nginx, annotations: {ingressclass.kubernetes.io/is-default-class: "
        "'true'}}\nspec: {controller: k8s.io/ingress-nginx}")};
    for (const std::string_view name : {"web", "empty"})
        seen.services.push_back(view_of<view::Service>(
            concat("metadata: {name: ", name,
                   ", namespace: d}\nspec: {ports: [{name: http, port: 80, protocol: TCP}]}")));
    seen.slices = {view_of<view::EndpointSlice>(
        "metadata: {name: web-1, namespace: d, labels: {kubernetes.io/service-name: web}}\n"
        "addressType: IPv4\n"
        "endpoints: [{addresses: [10.0.0.2]}, {addresses: [10.0.0.1], conditions: {ready: true}},\n"
        "            {addresses: [10.0.0.3], conditions: {ready: false}}]\n"
        "ports: [{name: http, port: 8080, protocol: TCP}]")};
    return seen;
}

constexpr std::string_view web =
    "{rules: [{host: a.b, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: "
    "web, port: {number: 80}}}}]}}]}";

std::string problems_of(const Model& model) {
    std::string text;
    for (const auto& [ingress, problem] : model.problems)
        append(text, text.empty() ? "" : "\n", ingress->metadata.name, " ", problem.reason, ": ",
               problem.message);
    return text;
}

std::string conf_of(const Model& model) {
    return nginx_conf(model, {.folder = "/f",
                              .error_log = "/l",
                              .access_log = {},
                              .user = {},
                              .http_port = 80,
                              .https_port = 443})
        .text;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

TEST(IngressModel, whose_ingress_it_is) {
    struct Row {
        const char* why;
        const char* annotations;
        const char* class_name;
        size_t served;
    };
    const Row rows[] = {
        {"no class: the default one is ours", "{}", "", 1},
        {"ours by name", "{}", "ingressClassName: nginx, ", 1},
        {"somebody else's", "{}", "ingressClassName: other, ", 0},
        {"as it was said of old", "{kubernetes.io/ingress.class: nginx}", "", 1},
        {"the annotation goes before", "{kubernetes.io/ingress.class: gce}",
         "ingressClassName: nginx, ", 0},
    };
    for (const Row& row : rows) {
        const auto ingress = ingress_of(
            "x", concat("{", row.class_name, std::string_view{web}.substr(1)), row.annotations);
        EXPECT_EQ(model_of(world({ingress}), {}).served.size(), row.served) << row.why;
    }
}

TEST(IngressModel, ready_endpoints_by_the_ports_name) {
    const auto model = model_of(world({ingress_of("x", web)}), {});
    ASSERT_EQ(model.upstreams.size(), 1u);
    EXPECT_EQ(endpoints_text(model.upstreams), "d_web_80 10.0.0.1:8080 10.0.0.2:8080\n");
    EXPECT_EQ(problems_of(model), "");
}

TEST(IngressModel, ending_endpoints_serve_while_no_other_does) {
    auto seen = world({ingress_of("x", web)});
    seen.slices = {view_of<view::EndpointSlice>(
        "metadata: {namespace: d, labels: {kubernetes.io/service-name: web}}\n"
        "endpoints: [{addresses: [10.0.0.9], conditions: {ready: false, serving: true, "
        "terminating: true}}]\nports: [{name: http, port: 8080}]")};
    EXPECT_EQ(endpoints_text(model_of(seen, {}).upstreams), "d_web_80 10.0.0.9:8080\n");
}

TEST(IngressModel, pods_that_get_requests_and_do_not_end) {
    auto seen = world({ingress_of("x", web)});
    seen.slices = {view_of<view::EndpointSlice>(
        "metadata: {namespace: d, labels: {kubernetes.io/service-name: web}}\n"
        "endpoints:\n"
        "- {addresses: [10.0.0.1], targetRef: {kind: Pod, uid: a}}\n"
        "- {addresses: [10.0.0.2], targetRef: {kind: Pod, uid: b},\n"
        "   conditions: {ready: false, serving: true, terminating: true}}\n"
        "- {addresses: [10.0.0.3], targetRef: {kind: Pod, uid: c}, conditions: {ready: false}}\n"
        "ports: [{name: http, port: 8080}]")};
    const auto model = model_of(seen, {});
    const client::ObjectKey key{.name_space = "d", .name = "web"};
    EXPECT_EQ(model.pods.at(key), (PodServers{{"a", {"10.0.0.1:8080"}}}));
    // The same of the service alone, when only its slices have changed.
    const auto alone = endpoints_of({seen.slices[0].get()}, model.services.at(key));
    EXPECT_EQ(alone.pods, model.pods.at(key));
    EXPECT_EQ(alone.upstreams, model.upstreams);
}

TEST(IngressModel, what_cannot_be_served_is_told_of_its_ingress) {
    struct Row {
        const char* why;
        const char* spec;
        const char* annotations;
        const char* problems;
    };
    const Row rows[] = {
        {"no service", "{defaultBackend: {service: {name: nobody, port: {number: 80}}}}", "{}",
         "x BackendNotFound: there is no service d/nobody"},
        {"no such port", "{defaultBackend: {service: {name: web, port: {name: x}}}}", "{}",
         "x BackendNotFound: the service d/web has no port x"},
        {"no endpoint is no problem of the ingress",
         "{defaultBackend: {service: {name: empty, port: {number: 80}}}}", "{}", ""},
        {"no secret",
         "{tls: [{hosts: [a.b], secretName: s}], defaultBackend: {service: {name: web, port: "
         "{number: 80}}}}",
         "{}",
         "x CertificateNotUsable: the secret d/s of type kubernetes.io/tls does not exist; its "
         "hosts have the controller's own certificate"},
        {"another sort of backend", "{defaultBackend: {resource: {kind: K, name: thing}}}", "{}",
         "x UnsupportedBackend: only services can be backends"},
        {"a value out of form", "{defaultBackend: {service: {name: web, port: {number: 80}}}}",
         "{nginx.ingress.kubernetes.io/proxy-body-size: '8m; evil'}",
         "x InvalidAnnotation: the annotation proxy-body-size is left out: it must be a number, "
         "with k, m or g at most"},
        {"a piece of configuration", "{defaultBackend: {service: {name: web, port: {number: 80}}}}",
         "{nginx.ingress.kubernetes.io/server-snippet: 'return 200;'}",
         "x UnsupportedAnnotation: the annotation server-snippet is left out: pieces of nginx "
         "configuration are never taken"},
    };
    for (const Row& row : rows)
        EXPECT_EQ(problems_of(model_of(world({ingress_of("x", row.spec, row.annotations)}), {})),
                  row.problems)
            << row.why;
}

TEST(IngressModel, the_oldest_has_the_path) {
    const auto model = model_of(world({ingress_of("old", web), ingress_of("young", web)}), {});
    EXPECT_EQ(problems_of(model), "young Conflict: the path / of a.b belongs to the ingress d/old");
    const auto server = std::ranges::find(model.servers, "a.b", &Server::host);
    ASSERT_NE(server, model.servers.end());
    EXPECT_EQ(server->locations.size(), 1u);
}

TEST(IngressConf, paths_by_elements) {
    const auto text = conf_of(model_of(
        world({ingress_of("x",
                          "{rules: [{host: '*.k8s', http: {paths: [{path: /a/, pathType: "
                          "Prefix, backend: {service: {name: web, port: {number: 80}}}}, "
                          "{path: /a, pathType: Exact, backend: {service: {name: empty, port: "
                          "{number: 80}}}}]}}]}")}),
        {}));
    EXPECT_TRUE(has(text, "server_name \"~^[^.]+\\\\.k8s$\";")) << text;
    EXPECT_TRUE(has(text, "location \"/a/\" {"));
    EXPECT_TRUE(has(text, "location = \"/a\" {\n            client_max_body_size 1m;")) << text;
    EXPECT_TRUE(has(text, "proxy_pass http://d_empty_80;"))
        << "the exact path goes before the prefix";
}

TEST(IngressConf, what_protects_and_is_not_supported_closes) {
    for (const auto* annotation :
         {"nginx.ingress.kubernetes.io/auth-url: 'http://x'",
          "ingress.kubernetes.io/auth-type: basic",
          "ingress.kubernetes.io/whitelist-source-range: '1.2.3.4, all'"}) {
        const auto text =
            conf_of(model_of(world({ingress_of("x", web, concat("{", annotation, "}"))}), {}));
        EXPECT_FALSE(has(text, "proxy_pass")) << annotation;
    }
}

// Whatever stands in an annotation: at the most what was meant for it changes.
TEST(IngressConf, no_value_leaves_its_place) {
    const std::string_view names[] = {"affinity",
                                      "session-cookie-name",
                                      "session-cookie-path",
                                      "rewrite-target",
                                      "session-cookie-domain",
                                      "permanent-redirect",
                                      "temporal-redirect",
                                      "app-root",
                                      "proxy-body-size",
                                      "proxy-read-timeout",
                                      "backend-protocol",
                                      "upstream-vhost",
                                      "upstream-hash-by",
                                      "whitelist-source-range",
                                      "cors-allow-origin",
                                      "proxy-buffering"};
    const std::string_view values[] = {"a\"; evil; \"", "/a\"; evil; \"", "https://a\"; evil; \"",
                                       "a; evil",       "/$evil{}",       "1\nevil;",
                                       "a b evil",      "evil\\",         "\\\"; evil #"};
    for (const auto name : names) {
        for (const auto value : values) {
            std::string quoted;
            codec::write_json_string(value, quoted);
            for (const std::string_view prefix :
                 {"nginx.ingress.kubernetes.io/", "ingress.kubernetes.io/"}) {
                const auto annotations =
                    concat("{nginx.ingress.kubernetes.io/enable-cors: 'true', \"", prefix, name,
                           "\": ", quoted, "}");
                const auto text = conf_of(model_of(world({ingress_of("x", web, annotations)}), {}));
                EXPECT_FALSE(has(text, "evil")) << name << " " << value;
            }
        }
    }
}

TEST(IngressConf, a_cookie_is_named_to_the_balancer) {
    const auto text =
        conf_of(model_of(world({ingress_of("x", web,
                                           "{ingress.kubernetes.io/affinity: cookie, "
                                           "ingress.kubernetes.io/session-cookie-name: route, "
                                           "ingress.kubernetes.io/session-cookie-hash: sha1}")}),
                         {}));
    EXPECT_TRUE(has(text, "set $sticky_name \"route\";")) << text;
    EXPECT_TRUE(has(text, "add_header Set-Cookie $sticky always;"));
    EXPECT_FALSE(has(text, "10.0.0.1")) << "endpoints are no part of the configuration";
}

TEST(IngressConf, lines_know_whose_they_are) {
    const auto conf = nginx_conf(model_of(world({ingress_of("x", web)}), {}),
                                 {.folder = "/f", .error_log = "/l", .access_log = {}, .user = {}});
    size_t line = 0, found = 0;
    for (const auto text : split(conf.text, '\n')) {
        ++line;
        if (!has(std::string{text}, "proxy_pass")) continue;
        EXPECT_EQ(conf.owner_of(line).name, "x");
        ++found;
    }
    EXPECT_EQ(found, 1u);
    EXPECT_EQ(conf.owner_of(3).name, "");
}

}   // namespace
}   // namespace skiff::ingress
