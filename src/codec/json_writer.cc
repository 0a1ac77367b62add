// JSON text from the tree, in the form of Go's encoding/json.
#include <array>
#include <charconv>
#include <cmath>

#include "codec/json.h"
#include "codec/utf8.h"

namespace skiff::codec {
namespace {

constexpr char digits[] = "0123456789abcdef";

// Bytes that stand for themselves inside a string; 0xe2 begins U+2028 and U+2029.
constexpr auto plain = [] {
    std::array<bool, 256> table{};
    for (size_t byte = 0x20; byte < 0x80; ++byte) table[byte] = byte != '"' && byte != '\\';
    return table;
}();

void write_escaped(char byte, std::string& out) {
    switch (byte) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\b': out += "\\b"; return;
    case '\f': out += "\\f"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default:
        out += "\\u00";
        out += digits[static_cast<unsigned char>(byte) >> 4];
        out += digits[byte & 15];
    }
}

template <class Number>
void write_number(Number value, std::string& out) {
    char text[24];
    const auto done = std::to_chars(text, text + sizeof text, value);
    out.append(text, done.ptr);
}

// The shortest digits that read back the same; an exponent below 1e-6 and from 1e21 on.
void write_double(double value, std::string& out) {
    char text[40];
    const auto done = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific);
    std::string_view all{text, done.ptr};
    if (all.starts_with('-')) {
        out += '-';
        all.remove_prefix(1);
    }
    const size_t mark = all.find('e');
    std::string mantissa{all.substr(0, 1)};
    if (mark > 2) mantissa += all.substr(2, mark - 2);
    int exponent = 0;
    const auto exponent_text = all.substr(mark + (all[mark + 1] == '+' ? 2 : 1));
    std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);
    const auto count = static_cast<int>(mantissa.size());
    if (value != 0 && (exponent < -6 || exponent >= 21)) {
        out += mantissa[0];
        if (count > 1) out.append(".").append(mantissa, 1);
        out.append(exponent < 0 ? "e-" : "e+").append(std::to_string(std::abs(exponent)));
    } else if (exponent < 0) {
        out.append("0.").append(static_cast<size_t>(-exponent - 1), '0').append(mantissa);
    } else if (count <= exponent + 1) {
        out.append(mantissa).append(static_cast<size_t>(exponent + 1 - count), '0');
    } else {
        out.append(mantissa, 0, static_cast<size_t>(exponent) + 1).append(".");
        out.append(mantissa, static_cast<size_t>(exponent) + 1);
    }
}

void write_scalar(const Json& value, std::string& out) {
    switch (value.type()) {
    case Json::Type::Bool: out += value.as_bool() ? "true" : "false"; return;
    case Json::Type::Int: write_number(value.as_int(), out); return;
    case Json::Type::Uint: write_number(value.as_uint(), out); return;
    case Json::Type::Double: write_double(value.as_double(), out); return;
    case Json::Type::String: write_json_string(value.as_string(), out); return;
    default: out += "null"; return;
    }
}

void write_indented(const Json& value, std::string& out, unsigned indent, size_t depth) {
    if (value.empty()) return write_json(value, out);
    const bool object = value.is_object();
    const auto line = [&](size_t level) { out.append("\n").append(level * indent, ' '); };
    out += object ? '{' : '[';
    bool first = true;
    const auto begin = [&] {
        if (!first) out += ',';
        first = false;
        line(depth + 1);
    };
    for (const auto& member : value.members()) {
        begin();
        write_json_string(member.key, out);
        out += ": ";
        write_indented(member.value, out, indent, depth + 1);
    }
    for (const auto& item : value.items()) {
        begin();
        write_indented(item, out, indent, depth + 1);
    }
    line(depth);
    out += object ? '}' : ']';
}

}   // namespace

void write_json_string(std::string_view text, std::string& out) {
    out += '"';
    size_t written = 0;
    for (size_t at = 0; at < text.size();) {
        const auto byte = static_cast<unsigned char>(text[at]);
        if (plain[byte]) {
            ++at;
            continue;
        }
        const size_t length = byte < 0x80 ? 1 : utf8_length(text.substr(at));
        const bool separator = length == 3 && text.substr(at, 2) == "\xe2\x80" &&
                               (text[at + 2] == '\xa8' || text[at + 2] == '\xa9');
        if (length > 1 && !separator) {
            at += length;
            continue;
        }
        out.append(text, written, at - written);
        if (byte < 0x80)
            write_escaped(text[at], out);
        else if (separator)
            out += text[at + 2] == '\xa8' ? "\\u2028" : "\\u2029";
        else
            out += "\\ufffd";
        at += length == 0 ? 1 : length;
        written = at;
    }
    out.append(text, written);
    out += '"';
}

void write_json(const Json& value, std::string& out) {
    if (value.is_object()) {
        char before = '{';
        for (const auto& member : value.members()) {
            out += before;
            before = ',';
            write_json_string(member.key, out);
            out += ':';
            write_json(member.value, out);
        }
        out += value.empty() ? "{}" : "}";
    } else if (value.is_array()) {
        char before = '[';
        for (const auto& item : value.items()) {
            out += before;
            before = ',';
            write_json(item, out);
        }
        out += value.empty() ? "[]" : "]";
    } else {
        write_scalar(value, out);
    }
}

std::string to_json(const Json& value) {
    std::string out;
    write_json(value, out);
    return out;
}

void write_json_pretty(const Json& value, std::string& out, unsigned indent) {
    write_indented(value, out, indent, 0);
}

}   // namespace skiff::codec
