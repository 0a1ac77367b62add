#include "cmd/pki.h"

#include <algorithm>

#include "base/os.h"
#include "base/text.h"
#include "cmd/addresses.h"
#include "cmd/lock.h"

namespace skiff::cmd {
namespace {

constexpr auto day = std::chrono::hours{24};
constexpr auto ca_life = 10 * 365 * day;
constexpr Duration backdated_most = std::chrono::minutes{5};

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
    TRY(auto ca,
        net::make_ca(concat("skiff-ca-", cluster.id), now - backdated_most, now + ca_life));
    TRY_OK(save(names, "ca", ca));
    return ca;
}

class Issuer {
  public:
    Issuer(const Names& names, const net::KeyPair& ca, Duration life, WallTime now)
        : names_{names}, ca_{ca}, life_{life}, now_{now} {}

    // The one on disk while more than a third of its life is left and it says what it should.
    Result<net::KeyPair> ensure(std::string_view name, const net::CertificateRequest& subject,
                                net::CertificateProfile profile) {
        TRY(auto found, load(names_, name));
        if (found) {
            TRY(const auto certificate, net::parse_certificate(found->certificate_pem));
            const auto due = certificate.not_after - life_ / 3;
            if (now_ < due && covers(certificate, subject)) {
                renew_at_ = std::min(renew_at_, due);
                return *found;
            }
        }
        profile.not_before = now_ - backdating(life_);
        profile.not_after = now_ + life_;
        TRY(auto pair, net::issue(ca_, subject, profile));
        TRY_OK(save(names_, name, pair));
        renew_at_ = std::min(renew_at_, now_ + life_ * 2 / 3);
        return pair;
    }
    WallTime renew_at() const { return renew_at_; }

  private:
    const Names& names_;
    const net::KeyPair& ca_;
    const Duration life_;
    const WallTime now_;
    WallTime renew_at_ = WallTime::max();
};

}   // namespace

Duration backdating(Duration life) { return std::min(backdated_most, life / 10); }

Result<Pki> ensure_pki(const Cluster& cluster, Clock& clock) {
    const Names names{cluster.path("server/pki")};
    TRY_OK(make_directories(names.directory, 0700));
    // `up`, `status` and the server may all find that it is time.
    TRY(const auto lock, lock_folder(names.directory));
    const auto now = clock.now();
    Pki pki;
    TRY(pki.ca, ensure_ca(names, cluster, now));
    Issuer issuer{names, pki.ca, cluster.certificate_life, now};
    TRY(const auto service_address, first_address(cluster.service_cidr));
    net::CertificateRequest server{
        .common_name = "kube-apiserver",
        .organizations = {},
        .dns_names = {"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                      "kubernetes.default.svc.cluster.local", cluster.node_name},
        .addresses = {"127.0.0.1", "::1", service_address}};
    for (const auto& address : machine_addresses())
        if (address != "127.0.0.1") server.addresses.push_back(address);
    TRY(pki.server, issuer.ensure("apiserver", server, {.server_auth = true}));
    TRY(pki.admin, issuer.ensure("admin",
                                 {.common_name = "kubernetes-admin",
                                  .organizations = {"system:masters"},
                                  .dns_names = {},
                                  .addresses = {}},
                                 {.client_auth = true}));
    TRY(pki.node_client, issuer.ensure("apiserver-kubelet-client",
                                       {.common_name = "kube-apiserver-kubelet-client",
                                        .organizations = {"system:masters"},
                                        .dns_names = {},
                                        .addresses = {}},
                                       {.client_auth = true}));
    for (const char* account : node_components)
        TRY_OK(issuer.ensure(
            account,
            {.common_name = concat("system:serviceaccount:kube-system:", account),
             .organizations = {"system:serviceaccounts", "system:serviceaccounts:kube-system"},
             .dns_names = {},
             .addresses = {}},
            {.client_auth = true}));
    const auto key_path = names.key("sa");
    if (!file_exists(key_path)) {
        TRY(const auto key, net::make_key_pem());
        TRY_OK(write_file_atomic(key_path, key, 0600));
    }
    TRY(pki.service_account_key_pem, read_file(key_path));
    pki.renew_at = issuer.renew_at();
    return pki;
}

Result<net::KeyPair> component_certificate(const Cluster& cluster, const std::string& account) {
    const Names names{cluster.path("server/pki")};
    TRY(const auto lock, lock_folder(names.directory));
    TRY(auto pair, load(names, account));
    if (pair) return *std::move(pair);
    return fail(Reason::NotFound, concat("there is no ", names.certificate(account)));
}

Result<std::string> cluster_ca(const Cluster& cluster) {
    return read_file(Names{cluster.path("server/pki")}.certificate("ca"));
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
