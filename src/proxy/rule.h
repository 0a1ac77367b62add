// One rule of nftables, put together from the kernel's expressions. Registers are the sixteen of
// four bytes; concatenated keys and values lie in neighbouring ones. They are forgotten between
// rules.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/netlink.h"

namespace skiff::proxy {

using Register = unsigned;   // 0 … 15

enum class Direction : uint8_t { Original, Reply };
enum class Verdict : int32_t { Drop = 0, Accept = 1, Jump = -3, Goto = -4, Return = -5 };

class Rule {
  public:
    // What is loaded into registers.
    Rule& source_address(Register to);
    Rule& target_address(Register to);
    Rule& target_port(Register to);   // of TCP, UDP, SCTP
    Rule& protocol(Register to);      // of the transport, in the first byte
    Rule& address_type(Register to, bool of_source = false);   // RTN_LOCAL: one of the machine's
    Rule& tracked_target(Register to);        // address, port and protocol that the first packet
    Rule& tracked_target_port(Register to);   // of the connection had before any translation
    Rule& tracked_protocol(Register to);
    Rule& tracked_status(Register to);   // IPS_…, in the machine's byte order
    Rule& tracked_state(Register to);    // NF_CT_STATE_BIT
    Rule& random(Register to, uint32_t below);

    // What must hold; else the rule ends there.
    Rule& equals(Register what, std::string_view value);
    Rule& differs(Register what, std::string_view value);
    Rule& between(Register what, std::string_view first, std::string_view last);
    Rule& mask(Register what, std::string_view bits);
    Rule& in_set(std::string_view set, Register key);
    Rule& not_in_set(std::string_view set, Register key);
    Rule& look_up(std::string_view map, Register key, Register to);

    // Sets that rules change.
    Rule& forget(std::string_view map, Register key, Register value);
    Rule& remember(std::string_view map, Register key, Register value, std::chrono::seconds time);

    // What is done.
    Rule& verdict_from(std::string_view map, Register key);   // goes on when there is none
    Rule& verdict(Verdict verdict, std::string_view chain = {});
    Rule& translate_target(Register address, Register port);
    Rule& masquerade();
    Rule& refuse_with_reset();
    Rule& refuse_with_icmp();   // port unreachable

    Rule& append(const Rule& other);   // all of that one behind this one

    const std::string& expressions() const { return list_.data(); }
    bool operator==(const Rule& other) const { return list_.data() == other.list_.data(); }

  private:
    Rule& add(std::string_view name, const Attributes& attributes);
    Rule& load_payload(Register to, uint32_t base, uint32_t offset, uint32_t bytes);
    Rule& load_tracked(Register to, uint32_t key, bool original);
    Rule& compare(Register what, uint32_t how, std::string_view value);
    Rule& change(uint32_t operation, std::string_view map, Register key, Register value,
                 std::chrono::seconds time);

    Attributes list_;
};

// {NFTA_DATA_VERDICT …}, as elements of verdict maps and immediate expressions have it.
Attributes verdict_data(Verdict verdict, std::string_view chain);

}   // namespace skiff::proxy
