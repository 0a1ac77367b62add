#include "apiserver/reviews.h"

#include "api/normalize.h"
#include "apiserver/status.h"
#include "apiserver/token_request.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

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
    std::string reason;
    status.set_borrowed(review.arena, "allowed",
                        Json::boolean(parts.authorizer.decide(user, question_in(spec), reason)));
    if (!reason.empty()) status.set(review.arena, "reason", Json::string(review.arena, reason));
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
            if (token_request) return issue_token(*call, parts.registry, parts.tokens, review);
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
