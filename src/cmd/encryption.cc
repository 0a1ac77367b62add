#include "cmd/encryption.h"

#include <algorithm>
#include <cstdio>

#include <unistd.h>

#include "base/os.h"
#include "base/text.h"
#include "cmd/api_probe.h"
#include "cmd/flags.h"
#include "cmd/process.h"
#include "cmd/progress.h"
#include "codec/yaml.h"
#include "net/aes_gcm.h"

namespace skiff::cmd {
namespace {

constexpr std::string_view secrets_prefix = "/registry/secrets/";
constexpr std::string_view envelope = "k8s:enc:aesgcm:v1:";
constexpr size_t keys_max = 16;
constexpr auto restart_time = std::chrono::seconds{60};

std::string random_bytes(Random& random, size_t count) {
    std::string bytes(count, '\0');
    random.fill({reinterpret_cast<unsigned char*>(bytes.data()), bytes.size()});
    return bytes;
}

std::string configuration_text(const std::vector<EncryptionKey>& keys) {
    std::string text =
        "# The keys of this cluster's Secrets: whoever has them and the database has the Secrets.\n"
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
        "- resources: [secrets]\n  providers:\n  - aesgcm:\n      keys:\n";
    for (const auto& key : keys)
        append(text, "      - {name: ", key.name, ", secret: ", base64(key.secret), "}\n");
    return text + "  - identity: {}\n";
}

Result<std::vector<EncryptionKey>> keys_in(const std::string& text) {
    TRY(const auto document, codec::parse_yaml(text));
    std::vector<EncryptionKey> keys;
    const auto* resources = document.root.find("resources");
    for (const auto& resource : resources ? resources->items() : std::span<const codec::Json>{}) {
        const auto* providers = resource.find("providers");
        for (const auto& provider : providers ? providers->items() : std::span<const codec::Json>{})
            if (const auto* listed = provider.at_path({"aesgcm", "keys"}))
                for (const auto& key : listed->items())
                    keys.push_back(
                        {.name = std::string{key.text_at({"name"})},
                         .secret = base64_decoded(key.text_at({"secret"})).value_or("")});
    }
    const bool good = !keys.empty() && std::ranges::all_of(keys, [](const auto& key) {
        return !key.name.empty() && key.name.find(':') == std::string::npos &&
               key.secret.size() == net::aes_key_bytes;
    });
    if (!good)
        return fail(Reason::Invalid,
                    "it must list keys under aesgcm, each with a name and a secret of 32 bytes");
    return keys;
}

Result<std::vector<EncryptionKey>> load_keys(const Cluster& cluster) {
    const auto path = encryption_path(cluster);
    TRY(const auto text, read_file(path));
    auto keys = keys_in(text);
    if (!keys) return fail(Reason::Invalid, concat(path, ": ", keys.error().message));
    return keys;
}

Result<> save_keys(const Cluster& cluster, const std::vector<EncryptionKey>& keys) {
    return write_file_atomic(encryption_path(cluster), configuration_text(keys), 0600);
}

// "secrets-3" after "secrets-2".
std::string next_name(const std::vector<EncryptionKey>& keys) {
    unsigned last = 0;
    for (const auto& key : keys)
        if (key.name.starts_with("secrets-"))
            last = std::max(last, parse_number<unsigned>(key.name.substr(8)).value_or(0));
    return concat("secrets-", last + 1);
}

// The server reads its keys when it starts, and is ready when every Secret is sealed with the
// first; the supervisor starts it again at once, and its listening socket waits meanwhile.
Result<> restart_server(const Cluster& cluster, ApiProbe& probe) {
    const auto pid_file = cluster.path("run/server.pid");
    const auto server = running(pid_file);
    if (!server) return fail(Reason::NotFound, "the server does not run; it rewrites at its start");
    stop_process(*server, std::chrono::seconds{20});
    const bool back = ApiProbe::wait_until(
        [&] {
            const auto next = running(pid_file);
            return next && next->pid != server->pid && probe.ready();
        },
        restart_time);
    if (!back) return fail(Reason::Timeout, "the server has not come back yet; see skiff status");
    return {};
}

Result<> rotate(const Cluster& cluster) {
    TRY(auto keys, load_keys(cluster));
    keys.insert(keys.begin(),
                {.name = next_name(keys), .secret = random_bytes(os_random(), net::aes_key_bytes)});
    if (keys.size() > keys_max) keys.resize(keys_max);
    TRY_OK(save_keys(cluster, keys));
    TRY(const auto pki, ensure_pki(cluster, os_clock()));
    TRY(const auto probe, ApiProbe::make(cluster, pki));
    TRY_OK(restart_server(cluster, *probe));
    std::printf("Secrets are sealed with the new key %s; the old ones stay in %s.\n",
                keys.front().name.c_str(), encryption_path(cluster).c_str());
    return {};
}

Result<> tell(const Cluster& cluster) {
    TRY(const auto keys, load_keys(cluster));
    std::printf("Secrets are sealed with AES-256-GCM, key %s of %zu in %s.\n",
                keys.front().name.c_str(), keys.size(), encryption_path(cluster).c_str());
    return {};
}

}   // namespace

std::string encryption_path(const Cluster& cluster) {
    return cluster.path("server/encryption.yaml");
}

Result<std::vector<EncryptionKey>> ensure_encryption_keys(const Cluster& cluster, Random& random) {
    if (!file_exists(encryption_path(cluster))) {
        const std::vector<EncryptionKey> keys{
            {.name = "secrets-1", .secret = random_bytes(random, net::aes_key_bytes)}};
        TRY_OK(save_keys(cluster, keys));
    }
    return load_keys(cluster);
}

store::Cipher secrets_cipher(std::vector<EncryptionKey> keys, Random& random) {
    const auto shared = std::make_shared<const std::vector<EncryptionKey>>(std::move(keys));
    return {.covers = [](std::string_view key) { return key.starts_with(secrets_prefix); },
            .seal = [shared, &random](std::string_view key,
                                      std::string_view text) -> Result<std::string> {
                const auto& first = shared->front();
                TRY(const auto sealed,
                    net::aes_gcm_seal(first.secret, random_bytes(random, net::gcm_nonce_bytes),
                                      text, key));
                return concat(envelope, first.name, ":", sealed);
            },
            .open = [shared](std::string_view key,
                             std::string_view sealed) -> Result<store::Cipher::Opened> {
                if (!sealed.starts_with(envelope))   // of before Secrets were sealed
                    return store::Cipher::Opened{.text = std::string{sealed}, .current = false};
                const auto rest = sealed.substr(envelope.size());
                const auto name = rest.substr(0, rest.find(':'));
                const auto known = std::ranges::find(*shared, name, &EncryptionKey::name);
                if (known == shared->end())
                    return fail(Reason::Invalid, concat("it is sealed with the key ", name,
                                                        ", which encryption.yaml does not have"));
                TRY(auto text, net::aes_gcm_open(known->secret, rest.substr(name.size() + 1), key));
                return store::Cipher::Opened{.text = std::move(text),
                                             .current = known == shared->begin()};
            }};
}

Result<> reseal(Executor& executor, store::Store& store,
                const std::set<std::string, std::less<>>& stale) {
    const auto secrets = store.resource(secrets_prefix);
    for (const auto& stored : stale) {
        const store::Key key{.resource = secrets, .name = stored.substr(secrets_prefix.size())};
        const auto object = store.view(secrets).get(key.name);
        if (!object) continue;
        store::Transaction transaction;
        transaction.preconditions.push_back(
            {.must = store::Precondition::Must::BeAt, .key = key, .at = object->modified});
        transaction.writes.push_back({.key = key,
                                      .text = object->without_revision(),
                                      .splice_at = object->splice_at,
                                      .attributes = object->attributes,
                                      .schema_revision = object->schema_revision});
        const auto done = store::commit_and_wait(executor, store, std::move(transaction));
        if (done || done.error().reason == Reason::Conflict ||
            done.error().reason == Reason::NotFound)
            continue;
        return std::unexpected{done.error()};
    }
    return {};
}

int run_encryption(const std::vector<std::string>& arguments) {
    constexpr auto usage = "usage: skiff encryption status | skiff encryption rotate";
    const auto flags = Flags::parse(
        arguments, {{"root", "DIR", "all state of the cluster (default /var/lib/skiff)"}}, 1);
    if (!flags) return complain(flags.error().message);
    if (::geteuid() != 0) return complain("the keys are root's: sudo skiff encryption …");
    const auto cluster = load_cluster(flags->text("root", default_root));
    if (!cluster) return complain(cluster.error().message);
    Result<> done = fail(Reason::Invalid, usage);
    const auto& words = flags->arguments();
    if (words.size() == 1 && words[0] == "rotate") done = rotate(*cluster);
    if (words.size() == 1 && words[0] == "status") done = tell(*cluster);
    return done ? 0 : complain(done.error().message);
}

}   // namespace skiff::cmd
