#include "proxy/ruleset.h"

#include <cstring>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "base/text.h"

namespace skiff::proxy {

namespace {

constexpr size_t elements_bytes_max = 32u << 10;   // of one message: an attribute holds 64 KiB
constexpr uint32_t changed_set_size = 1u << 18;    // bounds what traffic can make the kernel keep

uint32_t type_of(const std::vector<Part>& parts) {
    uint32_t type = 0;
    for (const auto part : parts) type = type << 6 | static_cast<uint32_t>(part);
    return type;
}
uint32_t bytes_of(const std::vector<Part>& parts) {
    return static_cast<uint32_t>(parts.size() * 4);
}

Attributes key_data(std::string_view key) { return Attributes{}.bytes(NFTA_DATA_VALUE, key); }

// What a set of intervals has for one: where it begins, and where it has ended.
void append_interval(Attributes& list, std::string_view key) {
    list.nested(NFTA_LIST_ELEM,
                Attributes{}.nested(NFTA_SET_ELEM_KEY, key_data(key.substr(0, key.size() / 2))));
    const auto end = key.substr(key.size() / 2);
    if (end.find_first_not_of('\0') == std::string_view::npos) return;   // to the very last
    list.nested(NFTA_LIST_ELEM, Attributes{}
                                    .nested(NFTA_SET_ELEM_KEY, key_data(end))
                                    .u32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END));
}

Attributes element_of(const SetShape& shape, std::string_view key, const std::string* value) {
    Attributes element;
    element.nested(NFTA_SET_ELEM_KEY, key_data(key));
    if (!value) return element;
    if (shape.verdict)
        element.nested(NFTA_SET_ELEM_DATA, verdict_data(*shape.verdict, *value));
    else if (!shape.value.empty())
        element.nested(NFTA_SET_ELEM_DATA, key_data(*value));
    return element;
}

// Elements of one set and one command, in messages of a bearable size.
class ElementMessages {
  public:
    ElementMessages(Batch& batch, const std::string& table, const std::string& set, uint8_t command)
        : batch_{batch}, table_{table}, set_{set}, command_{command} {}
    ~ElementMessages() { flush(); }

    void add(const SetShape& shape, std::string_view key, const std::string* value) {
        if (shape.intervals)
            append_interval(list_, key);
        else
            add(element_of(shape, key, value));
    }
    void add(const Attributes& element) {
        list_.nested(NFTA_LIST_ELEM, element);
        if (list_.size() > elements_bytes_max) flush();
    }

  private:
    void flush() {
        if (list_.empty()) return;
        batch_.add(command_, command_ == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0,
                   Attributes{}
                       .text(NFTA_SET_ELEM_LIST_TABLE, table_)
                       .text(NFTA_SET_ELEM_LIST_SET, set_)
                       .nested(NFTA_SET_ELEM_LIST_ELEMENTS, list_));
        list_.clear();
    }
    Batch& batch_;
    const std::string& table_;
    const std::string& set_;
    uint8_t command_;
    Attributes list_;
};

}   // namespace

// ---- batches ----------------------------------------------------------------------------------

void Batch::add(uint8_t command, uint16_t flags, const Attributes& attributes) {
    last_at_ = bytes_.size();
    append_message(bytes_,
                   {.type = static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | command),
                    .flags = flags,
                    .family = family_ipv4,
                    .resource = 0,
                    .attributes = attributes.data()},
                   ++last_);
}

Result<> Batch::commit(NetfilterSocket& socket) const {
    if (empty()) return {};
    auto bytes = bytes_;
    nlmsghdr last{};
    std::memcpy(&last, bytes.data() + last_at_, sizeof last);
    last.nlmsg_flags |= NLM_F_ACK;
    std::memcpy(bytes.data() + last_at_, &last, sizeof last);
    return socket.send_batch(bytes, last_);
}

// ---- what should be ---------------------------------------------------------------------------

void Ruleset::put_chain(const std::string& name, Chain chain) {
    const auto known = chains_.find(name);
    if (known != chains_.end() && known->second == chain) return;
    old_chains_.try_emplace(
        name, known == chains_.end() ? std::nullopt : std::optional{std::move(known->second)});
    chains_[name] = std::move(chain);
}

void Ruleset::remove_chain(const std::string& name) {
    const auto known = chains_.find(name);
    if (known == chains_.end()) return;
    old_chains_.try_emplace(name, std::move(known->second));
    chains_.erase(known);
}

void Ruleset::put_set(const std::string& name, const SetShape& shape) {
    const auto [set, fresh] = sets_.try_emplace(name, Set{shape, {}});
    ASSERT(fresh || set->second.shape == shape);
    if (fresh) old_sets_.try_emplace(name, std::nullopt);
}

