// A node as the scheduler counts it: what it offers and what the pods on it take. Kept up to date
// by single changes, never counted anew.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>

#include "scheduler/scheduling.h"

namespace skiff::scheduler {

using NodePtr = std::shared_ptr<const view::Node>;
using PodPtr = std::shared_ptr<const view::Pod>;

// Milli-units of CPU, bytes of everything else; extended resources by name.
struct Resources {
    int64_t cpu_milli = 0;
    int64_t memory_bytes = 0;
    int64_t ephemeral_bytes = 0;
    std::map<std::string, int64_t, std::less<>> others;

    void add(const Resources& other, int sign = 1);
    bool operator==(const Resources&) const = default;
};
Resources resources_in(const api::ResourceList& list);
// What a pod asks for: the sum of its containers and sidecars, or its largest init container where
// that is more, plus its overhead (KEP-753).
Resources requests_of(const view::Pod& pod);

// Protocol, port, address; "" is every address.
using HostPort = std::tuple<std::string, int32_t, std::string>;
std::vector<HostPort> host_ports_of(const view::Pod& pod);

class NodeInfo {
  public:
    NodePtr node;   // null while pods are known that name a node which is not

    void add(const PodPtr& pod);
    void remove(const std::string& uid);
    const Resources& requested() const { return requested_; }
    Resources allocatable() const;
    int64_t pods_allocatable() const;
    size_t pods() const { return pods_.size(); }
    bool ports_free(const std::vector<HostPort>& wanted) const;
    bool empty() const { return !node && pods_.empty(); }

  private:
    struct Entry {
        Resources requests;
        std::vector<HostPort> ports;
    };
    std::map<std::string, Entry, std::less<>> pods_;   // by uid
    Resources requested_;
    std::multiset<HostPort> ports_;
};

}   // namespace skiff::scheduler
