// Removes images that nothing uses when the disk that holds them gets full, as kubelet does: above
// the high mark, until the low one, what was not used for the longest time first. Images that were
// imported on this node, that are pinned, or that sandboxes are made of stay.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/cri.h"
#include "agent/events.h"

namespace skiff::agent {

struct ImageCollection {   // kubelet's defaults
    int64_t high_percent = 85;
    int64_t low_percent = 80;
    Duration age_min = 2min;   // since it was first seen
    Duration period = 5min;
};

struct DiskSpace {
    int64_t capacity = 0;
    int64_t available = 0;
};

struct ImageAge {
    WallTime seen{};   // first
    WallTime used{};   // last by a container, running or not; the epoch: never
};

struct ImageCandidate {
    std::string id;
    int64_t size = 0;
    ImageAge age;
    bool kept = false;   // in use, pinned, imported, …
};

// How much is to be freed; 0 below the high mark.
int64_t image_bytes_to_free(const ImageCollection& limits, const DiskSpace& disk);
// What may be removed, in that order.
std::vector<ImageCandidate> removable_images(const ImageCollection& limits,
                                             std::vector<ImageCandidate> images, WallTime now);

class ImageCollector {
  public:
    // The disk is asked for anew each time: of the folder that the runtime names.
    using AskDisk = std::optional<DiskSpace> (*)(const std::string& folder);
    ImageCollector(Cri& cri, std::string imported_record, AskDisk ask_disk,
                   ImageCollection limits = {})
        : cri_{cri},
          imported_record_{std::move(imported_record)},
          ask_disk_{ask_disk},
          limits_{limits} {}

    // One look, every limits.period. What the node is to be told of, if anything: not at the first
    // one, when every image is new to us.
    std::optional<EventText> look(WallTime now);
    const ImageCollection& limits() const { return limits_; }

  private:
    Result<std::vector<ImageCandidate>> candidates(WallTime now);

    Cri& cri_;
    std::string imported_record_;
    AskDisk ask_disk_;
    ImageCollection limits_;
    std::map<std::string, ImageAge> ages_;   // by id, of those that are there
    bool looked_ = false;
};

std::optional<DiskSpace> disk_space(const std::string& folder);

}   // namespace skiff::agent
