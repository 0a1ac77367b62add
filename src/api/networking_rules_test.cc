// Ingresses, policies, slices, roles: what is wrong with them, in upstream's words, and what their
// older versions say.
#include "api/kind_rules.h"
#include "api/rules_testing.h"

namespace skiff::api {
namespace {

using testing::object_from;
using testing::problems_of;

struct Row {
    const char* why;
    const char* object;
    const char* old;   // "": created
    const char* problems;
};

void check(std::string_view group, std::string_view kind, std::span<const Row> rows) {
    const Kind& of = *builtin_kind(group, "v1", kind);
    for (const Row& row : rows) {
        const std::string metadata = "metadata: {name: x, namespace: d, resourceVersion: '1'}\n";
        const std::string front =
            of.scope == Scope::Cluster ? "metadata: {name: x, resourceVersion: '1'}\n" : metadata;
        const std::string old = *row.old ? front + row.old : "";
        EXPECT_EQ(problems_of(of, front + row.object, old), row.problems) << row.why;
    }
}

TEST(NetworkingRules, ingresses) {
    const Row rows[] = {
        {"well",
         "spec: {rules: [{host: '*.k8s', http: {paths: [{path: /, pathType: Prefix, backend: "
         "{service: {name: s, port: {number: 80}}}}]}}]}",
         "", ""},
        {"nothing", "spec: {}", "",
         "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"},
        {"an address", "spec: {rules: [{host: 1.2.3.4}]}", "",
         "spec.rules[0].host: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address"},
        {"no path type", "spec: {rules: [{http: {paths: [{path: /}]}}]}", "",
         "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"},
        {"a path",
         "spec: {rules: [{http: {paths: [{path: a//b, pathType: Exact, backend: {service: {name: "
         "s, port: {name: web}}}}]}}]}",
         "",
         "spec.rules[0].http.paths[0].path: Invalid value: \"a//b\": must be an absolute path\n"
         "spec.rules[0].http.paths[0].path: Invalid value: \"a//b\": must not contain '//'"},
        {"two backends",
         "spec: {defaultBackend: {service: {name: s, port: {number: 1}}, resource: {kind: a, name: "
         "b}}}",
         "",
         "spec.defaultBackend: Invalid value: \"\": cannot set both resource and service backends"},
        {"no port", "spec: {defaultBackend: {service: {name: s}}}", "",
         "spec.defaultBackend: Required value: port name or number is required"},
        {"no backend", "spec: {defaultBackend: {}}", "",
         "spec.defaultBackend: Invalid value: \"\": resource or service backend is required"},
    };
    check("networking.k8s.io", "Ingress", rows);
}

TEST(NetworkingRules, network_policies) {
    const Row rows[] = {
        {"well",
         "spec: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}]}", "",
         ""},
        {"not within",
         "spec: {egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/9]}}]}]}", "",
         "spec.egress[0].to[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/9\": must be a strict "
         "subset of `cidr`"},
        {"a peer is missing", "spec: {ingress: [{from: [{}]}]}", "",
         "spec.ingress[0].from[0]: Required value: must specify a peer"},
        {"two sorts", "spec: {ingress: [{from: [{podSelector: {}, ipBlock: {cidr: 1.0.0.0/8}}]}]}",
         "", "spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer"},
        {"ports",
         "spec: {ingress: [{ports: [{port: 9, endPort: 8}, {port: web, endPort: 8}, {endPort: "
         "8}]}]}",
         "",
         "spec.ingress[0].ports[0].endPort: Invalid value: 8: must be greater than or equal to "
         "`port`\n"
         "spec.ingress[0].ports[1].endPort: Invalid value: 8: may not be specified when `port` is "
         "non-numeric\n"
         "spec.ingress[0].ports[2].endPort: Invalid value: 8: may not be specified when `port` is "
         "not specified"},
        {"types", "spec: {policyTypes: [ingress]}", "",
         "spec.policyTypes[0]: Unsupported value: \"ingress\": supported values: \"Ingress\", "
         "\"Egress\""},
    };
    check("networking.k8s.io", "NetworkPolicy", rows);
    const Kind& kind = *builtin_kind("networking.k8s.io", "v1", "NetworkPolicy");
    const auto types = [&](std::string_view yaml) {
        return codec::to_json(*object_from(kind, yaml).root.at_path({"spec", "policyTypes"}));
    };
    EXPECT_EQ(types("spec: {}"), R"(["Ingress"])");
    EXPECT_EQ(types("spec: {egress: [{}]}"), R"(["Ingress","Egress"])");
}

TEST(NetworkingRules, endpoint_slices) {
    const Row rows[] = {
        {"well", "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}]\nports: [{port: 80}]", "",
         ""},
        {"the sort stays", "addressType: IPv4\nendpoints: []", "addressType: IPv6\nendpoints: []",
         "addressType: Invalid value: \"IPv4\": field is immutable"},
        {"addresses",
         "addressType: IPv4\nendpoints: [{}, {addresses: ['::1']}, {addresses: [127.0.0.1]}]", "",
         "endpoints[0].addresses: Required value: must contain at least 1 address\n"
         "endpoints[1].addresses[0]: Invalid value: \"::1\": must be a valid IPv4 address\n"
         "endpoints[2].addresses[0]: Invalid value: \"127.0.0.1\": may not be in the loopback "
         "range "
         "(127.0.0.0/8, ::1/128)"},
        {"ports", "addressType: IPv4\nendpoints: []\nports: [{port: 1}, {port: 2}]", "",
         "ports[1].name: Duplicate value: \"\""},
    };
    check("discovery.k8s.io", "EndpointSlice", rows);
}

TEST(NetworkingRules, roles_and_bindings) {
    const Row roles[] = {
        {"well", "rules: [{verbs: [get], apiGroups: [''], resources: [pods]}]", "", ""},
        {"empty", "rules: [{}]", "",
         "rules[0].verbs: Required value: verbs must contain at least one value\n"
         "rules[0].apiGroups: Required value: resource rules must supply at least one api group\n"
         "rules[0].resources: Required value: resource rules must supply at least one resource"},
        {"urls", "rules: [{verbs: [get], nonResourceURLs: [/a]}]", "",
         "rules[0].nonResourceURLs: Invalid value: [\"/a\"]: namespaced rules cannot apply to "
         "non-resource URLs"},
    };
    check("rbac.authorization.k8s.io", "Role", roles);
    const Row bindings[] = {
        {"well", "roleRef: {kind: ClusterRole, name: a}\nsubjects: [{kind: User, name: u}]", "",
         ""},
        {"the role stays", "roleRef: {kind: Role, name: a}", "roleRef: {kind: Role, name: b}",
         "roleRef: Invalid value: {\"kind\":\"Role\",\"name\":\"a\",\"apiGroup\":"
         "\"rbac.authorization.k8s.io\"}: cannot change roleRef"},
        {"subjects", "roleRef: {kind: Role, name: a}\nsubjects: [{kind: Robot, name: r}]", "",
         "subjects[0].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", "
         "\"User\", \"Group\""},
    };
    check("rbac.authorization.k8s.io", "RoleBinding", bindings);
}

TEST(NetworkingRules, the_ingress_of_2017_is_the_one_of_today) {
    const Kind& old = *builtin_kind("extensions", "v1beta1", "Ingress");
    auto document = object_from(old, R"(
metadata: {name: x, namespace: d}
spec:
  backend: {serviceName: other, servicePort: 80}
  rules: [{host: '*.k8s', http: {paths: [{path: /, backend: {serviceName: app, servicePort: web}}]}}]
)");
    ASSERT_TRUE(to_stored(old, document.root, nullptr, document.arena));
    EXPECT_EQ(codec::to_json(*document.root.find("spec")),
              R"({"rules":[{"host":"*.k8s","http":{"paths":[{"path":"/","backend":{"service":)"
              R"({"name":"app","port":{"name":"web"}}},"pathType":"ImplementationSpecific"}]}}],)"
              R"("defaultBackend":{"service":{"name":"other","port":{"number":80}}}})");
    ASSERT_TRUE(from_stored(old, document.root, document.arena));
    EXPECT_EQ(document.root.text_at({"spec", "backend", "serviceName"}), "other");
}

TEST(NetworkingRules, topology_became_zone_and_node) {
    const Kind& old = *builtin_kind("discovery.k8s.io", "v1beta1", "EndpointSlice");
    auto document = object_from(old, R"(
addressType: IPv4
endpoints: [{addresses: [1.2.3.4], topology: {topology.kubernetes.io/zone: z,
             kubernetes.io/hostname: node, a: b}}])");
    ASSERT_TRUE(to_stored(old, document.root, nullptr, document.arena));
    const Json endpoint = document.root.find("endpoints")->items()[0];
    EXPECT_EQ(endpoint.text_at({"zone"}), "z");
    EXPECT_EQ(endpoint.text_at({"nodeName"}), "node");
    EXPECT_EQ(codec::to_json(*endpoint.find("deprecatedTopology")), R"({"a":"b"})");
}

}   // namespace
}   // namespace skiff::api
