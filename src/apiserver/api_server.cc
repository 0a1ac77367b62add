#include "apiserver/api_server.h"

#include "api/openapi.h"
#include "apiserver/component_status.h"
#include "apiserver/discovery.h"
#include "apiserver/local_transport.h"
#include "apiserver/removed_kinds.h"
#include "apiserver/status.h"
#include "apiserver/token_request.h"
#include "apiserver/version.h"
#include "apiserver/watch_source.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

Ipv4Range range_of(const std::string& cidr) {
    const auto range = parse_ipv4_range(cidr);
    ASSERT(range.has_value());   // it was checked when the cluster was made
    return *range;
}

// A version is legacy when it only shows what another one stores, and clients are told to leave it.
std::vector<const api::Kind*> served_kinds(bool legacy_versions) {
    std::vector<const api::Kind*> kinds;
    for (const auto* kind : api::builtin_kinds())
        if (legacy_versions || !kind->deprecated || &api::stored_kind(*kind) == kind)
            kinds.push_back(kind);
    return kinds;
}

}   // namespace

ApiServer::ApiServer(store::Store& store, Clock& clock, Random& random, Executor& executor,
                     ApiServerOptions options)
    : store_{store},
      clock_{clock},
      random_{random},
      executor_{executor},
      kinds_{served_kinds(options.legacy_versions)},
      catalog_{kinds_, store},
      node_authorizer_{fixed_authorizer(), store_, catalog_},
      authorizer_{node_authorizer_, store_, catalog_},
      registry_{{.store = store_,
                 .catalog = catalog_,
                 .clock = clock_,
                 .random = random_,
                 .executor = executor_,
                 .service_range = range_of(options.service_cidr),
                 .authorizer = &authorizer_}},
      tokens_{std::move(options.service_account_key_pem), options.issuer, clock_},
      node_proxy_{registry_, std::move(options.node_tls), std::move(options.node_addresses)},
      external_address_{std::move(options.external_address)},
      resource_metrics_{registry_,
                        [this](std::string_view node) { return node_proxy_.endpoint_of(node); }} {
    tokens_.set_exists([this](const TokenSubject& subject, std::string_view token) {
        return token_subject_lives(registry_, subject, token);
    });
    authenticator_.add(static_tokens(std::move(options.tokens), clock_));
    for (auto& tokens : options.token_authenticators) authenticator_.add(std::move(tokens));
    authenticator_.add([this](std::string_view token) { return tokens_.authenticate(token); });
}

ApiServer::~ApiServer() = default;

Result<std::string> ApiServer::secret_token(const SecretTokenSubject& of) const {
    TokenSubject subject;
    subject.name_space = of.name_space;
    subject.account = of.account;
    subject.account_uid = of.account_uid;
    subject.secret.name = of.secret;
    return tokens_.issue_for_secret(subject);
}

net::Handler ApiServer::handler() {
    return [this](net::Request request, std::shared_ptr<net::Responder> responder) {
        serve(std::make_shared<Call>(std::move(request), std::move(responder), nullptr));
    };
}

std::unique_ptr<client::Transport> ApiServer::transport_as(User user) {
    return make_local_transport(*this, std::move(user));
}

namespace {

// Each part of who is acted as is asked about by itself; the texts live in `other` and `request`.
std::vector<Question> impersonation_questions(const User& other) {
    const auto parts = split(other.name, ':');
    const bool account = parts.size() == 4 && parts[0] == "system" && parts[1] == "serviceaccount";
    std::vector<Question> questions;
    if (account)
        questions.push_back({.verb = "impersonate",
                             .resource = "serviceaccounts",
                             .name_space = parts[2],
                             .name = parts[3]});
    else
        questions.push_back({.verb = "impersonate", .resource = "users", .name = other.name});
    constexpr std::string_view group = "authentication.k8s.io";
    if (!other.uid.empty())
        questions.push_back(
            {.verb = "impersonate", .group = group, .resource = "uids", .name = other.uid});
    for (const auto& [key, values] : other.extra)
        for (const auto& value : values)
            questions.push_back({.verb = "impersonate",
                                 .group = group,
                                 .resource = "userextras",
                                 .subresource = key,
                                 .name = value});
    for (const auto& name : other.groups) {
        const bool own = account && (name == "system:serviceaccounts" ||
                                     name == concat("system:serviceaccounts:", parts[2]));
        if (own || name == "system:authenticated") continue;   // come with the name
        questions.push_back({.verb = "impersonate", .resource = "groups", .name = name});
    }
    return questions;
}

}   // namespace

