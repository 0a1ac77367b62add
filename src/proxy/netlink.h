// Messages of netlink as bytes: attributes, and the sockets they go through. What Skiff needs of
// libmnl and libnftnl is less than their interface, and rules as plain bytes can be compared.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/os.h"
#include "base/result.h"

namespace skiff::proxy {

// A list of attributes, padded as the kernel wants it. Numbers are big-endian, as all of netfilter.
class Attributes {
  public:
    Attributes& bytes(uint16_t type, std::string_view value);
    Attributes& text(uint16_t type, std::string_view value);   // with its NUL
    Attributes& u8(uint16_t type, uint8_t value);
    Attributes& u16(uint16_t type, uint16_t value);
    Attributes& u32(uint16_t type, uint32_t value);
    Attributes& u64(uint16_t type, uint64_t value);
    Attributes& nested(uint16_t type, const Attributes& inside);
    void append(const Attributes& other) { data_ += other.data_; }
    const std::string& data() const { return data_; }
    size_t size() const { return data_.size(); }
    bool empty() const { return data_.empty(); }
    void clear() { data_.clear(); }

  private:
    std::string data_;
};

// Calls see(type, value) for each attribute of the bytes; malformed rests are left out.
void each_attribute(std::string_view bytes,
                    const std::function<void(uint16_t type, std::string_view value)>& see);
uint32_t big_u32(std::string_view value);   // 0 when it is too short
uint16_t big_u16(std::string_view value);

inline constexpr uint8_t family_ipv4 = 2;   // NFPROTO_IPV4

struct Message {
    uint16_t type = 0;    // subsystem << 8 | command
    uint16_t flags = 0;   // beside NLM_F_REQUEST
    uint8_t family = family_ipv4;
    uint16_t resource = 0;
    std::string attributes;
};
void append_message(std::string& out, const Message& message, uint32_t sequence);

// One socket of NETLINK_NETFILTER. Calls block until the kernel has answered, which it does at
// once. Not for several threads at a time.
class NetfilterSocket {
  public:
    static Result<NetfilterSocket> open();

    // Each answer of a dump, or the one of a request: see(command, attributes).
    using See = std::function<void(uint8_t command, std::string_view attributes)>;
    Result<> request(Message message, const See& see);
    // Messages that were put together by `append_message`, the last of which asks for an
    // acknowledgement with sequence `last`. Fails with the first error that the kernel names.
    Result<> send_batch(const std::string& messages, uint32_t last);

  private:
    explicit NetfilterSocket(Fd fd) : fd_{std::move(fd)} {}
    // Reads until done(type, sequence, body) is true.
    using Done = std::function<Result<bool>(uint16_t type, uint32_t sequence, std::string_view)>;
    Result<> receive(const Done& done);
    Result<> send(const std::string& bytes);
    Fd fd_;
    uint32_t sequence_ = 0;
    size_t send_buffer_ = 0;
};

}   // namespace skiff::proxy
