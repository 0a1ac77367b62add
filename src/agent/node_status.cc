#include "agent/node_status.h"

#include <algorithm>

#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/oci_image.h"
#include "base/os.h"
#include "base/text.h"
#include "codec/json.h"

namespace skiff::agent {

namespace {

using codec::Arena;
using codec::Json;

constexpr size_t images_shown_max = 50;                // kubelet's nodeStatusMaxImages
constexpr int64_t memory_pressure_bytes = 100 << 20;   // kubelet's default thresholds
constexpr double storage_pressure_part = 0.10;
constexpr double inodes_pressure_part = 0.05;

std::string first_line(const std::string& path) {
    const auto text = read_file(path, 4096);
    return text ? std::string{trim(std::string_view{*text}.substr(0, text->find('\n')))}
                : std::string{};
}

// "MemTotal:  123 kB" in bytes.
int64_t meminfo_bytes(std::string_view text, std::string_view name) {
    for (const auto line : split(text, '\n')) {
        if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ':')
            continue;
        auto number = trim(line.substr(name.size() + 1));
        number = number.substr(0, number.find(' '));
        return parse_number<int64_t>(number).value_or(0) * 1024;
    }
    return 0;
}

std::string os_name() {
    const auto text = read_file("/etc/os-release");
    if (!text) return "Linux";
    for (const auto line : split(*text, '\n')) {
        constexpr std::string_view key = "PRETTY_NAME=";
        if (!line.starts_with(key)) continue;
        auto value = line.substr(key.size());
        if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
        return std::string{value};
    }
    return "Linux";
}

struct Writer {
    Arena& arena;
    Json text(std::string_view value) { return Json::string(arena, value); }
    void set(Json& object, std::string_view key, std::string_view value) {
        object.set(arena, key, text(value));
    }

    void condition(Json& list, std::string_view type, bool status, std::string_view reason,
                   std::string_view message, NodeMemory& memory, WallTime now) {
        auto& known = memory.conditions[std::string{type}];
        if (known.since == WallTime{} || known.status != status) known = {status, now};
        Json entry = Json::object();
        set(entry, "type", type);
        set(entry, "status", status ? "True" : "False");
        set(entry, "lastHeartbeatTime", rfc3339(now));
        set(entry, "lastTransitionTime", rfc3339(known.since));
        set(entry, "reason", reason);
        set(entry, "message", message);
        list.push(arena, entry);
    }

    Json resources(const MachineFacts& machine, int64_t storage) {
        Json out = Json::object();
        set(out, "cpu", concat(machine.cpus));
        set(out, "ephemeral-storage",
            storage == machine.storage_bytes ? concat(storage / 1024, "Ki") : concat(storage));
        set(out, "hugepages-1Gi", "0");
        set(out, "hugepages-2Mi", "0");
        set(out, "memory", concat(machine.memory_bytes / 1024, "Ki"));
        set(out, "pods", concat(pods_max));
        return out;
    }

    Json info(const NodeIdentity& identity, const MachineFacts& machine) {
        Json out = Json::object();
        set(out, "machineID", machine.machine_id);
        set(out, "systemUUID", machine.system_uuid);
        set(out, "bootID", machine.boot_id);
        set(out, "kernelVersion", machine.kernel);
        set(out, "osImage", machine.os_image);
        set(out, "containerRuntimeVersion", machine.runtime);
        set(out, "kubeletVersion", identity.version);
        set(out, "kubeProxyVersion", "");
        set(out, "operatingSystem", "linux");
        set(out, "architecture", machine.architecture);
        return out;
    }

    Json addresses(const NodeIdentity& identity) {
        Json out = Json::array();
        const auto add = [&](std::string_view type, std::string_view address) {
            Json entry = Json::object();
            set(entry, "type", type);
            set(entry, "address", address);
            out.push(arena, entry);
        };
        for (const auto& address : identity.addresses) add("InternalIP", address);
        add("Hostname", identity.name);
        return out;
    }

    Json images(std::vector<cri::Image> images_given) {
        std::ranges::sort(images_given, std::ranges::greater{}, &cri::Image::size);
        if (images_given.size() > images_shown_max) images_given.resize(images_shown_max);
        Json out = Json::array();
        for (const auto& image : images_given) {
            Json names = Json::array();
            for (const auto* list : {&image.repo_digests, &image.repo_tags}) {
                for (const auto& name : *list) names.push(arena, text(name));
            }
            if (names.empty()) continue;
            Json entry = Json::object();
            entry.set(arena, "names", names);
            entry.set(arena, "sizeBytes", Json::integer(static_cast<int64_t>(image.size)));
            out.push(arena, entry);
        }
        return out;
    }
};

}   // namespace

