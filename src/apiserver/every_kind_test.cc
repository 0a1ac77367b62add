// Every kind in every version and encoding: what was written through one comes back whole through
// the others, and what comes back can be written again without a change.
#include <algorithm>
#include <map>
#include <set>

#include "api/normalize.h"
#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

constexpr std::string_view pods_template =
    "template: {metadata: {labels: {app: a}}, spec: {containers: [{name: c, image: i, env: [{name: "
    "A, value: b}], ports: [{containerPort: 80}]}]}}";
constexpr std::string_view ending_template =
    "template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}";
constexpr std::string_view policy_rules =
    "resourceRules: [{operations: [CREATE], apiGroups: [apps], apiVersions: [v1], resources: "
    "[deployments]}]";

// What each stored kind says beside its name. A kind that is not here fails the test.
const std::map<std::string, std::string>& bodies() {
    static const std::string selector = "selector: {matchLabels: {app: a}}, ";
    static const std::map<std::string, std::string> all{
        {"ConfigMap", "data: {a: b}"},
        {"Endpoints", "subsets: [{addresses: [{ip: 10.0.0.1}], ports: [{port: 80}]}]"},
        {"Event",
         "involvedObject: {kind: Pod, name: p, namespace: default}\nreason: Why\n"
         "message: text\ntype: Normal\ncount: 3"},
        {"LimitRange", "spec: {limits: [{type: Container, max: {cpu: \"2\"}}]}"},
        {"Namespace", "spec: {finalizers: [kubernetes]}"},
        {"Node", "spec: {podCIDR: 10.1.0.0/24, podCIDRs: [10.1.0.0/24]}"},
        {"PersistentVolume",
         "spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], "
         "hostPath: {path: /d}}"},
        {"PersistentVolumeClaim",
         "spec: {accessModes: [ReadWriteOnce], resources: {requests: "
         "{storage: 1Gi}}, storageClassName: fast}"},
        {"Pod", "spec: {containers: [{name: c, image: i}]}"},
        {"PodTemplate", std::string{pods_template}},
        {"ReplicationController", concat("spec: {replicas: 2, ", pods_template, "}")},
        {"ResourceQuota", "spec: {hard: {pods: \"4\"}}"},
        {"Secret", "data: {a: Yg==}"},
        {"Service", "spec: {selector: {app: a}, ports: [{port: 80}]}"},
        {"ServiceAccount", "imagePullSecrets: [{name: s}]"},
        {"ControllerRevision", "data: {a: {b: 1}}\nrevision: 3"},
        {"DaemonSet", concat("spec: {", selector, pods_template, "}")},
        {"Deployment", concat("spec: {replicas: 3, ", selector, pods_template, "}")},
        {"ReplicaSet", concat("spec: {replicas: 3, ", selector, pods_template, "}")},
        {"StatefulSet", concat("spec: {serviceName: s, ", selector, pods_template,
                               ", volumeClaimTemplates: [{metadata: {name: d}, spec: {accessModes: "
                               "[ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]}")},
        {"HorizontalPodAutoscaler",
         "spec: {maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: a}, "
         "behavior: {scaleDown: {stabilizationWindowSeconds: 60}}, metrics: [{type: Resource, "
         "resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}, {type: "
         "Pods, "
         "pods: {metric: {name: m}, target: {type: AverageValue, averageValue: \"5\"}}}]}"},
        {"Job", concat("spec: {completions: 2, ", ending_template, "}")},
        {"CronJob", concat("spec: {schedule: \"*/5 * * * *\", timeZone: Etc/UTC, jobTemplate: "
                           "{spec: {",
                           ending_template, "}}}")},
        {"PodDisruptionBudget", "spec: {minAvailable: 50%, selector: {}}"},
        {"PriorityClass", "value: 100\ndescription: text"},
        {"RuntimeClass",
         "handler: runc\noverhead: {podFixed: {cpu: 1m}}\nscheduling: "
         "{nodeSelector: {a: b}}"},
        {"Lease", "spec: {holderIdentity: me, leaseDurationSeconds: 15}"},
        {"LeaseCandidate",
         "spec: {leaseName: l, binaryVersion: 1.33.0, emulationVersion: 1.33.0, "
         "strategy: OldestEmulationVersion}"},
        {"ClusterTrustBundle",
         "spec: {trustBundle: \"-----BEGIN CERTIFICATE-----\\nAA==\\n-----END "
         "CERTIFICATE-----\\n\"}"},
        {"StorageClass", "provisioner: a.b/c\nparameters: {a: b}"},
        {"CSIDriver", "spec: {attachRequired: false}"},
        {"CSINode", "spec: {drivers: [{name: a.b, nodeID: id, topologyKeys: [k]}]}"},
        {"CSIStorageCapacity", "storageClassName: fast\ncapacity: 1Gi"},
        {"VolumeAttachment",
         "spec: {attacher: a.b, nodeName: node, source: {persistentVolumeName: "
         "v}}"},
        {"VolumeAttributesClass", "driverName: a.b\nparameters: {a: b}"},
        {"ValidatingWebhookConfiguration",
         "webhooks: [{name: a.b.c, sideEffects: None, admissionReviewVersions: [v1], clientConfig: "
         "{url: \"https://a\"}}]"},
        {"MutatingWebhookConfiguration",
         "webhooks: [{name: a.b.c, sideEffects: None, admissionReviewVersions: [v1], clientConfig: "
         "{service: {namespace: ns, name: s}}}]"},
        {"ValidatingAdmissionPolicy", concat("spec: {matchConstraints: {", policy_rules,
                                             "}, validations: [{expression: \"true\"}]}")},
        {"ValidatingAdmissionPolicyBinding", "spec: {policyName: p, validationActions: [Deny]}"},
        {"MutatingAdmissionPolicy",
         concat("spec: {reinvocationPolicy: Never, matchConstraints: {", policy_rules,
                "}, mutations: [{patchType: JSONPatch, jsonPatch: {expression: \"[]\"}}]}")},
        {"MutatingAdmissionPolicyBinding", "spec: {policyName: p}"},
        {"FlowSchema",
         "spec: {matchingPrecedence: 100, priorityLevelConfiguration: {name: l}, "
         "distinguisherMethod: {type: ByUser}}"},
        {"PriorityLevelConfiguration",
         "spec: {type: Limited, limited: {nominalConcurrencyShares: 20, lendablePercent: 50, "
         "limitResponse: {type: Queue, queuing: {queues: 16}}}}"},
        {"EndpointSlice",
         "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}]\nports: [{port: "
         "80}]"},
        {"Ingress",
         "spec: {rules: [{host: a.b, http: {paths: [{path: /, pathType: Prefix, "
         "backend: {service: {name: s, port: {number: 80}}}}]}}]}"},
        {"IngressClass", "spec: {controller: a.b/c}"},
        {"NetworkPolicy", "spec: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}"},
        {"IPAddress", "spec: {parentRef: {resource: services, namespace: default, name: s}}"},
        {"ServiceCIDR", "spec: {cidrs: [10.0.0.0/24]}"},
        {"Role", "rules: [{verbs: [get], apiGroups: [\"\"], resources: [pods]}]"},
        {"ClusterRole", "rules: [{verbs: [get], apiGroups: [\"\"], resources: [pods]}]"},
        {"RoleBinding",
         "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}\n"
         "subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: g}]"},
        {"ClusterRoleBinding",
         "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: r}\n"
         "subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: g}]"},
    };
    return all;
}

