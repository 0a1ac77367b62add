#include "dns/message.h"

#include <algorithm>

namespace skiff::dns {
namespace {

constexpr size_t name_bytes_max = 255;
constexpr size_t label_bytes_max = 63;
constexpr uint16_t flag_response = 0x8000;
constexpr uint16_t flag_authoritative = 0x0400;
constexpr uint16_t flag_truncated = 0x0200;
constexpr uint16_t flag_recursion_desired = 0x0100;
constexpr uint16_t flag_recursion_available = 0x0080;

uint16_t number16(std::string_view bytes, size_t at) {
    return static_cast<uint16_t>(static_cast<uint8_t>(bytes[at]) << 8 |
                                 static_cast<uint8_t>(bytes[at + 1]));
}

uint32_t number32(std::string_view bytes, size_t at) {
    return uint32_t{number16(bytes, at)} << 16 | number16(bytes, at + 2);
}

void put16(std::string& out, unsigned value) {
    out += static_cast<char>(value >> 8);
    out += static_cast<char>(value);
}

void put32(std::string& out, uint32_t value) {
    put16(out, value >> 16);
    put16(out, value & 0xffff);
}

char lower_letter(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

void add_label(std::string& name, std::string_view label) {
    if (!name.empty()) name += '.';
    for (const char c : label) {
        if (c == '.' || c == '\\') name += '\\';
        name += lower_letter(c);
    }
}

// A record's place: everything before its data was read, `data` is within the bytes.
struct RecordHead {
    std::string name;
    Type type{};
    uint16_t klass = 0;
    size_t ttl_at = 0;
    size_t data_at = 0;
    size_t data_size = 0;
};

std::optional<RecordHead> parse_record(std::string_view bytes, size_t& at) {
    RecordHead head;
    auto name = parse_name(bytes, at);
    if (!name || at + 10 > bytes.size()) return std::nullopt;
    head.name = *std::move(name);
    head.type = static_cast<Type>(number16(bytes, at));
    head.klass = number16(bytes, at + 2);
    head.ttl_at = at + 4;
    head.data_size = number16(bytes, at + 8);
    head.data_at = at + 10;
    if (head.data_at + head.data_size > bytes.size()) return std::nullopt;
    at = head.data_at + head.data_size;
    return head;
}

std::optional<Question> parse_question(std::string_view bytes, size_t& at) {
    auto name = parse_name(bytes, at);
    if (!name || at + 4 > bytes.size()) return std::nullopt;
    Question question{.name = *std::move(name),
                      .type = static_cast<Type>(number16(bytes, at)),
                      .klass = number16(bytes, at + 2)};
    at += 4;
    return question;
}

// Data with the names in it expanded, so that it can stand in another message; nothing for types
// that are of no use there.
std::optional<std::string> standing_data(std::string_view bytes, const RecordHead& head) {
    if (head.type == Type::A || head.type == Type::AAAA)
        return std::string{bytes.substr(head.data_at, head.data_size)};
    if (head.type != Type::CNAME) return std::nullopt;
    size_t at = head.data_at;
    const auto target = parse_name(bytes, at);
    if (!target) return std::nullopt;
    return encode_name(*target);
}

void put_record(std::string& out, const Query& query, const Record& record) {
    if (record.name == query.question.name)
        put16(out, 0xc000 | header_bytes);   // the question's own name, as the client wrote it
    else
        out += encode_name(record.name);
    put16(out, static_cast<unsigned>(record.type));
    put16(out, class_internet);
    put32(out, record.ttl);
    put16(out, static_cast<unsigned>(record.data.size()));
    out += record.data;
}

std::string opt_record() {
    std::string out(1, '\0');
    put16(out, static_cast<unsigned>(Type::OPT));
    put16(out, udp_bytes_max);
    put32(out, 0);
    put16(out, 0);
    return out;
}

}   // namespace

std::optional<std::string> parse_name(std::string_view bytes, size_t& at) {
    std::string name;
    size_t size = 1;
    size_t here = at;
    bool jumped = false;
    for (;;) {
        if (here >= bytes.size()) return std::nullopt;
        const auto length = static_cast<uint8_t>(bytes[here]);
        if (length == 0) {
            if (!jumped) at = here + 1;
            return name;
        }
        if ((length & 0xc0) == 0xc0) {
            if (here + 2 > bytes.size()) return std::nullopt;
            const size_t target = number16(bytes, here) & 0x3fff;
            if (!jumped) at = here + 2;
            // Backwards only, and into the body: so it ends.
            if (target >= here || target < header_bytes) return std::nullopt;
            jumped = true;
            here = target;
            continue;
        }
        size += length + 1u;
        if (length > label_bytes_max || here + 1 + length > bytes.size() || size > name_bytes_max)
            return std::nullopt;
        add_label(name, bytes.substr(here + 1, length));
        here += length + 1u;
    }
}

std::string encode_name(std::string_view name) {
    std::string out;
    std::string label;
    const auto flush = [&] {
        if (label.empty() || label.size() > label_bytes_max) return false;
        out += static_cast<char>(label.size());
        out += label;
        label.clear();
        return true;
    };
    for (size_t i = 0; i < name.size(); ++i) {
        if (name[i] == '\\' && i + 1 < name.size()) {
            label += name[++i];
        } else if (name[i] == '.') {
            if (!flush()) return {};
        } else {
            label += name[i];
        }
    }
    if (!label.empty() && !flush()) return {};
    out += '\0';
    return out.size() > name_bytes_max ? std::string{} : out;
}

Received parse_query(std::string_view bytes) {
    if (bytes.size() < header_bytes) return {};
    const uint16_t flags = number16(bytes, 2);
    if (flags & flag_response) return {};   // answering answers would go on for ever
    Query query{.id = number16(bytes, 0),
                .opcode = static_cast<uint8_t>(flags >> 11 & 15),
                .recursion_desired = (flags & flag_recursion_desired) != 0,
                .question = {},
                .question_bytes = {}};
    if (query.opcode != 0) return {.query = {}, .refusal = Code::NotImplemented};
    const Received wrong{.query = {}, .refusal = Code::FormatError};
    if (number16(bytes, 4) != 1) return wrong;
    size_t at = header_bytes;
    auto question = parse_question(bytes, at);
    if (!question) return wrong;
    query.question = *std::move(question);
    query.question_bytes = bytes.substr(header_bytes, at - header_bytes);
    const size_t records = size_t{number16(bytes, 6)} + number16(bytes, 8) + number16(bytes, 10);
    for (size_t i = 0; i < records; ++i) {
        const auto record = parse_record(bytes, at);
        if (!record) return wrong;
        if (record->type != Type::OPT) continue;
        if (query.extended) return wrong;
        query.extended = true;
        query.udp_bytes = std::clamp<uint16_t>(record->klass, plain_udp_bytes_max, udp_bytes_max);
    }
    return {.query = std::move(query), .refusal = {}};
}

std::string encode(const Query& query, const Answer& answer, size_t bytes_max) {
    std::string out;
    put16(out, query.id);
    put16(out, 0);
    put16(out, 1);
    out.append(6, '\0');
    out += query.question_bytes;
    const std::string opt = query.extended ? opt_record() : std::string{};
    const size_t room = bytes_max - std::min(bytes_max, opt.size());
    bool cut = false;
    size_t place = 6;
    for (const auto* section : {&answer.answers, &answer.authority, &answer.additional}) {
        uint16_t count = 0;
        for (const auto& record : *section) {
            std::string bytes;
            put_record(bytes, query, record);
            if (cut || out.size() + bytes.size() > room) {
                cut |= section != &answer.additional;   // those are but a courtesy
                break;
            }
            out += bytes;
            ++count;
        }
        out[place] = static_cast<char>(count >> 8);
        out[place + 1] = static_cast<char>(count);
        place += 2;
    }
    if (!opt.empty()) {
        out += opt;
        out[11] = static_cast<char>(out[11] + 1);
    }
    unsigned flags = flag_response | flag_recursion_available | static_cast<unsigned>(answer.code);
    if (answer.authoritative) flags |= flag_authoritative;
    if (query.recursion_desired) flags |= flag_recursion_desired;
    if (cut) flags |= flag_truncated;
    out[2] = static_cast<char>(flags >> 8);
    out[3] = static_cast<char>(flags);
    return out;
}

std::string encode_refusal(std::string_view bytes, Code code) {
    std::string out{bytes.substr(0, 2)};
    const unsigned flags = number16(bytes, 2);
    put16(out, flag_response | (flags & 0x7800) | (flags & flag_recursion_desired) |
                   static_cast<unsigned>(code));
    out.append(8, '\0');
    return out;
}

std::string a_data(uint32_t address) {
    std::string out;
    put32(out, address);
    return out;
}

std::string srv_data(uint16_t priority, uint16_t weight, uint16_t port, std::string_view target) {
    std::string out;
    put16(out, priority);
    put16(out, weight);
    put16(out, port);
    return out + encode_name(target);
}

std::string txt_data(std::string_view text) {
    std::string out;
    out += static_cast<char>(std::min<size_t>(text.size(), 255));
    return out + std::string{text.substr(0, 255)};
}

std::string soa_data(std::string_view server, std::string_view mailbox, uint32_t serial,
                     uint32_t minimum) {
    std::string out = encode_name(server) + encode_name(mailbox);
    put32(out, serial);
    put32(out, 7200);    // refresh
    put32(out, 1800);    // retry
    put32(out, 86400);   // expire
    put32(out, minimum);
    return out;
}

std::optional<Outline> parse_response(std::string_view bytes) {
    if (bytes.size() < header_bytes) return std::nullopt;
    const uint16_t flags = number16(bytes, 2);
    if (!(flags & flag_response) || number16(bytes, 4) != 1) return std::nullopt;
    Outline outline{.id = number16(bytes, 0),
                    .code = static_cast<Code>(flags & 15),
                    .truncated = (flags & flag_truncated) != 0};
    size_t at = header_bytes;
    auto question = parse_question(bytes, at);
    if (!question) return std::nullopt;
    outline.question = *std::move(question);
    uint32_t smallest = UINT32_MAX;
    const size_t answers = number16(bytes, 6);
    const size_t records = answers + number16(bytes, 8) + number16(bytes, 10);
    for (size_t i = 0; i < records; ++i) {
        const auto record = parse_record(bytes, at);
        if (!record) {
            if (outline.truncated) break;   // cut anywhere
            return std::nullopt;
        }
        if (record->type == Type::OPT) continue;
        const uint32_t ttl = number32(bytes, record->ttl_at);
        outline.ttls.push_back(record->ttl_at);
        smallest = std::min(smallest, ttl);
        if (i >= answers && record->type == Type::SOA && record->data_size >= 4)
            smallest = std::min(smallest, number32(bytes, record->data_at + record->data_size - 4));
        if (i >= answers) continue;
        if (auto data = standing_data(bytes, *record))
            outline.answers.push_back(
                {.name = record->name, .type = record->type, .ttl = ttl, .data = *std::move(data)});
    }
    outline.ttl_min = outline.ttls.empty() ? 0 : smallest;
    return outline;
}

}   // namespace skiff::dns
