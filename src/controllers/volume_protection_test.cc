// What keeps claims and volumes from going, and the claims that pods bring along.
#include "controllers/volume_protection.h"

#include <gtest/gtest.h>

#include "api/view_testing.h"
#include "base/text.h"
#include "codec/json.h"

namespace skiff::controllers {
namespace {

using api::of;

constexpr std::string_view going = R"(,"deletionTimestamp":"2024-06-01T12:00:00Z")";

// "" for no write, else the finalizers that are left.
std::string left(const client::Plan& plan) {
    if (plan.empty()) return {};
    const auto document = codec::parse_json(plan.writes[0].body);
    EXPECT_FALSE(plan.writes[0].resource_version.empty());
    return codec::to_json(*document->root.at_path({"metadata", "finalizers"}));
}

TEST(VolumeProtection, a_claim_goes_when_no_pod_uses_it) {
    const auto claim = [](std::string_view finalizers, std::string_view more = "") {
        return of<view::PersistentVolumeClaim>(
            concat(R"({"metadata":{"name":"c","uid":"u","resourceVersion":"1","finalizers":[)",
                   finalizers, "]", more, "}}"));
    };
    constexpr std::string_view own = R"("kubernetes.io/pvc-protection")";
    constexpr std::string_view both = R"("example.com/x","kubernetes.io/pvc-protection")";
    const auto used = [] { return true; };
    const auto unused = [] { return false; };
    const auto nobody_asks = [] {
        ADD_FAILURE();
        return true;
    };
    EXPECT_EQ(left(plan_protection(claim(own), nobody_asks)), "");
    EXPECT_EQ(left(plan_protection(claim(""), nobody_asks)), concat("[", own, "]"));
    EXPECT_EQ(left(plan_protection(claim(own, going), used)), "");
    EXPECT_EQ(left(plan_protection(claim(own, going), unused)), "[]");
    EXPECT_EQ(left(plan_protection(claim(both, going), unused)), R"(["example.com/x"])");
    EXPECT_EQ(left(plan_protection(claim(R"("example.com/x")", going), nobody_asks)), "");
}

TEST(VolumeProtection, a_volume_goes_when_it_is_not_bound) {
    const auto volume = [](std::string_view phase, std::string_view more = "") {
        return of<view::PersistentVolume>(concat(
            R"({"metadata":{"name":"v","uid":"u","resourceVersion":"1","finalizers":)",
            R"(["kubernetes.io/pv-protection"])", more, R"(},"status":{"phase":")", phase, "\"}}"));
    };
    EXPECT_EQ(left(plan_protection(volume("Bound", going))), "");
    EXPECT_EQ(left(plan_protection(volume("Released", going))), "[]");
    EXPECT_EQ(left(plan_protection(volume("Available", going))), "[]");
    EXPECT_EQ(left(plan_protection(volume("Released"))), "");
}

view::Pod pod(std::string_view phase, std::string_view node, std::string_view more = "") {
    return of<view::Pod>(concat(
        R"({"metadata":{"name":"p","namespace":"d","uid":"pod")", more, R"(},"spec":{"nodeName":")",
        node, R"(","volumes":[{"name":"a","persistentVolumeClaim":{"claimName":"c"}},)",
        R"({"name":"e","ephemeral":{"volumeClaimTemplate":{"metadata":{"labels":{"k":"v"}},)",
        R"("spec":{"accessModes":["ReadWriteOnce"]}}}}]},"status":{"phase":")", phase, "\"}}"));
}

TEST(VolumeProtection, a_pod_uses_its_claims_while_it_may_run) {
    EXPECT_TRUE(uses_claim(pod("Running", "n"), "c"));
    EXPECT_TRUE(uses_claim(pod("Pending", "n"), "p-e"));
    EXPECT_FALSE(uses_claim(pod("Running", "n"), "other"));
    EXPECT_FALSE(uses_claim(pod("Succeeded", "n"), "c"));
    EXPECT_FALSE(uses_claim(pod("Pending", ""), "c")) << "it will not be started with it";
}

TEST(EphemeralVolumes, a_pod_brings_its_claim_along) {
    using ClaimPtr = client::Shared<view::PersistentVolumeClaim>;
    const auto none = [](const std::string&) { return ClaimPtr{}; };
    const auto made = plan_ephemeral_claims(pod("Pending", ""), none);
    ASSERT_EQ(made.plan.writes.size(), 1u);
    EXPECT_EQ(made.plan.writes[0].key.name, "p-e");
    const auto document = codec::parse_json(made.plan.writes[0].body);
    ASSERT_TRUE(document);
    const auto& claim = document->root;
    EXPECT_EQ(claim.text_at({"metadata", "labels", "k"}), "v");
    EXPECT_EQ(claim.at_path({"spec", "accessModes"})->items()[0].text(), "ReadWriteOnce");
    EXPECT_EQ(claim.at_path({"metadata", "ownerReferences"})->items()[0].text_at({"uid"}), "pod");
    EXPECT_TRUE(plan_ephemeral_claims(pod("Pending", "", going), none).plan.empty());

    const auto with_owner = [](std::string_view uid) {
        return [uid](const std::string&) {
            return std::make_shared<const view::PersistentVolumeClaim>(
                of<view::PersistentVolumeClaim>(concat(
                    R"({"metadata":{"name":"p-e","ownerReferences":[{"controller":true,"uid":")",
                    uid, "\"}]}}")));
        };
    };
    const auto own = plan_ephemeral_claims(pod("Pending", ""), with_owner("pod"));
    EXPECT_TRUE(own.plan.empty());
    EXPECT_EQ(own.conflict, "");
    const auto anothers = plan_ephemeral_claims(pod("Pending", ""), with_owner("other"));
    EXPECT_TRUE(anothers.plan.empty());
    EXPECT_EQ(anothers.conflict, "PVC d/p-e was not created for pod d/p (pod is not owner)");
}

}   // namespace
}   // namespace skiff::controllers
