// What the binding of claims to volumes promises, seen below the store: one volume is never two
// claims' at a time.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "codec/json.h"

namespace skiff::sim {

struct Stored;

class VolumeRecord {
  public:
    // A row of volumes or claims; null: it is deleted. What is broken, if anything.
    std::optional<std::string> take(std::string_view prefix, const std::string& key,
                                    const codec::Json* object);
    size_t bindings() const { return bindings_; }

  private:
    struct Claim {
        std::string key;
        std::string volume;
        bool bound = false;
    };
    std::optional<std::string> take_volume(const std::string& key, const codec::Json* object);
    std::optional<std::string> take_claim(const std::string& key, const codec::Json* object);

    std::map<std::string, Claim> claims_;          // by uid; those that are there
    std::map<std::string, std::string> uids_;      // claims' keys
    std::map<std::string, std::string> holders_;   // a volume's key: the uid in its claimRef
    std::set<std::pair<std::string, std::string>> set_aside_;
    size_t bindings_ = 0;   // ever: a volume's key, a claim's uid
};

// Claims and volumes have found each other as far as they can; else the first thing that is not so.
std::string volumes_not_settled(const std::map<std::string, Stored>& state);
// Its deletion waits for good: a claim that is there has it.
bool is_held_volume(std::string_view key, const codec::Json& object);

}   // namespace skiff::sim