MachineFacts read_machine(const std::string& root) {
    MachineFacts out;
    out.cpus = std::max<int64_t>(::sysconf(_SC_NPROCESSORS_ONLN), 1);
    if (const auto memory = read_file("/proc/meminfo")) {
        out.memory_bytes = meminfo_bytes(*memory, "MemTotal");
        out.memory_available_bytes = meminfo_bytes(*memory, "MemAvailable");
    }
    struct statvfs disk {};
    if (::statvfs(root.c_str(), &disk) == 0) {
        out.storage_bytes = static_cast<int64_t>(disk.f_blocks * disk.f_frsize);
        out.storage_available_bytes = static_cast<int64_t>(disk.f_bavail * disk.f_frsize);
        out.inodes = static_cast<int64_t>(disk.f_files);
        out.inodes_available = static_cast<int64_t>(disk.f_favail);
    }
    out.pids_max = parse_number<int64_t>(first_line("/proc/sys/kernel/pid_max")).value_or(0);
    // "0.10 0.20 0.30 1/234 5678": the fourth field ends in the number of tasks.
    const std::string load = first_line("/proc/loadavg");
    if (const auto fields = split(load, ' '); fields.size() > 3) {
        if (const auto [running, all] = cut(fields[3], '/'); all) {
            out.pids_used = parse_number<int64_t>(*all).value_or(0);
        }
    }
    out.machine_id = first_line("/etc/machine-id");
    out.system_uuid = first_line("/sys/class/dmi/id/product_uuid");
    if (out.system_uuid.empty()) out.system_uuid = out.machine_id;
    out.boot_id = first_line("/proc/sys/kernel/random/boot_id");
    struct utsname kernel {};
    if (::uname(&kernel) == 0) out.kernel = kernel.release;
    out.os_image = os_name();
    out.architecture = go_architecture();
    return out;
}

std::string node_object(const NodeIdentity& identity) {
    Arena arena;
    Writer writer{arena};
    Json node = Json::object();
    writer.set(node, "apiVersion", "v1");
    writer.set(node, "kind", "Node");
    Json& metadata = node.make_object(arena, "metadata");
    writer.set(metadata, "name", identity.name);
    Json& labels = metadata.make_object(arena, "labels");
    writer.set(labels, "beta.kubernetes.io/arch", go_architecture());
    writer.set(labels, "beta.kubernetes.io/os", "linux");
    writer.set(labels, "kubernetes.io/arch", go_architecture());
    writer.set(labels, "kubernetes.io/hostname", identity.name);
    writer.set(labels, "kubernetes.io/os", "linux");
    for (const auto& [key, value] : identity.labels) writer.set(labels, key, value);
    Json& spec = node.make_object(arena, "spec");
    if (!identity.pod_cidr.empty()) {
        writer.set(spec, "podCIDR", identity.pod_cidr);
        spec.make_array(arena, "podCIDRs").push(arena, writer.text(identity.pod_cidr));
    }
    return codec::to_json(node);
}

std::string node_status_patch(const NodeIdentity& identity, const MachineFacts& machine,
                              const NodeHealth& health, const std::vector<cri::Image>& images,
                              NodeMemory& memory, WallTime now) {
    Arena arena;
    Writer writer{arena};
    Json status = Json::object();
    status.set(arena, "capacity", writer.resources(machine, machine.storage_bytes));
    status.set(arena, "allocatable", writer.resources(machine, machine.storage_bytes * 9 / 10));
    Json conditions = Json::array();
    const bool low_memory = machine.memory_available_bytes < memory_pressure_bytes;
    writer.condition(conditions, "MemoryPressure", low_memory,
                     low_memory ? "KubeletHasInsufficientMemory" : "KubeletHasSufficientMemory",
                     low_memory ? "kubelet has insufficient memory available"
                                : "kubelet has sufficient memory available",
                     memory, now);
    const auto part = [](int64_t free, int64_t all) {
        return all == 0 ? 1.0 : static_cast<double>(free) / static_cast<double>(all);
    };
    const bool low_disk =
        part(machine.storage_available_bytes, machine.storage_bytes) < storage_pressure_part ||
        part(machine.inodes_available, machine.inodes) < inodes_pressure_part;
    writer.condition(conditions, "DiskPressure", low_disk,
                     low_disk ? "KubeletHasDiskPressure" : "KubeletHasNoDiskPressure",
                     low_disk ? "kubelet has disk pressure" : "kubelet has no disk pressure",
                     memory, now);
    const bool low_pids = machine.pids_max > 0 && machine.pids_used > machine.pids_max * 9 / 10;
    writer.condition(conditions, "PIDPressure", low_pids,
                     low_pids ? "KubeletHasInsufficientPID" : "KubeletHasSufficientPID",
                     low_pids ? "kubelet has insufficient PID available"
                              : "kubelet has sufficient PID available",
                     memory, now);
    writer.condition(conditions, "Ready", health.runtime_ready,
                     health.runtime_ready ? "KubeletReady" : "KubeletNotReady",
                     health.runtime_ready ? "kubelet is posting ready status" : health.problem,
                     memory, now);
    status.set(arena, "conditions", conditions);
    status.set(arena, "addresses", writer.addresses(identity));
    Json& endpoint =
        status.make_object(arena, "daemonEndpoints").make_object(arena, "kubeletEndpoint");
    endpoint.set(arena, "Port", Json::integer(identity.agent_port));
    status.set(arena, "nodeInfo", writer.info(identity, machine));
    status.set(arena, "images", writer.images(images));
    Json patch = Json::object();
    patch.set(arena, "status", status);
    return codec::to_json(patch);
}

}   // namespace skiff::agent
