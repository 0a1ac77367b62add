// Answers from elsewhere, kept as long as their records live, at most half a minute.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "dns/message.h"

namespace skiff::dns {

class AnswerCache {
  public:
    // Answers with what is left of the records' lives, under the query's id and letter case.
    std::optional<std::string> find(const Query& query, std::string_view bytes, MonoTime now);
    void put(const Query& query, std::string_view bytes, std::string answer, MonoTime now);
    size_t size() const { return entries_.size(); }

  private:
    struct Entry {
        std::string answer;
        std::vector<size_t> ttls;
        MonoTime since;
        MonoTime until;
    };
    std::map<std::string, Entry> entries_;   // by the whole query but its id
};

}   // namespace skiff::dns
