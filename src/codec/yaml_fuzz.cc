#include "base/fuzz.h"
#include "codec/yaml.h"

namespace skiff::codec {
namespace {

// What is read is written so that it reads as the same; of numbers see json_fuzz.cc.
const fuzz::Target yaml{
    "yaml", [](std::string_view input) {
        const auto document = parse_yaml(input);
        if (!document) {
            ASSERT(document.error().reason == Reason::BadRequest);
            return;
        }
        const auto again = parse_yaml(to_yaml(document->root));
        ASSERT(again);
        const auto text = to_json(document->root);
        ASSERT(to_json(again->root) == text || text.find("-0") != std::string::npos);
    }};

}   // namespace
}   // namespace skiff::codec
