// Every pod runs as a service account, and finds its token, the cluster's certificate and its
// namespace below /var/run/secrets/kubernetes.io/serviceaccount, unless pod or account decline.
#include <algorithm>

#include "apiserver/admission_plugins.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

constexpr std::string_view default_account = "default";
constexpr std::string_view token_path = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr std::string_view mirror_annotation = "kubernetes.io/config.mirror";
constexpr int64_t token_seconds = 3607;   // upstream's number, told apart from those asked for

std::optional<bool> switch_in(const Json& object, std::string_view key) {
    const auto* value = object.find(key);
    if (!value || !value->is_bool()) return std::nullopt;
    return value->as_bool();
}

bool mounts_token_path(const Json& container) {
    const auto* mounts = container.find("volumeMounts");
    return mounts && std::ranges::any_of(mounts->items(), [](const Json& mount) {
               return mount.text_at({"mountPath"}) == token_path;
           });
}

std::string token_volume(std::string_view name) {
    return concat(
        R"({"name":")", name,
        R"(","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":)", token_seconds,
        R"(,"path":"token"}},{"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}},{"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}]}}],"defaultMode":420}})");
}

// Adds the volume's mount where nothing is mounted yet. True: somewhere it was.
Result<bool> mount_token(Json& spec, Arena& arena, std::string_view volume) {
    bool mounted = false;
    for (const std::string_view list : {"initContainers", "containers"}) {
        auto* containers = spec.find(list);
        if (!containers) continue;
        for (auto& container : containers->items()) {
            if (mounts_token_path(container)) continue;
            TRY(auto mount,
                codec::parse_json_into(
                    arena, concat(R"({"name":")", volume, R"(","readOnly":true,"mountPath":")",
                                  token_path, R"("})")));
            auto* mounts = container.find("volumeMounts");
            if (!mounts) {
                container.set_borrowed(arena, "volumeMounts", Json::array());
                mounts = container.find("volumeMounts");
            }
            mounts->push(arena, mount);
            mounted = true;
        }
    }
    return mounted;
}

Result<> add_token(Json& spec, Arena& arena, Random& random) {
    const auto volume = concat("kube-api-access-", random.name_suffix());
    TRY(const bool mounted, mount_token(spec, arena, volume));
    if (!mounted) return {};
    TRY(auto entry, codec::parse_json_into(arena, token_volume(volume)));
    if (!spec.find("volumes")) spec.set_borrowed(arena, "volumes", Json::array());
    spec.find("volumes")->push(arena, entry);
    return {};
}

}   // namespace

Result<> service_account(Admission& admission) {
    const auto& kind = *admission.resource.stored;
    if (kind.kind != "Pod" || !kind.group.empty() || admission.operation != "CREATE" ||
        !admission.subresource.empty() || !admission.document)
        return {};
    auto& [arena, root] = *admission.document;
    const auto* annotations = root.at_path({"metadata", "annotations"});
    if (annotations && annotations->find(mirror_annotation)) return {};
    auto& spec = root.make_object(arena, "spec");
    if (spec.text_at({"serviceAccountName"}).empty()) {
        spec.set_borrowed(arena, "serviceAccountName", Json::borrowed(default_account));
        spec.set_borrowed(arena, "serviceAccount", Json::borrowed(default_account));
    }
    const std::string name{spec.text_at({"serviceAccountName"})};
    const auto& registry = admission.registry;
    const auto object = registry.find(registry.core("serviceaccounts"), admission.name_space, name);
    // `default` comes by itself a moment after its namespace: nobody has to wait for it.
    if (!object && name != default_account)
        return std::unexpected{
            denied(admission, concat("error looking up service account ", admission.name_space, "/",
                                     name, ": serviceaccount \"", name, "\" not found"))};
    Document account{.arena = {}, .root = Json::object()};
    if (object) {
        TRY(account, parse_current(*object));
    }
    const auto automount =
        switch_in(spec, "automountServiceAccountToken")
            .value_or(switch_in(account.root, "automountServiceAccountToken").value_or(true));
    const auto* secrets = account.root.find("imagePullSecrets");
    const auto* own = spec.find("imagePullSecrets");
    if (secrets && secrets->size() && (!own || !own->size()))
        spec.set_borrowed(arena, "imagePullSecrets", secrets->deep_copy(arena));
    if (!automount) return {};
    return add_token(spec, arena, registry.parts().random);
}

}   // namespace skiff::apiserver
