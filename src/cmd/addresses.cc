#include "cmd/addresses.h"

#include <algorithm>
#include <array>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include "base/os.h"
#include "base/text.h"

namespace skiff::cmd {
namespace {

// The interface of the default route (/proc/net/route).
std::string default_interface() {
    const auto table = read_file("/proc/net/route");
    if (!table) return {};
    for (const auto line : split(*table, '\n')) {
        const auto fields = split(line, '\t');
        if (fields.size() > 7 && trim(fields[1]) == "00000000" && trim(fields[7]) == "00000000")
            return std::string{trim(fields[0])};
    }
    return {};
}

bool pod_interface(std::string_view name) {
    return name.starts_with("veth") || name.starts_with("cni") || name.starts_with("skiff") ||
           name.starts_with("docker");
}

}   // namespace

std::vector<std::string> machine_addresses() {
    std::vector<std::string> addresses;
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return addresses;
    const auto first = default_interface();
    for (const auto* entry = list; entry; entry = entry->ifa_next) {
        if (!entry->ifa_addr || entry->ifa_addr->sa_family != AF_INET) continue;
        if (!(entry->ifa_flags & IFF_UP) || (entry->ifa_flags & IFF_LOOPBACK) ||
            pod_interface(entry->ifa_name))
            continue;
        std::array<char, INET_ADDRSTRLEN> text{};
        inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr,
                  text.data(), text.size());
        if (std::ranges::find(addresses, text.data()) != addresses.end()) continue;
        if (entry->ifa_name == first)
            addresses.insert(addresses.begin(), text.data());
        else
            addresses.emplace_back(text.data());
    }
    ::freeifaddrs(list);
    return addresses;
}

std::string primary_address() {
    const auto addresses = machine_addresses();
    return addresses.empty() ? "127.0.0.1" : addresses.front();
}

}   // namespace skiff::cmd
