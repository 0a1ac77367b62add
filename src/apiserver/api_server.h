// The API server: the life of a request, in the order it happens, in one place (api_server.cc).
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apiserver/authn.h"
#include "apiserver/authz.h"
#include "apiserver/metrics.h"
#include "apiserver/node_authorizer.h"
#include "apiserver/node_proxy.h"
#include "apiserver/rbac_authorizer.h"
#include "apiserver/registry.h"
#include "apiserver/resource_metrics.h"
#include "apiserver/reviews.h"
#include "apiserver/service_account_tokens.h"
#include "apiserver/watch_feed.h"
#include "client/transport.h"

namespace skiff::apiserver {

struct ApiServerOptions {
    std::string service_account_key_pem;   // P-256; signs service account tokens
    std::string issuer = "https://kubernetes.default.svc.cluster.local";
    std::string external_address = "kubernetes.default.svc";   // and port: where clients find it
    std::string service_cidr = "10.96.0.0/16";   // where services get their addresses from
    std::vector<StaticToken> tokens;
    std::vector<TokenAuthenticator> token_authenticators;   // asked after those
    bool legacy_versions = true;   // older versions of kinds that are served in a newer one
    std::shared_ptr<net::TlsContext> node_tls;   // towards port 10250; null: no logs, no exec
    // Nodes that are reached at another address than the one they tell: the one on this machine.
    std::map<std::string, std::string, std::less<>> node_addresses;
};

struct SecretTokenSubject {
    std::string name_space, account, account_uid, secret;
};

class ApiServer {
  public:
    ApiServer(store::Store& store, Clock& clock, Random& random, Executor& executor,
              ApiServerOptions options);
    ~ApiServer();

    net::Handler handler();   // for net::Server; outlive every request
    // A client inside this process, past authentication, as `user`.
    std::unique_ptr<client::Transport> transport_as(User user);
    // What the store needs to know of an object it loads (store::StoreOptions::describe).
    static std::shared_ptr<const store::Attributes> describe(std::string_view key,
                                                             std::string_view text);
    void set_ready(bool ready) { ready_ = ready; }   // readyz; false while starting or stopping

    // How nodes are asked what they use; null, as at first: not at all.
    void set_usage_fetch(FetchUsage fetch) { resource_metrics_.set_fetch(std::move(fetch)); }

    // The pipeline from authorization on; for handler() and the local transport.
    void serve_authenticated(const CallPtr& call);
    // The same checks, then the feed itself instead of an answer; the call counts as answered.
    Result<std::unique_ptr<WatchFeed>> open_watch(const CallPtr& call,
                                                  std::function<void()> notify);
    Registry& registry() { return registry_; }
    // Before the first request.
    void use_audit(std::shared_ptr<AuditLog> log) { audit_ = std::move(log); }
    // The content of a Secret of type kubernetes.io/service-account-token.
    Result<std::string> secret_token(const SecretTokenSubject& of) const;

  private:
    void serve(const CallPtr& call);
    Result<> prepare(const CallPtr& call);
    void dispatch(const CallPtr& call);
    bool serve_plain(const CallPtr& call);
    bool serve_openapi(const CallPtr& call);
    bool serve_issuer(const CallPtr& call);
    Result<> begin(const CallPtr& call);
    std::string audit_metrics() const;

    store::Store& store_;
    Clock& clock_;
    Random& random_;
    Executor& executor_;
    const std::vector<const api::Kind*> kinds_;   // that are served
    Catalog catalog_;
    NodeAuthorizer node_authorizer_;
    RbacAuthorizer authorizer_;
    Registry registry_;
    ServiceAccountTokens tokens_;
    Authenticator authenticator_;
    NodeProxy node_proxy_;
    std::string external_address_;
    ResourceMetrics resource_metrics_;
    std::shared_ptr<AuditLog> audit_;
    Metrics metrics_;
    std::atomic<bool> ready_{false};
};

}   // namespace skiff::apiserver
