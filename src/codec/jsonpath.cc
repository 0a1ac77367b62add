#include "codec/jsonpath.h"

#include <algorithm>

#include "base/text.h"

namespace skiff::codec {

class JsonPath::Parser {
  public:
    explicit Parser(std::string_view text) : whole_{text}, text_{text} {}

    Result<std::vector<Step>> parse() {
        if (text_.starts_with('{') && text_.ends_with('}'))
            text_ = text_.substr(1, text_.size() - 2);
        if (text_.starts_with('$') || text_.starts_with('@')) text_.remove_prefix(1);
        if (!text_.empty() && text_[0] != '.' && text_[0] != '[') TRY_OK(take_name());
        while (!text_.empty()) {
            const char next = text_[0];
            text_.remove_prefix(1);
            if (next == '[') {
                TRY_OK(take_bracket());
            } else if (next != '.') {
                return wrong("a '.' or '[' is missing");
            } else if (!text_.empty() && text_[0] != '[') {   // ".[0]" is "[0]"
                TRY_OK(take_name());
            }
        }
        return std::move(steps_);
    }

  private:
    std::unexpected<Error> wrong(std::string_view what) const {
        return fail(Reason::BadRequest, concat("path '", whole_, "': ", what));
    }

    Result<> take_name() {
        std::string name;
        while (!text_.empty() && text_[0] != '.' && text_[0] != '[') {
            if (text_[0] == '\\' && text_.size() > 1) text_.remove_prefix(1);
            name += text_[0];
            text_.remove_prefix(1);
        }
        if (name.empty()) return wrong("a name is missing");
        if (name == "*")
            steps_.push_back({.kind = Step::Kind::All});
        else
            steps_.push_back({.name = std::move(name)});
        return {};
    }

    Result<> take_bracket() {
        if (text_.starts_with("?(")) return take_filter();
        if (text_.starts_with('\'') || text_.starts_with('"')) {
            const size_t end = text_.find(concat(text_[0], ']'), 1);
            if (end == text_.npos) return wrong("a quote is not closed");
            steps_.push_back({.name = std::string{text_.substr(1, end - 1)}});
            text_.remove_prefix(end + 2);
            return {};
        }
        const auto [inside, rest] = cut(text_, ']');
        if (!rest) return wrong("a bracket is not closed");
        text_ = *rest;
        if (inside == "*") {
            steps_.push_back({.kind = Step::Kind::All});
            return {};
        }
        const auto index = parse_number<int32_t>(inside);
        if (!index) return wrong(concat("'", inside, "' must be a number or '*'"));
        steps_.push_back({.kind = Step::Kind::Index, .index = *index});
        return {};
    }

    Result<> take_filter() {
        const size_t end = text_.find(")]");
        if (end == text_.npos) return wrong("a filter is not closed");
        const auto inside = text_.substr(2, end - 2);
        text_.remove_prefix(end + 2);
        const size_t op = std::min(inside.find("=="), inside.find("!="));
        if (op == inside.npos) return wrong("a filter must have == or !=");
        Step step{.kind = Step::Kind::Filter, .equal = inside[op] == '='};
        TRY(step.condition, Parser{trim(inside.substr(0, op))}.parse());
        auto value = trim(inside.substr(op + 2));
        if (value.size() >= 2 && (value[0] == '"' || value[0] == '\'') && value.back() == value[0])
            value = value.substr(1, value.size() - 2);
        step.value = value;
        steps_.push_back(std::move(step));
        return {};
    }

    std::string_view whole_;
    std::string_view text_;
    std::vector<Step> steps_;
};

Result<JsonPath> JsonPath::parse(std::string_view text) {
    JsonPath path;
    TRY(path.steps_, Parser{text}.parse());
    return path;
}

void JsonPath::walk(const Json& at, const std::vector<Step>& steps, size_t next,
                    std::vector<const Json*>& found) {
    if (next == steps.size()) {
        found.push_back(&at);
        return;
    }
    const Step& step = steps[next];
    switch (step.kind) {
    case Step::Kind::Member:
        if (const Json* member = at.find(step.name)) walk(*member, steps, next + 1, found);
        return;
    case Step::Kind::Index: {
        const auto size = static_cast<int64_t>(at.size());
        const int64_t index = step.index < 0 ? step.index + size : step.index;
        if (at.is_array() && index >= 0 && index < size)
            walk(at.items()[static_cast<size_t>(index)], steps, next + 1, found);
        return;
    }
    case Step::Kind::All:
        for (const auto& item : at.items()) walk(item, steps, next + 1, found);
        for (const auto& member : at.members()) walk(member.value, steps, next + 1, found);
        return;
    case Step::Kind::Filter:
        for (const auto& item : at.items()) {
            std::vector<const Json*> values;
            walk(item, step.condition, 0, values);
            const bool has = std::ranges::any_of(
                values, [&](const Json* value) { return plain_text(*value) == step.value; });
            if (has == step.equal && (has || !values.empty())) walk(item, steps, next + 1, found);
        }
        return;
    }
}

std::vector<const Json*> JsonPath::find(const Json& root) const {
    std::vector<const Json*> found;
    walk(root, steps_, 0, found);
    return found;
}

std::string plain_text(const Json& value) {
    return value.is_string() ? std::string{value.as_string()} : to_json(value);
}

}   // namespace skiff::codec