std::string name_of(const api::Kind& kind) {
    return kind.kind == "IPAddress" ? "10.0.0.7" : "every";
}

std::string path_of(const api::Kind& kind) {
    auto path = kind.group.empty() ? concat("/api/", kind.version)
                                   : concat("/apis/", kind.group, "/", kind.version);
    if (kind.scope == api::Scope::Namespaced) path += "/namespaces/default";
    return concat(path, "/", kind.plural);
}

bool is_walked(const api::Kind& kind) {
    // A request for a certificate needs one; it has tests of its own.
    return kind.verbs.find("create") != kind.verbs.npos &&
           kind.verbs.find("get") != kind.verbs.npos &&
           !api::stored_kind(kind).storage_prefix.empty() &&
           kind.kind != "CertificateSigningRequest";
}

void sort_members(codec::Json& value) {
    for (auto& item : value.items()) sort_members(item);
    if (!value.is_object()) return;
    std::ranges::sort(value.members(), {}, &codec::Json::Member::key);
    for (auto& member : value.members()) sort_members(member.value);
}

// What an object says, without who said it, when, and in which order.
std::string content(const Answer& answer) {
    codec::Arena arena;
    auto copy = answer.json.root.deep_copy(arena);
    if (auto* metadata = copy.find("metadata"))
        for (const std::string_view name : {"resourceVersion", "managedFields"})
            metadata->remove(name);
    sort_members(copy);
    return codec::to_json(copy);
}

