#include <gtest/gtest.h>

#include "api/printers.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

const WallTime now = *parse_rfc3339("2026-01-01T01:00:00Z");

// The cells of one object, wide ones too, as `kubectl get -o wide` shows them: "a | b | c".
std::string row_of(std::string_view group, std::string_view version, std::string_view kind,
                   std::string_view object) {
    Arena arena;
    const auto document = codec::parse_json(object);
    if (!document) return document.error().message;
    const Json table = make_table(*builtin_kind(group, version, kind), {&document->root, 1},
                                  IncludeObject::None, "meta.k8s.io/v1", "", now, arena);
    std::string text;
    for (const Json& cell : table.find("rows")->items()[0].find("cells")->items())
        append(text, text.empty() ? "" : " | ",
               cell.is_string() ? cell.as_string() : to_json(cell));
    return text;
}

std::string heads_of(std::string_view group, std::string_view version, std::string_view kind) {
    Arena arena;
    const Json table = make_table(*builtin_kind(group, version, kind), {}, IncludeObject::None,
                                  "meta.k8s.io/v1", "", now, arena);
    std::string text;
    for (const Json& column : table.find("columnDefinitions")->items())
        append(text, text.empty() ? "" : " ", column.find("name")->as_string(),
               column.find("priority")->as_int() ? "*" : "");
    return text;
}

TEST(Printers, the_columns_are_those_that_kubectl_users_know) {
    EXPECT_EQ(heads_of("", "v1", "Pod"),
              "Name Ready Status Restarts Age IP* Node* Nominated Node* Readiness Gates*");
    EXPECT_EQ(heads_of("", "v1", "Node"),
              "Name Status Roles Age Version Internal-IP* External-IP* OS-Image* Kernel-Version* "
              "Container-Runtime*");
    EXPECT_EQ(heads_of("", "v1", "Namespace"), "Name Status Age");
    EXPECT_EQ(heads_of("", "v1", "ConfigMap"), "Name Data Age");
    EXPECT_EQ(heads_of("", "v1", "Secret"), "Name Type Data Age");
    EXPECT_EQ(heads_of("", "v1", "ServiceAccount"), "Name Secrets Age");
    EXPECT_EQ(heads_of("", "v1", "Service"),
              "Name Type Cluster-IP External-IP Port(s) Age Selector*");
    EXPECT_EQ(heads_of("", "v1", "Endpoints"), "Name Endpoints Age");
    EXPECT_EQ(heads_of("", "v1", "Event"),
              "Last Seen Type Reason Object Subobject* Source* Message First Seen* Count* Name*");
    EXPECT_EQ(heads_of("coordination.k8s.io", "v1", "Lease"), "Name Holder Age");
    EXPECT_EQ(heads_of("certificates.k8s.io", "v1", "CertificateSigningRequest"),
              "Name Age SignerName Requestor RequestedDuration Condition");
}