// What is asked, by whom, may they, and is it served.
void ApiServer::serve(const CallPtr& call) {
    guard(call, [&]() -> Result<> {
        auto user = authenticator_.identify(call->request);
        if (user) call->user = std::move(*user);
        static_cast<void>(begin(call));   // what is wrong with it is for who may ask: prepare
        if (!user) return std::unexpected{std::move(user).error()};
        TRY(const auto other, impersonated(call->request));
        if (other) {
            call->impersonates = true;
            const auto user_before = std::exchange(call->user, *other);
            for (const auto& question : impersonation_questions(*other))
                if (!authorizer_.allows(user_before, question))
                    return std::unexpected{forbidden(user_before, question)};
        }
        serve_authenticated(call);
        return {};
    });
}

namespace {

// A metric's label must not be whatever a client calls its method.
std::string_view known_verb(std::string_view verb) {
    constexpr std::string_view verbs[] = {"get",    "list",  "watch",  "create",
                                          "update", "patch", "delete", "deletecollection",
                                          "head",   "post",  "put",    "options"};
    const auto* found = std::ranges::find(verbs, verb);
    return found == std::end(verbs) ? std::string_view{"other"} : *found;
}

}   // namespace

// What is asked, read once. The audit log is told from here on, whatever becomes of it.
Result<> ApiServer::begin(const CallPtr& call) {
    if (call->understood) return *call->understood;
    auto info = parse_request_info(call->request);
    if (info) call->info = std::move(*info);
    call->understood = info ? Result<>{} : std::unexpected{info.error()};
    if (audit_) call->audit = audit_->begin(call->user, call->info, call->request);
    if (!call->audit) return *call->understood;
    audit_->tell(*call, *call->audit, AuditStage::RequestReceived, nullptr);
    call->on_response = [log = audit_, raw = call.get()](net::Response& response) {
        audit_answer(log, *raw, response);
    };
    return *call->understood;
}

Result<> ApiServer::prepare(const CallPtr& asked) {
    auto& call = *asked;
    TRY_OK(begin(asked));
    TRY(call.options, parse_request_options(call.request));
    if (call.info.is_resource) {
        call.resource = catalog_.find(call.info.group, call.info.version, call.info.resource);
    }
    const auto started = clock_.monotonic();
    call.when_answered([this, started, verb = call.info.verb, known = call.resource != nullptr,
                        resource = call.info.resource](int status) {
        metrics_.count(known_verb(verb), known ? resource : "", status,
                       clock_.monotonic() - started);
    });
    auto question = question_of(call.info);
    if (question.name.empty() && question.is_resource && question.verb != "create")
        question.name = selected_name(call.options.field_selector);
    if (!call.audit) {
        if (!authorizer_.allows(call.user, question))
            return std::unexpected{forbidden(call.user, question)};
        return {};
    }
    std::string reason;
    const bool allowed = authorizer_.decide(call.user, question, reason);
    call.annotate("authorization.k8s.io/decision", allowed ? "allow" : "forbid");
    call.annotate("authorization.k8s.io/reason", std::move(reason));
    if (!allowed) return std::unexpected{forbidden(call.user, question)};
    return {};
}

void ApiServer::serve_authenticated(const CallPtr& call) {
    guard(call, [&]() -> Result<> {
        TRY_OK(prepare(call));
        dispatch(call);
        return {};
    });
}

Result<std::unique_ptr<WatchFeed>> ApiServer::open_watch(const CallPtr& call,
                                                         std::function<void()> notify) {
    TRY_OK(prepare(call));
    if (!call->resource || !call->resource->persistent)
        return fail(Reason::NotFound, "the server could not find the requested resource");
    if (!call->resource->namespaced) call->info.name_space.clear();   // a namespace's own name
    call->answer({});
    return WatchFeed::open(*call, store_, *call->resource, std::move(notify));
}

