#include "agent/oci_image.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <set>

#include "agent/containerd_config.h"
#include "base/text.h"
#include "codec/json_text.h"
#include "net/tls.h"

namespace skiff::agent {

namespace {

using codec::quoted;

constexpr size_t block_bytes = 512;
constexpr std::string_view manifest_type = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view config_type = "application/vnd.oci.image.config.v1+json";
constexpr std::string_view layer_type = "application/vnd.oci.image.layer.v1.tar";

std::string digest_of(std::string_view bytes) { return hex(net::sha256(bytes)); }

std::string descriptor(std::string_view type, std::string_view content,
                       std::string_view more = {}) {
    return concat(R"({"mediaType":")", type, R"(","digest":"sha256:)", digest_of(content),
                  R"(","size":)", content.size(), more, "}");
}

std::string make_layer(const std::vector<ImageFile>& files) {
    TarWriter tar;
    std::set<std::string> made;
    for (const auto& file : files) {
        for (size_t slash = file.path.find('/'); slash != std::string::npos;
             slash = file.path.find('/', slash + 1)) {
            const std::string folder = file.path.substr(0, slash);
            if (made.insert(folder).second) tar.folder(folder);
        }
        tar.file(file.path, file.content, file.mode);
    }
    return std::move(tar).finish();
}

std::string make_config(const ImageRecipe& recipe, std::string_view layer) {
    std::string config;
    const auto add = [&](const char* key, const std::vector<std::string>& values) {
        if (!values.empty())
            append(config, config.empty() ? "" : ",", "\"", key, "\":", codec::quoted_list(values));
    };
    add("Entrypoint", recipe.entrypoint);
    add("Cmd", recipe.command);
    add("Env", recipe.environment);
    return concat(R"({"architecture":")", recipe.architecture, R"(","os":"linux","config":{)",
                  config, R"(},"rootfs":{"type":"layers","diff_ids":["sha256:)", digest_of(layer),
                  R"("]}})");
}

}   // namespace

void TarWriter::header(const std::string& path, size_t size, unsigned mode, char type) {
    char block[block_bytes] = {};
    std::string name = path;
    std::string prefix;
    if (name.size() > 100) {   // ustar: split at a slash into prefix and name
        const size_t slash = name.find('/', name.size() - 101);
        prefix = name.substr(0, slash);
        name = name.substr(slash + 1);
    }
    std::memcpy(block, name.data(), std::min<size_t>(name.size(), 100));
    std::snprintf(block + 100, 8, "%07o", mode);
    std::snprintf(block + 108, 8, "%07o", 0u);
    std::snprintf(block + 116, 8, "%07o", 0u);
    std::snprintf(block + 124, 12, "%011zo", size);
    std::snprintf(block + 136, 12, "%011o", 0u);
    block[156] = type;
    std::memcpy(block + 257, "ustar\00000", 8);
    std::memcpy(block + 345, prefix.data(), std::min<size_t>(prefix.size(), 155));
    std::memset(block + 148, ' ', 8);
    unsigned sum = 0;
    for (const char byte : block) sum += static_cast<unsigned char>(byte);
    std::snprintf(block + 148, 8, "%06o", sum);
    out_.append(block, block_bytes);
}

void TarWriter::folder(const std::string& path, unsigned mode) { header(path + "/", 0, mode, '5'); }

void TarWriter::file(const std::string& path, std::string_view content, unsigned mode) {
    header(path, content.size(), mode, '0');
    out_ += content;
    out_.append((block_bytes - content.size() % block_bytes) % block_bytes, '\0');
}

std::string TarWriter::finish() && {
    out_.append(2 * block_bytes, '\0');
    return std::move(out_);
}

std::string make_oci_image(const ImageRecipe& recipe) {
    const std::string layer = make_layer(recipe.files);
    const std::string config = make_config(recipe, layer);
    const std::string manifest = concat(R"({"schemaVersion":2,"mediaType":")", manifest_type,
                                        R"(","config":)", descriptor(config_type, config),
                                        R"(,"layers":[)", descriptor(layer_type, layer), "]}");
    const size_t colon = recipe.name.rfind(':');
    const std::string names =
        concat(R"(,"annotations":{"io.containerd.image.name":)", quoted(recipe.name),
               R"(,"org.opencontainers.image.ref.name":)", quoted(recipe.name.substr(colon + 1)),
               R"(},"platform":{"architecture":")", recipe.architecture, R"(","os":"linux"})");
    const std::string index = concat(R"({"schemaVersion":2,"manifests":[)",
                                     descriptor(manifest_type, manifest, names), "]}");
    TarWriter tar;
    tar.folder("blobs");
    tar.folder("blobs/sha256");
    for (const auto* blob : {&layer, &config, &manifest}) {
        tar.file("blobs/sha256/" + digest_of(*blob), *blob);
    }
    tar.file("index.json", index);
    tar.file("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    return std::move(tar).finish();
}

std::string_view go_architecture() {
#if defined(__aarch64__)
    return "arm64";
#else
    return "amd64";
#endif
}

std::string make_pause_image() {
    return make_oci_image({
        .name = pause_image_name,
        .files = {{.path = "pause", .content = std::string{pause_program()}, .mode = 0755}},
        .entrypoint = {"/pause"},
        .architecture = std::string{go_architecture()},
    });
}

}   // namespace skiff::agent
