#include "proxy/netlink.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "base/text.h"

namespace skiff::proxy {

namespace {

constexpr size_t align(size_t size) { return (size + 3) & ~size_t{3}; }

template <class Number>
std::string_view view_of(const Number& number) {
    return {reinterpret_cast<const char*>(&number), sizeof number};
}

template <class T>
T read_as(std::string_view bytes) {
    T value{};
    if (bytes.size() >= sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

}   // namespace

// ---- attributes -------------------------------------------------------------------------------

Attributes& Attributes::bytes(uint16_t type, std::string_view value) {
    const nlattr header{.nla_len = static_cast<uint16_t>(sizeof(nlattr) + value.size()),
                        .nla_type = type};
    ASSERT(value.size() + sizeof(nlattr) <= UINT16_MAX);
    data_ += view_of(header);
    data_ += value;
    data_.resize(align(data_.size()), '\0');
    return *this;
}
Attributes& Attributes::text(uint16_t type, std::string_view value) {
    return bytes(type, std::string{value} + '\0');
}
Attributes& Attributes::u8(uint16_t type, uint8_t value) { return bytes(type, view_of(value)); }
Attributes& Attributes::u16(uint16_t type, uint16_t value) {
    return bytes(type, view_of(htons(value)));
}
Attributes& Attributes::u32(uint16_t type, uint32_t value) {
    return bytes(type, view_of(htonl(value)));
}
Attributes& Attributes::u64(uint16_t type, uint64_t value) {
    return bytes(type, view_of(__builtin_bswap64(value)));
}
Attributes& Attributes::nested(uint16_t type, const Attributes& inside) {
    return bytes(type | NLA_F_NESTED, inside.data_);
}

void each_attribute(std::string_view bytes,
                    const std::function<void(uint16_t, std::string_view)>& see) {
    while (bytes.size() >= sizeof(nlattr)) {
        const auto header = read_as<nlattr>(bytes);
        if (header.nla_len < sizeof(nlattr) || header.nla_len > bytes.size()) return;
        see(header.nla_type & NLA_TYPE_MASK,
            bytes.substr(sizeof(nlattr), header.nla_len - sizeof(nlattr)));
        bytes.remove_prefix(std::min(align(header.nla_len), bytes.size()));
    }
}

uint32_t big_u32(std::string_view value) { return ntohl(read_as<uint32_t>(value)); }
uint16_t big_u16(std::string_view value) { return ntohs(read_as<uint16_t>(value)); }

// ---- messages ---------------------------------------------------------------------------------

void append_message(std::string& out, const Message& message, uint32_t sequence) {
    const nfgenmsg family{
        .nfgen_family = message.family, .version = NFNETLINK_V0, .res_id = htons(message.resource)};
    const nlmsghdr header{.nlmsg_len = static_cast<uint32_t>(sizeof(nlmsghdr) + sizeof family +
                                                             message.attributes.size()),
                          .nlmsg_type = message.type,
                          .nlmsg_flags = static_cast<uint16_t>(message.flags | NLM_F_REQUEST),
                          .nlmsg_seq = sequence,
                          .nlmsg_pid = 0};
    out += view_of(header);
    out += view_of(family);
    out += message.attributes;
    out.resize(align(out.size()), '\0');
}

// ---- the socket -------------------------------------------------------------------------------

Result<NetfilterSocket> NetfilterSocket::open() {
    Fd fd{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)};
    if (!fd) return fail_errno("open a netfilter socket", errno);
    const sockaddr_nl address{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = 0};
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail_errno("bind a netfilter socket", errno);
    // A batch that fails is answered with an error for each of its messages.
    const int receive_bytes = 4 << 20;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_bytes, sizeof receive_bytes);
    return NetfilterSocket{std::move(fd)};
}

Result<> NetfilterSocket::send(const std::string& bytes) {
    // The kernel takes a message whole or not at all: the buffer must have room for it.
    if (const size_t needed = bytes.size() * 2 + 4096; needed > send_buffer_) {
        const int size = static_cast<int>(std::min<size_t>(needed, INT32_MAX / 2));
        if (::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) == 0)
            send_buffer_ = needed;
    }
    const sockaddr_nl kernel{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = 0};
    for (;;) {
        const auto sent = ::sendto(fd_.get(), bytes.data(), bytes.size(), 0,
                                   reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
        if (sent >= 0) return {};
        if (errno != EINTR) return fail_errno("send to netfilter", errno);
    }
}

Result<> NetfilterSocket::receive(const Done& done) {
    std::string buffer(64u << 10, '\0');
    for (;;) {
        const auto got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno("receive from netfilter", errno);
        std::string_view rest{buffer.data(), static_cast<size_t>(got)};
        while (rest.size() >= sizeof(nlmsghdr)) {
            const auto header = read_as<nlmsghdr>(rest);
            if (header.nlmsg_len < sizeof header || header.nlmsg_len > rest.size()) break;
            const auto body = rest.substr(sizeof header, header.nlmsg_len - sizeof header);
            TRY(const bool ends, done(header.nlmsg_type, header.nlmsg_seq, body));
            if (ends) return {};
            rest.remove_prefix(std::min(align(header.nlmsg_len), rest.size()));
        }
    }
}

Result<> NetfilterSocket::request(Message message, const See& see) {
    std::string bytes;
    const uint32_t sequence = ++sequence_;
    message.flags |= NLM_F_ACK;
    append_message(bytes, message, sequence);
    TRY_OK(send(bytes));
    return receive([&](uint16_t type, uint32_t seen, std::string_view body) -> Result<bool> {
        if (seen != sequence) return false;   // what an earlier call left
        if (type == NLMSG_DONE) return true;
        if (type == NLMSG_ERROR) {
            const auto error = read_as<nlmsgerr>(body).error;
            if (error == 0) return true;
            return fail_errno("netfilter", -error,
                              error == -ENOENT ? Reason::NotFound : Reason::InternalError);
        }
        if (body.size() >= sizeof(nfgenmsg))
            see(static_cast<uint8_t>(type & 0xff), body.substr(sizeof(nfgenmsg)));
        return false;
    });
}

Result<> NetfilterSocket::send_batch(const std::string& messages, uint32_t last) {
    std::string bytes;
    const Message mark{.type = NFNL_MSG_BATCH_BEGIN,
                       .flags = 0,
                       .family = AF_UNSPEC,
                       .resource = NFNL_SUBSYS_NFTABLES,
                       .attributes = {}};
    bytes.reserve(messages.size() + 64);
    append_message(bytes, mark, 0);
    bytes += messages;
    Message end = mark;
    end.type = NFNL_MSG_BATCH_END;
    append_message(bytes, end, last + 1);
    TRY_OK(send(bytes));
    std::optional<Error> error;
    // Errors come before the acknowledgement; one of the batch as a whole has its first sequence.
    TRY_OK(receive([&](uint16_t type, uint32_t sequence, std::string_view body) -> Result<bool> {
        if (type != NLMSG_ERROR) return false;
        const int code = read_as<nlmsgerr>(body).error;
        if (code != 0 && !error)
            error = fail_errno(concat("netfilter refused message ", sequence), -code).error();
        return sequence == last || (code != 0 && sequence == 0);
    }));
    if (error) return std::unexpected{*std::move(error)};
    return {};
}

}   // namespace skiff::proxy
