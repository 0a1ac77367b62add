#include "proxy/kernel_table.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "base/log.h"

namespace skiff::proxy {

namespace {

constexpr uint16_t type_of(uint8_t command) {
    return static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | command);
}

}   // namespace

Result<> KernelTable::commit() {
    if (!known_) return replace();
    if (!rules_.changed()) return {};
    const auto batch = rules_.changes();
    const auto done = batch.commit(socket_);
    if (!done) {
        log_warn("the rules are not as they were left; they are made anew",
                 {{"table", rules_.table()}, {"error", done.error().message}});
        return replace();
    }
    rules_.committed();
    TRY(handle_, handle());
    return {};
}

Result<> KernelTable::replace() {
    known_ = false;
    std::vector<Ruleset::Kept> kept;
    if (kept_) {
        TRY(kept, kept_(socket_));
    }
    TRY_OK(rules_.whole(kept).commit(socket_));
    rules_.committed();
    TRY(handle_, handle());
    known_ = true;
    return {};
}

bool KernelTable::lost() {
    if (!known_) return false;   // the next commit makes it whole anyway
    const auto now = handle();
    if (now && *now == handle_) return false;
    known_ = false;
    return true;
}

Result<std::optional<uint64_t>> KernelTable::handle() {
    std::optional<uint64_t> found;
    const auto done = socket_.request(
        {.type = type_of(NFT_MSG_GETTABLE),
         .flags = 0,
         .family = family_ipv4,
         .resource = 0,
         .attributes = Attributes{}.text(NFTA_TABLE_NAME, rules_.table()).data()},
        [&](uint8_t, std::string_view attributes) {
            each_attribute(attributes, [&](uint16_t type, std::string_view value) {
                if (type == NFTA_TABLE_HANDLE && value.size() == 8)
                    found = uint64_t{big_u32(value)} << 32 | big_u32(value.substr(4));
            });
        });
    if (!done && done.error().reason != Reason::NotFound) return std::unexpected{done.error()};
    return found;
}

Result<uint32_t> generation(NetfilterSocket& socket) {
    uint32_t id = 0;
    TRY_OK(socket.request(
        {.type = type_of(NFT_MSG_GETGEN), .flags = 0, .family = 0, .resource = 0, .attributes = {}},
        [&](uint8_t, std::string_view attributes) {
            each_attribute(attributes, [&](uint16_t type, std::string_view value) {
                if (type == NFTA_GEN_ID) id = big_u32(value);
            });
        }));
    return id;
}

}   // namespace skiff::proxy