void Ruleset::remove_set(const std::string& name) {
    const auto known = sets_.find(name);
    if (known == sets_.end()) return;
    while (!known->second.elements.empty()) {
        const auto key = known->second.elements.begin()->first;
        remove(name, key);
    }
    old_sets_.try_emplace(name, known->second.shape);
    sets_.erase(known);
}

void Ruleset::put(std::string_view set, const std::string& key, const std::string& value) {
    const auto at = sets_.find(set);
    ASSERT(at != sets_.end());
    const auto [element, fresh] = at->second.elements.try_emplace(key, value);
    if (!fresh && element->second == value) return;
    old_elements_[at->first].try_emplace(
        key, fresh ? std::nullopt : std::optional{std::move(element->second)});
    element->second = value;
}

void Ruleset::remove(std::string_view set, const std::string& key) {
    const auto at = sets_.find(set);
    ASSERT(at != sets_.end());
    const auto element = at->second.elements.find(key);
    if (element == at->second.elements.end()) return;
    old_elements_[at->first].try_emplace(key, std::move(element->second));
    at->second.elements.erase(element);
}

const Ruleset::Elements& Ruleset::elements(std::string_view set) const {
    static const Elements none;
    const auto at = sets_.find(set);
    return at == sets_.end() ? none : at->second.elements;
}

const Chain* Ruleset::chain(const std::string& name) const {
    const auto at = chains_.find(name);
    return at == chains_.end() ? nullptr : &at->second;
}

bool Ruleset::changed() const {
    return !old_chains_.empty() || !old_sets_.empty() || !old_elements_.empty();
}

void Ruleset::committed() {
    old_chains_.clear();
    old_sets_.clear();
    old_elements_.clear();
    had_table_ = !nothing();
}

// ---- messages ---------------------------------------------------------------------------------

void Ruleset::add_table(Batch& batch) const {
    batch.add(NFT_MSG_NEWTABLE, NLM_F_CREATE, Attributes{}.text(NFTA_TABLE_NAME, table_));
}

void Ruleset::add_chain(Batch& batch, const std::string& name, const Chain& chain) const {
    Attributes attributes;
    attributes.text(NFTA_CHAIN_TABLE, table_).text(NFTA_CHAIN_NAME, name);
    if (chain.hook) {
        attributes
            .nested(NFTA_CHAIN_HOOK,
                    Attributes{}
                        .u32(NFTA_HOOK_HOOKNUM, chain.hook->number)
                        .u32(NFTA_HOOK_PRIORITY, static_cast<uint32_t>(chain.hook->priority)))
            .u32(NFTA_CHAIN_POLICY, 1)   // accept
            .text(NFTA_CHAIN_TYPE, chain.hook->type);
    }
    batch.add(NFT_MSG_NEWCHAIN, NLM_F_CREATE, attributes);
}

void Ruleset::add_rules(Batch& batch, const std::string& name, const Chain& chain) const {
    for (const auto& rule : chain.rules) {
        Attributes attributes;
        attributes.text(NFTA_RULE_TABLE, table_).text(NFTA_RULE_CHAIN, name);
        attributes.bytes(NFTA_RULE_EXPRESSIONS | NLA_F_NESTED, rule.expressions());
        batch.add(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, attributes);
    }
}

void Ruleset::add_set(Batch& batch, const std::string& name, const SetShape& shape) const {
    uint32_t flags = 0;
    if (!shape.value.empty() || shape.verdict) flags |= NFT_SET_MAP;
    if (shape.intervals) flags |= NFT_SET_INTERVAL;
    if (shape.changed_by_rules) flags |= NFT_SET_EVAL | NFT_SET_TIMEOUT;
    Attributes attributes;
    attributes.text(NFTA_SET_TABLE, table_)
        .text(NFTA_SET_NAME, name)
        .u32(NFTA_SET_FLAGS, flags)
        .u32(NFTA_SET_KEY_TYPE, type_of(shape.key))
        .u32(NFTA_SET_KEY_LEN, bytes_of(shape.key))
        .u32(NFTA_SET_ID, batch.messages() + 1);
    if (shape.verdict)
        attributes.u32(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT).u32(NFTA_SET_DATA_LEN, 0);
    else if (!shape.value.empty())
        attributes.u32(NFTA_SET_DATA_TYPE, type_of(shape.value))
            .u32(NFTA_SET_DATA_LEN, bytes_of(shape.value));
    if (shape.changed_by_rules)
        attributes.nested(NFTA_SET_DESC, Attributes{}.u32(NFTA_SET_DESC_SIZE, changed_set_size));
    batch.add(NFT_MSG_NEWSET, NLM_F_CREATE, attributes);
}