// READY, STATUS and RESTARTS of a pod of the containers a and b (and the init containers i and j).
TEST(Printers, a_pods_status_says_what_it_is_doing) {
    const struct {
        const char* why;
        const char* metadata;
        const char* status;
        const char* cells;
    } rows[] = {
        {"just made", "", R"("phase":"Pending")", "0/2 | Pending | 0"},
        {"a reason wins over the phase", "", R"("phase":"Failed","reason":"Evicted")",
         "0/2 | Evicted | 0"},
        {"held by a gate", "",
         R"("phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"SchedulingGated"}])",
         "0/2 | SchedulingGated | 0"},
        {"being made", "",
         R"("phase":"Pending","containerStatuses":[
            {"name":"a","state":{"waiting":{"reason":"ContainerCreating"}}},
            {"name":"b","state":{"waiting":{"reason":"ContainerCreating"}}}])",
         "0/2 | ContainerCreating | 0"},
        {"all well", "",
         R"("phase":"Running","containerStatuses":[
            {"name":"a","ready":true,"state":{"running":{}}},
            {"name":"b","ready":true,"state":{"running":{}}}])",
         "2/2 | Running | 0"},
        {"restarted", "",
         R"("phase":"Running","containerStatuses":[
            {"name":"a","ready":true,"restartCount":2,"state":{"running":{}},
             "lastState":{"terminated":{"exitCode":1,"finishedAt":"2026-01-01T00:50:00Z"}}},
            {"name":"b","ready":true,"restartCount":1,"state":{"running":{}},
             "lastState":{"terminated":{"exitCode":1,"finishedAt":"2026-01-01T00:55:00Z"}}}])",
         "2/2 | Running | 3 (5m ago)"},
        {"crashing", "",
         R"("phase":"Running","containerStatuses":[
            {"name":"a","restartCount":4,"state":{"waiting":{"reason":"CrashLoopBackOff"}}},
            {"name":"b","ready":true,"state":{"running":{}}}])",
         "1/2 | CrashLoopBackOff | 4"},
        {"ended with a code", "",
         R"("phase":"Failed","containerStatuses":[{"name":"a","state":{"terminated":{"exitCode":7}}}])",
         "0/2 | ExitCode:7 | 0"},
        {"ended by a signal", "",
         R"("phase":"Failed","containerStatuses":[{"name":"a","state":{"terminated":{"exitCode":137,"signal":9}}}])",
         "0/2 | Signal:9 | 0"},
        {"ended for a reason", "",
         R"("phase":"Failed","containerStatuses":[{"name":"a","state":{"terminated":{"exitCode":1,"reason":"Error"}}}])",
         "0/2 | Error | 0"},
        {"one done, one not, ready", "",
         R"("phase":"Running","conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[
            {"name":"a","state":{"terminated":{"exitCode":0,"reason":"Completed"}}},
            {"name":"b","ready":true,"state":{"running":{}}}])",
         "1/2 | Running | 0"},
        {"one done, one not, not ready", "",
         R"("phase":"Running","containerStatuses":[
            {"name":"a","state":{"terminated":{"exitCode":0,"reason":"Completed"}}},
            {"name":"b","ready":true,"state":{"running":{}}}])",
         "1/2 | NotReady | 0"},
        {"all done", "",
         R"("phase":"Succeeded","containerStatuses":[
            {"name":"a","state":{"terminated":{"exitCode":0,"reason":"Completed"}}}])",
         "0/2 | Completed | 0"},
        {"the first init container runs", "",
         R"("phase":"Pending","initContainerStatuses":[{"name":"i","state":{"running":{}}},
            {"name":"j","state":{"waiting":{"reason":"PodInitializing"}}}])",
         "0/2 | Init:0/2 | 0"},
        {"the second waits", "",
         R"("phase":"Pending","initContainerStatuses":[
            {"name":"i","state":{"terminated":{"exitCode":0}}},
            {"name":"j","state":{"waiting":{"reason":"PodInitializing"}}}])",
         "0/2 | Init:1/2 | 0"},
        {"an init container's image", "",
         R"("phase":"Pending","initContainerStatuses":[{"name":"i","state":{"waiting":{"reason":"ImagePullBackOff"}}}])",
         "0/2 | Init:ImagePullBackOff | 0"},
        {"an init container failed", "",
         R"("phase":"Pending","initContainerStatuses":[{"name":"i","restartCount":1,"state":{"terminated":{"exitCode":3}}}])",
         "0/2 | Init:ExitCode:3 | 1"},
        {"an init container was killed", "",
         R"("phase":"Pending","initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":137,"signal":9}}}])",
         "0/2 | Init:Signal:9 | 0"},
        {"init done, not started yet", "",
         R"("phase":"Pending","initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":0}}}],
            "containerStatuses":[{"name":"a","state":{"waiting":{"reason":"PodInitializing"}}}])",
         "0/2 | PodInitializing | 0"},
        {"being deleted", R"("deletionTimestamp":"2026-01-01T00:59:00Z",)",
         R"("phase":"Running","containerStatuses":[{"name":"a","ready":true,"state":{"running":{}}}])",
         "1/2 | Terminating | 0"},
        {"deleted when done", R"("deletionTimestamp":"2026-01-01T00:59:00Z",)",
         R"("phase":"Succeeded")", "0/2 | Succeeded | 0"},
        {"its node is lost", R"("deletionTimestamp":"2026-01-01T00:59:00Z",)",
         R"("phase":"Running","reason":"NodeLost")", "0/2 | Unknown | 0"},
    };
    for (const auto& row : rows) {
        const std::string pod = concat(
            R"({"metadata":{)", row.metadata,
            R"("name":"p","creationTimestamp":"2026-01-01T00:58:00Z"},"spec":{"initContainers":[{"name":"i"},{"name":"j"}],"containers":[{"name":"a"},{"name":"b"}]},"status":{)",
            row.status, "}}");
        EXPECT_EQ(row_of("", "v1", "Pod", pod),
                  concat("p | ", row.cells, " | 2m | <none> | <none> | <none> | <none>"))
            << row.why;
    }
}

TEST(Printers, a_sidecar_counts_among_the_containers) {
    EXPECT_EQ(row_of("", "v1", "Pod", R"({"metadata":{"name":"p"},"spec":{"nodeName":"n",
        "initContainers":[{"name":"s","restartPolicy":"Always"}],"containers":[{"name":"a"}],
        "readinessGates":[{"conditionType":"x/y"},{"conditionType":"x/z"}]},
        "status":{"phase":"Running","podIPs":[{"ip":"10.0.0.9"}],"nominatedNodeName":"m",
        "conditions":[{"type":"x/y","status":"True"}],
        "initContainerStatuses":[{"name":"s","ready":true,"started":true,"restartCount":2,"state":{"running":{}}}],
        "containerStatuses":[{"name":"a","ready":true,"state":{"running":{}}}]}})"),
              "p | 2/2 | Running | 2 | <unknown> | 10.0.0.9 | n | m | 1/2");
}

