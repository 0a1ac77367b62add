#include "cmd/kubeconfig.h"

#include <algorithm>
#include <cstdlib>

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/os.h"
#include "base/text.h"
#include "codec/yaml.h"

namespace skiff::cmd {
namespace {

using codec::Arena;
using codec::Document;
using codec::Json;

std::string config_path(const Caller& caller) { return caller.home + "/.kube/config"; }

Result<Document> load_config(const std::string& path) {
    if (!file_exists(path)) {
        Document document{.arena = {}, .root = Json::object()};
        document.root.set(document.arena, "apiVersion", Json::borrowed("v1"));
        document.root.set(document.arena, "kind", Json::borrowed("Config"));
        return document;
    }
    TRY(const auto text, read_file(path));
    auto document = codec::parse_yaml(text);
    if (!document)
        return std::unexpected{std::move(document).error().in(concat(path, " was left as it is"))};
    if (!document->root.is_object()) document->root = Json::object();
    return document;
}

// The entry of that name in a list such as `contexts`, replaced or appended.
void put_entry(Json& config, std::string_view list, std::string_view name, std::string_view member,
               Json value, Arena& arena) {
    auto& entries = config.make_array(arena, list);
    auto entry = Json::object();
    entry.set(arena, "name", Json::string(arena, name));
    entry.set(arena, member, value);
    for (auto& known : entries.items()) {
        if (known.text_at({"name"}) != name) continue;
        known = entry;
        return;
    }
    entries.push(arena, entry);
}

bool remove_entry(Json& config, std::string_view list, std::string_view name) {
    auto* entries = config.find(list);
    if (!entries || !entries->is_array()) return false;
    for (size_t i = 0; i < entries->size(); ++i) {
        if (entries->items()[i].text_at({"name"}) != name) continue;
        entries->remove_at(i);
        return true;
    }
    return false;
}

Result<> write_config(const Caller& caller, const Document& document) {
    const auto path = config_path(caller);
    const auto folder = caller.home + "/.kube";
    const bool made = !file_exists(folder);
    TRY_OK(make_directories(folder, 0750));
    if (made && ::chown(folder.c_str(), caller.uid, caller.gid) != 0)
        return fail_errno("chown " + folder, errno);
    TRY_OK(write_file_atomic(path, codec::to_yaml(document.root), 0600));
    if (::chown(path.c_str(), caller.uid, caller.gid) != 0)
        return fail_errno("chown " + path, errno);
    return {};
}

}   // namespace

std::optional<Caller> caller() {
    const char* sudo_user = ::getuid() == 0 ? std::getenv("SUDO_USER") : nullptr;
    const passwd* account =
        sudo_user && *sudo_user ? ::getpwnam(sudo_user) : ::getpwuid(::getuid());
    if (!account || !account->pw_dir || !*account->pw_dir) return std::nullopt;
    Caller found{.name = account->pw_name,
                 .home = account->pw_dir,
                 .uid = account->pw_uid,
                 .gid = account->pw_gid};
    // Without sudo, HOME is where the caller's kubectl looks.
    const char* home = std::getenv("HOME");
    if (!sudo_user && home && *home == '/') found.home = home;
    return found;
}

Result<std::string> merge_context(const Caller& caller, const Cluster& cluster, const Pki& pki) {
    const auto path = config_path(caller);
    TRY(auto document, load_config(path));
    auto& arena = document.arena;
    auto& config = document.root;
    const auto name = cluster.context_name();
    const auto text = [&](const std::string& value) { return Json::string(arena, value); };

    auto server = Json::object();
    server.set(arena, "server", text(concat("https://127.0.0.1:", cluster.port)));
    server.set(arena, "certificate-authority-data", text(base64(pki.ca.certificate_pem)));
    put_entry(config, "clusters", name, "cluster", server, arena);
    auto user = Json::object();
    user.set(arena, "client-certificate-data", text(base64(pki.admin.certificate_pem)));
    user.set(arena, "client-key-data", text(base64(pki.admin.key_pem)));
    put_entry(config, "users", name, "user", user, arena);
    auto context = Json::object();
    context.set(arena, "cluster", text(name));
    context.set(arena, "user", text(name));
    put_entry(config, "contexts", name, "context", context, arena);
    if (config.text_at({"current-context"}).empty())
        config.set(arena, "current-context", text(name));
    TRY_OK(write_config(caller, document));
    return path;
}

bool has_context(const Caller& caller, const Cluster& cluster, const Pki& pki) {
    const auto document = load_config(config_path(caller));
    if (!document) return false;
    const auto has = [&](std::string_view list, const auto& fits) {
        const auto* entries = document->root.find(list);
        return entries && std::ranges::any_of(entries->items(), [&](const auto& entry) {
                   return entry.text_at({"name"}) == cluster.context_name() && fits(entry);
               });
    };
    const auto certificate = base64(pki.admin.certificate_pem);
    return has("contexts", [](const auto&) { return true; }) &&
           has("users", [&](const auto& entry) {
               return entry.text_at({"user", "client-certificate-data"}) == certificate;
           });
}

Result<bool> remove_context(const Caller& caller, const Cluster& cluster) {
    const auto path = config_path(caller);
    if (!file_exists(path)) return false;
    TRY(auto document, load_config(path));
    const auto name = cluster.context_name();
    bool found = false;
    for (const std::string_view list : {"clusters", "users", "contexts"})
        found |= remove_entry(document.root, list, name);
    if (!found) return false;
    if (document.root.text_at({"current-context"}) == name)
        document.root.set(document.arena, "current-context", Json::borrowed(""));
    const auto empty = [&](std::string_view list) {
        const auto* entries = document.root.find(list);
        return !entries || entries->empty();
    };
    // A file that held nothing but ours was made by us.
    if (empty("clusters") && empty("users") && empty("contexts")) {
        ::unlink(path.c_str());
        ::rmdir((caller.home + "/.kube").c_str());   // only when it is empty
        return true;
    }
    TRY_OK(write_config(caller, document));
    return true;
}

}   // namespace skiff::cmd