void Ruleset::name_only(Batch& batch, uint8_t command, uint16_t attribute,
                        const std::string& name) const {
    // Table, chain and set messages all have the table's name first.
    batch.add(command, 0, Attributes{}.text(1, table_).text(attribute, name));
}

void Ruleset::add_new_objects(Batch& batch) const {
    for (const auto& [name, old] : old_sets_)
        if (const auto now = sets_.find(name); now != sets_.end() && !old)
            add_set(batch, name, now->second.shape);
    for (const auto& [name, old] : old_chains_)
        if (const auto now = chains_.find(name); now != chains_.end() && !old)
            add_chain(batch, name, now->second);
}

void Ruleset::remove_old_elements(Batch& batch) const {
    for (const auto& [set, keys] : old_elements_) {
        const auto now = sets_.find(set);
        const auto shape = old_sets_.find(set);
        const bool gone = now == sets_.end();
        // A set that goes takes its elements along, but for those that hold chains.
        if (gone && (shape == old_sets_.end() || !shape->second || !shape->second->verdict))
            continue;
        ElementMessages messages{batch, table_, set, NFT_MSG_DELSETELEM};
        for (const auto& [key, old] : keys) {
            if (!old) continue;
            const auto same = gone ? Elements::const_iterator{} : now->second.elements.find(key);
            if (!gone && same != now->second.elements.end() && same->second == *old) continue;
            messages.add(gone ? *shape->second : now->second.shape, key, nullptr);
        }
    }
}

void Ruleset::change_rules(Batch& batch) const {
    const auto same = [&](const std::string& name, const std::optional<Chain>& old) {
        const auto now = chains_.find(name);
        return old && now != chains_.end() && *old == now->second;
    };
    for (const auto& [name, old] : old_chains_)
        if (old && !same(name, old)) name_only(batch, NFT_MSG_DELRULE, NFTA_RULE_CHAIN, name);
    for (const auto& [name, old] : old_chains_)
        if (const auto now = chains_.find(name); now != chains_.end() && !same(name, old))
            add_rules(batch, name, now->second);
}

void Ruleset::add_new_elements(Batch& batch) const {
    for (const auto& [set, keys] : old_elements_) {
        const auto now = sets_.find(set);
        if (now == sets_.end()) continue;
        ElementMessages messages{batch, table_, set, NFT_MSG_NEWSETELEM};
        for (const auto& [key, old] : keys) {
            const auto is = now->second.elements.find(key);
            if (is == now->second.elements.end() || (old && *old == is->second)) continue;
            messages.add(now->second.shape, key, &is->second);
        }
    }
}

void Ruleset::remove_old_objects(Batch& batch) const {
    for (const auto& [name, old] : old_chains_)
        if (old && !chains_.contains(name))
            name_only(batch, NFT_MSG_DELCHAIN, NFTA_CHAIN_NAME, name);
    for (const auto& [name, old] : old_sets_)
        if (old && !sets_.contains(name)) name_only(batch, NFT_MSG_DELSET, NFTA_SET_NAME, name);
}

// What an element was goes before what it will be; nothing is removed that something still names.
Batch Ruleset::changes() const {
    if (nothing() || !had_table_) return changed() ? whole() : Batch{};
    Batch batch;
    add_new_objects(batch);
    remove_old_elements(batch);
    change_rules(batch);
    add_new_elements(batch);
    remove_old_objects(batch);
    return batch;
}

Batch Ruleset::whole(const std::vector<Kept>& kept) const {
    Batch batch;
    add_table(batch);   // so that removing what is not there is no error
    batch.add(NFT_MSG_DELTABLE, 0, Attributes{}.text(NFTA_TABLE_NAME, table_));
    if (nothing()) return batch;
    add_table(batch);
    for (const auto& [name, set] : sets_) add_set(batch, name, set.shape);
    for (const auto& [name, chain] : chains_) add_chain(batch, name, chain);
    for (const auto& [name, chain] : chains_) add_rules(batch, name, chain);
    for (const auto& [name, set] : sets_) {
        ElementMessages messages{batch, table_, name, NFT_MSG_NEWSETELEM};
        for (const auto& [key, value] : set.elements) messages.add(set.shape, key, &value);
    }
    for (const auto& one : kept) {
        const auto set = sets_.find(one.set);
        if (set == sets_.end() || !set->second.shape.changed_by_rules) continue;
        ElementMessages messages{batch, table_, set->first, NFT_MSG_NEWSETELEM};
        messages.add(element_of(set->second.shape, one.key, &one.value)
                         .u64(NFTA_SET_ELEM_TIMEOUT, one.timeout_ms)
                         .u64(NFTA_SET_ELEM_EXPIRATION, one.rest_ms));
    }
    return batch;
}

}   // namespace skiff::proxy
