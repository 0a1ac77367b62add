#include "api/kind_rules.h"

#include "api/rules_testing.h"

namespace skiff::api {
namespace {

using testing::object_from;
using testing::problems_of;

const Kind& kind_of(std::string_view group, std::string_view kind) {
    return *builtin_kind(group, "v1", kind);
}

struct Row {
    const char* why;
    const char* object;
    const char* old;   // "": created
    const char* problems;
};

void check(const Kind& kind, std::span<const Row> rows) {
    for (const Row& row : rows)
        EXPECT_EQ(problems_of(kind, row.object, row.old), row.problems) << row.why;
}

constexpr auto config_key =
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', "
    " "
    "or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

TEST(KindRules, config_maps) {
    const std::string bad_key = concat("data[a b]: Invalid value: \"a b\": ", config_key);
    const Row rows[] = {
        {"well", "metadata: {name: m, namespace: d}\ndata: {a.b: x}", "", ""},
        {"a key", "metadata: {name: m, namespace: d}\ndata: {a b: x}", "", bad_key.c_str()},
        {"a key twice", "metadata: {name: m, namespace: d}\ndata: {a: x}\nbinaryData: {a: AA==}",
         "", "data[a]: Invalid value: \"a\": duplicate of key present in binaryData"},
        {"immutable", "metadata: {name: m, namespace: d}\nimmutable: true\ndata: {a: w}",
         "metadata: {name: m, namespace: d}\nimmutable: true\ndata: {a: x}",
         "data: Forbidden: field is immutable when `immutable` is set"},
        {"immutable for ever", "metadata: {name: m, namespace: d}\ndata: {a: x}",
         "metadata: {name: m, namespace: d}\nimmutable: true\ndata: {a: x}",
         "immutable: Forbidden: field is immutable when `immutable` is set"},
        {"becomes immutable", "metadata: {name: m, namespace: d}\nimmutable: true\ndata: {a: w}",
         "metadata: {name: m, namespace: d}\ndata: {a: x}", ""},
    };
    check(kind_of("", "ConfigMap"), rows);
    const std::string large =
        concat("metadata: {name: m, namespace: d}\ndata: {a: ", std::string(1048577, 'x'), "}");
    EXPECT_EQ(problems_of(kind_of("", "ConfigMap"), large),
              "[]: Too long: may not be more than 1048576 bytes");
}

TEST(KindRules, secrets) {
    const Row rows[] = {
        {"well", "metadata: {name: s, namespace: d}\nstringData: {a: x}", "", ""},
        {"tls", "metadata: {name: s, namespace: d}\ntype: kubernetes.io/tls", "",
         "data[tls.crt]: Required value\ndata[tls.key]: Required value"},
        {"docker", "metadata: {name: s, namespace: d}\ntype: kubernetes.io/dockerconfigjson", "",
         "data[.dockerconfigjson]: Required value"},
        {"ssh", "metadata: {name: s, namespace: d}\ntype: kubernetes.io/ssh-auth", "",
         "data[ssh-privatekey]: Required value"},
        {"account", "metadata: {name: s, namespace: d}\ntype: kubernetes.io/service-account-token",
         "", "metadata.annotations[kubernetes.io/service-account.name]: Required value"},
        {"the type stays", "metadata: {name: s, namespace: d}\ntype: a/b",
         "metadata: {name: s, namespace: d}", "type: Invalid value: \"a/b\": field is immutable"},
    };
    check(kind_of("", "Secret"), rows);
}

TEST(KindRules, a_secrets_texts_become_data) {
    const auto secret = object_from(
        kind_of("", "Secret"), "metadata: {name: s}\ndata: {a: MQ==, b: MQ==}\nstringData: {a: x}");
    EXPECT_EQ(codec::to_json(*secret.root.find("data")), R"({"a":"eA==","b":"MQ=="})");
    EXPECT_EQ(secret.root.find("stringData"), nullptr);
    EXPECT_EQ(secret.root.text_at({"type"}), "Opaque");
}

TEST(KindRules, nodes) {
    const Row rows[] = {
        {"well",
         "metadata: {name: x1}\nspec: {podCIDR: 10.1.0.0/24, taints: [{key: a, effect: "
         "NoSchedule}]}",
         "", ""},
        {"no such effect", "metadata: {name: x1}\nspec: {taints: [{key: a, effect: Nothing}]}", "",
         "spec.taints[0].effect: Unsupported value: \"Nothing\": supported values: \"NoSchedule\", "
         "\"PreferNoSchedule\", \"NoExecute\""},
        {"a taint twice",
         "metadata: {name: x1}\nspec: {taints: [{key: a, effect: NoSchedule}, {key: a, value: b, "
         "effect: "
         "NoSchedule}]}",
         "",
         "spec.taints[1]: Duplicate value: "
         "{\"key\":\"a\",\"value\":\"b\",\"effect\":\"NoSchedule\"}"},
        {"another range", "metadata: {name: x1}\nspec: {podCIDR: 10.2.0.0/24}",
         "metadata: {name: x1}\nspec: {podCIDR: 10.1.0.0/24}",
         "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid"},
        {"a first range", "metadata: {name: x1}\nspec: {podCIDR: 10.2.0.0/24}",
         "metadata: {name: x1}", ""},
    };
    check(kind_of("", "Node"), rows);
}

TEST(KindRules, namespaces_start_with_a_finalizer_and_a_label) {
    auto space =
        object_from(kind_of("", "Namespace"), "metadata: {name: x1}\nstatus: {phase: Terminating}");
    namespace_rules.prepare(space.root, nullptr, space.arena);
    EXPECT_EQ(codec::to_json(space.root),
              R"({"metadata":{"name":"x1","labels":{"kubernetes.io/metadata.name":"x1"}},)"
              R"("status":{"phase":"Active"},"spec":{"finalizers":["kubernetes"]}})");
    EXPECT_EQ(
        problems_of(kind_of("", "Namespace"), "metadata: {name: x1}\nspec: {finalizers: [x]}"),
        "spec.finalizers: Invalid value: \"x\": name is neither a standard finalizer name nor "
        "is it fully qualified");
}

TEST(KindRules, services) {
    const Row rows[] = {
        {"well", "metadata: {name: s, namespace: d}\nspec: {ports: [{port: 80}]}", "", ""},
        {"headless needs no port", "metadata: {name: s, namespace: d}\nspec: {clusterIP: None}", "",
         ""},
        {"no port", "metadata: {name: s, namespace: d}\nspec: {selector: {a: b}}", "",
         "spec.ports: Required value"},
        {"two ports need names",
         "metadata: {name: s, namespace: d}\nspec: {ports: [{port: 80}, {port: 81, name: b}]}", "",
         "spec.ports[0].name: Required value"},
        {"the same port twice",
         "metadata: {name: s, namespace: d}\nspec: {ports: [{port: 80, name: a}, {port: 80, name: "
         "b}]}",
         "", "spec.ports[1]: Duplicate value: {\"protocol\":\"TCP\",\"port\":80}"},
        {"no such type",
         "metadata: {name: s, namespace: d}\nspec: {type: Local, ports: [{port: 80}]}", "",
         "spec.type: Unsupported value: \"Local\": supported values: \"ClusterIP\", "
         "\"ExternalName\", \"LoadBalancer\", \"NodePort\""},
        {"a node's port without need",
         "metadata: {name: s, namespace: d}\nspec: {ports: [{port: 80, nodePort: 30000}]}", "",
         "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"},
        {"a name for elsewhere", "metadata: {name: s, namespace: d}\nspec: {type: ExternalName}",
         "", "spec.externalName: Required value"},
        {"another address",
         "metadata: {name: s, namespace: d}\nspec: {clusterIP: 10.0.0.2, clusterIPs: [10.0.0.2], "
         "ports: "
         "[{port: 80}]}",
         "metadata: {name: s, namespace: d}\nspec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], "
         "ports: "
         "[{port: 80}]}",
         "spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set"},
    };
    check(kind_of("", "Service"), rows);
}

TEST(KindRules, an_update_keeps_a_services_address) {
    const Kind& kind = kind_of("", "Service");
    auto old =
        object_from(kind,
                    "metadata: {name: s}\nspec: {type: NodePort, clusterIP: 10.0.0.1, clusterIPs: "
                    "[10.0.0.1], ports: [{port: 80, nodePort: 30080}]}");
    auto now =
        object_from(kind, "metadata: {name: s}\nspec: {type: NodePort, ports: [{port: 80}]}");
    service_rules.prepare(now.root, &old.root, now.arena);
    EXPECT_EQ(now.root.text_at({"spec", "clusterIP"}), "10.0.0.1");
    EXPECT_EQ(codec::to_json(*now.root.at_path({"spec", "ports"})),
              R"([{"port":80,"protocol":"TCP","targetPort":80,"nodePort":30080}])");
    auto other = object_from(kind, "metadata: {name: s}\nspec: {ports: [{port: 80}]}");
    service_rules.prepare(other.root, &old.root, other.arena);
    EXPECT_EQ(other.root.at_path({"spec", "ports"})->items()[0].find("nodePort"), nullptr);
}

TEST(KindRules, events_stand_beside_their_object) {
    const Row rows[] = {
        {"beside", "metadata: {name: e, namespace: a}\ninvolvedObject: {namespace: a, name: x}", "",
         ""},
        {"elsewhere", "metadata: {name: e, namespace: a}\ninvolvedObject: {namespace: b, name: x}",
         "", "involvedObject.namespace: Invalid value: \"b\": does not match event.namespace"},
        {"of a node",
         "metadata: {name: e, namespace: default}\ninvolvedObject: {kind: Node, name: x}", "", ""},
        {"of the newer form",
         "metadata: {name: e, namespace: a}\ninvolvedObject: {namespace: a, name: x}\neventTime: "
         "2026-01-01T00:00:00.000000Z\nreportingComponent: c.io/x\nreportingInstance: i\naction: "
         "Start",
         "", "reason: Required value"},
    };
    check(kind_of("", "Event"), rows);
    const auto event =
        object_from(kind_of("", "Event"),
                    "metadata: {name: e}\nreportingComponent: c\ninvolvedObject: {name: x}");
    EXPECT_EQ(event_rules.selectable(event.root, "source"), "c");
    EXPECT_EQ(event_rules.selectable(event.root, "involvedObject.name"), "x");
    EXPECT_EQ(event_rules.selectable(event.root, "involvedObject.uid"), "");
}

TEST(KindRules, leases) {
    const Row rows[] = {
        {"well", "metadata: {name: l, namespace: d}\nspec: {leaseDurationSeconds: 40}", "", ""},
        {"no time at all", "metadata: {name: l, namespace: d}\nspec: {leaseDurationSeconds: 0}", "",
         "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"},
    };
    check(kind_of("coordination.k8s.io", "Lease"), rows);
}

TEST(KindRules, signing_requests) {
    const std::string pem = base64("-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n");
    const auto request = [&](std::string_view rest) {
        return concat("metadata: {name: c}\nspec: {request: ", pem, ", ", rest, "}");
    };
    const Kind& kind = kind_of("certificates.k8s.io", "CertificateSigningRequest");
    EXPECT_EQ(problems_of(kind, request("signerName: a.b/c, usages: [client auth]")), "");
    EXPECT_EQ(problems_of(kind, request("signerName: c, usages: [client auth]")),
              "spec.signerName: Invalid value: \"c\": must be a fully qualified domain and path of "
              "the form 'example.com/signer-name'");
    EXPECT_EQ(problems_of(kind, request("signerName: a.b/c")),
              "spec.usages: Required value: usages must be non-empty");
    EXPECT_EQ(problems_of(kind, request("signerName: a.b/c, usages: [any], expirationSeconds: 5")),
              "spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 600 "
              "seconds (10 minutes)");
    EXPECT_EQ(
        problems_of(kind,
                    "metadata: {name: c}\nspec: {request: QQ==, signerName: a.b/c, usages: [any]}"),
        "spec.request: Invalid value: \"QQ==\": PEM block type must be CERTIFICATE REQUEST");
}

TEST(KindRules, access_reviews_ask_one_thing) {
    const Kind& own = kind_of("authorization.k8s.io", "SelfSubjectAccessReview");
    EXPECT_EQ(problems_of(own, "spec: {resourceAttributes: {verb: get}}"), "");
    EXPECT_EQ(
        problems_of(own, "spec: {}"),
        "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or "
        "resourceAttributes must be specified");
    const Kind& any = kind_of("authorization.k8s.io", "SubjectAccessReview");
    EXPECT_EQ(problems_of(any, "spec: {resourceAttributes: {verb: get}}"),
              "spec.user: Invalid value: \"\": at least one of user or group must be specified");
}

TEST(KindRules, every_set_of_rules_that_the_schema_names_exists) {
    for (const Kind* kind : builtin_kinds()) {
        if (kind->rules.empty() || kind->rules == "serviceaccount") continue;
        const Rules& rules = rules_of(kind->rules);
        EXPECT_TRUE(rules.defaults || rules.prepare || rules.validate) << kind->kind;
    }
}

}   // namespace
}   // namespace skiff::api
