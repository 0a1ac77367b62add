// What is in use does not go away: a claim stays while a pod uses it, a volume while it is bound.
// And the claims that pods bring along (generic ephemeral volumes, KEP-1698).
#pragma once

#include <functional>

#include "controllers/pod_facts.h"
#include "controllers/volume_controller.h"

namespace skiff::controllers {

inline constexpr std::string_view claim_protection = "kubernetes.io/pvc-protection";
inline constexpr std::string_view volume_protection = "kubernetes.io/pv-protection";

// Pure. `in_use` is asked only when the answer decides that the claim goes.
client::Plan plan_protection(const view::PersistentVolumeClaim& claim,
                             const std::function<bool()>& in_use);
client::Plan plan_protection(const view::PersistentVolume& volume);
// A finished pod uses nothing, one without a node nothing yet.
bool uses_claim(const view::Pod& pod, std::string_view claim);

// The claims that the pod's volumes ask for and that are not there. A claim of that name that is
// not the pod's own is told in `conflict`.
struct EphemeralClaims {
    client::Plan plan;
    std::string conflict;
};
EphemeralClaims plan_ephemeral_claims(
    const view::Pod& pod,
    const std::function<client::Shared<view::PersistentVolumeClaim>(const std::string& name)>&
        claim);

class VolumeProtection {
  public:
    VolumeProtection(Executor& executor, const ControllersOptions& options,
                     VolumeInformers& informers, client::Informer<view::Pod>& pods);
    void start();

  private:
    Result<client::Requeue> reconcile_claim(const client::ObjectKey& key);
    Result<client::Requeue> reconcile_volume(const client::ObjectKey& key);
    Result<client::Requeue> reconcile_pod(const client::ObjectKey& key);

    Component claim_part_;
    Component volume_part_;
    Component ephemeral_part_;
    VolumeInformers& informers_;
    client::Informer<view::Pod>& pods_informer_;
    client::EventRecorder events_;
    client::WorkQueue claims_;
    client::WorkQueue volumes_;
    client::WorkQueue pods_;
};

}   // namespace skiff::controllers
