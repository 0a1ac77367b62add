// Names of images, as Docker's reference grammar has them. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace skiff::agent {

struct ImageName {
    std::string registry;       // "docker.io", "registry.example:5000"
    std::string repository;     // "library/busybox"
    std::string tag;            // "latest" when neither tag nor digest was given
    std::string digest;         // "sha256:…" or ""
    std::string text() const;   // docker.io/library/busybox:latest
};
// Invalid: kubelet's InvalidImageName.
Result<ImageName> parse_image_name(std::string_view text);

// The policy of a container whose spec leaves it out: Always for the tag latest.
std::string_view default_pull_policy(std::string_view image);

}   // namespace skiff::agent