class EveryKind {
  public:
    explicit EveryKind(const api::Kind& stored) : stored_{stored}, name_{name_of(stored)} {}

    void walk() {
        SCOPED_TRACE(concat(stored_.group, "/", stored_.version, " ", stored_.kind));
        const auto body = bodies().find(std::string{stored_.kind});
        ASSERT_NE(body, bodies().end()) << "give this kind an object";
        const auto made = server_.request(
            "POST", path_of(stored_),
            concat("metadata: {name: \"", name_, "\", labels: {l: v}}\n", body->second, "\n"),
            {{"content-type", "application/yaml"}});
        ASSERT_EQ(made.status, 201) << made.body;
        whole_ = content(server_.get(at(stored_)));
        for (const auto* kind : api::builtin_kinds())
            if (&api::stored_kind(*kind) == &stored_) through(*kind);
    }

  private:
    std::string at(const api::Kind& kind) const { return concat(path_of(kind), "/", name_); }

    void through(const api::Kind& kind) {
        SCOPED_TRACE(kind.version);
        const auto read = server_.get(at(kind));
        ASSERT_EQ(read.status, 200) << read.body;
        EXPECT_EQ(read.text({"apiVersion"}), kind.api_version());
        EXPECT_EQ(read.header("warning").empty(), !kind.deprecated);
        write_back(kind, read.body, "application/json");
        const auto yaml = server_.get(at(kind), {{"accept", "application/yaml"}});
        write_back(kind, yaml.body, "application/yaml");
        constexpr std::string_view protobuf = "application/vnd.kubernetes.protobuf";
        const auto binary = server_.get(at(kind), {{"accept", std::string{protobuf}}});
        write_back(kind, binary.body, protobuf);
        patched(kind);
        applied(kind);
        table(kind);
        explained(kind);
    }

    // A patch through a version touches nothing that only another version can say.
    void patched(const api::Kind& kind) {
        const auto label = [&](std::string_view value) {
            return server_.merge(at(kind),
                                 concat(R"({"metadata":{"labels":{"patched":)", value, "}}}"));
        };
        const auto set = label("\"yes\"");
        EXPECT_EQ(set.status, 200) << set.body;
        EXPECT_EQ(set.text({"metadata", "labels", "patched"}), "yes");
        EXPECT_EQ(label("null").status, 200);
        EXPECT_EQ(content(server_.get(at(stored_))), whole_);
        const auto json =
            server_.patch(at(kind), R"([{"op":"test","path":"/metadata/labels/l","value":"v"}])",
                          "application/json-patch+json");
        EXPECT_EQ(json.status, 200) << json.body;
    }

