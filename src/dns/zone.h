// The cluster's names: services and their endpoints as DNS sees them (Kubernetes' DNS-Based Service
// Discovery, version 1.1.0). Pure: changes go in, answers come out.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ipv4.h"
#include "dns/dns.h"
#include "dns/message.h"

namespace skiff::dns {

struct ZoneOptions {
    std::string domain = "cluster.local";
    uint32_t own_address = 0;        // of the DNS service
    std::vector<Ipv4Range> ranges;   // whose reverse names are ours alone: services, pods
};

class Zone {
  public:
    explicit Zone(ZoneOptions options);

    void put(const view::Service& service);
    void remove(const view::Service& service);
    void put(const view::EndpointSlice& slice);
    void remove(const view::EndpointSlice& slice);

    struct Reply {
        Answer answer;
        std::string alias;   // an ExternalName outside of the zone: its addresses belong in, too
    };
    // Nothing: the name is not ours. `turn` says which of several addresses comes first.
    std::optional<Reply> find(const Question& question, uint16_t turn) const;
    bool owns(std::string_view name) const;   // find would answer, once everything is known

  private:
    struct Endpoint {
        uint32_t address = 0;
        std::string six;    // an IPv6 address instead, its 16 bytes; somebody wrote its slice
        std::string host;   // its hostname, or its address with dashes
        std::vector<view::EndpointSlice::EndpointPort> ports;
    };
    struct Entry {            // a service, its endpoints, or both
        bool known = false;   // the service itself is there
        bool headless = false;
        std::optional<uint32_t> address;
        std::string external;
        std::vector<view::Service::ServicePort> ports;
        std::map<std::string, std::vector<Endpoint>> slices;   // by name
    };
    class Search;

    std::string own_name(std::string_view key) const;   // "web.default" in full
    Entry& entry(const std::string& key);
    void drop_if_empty(const std::string& key);
    void forget_address(const std::string& key, const Entry& entry);
    void index_endpoints(const std::string& key, const std::vector<Endpoint>& endpoints, bool add);

    ZoneOptions options_;
    std::map<std::string, Entry, std::less<>> entries_;             // by "name.namespace"
    std::map<std::string, size_t, std::less<>> namespaces_;         // how many services
    std::map<uint32_t, std::set<std::string>> service_addresses_;   // to keys
    std::map<uint32_t, std::multiset<std::string>> endpoint_addresses_;
};

}   // namespace skiff::dns
