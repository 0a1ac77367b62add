#include "agent/config_source.h"

#include <algorithm>

#include "base/text.h"

namespace skiff::agent {

namespace {

using client::Informer;
using client::InformerOptions;
using client::ObjectKey;

constexpr Duration first_answer_time_max = 30s;

KeyValues content_of(const view::ConfigMap& map) {
    KeyValues out;
    for (const auto& [key, value] : map.data) out[key] = value;
    for (const auto& [key, value] : map.binaryData) out[key] = value;
    return out;
}

KeyValues content_of(const view::Secret& secret) {
    KeyValues out;
    for (const auto& [key, value] : secret.data) out[key] = value;
    return out;
}

KeyValues content_of(const view::PersistentVolumeClaim& claim) {
    return {{"volume", claim.spec.volumeName}, {"phase", claim.status.phase.str()}};
}

struct Subscriber {
    std::string pod_uid;
    std::function<void()> changed;
};

// One kind's watched objects.
template <class V>
class Watched {
  public:
    Watched(Executor& executor, Random& random, client::Transport& transport)
        : executor_{executor}, random_{random}, transport_{transport} {}

    void want(const std::string& pod_uid, const std::string& name_space,
              const std::set<std::string>& names, const std::function<void()>& changed) {
        std::vector<std::shared_ptr<Entry>> dropped;   // destroyed outside the lock
        const std::lock_guard lock{mutex_};
        for (auto it = entries_.begin(); it != entries_.end();) {
            auto& [key, entry] = *it;
            const bool wanted = key.name_space == name_space && names.contains(key.name);
            entry->remove(pod_uid);
            if (wanted) entry->add({pod_uid, changed});
            if (entry->unused()) {
                dropped.push_back(entry);
                it = entries_.erase(it);
            } else {
                ++it;
            }
        }
        for (const auto& name : names) {
            auto& entry = entries_[{name_space, name}];
            if (entry) continue;
            entry = std::make_shared<Entry>(executor_, random_, transport_,
                                            ObjectKey{name_space, name});
            entry->add({pod_uid, changed});
            entry->start();
        }
    }

    Result<> read(const std::string& name_space, const std::set<std::string>& names,
                  std::map<std::string, KeyValues>& out) {
        for (const auto& name : names) {
            std::shared_ptr<Entry> entry;
            {
                const std::lock_guard lock{mutex_};
                const auto found = entries_.find({name_space, name});
                if (found != entries_.end()) entry = found->second;
            }
            if (!entry) return fail(Reason::InternalError, concat("nobody asked for ", name));
            if (!entry->wait_synced(executor_)) {
                return fail(Reason::Timeout,
                            concat("failed to sync ", V::resource, " cache: timed out waiting for ",
                                   name_space, "/", name));
            }
            if (const auto object = entry->informer.find({name_space, name}))
                out[name] = content_of(*object);
        }
        return {};
    }

  private:
    struct Entry {
        Entry(Executor& executor, Random& random, client::Transport& transport,
              const ObjectKey& key)
            : informer{executor, random, transport, options_for(key)} {}

        static InformerOptions options_for(const ObjectKey& key) {
            InformerOptions options;
            options.name_space = key.name_space;
            options.query.field_selector = concat("metadata.name=", key.name);
            return options;
        }
        void start() {
            informer.on_change([this](const client::Shared<V>& old, const client::Shared<V>& now) {
                if (old && now && content_of(*old) == content_of(*now)) return;
                std::vector<Subscriber> told;
                {
                    const std::lock_guard lock{mutex};
                    told = subscribers;
                }
                for (const auto& subscriber : told) subscriber.changed();
            });
            informer.start();
        }
        void add(Subscriber subscriber) {
            const std::lock_guard lock{mutex};
            subscribers.push_back(std::move(subscriber));
        }
        void remove(const std::string& pod_uid) {
            const std::lock_guard lock{mutex};
            std::erase_if(subscribers,
                          [&](const Subscriber& one) { return one.pod_uid == pod_uid; });
        }
        bool unused() {
            const std::lock_guard lock{mutex};
            return subscribers.empty();
        }
        bool wait_synced(Executor& executor) {
            if (informer.synced()) return true;
            const std::shared_ptr<Waiter> waiter = executor.make_waiter();
            informer.on_synced([waiter] { waiter->notify(); });
            return waiter->wait_until(executor.clock().monotonic() + first_answer_time_max);
        }

        std::mutex mutex;
        std::vector<Subscriber> subscribers;
        Informer<V> informer;
    };

    Executor& executor_;
    Random& random_;
    client::Transport& transport_;
    std::mutex mutex_;
    std::map<ObjectKey, std::shared_ptr<Entry>> entries_;
};

class WatchedConfigs final : public ConfigSource {
  public:
    WatchedConfigs(Executor& executor, Random& random, client::Transport& transport)
        : executor_{executor},
          config_maps_{executor, random, transport},
          secrets_{executor, random, transport},
          claims_{executor, random, transport},
          services_{executor, random, transport} {
        services_.start();
    }

    void want(const std::string& pod_uid, const std::string& name_space, const ConfigNames& names,
              std::function<void()> changed) override {
        config_maps_.want(pod_uid, name_space, names.config_maps, changed);
        secrets_.want(pod_uid, name_space, names.secrets, changed);
        claims_.want(pod_uid, name_space, names.claims, changed);
    }
    void forget(const std::string& pod_uid) override { want(pod_uid, "", {}, {}); }
    Result<ConfigValues> read(const std::string& name_space, const ConfigNames& names) override {
        ConfigValues values;
        TRY_OK(config_maps_.read(name_space, names.config_maps, values.config_maps));
        TRY_OK(secrets_.read(name_space, names.secrets, values.secrets));
        TRY(values.services, services_of(name_space));
        return values;
    }

  private:
    Result<ServiceList> services_of(const std::string& name_space) {
        if (!services_.synced()) {
            const std::shared_ptr<Waiter> waiter = executor_.make_waiter();
            services_.on_synced([waiter] { waiter->notify(); });
            if (!waiter->wait_until(executor_.clock().monotonic() + first_answer_time_max))
                return fail(Reason::Timeout,
                            "services have not yet been read at least once, "
                            "cannot construct envvars");
        }
        auto services = services_.in_namespace(name_space);
        if (auto api = services_.find({"default", "kubernetes"}); api && name_space != "default")
            services.push_back(std::move(api));
        return services;
    }

    Executor& executor_;
    Watched<view::ConfigMap> config_maps_;
    Watched<view::Secret> secrets_;
    Watched<view::PersistentVolumeClaim> claims_;
    Informer<view::Service> services_;
};

}   // namespace

std::unique_ptr<ConfigSource> watch_configs(Executor& executor, Random& random,
                                            client::Transport& transport) {
    return std::make_unique<WatchedConfigs>(executor, random, transport);
}

}   // namespace skiff::agent
