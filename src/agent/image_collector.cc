#include "agent/image_collector.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include <sys/statvfs.h>

#include "agent/containerd_config.h"
#include "agent/imported_images.h"
#include "base/log.h"
#include "base/text.h"

namespace skiff::agent {

namespace {

// Ours, or the one of a runtime that is not ours, which may not say that it is pinned.
bool is_sandbox_image(std::string_view tag) {
    const auto name = tag.substr(0, tag.rfind(':'));
    return tag == pause_image_name || name.ends_with("/pause") || name.ends_with("/pause-amd64");
}

EventText warning(std::string reason, std::string message) {
    return {.warning = true, .reason = std::move(reason), .message = std::move(message)};
}

}   // namespace

std::optional<DiskSpace> disk_space(const std::string& folder) {
    struct statvfs disk {};
    if (::statvfs(folder.c_str(), &disk) != 0) return std::nullopt;
    return DiskSpace{.capacity = static_cast<int64_t>(disk.f_blocks * disk.f_frsize),
                     .available = static_cast<int64_t>(disk.f_bavail * disk.f_frsize)};
}

int64_t image_bytes_to_free(const ImageCollection& limits, const DiskSpace& disk) {
    if (disk.capacity <= 0) return 0;
    const int64_t available = std::min(disk.available, disk.capacity);
    const int64_t used_percent = 100 - available * 100 / disk.capacity;
    if (used_percent < limits.high_percent) return 0;
    return std::max<int64_t>(0, disk.capacity * (100 - limits.low_percent) / 100 - available);
}

std::vector<ImageCandidate> removable_images(const ImageCollection& limits,
                                             std::vector<ImageCandidate> images, WallTime now) {
    std::erase_if(images, [&](const ImageCandidate& image) {
        return image.kept || image.age.used >= now || now - image.age.seen < limits.age_min;
    });
    std::ranges::sort(images, {}, [](const ImageCandidate& image) {
        return std::tuple{image.age.used, image.age.seen, image.id};
    });
    return images;
}

Result<std::vector<ImageCandidate>> ImageCollector::candidates(WallTime now) {
    TRY(const auto images, cri_.list_images());
    TRY(const auto containers, cri_.list_containers());
    std::set<std::string> used;   // ids, names or digests: runtimes differ
    for (const auto& container : containers)
        used.insert({container.image.image, container.image_ref, container.image_id});
    // When the record cannot be read nobody knows what was imported: nothing is removed then.
    TRY(const auto imported, read_imported_images(imported_record_));
    std::vector<ImageCandidate> all;
    std::map<std::string, ImageAge> ages;
    for (const auto& image : images) {
        const auto any_name = [&](auto&& holds) {
            return std::ranges::any_of(image.repo_tags, holds) ||
                   std::ranges::any_of(image.repo_digests, holds);
        };
        const auto known = ages_.find(image.id);
        auto& age = ages[image.id] = known != ages_.end() ? known->second : ImageAge{.seen = now};
        const bool in_use = used.contains(image.id) ||
                            any_name([&](const auto& name) { return used.contains(name); });
        if (in_use) age.used = now;
        const bool by_hand =
            any_name([&](const auto& name) { return imported.contains(name); }) ||
            std::ranges::any_of(imported, [&](const auto& one) { return one.second == image.id; });
        all.push_back({.id = image.id,
                       .size = static_cast<int64_t>(image.size),
                       .age = age,
                       .kept = in_use || image.pinned || by_hand || any_name(is_sandbox_image)});
    }
    ages_ = std::move(ages);
    return all;
}

std::optional<EventText> ImageCollector::look(WallTime now) {
    const bool first = !std::exchange(looked_, true);
    const auto images = candidates(now);
    if (!images) {
        log_warn("images not looked at", {{"error", images.error().message}});
        return std::nullopt;
    }
    const auto info = cri_.image_fs_info();
    if (!info || info->image_filesystems.empty()) return std::nullopt;
    const auto disk = ask_disk_(info->image_filesystems.front().fs_id.mountpoint);
    if (!disk || disk->capacity <= 0)
        return warning("InvalidDiskCapacity", "invalid capacity 0 on image filesystem");
    const int64_t wanted = image_bytes_to_free(limits_, *disk);
    if (wanted == 0) return std::nullopt;
    int64_t freed = 0;
    std::string problem;
    for (const auto& image : removable_images(limits_, *images, now)) {
        if (freed >= wanted) break;
        const auto done = cri_.remove_image({.image = image.id});
        if (!done) {
            problem = concat(": ", done.error().message);
            continue;
        }
        log_info("image removed to free disk space", {{"image", image.id}});
        ages_.erase(image.id);
        freed += image.size;
    }
    if (freed >= wanted || first) return std::nullopt;
    return warning(
        "FreeDiskSpaceFailed",
        concat("Failed to garbage collect required amount of images. Attempted to free ", wanted,
               " bytes, but only found ", freed, " bytes eligible to free.", problem));
}

}   // namespace skiff::agent
