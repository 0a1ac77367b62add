#include "api/view.h"

#include "api/json_pull.h"
#include "base/text.h"

namespace skiff::api {
namespace {

constexpr unsigned depth_max = 512;

// Members mostly come in the order in which they stand in the view, so the search begins behind
// the last one found.
const ViewField* find_field(const ViewTable& table, std::string_view name, size_t& hint) {
    const size_t count = table.fields.size();
    for (size_t i = 0; i < count; ++i) {
        const size_t at = hint + i < count ? hint + i : hint + i - count;
        if (table.fields[at].name == name) {
            hint = at + 1 < count ? at + 1 : 0;
            return &table.fields[at];
        }
    }
    return nullptr;
}

void* member_of(void* view, const ViewField& field) {
    return static_cast<char*>(view) + field.offset;
}

// Leaves that come as text. "" or what is wrong with it.
Result<> set_text(ViewType type, std::string_view text, void* out) {
    switch (type) {
    case ViewType::String: *static_cast<std::string*>(out) = text; return {};
    case ViewType::Interned: *static_cast<Interned*>(out) = text; return {};
    case ViewType::IntOrString: *static_cast<IntOrString*>(out) = IntOrString{text}; return {};
    case ViewType::Bytes: {
        auto decoded = base64_decoded(text);
        if (!decoded) return fail(Reason::BadRequest, "illegal base64 data");
        *static_cast<std::string*>(out) = std::move(*decoded);
        return {};
    }
    case ViewType::Time:
    case ViewType::MicroTime: {
        TRY(*static_cast<WallTime*>(out), parse_rfc3339(text));
        return {};
    }
    case ViewType::Duration: {
        TRY(*static_cast<Duration*>(out), parse_go_duration(text));
        return {};
    }
    case ViewType::Quantity: {
        TRY(*static_cast<Quantity*>(out), Quantity::parse(text));
        return {};
    }
    default: return fail(Reason::BadRequest, concat("cannot be the string '", text, "'"));
    }
}

Result<> set_number(ViewType type, std::string_view text, void* out) {
    const auto integer = parse_number<int64_t>(text);
    switch (type) {
    case ViewType::Int32:
    case ViewType::IntOrString: {
        if (!integer || *integer != static_cast<int32_t>(*integer)) break;
        const auto value = static_cast<int32_t>(*integer);
        if (type == ViewType::Int32)
            *static_cast<int32_t*>(out) = value;
        else
            *static_cast<IntOrString*>(out) = IntOrString{value};
        return {};
    }
    case ViewType::Int64:
        if (!integer) break;
        *static_cast<int64_t*>(out) = *integer;
        return {};
    case ViewType::Double:
        if (const auto value = parse_number<double>(text)) {
            *static_cast<double*>(out) = *value;
            return {};
        }
        break;
    case ViewType::Quantity: return set_text(type, text, out);
    default: break;
    }
    return fail(Reason::BadRequest, concat("cannot be the number ", text));
}

// What is wrong in a member, said with the member's name in front.
Result<> under(Result<> done, std::string_view name) {
    if (done) return done;
    return std::unexpected{std::move(done).error().in(name)};
}

class TextDecoder {
  public:
    explicit TextDecoder(std::string_view text) : pull_{text} {}

    Result<> object(const ViewTable& table, void* out) {
        if (++depth_ > depth_max) return fail(Reason::BadRequest, "too deep");
        std::string_view key;
        size_t hint = 0;
        for (bool first = true; pull_.next_member(first, key);) {
            const ViewField* field = find_field(table, key, hint);
            if (!field || pull_.peek() == 'n')
                pull_.skip();
            else
                TRY_OK(under(shaped(*field, member_of(out, *field)), field->name));
        }
        --depth_;
        return pull_.finish();
    }
    Result<> end() {
        if (!pull_.at_end()) pull_.fail_with("something follows the object");
        return pull_.finish();
    }

  private:
    Result<> shaped(const ViewField& field, void* member) {
        if (field.shape == ViewShape::Single) return value(field, field.holder->make(member, {}));
        field.holder->clear(member);
        if (field.shape == ViewShape::List) {
            for (bool first = true; pull_.next_element(first);)
                TRY_OK(value(field, field.holder->make(member, {})));
            return pull_.finish();
        }
        std::string_view key;
        for (bool first = true; pull_.next_member(first, key);)
            TRY_OK(value(field, field.holder->make(member, key)));
        return pull_.finish();
    }

