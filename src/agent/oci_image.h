// Makes an OCI image with one layer as a tar that `ctr images import` and every other tool reads
// (image-spec 1.0: oci-layout, index.json, blobs by digest). Same input, same bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace skiff::agent {

struct ImageFile {
    std::string path;   // in the image, without leading slash; folders are made on the way
    std::string content;
    unsigned mode = 0644;
};

struct ImageRecipe {
    std::string name;   // "docker.io/library/busybox:latest"
    std::vector<ImageFile> files;
    std::vector<std::string> entrypoint;
    std::vector<std::string> command;
    std::vector<std::string> environment;
    std::string architecture = "amd64";   // Go's word for it
};

std::string make_oci_image(const ImageRecipe& recipe);

// The image of the sandbox: the embedded pause program as its only file.
std::string make_pause_image();
std::string_view pause_program();   // the executable's bytes

// Go's word for this machine's architecture.
std::string_view go_architecture();

// A POSIX ustar archive, entries in the order given.
class TarWriter {
  public:
    void folder(const std::string& path, unsigned mode = 0755);
    void file(const std::string& path, std::string_view content, unsigned mode = 0644);
    std::string finish() &&;   // with the two closing blocks

  private:
    void header(const std::string& path, size_t size, unsigned mode, char type);
    std::string out_;
};

}   // namespace skiff::agent