TEST(Printers, the_other_kinds) {
    const struct {
        const char* group;
        const char* version;
        const char* kind;
        const char* object;
        const char* cells;
    } rows[] = {
        {"", "v1", "Node",
         R"({"metadata":{"name":"n","labels":{"node-role.kubernetes.io/worker":"","node-role.kubernetes.io/control-plane":"","kubernetes.io/role":"x"}},
             "spec":{"unschedulable":true},"status":{"conditions":[{"type":"Ready","status":"True"}],
             "addresses":[{"type":"InternalIP","address":"10.0.0.1"}],
             "nodeInfo":{"kubeletVersion":"v1.33.0","osImage":"Debian","kernelVersion":"6.1","containerRuntimeVersion":"containerd://1.6"}}})",
         "n | Ready,SchedulingDisabled | control-plane,worker,x | <unknown> | v1.33.0 | 10.0.0.1 | "
         "<none> | Debian | 6.1 | containerd://1.6"},
        {"", "v1", "Node",
         R"({"metadata":{"name":"n"},"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}})",
         "n | NotReady | <none> | <unknown> |  | <none> | <none> | <unknown> | <unknown> | "
         "<unknown>"},
        {"", "v1", "Node", R"({"metadata":{"name":"n"}})",
         "n | Unknown | <none> | <unknown> |  | <none> | <none> | <unknown> | <unknown> | "
         "<unknown>"},
        {"", "v1", "ConfigMap",
         R"({"metadata":{"name":"m"},"data":{"a":"1"},"binaryData":{"b":"AA=="}})",
         "m | 2 | <unknown>"},
        {"", "v1", "Secret", R"({"metadata":{"name":"s"},"type":"Opaque","data":{"a":"MQ=="}})",
         "s | Opaque | 1 | <unknown>"},
        {"", "v1", "Service",
         R"({"metadata":{"name":"s"},"spec":{"type":"NodePort","clusterIP":"10.1.0.1","clusterIPs":["10.1.0.1"],
             "ports":[{"port":80,"nodePort":30080,"protocol":"TCP"},{"port":53,"protocol":"UDP"}],"selector":{"b":"2","a":"1"}}})",
         "s | NodePort | 10.1.0.1 | <none> | 80:30080/TCP,53/UDP | <unknown> | a=1,b=2"},
        {"", "v1", "Service",
         R"({"metadata":{"name":"s"},"spec":{"type":"LoadBalancer","clusterIP":"10.1.0.1"}})",
         "s | LoadBalancer | 10.1.0.1 | <pending> | <none> | <unknown> | <none>"},
        {"", "v1", "Service",
         R"({"metadata":{"name":"s"},"spec":{"type":"ExternalName","externalName":"x.org"}})",
         "s | ExternalName | <none> | x.org | <none> | <unknown> | <none>"},
        {"", "v1", "Endpoints",
         R"({"metadata":{"name":"e"},"subsets":[{"addresses":[{"ip":"10.0.0.1"},{"ip":"10.0.0.2"}],"ports":[{"port":80},{"port":443}]}]})",
         "e | 10.0.0.1:80,10.0.0.2:80,10.0.0.1:443 + 1 more... | <unknown>"},
        {"", "v1", "Endpoints", R"({"metadata":{"name":"e"}})", "e | <none> | <unknown>"},
        {"coordination.k8s.io", "v1", "Lease",
         R"({"metadata":{"name":"l"},"spec":{"holderIdentity":"n"}})", "l | n | <unknown>"},
        {"certificates.k8s.io", "v1", "CertificateSigningRequest",
         R"({"metadata":{"name":"c"},"spec":{"signerName":"a.b/c","username":"u","expirationSeconds":3600},
             "status":{"conditions":[{"type":"Approved"}],"certificate":"QQ=="}})",
         "c | <unknown> | a.b/c | u | 60m | Approved,Issued"},
        {"", "v1", "Event",
         R"({"metadata":{"name":"v"},"type":"Normal","reason":"Started","message":" up \n","count":3,
             "involvedObject":{"kind":"Pod","name":"p","fieldPath":"spec.containers{a}"},
             "source":{"component":"agent","host":"n"},
             "firstTimestamp":"2026-01-01T00:50:00Z","lastTimestamp":"2026-01-01T00:59:30Z"})",
         "30s | Normal | Started | pod/p | spec.containers{a} | agent, n | up | 10m | 3 | v"},
        {"events.k8s.io", "v1", "Event",
         R"({"metadata":{"name":"v"},"type":"Normal","reason":"Started","note":"up",
             "regarding":{"kind":"Pod","name":"p"},"reportingController":"c","reportingInstance":"i",
             "eventTime":"2026-01-01T00:59:00.000000Z","series":{"count":5,"lastObservedTime":"2026-01-01T00:59:50.000000Z"}})",
         "10s | Normal | Started | pod/p |  | c, i | up | 60s | 5 | v"},
    };
    for (const auto& row : rows)
        EXPECT_EQ(row_of(row.group, row.version, row.kind, row.object), row.cells) << row.kind;
}

// A name that no function answers to would leave the cell empty for ever.
TEST(Printers, every_column_of_the_schema_has_its_function) {
    for (const Kind* kind : builtin_kinds())
        for (const Column& column : kind->columns)
            if (column.cell.starts_with('@')) {
                EXPECT_NE(printer_of(column.cell.substr(1)), nullptr) << kind->kind << column.cell;
            }
}

}   // namespace
}   // namespace skiff::api
