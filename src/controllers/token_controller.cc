#include "controllers/token_controller.h"

#include <algorithm>

#include "base/text.h"
#include "codec/json.h"

namespace skiff::controllers {
namespace {

using client::ObjectKey;
using client::Plan;
using client::Requeue;

constexpr std::string_view name_annotation = "kubernetes.io/service-account.name";
constexpr std::string_view uid_annotation = "kubernetes.io/service-account.uid";

std::string_view annotation_of(const view::TokenSecret& secret, std::string_view key) {
    const auto* found = secret.metadata.annotations.find(key);
    return found ? std::string_view{*found} : std::string_view{};
}

std::string_view data_of(const view::TokenSecret& secret, std::string_view key) {
    const auto* found = secret.data.find(key);
    return found ? std::string_view{*found} : std::string_view{};
}

template <class V>
ObjectKey key_of(const V& object) {
    return {.name_space = object.metadata.namespace_.str(), .name = object.metadata.name};
}

// The list of secrets as the account has it, without those that are gone.
std::string kept_secrets(const view::TokenAccount& account, const std::set<std::string>& gone) {
    codec::Arena arena;
    const auto tree = api::encode(account, arena);
    std::string out;
    if (const auto* list = tree.find("secrets"))
        for (const auto& entry : list->items())
            if (!gone.contains(std::string{entry.text_at({"name"})}))
                append(out, out.empty() ? "" : ",", codec::to_json(entry));
    return out;
}

bool lists(const view::TokenAccount& account, std::string_view name) {
    return std::ranges::any_of(account.secrets,
                               [&](const auto& entry) { return entry.name == name; });
}

}   // namespace

std::string_view account_of(const view::TokenSecret& secret) {
    return annotation_of(secret, name_annotation);
}

Result<Plan> plan_token_secret(const view::TokenSecret& secret, const view::TokenAccount* account,
                               const std::string& ca_pem, const MakeToken& make) {
    Plan plan;
    if (secret.metadata.deletionTimestamp || account_of(secret).empty()) return plan;
    const auto uid = annotation_of(secret, uid_annotation);
    const bool orphan = !account || (!uid.empty() && uid != account->metadata.uid);
    if (orphan) {
        plan.remove<view::TokenSecret>(key_of(secret), secret.metadata.uid);
        return plan;
    }
    if (account->metadata.deletionTimestamp) return plan;
    std::string data;
    const auto put = [&](std::string_view key, std::string_view value) {
        append(data, data.empty() ? "" : ",", '"', key, R"(":")", base64(value), '"');
    };
    if (data_of(secret, "token").empty()) {
        TRY(const auto token, make(*account, secret));
        put("token", token);
    }
    if (data_of(secret, "ca.crt") != ca_pem) put("ca.crt", ca_pem);
    if (data_of(secret, "namespace") != std::string_view{secret.metadata.namespace_})
        put("namespace", secret.metadata.namespace_);
    if (data.empty() && !uid.empty()) return plan;
    auto& write = plan.patch<view::TokenSecret>(
        key_of(secret),
        concat(R"({"metadata":{"annotations":{")", uid_annotation, R"(":")", account->metadata.uid,
               R"("}},"data":{)", data, "}}"),
        {}, client::PatchType::Merge);
    write.uid = secret.metadata.uid;
    write.resource_version = secret.metadata.resourceVersion;
    return plan;
}

Plan plan_account_secrets(const view::TokenAccount& account,
                          const std::vector<client::Shared<view::TokenSecret>>& secrets,
                          const std::set<std::string>& gone, const std::string& new_name) {
    Plan plan;
    if (account.metadata.deletionTimestamp) return plan;
    std::string added;
    const bool has_one = std::ranges::any_of(
        secrets, [&](const auto& secret) { return lists(account, secret->metadata.name); });
    if (!new_name.empty() && !has_one) {
        const auto prefix = concat(account.metadata.name, "-token-");
        const auto own = std::ranges::find_if(
            secrets, [&](const auto& secret) { return secret->metadata.name.starts_with(prefix); });
        added = own == secrets.end() ? new_name : (*own)->metadata.name;
        if (own == secrets.end()) {
            view::TokenSecret wanted;
            wanted.metadata.name = new_name;
            wanted.metadata.namespace_ = account.metadata.namespace_;
            wanted.metadata.annotations[std::string{name_annotation}] = account.metadata.name;
            wanted.metadata.annotations[std::string{uid_annotation}] = account.metadata.uid;
            wanted.type = token_secret_type;
            plan.create(wanted, key_of(wanted));
        }
    }
    const bool lost =
        std::ranges::any_of(gone, [&](const auto& name) { return lists(account, name); });
    if (added.empty() && !lost) return plan;
    auto list = kept_secrets(account, gone);
    if (!added.empty()) append(list, list.empty() ? "" : ",", R"({"name":")", added, R"("})");
    auto& write = plan.patch<view::TokenAccount>(
        key_of(account), concat(R"({"secrets":[)", list, "]}"), {}, client::PatchType::Merge);
    write.uid = account.metadata.uid;
    write.resource_version = account.metadata.resourceVersion;
    return plan;
}

