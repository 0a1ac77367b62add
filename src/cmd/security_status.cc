#include "cmd/security_status.h"

#include <algorithm>
#include <cstdio>
#include <functional>

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/os.h"
#include "base/text.h"
#include "cmd/api_probe.h"
#include "cmd/bootstrap_token.h"
#include "cmd/encryption.h"
#include "cmd/progress.h"
#include "cmd/server_audit.h"
#include "codec/json.h"

namespace skiff::cmd {
namespace {

using State = SecurityCheck::State;
using codec::Json;

constexpr size_t names_shown_max = 5;
constexpr std::string_view enforce_label = "pod-security.kubernetes.io/enforce";

std::string shown(const std::vector<std::string>& names) {
    std::string text;
    for (size_t i = 0; i < names.size() && i < names_shown_max; ++i)
        append(text, i ? ", " : "", names[i]);
    if (names.size() > names_shown_max)
        append(text, " and ", names.size() - names_shown_max, " more");
    return text;
}

// "" when the file or folder belongs to root and has none of these permission bits.
std::string too_open(const std::string& path, mode_t forbidden) {
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0) return {};   // what is not there is not open
    if (found.st_uid == 0 && !(found.st_mode & forbidden)) return {};
    return path;
}

std::vector<std::string> keys_below(const std::string& folder) {
    std::vector<std::string> found;
    DIR* entries = ::opendir(folder.c_str());
    if (!entries) return found;
    while (const auto* entry = ::readdir(entries))
        if (std::string_view{entry->d_name}.ends_with(".key"))
            found.push_back(concat(folder, "/", entry->d_name));
    ::closedir(entries);
    return found;
}

// CIS 1.1 and 4.1: who may read the files.
SecurityCheck files(const Cluster& cluster) {
    std::vector<std::string> open;
    const auto look = [&](const std::string& path, mode_t forbidden) {
        if (auto found = too_open(path, forbidden); !found.empty()) open.push_back(found);
    };
    for (const std::string_view folder : {"server", "server/pki", "agent/pki"})
        look(cluster.path(folder), 077);
    for (const std::string_view folder : {"server/pki", "agent/pki"})
        for (const auto& key : keys_below(cluster.path(folder))) look(key, 077);
    look(cluster.database(), 077);
    look(cluster.admin_kubeconfig(), 077);
    for (const std::string_view file : {"", "cluster.json", "log", "run", "bin"})
        look(file.empty() ? cluster.root : cluster.path(file), 022);
    if (open.empty()) return {State::On, "keys, database and kubeconfig are root's alone", ""};
    return {State::Look, "files are open to others than root",
            concat(shown(open), ": chown root, chmod go-rwx")};
}

// CIS 1.2.1, 4.2.1 and 4.2.2.
SecurityCheck closed_to_nobody(const Pki& pki, std::string_view what, uint16_t port,
                               const std::string& target) {
    const auto nobody = ApiProbe::as_nobody(pki, port);
    const auto answer = nobody ? (*nobody)->get(target) : std::unexpected{nobody.error()};
    const int status = answer ? answer->status : 0;
    if (status == 401 || status == 403)
        return {State::On, concat(what, " refuses who shows no identity"), ""};
    return {State::Look, concat(what, " did not refuse who shows no identity"),
            concat("port ", port, " answered ", status, " to GET ", target)};
}

SecurityCheck certificates(const Cluster& cluster, const Pki& pki) {
    const auto left = pki.renew_at - os_clock().now();
    return {State::On, "certificates renew while they are used",
            concat("life ", go_duration(cluster.certificate_life), ", the next in ",
                   std::chrono::duration_cast<std::chrono::hours>(left).count(), " h")};
}

SecurityCheck bootstrap(const Cluster& cluster) {
    const auto token = load_bootstrap_token(cluster);
    if (!token || token->used || token->expires < os_clock().now())
        return {State::On, "no bootstrap token is good any more", ""};
    return {State::On, "the bootstrap token ends by itself, ten minutes after `skiff up`", ""};
}

// Calls `each` for every item of a list; false when it could not be read.
bool each_of(ApiProbe& api, const std::string& target,
             const std::function<void(const Json&)>& each) {
    const auto answer = api.get(target);
    if (!answer || answer->status != 200) return false;
    const auto list = codec::parse_json(answer->body);
    const auto* items = list ? list->root.find("items") : nullptr;
    if (!items) return false;
    for (const auto& item : items->items()) each(item);
    return true;
}

std::string subject_text(const Json& subject) {
    const auto space = subject.text_at({"namespace"});
    return concat(subject.text_at({"kind"}), " ", space, space.empty() ? "" : "/",
                  subject.text_at({"name"}));
}

struct Grants {
    std::vector<std::string> everything;   // cluster-admin, beside those who had it from the start
    std::vector<std::string> nobody;       // what those without identity were given
};

Grants grants_in(const Json& binding) {
    Grants found;
    const auto name = binding.text_at({"metadata", "name"});
    const auto* subjects = binding.find("subjects");
    if (!subjects) return found;
    for (const auto& subject : subjects->items()) {
        const auto who = subject.text_at({"name"});
        const auto line = concat(subject_text(subject), " (", name, ")");
        if (binding.text_at({"roleRef", "name"}) == "cluster-admin" && who != "system:masters")
            found.everything.push_back(line);
        const bool anybody = who == "system:anonymous" || who == "system:unauthenticated";
        if (anybody && name != "system:public-info-viewer") found.nobody.push_back(line);
    }
    return found;
}

// CIS 5.1.
void roles(ApiProbe& api, std::vector<SecurityCheck>& checks) {
    Grants all;
    bool read = true;
    for (const char* resource : {"clusterrolebindings", "rolebindings"})
        read &= each_of(api, concat("/apis/rbac.authorization.k8s.io/v1/", resource),
                        [&](const Json& binding) {
                            auto found = grants_in(binding);
                            std::ranges::move(found.everything, std::back_inserter(all.everything));
                            std::ranges::move(found.nobody, std::back_inserter(all.nobody));
                        });
    if (!read) return checks.push_back({State::Look, "the bindings of roles cannot be read", ""});
    checks.push_back({State::On, "authorization: Node, RBAC", "roles and bindings as stored"});
    checks.push_back(
        all.everything.empty()
            ? SecurityCheck{State::On, "nobody but system:masters may do everything", ""}
            : SecurityCheck{State::Look, "cluster-admin was given away", shown(all.everything)});
    checks.push_back(
        all.nobody.empty()
            ? SecurityCheck{State::On, "who has no identity reads versions and health only", ""}
            : SecurityCheck{State::Look, "those without identity were given rights",
                            shown(all.nobody)});
}

// CIS 5.2: which namespaces hold pods to a standard.
SecurityCheck pod_security(ApiProbe& api) {
    std::vector<std::string> open;
    const bool read = each_of(api, "/api/v1/namespaces", [&](const Json& space) {
        const auto name = space.text_at({"metadata", "name"});
        if (name.starts_with("kube-")) return;   // the cluster's own
        const auto level = space.text_at({"metadata", "labels", enforce_label});
        if (level.empty() || level == "privileged") open.emplace_back(name);
    });
    if (!read) return {State::Look, "the namespaces cannot be read", ""};
    if (open.empty()) return {State::On, "every namespace enforces a Pod Security Standard", ""};
    return {State::Off, "namespaces let any pod in",
            concat(shown(open), ": kubectl label namespace NAME ", enforce_label, "=baseline")};
}

// CIS 1.2.16 to 1.2.19 and 3.2.
SecurityCheck audit(const Cluster& cluster, ApiProbe& api) {
    const auto lost = api.metric("apiserver_audit_error_total");
    if (!lost) return {State::Look, "the audit log cannot be asked about", ""};
    if (*lost)
        return {State::Look, concat("the audit log has lost ", *lost, " events"),
                concat("is the disk of ", audit_log_path(cluster), " full?")};
    const bool own = file_exists(audit_policy_path(cluster));
    return {State::On, concat("audit log: ", audit_log_path(cluster)),
            own ? concat("policy ", audit_policy_path(cluster)) : "built-in policy"};
}

// CIS 1.2.27 and 1.2.28.
SecurityCheck encryption(const Cluster& cluster) {
    if (too_open(encryption_path(cluster), 077).empty() && file_exists(encryption_path(cluster)))
        return {State::On, "Secrets are sealed on the disk (AES-256-GCM)",
                concat("keys in ", encryption_path(cluster), "; skiff encryption rotate")};
    return {State::Look, "the keys of Secrets are open to others or gone",
            encryption_path(cluster)};
}

SecurityCheck relaxed(const Cluster& cluster) {
    if (cluster.compat.empty())
        return {State::On, "service accounts have no rights by default", ""};
    return {State::Look, concat("--compat=", cluster.compat, " gives service accounts rights"),
            "`skiff down`, then `skiff up --compat off`"};
}

}   // namespace

