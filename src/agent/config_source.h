// The ConfigMaps and Secrets that the node's pods name: each is watched on its own while some pod
// names it, which is all that a node may see of them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "agent/config.h"
#include "agent/environment.h"
#include "agent/storage.h"
#include "base/random.h"
#include "client/informer.h"

namespace skiff::agent {

class ConfigSource {
  public:
    virtual ~ConfigSource() = default;
    // The pod's names from now on; `changed` is called (any thread) when one's content changes.
    // Nothing is read before read().
    virtual void want(const std::string& pod_uid, const std::string& name_space,
                      const ConfigNames& names, std::function<void()> changed) = 0;
    virtual void forget(const std::string& pod_uid) = 0;
    // Blocks until the first answers are there. A name that does not exist is left out.
    virtual Result<ConfigValues> read(const std::string& name_space, const ConfigNames& names) = 0;
};

std::unique_ptr<ConfigSource> watch_configs(Executor& executor, Random& random,
                                            client::Transport& transport);

}   // namespace skiff::agent
