#include "controllers/certificate_controller.h"

#include <algorithm>

#include "base/text.h"

namespace skiff::controllers {
namespace {

using client::ObjectKey;
using client::Requeue;
using What = CertificateDecision::What;

constexpr std::string_view client_signer = "kubernetes.io/kube-apiserver-client";
constexpr std::string_view node_client_signer = "kubernetes.io/kube-apiserver-client-kubelet";
constexpr std::string_view node_serving_signer = "kubernetes.io/kubelet-serving";
constexpr std::string_view node_user_prefix = "system:node:";
constexpr auto kept_when_done = std::chrono::hours{1};
constexpr auto kept_when_pending = std::chrono::hours{24};
constexpr auto shortest_life = std::chrono::minutes{10};
constexpr auto longest_life = std::chrono::hours{24 * 365};

bool has(const auto& list, std::string_view entry) {
    return std::ranges::any_of(list,
                               [&](const auto& one) { return std::string_view{one} == entry; });
}

const auto* condition_of(const view::CertificateSigningRequest& request, std::string_view type) {
    for (const auto& condition : request.status.conditions)
        if (condition.type == type) return &condition;
    return static_cast<decltype(&request.status.conditions.front())>(nullptr);
}

bool is_node_identity(const ControllersOptions::CsrFacts& facts) {
    return facts.common_name.starts_with(node_user_prefix) &&
           facts.common_name.size() > node_user_prefix.size() &&
           facts.organizations == std::vector<std::string>{"system:nodes"};
}

bool built_in(std::string_view signer) {
    return signer == client_signer || signer == node_client_signer || signer == node_serving_signer;
}

// The one use and what TLS needs for it, nothing beside.
bool only_for(const view::CertificateSigningRequest& request, std::string_view use) {
    return has(request.spec.usages, use) &&
           std::ranges::all_of(request.spec.usages, [&](const auto& usage) {
               return usage == use || usage == "digital signature" || usage == "key encipherment";
           });
}

// A node's first client certificate, asked for by a bootstrap token, or the renewal by itself.
bool approvable_client(const view::CertificateSigningRequest& request,
                       const ControllersOptions::CsrFacts& facts) {
    if (!is_node_identity(facts) || !facts.dns_names.empty() || !facts.addresses.empty())
        return false;
    if (!only_for(request, "client auth")) return false;
    return has(request.spec.groups, "system:bootstrappers") ||
           request.spec.username == facts.common_name;
}

// A node's serving certificate carries its own name and addresses and nobody else's. It waits until
// the node has registered: before, there are no addresses to compare with.
bool approvable_serving(const view::CertificateSigningRequest& request,
                        const ControllersOptions::CsrFacts& facts, const view::Node* node) {
    if (!node || !is_node_identity(facts) || request.spec.username != facts.common_name)
        return false;
    if (!only_for(request, "server auth")) return false;
    const auto name = std::string_view{facts.common_name}.substr(node_user_prefix.size());
    const auto known = [&](std::string_view address) {
        if (address == "127.0.0.1" || address == "::1") return true;
        return std::ranges::any_of(node->status.addresses, [&](const auto& own) {
            return std::string_view{own.address} == address;
        });
    };
    const auto named = [&](std::string_view dns) {
        return dns == name || dns == "localhost" || known(dns);
    };
    return std::ranges::all_of(facts.dns_names, named) &&
           std::ranges::all_of(facts.addresses, known) &&
           !(facts.dns_names.empty() && facts.addresses.empty());
}

CertificateUse use_of(const view::CertificateSigningRequest& request) {
    CertificateUse use;
    const auto signer = std::string_view{request.spec.signerName};
    use.server_auth = signer == node_serving_signer;
    use.client_auth = !use.server_auth;
    if (request.spec.expirationSeconds)
        use.life = std::clamp<Duration>(std::chrono::seconds{*request.spec.expirationSeconds},
                                        shortest_life, longest_life);
    return use;
}

bool too_old(const view::CertificateSigningRequest& request, WallTime now) {
    const auto created = request.metadata.creationTimestamp;
    if (!created) return false;
    const bool done = condition_of(request, "Approved") || condition_of(request, "Denied") ||
                      condition_of(request, "Failed");
    return now - *created > (done ? Duration{kept_when_done} : Duration{kept_when_pending});
}

}   // namespace

CertificateDecision decide(const view::CertificateSigningRequest& request,
                           const ControllersOptions::CsrFacts& facts, const view::Node* node,
                           WallTime now) {
    if (too_old(request, now)) return {.what = What::Remove};
    const auto signer = std::string_view{request.spec.signerName};
    if (!built_in(signer)) return {};
    if (condition_of(request, "Denied") || condition_of(request, "Failed")) return {};
    if (condition_of(request, "Approved")) {
        if (!request.status.certificate.empty()) return {};
        if (signer == client_signer && has(facts.organizations, "system:masters"))
            return {.what = What::Fail,
                    .why =
                        "no certificate for the group system:masters is signed by "
                        "kubernetes.io/kube-apiserver-client"};
        if (signer != client_signer && !is_node_identity(facts))
            return {.what = What::Fail,
                    .why = "the subject must be system:node:NAME in the group system:nodes"};
        return {.what = What::Sign, .why = {}, .use = use_of(request)};
    }
    if (signer == node_client_signer && approvable_client(request, facts))
        return {.what = What::Approve,
                .why = "Auto approving kubelet client certificate after SubjectAccessReview."};
    if (signer == node_serving_signer && approvable_serving(request, facts, node))
        return {.what = What::Approve,
                .why = "The node asks for a serving certificate in its own name."};
    return {};
}

CertificateController::CertificateController(Executor& executor, Random& random,
                                             const ControllersOptions& options)
    : options_{options},
      clock_{executor.clock()},
      component_{executor, options, "certificate-controller"},
      requests_{executor, random, *component_.transport},
      nodes_{executor, random, *component_.transport},
      queue_{executor,
             [this](const ObjectKey& key) { return reconcile(key); },
             {.name = "certificates"}} {
    component_.plans.observe(client::resource_of<view::CertificateSigningRequest>(),
                             requests_.core());
    requests_.on_change([this](const auto&, const auto& now) {
        if (now) queue_.add({.name_space = {}, .name = now->metadata.name});
    });
    // What a serving certificate may carry is known with the node's addresses.
    nodes_.on_change([this](const auto& old, const auto& now) {
        if (!now || (old && old->status.addresses == now->status.addresses)) return;
        for (const auto& request : requests_.all())
            if (request->spec.signerName == node_serving_signer)
                queue_.add({.name_space = {}, .name = request->metadata.name});
    });
}

void CertificateController::start() {
    requests_.on_synced([this] { queue_.start(); });
    nodes_.start();
    requests_.start();
}

Result<Requeue> CertificateController::reconcile(const ObjectKey& key) {
    const auto request = requests_.find(key);
    if (!request) return Requeue::no();
    const auto pem = base64_decoded(request->spec.request).value_or(request->spec.request);
    auto facts = options_.inspect(pem);
    if (!facts) {
        if (too_old(*request, clock_.now())) return remove(*request);
        if (!built_in(request->spec.signerName) || condition_of(*request, "Failed"))
            return Requeue::in(kept_when_done);
        TRY_OK(reject(*request, facts.error().message));
        return Requeue::in(kept_when_done);
    }
    const auto node =
        facts->common_name.starts_with(node_user_prefix)
            ? nodes_.find(
                  {.name_space = {}, .name = facts->common_name.substr(node_user_prefix.size())})
            : nullptr;
    const auto decision = decide(*request, *facts, node.get(), clock_.now());
    switch (decision.what) {
    case What::Nothing: break;
    case What::Approve: TRY_OK(approve(*request, decision.why)); break;
    case What::Sign: TRY_OK(sign(*request, decision.use)); break;
    case What::Fail: TRY_OK(reject(*request, decision.why)); break;
    case What::Remove: return remove(*request);
    }
    return Requeue::in(kept_when_done);
}

namespace {

void add_condition(view::CertificateSigningRequest& request, std::string_view type,
                   std::string_view reason, const std::string& message, WallTime now) {
    auto& condition = request.status.conditions.emplace_back();
    condition.type = type;
    condition.status = "True";
    condition.reason = reason;
    condition.message = message;
    condition.lastUpdateTime = now;
}

}   // namespace

Result<Requeue> CertificateController::remove(const view::CertificateSigningRequest& request) {
    const auto done = component_.client.remove<view::CertificateSigningRequest>(
        {.name_space = {}, .name = request.metadata.name}, {.uid = request.metadata.uid});
    if (!done && done.error().reason != Reason::NotFound) return std::unexpected{done.error()};
    return Requeue::no();
}

Result<> CertificateController::approve(const view::CertificateSigningRequest& request,
                                        const std::string& why) {
    auto changed = request;
    add_condition(changed, "Approved", "AutoApproved", why, clock_.now());
    TRY_OK(component_.client.update(changed, {.name_space = {}, .name = request.metadata.name},
                                    "approval"));
    return {};
}

Result<> CertificateController::sign(const view::CertificateSigningRequest& request,
                                     const CertificateUse& use) {
    const auto pem = base64_decoded(request.spec.request).value_or(request.spec.request);
    TRY(const auto certificate, options_.sign(pem, use));
    auto changed = request;
    changed.status.certificate = certificate;   // a view holds bytes as they are
    TRY_OK(component_.client.update(changed, {.name_space = {}, .name = request.metadata.name},
                                    "status"));
    return {};
}

Result<> CertificateController::reject(const view::CertificateSigningRequest& request,
                                       const std::string& why) {
    auto changed = request;
    add_condition(changed, "Failed", "SignerValidationFailure", why, clock_.now());
    TRY_OK(component_.client.update(changed, {.name_space = {}, .name = request.metadata.name},
                                    "status"));
    return {};
}

}   // namespace skiff::controllers
