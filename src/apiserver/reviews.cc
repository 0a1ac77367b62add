#include "apiserver/reviews.h"

#include "api/normalize.h"
#include "apiserver/node_authorizer.h"
#include "apiserver/status.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

constexpr int64_t token_seconds_default = 3600;
constexpr int64_t token_seconds_min = 600;
constexpr int64_t token_seconds_max = 1LL << 32;

std::vector<std::string> texts_of(const Json* list) {
    std::vector<std::string> texts;
    if (list)
        for (const auto& item : list->items()) texts.emplace_back(item.text());
    return texts;
}

Json text_array(const std::vector<std::string>& texts, Arena& arena) {
    auto array = Json::array();
    for (const auto& text : texts) array.push(arena, Json::string(arena, text));
    return array;
}

Json user_info(const User& user, Arena& arena) {
    auto info = Json::object();
    info.set(arena, "username", Json::string(arena, user.name));
    if (!user.uid.empty()) info.set(arena, "uid", Json::string(arena, user.uid));
    info.set(arena, "groups", text_array(user.groups, arena));
    if (!user.extra.empty()) {
        auto& extra = info.make_object(arena, "extra");
        for (const auto& [key, values] : user.extra)
            extra.set(arena, key, text_array(values, arena));
    }
    return info;
}

// The question in a review's spec; the texts live in the review.
Question question_in(const Json& spec) {
    Question question;
    if (const auto* asked = spec.find("resourceAttributes"); asked && asked->is_object()) {
        question.verb = asked->text_at({"verb"});
        question.group = asked->text_at({"group"});
        question.version = asked->text_at({"version"});
        question.resource = asked->text_at({"resource"});
        question.subresource = asked->text_at({"subresource"});
        question.name_space = asked->text_at({"namespace"});
        question.name = asked->text_at({"name"});
        return question;
    }
    question.is_resource = false;
    question.verb = spec.text_at({"nonResourceAttributes", "verb"});
    question.path = spec.text_at({"nonResourceAttributes", "path"});
    return question;
}

User user_in(const Json& spec) {
    User user{.name = std::string{spec.text_at({"user"})},
              .uid = std::string{spec.text_at({"uid"})},
              .groups = texts_of(spec.find("groups")),
              .extra = {}};
    return user;
}

Result<> check_spec(const api::Kind& kind, const Json& spec) {
    const bool resource = spec.find("resourceAttributes") != nullptr;
    const bool other = spec.find("nonResourceAttributes") != nullptr;
    if (resource == other) {
        return fail(Reason::Invalid,
                    concat(kind.kind, ".", kind.group,
                           " \"\" is invalid: spec.resourceAttributes: Invalid value: "
                           "null: exactly one of nonResourceAttributes or resourceAttributes must "
                           "be specified"));
    }
    return {};
}

Result<> review_access(Call& call, const ReviewParts& parts, Document& review) {
    const auto& kind = *call.resource->kind;
    auto& spec = review.root.make_object(review.arena, "spec");
    TRY_OK(check_spec(kind, spec));
    const bool self = kind.kind == "SelfSubjectAccessReview";
    const auto user = self ? call.user : user_in(spec);
    if (!self && user.name.empty() && user.groups.empty())
        return fail(
            Reason::Invalid,
            "spec.user: Invalid value: \"\": at least one of user or group must be specified");
    if (kind.kind == "LocalSubjectAccessReview" &&
        spec.text_at({"resourceAttributes", "namespace"}) != call.info.name_space)
        return fail(Reason::BadRequest,
                    "spec.resourceAttributes.namespace must be the namespace of the request");
    auto status = Json::object();
    status.set_borrowed(review.arena, "allowed",
                        Json::boolean(parts.authorizer.allows(user, question_in(spec))));
    review.root.set_borrowed(review.arena, "status", status);
    return {};
}

Result<> review_rules(Call& call, const ReviewParts& parts, Document& review) {
    const auto rules =
        parts.authorizer.rules_for(call.user, review.root.text_at({"spec", "namespace"}));
    auto& arena = review.arena;
    auto status = Json::object();
    const auto list = [&](const std::vector<std::string>& texts) -> Result<Json> {
        auto array = Json::array();
        for (const auto& text : texts) {
            TRY(const auto rule, codec::parse_json_into(arena, text));
            array.push(arena, rule);
        }
        return array;
    };
    TRY(const auto resources, list(rules.resource_rules));
    TRY(const auto others, list(rules.non_resource_rules));
    status.set_borrowed(arena, "resourceRules", resources);
    status.set_borrowed(arena, "nonResourceRules", others);
    status.set_borrowed(arena, "incomplete", Json::boolean(false));
    review.root.set_borrowed(arena, "status", status);
    return {};
}

