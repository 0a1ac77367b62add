#include "api/selectors.h"

#include <algorithm>

#include "api/names.h"
#include "base/text.h"

namespace skiff::api {
namespace {

bool is_symbol(char byte) {
    return std::string_view{"=!(),<>"}.find(byte) != std::string_view::npos;
}
bool is_space(char byte) { return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n'; }

std::unexpected<Error> wrong(std::string message) {
    return fail(Reason::BadRequest, std::move(message));
}

// Go's %q, for what a selector can hold.
std::string go_quoted(std::string_view text) {
    std::string out;
    codec::write_json_string(text, out);
    return out;
}

std::unexpected<Error> invalid_value(std::string_view field, std::string_view value,
                                     std::string_view detail) {
    return wrong(concat(field, ": Invalid value: ", go_quoted(value), ": ", detail));
}

const std::string_view* value_in(const SortedPairs& labels, std::string_view key,
                                 std::string_view& value) {
    const auto at = std::ranges::lower_bound(
        labels, key, {}, [](const auto& pair) { return std::string_view{pair.first}; });
    if (at == labels.end() || at->first != key) return nullptr;
    value = at->second;
    return &value;
}

}   // namespace

Result<> LabelSelector::check(const Requirement& requirement, bool check_key) {
    if (check_key) {
        if (const auto problem = check_qualified_name(requirement.key); !problem.empty())
            return invalid_value("key", requirement.key, problem);
    }
    const bool set = requirement.op == Operator::In || requirement.op == Operator::NotIn;
    const bool existence =
        requirement.op == Operator::Exists || requirement.op == Operator::DoesNotExist;
    if (set && requirement.values.empty())
        return wrong(
            "values: Invalid value: []: for 'in', 'notin' operators, values set can't be "
            "empty");
    if (existence && !requirement.values.empty())
        return wrong(concat("values: Invalid value: [", join(requirement.values, " "),
                            "]: values set must be empty for exists and does not exist"));
    for (size_t i = 0; i < requirement.values.size(); ++i) {
        const auto& value = requirement.values[i];
        const bool compared =
            requirement.op == Operator::GreaterThan || requirement.op == Operator::LessThan;
        if (compared && !parse_number<int64_t>(value))
            return invalid_value(concat("values[", i, "]"), value,
                                 "for 'Gt', 'Lt' operators, the value must be an integer");
        if (const auto problem = check_label_value(value); !problem.empty())
            return invalid_value(concat("values[", i, "][", requirement.key, "]"), value, problem);
    }
    return {};
}

// requirement (',' requirement)*, as apimachinery's labels package reads it: blanks between tokens,
// 'in' and 'notin' are words of the language only where an operator stands.
class LabelSelectorParser {
  public:
    using Operator = LabelSelector::Operator;
    using Requirement = LabelSelector::Requirement;

    explicit LabelSelectorParser(std::string_view text) : text_{text} { advance(); }

    Result<std::vector<Requirement>> parse() {
        std::vector<Requirement> all;
        for (;;) {
            if (done()) return all;
            if (!is_word() && token_ != "!")
                return wrong(
                    concat("found '", token_, "', expected: !, identifier, or 'end of string'"));
            auto requirement = parse_requirement();
            if (!requirement)
                return wrong(concat("unable to parse requirement: ", requirement.error().message));
            all.push_back(*std::move(requirement));
            if (done()) return all;
            if (token_ != ",")
                return wrong(concat("found '", token_, "', expected: ',' or 'end of string'"));
            advance();
            if (!is_word() && token_ != "!")
                return wrong(concat("found '", token_, "', expected: identifier after ','"));
        }
    }

  private:
    bool done() const { return token_.empty(); }
    bool is_word() const { return !token_.empty() && !is_symbol(token_[0]); }

    void advance() {
        while (!text_.empty() && is_space(text_[0])) text_.remove_prefix(1);
        size_t size = 0;
        if (!text_.empty() && is_symbol(text_[0]))
            size = text_.starts_with("==") || text_.starts_with("!=") ? 2 : 1;
        else
            while (size < text_.size() && !is_symbol(text_[size]) && !is_space(text_[size])) ++size;
        token_ = text_.substr(0, size);
        text_.remove_prefix(size);
    }
    std::string_view take() {
        const auto token = token_;
        advance();
        return token;
    }

