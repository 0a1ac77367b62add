#include "agent/images.h"

#include <algorithm>

#include "agent/registry_auth.h"
#include "base/text.h"

namespace skiff::agent {

namespace {

// The rule for imported images (issue 2): one bounded try, remembered for a while.
constexpr Duration imported_pull_time_max = 1s;
constexpr Duration unreachable_remembered = 1min;

ImageReady ready_of(const cri::Image& image, std::string reference) {
    return {.reference = std::move(reference), .user = {.uid = image.uid, .name = image.username}};
}

std::string shown_bytes_and_time(Duration took, uint64_t bytes) {
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(took);
    return concat(go_duration(milliseconds), " (", go_duration(milliseconds),
                  " including waiting). Image size: ", bytes, " bytes.");
}

}   // namespace

bool registry_unreachable(const Error& error) {
    if (error.reason == Reason::Timeout) return true;
    if (error.reason == Reason::NotFound || error.reason == Reason::Unauthorized ||
        error.reason == Reason::Forbidden) {
        return false;
    }
    constexpr std::string_view signs[] = {
        "dial tcp",
        "no such host",
        "connection refused",
        "i/o timeout",
        "network is unreachable",
        "no route to host",
        "connection reset",
        "TLS handshake",
        "deadline exceeded",
        "server misbehaving",
        "temporary failure in name resolution",
        "unexpected EOF",
        "Service Unavailable",
        "Bad Gateway",
        "proxyconnect",
    };
    return std::ranges::any_of(signs, [&](std::string_view sign) {
        return error.message.find(sign) != std::string::npos;
    });
}

bool Images::is_imported(const std::string& name, const cri::Image& image) const {
    const auto record = read_imported_images(record_path_);
    if (!record) return false;
    const auto found = record->find(name);
    return found != record->end() && found->second == image.id;   // that very image
}

bool Images::known_unreachable(std::string_view registry) const {
    const MonoTime now = executor_.clock().monotonic();
    return unreachable_.use([&](const auto& seen) {
        const auto at = seen.find(registry);
        return at != seen.end() && now - at->second < unreachable_remembered;
    });
}

std::expected<ImageReady, ImageFailure> Images::pull(const ImageWanted& wanted,
                                                     const ImageName& name, Duration timeout,
                                                     const std::function<void(ImageEvent)>& tell,
                                                     Error* error) {
    const MonoTime began = executor_.clock().monotonic();
    const auto auths = registry_auths(wanted.docker_configs, name);
    const cri::PodSandboxConfig none;
    const auto& sandbox = wanted.sandbox ? *wanted.sandbox : none;
    Result<std::string> pulled = fail(Reason::Unknown, "");
    std::vector<std::string> answers;
    // Without credentials only where there are none for this registry: a wrong one is to be seen.
    for (size_t i = 0; i < std::max<size_t>(auths.size(), 1); ++i) {
        const auto auth = auths.empty() ? std::nullopt : std::optional{auths[i]};
        pulled = cri_.pull_image({.image = wanted.image}, auth, sandbox, timeout);
        if (pulled) break;
        if (std::ranges::find(answers, pulled.error().message) == answers.end())
            answers.push_back(pulled.error().message);
        if (registry_unreachable(pulled.error())) break;   // the next one would not reach it either
    }
    if (!pulled) {
        *error = pulled.error();
        if (answers.size() > 1) error->message = concat("[", join(answers, ", "), "]");
        return std::unexpected{ImageFailure{"ErrImagePull", error->message}};
    }
    const auto status = cri_.image_status({.image = wanted.image});
    const cri::Image image = status && status->image ? *status->image : cri::Image{};
    tell({.reason = "Pulled",
          .message =
              concat("Successfully pulled image \"", wanted.image, "\" in ",
                     shown_bytes_and_time(executor_.clock().monotonic() - began, image.size))});
    return ready_of(image, *pulled);
}

std::expected<ImageReady, ImageFailure> Images::ensure(
    const ImageWanted& wanted, const std::function<void(ImageEvent)>& tell) {
    const auto name = parse_image_name(wanted.image);
    if (!name) {
        tell({true, "InspectFailed",
              concat("Failed to apply default image tag \"", wanted.image,
                     "\": ", name.error().message)});
        return std::unexpected{ImageFailure{"InvalidImageName", name.error().message}};
    }
    const std::string_view policy =
        wanted.policy.empty() ? default_pull_policy(wanted.image) : std::string_view{wanted.policy};
    const auto status = cri_.image_status({.image = name->text()});
    if (!status) {
        tell({true, "InspectFailed",
              concat("Failed to inspect image \"", wanted.image, "\": ", status.error().message)});
        return std::unexpected{ImageFailure{"ImageInspectError", status.error().message}};
    }
    const auto& image = status->image;
    if (image && policy != "Always") {
        tell({.reason = "Pulled",
              .message =
                  concat("Container image \"", wanted.image, "\" already present on machine")});
        return ready_of(*image, image->id);
    }
    if (!image && policy == "Never") {
        const std::string message = concat("Container image \"", wanted.image,
                                           "\" is not present with pull policy of Never");
        tell({true, "ErrImageNeverPull", message});
        return std::unexpected{ImageFailure{"ErrImageNeverPull", message}};
    }
    const bool imported = image && is_imported(name->text(), *image);
    const auto use_imported = [&] {
        tell({.reason = "ImportedImageUsed",
              .message = concat("Registry ", name->registry, " cannot be reached: using image \"",
                                wanted.image, "\" that was imported on this node")});
        return ready_of(*image, image->id);
    };
    if (imported && known_unreachable(name->registry)) return use_imported();
    tell({.reason = "Pulling", .message = concat("Pulling image \"", wanted.image, "\"")});
    Error error;
    auto pulled = pull(wanted, *name, imported ? imported_pull_time_max : Duration{}, tell, &error);
    if (pulled) return pulled;
    if (imported && registry_unreachable(error)) {
        unreachable_.use([&](auto& seen) { seen[name->registry] = executor_.clock().monotonic(); });
        return use_imported();
    }
    tell({true, "Failed", concat("Failed to pull image \"", wanted.image, "\": ", error.message)});
    return pulled;
}

}   // namespace skiff::agent
