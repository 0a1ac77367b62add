#include "agent/imported_images.h"

#include <algorithm>

#include <unistd.h>

#include "agent/containerd_config.h"
#include "agent/image_name.h"
#include "agent/oci_image.h"
#include "base/os.h"
#include "base/text.h"
#include "codec/json.h"

namespace skiff::agent {

namespace {

constexpr Duration import_time_max = 10min;
constexpr Duration appear_time_max = 10s;   // containerd's CRI learns of an image by an event

Result<std::string> run_ctr(const ImageImport& import, std::vector<std::string> arguments) {
    std::vector<std::string> all{import.ctr,    "--address", import.socket,
                                 "--namespace", "k8s.io",    "images"};
    std::ranges::move(arguments, std::back_inserter(all));
    TRY(auto result, run_command(all, {.timeout = import_time_max}));
    if (result.exit_code == 0) return std::move(result.out);
    return fail(Reason::Invalid, concat("import ", import.file, ": ", trim(result.error)));
}

Result<std::string> image_id(Executor& executor, Cri& cri, const std::string& name) {
    const auto waiter = executor.make_waiter();
    const MonoTime deadline = executor.clock().monotonic() + appear_time_max;
    for (;;) {
        TRY(const auto answer, cri.image_status({.image = name}));
        if (answer.image) return answer.image->id;
        if (executor.clock().monotonic() > deadline) {
            return fail(Reason::NotFound,
                        concat("the runtime does not show the imported image ", name));
        }
        waiter->wait_until(executor.clock().monotonic() + 20ms);
    }
}

}   // namespace

std::string imported_images_path(const std::string& root) {
    return root + "/agent/imported-images.json";
}

Result<ImportedImages> read_imported_images(const std::string& path) {
    ImportedImages images;
    if (!file_exists(path)) return images;
    TRY(const auto text, read_file(path));
    TRY(const auto document, codec::parse_json(text));
    if (const auto* list = document.root.find("images")) {
        for (const auto& [name, id] : list->members()) images[std::string{name}] = id.text();
    }
    return images;
}

Result<> record_imported_images(const std::string& path, const ImportedImages& added) {
    TRY(auto images, read_imported_images(path));
    for (const auto& [name, id] : added) images[name] = id;
    codec::Arena arena;
    auto root = codec::Json::object();
    auto list = codec::Json::object();
    for (const auto& [name, id] : images) list.set(arena, name, codec::Json::string(arena, id));
    root.set(arena, "images", list);
    TRY_OK(make_directories(path.substr(0, path.rfind('/'))));
    return write_file_atomic(path, codec::to_json(root) + "\n");
}

std::vector<std::string> imported_names(std::string_view output) {
    // "unpacking docker.io/library/busybox:latest (sha256:…)...done"
    std::vector<std::string> names;
    for (const auto line : split(output, '\n')) {
        constexpr std::string_view lead = "unpacking ";
        if (!line.starts_with(lead)) continue;
        const auto name = line.substr(lead.size(), line.find(' ', lead.size()) - lead.size());
        if (!name.empty()) names.emplace_back(name);
    }
    return names;
}

Result<std::vector<std::string>> import_images(Executor& executor, Cri& cri,
                                               const ImageImport& import) {
    if (!file_exists(import.file))
        return fail(Reason::NotFound, concat("no such file: ", import.file));
    TRY(const auto output, run_ctr(import, {"import", import.file}));
    const auto found = imported_names(output);
    if (found.empty())
        return fail(Reason::Invalid, concat(import.file, " holds no image with a name"));
    std::vector<std::string> names;
    ImportedImages added;
    for (const auto& raw : found) {
        TRY(const auto parsed, parse_image_name(raw));
        const std::string name = parsed.text();
        if (name != raw) TRY_OK(run_ctr(import, {"tag", "--force", raw, name}));
        TRY_OK(run_ctr(import, {"label", name, "io.cri-containerd.pinned=pinned"}));
        TRY(added[name], image_id(executor, cri, name));
        names.push_back(name);
    }
    TRY_OK(record_imported_images(import.record_path, added));
    return names;
}

Result<> ensure_pause_image(Executor& executor, Cri& cri, const std::string& socket,
                            const std::string& folder) {
    TRY(const auto present, cri.image_status({.image = pause_image_name}));
    if (present.image) return {};
    TRY_OK(make_directories(folder));
    const std::string file = folder + "/pause.tar";
    TRY_OK(write_file(file, make_pause_image()));
    const ImageImport import{.file = file, .socket = socket, .record_path = {}};
    auto done = run_ctr(import, {"import", file});
    ::unlink(file.c_str());
    if (!done) return std::unexpected{std::move(done).error()};
    TRY_OK(image_id(executor, cri, pause_image_name));
    return {};
}

}   // namespace skiff::agent
