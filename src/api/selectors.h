// Label and field selectors, as query texts and as LabelSelector objects.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/view_types.h"
#include "base/result.h"
#include "codec/json.h"

namespace skiff::api {

using SortedPairs = std::vector<std::pair<std::string, std::string>>;   // by key

class LabelSelector {
  public:
    // "a=b,c!=d,e in (f,g),h,!i,j>1". BadRequest in Kubernetes' words.
    static Result<LabelSelector> parse(std::string_view text);
    // A LabelSelector object ({matchLabels, matchExpressions}); empty matches all, null none.
    static Result<LabelSelector> from_object(const codec::Json& selector);
    bool matches(const SortedPairs& labels) const;
    bool matches(const Labels& labels) const;        // of a view
    bool matches(const codec::Json& labels) const;   // a JSON object of texts, or null
    bool everything() const { return requirements_.empty() && !nothing_; }
    std::string text() const;

  private:
    friend class LabelSelectorParser;
    enum class Operator : uint8_t {
        In,
        Equals,   // In with one value, shown as it was written
        NotIn,
        NotEquals,
        Exists,
        DoesNotExist,
        GreaterThan,
        LessThan,
    };
    struct Requirement {
        std::string key;
        Operator op = Operator::Exists;
        std::vector<std::string> values;
    };
    // In upstream's words for a field error at `path` ("<nil>" when there is none).
    static Result<> check(const Requirement& requirement, bool check_key);
    static bool holds(const Requirement& requirement, const std::string_view* value);
    std::vector<Requirement> requirements_;
    bool nothing_ = false;
};

class FieldSelector {
  public:
    // "status.phase=Running,spec.nodeName!=x"; `==` too. Which fields exist is the caller's to
    // check.
    static Result<FieldSelector> parse(std::string_view text);
    struct Requirement {
        std::string field;
        std::string value;
        bool equal = true;
    };
    const std::vector<Requirement>& requirements() const { return requirements_; }
    bool everything() const { return requirements_.empty(); }
    bool matches(const SortedPairs& fields) const;   // an absent field is ""
    // metadata.name=x among the requirements, for a direct look-up.
    const std::string* exact(std::string_view field) const;

  private:
    std::vector<Requirement> requirements_;
};

}   // namespace skiff::api
