#include "agent/identity.h"

#include "agent/identity_view.h"
#include "base/guarded.h"
#include "base/os.h"
#include "base/text.h"

namespace skiff::agent {

namespace {

using codec::Json;

constexpr Duration approval_time_max = 10min;
constexpr Duration look_again = 1s;          // should the watch be cut
constexpr Duration usable_at_least = 5min;   // or a tenth of its life

std::string file_of(const IdentityOptions& options, CertificateKind kind, std::string_view what) {
    return concat(options.folder, "/", kind == CertificateKind::Client ? "client" : "serving", ".",
                  what);
}

std::string csr_body(const std::string& csr_pem, CertificateKind kind) {
    codec::Arena arena;
    Json usages = Json::array();
    usages.push(arena, Json::borrowed("digital signature"));
    usages.push(arena,
                Json::borrowed(kind == CertificateKind::Client ? "client auth" : "server auth"));
    Json object = Json::object();
    object.set(arena, "apiVersion", Json::borrowed("certificates.k8s.io/v1"));
    object.set(arena, "kind", Json::borrowed("CertificateSigningRequest"));
    object.make_object(arena, "metadata").set(arena, "generateName", Json::borrowed("csr-"));
    Json& spec = object.make_object(arena, "spec");
    spec.set(arena, "request", Json::string(arena, base64(csr_pem)));
    spec.set(arena, "signerName",
             Json::borrowed(kind == CertificateKind::Client
                                ? "kubernetes.io/kube-apiserver-client-kubelet"
                                : "kubernetes.io/kubelet-serving"));
    spec.set(arena, "usages", usages);
    return codec::to_json(object);
}

struct Bell final : client::WatchSink {
    explicit Bell(Executor& executor) : executor_{executor} {}
    void event(client::WatchEvent) override { ring(); }
    void ended(Result<>) override { ring(); }
    void ring() {
        if (const auto waiter = current_.use([](auto& one) { return one; })) waiter->notify();
    }
    std::shared_ptr<Waiter> next() {
        auto fresh = executor_.make_waiter();
        current_.use([&](auto& one) { one = fresh; });
        return fresh;
    }
    Executor& executor_;
    Guarded<std::shared_ptr<Waiter>> current_;
};

Result<std::string> wait_for_certificate(client::Client& client, const std::string& name) {
    auto& executor = client.executor();
    const auto bell = std::make_shared<Bell>(executor);
    auto waiter = bell->next();
    const auto stream = client.transport().watch(
        {.path = client::path_of(client::resource_of<view::CertificateSigningRequest>(), ""),
         .query = concat("watch=true&fieldSelector=metadata.name%3D", name),
         .timeout = approval_time_max},
        bell);
    const MonoTime deadline = executor.clock().monotonic() + approval_time_max;
    while (executor.clock().monotonic() < deadline) {
        TRY(const auto request, client.get<view::CertificateSigningRequest>({"", name}));
        if (!request.status.certificate.empty()) return request.status.certificate;
        for (const auto& condition : request.status.conditions) {
            if (condition.type == "Denied" || condition.type == "Failed") {
                return fail(Reason::Forbidden, concat("certificate request ", name, ": ",
                                                      condition.type, ": ", condition.message));
            }
        }
        waiter->wait_until(executor.clock().monotonic() + look_again);
        waiter = bell->next();
    }
    return fail(Reason::Timeout, concat("certificate request ", name, " was not answered"));
}

}   // namespace

std::optional<net::KeyPair> load_certificate(const IdentityOptions& options, CertificateKind kind,
                                             WallTime now) {
    auto certificate = read_file(file_of(options, kind, "crt"));
    auto key = read_file(file_of(options, kind, "key"));
    if (!certificate || !key) return std::nullopt;
    const auto parsed = net::parse_certificate(*certificate);
    if (!parsed) return std::nullopt;
    const Duration life = parsed->not_after - parsed->not_before;
    if (parsed->not_after < now + std::min(usable_at_least, life / 10)) return std::nullopt;
    return net::KeyPair{*std::move(certificate), *std::move(key)};
}

Result<net::KeyPair> request_certificate(const IdentityOptions& options, CertificateKind kind,
                                         client::Client& client) {
    TRY(auto key, net::make_key_pem());
    net::CertificateRequest subject{.common_name = concat("system:node:", options.node_name),
                                    .organizations = {"system:nodes"}};
    if (kind == CertificateKind::Serving) {
        subject.dns_names = {options.node_name};
        subject.addresses = options.addresses;
    }
    TRY(const auto csr, net::make_csr(key, subject));
    TRY(const Bytes answer,
        client.create_text(client::resource_of<view::CertificateSigningRequest>(), "",
                           csr_body(csr, kind)));
    TRY(const auto created, api::decode<view::CertificateSigningRequest>(answer));
    TRY(auto certificate, wait_for_certificate(client, created.metadata.name));
    TRY_OK(make_directories(options.folder, 0700));
    // The key first: a certificate without its key would be useless.
    TRY_OK(write_file_atomic(file_of(options, kind, "key"), key, 0600));
    TRY_OK(write_file_atomic(file_of(options, kind, "crt"), certificate, 0600));
    return net::KeyPair{std::move(certificate), std::move(key)};
}

Result<WallTime> renewal_time(const std::string& certificate_pem) {
    TRY(const auto parsed, net::parse_certificate(certificate_pem));
    return parsed.not_before + (parsed.not_after - parsed.not_before) * 4 / 5;
}

}   // namespace skiff::agent