std::vector<SecurityCheck> security_checks(const Cluster& cluster, const Pki& pki) {
    std::vector<SecurityCheck> checks;
    checks.push_back(files(cluster));
    checks.push_back(certificates(cluster, pki));
    checks.push_back(bootstrap(cluster));
    checks.push_back(closed_to_nobody(pki, "the API server", cluster.port,
                                      "/api/v1/namespaces/kube-system/secrets"));
    checks.push_back(closed_to_nobody(pki, "the node agent", cluster.agent_port, "/pods"));
    checks.push_back(relaxed(cluster));
    const auto api = ApiProbe::make(cluster, pki);
    if (!api) {
        checks.push_back({State::Look, "the API cannot be asked", api.error().message});
        return checks;
    }
    roles(**api, checks);
    checks.push_back(
        {State::On, "admission: NodeRestriction, LimitRanger, ResourceQuota, Pod Security", ""});
    checks.push_back(audit(cluster, **api));
    checks.push_back(encryption(cluster));
    checks.push_back(pod_security(**api));
    return checks;
}

int print_security(const Cluster& cluster) {
    if (::geteuid() != 0) return complain("only root sees this: sudo skiff status --security");
    const auto pki = ensure_pki(cluster, os_clock());
    if (!pki) return complain(pki.error().message);
    int code = 0;
    for (const auto& check : security_checks(cluster, *pki)) {
        const char* state = check.state == State::On    ? "on"
                            : check.state == State::Off ? "off"
                                                        : "look";
        std::printf("%-5s %s%s%s\n", state, check.what.c_str(),
                    check.detail.empty() ? "" : "\n      ", check.detail.c_str());
        if (check.state == State::Look) code = 3;
    }
    return code;
}

}   // namespace skiff::cmd
