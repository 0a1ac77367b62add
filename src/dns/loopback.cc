#include "dns/loopback.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "base/ipv4.h"
#include "base/os.h"
#include "base/text.h"

namespace skiff::dns {
namespace {

struct Request {
    nlmsghdr header{};
    ifaddrmsg message{};
    std::array<char, 2 * RTA_SPACE(sizeof(uint32_t))> attributes{};
};

// False when it is so already: `known` is the kernel's error for that.
Result<bool> ask_kernel(uint16_t type, uint16_t flags, uint32_t address, int known) {
    const auto doing =
        concat(type == RTM_NEWADDR ? "add " : "remove ", ipv4_text(address), " on lo");
    const Fd socket{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
    if (!socket) return fail_errno(doing, errno);
    Request request;
    request.header = {.nlmsg_len = sizeof request,
                      .nlmsg_type = type,
                      .nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags),
                      .nlmsg_seq = 1,
                      .nlmsg_pid = 0};
    request.message = {.ifa_family = AF_INET,
                       .ifa_prefixlen = 32,
                       .ifa_flags = 0,
                       .ifa_scope = RT_SCOPE_HOST,
                       .ifa_index = if_nametoindex("lo")};
    char* at = request.attributes.data();
    for (const unsigned short kind : {IFA_LOCAL, IFA_ADDRESS}) {
        const rtattr head{.rta_len = RTA_LENGTH(sizeof address), .rta_type = kind};
        const uint32_t raw = htonl(address);
        std::memcpy(at, &head, sizeof head);
        std::memcpy(at + RTA_LENGTH(0), &raw, sizeof raw);
        at += RTA_SPACE(sizeof address);
    }
    if (::send(socket.get(), &request, sizeof request, 0) < 0) return fail_errno(doing, errno);
    std::array<char, 4096> answer{};
    const auto size = ::recv(socket.get(), answer.data(), answer.size(), 0);
    if (size < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(nlmsgerr))))
        return fail(Reason::InternalError, concat(doing, ": the kernel gave no answer"));
    nlmsgerr error{};
    std::memcpy(&error, answer.data() + NLMSG_HDRLEN, sizeof error);
    if (error.error != 0 && error.error != -known) return fail_errno(doing, -error.error);
    return error.error == 0;
}

}   // namespace

Result<> add_to_loopback(uint32_t address) {
    TRY_OK(ask_kernel(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, address, EEXIST));
    return {};
}

Result<bool> remove_from_loopback(uint32_t address) {
    return ask_kernel(RTM_DELADDR, 0, address, EADDRNOTAVAIL);
}

}   // namespace skiff::dns
