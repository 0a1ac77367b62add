#include "agent/pod_api.h"

#include "base/text.h"

namespace skiff::agent {

namespace {

class ClientPodApi final : public PodApi {
  public:
    explicit ClientPodApi(client::Client& client) : client_{client} {}

    Result<> patch_status(const Pod& pod, const std::string& patch) override {
        TRY(const auto answer,
            client_.patch_text(client::resource_of<Pod>(), key_of(pod),
                               client::PatchType::StrategicMerge, patch, "status"));
        static_cast<void>(answer);
        return {};
    }

    Result<> remove(const Pod& pod) override {
        auto done =
            client_.remove<Pod>(key_of(pod), {.uid = pod.metadata.uid, .grace_period_seconds = 0});
        const bool gone = !done && (done.error().reason == Reason::NotFound ||
                                    done.error().reason == Reason::Conflict);
        return gone ? Result<>{} : done;
    }

    Result<IssuedToken> token(const Pod& pod, const TokenWanted& wanted) override {
        using codec::Json;
        codec::Arena arena;
        Json spec = Json::object();
        if (!wanted.audience.empty()) {
            spec.make_array(arena, "audiences").push(arena, Json::string(arena, wanted.audience));
        }
        spec.set(arena, "expirationSeconds", Json::integer(wanted.seconds));
        Json& bound = spec.make_object(arena, "boundObjectRef");
        bound.set(arena, "apiVersion", Json::borrowed("v1"));
        bound.set(arena, "kind", Json::borrowed("Pod"));
        bound.set(arena, "name", Json::string(arena, pod.metadata.name));
        bound.set(arena, "uid", Json::string(arena, pod.metadata.uid));
        Json request = Json::object();
        request.set(arena, "apiVersion", Json::borrowed("authentication.k8s.io/v1"));
        request.set(arena, "kind", Json::borrowed("TokenRequest"));
        request.set(arena, "spec", spec);
        const auto& account = pod.spec.serviceAccountName;
        TRY(const Bytes answer,
            client_.create_text({"", "v1", "serviceaccounts"}, pod.metadata.namespace_,
                                codec::to_json(request),
                                account.empty() ? "default" : account.view(), "token"));
        TRY(const auto document, codec::parse_json(answer));
        IssuedToken issued{.token = std::string{document.root.text_at({"status", "token"})}};
        TRY(issued.expires,
            parse_rfc3339(document.root.text_at({"status", "expirationTimestamp"})));
        return issued;
    }

    Result<view::PersistentVolume> claimed(const Pod& pod, const Volume& volume) override {
        const client::ObjectKey key{pod.metadata.namespace_.str(), claim_name_of(pod, volume)};
        const auto where = concat("error processing PVC ", key.text());
        auto claim = client_.get<view::PersistentVolumeClaim>(key);
        if (!claim && claim.error().reason == Reason::NotFound)
            return fail(Reason::NotFound,
                        concat(where, ": failed to fetch PVC from API server: ",
                               "persistentvolumeclaim \"", key.name, "\" not found"));
        if (!claim) return std::unexpected{std::move(claim).error().in(where)};
        if (claim->spec.volumeName.empty() || claim->status.phase != "Bound")
            return fail(Reason::NotFound, concat(where, ": PVC is not bound"));
        auto found =
            client_.get<view::PersistentVolume>({.name_space = {}, .name = claim->spec.volumeName});
        if (!found) return std::unexpected{std::move(found).error().in(where)};
        TRY_OK(check_claim(*claim, *found));
        return found;
    }

  private:
    static client::ObjectKey key_of(const Pod& pod) {
        return {pod.metadata.namespace_.str(), pod.metadata.name};
    }
    client::Client& client_;
};

}   // namespace

std::unique_ptr<PodApi> make_pod_api(client::Client& client) {
    return std::make_unique<ClientPodApi>(client);
}

}   // namespace skiff::agent
