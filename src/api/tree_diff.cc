#include "api/tree_diff.h"

#include "api/json_fields.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Json;

constexpr size_t value_text_max = 80;

std::string shown(const Json& value) {
    if (value.is_null()) return "(absent)";
    std::string text = to_json(value);
    if (text.size() > value_text_max) text = text.substr(0, value_text_max) + "...";
    return text;
}

class Differ {
  public:
    explicit Differ(size_t lines_max) : left_(lines_max) {}

    void compare(const Json& before, const Json& after, const std::string& path) {
        if (before == after || full_) return;
        if (before.is_object() && after.is_object()) return compare_members(before, after, path);
        if (before.is_array() && after.is_array() && before.size() == after.size()) {
            for (size_t i = 0; i < before.size(); ++i)
                compare(before.items()[i], after.items()[i], concat(path, "[", i, "]"));
            return;
        }
        if (left_ == 0) {
            full_ = true;
            text_ += "  ...\n";
            return;
        }
        --left_;
        append(text_, "  ", path, ": ", shown(before), " -> ", shown(after), "\n");
    }
    std::string take() { return std::move(text_); }

  private:
    void compare_members(const Json& before, const Json& after, const std::string& path) {
        const std::string prefix = path.empty() ? path : path + ".";
        for (const auto& [key, value] : before.members())
            compare(value, field(after, key), concat(prefix, key));
        for (const auto& [key, value] : after.members())
            if (!before.find(key)) compare(Json{}, value, concat(prefix, key));
    }

    std::string text_;
    size_t left_;
    bool full_ = false;
};

}   // namespace

std::string changes_between(const Json& before, const Json& after, std::string_view root,
                            size_t lines_max) {
    Differ differ{lines_max};
    differ.compare(before, after, std::string{root});
    return differ.take();
}

}   // namespace skiff::api
