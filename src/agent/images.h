// Gets the image of a container: the pull policy, the registry, and the one exception for images
// that were imported on this node.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/cri.h"
#include "agent/image_name.h"
#include "agent/imported_images.h"
#include "agent/pod_types.h"
#include "agent/security.h"
#include "base/guarded.h"

namespace skiff::agent {

// Whether an attempt failed because the registry could not be reached, rather than because it
// answered that there is no such image or that we may not have it.
bool registry_unreachable(const Error& error);

struct ImageEvent {
    bool warning = false;
    std::string reason;   // "Pulling", "Pulled", "Failed", …
    std::string message;
};

struct ImageWanted {
    std::string image;
    std::string policy;                        // "" is derived from the tag
    std::vector<std::string> docker_configs;   // of the pod's imagePullSecrets, in their order
    const cri::PodSandboxConfig* sandbox = nullptr;
};

struct ImageReady {
    std::string reference;   // to create containers with
    ImageUser user;
};

// What could not be had; `reason` is the container's waiting reason.
struct ImageFailure {
    std::string reason;   // "ErrImagePull", "ErrImageNeverPull", "InvalidImageName", …
    std::string message;
};

class Images {
  public:
    Images(Executor& executor, Cri& cri, std::string record_path)
        : executor_{executor}, cri_{cri}, record_path_{std::move(record_path)} {}

    // Blocks until the image is there. Events are told as they happen.
    std::expected<ImageReady, ImageFailure> ensure(const ImageWanted& wanted,
                                                   const std::function<void(ImageEvent)>& tell);

  private:
    std::expected<ImageReady, ImageFailure> pull(const ImageWanted& wanted, const ImageName& name,
                                                 Duration timeout,
                                                 const std::function<void(ImageEvent)>& tell,
                                                 Error* error);
    bool is_imported(const std::string& name, const cri::Image& image) const;
    bool known_unreachable(std::string_view registry) const;

    Executor& executor_;
    Cri& cri_;
    std::string record_path_;
    Guarded<std::map<std::string, MonoTime, std::less<>>> unreachable_;   // registry: when seen
};

}   // namespace skiff::agent