    void applied(const api::Kind& kind) {
        const auto apply = [&](std::string_view labels) {
            return server_.patch(
                concat(at(kind), "?fieldManager=walker"),
                concat(R"({"apiVersion":")", kind.api_version(), R"(","kind":")", kind.kind,
                       R"(","metadata":{"name":")", name_, R"(","labels":)", labels, "}}"),
                "application/apply-patch+yaml");
        };
        const auto set = apply(R"({"applied":"yes"})");
        EXPECT_EQ(set.status, 200) << set.body;
        EXPECT_EQ(set.text({"metadata", "labels", "applied"}), "yes");
        const auto given_up = apply("{}");
        EXPECT_EQ(given_up.status, 200) << given_up.body;
        EXPECT_EQ(content(server_.get(at(stored_))), whole_);
    }

    void write_back(const api::Kind& kind, const std::string& body, std::string_view type) {
        SCOPED_TRACE(type);
        const auto written =
            server_.request("PUT", at(kind), body, {{"content-type", std::string{type}}});
        EXPECT_EQ(written.status, 200) << written.body;
        EXPECT_EQ(content(server_.get(at(stored_))), whole_);
    }

    void table(const api::Kind& kind) {
        const auto list = server_.get(path_of(kind),
                                      {{"accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}});
        ASSERT_EQ(list.status, 200) << list.body;
        const auto* rows = list.at({"rows"});
        const auto* columns = list.at({"columnDefinitions"});
        ASSERT_TRUE(rows && columns) << list.body;
        const auto ours = std::ranges::find_if(rows->items(), [&](const codec::Json& row) {
            return row.text_at({"object", "metadata", "name"}) == name_;
        });
        ASSERT_NE(ours, rows->items().end());
        EXPECT_EQ(ours->find("cells")->size(), columns->size());
    }

    // What `kubectl explain` reads: every field that the kind has, with words.
    void explained(const api::Kind& kind) {
        std::set<const api::Message*> seen;
        documented(*kind.message, seen);
    }
    void documented(const api::Message& message, std::set<const api::Message*>& seen) {
        if (!seen.insert(&message).second) return;
        EXPECT_FALSE(message.doc.empty()) << message.name;
        for (const auto& field : message.fields) {
            EXPECT_GT(field.doc.size(), 2u) << message.name << "." << field.name;
            if (field.message) documented(*field.message, seen);
        }
    }

    TestServer server_;
    const api::Kind& stored_;
    const std::string name_;
    std::string whole_;
};

TEST(EveryKind, comes_back_whole_in_every_version_and_encoding) {
    size_t kinds = 0;
    for (const auto* kind : api::builtin_kinds()) {
        if (kind->stored || !is_walked(*kind)) continue;
        EveryKind{*kind}.walk();
        ++kinds;
    }
    EXPECT_GE(kinds, 50u);
}

TEST(EveryKind, an_alias_is_found_by_its_whole_name_only) {
    TestServer server;
    const auto old = server.get("/apis/extensions/v1beta1");
    EXPECT_NE(old.body.find(R"("name":"deployments")"), std::string::npos);
    EXPECT_EQ(old.body.find("shortNames"), std::string::npos);
    EXPECT_EQ(old.body.find("categories"), std::string::npos);
    const auto now = server.get("/apis/apps/v1");
    EXPECT_NE(now.body.find(R"("shortNames":["deploy"],"categories":["all"])"), std::string::npos);
}

TEST(EveryKind, what_is_gone_says_what_to_use_instead) {
    TestServer server;
    const auto answer = server.get("/apis/policy/v1beta1/podsecuritypolicies");
    EXPECT_EQ(answer.status, 404);
    EXPECT_NE(answer.message().find("pod-security.kubernetes.io/enforce"), std::string::npos)
        << answer.message();
    const auto gone = server.post("/apis/apps/v1alpha1/namespaces/default/petsets", "{}");
    EXPECT_EQ(gone.status, 404);
    EXPECT_NE(gone.message().find("apps/v1 StatefulSet"), std::string::npos) << gone.message();
}

TEST(EveryKind, a_guard_that_nobody_asks_says_so) {
    TestServer server;
    const auto made =
        server.post("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
                    R"({"metadata":{"name":"a"},"webhooks":[]})");
    ASSERT_EQ(made.status, 201) << made.body;
    EXPECT_NE(made.header("warning").find("not in force"), std::string::npos);
}

}   // namespace
}   // namespace skiff::apiserver::testing
