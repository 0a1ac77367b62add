#include "proxy/policies.h"

#include <mutex>

#include "base/log.h"
#include "base/text.h"
#include "client/informer.h"
#include "proxy/kernel_table.h"
#include "proxy/policy_rules.h"

namespace skiff::proxy {

namespace {

constexpr Duration look_period = 30s;   // whether the table is still there
constexpr Duration retry = 1s;

struct Admission {
    client::ObjectKey pod;
    std::string uid;
    Address address = 0;
    std::shared_ptr<Waiter> waiter;
    std::atomic<bool> done = false;
};

class PoliciesOfNode final : public Policies {
  public:
    PoliciesOfNode(Executor& executor, Random& random, client::Transport& transport,
                   const std::string& cluster_id, const std::string& node_name,
                   NetfilterSocket socket)
        : executor_{executor},
          socket_{std::move(socket)},
          rules_{cluster_id, node_name},
          table_{socket_, rules_.rules()},
          policies_{executor, random, transport},
          pods_{executor, random, transport},
          namespaces_{executor, random, transport},
          strand_{executor} {}

    ~PoliciesOfNode() override {
        policies_.stop();
        pods_.stop();
        namespaces_.stop();
        strand_.close();
    }

    void start() override {
        policies_.on_change([this](const auto& old, const auto& now) {
            const auto& metadata = (now ? now : old)->metadata;
            post([this, key = key_of(metadata), now] {
                if (now) follow_pods();
                rules_.set_policy(key, now);
            });
        });
        pods_.on_change([this](const auto& old, const auto& now) {
            const auto& metadata = (now ? now : old)->metadata;
            post([this, key = key_of(metadata), now] { rules_.set_pod(key, now); });
        });
        namespaces_.on_change([this](const auto& old, const auto& now) {
            post([this, name = (now ? now : old)->metadata.name, now] {
                rules_.set_namespace(name, now);
            });
        });
        policies_.on_synced([this] { post([this] { policies_synced_ = true; }); });
        pods_.on_synced([this] { post([this] { pods_synced_ = true; }); });
        namespaces_.on_synced([this] { post([this] { namespaces_synced_ = true; }); });
        policies_.start();
    }

    Result<> admit(const client::ObjectKey& pod, const std::string& uid, const std::string& address,
                   Duration timeout) override {
        const auto parsed = parse_address(address);
        if (!parsed) return {};   // there are no rules for it
        const auto admission = std::make_shared<Admission>();
        admission->pod = pod;
        admission->uid = uid;
        admission->address = *parsed;
        admission->waiter = executor_.make_waiter();
        post([this, admission] { admissions_.push_back(admission); });
        admission->waiter->wait_until(executor_.clock().monotonic() + timeout);
        if (admission->done) return {};
        return fail(Reason::Timeout,
                    concat("the network policies of pod ", pod.text(), " are not in force yet"));
    }

  private:
    template <class Metadata>
    static client::ObjectKey key_of(const Metadata& metadata) {
        return {.name_space = metadata.namespace_.str(), .name = metadata.name};
    }

    // What comes in a burst goes out at once: behind what is queued already.
    void post(Task change) {
        strand_.post([this, change = std::move(change)]() mutable {
            change();
            if (std::exchange(committing_, true)) return;
            strand_.post([this] { commit(); });
        });
    }

    void follow_pods() {
        if (std::exchange(following_, true)) return;
        pods_.start();
        namespaces_.start();
    }
    bool ready() const {
        return policies_synced_ && (!following_ || (pods_synced_ && namespaces_synced_));
    }

    void commit() {
        committing_ = false;
        if (!ready()) return;
        std::vector<std::shared_ptr<Admission>> known;
        std::erase_if(admissions_, [&](const auto& one) {
            if (one.use_count() == 1) return true;   // nobody waits any more
            if (following_ && !rules_.admit(one->pod, one->uid, one->address)) return false;
            known.push_back(one);
            return true;
        });
        const auto done = table_.commit();
        if (!done) {
            log_error("network policies are not in force", {{"error", done.error().message}});
            admissions_.insert(admissions_.end(), known.begin(), known.end());
            strand_.after(retry, [this] { post([] {}); });
            return;
        }
        if (const auto gen = generation(socket_)) generation_ = *gen;
        for (const auto& one : known) {
            one->done = true;
            one->waiter->notify();
        }
        if (following_ && !std::exchange(looking_, true))
            strand_.after(look_period, [this] { look(); });
    }

    void look() {
        const auto gen = generation(socket_);
        if (gen && *gen != generation_) {
            generation_ = *gen;
            if (table_.lost()) {
                log_warn("the rules of network policies were removed; they are made anew", {});
                commit();
            }
        }
        strand_.after(look_period, [this] { look(); });
    }

    Executor& executor_;
    // On the strand.
    NetfilterSocket socket_;
    PolicyRules rules_;
    KernelTable table_;
    std::vector<std::shared_ptr<Admission>> admissions_;
    uint32_t generation_ = 0;
    bool policies_synced_ = false;
    bool pods_synced_ = false;
    bool namespaces_synced_ = false;
    bool following_ = false;
    bool committing_ = false;
    bool looking_ = false;

    client::Informer<view::NetworkPolicy> policies_;
    client::Informer<view::Pod> pods_;
    client::Informer<view::Namespace> namespaces_;
    Strand strand_;
};

}   // namespace

Result<std::unique_ptr<Policies>> make_policies(Executor& executor, Random& random,
                                                client::Transport& transport,
                                                const std::string& cluster_id,
                                                const std::string& node_name) {
    TRY(auto socket, NetfilterSocket::open());
    return std::make_unique<PoliciesOfNode>(executor, random, transport, cluster_id, node_name,
                                            std::move(socket));
}

}   // namespace skiff::proxy
