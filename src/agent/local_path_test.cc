// Which claims get a folder of this node, and which folders go, by tables.
#include "agent/local_path.h"

#include <gtest/gtest.h>

#include "api/view_testing.h"
#include "base/text.h"
#include "codec/json.h"

namespace skiff::agent {
namespace {

using api::of;

const LocalPathOptions here{.node_name = "n1", .folder = "/root/volumes", .note = {}};

view::PersistentVolumeClaim claim(std::string_view annotations, std::string_view spec = "") {
    return of<view::PersistentVolumeClaim>(concat(
        R"({"metadata":{"name":"c","namespace":"d","uid":"u","resourceVersion":"3","annotations":{)",
        annotations, R"(}},"spec":{"storageClassName":"k","accessModes":["ReadWriteOnce"],)",
        R"("resources":{"requests":{"storage":"1Gi"}})", spec, "}}"));
}
view::StorageClass storage_class(std::string_view mode,
                                 std::string_view provisioner = local_path_provisioner) {
    return of<view::StorageClass>(concat(R"({"metadata":{"name":"k"},"provisioner":")", provisioner,
                                         R"(","reclaimPolicy":"Retain","volumeBindingMode":")",
                                         mode, "\"}"));
}

constexpr std::string_view on_n1 = R"("volume.kubernetes.io/selected-node":"n1")";
constexpr std::string_view on_n2 = R"("volume.kubernetes.io/selected-node":"n2")";

TEST(LocalPath, the_node_of_the_claims_pod_makes_its_volume) {
    const auto waits = storage_class("WaitForFirstConsumer");
    const auto at_once = storage_class("Immediate");
    const struct {
        const char* why;
        view::PersistentVolumeClaim claim;
        const view::StorageClass& storage_class;
        bool made;
        bool told;
    } rows[] = {
        {"its pod comes here", claim(on_n1), waits, true, false},
        {"its pod goes elsewhere", claim(on_n2), waits, false, false},
        {"no pod yet", claim(""), waits, false, false},
        {"any node will do", claim(""), at_once, true, false},
        {"of another provisioner", claim(on_n1), storage_class("Immediate", "p"), false, false},
        {"it has one", claim(on_n1, R"(,"volumeName":"v")"), waits, false, false},
        {"a label of a new folder", claim(on_n1, R"(,"selector":{})"), waits, false, true},
        {"a raw device", claim(on_n1, R"(,"volumeMode":"Block")"), waits, false, true},
    };
    for (const auto& row : rows) {
        const auto due = provision(row.claim, row.storage_class, here);
        EXPECT_EQ(!due.volume.empty(), row.made) << row.why;
        EXPECT_EQ(!due.problem.empty(), row.told) << row.why;
    }
    const auto document = codec::parse_json(provision(claim(on_n1), waits, here).volume);
    ASSERT_TRUE(document);
    const auto& volume = document->root;
    EXPECT_EQ(volume.text_at({"metadata", "name"}), "pvc-u");
    EXPECT_EQ(volume.text_at({"spec", "hostPath", "path"}), "/root/volumes/pvc-u");
    EXPECT_EQ(volume.text_at({"spec", "claimRef", "uid"}), "u");
    EXPECT_EQ(volume.text_at({"spec", "persistentVolumeReclaimPolicy"}), "Retain");
    EXPECT_EQ(volume.text_at({"spec", "capacity", "storage"}), "1Gi");
    EXPECT_EQ(volume.text_at({"spec", "storageClassName"}), "k");
}

TEST(LocalPath, only_a_released_folder_of_ours_goes) {
    const auto volume = [](std::string_view phase, std::string_view policy = "Delete",
                           std::string_view path = "/root/volumes/pvc-u",
                           std::string_view by = local_path_provisioner,
                           std::string_view node = "n1") {
        return of<view::PersistentVolume>(concat(
            R"({"metadata":{"name":"pvc-u","annotations":{"pv.kubernetes.io/provisioned-by":")", by,
            R"("}},"spec":{"persistentVolumeReclaimPolicy":")", policy, R"(","hostPath":{"path":")",
            path, R"("},"nodeAffinity":{"required":{"nodeSelectorTerms":[{"matchExpressions":[)",
            R"({"key":"kubernetes.io/hostname","operator":"In","values":[")", node,
            R"("]}]}]}}},"status":{"phase":")", phase, "\"}}"));
    };
    EXPECT_EQ(folder_to_remove(volume("Released"), here), "/root/volumes/pvc-u");
    EXPECT_EQ(folder_to_remove(volume("Bound"), here), "");
    EXPECT_EQ(folder_to_remove(volume("Released", "Retain"), here), "");
    EXPECT_EQ(folder_to_remove(volume("Released", "Delete", "/etc"), here), "");
    EXPECT_EQ(folder_to_remove(volume("Released", "Delete", "/root/volumes/pvc-u", "p"), here), "");
    EXPECT_EQ(folder_to_remove(
                  volume("Released", "Delete", "/root/volumes/pvc-u", local_path_provisioner, "n2"),
                  here),
              "");
}

}   // namespace
}   // namespace skiff::agent
