#include "scheduler/volume_binder.h"

#include <algorithm>

#include "base/text.h"
#include "codec/json.h"

namespace skiff::scheduler {
namespace {

constexpr auto bind_timeout = std::chrono::minutes{10};   // upstream's

client::ApiRequest merge_patch(std::string path, std::string body) {
    return {.method = "PATCH",
            .path = std::move(path),
            .query = {},
            .content_type = "application/merge-patch+json",
            .body = std::move(body)};
}

// Preconditions of a patch, as members of its metadata.
std::string only_if(const auto& object) {
    return concat(R"("uid":")", object.metadata.uid, R"(","resourceVersion":")",
                  object.metadata.resourceVersion, "\"");
}

client::ApiRequest set_aside(const view::PersistentVolume& volume,
                             const view::PersistentVolumeClaim& claim) {
    return merge_patch(
        concat("/api/v1/persistentvolumes/", volume.metadata.name),
        concat(R"({"metadata":{)", only_if(volume),
               volume.spec.claimRef
                   ? ""
                   : R"(,"annotations":{"pv.kubernetes.io/bound-by-controller":"yes"})",
               R"(},"spec":{"claimRef":{"kind":"PersistentVolumeClaim","apiVersion":"v1",)",
               R"("namespace":")", claim.metadata.namespace_.view(), R"(","name":")",
               claim.metadata.name, R"(","uid":")", claim.metadata.uid, R"(","resourceVersion":")",
               claim.metadata.resourceVersion, "\"}}}"));
}

client::ApiRequest select_node(const view::PersistentVolumeClaim& claim, std::string_view node) {
    return merge_patch(concat("/api/v1/namespaces/", claim.metadata.namespace_.view(),
                              "/persistentvolumeclaims/", claim.metadata.name),
                       concat(R"({"metadata":{)", only_if(claim), R"(,"annotations":{")",
                              selected_node, R"(":")", node, "\"}}}"));
}

bool bound(const view::PersistentVolumeClaim& claim) {
    return !claim.spec.volumeName.empty() && claim.metadata.annotations.contains(bind_completed);
}

}   // namespace

VolumeBinder::VolumeBinder(Executor& executor, Random& random, client::Transport& transport)
    : executor_{executor},
      transport_{transport},
      claims_{executor, random, transport},
      volumes_{executor, random, transport},
      classes_{executor, random, transport} {}

// Pods of other claims are left asleep: what wakes them has its own change.
void VolumeBinder::start(Post post, Changed changed, std::function<void()> synced) {
    post_ = std::move(post);
    claims_.on_change([this, changed](const auto& old, const auto& now) {
        post_([this, changed, claim = now ? now : old] { claim_changed(*claim, changed); });
    });
    volumes_.on_change([this, changed](const auto& old, const auto& now) {
        post_([this, changed, old, now] {
            changed([&](const view::Pod& pod) {
                return has_claim_that(pod, [&](const auto& claim) {
                    return (old && api::concerns(*old, claim)) ||
                           (now && api::concerns(*now, claim));
                });
            });
        });
    });
    classes_.on_change([this, changed](const auto& old, const auto& now) {
        post_([this, changed, name = (now ? now : old)->metadata.name] {
            changed([&](const view::Pod& pod) {
                return has_claim_that(
                    pod, [&](const auto& claim) { return api::class_of(claim) == name; });
            });
        });
    });
    classes_.on_synced([this] { volumes_.start(); });
    volumes_.on_synced([this] { claims_.start(); });
    claims_.on_synced(std::move(synced));
    classes_.start();
}

void VolumeBinder::claim_changed(const view::PersistentVolumeClaim& claim, const Changed& changed) {
    const auto& name = claim.metadata.name;
    const std::string_view name_space = claim.metadata.namespace_;
    std::vector<std::string> uids;
    for (const auto& [uid, one] : preparing_)
        if (std::ranges::any_of(one.choices, [&](const auto& choice) {
                return choice.claim->metadata.name == name &&
                       std::string_view{choice.claim->metadata.namespace_} == name_space;
            }))
            uids.push_back(uid);
    for (const auto& uid : uids) look_at(uid);
    changed([&](const view::Pod& pod) {
        return std::string_view{pod.metadata.namespace_} == name_space &&
               std::ranges::any_of(pod.spec.volumes, [&](const auto& volume) {
                   return api::claim_name(pod, volume) == name;
               });
    });
}

