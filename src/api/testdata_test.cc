// Kubernetes' own round-trip files (kubernetes/api, testdata) through every walker: what it calls
// an object with every field set must be known whole, and come back the same from each encoding.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "api/normalize.h"
#include "api/protobuf_fuzz.h"
#include "codec/protobuf.h"
#include "codec/yaml.h"

namespace skiff::api {
namespace {

std::string read_file(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    std::stringstream text;
    text << file.rdbuf();
    return std::move(text).str();
}

struct Sample {
    const Message* message;
    std::string file;   // without its ending
};

// Every message that is a kind, or stands for one, and has files.
std::vector<Sample> samples() {
    std::vector<Sample> found;
    const char* folder = std::getenv("KUBERNETES_API_TESTDATA");
    if (!folder) return found;
    const auto add = [&](const Message* message, const std::string& name) {
        const std::string file = std::string{folder} + "/" + name;
        if (message && std::ifstream{file + ".json"}.good()) found.push_back({message, file});
    };
    for (const Kind* kind : builtin_kinds()) {
        const std::string group{kind->group.empty() ? "core" : kind->group};
        add(kind->message,
            group + "." + std::string{kind->version} + "." + std::string{kind->kind});
    }
    for (const std::string name :
         {"CreateOptions", "DeleteOptions", "GetOptions", "ListOptions", "PatchOptions",
          "UpdateOptions", "Status", "APIGroup", "APIVersions"})
        add(builtin_message("meta.v1." + name), "core.v1." + name);
    return found;
}

TEST(Testdata, json_is_known_whole_and_normal_already) {
    const auto all = samples();
    if (all.empty()) GTEST_SKIP() << "KUBERNETES_API_TESTDATA is not set";
    for (const Sample& sample : all) {
        const auto text = read_file(sample.file + ".json");
        auto document = codec::parse_json(text);
        ASSERT_TRUE(document) << sample.file;
        const Json before = document->root.deep_copy(document->arena);
        NormalizeReport report;
        const auto done = normalize(*sample.message, document->root, document->arena, report);
        ASSERT_TRUE(done) << sample.file << ": " << done.error().message;
        for (const auto& path : report.unknown_fields) ADD_FAILURE() << sample.file << ": " << path;
        EXPECT_TRUE(before == document->root) << sample.file << "\n"
                                              << codec::to_json(document->root);
    }
}

TEST(Testdata, yaml_and_json_say_the_same) {
    const auto all = samples();
    if (all.empty()) GTEST_SKIP() << "KUBERNETES_API_TESTDATA is not set";
    for (const Sample& sample : all) {
        const auto document = codec::parse_json(read_file(sample.file + ".json"));
        auto yaml = codec::parse_yaml(read_file(sample.file + ".yaml"));
        ASSERT_TRUE(document);
        ASSERT_TRUE(yaml) << sample.file << ": " << yaml.error().message;
        NormalizeReport report;
        ASSERT_TRUE(normalize(*sample.message, yaml->root, yaml->arena, report)) << sample.file;
        EXPECT_TRUE(report.unknown_fields.empty()) << sample.file;
        EXPECT_TRUE(yaml->root == document->root) << sample.file;
        const auto again = codec::parse_yaml(codec::to_yaml(document->root));
        ASSERT_TRUE(again) << sample.file << ": " << again.error().message;
        EXPECT_TRUE(again->root == document->root) << sample.file;
    }
}

// What defaults make of the files in every version: of the two names of a pod's service account the
// newer one is meant, and claims in a set carry their kind.
void apply_known_defaults(Json& value, codec::Arena& arena) {
    for (Json& item : value.items()) apply_known_defaults(item, arena);
    for (auto& [key, member] : value.members()) {
        apply_known_defaults(member, arena);
        if (key != "volumeClaimTemplates") continue;
        for (Json& claim : member.items()) {
            claim.set(arena, "apiVersion", Json::borrowed("v1"));
            claim.set(arena, "kind", Json::borrowed("PersistentVolumeClaim"));
        }
    }
    if (!value.is_object()) return;
    const Json* newer = value.find("serviceAccountName");
    if (newer && value.find("serviceAccount")) value.set(arena, "serviceAccount", *newer);
}

TEST(Testdata, served_versions_say_the_same_as_the_stored_one) {
    const auto all = samples();
    if (all.empty()) GTEST_SKIP() << "KUBERNETES_API_TESTDATA is not set";
    size_t versions = 0;
    for (const Kind* kind : builtin_kinds()) {
        if (!kind->stored) continue;
        for (const Sample& sample : all) {
            if (sample.message != kind->message) continue;
            auto document = codec::parse_json(read_file(sample.file + ".json"));
            ASSERT_TRUE(document);
            Json before = document->root.deep_copy(document->arena);
            apply_known_defaults(before, document->arena);
            ASSERT_TRUE(to_stored(*kind, document->root, nullptr, document->arena)) << sample.file;
            EXPECT_EQ(document->root.text_at({"apiVersion"}), kind->stored->api_version());
            ASSERT_TRUE(from_stored(*kind, document->root, document->arena)) << sample.file;
            ++versions;
            if (document->root == before) continue;
            // Upstream's own conversions fold some values of these together: the stored form is
            // then what must come back.
            EXPECT_TRUE(kind->kind == "EndpointSlice" || kind->version == "v1alpha1")
                << sample.file << "\n"
                << codec::to_json(document->root);
            Json once = before.deep_copy(document->arena);
            ASSERT_TRUE(to_stored(*kind, once, nullptr, document->arena));
            ASSERT_TRUE(to_stored(*kind, document->root, nullptr, document->arena));
            EXPECT_TRUE(document->root == once) << sample.file << "\n"
                                                << codec::to_json(document->root);
        }
    }
    EXPECT_GE(versions, 2u);
}

TEST(Testdata, protobuf_and_json_say_the_same) {
    const auto all = samples();
    if (all.empty()) GTEST_SKIP() << "KUBERNETES_API_TESTDATA is not set";
    size_t same_bytes = 0;
    for (const Sample& sample : all) {
        auto document = codec::parse_json(read_file(sample.file + ".json"));
        ASSERT_TRUE(document);
        const auto body = read_file(sample.file + ".pb");
        const auto envelope = codec::open_kubernetes_envelope(body);
        ASSERT_TRUE(envelope) << sample.file;
        EXPECT_EQ(envelope->kind, document->root.text_at({"kind"}));
        document->root.remove("kind");
        document->root.remove("apiVersion");

        auto decoded = decode_protobuf(*sample.message, envelope->raw, document->arena);
        ASSERT_TRUE(decoded) << sample.file << ": " << decoded.error().message;
        NormalizeReport report;
        ASSERT_TRUE(normalize(*sample.message, *decoded, document->arena, report)) << sample.file;
        EXPECT_TRUE(*decoded == document->root) << sample.file << "\n"
                                                << codec::to_json(*decoded) << "\n"
                                                << codec::to_json(document->root);

        std::string bytes;
        const auto done = encode_protobuf(*sample.message, document->root, bytes);
        ASSERT_TRUE(done) << sample.file << ": " << done.error().message;
        const auto again = decode_protobuf(*sample.message, bytes, document->arena);
        ASSERT_TRUE(again);
        EXPECT_TRUE(*again == *decoded) << sample.file;
        if (bytes == envelope->raw)
            ++same_bytes;
        else if (std::getenv("SKIFF_TEST_VERBOSE"))
            std::cerr << "other bytes: " << sample.file << "\n";
    }
    std::cerr << all.size() << " kinds, " << same_bytes << " with the very bytes of upstream\n";
}

// Whatever bytes come: no crash, and what is understood stays so. SKIFF_FUZZ_ROUNDS asks for more.
TEST(Testdata, broken_protobuf_is_refused_or_understood) {
    const char* rounds_text = std::getenv("SKIFF_FUZZ_ROUNDS");
    const int rounds = rounds_text ? std::atoi(rounds_text) : 100;
    uint64_t state = 42;
    const auto next = [&state](size_t below) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return static_cast<size_t>(state >> 33) % below;
    };
    size_t trees = 0, tried = 0;
    for (const Sample& sample : samples()) {
        const auto kinds = builtin_kinds();
        const auto kind = std::ranges::find(kinds, sample.message, &Kind::message);
        if (kind == kinds.end()) continue;
        const auto body = read_file(sample.file + ".pb");
        const auto envelope = codec::open_kubernetes_envelope(body);
        ASSERT_TRUE(envelope) << sample.file;
        for (int round = 0; round < rounds; ++round) {
            std::string bytes{envelope->raw};
            for (size_t change = 0; change < 1 + next(4); ++change) {
                if (next(8) == 0)
                    bytes.insert(next(bytes.size()),
                                 std::string_view{bytes}.substr(next(bytes.size())));
                bytes[next(bytes.size())] = static_cast<char>(next(256));
            }
            if (next(5) == 0) bytes.resize(1 + next(bytes.size()));
            bool understood = false;
            const auto problem = fuzz_protobuf(**kind, bytes, understood);
            ASSERT_EQ(problem, "") << sample.file << " in round " << round;
            if (understood) ++trees;
            ++tried;
        }
    }
    if (tried == 0) GTEST_SKIP() << "KUBERNETES_API_TESTDATA is not set";
    EXPECT_GT(trees * 20, tried) << "too few of them were understood to say much";
}

}   // namespace
}   // namespace skiff::api
