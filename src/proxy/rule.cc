#include "proxy/rule.h"

#include <linux/netfilter/nf_tables.h>

namespace skiff::proxy {

namespace {

constexpr uint32_t number_of(Register one) { return NFT_REG32_00 + one; }

constexpr uint32_t ip_source_offset = 12;
constexpr uint32_t ip_target_offset = 16;
constexpr uint32_t port_target_offset = 2;
constexpr uint8_t icmp_port_unreachable = 3;

Attributes value_data(std::string_view value) { return Attributes{}.bytes(NFTA_DATA_VALUE, value); }

}   // namespace

Attributes verdict_data(Verdict verdict, std::string_view chain) {
    Attributes inside;
    inside.u32(NFTA_VERDICT_CODE, static_cast<uint32_t>(verdict));
    if (!chain.empty()) inside.text(NFTA_VERDICT_CHAIN, chain);
    return Attributes{}.nested(NFTA_DATA_VERDICT, inside);
}

Rule& Rule::add(std::string_view name, const Attributes& attributes) {
    Attributes one;
    one.text(NFTA_EXPR_NAME, name).nested(NFTA_EXPR_DATA, attributes);
    list_.nested(NFTA_LIST_ELEM, one);
    return *this;
}

Rule& Rule::append(const Rule& other) {
    list_.append(other.list_);
    return *this;
}

// ---- what is loaded ---------------------------------------------------------------------------

Rule& Rule::load_payload(Register to, uint32_t base, uint32_t offset, uint32_t bytes) {
    return add("payload", Attributes{}
                              .u32(NFTA_PAYLOAD_DREG, number_of(to))
                              .u32(NFTA_PAYLOAD_BASE, base)
                              .u32(NFTA_PAYLOAD_OFFSET, offset)
                              .u32(NFTA_PAYLOAD_LEN, bytes));
}
Rule& Rule::source_address(Register to) {
    return load_payload(to, NFT_PAYLOAD_NETWORK_HEADER, ip_source_offset, 4);
}
Rule& Rule::target_address(Register to) {
    return load_payload(to, NFT_PAYLOAD_NETWORK_HEADER, ip_target_offset, 4);
}
Rule& Rule::target_port(Register to) {
    return load_payload(to, NFT_PAYLOAD_TRANSPORT_HEADER, port_target_offset, 2);
}
Rule& Rule::protocol(Register to) {
    return add(
        "meta",
        Attributes{}.u32(NFTA_META_DREG, number_of(to)).u32(NFTA_META_KEY, NFT_META_L4PROTO));
}
Rule& Rule::address_type(Register to, bool of_source) {
    return add("fib", Attributes{}
                          .u32(NFTA_FIB_DREG, number_of(to))
                          .u32(NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE)
                          .u32(NFTA_FIB_FLAGS, of_source ? NFTA_FIB_F_SADDR : NFTA_FIB_F_DADDR));
}
Rule& Rule::load_tracked(Register to, uint32_t key, bool original) {
    Attributes attributes;
    attributes.u32(NFTA_CT_DREG, number_of(to)).u32(NFTA_CT_KEY, key);
    if (original) attributes.u8(NFTA_CT_DIRECTION, 0);
    return add("ct", attributes);
}
Rule& Rule::tracked_target(Register to) { return load_tracked(to, NFT_CT_DST_IP, true); }
Rule& Rule::tracked_target_port(Register to) { return load_tracked(to, NFT_CT_PROTO_DST, true); }
Rule& Rule::tracked_protocol(Register to) { return load_tracked(to, NFT_CT_PROTOCOL, true); }
Rule& Rule::tracked_status(Register to) { return load_tracked(to, NFT_CT_STATUS, false); }
Rule& Rule::tracked_state(Register to) { return load_tracked(to, NFT_CT_STATE, false); }
Rule& Rule::random(Register to, uint32_t below) {
    return add("numgen", Attributes{}
                             .u32(NFTA_NG_DREG, number_of(to))
                             .u32(NFTA_NG_MODULUS, below)
                             .u32(NFTA_NG_TYPE, NFT_NG_RANDOM)
                             .u32(NFTA_NG_OFFSET, 0));
}

// ---- what must hold ---------------------------------------------------------------------------

Rule& Rule::compare(Register what, uint32_t how, std::string_view value) {
    return add("cmp", Attributes{}
                          .u32(NFTA_CMP_SREG, number_of(what))
                          .u32(NFTA_CMP_OP, how)
                          .nested(NFTA_CMP_DATA, value_data(value)));
}
Rule& Rule::equals(Register what, std::string_view value) {
    return compare(what, NFT_CMP_EQ, value);
}
Rule& Rule::differs(Register what, std::string_view value) {
    return compare(what, NFT_CMP_NEQ, value);
}
Rule& Rule::between(Register what, std::string_view first, std::string_view last) {
    return add("range", Attributes{}
                            .u32(NFTA_RANGE_SREG, number_of(what))
                            .u32(NFTA_RANGE_OP, NFT_RANGE_EQ)
                            .nested(NFTA_RANGE_FROM_DATA, value_data(first))
                            .nested(NFTA_RANGE_TO_DATA, value_data(last)));
}
Rule& Rule::mask(Register what, std::string_view bits) {
    return add("bitwise",
               Attributes{}
                   .u32(NFTA_BITWISE_SREG, number_of(what))
                   .u32(NFTA_BITWISE_DREG, number_of(what))
                   .u32(NFTA_BITWISE_LEN, static_cast<uint32_t>(bits.size()))
                   .nested(NFTA_BITWISE_MASK, value_data(bits))
                   .nested(NFTA_BITWISE_XOR, value_data(std::string(bits.size(), '\0'))));
}
Rule& Rule::in_set(std::string_view set, Register key) {
    return add("lookup",
               Attributes{}.text(NFTA_LOOKUP_SET, set).u32(NFTA_LOOKUP_SREG, number_of(key)));
}
Rule& Rule::not_in_set(std::string_view set, Register key) {
    return add("lookup", Attributes{}
                             .text(NFTA_LOOKUP_SET, set)
                             .u32(NFTA_LOOKUP_SREG, number_of(key))
                             .u32(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV));
}
Rule& Rule::look_up(std::string_view map, Register key, Register to) {
    return add("lookup", Attributes{}
                             .text(NFTA_LOOKUP_SET, map)
                             .u32(NFTA_LOOKUP_SREG, number_of(key))
                             .u32(NFTA_LOOKUP_DREG, number_of(to)));
}

// ---- sets that rules change -------------------------------------------------------------------

Rule& Rule::change(uint32_t operation, std::string_view map, Register key, Register value,
                   std::chrono::seconds time) {
    Attributes attributes;
    attributes.text(NFTA_DYNSET_SET_NAME, map)
        .u32(NFTA_DYNSET_OP, operation)
        .u32(NFTA_DYNSET_SREG_KEY, number_of(key))
        .u32(NFTA_DYNSET_SREG_DATA, number_of(value));
    if (time.count() > 0)
        attributes.u64(NFTA_DYNSET_TIMEOUT, std::chrono::milliseconds{time}.count());
    return add("dynset", attributes);
}
Rule& Rule::forget(std::string_view map, Register key, Register value) {
    return change(NFT_DYNSET_OP_DELETE, map, key, value, {});
}
Rule& Rule::remember(std::string_view map, Register key, Register value,
                     std::chrono::seconds time) {
    return change(NFT_DYNSET_OP_UPDATE, map, key, value, time);
}

// ---- what is done -----------------------------------------------------------------------------

Rule& Rule::verdict_from(std::string_view map, Register key) {
    return add("lookup", Attributes{}
                             .text(NFTA_LOOKUP_SET, map)
                             .u32(NFTA_LOOKUP_SREG, number_of(key))
                             .u32(NFTA_LOOKUP_DREG, NFT_REG_VERDICT));
}
Rule& Rule::verdict(Verdict verdict, std::string_view chain) {
    return add("immediate", Attributes{}
                                .u32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT)
                                .nested(NFTA_IMMEDIATE_DATA, verdict_data(verdict, chain)));
}
Rule& Rule::translate_target(Register address, Register port) {
    return add("nat", Attributes{}
                          .u32(NFTA_NAT_TYPE, NFT_NAT_DNAT)
                          .u32(NFTA_NAT_FAMILY, family_ipv4)
                          .u32(NFTA_NAT_REG_ADDR_MIN, number_of(address))
                          .u32(NFTA_NAT_REG_PROTO_MIN, number_of(port)));
}
Rule& Rule::masquerade() { return add("masq", {}); }
Rule& Rule::refuse_with_reset() {
    return add("reject",
               Attributes{}.u32(NFTA_REJECT_TYPE, NFT_REJECT_TCP_RST).u8(NFTA_REJECT_ICMP_CODE, 0));
}
Rule& Rule::refuse_with_icmp() {
    return add("reject", Attributes{}
                             .u32(NFTA_REJECT_TYPE, NFT_REJECT_ICMP_UNREACH)
                             .u8(NFTA_REJECT_ICMP_CODE, icmp_port_unreachable));
}

}   // namespace skiff::proxy
