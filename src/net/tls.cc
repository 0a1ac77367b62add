#include "net/tls.h"

#include <mutex>

#include "base/guarded.h"
#include "net/openssl.h"

namespace skiff::net {
namespace {

enum class Role { Server, Client, UnverifiedClient };

// Accepts whatever the client presented and remembers the first problem: Transport reports it, the
// authenticator answers. Anonymous and token users must not be cut off by a stale certificate.
int note_verify_problem(int fine, X509_STORE_CTX* store) {
    if (fine) return 1;
    auto* ssl =
        static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    if (!SSL_get_ex_data(ssl, verify_problem_index())) {
        const auto problem = static_cast<intptr_t>(X509_STORE_CTX_get_error(store));
        SSL_set_ex_data(ssl, verify_problem_index(), reinterpret_cast<void*>(problem));
    }
    return 1;
}

// h2 before http/1.1. Called only when the client offers ALPN: without it HTTP/1.1 is spoken.
int choose_alpn(SSL*, const unsigned char** chosen, unsigned char* size,
                const unsigned char* offered, unsigned offered_size, void*) {
    static constexpr unsigned char ours[] = "\x02h2\x08http/1.1";
    unsigned char* found = nullptr;
    if (SSL_select_next_proto(&found, size, ours, sizeof ours - 1, offered, offered_size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

struct Material {
    std::string certificate_pem, key_pem, roots_pem;
};

Result<> load_identity(SSL_CTX* context, const Material& material) {
    if (material.certificate_pem.empty() && material.key_pem.empty()) return {};
    const auto chain = certificates_from_pem(material.certificate_pem);
    if (chain.empty()) return fail(Reason::Invalid, "certificate: no PEM CERTIFICATE block");
    TRY(const auto key, private_key_from_pem(material.key_pem));
    if (SSL_CTX_use_certificate(context, chain.front().get()) != 1)
        return fail_openssl("certificate", Reason::Invalid);
    for (size_t i = 1; i < chain.size(); ++i) SSL_CTX_add1_chain_cert(context, chain[i].get());
    if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
        return fail_openssl("private key", Reason::Invalid);
    return {};
}

Result<> load_roots(SSL_CTX* context, const Material& material, Role role) {
    if (material.roots_pem.empty()) {
        if (role == Role::Client) SSL_CTX_set_default_verify_paths(context);
        return {};
    }
    const auto roots = certificates_from_pem(material.roots_pem);
    if (roots.empty()) return fail(Reason::Invalid, "trusted roots: no PEM CERTIFICATE block");
    auto* store = SSL_CTX_get_cert_store(context);
    for (const auto& root : roots) {
        X509_STORE_add_cert(store, root.get());
        // Names of acceptable authorities: clients with several certificates choose by them.
        if (role == Role::Server) SSL_CTX_add_client_CA(context, root.get());
    }
    ERR_clear_error();
    return {};
}

void set_role(SSL_CTX* context, const Material& material, Role role) {
    if (role == Role::UnverifiedClient) SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
    if (role == Role::Client) SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    if (role != Role::Server) return;
    SSL_CTX_set_alpn_select_cb(context, choose_alpn, nullptr);
    if (!material.roots_pem.empty())
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, note_verify_problem);
}

Result<std::shared_ptr<SSL_CTX>> build_context(const Material& material, Role role) {
    const std::shared_ptr<SSL_CTX> context{
        SSL_CTX_new(role == Role::Server ? TLS_server_method() : TLS_client_method()),
        SSL_CTX_free};
    if (!context) return fail_openssl("TLS context");
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(context.get(), "ECDHE+AESGCM:ECDHE+CHACHA20");   // TLS 1.2's
    // No resumption: a client's certificate is then checked against today's roots and today's
    // time in every handshake, and no connection keeps session state.
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context.get(), 0);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                           SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    // Idle connections give their record buffers back; read_ahead saves a system call a record.
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context.get(), 1);
    TRY_OK(load_identity(context.get(), material));
    TRY_OK(load_roots(context.get(), material, role));
    set_role(context.get(), material, role);
    return context;
}

// Every change builds a new SSL_CTX; connections hold on to the one they were made with.
class Context final : public TlsContext {
  public:
    Context(Role role, Material material, std::shared_ptr<SSL_CTX> context)
        : role_{role}, state_{State{std::move(material), std::move(context)}} {}

    Result<> use(const std::string& certificate_pem, const std::string& key_pem) override {
        return change([&](Material& material) {
            material.certificate_pem = certificate_pem;
            material.key_pem = key_pem;
        });
    }

    Result<> trust(const std::string& ca_pem) override {
        return change([&](Material& material) { material.roots_pem = ca_pem; });
    }

    std::shared_ptr<void> native() override {
        return state_.use([](State& state) { return state.context; });
    }

  private:
    struct State {
        Material material;
        std::shared_ptr<SSL_CTX> context;
    };

    template <class F>
    Result<> change(F apply) {
        return state_.use([&](State& state) -> Result<> {
            Material material = state.material;
            apply(material);
            TRY(auto context, build_context(material, role_));
            state = State{std::move(material), std::move(context)};
            return {};
        });
    }

    const Role role_;
    Guarded<State> state_;
};

Result<std::shared_ptr<TlsContext>> make_context(Role role, Material material) {
    TRY(auto context, build_context(material, role));
    return std::make_shared<Context>(role, std::move(material), std::move(context));
}

}   // namespace

int verify_problem_index() {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

Result<std::shared_ptr<TlsContext>> make_server_tls(const std::string& certificate_pem,
                                                    const std::string& key_pem,
                                                    const std::string& client_ca_pem) {
    if (certificate_pem.empty()) return fail(Reason::Invalid, "certificate: none given");
    return make_context(Role::Server, {certificate_pem, key_pem, client_ca_pem});
}

Result<std::shared_ptr<TlsContext>> make_client_tls(const std::string& ca_pem,
                                                    const std::string& certificate_pem,
                                                    const std::string& key_pem) {
    return make_context(Role::Client, {certificate_pem, key_pem, ca_pem});
}

Result<std::shared_ptr<TlsContext>> make_unverified_client_tls() {
    return make_context(Role::UnverifiedClient, {});
}

}   // namespace skiff::net
