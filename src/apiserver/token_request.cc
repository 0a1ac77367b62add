#include "apiserver/token_request.h"

#include <tuple>

#include "apiserver/node_authorizer.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

constexpr int64_t token_seconds_default = 3600;
constexpr int64_t token_seconds_min = 600;
constexpr int64_t token_seconds_max = 1LL << 32;

// A pod must run as the account, and on the node that asks.
Result<> check_pod(const Call& call, const Json& pod) {
    const auto account = pod.text_at({"spec", "serviceAccountName"});
    if ((account.empty() ? std::string_view{"default"} : account) != call.info.name)
        return fail(Reason::BadRequest,
                    concat("cannot bind token for serviceaccount \"", call.info.name,
                           "\" to pod running with different serviceaccount name."));
    const auto node = node_of(call.user);
    if (!node.empty() && pod.text_at({"spec", "nodeName"}) != node)
        return fail(Reason::Forbidden,
                    "node requested token bound to a pod scheduled on a different node");
    return {};
}

// The node that a pod's token tells of: the pod's, if it is known.
TokenSubject::Bound node_of_pod(const Registry& registry, const Json& pod) {
    TokenSubject::Bound node{.name = std::string{pod.text_at({"spec", "nodeName"})}, .uid = {}};
    if (node.name.empty()) return node;
    const auto object = registry.find(registry.core("nodes"), {}, node.name);
    if (object && object->attributes) node.uid = object->attributes->uid;
    return node;
}

Result<> bind_token(const Call& call, const Registry& registry, const Json& spec,
                    TokenSubject& subject) {
    const bool node_asks = !node_of(call.user).empty();   // for its own pods only
    const auto* reference = spec.find("boundObjectRef");
    const bool bound = reference && reference->is_object();
    const auto kind = bound ? reference->text_at({"kind"}) : std::string_view{};
    if (node_asks && kind != "Pod")
        return fail(Reason::Forbidden, "node requested token not bound to a pod");
    if (!bound) return {};
    const auto version = reference->text_at({"apiVersion"});
    const bool known = kind == "Pod" || kind == "Secret" || kind == "Node";
    if (!known || (version != "v1" && !version.empty())) {
        const auto [group, name] = split_api_version(version);
        return fail(Reason::BadRequest, concat("cannot bind token for object of type ", group, "/",
                                               name, ", Kind=", kind));
    }
    const auto& resource = registry.core(kind == "Pod"    ? "pods"
                                         : kind == "Node" ? "nodes"
                                                          : "secrets");
    const auto name = reference->text_at({"name"});
    const auto object =
        registry.find(resource, kind == "Node" ? "" : std::string_view{call.info.name_space}, name);
    if (!object) return std::unexpected{not_found(resource, name)};
    TRY(const auto document, parse_current(*object));
    if (kind == "Pod") TRY_OK(check_pod(call, document.root));
    const auto uid = reference->text_at({"uid"});
    const auto is = metadata_text(document.root, "uid");
    if (!uid.empty() && uid != is)
        return std::unexpected{conflict(
            resource, name,
            concat("the UID in the bound object reference (", uid,
                   ") does not match the UID in record. The object might have been deleted and "
                   "then recreated"))};
    auto& target = kind == "Pod" ? subject.pod : kind == "Node" ? subject.node : subject.secret;
    target = {.name = std::string{name}, .uid = std::string{is}};
    if (kind == "Pod") subject.node = node_of_pod(registry, document.root);
    return {};
}

Result<int64_t> life_of(const Json& spec) {
    const auto* asked = spec.find("expirationSeconds");
    const int64_t seconds = asked && asked->is_integer() ? asked->as_int() : token_seconds_default;
    if (seconds < token_seconds_min)
        return fail(Reason::Invalid, concat("spec.expirationSeconds: Invalid value: ", seconds,
                                            ": may not specify a duration less than 10 minutes"));
    if (seconds > token_seconds_max)
        return fail(
            Reason::Invalid,
            concat("spec.expirationSeconds: Too long: may not be more than ", token_seconds_max));
    return seconds;
}

// The secret holds the very token, for the very account.
bool secret_holds(const store::Object& object, const TokenSubject& subject,
                  std::string_view token) {
    const auto secret = parse_current(object);
    if (!secret || secret->root.text_at({"type"}) != token_secret_type) return false;
    if (secret->root.text_at({"metadata", "annotations", "kubernetes.io/service-account.name"}) !=
        subject.account)
        return false;
    const auto held = base64_decoded(secret->root.text_at({"data", "token"}));
    return held && *held == token;
}

}   // namespace

Result<> issue_token(const Call& call, const Registry& registry, const ServiceAccountTokens& tokens,
                     Document& request) {
    const auto& accounts = registry.core("serviceaccounts");
    const auto account = registry.find(accounts, call.info.name_space, call.info.name);
    if (!account) return std::unexpected{not_found(accounts, call.info.name)};
    auto& arena = request.arena;
    auto& spec = request.root.make_object(arena, "spec");
    TokenSubject subject;
    subject.name_space = call.info.name_space;
    subject.account = call.info.name;
    if (account->attributes) subject.account_uid = account->attributes->uid;
    TRY_OK(bind_token(call, registry, spec, subject));
    TRY(const auto seconds, life_of(spec));
    auto audiences = texts_of(spec.find("audiences"));
    if (audiences.empty()) audiences = {tokens.issuer()};
    const auto& parts = registry.parts();
    TRY(const auto token,
        tokens.issue(subject, audiences, std::chrono::seconds{seconds}, parts.random.uuid()));
    spec.set_borrowed(arena, "audiences", text_array(audiences, arena));
    spec.set_borrowed(arena, "expirationSeconds", Json::integer(seconds));
    auto status = Json::object();
    status.set(arena, "token", Json::string(arena, token));
    status.set(arena, "expirationTimestamp",
               Json::string(arena, rfc3339(parts.clock.now() + std::chrono::seconds{seconds})));
    request.root.set_borrowed(arena, "status", status);
    auto& metadata = metadata_of(request.root, arena);
    metadata.set(arena, "name", Json::string(arena, call.info.name));
    metadata.set(arena, "namespace", Json::string(arena, call.info.name_space));
    return {};
}

bool token_subject_lives(const Registry& registry, const TokenSubject& subject,
                         std::string_view token) {
    const auto is = [&](std::string_view plural, std::string_view name_space, std::string_view name,
                        std::string_view uid) {
        const auto object = registry.find(registry.core(plural), name_space, name);
        return object && object->attributes && object->attributes->uid == uid;
    };
    const auto& space = subject.name_space;
    if (!is("serviceaccounts", space, subject.account, subject.account_uid)) return false;
    if (subject.in_secret) {
        const auto secret = registry.find(registry.core("secrets"), space, subject.secret.name);
        return secret && secret_holds(*secret, subject, token);
    }
    const auto& [pod, secret, node] = std::tie(subject.pod, subject.secret, subject.node);
    if (!secret.name.empty() && !is("secrets", space, secret.name, secret.uid)) return false;
    if (!pod.name.empty()) return is("pods", space, pod.name, pod.uid);
    return node.name.empty() || is("nodes", {}, node.name, node.uid);
}

}   // namespace skiff::apiserver
