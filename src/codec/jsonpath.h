// The paths of print columns: .spec.containers[*].image, metadata.labels['a.b/c'], labels.a\.b,
// .items[0], .items[-1], .status.conditions[?(@.type=="Ready")].status. A small part of kubectl's
// JSONPath: no recursion, slices or unions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "codec/json.h"

namespace skiff::codec {

class JsonPath {
  public:
    static Result<JsonPath> parse(std::string_view text);   // BadRequest: what is wrong with it
    std::vector<const Json*> find(
        const Json& root) const;   // in order; nothing for what is missing

  private:
    struct Step {
        enum class Kind : uint8_t { Member, Index, All, Filter } kind = Kind::Member;
        std::string name;
        int64_t index = 0;             // from the end when negative
        std::vector<Step> condition;   // Filter: of the element,
        std::string value;             // which must, or must not, be this text
        bool equal = true;
    };
    class Parser;
    static void walk(const Json& at, const std::vector<Step>& steps, size_t next,
                     std::vector<const Json*>& found);

    std::vector<Step> steps_;
};

// A value as a cell or a query shows it: strings bare, all else as JSON.
std::string plain_text(const Json& value);

}   // namespace skiff::codec
