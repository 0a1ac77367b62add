#include "proxy/flows.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

namespace skiff::proxy {

namespace {

struct Tuple {
    Address source = 0;
    Address target = 0;
    uint8_t protocol = 0;
    uint16_t source_port = 0;
    uint16_t target_port = 0;
};

Tuple tuple_of(std::string_view bytes) {
    Tuple out;
    each_attribute(bytes, [&](uint16_t type, std::string_view value) {
        each_attribute(value, [&](uint16_t inner, std::string_view content) {
            if (type == CTA_TUPLE_IP) {
                if (inner == CTA_IP_V4_SRC) out.source = big_u32(content);
                if (inner == CTA_IP_V4_DST) out.target = big_u32(content);
            } else if (type == CTA_TUPLE_PROTO) {
                if (inner == CTA_PROTO_NUM && !content.empty())
                    out.protocol = static_cast<uint8_t>(content[0]);
                if (inner == CTA_PROTO_SRC_PORT) out.source_port = big_u16(content);
                if (inner == CTA_PROTO_DST_PORT) out.target_port = big_u16(content);
            }
        });
    });
    return out;
}

struct Connection {
    std::string original;   // the tuple as it came
    std::string id;
    Tuple there;
    Tuple back;
};

Connection connection_of(std::string_view attributes) {
    Connection out;
    each_attribute(attributes, [&](uint16_t type, std::string_view value) {
        if (type == CTA_TUPLE_ORIG) {
            out.original = value;
            out.there = tuple_of(value);
        } else if (type == CTA_TUPLE_REPLY) {
            out.back = tuple_of(value);
        } else if (type == CTA_ID) {
            out.id = value;
        }
    });
    return out;
}

bool is_stale(const Connection& one, const std::vector<StaleFlows>& stale) {
    if (one.there.protocol != static_cast<uint8_t>(Protocol::Udp)) return false;
    const bool translated =
        one.back.source != one.there.target || one.back.source_port != one.there.target_port;
    for (const auto& flows : stale) {
        if (flows.protocol != Protocol::Udp || one.there.target_port != flows.port) continue;
        // A node port is on every address: only what was led elsewhere is known to be its.
        if (flows.address ? one.there.target != *flows.address : !translated) continue;
        if (!flows.endpoints.contains({one.back.source, one.back.source_port})) return true;
    }
    return false;
}

constexpr uint16_t type_of(uint8_t subsystem, uint8_t command) {
    return static_cast<uint16_t>(subsystem << 8 | command);
}

Result<> each_client(NetfilterSocket& socket, const std::string& table,
                     const std::function<void(Ruleset::Kept)>& see) {
    for (const auto map : {affinity_map, port_affinity_map}) {
        const Message ask{.type = type_of(NFNL_SUBSYS_NFTABLES, NFT_MSG_GETSETELEM),
                          .flags = NLM_F_DUMP,
                          .family = family_ipv4,
                          .resource = 0,
                          .attributes = Attributes{}
                                            .text(NFTA_SET_ELEM_LIST_TABLE, table)
                                            .text(NFTA_SET_ELEM_LIST_SET, map)
                                            .data()};
        const auto element = [&](std::string_view bytes) {
            Ruleset::Kept one{.set = std::string{map}, .key = {}, .value = {}};
            each_attribute(bytes, [&](uint16_t type, std::string_view value) {
                const auto data = [&](std::string& to) {
                    each_attribute(value, [&](uint16_t inner, std::string_view content) {
                        if (inner == NFTA_DATA_VALUE) to = content;
                    });
                };
                if (type == NFTA_SET_ELEM_KEY) data(one.key);
                if (type == NFTA_SET_ELEM_DATA) data(one.value);
                const auto number = [&] {
                    return uint64_t{big_u32(value)} << 32 | big_u32(value.substr(4));
                };
                if (type == NFTA_SET_ELEM_TIMEOUT && value.size() == 8) one.timeout_ms = number();
                if (type == NFTA_SET_ELEM_EXPIRATION && value.size() == 8) one.rest_ms = number();
            });
            if (one.key.size() >= 12 && one.value.size() == 8) see(std::move(one));
        };
        const auto done = socket.request(ask, [&](uint8_t, std::string_view attributes) {
            each_attribute(attributes, [&](uint16_t type, std::string_view list) {
                if (type != NFTA_SET_ELEM_LIST_ELEMENTS) return;
                each_attribute(list, [&](uint16_t, std::string_view one) { element(one); });
            });
        });
        if (!done && done.error().reason != Reason::NotFound) return done;
    }
    return {};
}

bool is_stale(const Ruleset::Kept& client, const std::vector<StaleFlows>& stale) {
    const bool has_address = client.set == affinity_map;
    const std::string_view key{client.key};
    const size_t rest = has_address ? 4 : 0;
    for (const auto& flows : stale) {
        if (!flows.affinity || flows.address.has_value() != has_address) continue;
        if (has_address && address_of_part(key) != *flows.address) continue;
        if (key.substr(rest, 4) != protocol_part(flows.protocol) ||
            port_of_part(key.substr(rest + 4)) != flows.port)
            continue;
        const Endpoint endpoint{address_of_part(client.value),
                                port_of_part(std::string_view{client.value}.substr(4))};
        if (!flows.endpoints.contains(endpoint)) return true;
    }
    return false;
}

}   // namespace

Result<size_t> forget_connections(NetfilterSocket& socket, const std::vector<StaleFlows>& stale) {
    bool any = false;
    for (const auto& flows : stale) any |= flows.protocol == Protocol::Udp;
    if (!any) return 0;
    std::vector<Connection> found;
    const Message ask{.type = type_of(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET),
                      .flags = NLM_F_DUMP,
                      .family = family_ipv4,
                      .resource = 0,
                      .attributes = {}};
    TRY_OK(socket.request(ask, [&](uint8_t, std::string_view attributes) {
        auto one = connection_of(attributes);
        if (is_stale(one, stale)) found.push_back(std::move(one));
    }));
    for (const auto& one : found) {
        Attributes attributes;
        attributes.bytes(CTA_TUPLE_ORIG | NLA_F_NESTED, one.original);
        if (!one.id.empty()) attributes.bytes(CTA_ID, one.id);
        const auto done =
            socket.request({.type = type_of(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE),
                            .flags = 0,
                            .family = family_ipv4,
                            .resource = 0,
                            .attributes = attributes.data()},
                           [](uint8_t, std::string_view) {});
        if (!done && done.error().reason != Reason::NotFound)
            return std::unexpected{done.error()};   // else it has ended by itself
    }
    return found.size();
}

Result<size_t> forget_clients(NetfilterSocket& socket, const std::string& table,
                              const std::vector<StaleFlows>& stale) {
    bool any = false;
    for (const auto& flows : stale) any |= flows.affinity;
    if (!any) return 0;
    std::vector<Ruleset::Kept> found;
    TRY_OK(each_client(socket, table, [&](Ruleset::Kept one) {
        if (is_stale(one, stale)) found.push_back(std::move(one));
    }));
    for (const auto& one : found) {
        Batch batch;   // each by itself: one that ended meanwhile fails alone
        batch.add(
            NFT_MSG_DELSETELEM, 0,
            Attributes{}
                .text(NFTA_SET_ELEM_LIST_TABLE, table)
                .text(NFTA_SET_ELEM_LIST_SET, one.set)
                .nested(NFTA_SET_ELEM_LIST_ELEMENTS,
                        Attributes{}.nested(
                            NFTA_LIST_ELEM,
                            Attributes{}.nested(NFTA_SET_ELEM_KEY,
                                                Attributes{}.bytes(NFTA_DATA_VALUE, one.key)))));
        static_cast<void>(batch.commit(socket));
    }
    return found.size();
}

Result<std::vector<Ruleset::Kept>> kept_clients(NetfilterSocket& socket, const std::string& table) {
    std::vector<Ruleset::Kept> out;
    TRY_OK(each_client(socket, table, [&](Ruleset::Kept one) { out.push_back(std::move(one)); }));
    return out;
}

}   // namespace skiff::proxy