bool VolumeBinder::has_claim_that(
    const view::Pod& pod, const std::function<bool(const view::PersistentVolumeClaim&)>& is) const {
    return std::ranges::any_of(pod.spec.volumes, [&](const auto& volume) {
        auto name = api::claim_name(pod, volume);
        if (name.empty()) return false;
        const auto claim =
            claims_.find({.name_space = pod.metadata.namespace_.str(), .name = std::move(name)});
        return claim && is(*claim);
    });
}

void VolumeBinder::stop() {
    classes_.stop();
    volumes_.stop();
    claims_.stop();
    for (const auto& [uid, one] : preparing_)
        if (one.timer != TimerId::None) executor_.cancel(one.timer);
}

VolumeBinder::Look::Look(VolumeBinder& binder, const view::Pod& pod,
                         std::function<bool(const view::PersistentVolumeClaim&)> in_use)
    : volumes{binder.volumes_.all()},
      classes{binder.classes_.all()},
      facts{.claim =
                [&claims = binder.claims_](std::string_view name_space, std::string_view name) {
                    return claims.find(
                        {.name_space = std::string{name_space}, .name = std::string{name}});
                },
            .volumes = volumes,
            .classes = classes,
            .in_use = std::move(in_use)},
      needs{volume_needs(pod, facts)} {}

void VolumeBinder::prepare(const PodPtr& pod, const std::string& node,
                           std::vector<VolumeChoice> choices, Done done) {
    const auto& uid = pod->metadata.uid;
    auto& preparing = preparing_[uid];
    preparing = {.pod = pod,
                 .node = node,
                 .choices = std::move(choices),
                 .asked = {},
                 .done = std::move(done)};
    preparing.timer = executor_.after(bind_timeout, [post = post_, this, uid] {
        post([this, uid] { end(uid, fail(Reason::Timeout, "binding volumes: timed out")); });
    });
    for (const auto& choice : preparing.choices) ask(uid, choice, node);
}

void VolumeBinder::ask(const std::string& pod_uid, const VolumeChoice& choice,
                       const std::string& node) {
    const auto& claim = *choice.claim;
    if (!choice.volume) {
        const auto* has = claim.metadata.annotations.find(selected_node);
        if (has && std::string_view{*has} == node) return;   // of an earlier try
    }
    auto request = choice.volume ? set_aside(*choice.volume, claim) : select_node(claim, node);
    transport_.send(
        std::move(request), [post = post_, this, pod_uid](Result<client::ApiResponse> answer) {
            if (answer) return;
            post([this, pod_uid, error = answer.error()] { end(pod_uid, std::unexpected{error}); });
        });
}

void VolumeBinder::look_at(const std::string& pod_uid) {
    const auto found = preparing_.find(pod_uid);
    if (found == preparing_.end()) return;
    auto& preparing = found->second;
    bool all = true;
    for (const auto& [claim, volume] : preparing.choices) {
        const auto now = claims_.find(
            {.name_space = claim->metadata.namespace_.str(), .name = claim->metadata.name});
        if (!now || now->metadata.uid != claim->metadata.uid)
            return end(pod_uid,
                       fail(Reason::NotFound, concat("persistentvolumeclaim \"",
                                                     claim->metadata.name, "\" not found")));
        if (bound(*now)) continue;
        all = false;
        if (volume) continue;
        // A provisioner that cannot serve this node takes the choice back.
        auto& shown = preparing.asked[claim->metadata.uid];
        const auto* node = now->metadata.annotations.find(selected_node);
        if (node && std::string_view{*node} == preparing.node)
            shown = true;
        else if (shown)
            return end(pod_uid, fail(Reason::Conflict,
                                     "the provisioner could not make a volume on the node"));
    }
    if (all) end(pod_uid, {});
}

void VolumeBinder::end(const std::string& pod_uid, Result<> result) {
    const auto found = preparing_.find(pod_uid);
    if (found == preparing_.end()) return;
    const auto done = std::move(found->second.done);
    forget(pod_uid);
    done(std::move(result));
}

void VolumeBinder::forget(const std::string& pod_uid) {
    const auto found = preparing_.find(pod_uid);
    if (found == preparing_.end()) return;
    if (found->second.timer != TimerId::None) executor_.cancel(found->second.timer);
    preparing_.erase(found);
}

}   // namespace skiff::scheduler