    Result<Requirement> parse_requirement() {
        Requirement requirement;
        const bool negated = token_ == "!";
        if (negated) advance();
        if (!is_word()) return wrong(concat("found '", token_, "', expected: identifier"));
        requirement.key = take();
        if (const auto problem = check_qualified_name(requirement.key); !problem.empty())
            return invalid_value("<nil>", requirement.key, problem);
        if (negated || done() || token_ == ",") {
            requirement.op = negated ? Operator::DoesNotExist : Operator::Exists;
            return requirement;
        }
        TRY(requirement.op, parse_operator());
        if (requirement.op == Operator::In || requirement.op == Operator::NotIn) {
            TRY(requirement.values, parse_values());
            std::ranges::sort(requirement.values);
            const auto [first, last] = std::ranges::unique(requirement.values);
            requirement.values.erase(first, last);
        } else if (done() || token_ == ",") {
            requirement.values.emplace_back();
        } else if (is_word()) {
            requirement.values.emplace_back(take());
        } else {
            return wrong(concat("found '", token_, "', expected: identifier"));
        }
        TRY_OK(LabelSelector::check(requirement, false));
        return requirement;
    }

    Result<Operator> parse_operator() {
        const auto token = take();
        if (token == "in") return Operator::In;
        if (token == "notin") return Operator::NotIn;
        if (token == "=" || token == "==") return Operator::Equals;
        if (token == "!=") return Operator::NotEquals;
        if (token == ">") return Operator::GreaterThan;
        if (token == "<") return Operator::LessThan;
        return wrong(concat("found '", token, "', expected: in, notin, =, ==, !=, gt, lt"));
    }

    // '(' and words, each of which may be missing, with commas between, ')'.
    Result<std::vector<std::string>> parse_values() {
        if (token_ != "(") return wrong(concat("found '", token_, "' expected: '('"));
        advance();
        std::vector<std::string> values;
        for (;;) {
            values.emplace_back(is_word() ? take() : std::string_view{});
            if (token_ == ")") break;
            if (token_ != ",") return wrong(concat("found '", token_, "', expected: ',' or ')'"));
            advance();
        }
        advance();
        return values;
    }