namespace {

Error no_such_resource() {
    return {.reason = Reason::NotFound,
            .message = "the server could not find the requested resource"};
}

Error not_allowed() {
    return {.reason = Reason::MethodNotAllowed,
            .message = "the server does not allow this method on the requested resource"};
}

// As upstream words it: "events.k8s.io/v1beta1 Event is deprecated in v1.19+; use events.k8s.io/v1
// Event".
std::string deprecation_of(const ServedResource& resource) {
    const auto& kind = *resource.kind;
    auto text = concat(resource.api_version(), " ", kind.kind, " is deprecated");
    if (!kind.deprecated_since.empty()) append(text, " in ", kind.deprecated_since, "+");
    if (!kind.replacement.empty()) append(text, "; use ", kind.replacement);
    return text;
}

// Whether upstream has a route for such a path at all: a namespace before what has none, or one
// object of what has one without it, are no paths.
bool is_routed(const ServedResource& resource, const RequestInfo& info) {
    if (resource.namespaced) return info.name.empty() || !info.name_space.empty();
    const bool own = resource.kind->plural == "namespaces" && resource.kind->group.empty();
    return own ? info.name_space == info.name : info.name_space.empty();
}

// Whether the verb is served at this path: on the collection of all namespaces only reads are, a
// POST names no object, PUT and PATCH name one. Proxies take what comes.
bool takes_verb(const ServedResource& resource, const api::Subresource* sub,
                const RequestInfo& info) {
    if (sub) {
        if (sub->name == "proxy") return true;
        const auto verbs = split(sub->verbs, ',');
        return std::ranges::find(verbs, info.verb) != verbs.end();
    }
    if (!resource.has_verb(info.verb)) return false;
    const bool reads = info.verb == "get" || info.verb == "list" || info.verb == "watch";
    if (reads) return true;
    if (resource.namespaced && info.name_space.empty()) return false;
    const bool on_collection = info.verb == "create" || info.verb == "deletecollection";
    return on_collection == info.name.empty();
}

constexpr size_t inline_body_bytes_max = 64u << 10;   // a larger one is not worked on a loop

}   // namespace

void ApiServer::dispatch(const CallPtr& call) {
    if (!call->info.is_resource) {
        if (serve_discovery(*call, catalog_) || serve_plain(call) || serve_openapi(call)) return;
        return call->answer(text_response(404, "404 page not found\n"));
    }
    const auto& info = call->info;
    // kubectl asks for these before it says that a kind is unknown; until they can be made there
    // are none, which is an answer.
    if (!call->resource && info.group == "apiextensions.k8s.io" &&
        info.resource == "customresourcedefinitions" && info.verb == "list") {
        return call->answer(json_response(
            200,
            R"({"kind":"CustomResourceDefinitionList","apiVersion":"apiextensions.k8s.io/v1","metadata":{"resourceVersion":"1"},"items":[]})"));
    }
    if (!call->resource) {
        auto error = no_such_resource();
        if (const auto advice = removed_kind_advice(info.group, info.resource); !advice.empty())
            append(error.message, ": ", advice);
        return call->fail(error);
    }
    const auto* sub =
        info.subresource.empty() ? nullptr : call->resource->subresource(info.subresource);
    if (!info.subresource.empty() && !sub) return call->fail(no_such_resource());
    if (!is_routed(*call->resource, info)) return call->fail(no_such_resource());
    if (!takes_verb(*call->resource, sub, info)) return call->fail(not_allowed());
    // A namespace's own requests carry its name as their namespace (RequestInfo), the store not.
    if (!call->resource->namespaced) call->info.name_space.clear();
    if (call->resource->kind->deprecated) call->warnings.push_back(deprecation_of(*call->resource));
    if (node_proxy_.serve(call)) return;
    auto accepted = negotiate(call->request.headers);
    if (!accepted) return call->fail(accepted.error());
    call->accepted = *accepted;
    const auto work = [this, call] {
        if (serve_review(call, {registry_, authorizer_, tokens_, authenticator_})) return;
        if (serve_component_status(call, registry_, ready_) || resource_metrics_.serve(call))
            return;
        if (!call->resource->persistent && call->info.resource != "bindings")
            return call->fail(not_allowed());
        if (call->info.verb == "watch") return serve_watch(call, registry_.parts());
        registry_.serve(call);
    };
    if (call->request.body.size() > inline_body_bytes_max)
        executor_.post(work);
    else
        work();
}

std::string ApiServer::audit_metrics() const {
    if (!audit_) return {};
    const auto now = audit_->statistics();
    return concat(
        "# HELP apiserver_audit_event_total Events of the audit log.\n"
        "# TYPE apiserver_audit_event_total counter\napiserver_audit_event_total ",
        now.events,
        "\n# HELP apiserver_audit_error_total Events that could not be kept.\n"
        "# TYPE apiserver_audit_error_total counter\napiserver_audit_error_total ",
        now.dropped, "\n");
}

// OIDC discovery of the issuer of service account tokens.
bool ApiServer::serve_issuer(const CallPtr& call) {
    const auto document = [&](std::string body, std::string_view type) {
        auto response = json_response(200, std::move(body));
        response.headers.set("content-type", type);
        response.headers.add("cache-control", "public, max-age=3600");
        call->answer(std::move(response));
        return true;
    };
    const auto& path = call->info.path;
    if (path == "/openid/v1/jwks") return document(tokens_.key_set(), "application/jwk-set+json");
    if (path != "/.well-known/openid-configuration") return false;
    return document(
        concat(
            R"({"issuer":")", tokens_.issuer(), R"(","jwks_uri":"https://)", external_address_,
            R"(/openid/v1/jwks","response_types_supported":["id_token"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["ES256"]})"),
        "application/json");
}

