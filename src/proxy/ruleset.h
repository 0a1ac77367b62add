// One table of nftables as it should be, and what of it the kernel has already: whatever is changed
// here becomes the smallest batch of messages that makes the kernel's table equal. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/rule.h"

namespace skiff::proxy {

// Where a chain is called from; absent: from other chains.
struct Hook {
    const char* type = "filter";   // or nat
    uint32_t number = 0;           // NF_INET_…
    int32_t priority = 0;
    bool operator==(const Hook&) const = default;
};
struct Chain {
    std::optional<Hook> hook;
    std::vector<Rule> rules;
    bool operator==(const Chain&) const = default;
};

// What keys and values are made of, each part in four bytes; what `nft list` shows them as.
enum class Part : uint8_t { Ipv4 = 7, Transport = 12, Port = 13, Number = 19 };
struct SetShape {
    std::vector<Part> key;
    std::vector<Part> value;          // empty and no verdict: a set
    std::optional<Verdict> verdict;   // values are chains, entered by Jump or Goto
    bool intervals = false;           // a key is an address and the one after the last
    bool changed_by_rules = false;    // and its elements end by themselves
    bool operator==(const SetShape&) const = default;
};

class Batch {
  public:
    bool empty() const { return last_ == 0; }
    size_t size() const { return bytes_.size(); }
    // Sends it as one transaction.
    Result<> commit(NetfilterSocket& socket) const;
    void add(uint8_t command, uint16_t flags, const Attributes& attributes);
    uint32_t messages() const { return last_; }

  private:
    std::string bytes_;
    uint32_t last_ = 0;
    size_t last_at_ = 0;   // where the last message begins
};

class Ruleset {
  public:
    explicit Ruleset(std::string table) : table_{std::move(table)} {}
    const std::string& table() const { return table_; }

    void put_chain(const std::string& name, Chain chain);
    void remove_chain(const std::string& name);
    bool has_chain(const std::string& name) const { return chains_.contains(name); }
    // A set's shape never changes.
    void put_set(const std::string& name, const SetShape& shape);
    void remove_set(const std::string& name);
    bool has_set(const std::string& name) const { return sets_.contains(name); }
    void put(std::string_view set, const std::string& key, const std::string& value = {});
    void remove(std::string_view set, const std::string& key);

    using Elements = std::map<std::string, std::string>;
    const Elements& elements(std::string_view set) const;
    const Chain* chain(const std::string& name) const;
    bool nothing() const { return chains_.empty() && sets_.empty(); }

    bool changed() const;
    Batch changes() const;   // from what was committed last to what should be
    // Replaces the kernel's table, whatever it is; removes it when there should be nothing.
    // `kept`: elements of sets that rules change, from the table before.
    struct Kept {
        std::string set;
        std::string key;
        std::string value;
        uint64_t timeout_ms = 0;
        uint64_t rest_ms = 0;
    };
    Batch whole(const std::vector<Kept>& kept = {}) const;
    void committed();   // the kernel has it now

  private:
    struct Set {
        SetShape shape;
        Elements elements;
    };

    void add_new_objects(Batch& batch) const;
    void remove_old_elements(Batch& batch) const;
    void change_rules(Batch& batch) const;
    void add_new_elements(Batch& batch) const;
    void remove_old_objects(Batch& batch) const;
    void add_table(Batch& batch) const;
    void add_chain(Batch& batch, const std::string& name, const Chain& chain) const;
    void add_rules(Batch& batch, const std::string& name, const Chain& chain) const;
    void add_set(Batch& batch, const std::string& name, const SetShape& shape) const;
    void name_only(Batch& batch, uint8_t command, uint16_t attribute,
                   const std::string& name) const;

    std::string table_;
    std::map<std::string, Chain> chains_;
    std::map<std::string, Set, std::less<>> sets_;

    // What the kernel had where it differs or may differ from what should be.
    std::map<std::string, std::optional<Chain>> old_chains_;
    std::map<std::string, std::optional<SetShape>> old_sets_;
    std::map<std::string, std::map<std::string, std::optional<std::string>>, std::less<>>
        old_elements_;
    bool had_table_ = false;
};

}   // namespace skiff::proxy
