#include "base/fuzz.h"
#include "codec/json.h"
#include "codec/jsonpath.h"
#include "codec/utf8.h"

namespace skiff::codec {
namespace {

// What is read is written so that it reads as the same, and is all of it text. As in Go, a real
// number may be written like a whole one, which is then read as that, and -0 is read as 0.
const fuzz::Target json{
    "json", [](std::string_view input) {
        std::vector<std::string> duplicates;
        const auto document = parse_json(input, {.duplicate_keys = &duplicates});
        if (!document) {
            ASSERT(document.error().reason == Reason::BadRequest);
            return;
        }
        const auto text = to_json(document->root);
        for (std::string_view rest = text; !rest.empty();) {
            const size_t length = utf8_length(rest);
            ASSERT(length > 0);
            rest.remove_prefix(length);
        }
        const auto again = parse_json(text);
        ASSERT(again);
        const auto stable = to_json(again->root);
        ASSERT(stable == text || text.find("-0") != std::string::npos);
        const auto third = parse_json(stable);
        ASSERT(third && third->root == again->root && to_json(third->root) == stable);
    }};

const fuzz::Target jsonpath{"jsonpath", [](std::string_view input) {
                                const auto [expression, text] = fuzz::two_parts(input);
                                const auto path = JsonPath::parse(expression);
                                if (!path) return;
                                const auto document = parse_json(
                                    text.empty() ? R"({"a":[{"b":1},{"b":"x"}],"":null})" : text);
                                if (!document) return;
                                for (const Json* found : path->find(document->root))
                                    (void)plain_text(*found);
                            }};

}   // namespace
}   // namespace skiff::codec
