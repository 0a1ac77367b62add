// Images that were put on this node by hand (`skiff image import`), and the record of which these
// are: only they may stand in for a registry that cannot be reached, and they are never collected.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/cri.h"
#include "base/executor.h"
#include "base/result.h"

namespace skiff::agent {

// Name (docker.io/library/busybox:latest) to image id (sha256 of its config).
using ImportedImages = std::map<std::string, std::string>;

std::string imported_images_path(const std::string& root);
Result<ImportedImages> read_imported_images(const std::string& path);   // no file: none
Result<> record_imported_images(const std::string& path, const ImportedImages& added);

// Imports every image of a tar (OCI layout or `docker save`) through containerd's own ctr, under
// the names in it, normalised; pins and records them. Gives the names.
struct ImageImport {
    std::string file;
    std::string socket;   // containerd's
    std::string record_path;
    std::string ctr = "ctr";
};
Result<std::vector<std::string>> import_images(Executor& executor, Cri& cri,
                                               const ImageImport& import);

// The pause image, if this node does not have it yet. Writes a tar below `folder` on the way.
Result<> ensure_pause_image(Executor& executor, Cri& cri, const std::string& socket,
                            const std::string& folder);

// The names in what `ctr images import` prints; pure.
std::vector<std::string> imported_names(std::string_view output);

}   // namespace skiff::agent