    std::string_view text_;
    std::string_view token_;   // "" at the end
};

Result<LabelSelector> LabelSelector::parse(std::string_view text) {
    LabelSelector selector;
    TRY(selector.requirements_, LabelSelectorParser{text}.parse());
    std::ranges::stable_sort(selector.requirements_, {}, &Requirement::key);
    return selector;
}

Result<LabelSelector> LabelSelector::from_object(const codec::Json& object) {
    LabelSelector selector;
    selector.nothing_ = object.is_null();
    if (const auto* labels = object.find("matchLabels")) {
        for (const auto& [key, value] : labels->members())
            selector.requirements_.push_back(
                {std::string{key}, Operator::Equals, {std::string{value.text()}}});
    }
    if (const auto* expressions = object.find("matchExpressions")) {
        for (const auto& expression : expressions->items()) {
            Requirement requirement;
            requirement.key = expression.text_at({"key"});
            const auto op = expression.text_at({"operator"});
            if (op == "In")
                requirement.op = Operator::In;
            else if (op == "NotIn")
                requirement.op = Operator::NotIn;
            else if (op == "Exists")
                requirement.op = Operator::Exists;
            else if (op == "DoesNotExist")
                requirement.op = Operator::DoesNotExist;
            else
                return wrong(concat(go_quoted(op), " is not a valid label selector operator"));
            if (const auto* values = expression.find("values"))
                for (const auto& value : values->items())
                    requirement.values.emplace_back(value.text());
            selector.requirements_.push_back(std::move(requirement));
        }
    }
    for (const auto& requirement : selector.requirements_) TRY_OK(check(requirement, true));
    std::ranges::stable_sort(selector.requirements_, {}, &Requirement::key);
    return selector;
}

bool LabelSelector::holds(const Requirement& requirement, const std::string_view* value) {
    const auto listed = [&] {
        return std::ranges::find(requirement.values, *value) != requirement.values.end();
    };
    switch (requirement.op) {
    case Operator::In:
    case Operator::Equals: return value && listed();
    case Operator::NotIn:
    case Operator::NotEquals: return !value || !listed();
    case Operator::Exists: return value;
    case Operator::DoesNotExist: return !value;
    case Operator::GreaterThan:
    case Operator::LessThan: break;
    }
    const auto bound = parse_number<int64_t>(requirement.values[0]);
    const auto number = value ? parse_number<int64_t>(*value) : std::nullopt;
    if (!number || !bound) return false;
    return requirement.op == Operator::GreaterThan ? *number > *bound : *number < *bound;
}

bool LabelSelector::matches(const SortedPairs& labels) const {
    if (nothing_) return false;
    return std::ranges::all_of(requirements_, [&](const Requirement& requirement) {
        std::string_view value;
        return holds(requirement, value_in(labels, requirement.key, value));
    });
}

bool LabelSelector::matches(const Labels& labels) const {
    if (nothing_) return false;
    return std::ranges::all_of(requirements_, [&](const Requirement& requirement) {
        const Interned* found = labels.find(requirement.key);
        const auto value = found ? found->view() : std::string_view{};
        return holds(requirement, found ? &value : nullptr);
    });
}

bool LabelSelector::matches(const codec::Json& labels) const {
    if (nothing_) return false;
    return std::ranges::all_of(requirements_, [&](const Requirement& requirement) {
        const auto* found = labels.find(requirement.key);
        const auto value = found ? found->text() : std::string_view{};
        return holds(requirement, found ? &value : nullptr);
    });
}

std::string LabelSelector::text() const {
    std::string out;
    for (const auto& requirement : requirements_) {
        if (!out.empty()) out += ',';
        if (requirement.op == Operator::DoesNotExist) out += '!';
        out += requirement.key;
        switch (requirement.op) {
        case Operator::Exists:
        case Operator::DoesNotExist: break;
        case Operator::Equals: append(out, "=", requirement.values[0]); break;
        case Operator::NotEquals: append(out, "!=", requirement.values[0]); break;
        case Operator::GreaterThan: append(out, ">", requirement.values[0]); break;
        case Operator::LessThan: append(out, "<", requirement.values[0]); break;
        case Operator::In: append(out, " in (", join(requirement.values, ","), ")"); break;
        case Operator::NotIn: append(out, " notin (", join(requirement.values, ","), ")"); break;
        }
    }
    return out;
}

namespace {

// The value with its escapes of backslash, comma and equals sign taken away.
Result<std::string> unescaped(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == ',' || text[i] == '=')
            return wrong(concat("invalid field selector: unescaped character in value: ",
                                static_cast<int>(text[i])));
        if (text[i] == '\\') {
            ++i;
            const auto next = text.substr(std::min(i, text.size()), 1);
            if (next != "\\" && next != "," && next != "=")
                return wrong(concat("invalid field selector: invalid escape sequence: \\", next));
        }
        out += text[i];
    }
    return out;
}

// Up to the first comma that no backslash precedes; takes the comma too.
std::string_view take_term(std::string_view& text) {
    size_t at = 0;
    while (at < text.size() && text[at] != ',') at += text[at] == '\\' ? 2 : 1;
    const auto term = text.substr(0, at);
    text.remove_prefix(std::min(at + 1, text.size()));
    return term;
}

}   // namespace

Result<FieldSelector> FieldSelector::parse(std::string_view text) {
    FieldSelector selector;
    for (std::string_view rest = text; !rest.empty();) {
        const auto term = take_term(rest);
        if (term.empty()) continue;
        size_t at = 0;
        while (at < term.size() && term[at] != '=' && !term.substr(at).starts_with("!=")) ++at;
        if (at == term.size())
            return wrong(concat("invalid selector: '", text, "'; can't understand '", term, "'"));
        const bool equal = term[at] == '=';
        const size_t width = !equal || term.substr(at).starts_with("==") ? 2 : 1;
        TRY(auto value, unescaped(term.substr(at + width)));
        selector.requirements_.push_back(
            {std::string{term.substr(0, at)}, std::move(value), equal});
    }
    return selector;
}

bool FieldSelector::matches(const SortedPairs& fields) const {
    return std::ranges::all_of(requirements_, [&](const Requirement& requirement) {
        std::string_view value;
        value_in(fields, requirement.field, value);
        return (value == requirement.value) == requirement.equal;
    });
}

const std::string* FieldSelector::exact(std::string_view field) const {
    for (const auto& requirement : requirements_)
        if (requirement.equal && requirement.field == field) return &requirement.value;
    return nullptr;
}

}   // namespace skiff::api
