#include "api/rules_testing.h"

namespace skiff::api {
namespace {

using testing::problems_of;

const Kind& pod_kind() { return *builtin_kind("", "v1", "Pod"); }

// A pod called p in default whose spec is given, indented by two.
std::string pod_with(std::string_view spec) {
    std::string text = "metadata: {name: p, namespace: default}\nspec:\n";
    for (const auto line : split(spec, '\n')) append(text, "  ", line, "\n");
    return text;
}

struct Row {
    const char* why;
    const char* spec;
    const char* problems;
};

void check(std::span<const Row> rows) {
    for (const Row& row : rows)
        EXPECT_EQ(problems_of(pod_kind(), pod_with(row.spec)), row.problems) << row.why;
}

TEST(PodValidation, containers) {
    constexpr Row rows[] = {
        {"all is well", "containers: [{name: a, image: b}]", ""},
        {"no container", "restartPolicy: Never", "spec.containers: Required value"},
        {"no image", "containers: [{name: a}]", "spec.containers[0].image: Required value"},
        {"no name", "containers: [{image: b}]", "spec.containers[0].name: Required value"},
        {"a name that is no label", "containers: [{name: A_b, image: b}]",
         "spec.containers[0].name: Invalid value: \"A_b\": a lowercase RFC 1123 label must consist "
         "of lower case alphanumeric characters or '-', and must start and end with an "
         "alphanumeric "
         "character (e.g. 'my-name',  or '123-abc', regex used for validation is "
         "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"},
        {"two of one name", "containers: [{name: a, image: b}, {name: a, image: c}]",
         "spec.containers[1].name: Duplicate value: \"a\""},
        {"an init container of the same name",
         "initContainers: [{name: a, image: b}]\ncontainers: [{name: a, image: b}]",
         "spec.initContainers[0].name: Duplicate value: \"a\""},
        {"blanks around the image", "containers: [{name: a, image: ' b'}]",
         "spec.containers[0].image: Invalid value: \" b\": must not have leading or trailing "
         "whitespace"},
        {"a policy that does not exist",
         "restartPolicy: Sometimes\ncontainers: [{name: a, image: b}]",
         "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", "
         "\"OnFailure\", \"Never\""},
        {"a pull policy that does not exist",
         "containers: [{name: a, image: b, imagePullPolicy: Often}]",
         "spec.containers[0].imagePullPolicy: Unsupported value: \"Often\": supported values: "
         "\"Always\", \"IfNotPresent\", \"Never\""},
        {"a restart policy where there is none",
         "containers: [{name: a, image: b, restartPolicy: Always}]",
         "spec.containers[0].restartPolicy: Forbidden: may not be set for non-init containers"},
        {"a sidecar may have probes",
         "initContainers: [{name: i, image: b, restartPolicy: Always, readinessProbe: {exec: "
         "{command: [x]}}}]\ncontainers: [{name: a, image: b}]",
         ""},
        {"an init container may not",
         "initContainers: [{name: i, image: b, readinessProbe: {exec: {command: [x]}}}]\n"
         "containers: [{name: a, image: b}]",
         "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers "
         "without restartPolicy=Always"},
        {"ephemeral containers come later",
         "ephemeralContainers: [{name: e, image: b}]\ncontainers: [{name: a, image: b}]",
         "spec.ephemeralContainers: Forbidden: cannot be set on create"},
    };
    check(rows);
}

TEST(PodValidation, ports) {
    constexpr Row rows[] = {
        {"well", "containers: [{name: a, image: b, ports: [{containerPort: 80, name: web}]}]", ""},
        {"no number", "containers: [{name: a, image: b, ports: [{name: web}]}]",
         "spec.containers[0].ports[0].containerPort: Required value"},
        {"too large", "containers: [{name: a, image: b, ports: [{containerPort: 70000}]}]",
         "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and "
         "65535, inclusive"},
        {"no such protocol",
         "containers: [{name: a, image: b, ports: [{containerPort: 80, protocol: ICMP}]}]",
         "spec.containers[0].ports[0].protocol: Unsupported value: \"ICMP\": supported values: "
         "\"SCTP\", \"TCP\", \"UDP\""},
        {"one name twice",
         "containers: [{name: a, image: b, ports: [{containerPort: 80, name: w}, {containerPort: "
         "81, name: w}]}]",
         "spec.containers[0].ports[1].name: Duplicate value: \"w\""},
        {"one port of the node twice",
         "containers: [{name: a, image: b, ports: [{containerPort: 80, hostPort: 80}]}, {name: c, "
         "image: b, ports: [{containerPort: 81, hostPort: 80}]}]",
         "spec.containers[1].ports[0].hostPort: Duplicate value: \"TCP//80\""},
        {"in the node's network",
         "hostNetwork: true\ncontainers: [{name: a, image: b, ports: [{containerPort: 80, "
         "hostPort: "
         "8080}]}]",
         "spec.containers[0].ports[0].hostPort: Invalid value: 8080: must match `containerPort` "
         "when "
         "`hostNetwork` is true"},
    };
    check(rows);
}

TEST(PodValidation, environment) {
    constexpr Row rows[] = {
        {"well", "containers: [{name: a, image: b, env: [{name: A, value: x}]}]", ""},
        {"no name", "containers: [{name: a, image: b, env: [{value: x}]}]",
         "spec.containers[0].env[0].name: Required value"},
        {"an impossible name", "containers: [{name: a, image: b, env: [{name: 'A=B'}]}]",
         "spec.containers[0].env[0].name: Invalid value: \"A=B\": a valid environment variable "
         "name "
         "must consist only of printable ASCII characters other than '='"},
        {"a value and where it comes from",
         "containers: [{name: a, image: b, env: [{name: A, value: x, valueFrom: {fieldRef: "
         "{fieldPath: metadata.name}}}]}]",
         "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when "
         "`value` is not empty"},
        {"from nowhere", "containers: [{name: a, image: b, env: [{name: A, valueFrom: {}}]}]",
         "spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of: "
         "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"},
        {"a field that is not there",
         "containers: [{name: a, image: b, env: [{name: A, valueFrom: {fieldRef: {fieldPath: "
         "spec.nope}}}]}]",
         "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.nope\": "
         "error converting fieldPath: field label not supported: spec.nope"},
        {"all labels are for files",
         "containers: [{name: a, image: b, env: [{name: A, valueFrom: {fieldRef: {fieldPath: "
         "metadata.labels}}}]}]",
         "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "
         "\"metadata.labels\": supported values: \"metadata.name\", \"metadata.namespace\", "
         "\"metadata.uid\", \"spec.nodeName\", \"spec.serviceAccountName\", \"status.hostIP\", "
         "\"status.hostIPs\", \"status.podIP\", \"status.podIPs\""},
        {"one label is not",
         "containers: [{name: a, image: b, env: [{name: A, valueFrom: {fieldRef: {fieldPath: "
         "\"metadata.labels['app']\"}}}]}]",
         ""},
        {"no key",
         "containers: [{name: a, image: b, env: [{name: A, valueFrom: {secretKeyRef: {name: "
         "s}}}]}]",
         "spec.containers[0].env[0].valueFrom.secretKeyRef.key: Required value"},
        {"a resource that is not there",
         "containers: [{name: a, image: b, env: [{name: A, valueFrom: {resourceFieldRef: "
         "{resource: "
         "limits.gpu}}}]}]",
         "spec.containers[0].env[0].valueFrom.resourceFieldRef.resource: Unsupported value: "
         "\"limits.gpu\": supported values: \"limits.cpu\", \"limits.ephemeral-storage\", "
         "\"limits.memory\", \"requests.cpu\", \"requests.ephemeral-storage\", "
         "\"requests.memory\""},
        {"everything from nowhere", "containers: [{name: a, image: b, envFrom: [{prefix: X}]}]",
         "spec.containers[0].envFrom: Invalid value: \"\": must specify one of: `configMapRef` "
         "or `secretRef`"},
    };
    check(rows);
}

TEST(PodValidation, volumes_and_mounts) {
    constexpr Row rows[] = {
        {"well",
         "volumes: [{name: v}]\ncontainers: [{name: a, image: b, volumeMounts: [{name: v, "
         "mountPath: /x}]}]",
         ""},
        {"a volume that is not there",
         "containers: [{name: a, image: b, volumeMounts: [{name: x, mountPath: /x}]}]",
         "spec.containers[0].volumeMounts[0].name: Not found: \"x\""},
        {"two at one place",
         "volumes: [{name: v}]\ncontainers: [{name: a, image: b, volumeMounts: [{name: v, "
         "mountPath: /x}, {name: v, mountPath: /x}]}]",
         "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/x\": must be unique"},
        {"out of the volume",
         "volumes: [{name: v}]\ncontainers: [{name: a, image: b, volumeMounts: [{name: v, "
         "mountPath: /x, subPath: ../y}]}]",
         "spec.containers[0].volumeMounts.subPath: Invalid value: \"../y\": must not contain "
         "'..'"},
        {"two of one name", "volumes: [{name: v}, {name: v}]\ncontainers: [{name: a, image: b}]",
         "spec.volumes[1].name: Duplicate value: \"v\""},
        {"two types",
         "volumes: [{name: v, emptyDir: {}, hostPath: {path: /x}}]\ncontainers: [{name: a, image: "
         "b}]",
         "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"},
        {"a kind of path that does not exist",
         "volumes: [{name: v, hostPath: {path: /x, type: Folder}}]\ncontainers: [{name: a, image: "
         "b}]",
         "spec.volumes[0].hostPath.type: Unsupported value: \"Folder\": supported values: "
         "\"\", \"BlockDevice\", \"CharDevice\", \"Directory\", \"DirectoryOrCreate\", \"File\", "
         "\"FileOrCreate\", \"Socket\""},
        {"no path", "volumes: [{name: v, hostPath: {}}]\ncontainers: [{name: a, image: b}]",
         "spec.volumes[0].hostPath.path: Required value"},
        {"no secret", "volumes: [{name: v, secret: {}}]\ncontainers: [{name: a, image: b}]",
         "spec.volumes[0].secret.secretName: Required value"},
        {"no config map", "volumes: [{name: v, configMap: {}}]\ncontainers: [{name: a, image: b}]",
         "spec.volumes[0].configMap.name: Required value"},
        {"a mode in decimal",
         "volumes: [{name: v, secret: {secretName: s, defaultMode: 777}}]\ncontainers: [{name: a, "
         "image: b}]",
         "spec.volumes[0].secret.defaultMode: Invalid value: 777: must be a number between 0 and "
         "0777 (octal), both inclusive"},
        {"two files of one path",
         "volumes: [{name: v, projected: {sources: [{downwardAPI: {items: [{path: f, fieldRef: "
         "{fieldPath: metadata.name}}]}}, {serviceAccountToken: {path: f}}]}}]\n"
         "serviceAccountName: s\ncontainers: [{name: a, image: b}]",
         "spec.volumes[0].projected: Invalid value: \"f\": conflicting duplicate paths"},
        {"a token of nobody",
         "volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: f}}]}}]\n"
         "containers: [{name: a, image: b}]",
         "spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be "
         "specified "
         "when serviceAccountName is not set"},
        {"only the privileged share mounts",
         "volumes: [{name: v}]\ncontainers: [{name: a, image: b, volumeMounts: [{name: v, "
         "mountPath: /x, mountPropagation: Bidirectional}]}]",
         "spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount "
         "propagation is available only to privileged containers"},
    };
    check(rows);
}

TEST(PodValidation, resources) {
    constexpr Row rows[] = {
        {"well", "containers: [{name: a, image: b, resources: {requests: {cpu: 100m}}}]", ""},
        {"more asked than allowed",
         "containers: [{name: a, image: b, resources: {requests: {cpu: 2}, limits: {cpu: 1}}}]",
         "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal "
         "to "
         "cpu limit of 1"},
        {"less than nothing",
         "containers: [{name: a, image: b, resources: {limits: {memory: -1}}}]",
         "spec.containers[0].resources.limits[memory]: Invalid value: \"-1\": must be greater than "
         "or equal to 0\n"
         "spec.containers[0].resources.requests[memory]: Invalid value: \"-1\": must be greater "
         "than "
         "or equal to 0"},
        {"no such resource", "containers: [{name: a, image: b, resources: {requests: {gpu: 1}}}]",
         "spec.containers[0].resources.requests[gpu]: Invalid value: \"gpu\": must be a standard "
         "resource type or fully qualified\n"
         "spec.containers[0].resources.requests[gpu]: Invalid value: \"gpu\": must be a standard "
         "resource for containers"},
        {"half a device",
         "containers: [{name: a, image: b, resources: {limits: {x.org/gpu: 500m}}}]",
         "spec.containers[0].resources.limits[x.org/gpu]: Invalid value: \"500m\": must be an "
         "integer\n"
         "spec.containers[0].resources.requests[x.org/gpu]: Invalid value: \"500m\": must be an "
         "integer"},
        {"a device without a limit",
         "containers: [{name: a, image: b, resources: {requests: {x.org/gpu: 1}}}]",
         "spec.containers[0].resources.limits: Required value: Limit must be set for non "
         "overcommitable resources"},
    };
    check(rows);
}

TEST(PodValidation, probes_and_hooks) {
    constexpr Row rows[] = {
        {"well", "containers: [{name: a, image: b, livenessProbe: {httpGet: {port: web}}}]", ""},
        {"no handler", "containers: [{name: a, image: b, livenessProbe: {periodSeconds: 3}}]",
         "spec.containers[0].livenessProbe: Required value: must specify a handler type"},
        {"two handlers",
         "containers: [{name: a, image: b, readinessProbe: {exec: {command: [x]}, tcpSocket: "
         "{port: "
         "1}}}]",
         "spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 "
         "handler type"},
        {"no port", "containers: [{name: a, image: b, readinessProbe: {tcpSocket: {}}}]",
         "spec.containers[0].readinessProbe.tcpSocket.port: Invalid value: 0: must be between 1 "
         "and "
         "65535, inclusive"},
        {"no command", "containers: [{name: a, image: b, readinessProbe: {exec: {}}}]",
         "spec.containers[0].readinessProbe.exec.command: Required value"},
        {"alive only once",
         "containers: [{name: a, image: b, livenessProbe: {exec: {command: [x]}, successThreshold: "
         "2}}]",
         "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"},
        {"before the start",
         "containers: [{name: a, image: b, livenessProbe: {exec: {command: [x]}, "
         "initialDelaySeconds: -1}}]",
         "spec.containers[0].livenessProbe.initialDelaySeconds: Invalid value: -1: must be greater "
         "than or equal to 0"},
        {"a hook without anything", "containers: [{name: a, image: b, lifecycle: {preStop: {}}}]",
         "spec.containers[0].lifecycle.preStop: Required value: must specify a handler type"},
        {"too long a sleep",
         "terminationGracePeriodSeconds: 5\ncontainers: [{name: a, image: b, lifecycle: {preStop: "
         "{sleep: {seconds: 9}}}}]",
         "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 9: must be non-negative and "
         "less than terminationGracePeriodSeconds (5)"},
    };
    check(rows);
}

TEST(PodValidation, placement_and_the_rest) {
    constexpr Row rows[] = {
        {"a toleration of everything",
         "tolerations: [{operator: Exists}]\ncontainers: [{name: a, image: b}]", ""},
        {"a toleration of nothing", "tolerations: [{value: x}]\ncontainers: [{name: a, image: b}]",
         "spec.tolerations[0].operator: Invalid value: \"\": operator must be Exists when `key` is "
         "empty, which means \"match all values and all keys\""},
        {"a weight",
         "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: "
         "101, "
         "preference: {matchExpressions: [{key: a, operator: Exists}]}}]}}\n"
         "containers: [{name: a, image: b}]",
         "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: "
         "Invalid value: 101: must be in the range 1-100"},
        {"no terms",
         "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {}}}\n"
         "containers: [{name: a, image: b}]",
         "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution."
         "nodeSelectorTerms: Required value: must have at least one node selector term"},
        {"name servers", "dnsPolicy: None\ncontainers: [{name: a, image: b}]",
         "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"},
        {"a host name", "hostname: a.b\ncontainers: [{name: a, image: b}]",
         "spec.hostname: Invalid value: \"a.b\": must not contain dots"},
        {"deadline", "activeDeadlineSeconds: 0\ncontainers: [{name: a, image: b}]",
         "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, "
         "inclusive"},
        {"privileged and not",
         "containers: [{name: a, image: b, securityContext: {privileged: true, "
         "allowPrivilegeEscalation: false}}]",
         "spec.containers[0].securityContext: Invalid value: "
         "{\"privileged\":true,\"allowPrivilegeEscalation\":false}: cannot set "
         "`allowPrivilegeEscalation` to false and `privileged` to true"},
        {"a user below zero", "securityContext: {runAsUser: -1}\ncontainers: [{name: a, image: b}]",
         "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, "
         "inclusive"},
        {"a gate and a node",
         "nodeName: x1\nschedulingGates: [{name: g}]\ncontainers: [{name: a, image: b}]",
         "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"},
    };
    check(rows);
}

TEST(PodValidation, what_is_hardly_meant_is_warned_of) {
    const auto pod =
        testing::object_from(pod_kind(), pod_with("nodeSelector: {beta.kubernetes.io/os: linux}\n"
                                                  "volumes: [{name: v, gitRepo: {repository: x}}]\n"
                                                  "terminationGracePeriodSeconds: -1\n"
                                                  "containers: [{name: a, image: b, env: [{name: "
                                                  "A, value: x}, {name: A, value: z}, {name: A, "
                                                  "value: '$(A):z'}], ports: [{containerPort: 80}, "
                                                  "{containerPort: 80}], resources: {limits: "
                                                  "{memory: 100m}}}]"));
    std::vector<std::string> warnings;
    rules_of("pod").warn(pod.root, nullptr, warnings);
    const std::vector<std::string> expected{
        "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "
        "\"kubernetes.io/os\" instead",
        "spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+",
        "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when "
        "using apply",
        "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
        "spec.containers[0].resources.limits[memory]: fractional byte value \"100m\" is invalid, "
        "must be an integer",
        "spec.containers[0].resources.requests[memory]: fractional byte value \"100m\" is invalid, "
        "must be an integer",
        "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be "
        "treated as 1"};
    EXPECT_EQ(warnings, expected);
}

constexpr auto other_fields =
    "spec: Forbidden: pod updates may not change fields other than "
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously "
    "negative)\n";

TEST(PodValidation, updates) {
    const struct {
        const char* why;
        const char* old;
        const char* spec;
        std::string problems;
    } rows[] = {
        {"nothing changes", "containers: [{name: a, image: b}]",
         "containers: [{name: a, image: b}]", ""},
        {"an image may", "containers: [{name: a, image: b}]",
         "containers: [{name: a, image: c, imagePullPolicy: Always}]", ""},
        {"nothing else may", "containers: [{name: a, image: b}]",
         "containers: [{name: a, image: b, command: [x]}]",
         std::string{other_fields} + "  spec.containers[0].command: (absent) -> [\"x\"]\n"},
        {"the node", "containers: [{name: a, image: b}]",
         "nodeName: x1\ncontainers: [{name: a, image: b}]",
         std::string{other_fields} + "  spec.nodeName: (absent) -> \"x1\"\n"},
        {"one more container", "containers: [{name: a, image: b}]",
         "containers: [{name: a, image: b}, {name: c, image: b}]",
         "spec.containers: Forbidden: pod updates may not add or remove containers"},
        {"a toleration more", "containers: [{name: a, image: b}]",
         "tolerations: [{key: k, operator: Exists}]\ncontainers: [{name: a, image: b}]", ""},
        {"a toleration less",
         "tolerations: [{key: k, operator: Exists}]\ncontainers: [{name: a, image: b}]",
         "containers: [{name: a, image: b}]",
         "spec.tolerations: Forbidden: existing toleration can not be modified except its "
         "tolerationSeconds"},
        {"a later deadline", "activeDeadlineSeconds: 5\ncontainers: [{name: a, image: b}]",
         "activeDeadlineSeconds: 6\ncontainers: [{name: a, image: b}]",
         "spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous "
         "value"},
        {"a gate less", "schedulingGates: [{name: g}]\ncontainers: [{name: a, image: b}]",
         "containers: [{name: a, image: b}]", ""},
        {"a gate more", "containers: [{name: a, image: b}]",
         "schedulingGates: [{name: g}]\ncontainers: [{name: a, image: b}]",
         "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new "
         "scheduling gate "
         "'g'"},
    };
    for (const auto& row : rows)
        EXPECT_EQ(problems_of(pod_kind(), pod_with(row.spec), pod_with(row.old)), row.problems)
            << row.why;
}

TEST(PodValidation, ephemeral_containers_only_come) {
    const auto pod = [](std::string_view list) {
        return concat(
            "metadata: {name: p, namespace: d}\nspec:\n  containers: [{name: a, image: b}]\n  "
            "ephemeralContainers: ",
            list, "\n");
    };
    const struct {
        const char* why;
        const char* old;
        const char* now;
        const char* problems;
    } rows[] = {
        {"one more", "[]", "[{name: e, image: x, targetContainerName: a}]", ""},
        {"one less", "[{name: e, image: x}]", "[]",
         "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"e\" may not be "
         "removed\n"},
        {"one other", "[{name: e, image: x:1}]", "[{name: e, image: y:1}]",
         "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"e\" may not be "
         "changed\n  e.image: \"x:1\" -> \"y:1\"\n"},
        {"no such target", "[]", "[{name: e, image: x, targetContainerName: z}]",
         "spec.ephemeralContainers[0].targetContainerName: Not found: \"z\""},
        {"with ports", "[]", "[{name: e, image: x, ports: [{containerPort: 80}]}]",
         "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container"},
    };
    for (const auto& row : rows) {
        EXPECT_EQ(problems_of(pod_kind(), pod(row.now), pod(row.old), "ephemeralcontainers"),
                  row.problems)
            << row.why;
    }
}

}   // namespace
}   // namespace skiff::api
