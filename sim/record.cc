#include "sim/record.h"

#include <algorithm>

#include "api/quantity.h"
#include "base/text.h"

namespace skiff::sim {
namespace {

int64_t amount(const codec::Json& object, std::initializer_list<std::string_view> path,
               bool milli) {
    const auto text = object.text_at(path);
    const auto quantity = api::Quantity::parse(text.empty() ? "0" : text);
    if (!quantity) return 0;
    return milli ? quantity->milli_value() : quantity->value();
}

bool relaxed(std::string_view key) {
    return key.starts_with("/registry/events/") ||
           key.starts_with("/registry/leases/kube-node-lease/");
}

// The namespace of a key whose rest is "namespace/name", "" when it has none.
std::string namespace_of(const std::string& key, size_t prefix_size) {
    const auto slash = key.find('/', prefix_size);
    return slash == std::string::npos ? "" : key.substr(prefix_size, slash - prefix_size);
}

}   // namespace

int64_t milli_cpu_of_pod(const codec::Json& pod) {
    int64_t sum = 0;
    if (const auto* containers = pod.at_path({"spec", "containers"}))
        for (const auto& container : containers->items())
            sum += amount(container, {"resources", "requests", "cpu"}, true);
    return sum;
}

bool is_finished(const codec::Json& pod) {
    const auto phase = pod.text_at({"status", "phase"});
    return phase == "Succeeded" || phase == "Failed";
}

const Stored* Record::find(const std::string& key) const {
    const auto found = state_.find(key);
    return found == state_.end() || found->second.text.empty() ? nullptr : &found->second;
}

void Record::broken(std::string what) {
    if (broken_.size() < 10)
        broken_.push_back(concat(std::move(what), " (virtual time ",
                                 go_duration(world_.now().time_since_epoch()), ")"));
}

void Record::told(std::string_view what, int64_t revision) {
    if (!revisions_.contains(revision))
        broken(concat(what, ": the answer tells revision ", revision, ", which was never written"));
}

void Record::appended(const std::vector<store::LogRow>& rows, bool durable) {
    for (const auto& row : rows) {
        revisions_[row.revision] = durable;
        take(row);
    }
}

void Record::doubtful(const std::vector<store::LogRow>& rows) {
    doubtful_.insert(doubtful_.end(), rows.begin(), rows.end());
}

void Record::take(const store::LogRow& row) {
    ++writes_;
    world_.note(static_cast<uint64_t>(row.id()));
    if (row.id() <= last_id_)
        broken(concat("the number ", row.id(), " was used twice, for ", row.key));
    last_id_ = std::max(last_id_, row.id());
    auto& known = state_[row.key];
    const bool creates = row.text && known.text.empty();
    if (!row.text && known.text.empty()) broken(concat(row.key, " was deleted, but was not there"));
    codec::Document document;
    if (row.text) {
        auto parsed = codec::parse_json(*row.text);
        if (!parsed) return broken(concat(row.key, " was written with what is no JSON"));
        document = std::move(*parsed);
        const std::string uid{document.root.text_at({"metadata", "uid"})};
        const auto [held, fresh] = uids_.try_emplace(uid, row.key);
        if (creates && !fresh)
            broken(concat("the uid ", uid, " of ", row.key, " was used before, by ", held->second));
        if (!creates && held->second != row.key)
            broken(concat(row.key, " has changed its uid to one of ", held->second));
    }
    const auto prefix = row.key.substr(0, row.prefix_size);
    const auto* object = row.text ? &document.root : nullptr;
    if (prefix == "/registry/pods/") check_pod(row, object);
    if (prefix == "/registry/minions/") check_node(row, object);
    if (prefix == "/registry/namespaces/" && !object) check_namespace(row);
    if (creates) check_in_namespace(row);
    if (const auto what = workloads_.take(prefix, row.key, object)) broken(*what);
    if (const auto what = volumes_.take(prefix, row.key, object)) broken(*what);
    known = {.revision = row.revision, .created = row.created, .text = row.text.value_or("")};
    changes_[prefix].push_back(
        {.revision = row.revision, .key = row.key, .deleted = !object, .creates = creates});
}

void Record::check_pod(const store::LogRow& row, const codec::Json* object) {
    // Whatever was counted under this key before.
    std::string uid;
    if (object) {
        uid = object->text_at({"metadata", "uid"});
    } else if (const auto old = codec::parse_json(state_[row.key].text)) {
        uid = old->root.text_at({"metadata", "uid"});
    }
    auto& pod = pods_[uid];
    const std::string node = object ? std::string{object->text_at({"spec", "nodeName"})} : pod.node;
    if (!pod.node.empty() && pod.node != node)
        broken(concat(row.key, " was on ", pod.node, " and is now on '", node, "'"));
    const bool counts = object && !node.empty() && !is_finished(*object);
    if (pod.counts) {
        nodes_[pod.node].cpu -= pod.cpu;
        --nodes_[pod.node].pods;
    }
    if (object) pod.cpu = milli_cpu_of_pod(*object);
    if (counts) {
        auto& where = nodes_[node];
        where.cpu += pod.cpu;
        ++where.pods;
        // A binding is judged by what the node may have been seen to offer; a shrunk node keeps its
        // pods.
        const bool fits = std::ranges::any_of(where.offered, [&](const auto& offer) {
            return where.cpu <= offer.first && where.pods <= offer.second;
        });
        if (!pod.counts && !fits)
            broken(concat(row.key, " is more than ", node, " has: ", where.cpu, "m of CPU, ",
                          where.pods, " pods"));
    }
    pod.node = node;
    pod.counts = counts;
    pod.key = row.key;
}

void Record::check_node(const store::LogRow& row, const codec::Json* object) {
    if (!object) return;
    nodes_[row.key.substr(row.prefix_size)].offered.emplace_back(
        amount(*object, {"status", "allocatable", "cpu"}, true),
        amount(*object, {"status", "allocatable", "pods"}, false));
}

void Record::check_namespace(const store::LogRow& row) {
    const auto name = row.key.substr(row.prefix_size);
    for (const auto& [key, stored] : state_)
        if (!stored.text.empty() && key.find(concat("/", name, "/")) != std::string::npos)
            broken(concat("the namespace ", name, " has gone before ", key));
}

void Record::check_in_namespace(const store::LogRow& row) {
    const auto name = namespace_of(row.key, row.prefix_size);
    if (name.empty()) return;
    if (!find(concat("/registry/namespaces/", name)))
        broken(concat(row.key, " was made in a namespace that is not there"));
}

void Record::found(const std::vector<store::LogRow>& rows, bool lossy) {
    std::map<std::string, const store::LogRow*> newest;
    for (const auto& row : rows) newest[row.key] = &row;
    // Doubtful rows that are there were written.
    for (const auto& row : std::exchange(doubtful_, {})) {
        const auto there =
            std::ranges::find_if(rows, [&](const auto& one) { return one.id() == row.id(); });
        if (there == rows.end()) continue;
        revisions_[row.revision] = true;
        take(row);
    }
    for (auto& [key, stored] : state_) {
        const auto there = newest.find(key);
        const bool is_there = there != newest.end() && there->second->text;
        if (is_there == !stored.text.empty() &&
            (!is_there ||
             (there->second->revision == stored.revision && *there->second->text == stored.text)))
            continue;
        if (!lossy || !relaxed(key)) {
            broken(concat("the write of ", key, " at ", stored.revision, " is lost"));
            continue;
        }
        stored = is_there ? Stored{.revision = there->second->revision,
                                   .created = there->second->created,
                                   .text = *there->second->text}
                          : Stored{};
    }
    for (const auto& [key, row] : newest)
        if (row->text && !find(key)) broken(concat(key, " was found, but never written"));
}

}   // namespace skiff::sim