bool ApiServer::serve_plain(const CallPtr& call) {
    const auto& path = call->info.path;
    if (call->request.method != "GET" && call->request.method != "HEAD") return false;
    if (path == "/version") return call->answer(json_response(200, version_json())), true;
    if (path == "/metrics") {
        call->answer(
            text_response(200, concat(metrics_.text(store_.statistics()), audit_metrics())));
        return true;
    }
    if (serve_issuer(call)) return true;
    const bool ready = path == "/readyz" || path.starts_with("/readyz/");
    if (ready || path == "/healthz" || path == "/livez" || path.starts_with("/livez/")) {
        const bool well = !ready || ready_;
        const auto name = path.substr(1, path.find('/', 1) - 1);
        const bool verbose = std::ranges::any_of(
            call->options.query, [](const auto& q) { return q.first == "verbose"; });
        if (!verbose && well) return call->answer(text_response(200, "ok")), true;
        auto text =
            concat("[+]ping ok\n",
                   well ? "[+]store ok\n" : "[-]store failed: the server is starting or stopping\n",
                   name, well ? " check passed\n" : " check failed\n");
        call->answer(text_response(well ? 200 : 500, std::move(text)));
        return true;
    }
    if (path == "/") {
        call->answer(json_response(
            200,
            R"({"paths":["/.well-known/openid-configuration","/api","/api/v1","/apis","/healthz","/livez","/metrics","/openapi/v2","/openapi/v3","/openid/v1/jwks","/readyz","/version"]})"));
        return true;
    }
    return false;
}

namespace {

// 304 when the client has it already. Documents change with the binary only.
void answer_document(Call& call, std::string body, std::string_view type) {
    const auto tag = concat('"', hex(net::sha256(body)), '"');
    const bool known = call.request.headers.has_token("if-none-match", tag) ||
                       call.request.headers.has_token("if-none-match", "*");
    auto response = known ? net::Response{.status = 304} : json_response(200, std::move(body));
    if (!known) response.headers.set("content-type", type);
    response.headers.add("etag", tag);
    response.headers.add("vary", "Accept");
    call.answer(std::move(response));
}

std::string openapi_v3_of(std::span<const api::Kind* const> kinds, std::string_view rest) {
    if (rest.starts_with("api/"))
        return api::openapi_v3(kinds, {.group = {}, .version = rest.substr(4)});
    if (!rest.starts_with("apis/")) return {};
    const auto [group, version] = cut(rest.substr(5), '/');
    return api::openapi_v3(kinds, {.group = group, .version = version.value_or("")});
}

}   // namespace

bool ApiServer::serve_openapi(const CallPtr& call) {
    const auto path = std::string_view{call->info.path};
    static constexpr std::string_view v3 = "/openapi/v3/";
    if (call->request.method != "GET" && call->request.method != "HEAD") return false;
    if (path != "/openapi/v2" && path != "/openapi/v3" && !path.starts_with(v3)) return false;
    executor_.post([this, call, path = std::string{path}] {
        const auto kinds = catalog_.kinds();
        if (path == "/openapi/v2") {
            const auto accept = call->request.headers.find("accept").value_or("");
            if (accept.find("com.github.proto-openapi.spec.v2") == std::string_view::npos)
                return answer_document(*call, api::openapi_v2(kinds), "application/json");
            return answer_document(*call, api::openapi_v2_protobuf(kinds),
                                   "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
        }
        auto body = path == "/openapi/v3" ? api::openapi_v3_index(kinds)
                                          : openapi_v3_of(kinds, path.substr(v3.size()));
        if (body.empty()) return call->answer(text_response(404, "404 page not found\n"));
        answer_document(*call, std::move(body), "application/json");
    });
    return true;
}

namespace {

// Which stored kind a full key ("/registry/pods/default/web") belongs to: the longest prefix.
const api::Kind* kind_of_key(std::string_view key) {
    const api::Kind* found = nullptr;
    for (const auto* kind : api::builtin_kinds()) {
        if (kind->stored && kind->stored != kind) continue;
        if (kind->storage_prefix.empty() || !key.starts_with(kind->storage_prefix)) continue;
        if (!found || kind->storage_prefix.size() > found->storage_prefix.size()) found = kind;
    }
    return found;
}

}   // namespace

std::shared_ptr<const store::Attributes> ApiServer::describe(std::string_view key,
                                                             std::string_view text) {
    const auto* kind = kind_of_key(key);
    const auto document = codec::parse_json(text);
    if (!kind || !document) return std::make_shared<const store::Attributes>();
    return apiserver::describe(*kind, document->root);
}

}   // namespace skiff::apiserver
