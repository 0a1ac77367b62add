#include "controllers/endpointslice_plan.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "controllers/endpoints_plan.h"

namespace skiff::controllers {
namespace {

using Slice = view::EndpointSlice;
using Endpoint = Slice::Endpoint;
using Port = Slice::EndpointPort;

constexpr std::string_view skip_mirror_label = "endpointslice.kubernetes.io/skip-mirror";
constexpr std::string_view leader_annotation = "control-plane.alpha.kubernetes.io/leader";
constexpr std::string_view zone_label = "topology.kubernetes.io/zone";
constexpr std::string_view last_applied = "kubectl.kubernetes.io/last-applied-configuration";

std::string identity_of(const Endpoint& endpoint) {
    return concat(endpoint.addresses.empty() ? "" : endpoint.addresses.front(), "/",
                  endpoint.targetRef ? endpoint.targetRef->uid : "", "/",
                  endpoint.hostname.value_or(""));
}

std::string ports_key(std::string_view address_type, const std::vector<Port>& ports) {
    std::vector<std::string> texts;
    for (const auto& port : ports)
        texts.push_back(concat(port.name.value_or(""), "/", port.protocol.view(), "/",
                               port.port.value_or(0), "/", port.appProtocol.value_or("")));
    std::ranges::sort(texts);
    return concat(address_type, " ", join(texts, ","));
}

// A slice on its way: as it is stored, and what becomes of it.
struct Working {
    const Slice* stored = nullptr;   // null: it is new
    Slice slice;
    bool changed = false;
    size_t room() const { return slice_endpoints_max - slice.endpoints.size(); }
};

Slice made_of(const SliceSet& set, const EndpointGroup& group) {
    Slice slice;
    slice.metadata = set.metadata;
    slice.metadata.generateName = set.prefix;
    slice.addressType = std::string_view{group.address_type};
    slice.ports = group.ports;
    return slice;
}

// Labels, annotations and owner as they have to be; what else a slice carries stays.
bool settle_metadata(const SliceSet& set, Slice& slice) {
    bool changed = false;
    auto annotations = slice.metadata.annotations;
    for (const auto& [key, value] : set.metadata.annotations)
        if (key != last_change_annotation) annotations[key] = value;
    if (!(slice.metadata.labels == set.metadata.labels)) changed = true;
    if (!(slice.metadata.ownerReferences == set.metadata.ownerReferences)) changed = true;
    if (!(slice.metadata.annotations == annotations)) changed = true;
    slice.metadata.labels = set.metadata.labels;
    slice.metadata.ownerReferences = set.metadata.ownerReferences;
    slice.metadata.annotations = std::move(annotations);
    return changed;
}

// Endpoints of the group that the slice has stay, as they are now; all else leaves it. What stayed
// is taken out of `left`.
void keep_known(Working& work, std::map<std::string, Endpoint>& left) {
    std::vector<Endpoint> kept;
    for (auto& endpoint : work.slice.endpoints) {
        const auto found = left.find(identity_of(endpoint));
        if (found == left.end()) continue;
        work.changed |= !(found->second == endpoint);
        kept.push_back(std::move(found->second));
        left.erase(found);
    }
    work.changed |= kept.size() != work.slice.endpoints.size();
    work.slice.endpoints = std::move(kept);
}

void fill(Working& work, std::map<std::string, Endpoint>& left) {
    while (!left.empty() && work.room() > 0) {
        work.slice.endpoints.push_back(std::move(left.begin()->second));
        left.erase(left.begin());
        work.changed = true;
    }
}

// Puts what has no place yet: into slices that change anyway, the fullest first; then into the
// fullest unchanged one that takes all of it; then into new ones.
void place(const SliceSet& set, const EndpointGroup& group, std::vector<Working>& slices,
           std::map<std::string, Endpoint>& left) {
    std::vector<Working*> changed;
    for (auto& work : slices)
        if (work.changed && !work.slice.endpoints.empty()) changed.push_back(&work);
    std::ranges::stable_sort(changed, {}, [](const Working* work) { return work->room(); });
    for (auto* work : changed) fill(*work, left);
    if (left.empty()) return;
    Working* fits = nullptr;
    for (auto& work : slices)
        if (work.room() >= left.size() && !work.slice.endpoints.empty() &&
            (!fits || work.room() < fits->room()))
            fits = &work;
    if (fits) fill(*fits, left);
    // An emptied slice is as good as a new one, and costs one write less.
    for (auto& work : slices)
        if (work.slice.endpoints.empty()) fill(work, left);
    while (!left.empty()) {
        Working& fresh = slices.emplace_back();
        fresh.slice = made_of(set, group);
        fill(fresh, left);
    }
}

void write(const SliceSet& set, const Working& work, client::Plan& plan) {
    const auto& metadata = work.slice.metadata;
    const std::string name_space = metadata.namespace_.str();
    auto slice = work.slice;
    if (const auto* time = set.metadata.annotations.find(last_change_annotation))
        slice.metadata.annotations[last_change_annotation] = *time;
    if (!work.stored) {
        plan.create(slice, {.name_space = name_space, .name = {}});
        return;
    }
    auto& update = plan.update(slice, {.name_space = name_space, .name = metadata.name});
    update.uid = metadata.uid;
    update.resource_version = metadata.resourceVersion;
}

void remove(const Slice& slice, client::Plan& plan) {
    plan.remove<Slice>({.name_space = slice.metadata.namespace_.str(), .name = slice.metadata.name},
                       slice.metadata.uid);
}

client::Plan remove_all(const SliceList& slices) {
    client::Plan plan;
    for (const auto& slice : slices)
        if (!slice->metadata.deletionTimestamp) remove(*slice, plan);
    return plan;
}

view::EndpointSlice::OwnerReference owner(std::string_view kind, std::string name,
                                          std::string uid) {
    return {.kind = kind,
            .name = std::move(name),
            .uid = std::move(uid),
            .apiVersion = "v1",
            .controller = true,
            .blockOwnerDeletion = true};
}

Endpoint endpoint_of(const Backend& backend) {
    Endpoint endpoint{.addresses = {backend.ip},
                      .conditions = {.ready = backend.ready,
                                     .serving = backend.serving,
                                     .terminating = backend.terminating},
                      .hostname = {},
                      .nodeName = std::string_view{backend.node},
                      .zone = {},
                      .hints = {},
                      .targetRef = {}};
    if (!backend.hostname.empty()) endpoint.hostname = backend.hostname;
    auto& pod = endpoint.targetRef.emplace();
    pod.kind = "Pod";
    pod.namespace_ = std::string_view{backend.name_space};
    pod.name = backend.name;
    pod.uid = backend.uid;
    return endpoint;
}

std::vector<EndpointGroup> groups_of(const std::vector<Backend>& backends) {
    std::map<std::vector<BackendPort>, EndpointGroup> groups;
    for (const auto& backend : backends) {
        auto& group = groups[backend.ports];
        group.endpoints.push_back(endpoint_of(backend));
        if (!group.address_type.empty()) continue;
        group.address_type = backend.ip.find(':') == backend.ip.npos ? "IPv4" : "IPv6";
        for (const auto& port : backend.ports)
            group.ports.push_back({.name = port.name,
                                   .protocol = std::string_view{port.protocol},
                                   .port = port.port,
                                   .appProtocol = port.app_protocol});
    }
    std::vector<EndpointGroup> list;
    for (auto& [ports, group] : groups) list.push_back(std::move(group));
    return list;
}

bool mirrored(const view::Endpoints& endpoints) {
    const auto* skip = endpoints.metadata.labels.find(skip_mirror_label);
    return !(skip && *skip == "true") &&
           !endpoints.metadata.annotations.contains(leader_annotation);
}

Endpoint mirrored_address(const view::Endpoints::EndpointAddress& address, bool ready) {
    Endpoint endpoint{.addresses = {address.ip},
                      .conditions = {.ready = ready, .serving = {}, .terminating = {}},
                      .hostname = {},
                      .nodeName = address.nodeName,
                      .zone = {},
                      .hints = {},
                      .targetRef = {}};
    if (!address.hostname.empty()) endpoint.hostname = address.hostname;
    if (!address.targetRef) return endpoint;
    auto& target = endpoint.targetRef.emplace();
    target.kind = address.targetRef->kind;
    target.namespace_ = address.targetRef->namespace_;
    target.name = address.targetRef->name;
    target.uid = address.targetRef->uid;
    return endpoint;
}

void add_mirrored(const view::Endpoints::EndpointSubset& subset,
                  std::map<std::string, EndpointGroup>& groups) {
    std::vector<Port> ports;
    for (const auto& port : subset.ports)
        ports.push_back({.name = port.name,
                         .protocol = port.protocol,
                         .port = port.port,
                         .appProtocol = port.appProtocol});
    size_t count = 0;
    const auto add = [&](const std::vector<view::Endpoints::EndpointAddress>& list, bool ready) {
        for (const auto& address : list) {
            if (count++ >= mirrored_addresses_max) return;
            const std::string_view type = address.ip.find(':') == address.ip.npos ? "IPv4" : "IPv6";
            auto& group = groups[ports_key(type, ports)];
            group.address_type = type;
            group.ports = ports;
            group.endpoints.push_back(mirrored_address(address, ready));
        }
    };
    add(subset.addresses, true);
    add(subset.notReadyAddresses, false);
}

// Each ready endpoint is for clients of its own zone; what has no zone is for nobody's.
void hint(std::vector<EndpointGroup>& groups) {
    for (auto& group : groups)
        for (auto& endpoint : group.endpoints)
            if (endpoint.zone && endpoint.conditions.ready.value_or(false))
                endpoint.hints.emplace().forZones = {{.name = *endpoint.zone}};
}

}   // namespace

std::string zone_of(const view::Node& node) { return node.metadata.labels.get(zone_label).str(); }

client::Plan plan_slice_set(const SliceSet& set, std::vector<EndpointGroup> groups,
                            const SliceList& current) {
    if (groups.empty() && set.placeholder)
        groups.push_back({.address_type = "IPv4", .ports = {}, .endpoints = {}});
    std::map<std::string, std::vector<Working>> by_ports;
    client::Plan plan;
    std::vector<const Slice*> unwanted;
    for (const auto& slice : current) {
        if (slice->metadata.deletionTimestamp) continue;
        by_ports[ports_key(slice->addressType.view(), slice->ports)].push_back(
            {.stored = slice.get(), .slice = *slice, .changed = false});
    }
    for (auto& group : groups) {
        auto& slices = by_ports[ports_key(group.address_type, group.ports)];
        std::map<std::string, Endpoint> left;
        for (auto& endpoint : group.endpoints) left.emplace(identity_of(endpoint), endpoint);
        for (auto& work : slices) {
            work.changed = settle_metadata(set, work.slice);
            keep_known(work, left);
        }
        place(set, group, slices, left);
        const bool empty = std::ranges::all_of(
            slices, [](const Working& work) { return work.slice.endpoints.empty(); });
        if (empty && set.placeholder && slices.empty())
            slices.push_back({.stored = nullptr, .slice = made_of(set, group), .changed = true});
        bool placeholder = empty && set.placeholder && groups.size() == 1;
        for (auto& work : slices) {
            const bool nothing = work.slice.endpoints.empty();
            if (nothing && !std::exchange(placeholder, false)) {
                if (work.stored) unwanted.push_back(work.stored);
            } else if (work.changed) {
                write(set, work, plan);
            }
        }
        slices.clear();
    }
    // New and changed slices first: what moved is never missing in between.
    for (const auto& [key, slices] : by_ports)
        for (const auto& work : slices) unwanted.push_back(work.stored);
    for (const auto* slice : unwanted) remove(*slice, plan);
    return plan;
}

client::Plan plan_slices(const view::Service* service, const PodList& pods,
                         const SliceList& current, const ZoneOfNode& zone) {
    if (!service || !managed(*service)) return remove_all(current);
    SliceSet set{
        .prefix = concat(service->metadata.name, "-"), .metadata = {}, .placeholder = true};
    set.metadata.namespace_ = service->metadata.namespace_;
    set.metadata.labels = service->metadata.labels;
    set.metadata.labels[service_name_label] = service->metadata.name;
    set.metadata.labels[slice_managed_by_label] = slice_controller;
    if (headless(*service))
        set.metadata.labels[headless_label] = "";
    else
        set.metadata.labels.erase(headless_label);
    set.metadata.ownerReferences = {
        owner("Service", service->metadata.name, service->metadata.uid)};
    if (const auto time = last_change(*service, pods))
        set.metadata.annotations[last_change_annotation] = rfc3339(*time);
    auto groups = groups_of(backends_of(*service, pods));
    if (zone)
        for (auto& group : groups)
            for (auto& endpoint : group.endpoints)
                if (auto name = zone(endpoint.nodeName.str()); !name.empty())
                    endpoint.zone = std::move(name);
    if (service->spec.trafficDistribution == "PreferClose") hint(groups);
    return plan_slice_set(set, std::move(groups), current);
}

client::Plan plan_mirror(const view::Service* service, const view::Endpoints* endpoints,
                         const SliceList& current) {
    if (!service || !service->spec.selector.empty() || !endpoints || !mirrored(*endpoints) ||
        endpoints->metadata.deletionTimestamp)
        return remove_all(current);
    SliceSet set{.prefix = concat(endpoints->metadata.name, "-"), .metadata = {}};
    set.metadata.namespace_ = endpoints->metadata.namespace_;
    set.metadata.labels = endpoints->metadata.labels;
    set.metadata.labels[service_name_label] = endpoints->metadata.name;
    set.metadata.labels[slice_managed_by_label] = mirroring_controller;
    for (const auto& [key, value] : endpoints->metadata.annotations)
        if (key != last_applied && key != last_change_annotation)
            set.metadata.annotations[key] = value;
    set.metadata.ownerReferences = {
        owner("Endpoints", endpoints->metadata.name, endpoints->metadata.uid)};
    std::map<std::string, EndpointGroup> groups;
    for (const auto& subset : endpoints->subsets) add_mirrored(subset, groups);
    std::vector<EndpointGroup> list;
    for (auto& [key, group] : groups) list.push_back(std::move(group));
    return plan_slice_set(set, std::move(list), current);
}

}   // namespace skiff::controllers
