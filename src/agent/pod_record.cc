#include "agent/pod_record.h"

#include <algorithm>

#include "base/text.h"

namespace skiff::agent {

namespace {

WallTime time_of(int64_t nanoseconds) { return WallTime{std::chrono::nanoseconds{nanoseconds}}; }

std::string value_of(const cri::StringMap& map, const char* key) {
    const auto found = map.find(key);
    return found == map.end() ? std::string{} : found->second;
}

template <class Record>
void put_in(std::vector<Record>& records, Record record, auto&& is_newer) {
    const auto same = std::ranges::find(records, record.id, &Record::id);
    if (same != records.end()) {
        *same = std::move(record);
        return;
    }
    const auto place =
        std::ranges::find_if(records, [&](const Record& other) { return is_newer(record, other); });
    records.insert(place, std::move(record));
}

}   // namespace

const ContainerRecord* PodRecord::newest(std::string_view name) const {
    const auto found = std::ranges::find(containers, name, &ContainerRecord::name);
    return found == containers.end() ? nullptr : &*found;
}

const ContainerRecord* PodRecord::before(const ContainerRecord& record) const {
    bool passed = false;
    for (const auto& other : containers) {
        if (other.id == record.id)
            passed = true;
        else if (passed && other.name == record.name && other.ended())
            return &other;
    }
    return nullptr;
}

ContainerRecord* PodRecord::by_id(std::string_view id) {
    const auto found = std::ranges::find(containers, id, &ContainerRecord::id);
    return found == containers.end() ? nullptr : &*found;
}

SandboxRecord* PodRecord::sandbox_by_id(std::string_view id) {
    const auto found = std::ranges::find(sandboxes, id, &SandboxRecord::id);
    return found == sandboxes.end() ? nullptr : &*found;
}

void PodRecord::put(ContainerRecord record) {
    put_in(containers, std::move(record), [](const ContainerRecord& a, const ContainerRecord& b) {
        if (a.name == b.name && a.restart_count != b.restart_count) {
            return a.restart_count > b.restart_count;
        }
        return a.created_at >= b.created_at;
    });
}

void PodRecord::put(SandboxRecord record) {
    put_in(sandboxes, std::move(record), [](const SandboxRecord& a, const SandboxRecord& b) {
        return a.attempt != b.attempt ? a.attempt > b.attempt : a.created_at >= b.created_at;
    });
}

void PodRecord::remove(std::string_view id) {
    std::erase_if(containers, [&](const ContainerRecord& record) { return record.id == id; });
    std::erase_if(sandboxes, [&](const SandboxRecord& record) { return record.id == id; });
}

ContainerRecord record_of(const cri::ContainerStatus& status, std::string sandbox_id) {
    ContainerRecord record{
        .id = status.id,
        .name = value_of(status.labels, label_container_name),
        .sandbox_id = std::move(sandbox_id),
        .image = status.image.user_specified_image.empty() ? status.image.image
                                                           : status.image.user_specified_image,
        .image_ref = status.image_ref,
        .state = status.state,
        .created_at = time_of(status.created_at),
        .started_at = time_of(status.started_at),
        .finished_at = time_of(status.finished_at),
        .exit_code = status.exit_code,
        .reason = status.reason,
        .message = status.message,
        .restart_count =
            parse_number<unsigned>(value_of(status.annotations, annotation_restart_count))
                .value_or(status.metadata.attempt),
        .spec_hash = value_of(status.annotations, annotation_hash),
        .log_path = status.log_path,
    };
    if (record.name.empty()) record.name = status.metadata.name;
    return record;
}

SandboxRecord record_of(const cri::PodSandboxStatus& status) {
    SandboxRecord record{
        .id = status.id,
        .attempt = status.metadata.attempt,
        .ready = status.state == cri::PodSandboxState::Ready,
        .created_at = time_of(status.created_at),
    };
    if (!status.network.ip.empty()) record.addresses.push_back(status.network.ip);
    for (const auto& more : status.network.additional_ips) record.addresses.push_back(more.ip);
    return record;
}

}   // namespace skiff::agent
