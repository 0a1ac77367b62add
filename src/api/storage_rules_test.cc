#include "api/rules_testing.h"

namespace skiff::api {
namespace {

using testing::object_from;
using testing::problems_of;

const Kind& core(std::string_view kind) { return *builtin_kind("", "v1", kind); }

std::string volume_of(std::string_view more) {
    return concat(
        "metadata: {name: v}\nspec:\n  capacity: {storage: 1Gi}\n  accessModes: "
        "[ReadWriteOnce]\n",
        more);
}

TEST(StorageRules, volumes) {
    const Kind& kind = core("PersistentVolume");
    const std::string path = "  hostPath: {path: /data}\n";
    EXPECT_EQ(problems_of(kind, volume_of(path)), "");
    EXPECT_EQ(problems_of(kind, volume_of("")), "spec: Required value: must specify a volume type");
    EXPECT_EQ(problems_of(kind, volume_of(path + "  nfs: {server: s, path: /p}\n")),
              "spec.nfs: Forbidden: may not specify more than 1 volume type");
    EXPECT_EQ(problems_of(kind, volume_of("  local: {path: /data}\n")),
              "spec.nodeAffinity: Required value: Local volume requires node affinity");
    EXPECT_EQ(problems_of(kind, "metadata: {name: v}\nspec: {hostPath: {path: /d}}"),
              "spec.capacity: Required value\nspec.accessModes: Required value");
    EXPECT_EQ(problems_of(kind, volume_of("  hostPath: {path: /other}\n"), volume_of(path)),
              "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable "
              "after creation");
    const auto made = object_from(kind, volume_of(path));
    EXPECT_EQ(made.root.text_at({"spec", "persistentVolumeReclaimPolicy"}), "Retain");
    EXPECT_EQ(made.root.text_at({"spec", "volumeMode"}), "Filesystem");
}

std::string claim_of(std::string_view size, std::string_view more = "",
                     std::string_view status = "") {
    return concat(
        "metadata: {name: c, namespace: space}\nspec:\n  accessModes: [ReadWriteOnce]\n  "
        "resources: {requests: {storage: ",
        size, "}}\n", more, status);
}

TEST(StorageRules, claims) {
    const Kind& kind = core("PersistentVolumeClaim");
    EXPECT_EQ(problems_of(kind, claim_of("1Gi")), "");
    EXPECT_EQ(problems_of(kind, "metadata: {name: c, namespace: space}\nspec: {}"),
              "spec.accessModes: Required value: at least 1 access mode is required\n"
              "spec.resources[storage]: Required value");
    constexpr std::string_view immutable =
        "spec: Forbidden: spec is immutable after creation except resources.requests and "
        "volumeAttributesClassName for bound claims";
    EXPECT_EQ(problems_of(kind, claim_of("1Gi", "  volumeName: v\n"), claim_of("1Gi")), "");
    EXPECT_EQ(problems_of(kind, claim_of("2Gi"), claim_of("1Gi")), immutable);
    const std::string_view bound = "status: {phase: Bound, capacity: {storage: 2Gi}}\n";
    const std::string old = claim_of("2Gi", "", bound);
    EXPECT_EQ(problems_of(kind, claim_of("3Gi", "", bound), old), "");
    EXPECT_EQ(problems_of(kind, claim_of("1Gi", "", bound), old),
              "spec.resources.requests.storage: Forbidden: field can not be less than "
              "status.capacity");
    EXPECT_EQ(problems_of(kind, claim_of("2Gi", "  storageClassName: b\n"),
                          claim_of("2Gi", "  storageClassName: a\n")),
              immutable);
}

TEST(StorageRules, classes_do_not_change) {
    const Kind& kind = *builtin_kind("storage.k8s.io", "v1", "StorageClass");
    const std::string old = "metadata: {name: c}\nprovisioner: a.b/c\n";
    EXPECT_EQ(problems_of(kind, old), "");
    EXPECT_EQ(problems_of(kind, "metadata: {name: c}\nprovisioner: x\nparameters: {a: b}\n", old),
              "parameters: Forbidden: updates to parameters are forbidden.\n"
              "provisioner: Forbidden: updates to provisioner are forbidden.");
    EXPECT_EQ(
        problems_of(kind, old + "reclaimPolicy: Recycle\n"),
        R"(reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain")");
}

TEST(StorageRules, ranges_and_quotas) {
    const Kind& range = core("LimitRange");
    const auto made = object_from(range, R"(
metadata: {name: r, namespace: space}
spec: {limits: [{type: Container, max: {cpu: "2"}, min: {memory: 1Mi}}]})");
    EXPECT_EQ(codec::to_json(made.root.at_path({"spec", "limits"})->items()[0]),
              R"({"type":"Container","max":{"cpu":"2"},"min":{"memory":"1Mi"},)"
              R"("default":{"cpu":"2"},"defaultRequest":{"cpu":"2","memory":"1Mi"}})");
    EXPECT_EQ(problems_of(range, R"(
metadata: {name: r, namespace: space}
spec: {limits: [{type: Pod, max: {cpu: "1"}, min: {cpu: "2"}}]})"),
              "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max "
              "value 1");
    const Kind& quota = core("ResourceQuota");
    EXPECT_EQ(problems_of(quota, R"(
metadata: {name: q, namespace: space}
spec: {hard: {pods: 500m, cpu: 500m, bananas: 1, count/jobs.batch: 1}})"),
              "spec.hard[pods]: Invalid value: \"500m\": must be an integer\n"
              "spec.hard[bananas]: Invalid value: \"bananas\": must be a standard resource for "
              "quota");
}

}   // namespace
}   // namespace skiff::api
