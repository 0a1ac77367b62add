#include "cmd/pki.h"

#include <algorithm>

#include "base/os.h"
#include "base/text.h"

namespace skiff::cmd {
namespace {

constexpr auto day = std::chrono::hours{24};
constexpr auto ca_life = 10 * 365 * day;
constexpr auto certificate_life = 365 * day;
constexpr auto backdated = std::chrono::minutes{5};   // for clocks that differ a little

constexpr const char* node_components[] = {"ingress-controller", "local-path-provisioner"};

struct Names {
    std::string directory;
    std::string certificate(std::string_view name) const {
        return concat(directory, "/", name, ".crt");
    }
    std::string key(std::string_view name) const { return concat(directory, "/", name, ".key"); }
};

Result<> save(const Names& names, std::string_view name, const net::KeyPair& pair) {
    TRY_OK(write_file_atomic(names.key(name), pair.key_pem, 0600));
    return write_file_atomic(names.certificate(name), pair.certificate_pem, 0644);
}

Result<std::optional<net::KeyPair>> load(const Names& names, std::string_view name) {
    if (!file_exists(names.certificate(name)) || !file_exists(names.key(name))) return std::nullopt;
    net::KeyPair pair;
    TRY(pair.certificate_pem, read_file(names.certificate(name)));
    TRY(pair.key_pem, read_file(names.key(name)));
    return pair;
}

bool covers(const net::ParsedCertificate& certificate, const net::CertificateRequest& wanted) {
    const auto has = [](const auto& list, const auto& entry) {
        return std::ranges::find(list, entry) != list.end();
    };
    return std::ranges::all_of(wanted.addresses,
                               [&](const auto& a) { return has(certificate.addresses, a); }) &&
           std::ranges::all_of(wanted.dns_names,
                               [&](const auto& n) { return has(certificate.dns_names, n); });
}

Result<net::KeyPair> ensure_ca(const Names& names, const Cluster& cluster, WallTime now) {
    TRY(const auto found, load(names, "ca"));
    if (found) return *found;
    TRY(auto ca, net::make_ca(concat("skiff-ca-", cluster.id), now - backdated, now + ca_life));
    TRY_OK(save(names, "ca", ca));
    return ca;
}

Result<net::KeyPair> ensure_issued(const Names& names, std::string_view name,
                                   const net::KeyPair& ca, const net::CertificateRequest& subject,
                                   net::CertificateProfile profile, WallTime now) {
    TRY(auto found, load(names, name));
    if (found) {
        TRY(const auto certificate, net::parse_certificate(found->certificate_pem));
        if (now < certificate.not_after - certificate_life / 3 && covers(certificate, subject))
            return *found;
    }
    profile.not_before = now - backdated;
    profile.not_after = now + certificate_life;
    TRY(auto pair, net::issue(ca, subject, profile));
    TRY_OK(save(names, name, pair));
    return pair;
}

}   // namespace

Result<Pki> ensure_pki(const Cluster& cluster, const std::vector<std::string>& addresses,
                       Clock& clock) {
    const Names names{cluster.path("server/pki")};
    TRY_OK(make_directories(names.directory, 0700));
    const auto now = clock.now();
    Pki pki;
    TRY(pki.ca, ensure_ca(names, cluster, now));
    TRY(const auto service_address, first_address(cluster.service_cidr));
    net::CertificateRequest server{
        .common_name = "kube-apiserver",
        .organizations = {},
        .dns_names = {"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                      "kubernetes.default.svc.cluster.local", cluster.node_name},
        .addresses = {"127.0.0.1", "::1", service_address}};
    for (const auto& address : addresses)
        if (address != "127.0.0.1") server.addresses.push_back(address);
    TRY(pki.server, ensure_issued(names, "apiserver", pki.ca, server, {.server_auth = true}, now));
    TRY(pki.admin, ensure_issued(names, "admin", pki.ca,
                                 {.common_name = "kubernetes-admin",
                                  .organizations = {"system:masters"},
                                  .dns_names = {},
                                  .addresses = {}},
                                 {.client_auth = true}, now));
    TRY(pki.node_client, ensure_issued(names, "apiserver-kubelet-client", pki.ca,
                                       {.common_name = "kube-apiserver-kubelet-client",
                                        .organizations = {"system:masters"},
                                        .dns_names = {},
                                        .addresses = {}},
                                       {.client_auth = true}, now));
    for (const char* account : node_components)
        TRY_OK(ensure_issued(
            names, account, pki.ca,
            {.common_name = concat("system:serviceaccount:kube-system:", account),
             .organizations = {"system:serviceaccounts", "system:serviceaccounts:kube-system"},
             .dns_names = {},
             .addresses = {}},
            {.client_auth = true}, now));
    const auto key_path = names.key("sa");
    if (!file_exists(key_path)) {
        TRY(const auto key, net::make_key_pem());
        TRY_OK(write_file_atomic(key_path, key, 0600));
    }
    TRY(pki.service_account_key_pem, read_file(key_path));
    return pki;
}

Result<std::shared_ptr<net::TlsContext>> component_tls(const Cluster& cluster,
                                                       const std::string& account) {
    const Names names{cluster.path("server/pki")};
    TRY(const auto ca, read_file(names.certificate("ca")));
    TRY(const auto certificate, read_file(names.certificate(account)));
    TRY(const auto key, read_file(names.key(account)));
    return net::make_client_tls(ca, certificate, key);
}

std::string kubeconfig_text(const Cluster& cluster, const Pki& pki) {
    const auto name = cluster.context_name();
    return concat("apiVersion: v1\nkind: Config\nclusters:\n- name: ", name,
                  "\n  cluster:\n    server: https://127.0.0.1:", cluster.port,
                  "\n    certificate-authority-data: ", base64(pki.ca.certificate_pem),
                  "\nusers:\n- name: ", name,
                  "\n  user:\n    client-certificate-data: ", base64(pki.admin.certificate_pem),
                  "\n    client-key-data: ", base64(pki.admin.key_pem),
                  "\ncontexts:\n- name: ", name, "\n  context:\n    cluster: ", name,
                  "\n    user: ", name, "\ncurrent-context: ", name, "\n");
}

}   // namespace skiff::cmd