Result<> review_token(const ReviewParts& parts, Document& review) {
    auto& arena = review.arena;
    const auto token = std::string{review.root.text_at({"spec", "token"})};
    const auto audiences = texts_of(review.root.at_path({"spec", "audiences"}));
    auto status = Json::object();
    net::Request probe;
    probe.headers.add("authorization", concat("Bearer ", token));
    std::optional<Result<User>> user;
    std::optional<std::vector<std::string>> meant_for;
    if (!audiences.empty()) {
        user = parts.tokens.authenticate(token, audiences);
        if (user && *user) meant_for = parts.tokens.audiences_of(token);
    }
    if (!user) user = parts.authenticator.identify(probe);
    if (token.empty() || !*user) {
        status.set_borrowed(arena, "authenticated", Json::boolean(false));
        status.set(
            arena, "error",
            Json::string(arena, token.empty() ? "no token was given" : user->error().message));
    } else {
        status.set_borrowed(arena, "authenticated", Json::boolean(true));
        status.set_borrowed(arena, "user", user_info(**user, arena));
        auto shared = audiences;   // those of the asked ones that the token is for
        if (meant_for)
            std::erase_if(shared, [&](const auto& audience) {
                return std::ranges::find(*meant_for, audience) == meant_for->end();
            });
        if (!shared.empty()) status.set_borrowed(arena, "audiences", text_array(shared, arena));
    }
    review.root.set_borrowed(arena, "status", status);
    return {};
}

Result<> review_self(Call& call, Document& review) {
    auto status = Json::object();
    status.set_borrowed(review.arena, "userInfo", user_info(call.user, review.arena));
    review.root.set_borrowed(review.arena, "status", status);
    return {};
}

// The pod a token is bound to must exist, run as the account, and be the one that is meant.
Result<> bind_token(const Call& call, const Registry& registry, const Json& spec,
                    TokenSubject& subject) {
    const auto node = node_of(call.user);   // a node asks for its own pods only
    const auto* reference = spec.find("boundObjectRef");
    if (!reference || !reference->is_object()) {
        if (node.empty()) return {};
        return fail(Reason::Forbidden, "node requested token not bound to a pod");
    }
    if (reference->text_at({"kind"}) != "Pod")
        return fail(Reason::BadRequest, "spec.boundObjectRef.kind must be Pod");
    const auto& pods = registry.core("pods");
    const auto name = reference->text_at({"name"});
    const auto pod = registry.find(pods, call.info.name_space, name);
    if (!pod) return std::unexpected{not_found(pods, name)};
    TRY(const auto document, parse_current(*pod));
    const auto account = document.root.text_at({"spec", "serviceAccountName"});
    if ((account.empty() ? std::string_view{"default"} : account) != call.info.name)
        return fail(Reason::BadRequest,
                    concat("cannot bind token for serviceaccount \"", call.info.name,
                           "\" to pod running with different serviceaccount name."));
    if (!node.empty() && document.root.text_at({"spec", "nodeName"}) != node)
        return fail(Reason::Forbidden,
                    "node requested token bound to a pod scheduled on a different node");
    const auto uid = reference->text_at({"uid"});
    if (!uid.empty() && uid != metadata_text(document.root, "uid"))
        return std::unexpected{conflict(
            pods, name, "the UID in the bound object reference does not match the UID in record")};
    subject.pod = name;
    subject.pod_uid = metadata_text(document.root, "uid");
    return {};
}

