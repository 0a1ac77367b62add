// Secrets of type kubernetes.io/service-account-token: filled with a token of the account that they
// name, and gone with it. Of a cluster that keeps to 2017 every account has one by itself.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "client/informer.h"
#include "client/work_queue.h"
#include "controllers/component.h"
#include "controllers/token.h"

namespace skiff::controllers {

inline constexpr std::string_view token_secret_type = "kubernetes.io/service-account-token";

using MakeToken = std::function<Result<std::string>(const view::TokenAccount& account,
                                                    const view::TokenSecret& secret)>;

std::string_view account_of(const view::TokenSecret& secret);   // whose it is; "" when nobody's

// Pure, but for the token. `account` null: it is not there.
Result<client::Plan> plan_token_secret(const view::TokenSecret& secret,
                                       const view::TokenAccount* account, const std::string& ca_pem,
                                       const MakeToken& make);
// What the account's list of secrets needs: none that is gone (`gone`), and where there is a
// `new_name` one of its token Secrets (`secrets`), made by that name when there is none. Pure.
client::Plan plan_account_secrets(const view::TokenAccount& account,
                                  const std::vector<client::Shared<view::TokenSecret>>& secrets,
                                  const std::set<std::string>& gone, const std::string& new_name);

class TokenController {
  public:
    TokenController(Executor& executor, Random& random, const ControllersOptions& options);
    ~TokenController() {
        secrets_.stop();
        accounts_.stop();
    }
    void start();

  private:
    Result<client::Requeue> reconcile_secret(const client::ObjectKey& key);
    Result<client::Requeue> reconcile_account(const client::ObjectKey& key);
    Result<client::Shared<view::TokenAccount>> account_for(const client::ObjectKey& key);

    Component component_;
    Random& random_;
    std::string root_ca_pem_;
    MakeToken make_;
    bool automatic_;
    Guarded<std::map<client::ObjectKey, std::set<std::string>>> gone_;   // secrets by account
    client::Informer<view::TokenSecret> secrets_;
    client::Informer<view::TokenAccount> accounts_;
    client::WorkQueue secret_queue_;
    client::WorkQueue account_queue_;
};

}   // namespace skiff::controllers