    Result<> value(const ViewField& field, void* out) {
        const char kind = pull_.peek();
        if (field.type == ViewType::Raw) {
            *static_cast<std::string*>(out) = pull_.skip();
        } else if (kind == 'n') {
            pull_.skip();   // a null element is a zero one
        } else if (field.type == ViewType::Message) {
            return object(*field.table, out);
        } else if (field.type == ViewType::StringList) {
            auto& list = *static_cast<std::vector<std::string>*>(out);
            for (bool first = true; pull_.next_element(first);) list.emplace_back(pull_.string());
        } else if (kind == '"') {
            const std::string_view text = pull_.string();
            TRY_OK(pull_.finish());
            return set_text(field.type, text, out);
        } else if (kind == '0') {
            return set_number(field.type, pull_.number(), out);
        } else if (field.type == ViewType::Bool) {
            *static_cast<bool*>(out) = pull_.boolean();
        } else {
            pull_.fail_with("a value of another type was expected");
        }
        return pull_.finish();
    }

    JsonPull pull_;
    unsigned depth_ = 0;
};

// From the tree.

using codec::Json;

Result<> tree_object(const ViewTable& table, const Json& value, void* out);

Result<> tree_value(const ViewField& field, const Json& value, void* out) {
    switch (field.type) {
    case ViewType::Raw: *static_cast<std::string*>(out) = codec::to_json(value); return {};
    case ViewType::Message: return tree_object(*field.table, value, out);
    case ViewType::StringList:
        for (const Json& item : value.items())
            static_cast<std::vector<std::string>*>(out)->emplace_back(item.text());
        return {};
    case ViewType::Bool:
        if (!value.is_bool()) break;
        *static_cast<bool*>(out) = value.as_bool();
        return {};
    default: break;
    }
    if (value.is_null()) return {};
    if (value.is_string()) return set_text(field.type, value.as_string(), out);
    if (value.is_number()) return set_number(field.type, codec::to_json(value), out);
    return fail(Reason::BadRequest, "a value of another type was expected");
}

Result<> tree_shaped(const ViewField& field, const Json& value, void* member) {
    if (field.shape == ViewShape::Single)
        return tree_value(field, value, field.holder->make(member, {}));
    field.holder->clear(member);
    if (field.shape == ViewShape::List) {
        if (!value.is_array()) return fail(Reason::BadRequest, "expected a list");
        for (const Json& item : value.items())
            TRY_OK(tree_value(field, item, field.holder->make(member, {})));
        return {};
    }
    if (!value.is_object()) return fail(Reason::BadRequest, "expected an object");
    for (const auto& [key, item] : value.members())
        TRY_OK(tree_value(field, item, field.holder->make(member, key)));
    return {};
}

Result<> tree_object(const ViewTable& table, const Json& value, void* out) {
    if (value.is_null()) return {};
    if (!value.is_object()) return fail(Reason::BadRequest, "expected an object");
    size_t hint = 0;
    for (const auto& [key, member] : value.members()) {
        const ViewField* field = find_field(table, key, hint);
        if (!field || member.is_null()) continue;
        TRY_OK(under(tree_shaped(*field, member, member_of(out, *field)), field->name));
    }
    return {};
}

}   // namespace

Result<> decode_view(const ViewTable& table, std::string_view json, void* out) {
    TextDecoder decoder{json};
    TRY_OK(decoder.object(table, out));
    return decoder.end();
}

Result<> decode_view(const ViewTable& table, const Json& value, void* out) {
    return tree_object(table, value, out);
}

Result<ListText> split_list(std::string_view json) {
    ListText list;
    JsonPull pull{json};
    std::string_view key;
    for (bool first = true; pull.next_member(first, key);) {
        if (key == "items" && pull.peek() == '[') {
            for (bool one = true; pull.next_element(one);) list.items.push_back(pull.skip());
        } else if (key == "metadata" && pull.peek() == '{') {
            std::string_view inner;
            for (bool one = true; pull.next_member(one, inner);) {
                if (inner == "resourceVersion")
                    list.resourceVersion = pull.string();
                else if (inner == "continue")
                    list.continue_ = pull.string();
                else if (inner == "remainingItemCount" && pull.peek() == '0')
                    list.remainingItemCount = parse_number<int64_t>(pull.number());
                else
                    pull.skip();
            }
        } else {
            pull.skip();
        }
    }
    TRY_OK(pull.finish());
    return list;
}

Result<WatchEventText> split_watch_event(std::string_view json) {
    WatchEventText event;
    JsonPull pull{json};
    std::string_view key;
    for (bool first = true; pull.next_member(first, key);) {
        const bool is_type = key == "type", is_object = key == "object";
        const std::string_view value = pull.skip();
        if (is_type && value.size() >= 2) event.type = value.substr(1, value.size() - 2);
        if (is_object) event.object = value;
    }
    TRY_OK(pull.finish());
    if (event.type.empty() || event.object.empty())
        return fail(Reason::BadRequest, "a watch event needs a type and an object");
    return event;
}

}   // namespace skiff::api
