// An engine whose rows are sealed on their way down and opened on their way up, where a cipher
// covers their key: the memory image has the text, the disk has not.
#pragma once

#include <set>

#include "store/engine.h"

namespace skiff::store {

struct Cipher {
    std::function<bool(std::string_view key)> covers;
    std::function<Result<std::string>(std::string_view key, std::string_view text)> seal;
    struct Opened {
        std::string text;
        bool current = true;   // sealed as seal() would do it now
    };
    std::function<Result<Opened>(std::string_view key, std::string_view sealed)> open;
};

// Keys whose newest row is not sealed as it would be now, as loading found them.
using StaleKeys = std::shared_ptr<std::set<std::string, std::less<>>>;
std::unique_ptr<Engine> seal_engine(std::unique_ptr<Engine> below, Cipher cipher, StaleKeys stale);

}   // namespace skiff::store