TokenController::TokenController(Executor& executor, Random& random,
                                 const ControllersOptions& options)
    : component_{executor, options, "serviceaccount-token-controller"},
      random_{random},
      root_ca_pem_{options.root_ca_pem},
      make_{[make = options.secret_token](const view::TokenAccount& account,
                                          const view::TokenSecret& secret) {
          return make({.name_space = account.metadata.namespace_.str(),
                       .account = account.metadata.name,
                       .account_uid = account.metadata.uid,
                       .secret = secret.metadata.name});
      }},
      automatic_{options.automatic_token_secrets},
      secrets_{
          executor,
          random,
          *component_.transport,
          {.name_space = {},
           .query = {.label_selector = {}, .field_selector = concat("type=", token_secret_type)}}},
      accounts_{executor, random, *component_.transport},
      secret_queue_{executor,
                    [this](const ObjectKey& key) { return reconcile_secret(key); },
                    {.name = "token secrets", .workers = 1}},
      account_queue_{executor,
                     [this](const ObjectKey& key) { return reconcile_account(key); },
                     {.name = "token accounts", .workers = 1}} {
    component_.plans.observe(client::resource_of<view::TokenSecret>(), secrets_.core());
    component_.plans.observe(client::resource_of<view::TokenAccount>(), accounts_.core());
    secrets_.add_index("account", [](const view::TokenSecret& secret) {
        return std::vector{concat(secret.metadata.namespace_, "/", account_of(secret))};
    });
    secrets_.on_change([this](const auto& old, const auto& now) {
        const auto& secret = now ? now : old;
        const ObjectKey account{.name_space = secret->metadata.namespace_.str(),
                                .name = std::string{account_of(*secret)}};
        if (now)
            secret_queue_.add(key_of(*now));
        else
            gone_.use([&](auto& gone) { gone[account].insert(secret->metadata.name); });
        account_queue_.add(account);
    });
    accounts_.on_change([this](const auto& old, const auto& now) {
        const auto key = key_of(now ? *now : *old);
        if (now) account_queue_.add(key);
        for (const auto& secret :
             secrets_.by_index("account", concat(key.name_space, "/", key.name)))
            secret_queue_.add(key_of(*secret));
    });
}

void TokenController::start() {
    secrets_.on_synced([this] { accounts_.start(); });
    accounts_.on_synced([this] {
        secret_queue_.start();
        account_queue_.start();
    });
    secrets_.start();
}

// One that the cache does not show may only be new to it.
Result<client::Shared<view::TokenAccount>> TokenController::account_for(const ObjectKey& key) {
    if (auto account = accounts_.find(key)) return account;
    auto account = component_.client.get<view::TokenAccount>(key);
    if (account) return std::make_shared<const view::TokenAccount>(std::move(*account));
    if (account.error().reason != Reason::NotFound) return std::unexpected{account.error()};
    return client::Shared<view::TokenAccount>{};
}

Result<Requeue> TokenController::reconcile_secret(const ObjectKey& key) {
    return component_.plans.reconcile(key, [&]() -> Result<Plan> {
        const auto secret = secrets_.find(key);
        if (!secret || account_of(*secret).empty()) return Plan{};
        TRY(const auto account,
            account_for({.name_space = key.name_space, .name = std::string{account_of(*secret)}}));
        return plan_token_secret(*secret, account.get(), root_ca_pem_, make_);
    });
}

Result<Requeue> TokenController::reconcile_account(const ObjectKey& key) {
    // Not the key of a secret of that name: expectations are kept by key.
    const ObjectKey own{.name_space = key.name_space, .name = concat("account/", key.name)};
    const auto gone = gone_.use([&](const auto& all) {
        const auto found = all.find(key);
        return found == all.end() ? std::set<std::string>{} : found->second;
    });
    auto done = component_.plans.reconcile(own, [&]() -> Result<Plan> {
        const auto account = accounts_.find(key);
        if (!account) return Plan{};
        const auto name =
            automatic_ ? concat(key.name, "-token-", random_.name_suffix()) : std::string{};
        return plan_account_secrets(
            *account, secrets_.by_index("account", concat(key.name_space, "/", key.name)), gone,
            name);
    });
    if (done && component_.plans.settled(own))
        gone_.use([&](auto& all) {
            const auto found = all.find(key);
            if (found != all.end() && found->second == gone) all.erase(found);
        });
    return done;
}

}   // namespace skiff::controllers