Result<> issue_token(Call& call, const ReviewParts& parts, Document& request) {
    const auto& accounts = parts.registry.core("serviceaccounts");
    const auto account = parts.registry.find(accounts, call.info.name_space, call.info.name);
    if (!account) return std::unexpected{not_found(accounts, call.info.name)};
    auto& arena = request.arena;
    auto& spec = request.root.make_object(arena, "spec");
    TokenSubject subject{.name_space = call.info.name_space,
                         .account = call.info.name,
                         .account_uid = account->attributes ? account->attributes->uid : "",
                         .pod = {},
                         .pod_uid = {}};
    TRY_OK(bind_token(call, parts.registry, spec, subject));
    const auto* asked = spec.find("expirationSeconds");
    const int64_t seconds = asked && asked->is_integer() ? asked->as_int() : token_seconds_default;
    if (seconds < token_seconds_min) {
        return fail(Reason::Invalid, concat("spec.expirationSeconds: Invalid value: ", seconds,
                                            ": may not specify a duration less than 10 minutes"));
    }
    if (seconds > token_seconds_max) {
        return fail(
            Reason::Invalid,
            concat("spec.expirationSeconds: Too long: may not be more than ", token_seconds_max));
    }
    auto audiences = texts_of(spec.find("audiences"));
    if (audiences.empty()) audiences = {parts.tokens.issuer()};
    const auto& registry = parts.registry.parts();
    TRY(const auto token, parts.tokens.issue(subject, audiences, std::chrono::seconds{seconds},
                                             registry.random.uuid()));
    spec.set_borrowed(arena, "audiences", text_array(audiences, arena));
    spec.set_borrowed(arena, "expirationSeconds", Json::integer(seconds));
    auto status = Json::object();
    status.set(arena, "token", Json::string(arena, token));
    status.set(arena, "expirationTimestamp",
               Json::string(arena, rfc3339(registry.clock.now() + std::chrono::seconds{seconds})));
    request.root.set_borrowed(arena, "status", status);
    auto& metadata = metadata_of(request.root, arena);
    metadata.set(arena, "name", Json::string(arena, call.info.name));
    metadata.set(arena, "namespace", Json::string(arena, call.info.name_space));
    return {};
}

// As for what is stored: the path's namespace is the object's.
Result<> settle_namespace(const Call& call, Document& review) {
    if (!call.resource->namespaced) return {};
    auto& metadata = metadata_of(review.root, review.arena);
    const auto given = metadata_text(review.root, "namespace");
    if (!given.empty() && given != call.info.name_space)
        return fail(Reason::BadRequest,
                    "the namespace of the provided object does not match the namespace sent on the "
                    "request");
    metadata.set(review.arena, "namespace", Json::string(review.arena, call.info.name_space));
    return {};
}

const api::Kind& token_request_kind() {
    static const api::Kind kind{
        .group = "authentication.k8s.io",
        .version = "v1",
        .kind = "TokenRequest",
        .message = api::builtin_message("authentication.k8s.io.v1.TokenRequest"),
        .rules = "tokenrequest"};
    return kind;
}

}   // namespace

bool serve_review(const CallPtr& call, const ReviewParts& parts) {
    const auto& resource = *call->resource;
    const bool token_request = call->info.group.empty() &&
                               call->info.resource == "serviceaccounts" &&
                               call->info.subresource == "token";
    if ((resource.persistent && !token_request) || call->info.verb != "create") return false;
    if (!token_request && !call->info.subresource.empty()) return false;
    const auto& kind = token_request ? token_request_kind() : *resource.kind;
    if (kind.kind == "Binding" || !kind.message) return false;
    guard(call, [&]() -> Result<> {
        TRY(auto review, decode_body(*call, kind));
        TRY_OK(settle_namespace(*call, review));
        if (!kind.stored) {   // what an older version asks is checked where it is answered
            api::apply_defaults(kind, review.root, review.arena);
            if (auto causes = api::validate(kind, review.root, nullptr); !causes.empty())
                return std::unexpected{api::invalid_error(kind, "", std::move(causes))};
        }
        TRY_OK([&]() -> Result<> {
            if (token_request) return issue_token(*call, parts, review);
            if (kind.kind == "SelfSubjectRulesReview") return review_rules(*call, parts, review);
            if (kind.kind == "TokenReview") return review_token(parts, review);
            if (kind.kind == "SelfSubjectReview") return review_self(*call, review);
            return review_access(*call, parts, review);
        }());
        metadata_of(review.root, review.arena);
        answer_tree(*call, 201, kind, review.root, review.arena,
                    parts.registry.parts().clock.now());
        return {};
    });
    return true;
}

}   // namespace skiff::apiserver
