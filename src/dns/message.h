// DNS messages on the wire (RFC 1035, RFC 6891): the one question that a query has, and answers.
// Whatever the bytes are, reading them is safe: a name is at most 255 bytes, a pointer must point
// backwards.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skiff::dns {

enum class Type : uint16_t {
    A = 1,
    NS = 2,
    CNAME = 5,
    SOA = 6,
    PTR = 12,
    TXT = 16,
    AAAA = 28,
    SRV = 33,
    OPT = 41,
    ANY = 255
};
enum class Code : uint8_t {
    NoError = 0,
    FormatError = 1,
    ServerFailure = 2,
    NameError = 3,   // NXDOMAIN
    NotImplemented = 4,
    Refused = 5
};

inline constexpr uint16_t class_internet = 1;
inline constexpr size_t header_bytes = 12;
inline constexpr size_t plain_udp_bytes_max = 512;
inline constexpr uint16_t udp_bytes_max = 1232;   // as DNS flag day 2020 has it: no fragments

struct Question {
    std::string name;   // lower case, no dot at the end; a dot within a label is "\."
    Type type{};
    uint16_t klass = class_internet;
};

struct Query {
    uint16_t id = 0;
    uint8_t opcode = 0;
    bool recursion_desired = false;
    bool extended = false;                      // brought an OPT record
    uint16_t udp_bytes = plain_udp_bytes_max;   // what the client takes
    Question question;
    std::string question_bytes;   // as it was asked, with the client's own letter case
};

struct Record {
    std::string name;
    Type type{};
    uint32_t ttl = 0;
    std::string data;   // as on the wire, names in it without compression
};

struct Answer {
    Code code = Code::NoError;
    bool authoritative = true;
    std::vector<Record> answers;
    std::vector<Record> authority;
    std::vector<Record> additional;
};

// What came in: a query, or what is to be answered to bytes that are none. Neither: no answer at
// all, as to answers and to what has not even a header.
struct Received {
    std::optional<Query> query;
    std::optional<Code> refusal;
};
Received parse_query(std::string_view bytes);

// At most `bytes_max`; what does not fit is left out, and the answer says that it was cut.
std::string encode(const Query& query, const Answer& answer, size_t bytes_max);
// An answer to bytes that could not be read: the header, turned round.
std::string encode_refusal(std::string_view bytes, Code code);

std::string encode_name(std::string_view name);   // "" when a label or the name is too long
std::string a_data(uint32_t address);
std::string srv_data(uint16_t priority, uint16_t weight, uint16_t port, std::string_view target);
std::string txt_data(std::string_view text);
std::string soa_data(std::string_view server, std::string_view mailbox, uint32_t serial,
                     uint32_t minimum);

// The name at `at`, which is moved behind it; nothing when it cannot be read.
std::optional<std::string> parse_name(std::string_view bytes, size_t& at);

// What a cache has to know of an answer from elsewhere.
struct Outline {
    uint16_t id = 0;
    Code code{};
    bool truncated = false;
    Question question;
    std::vector<size_t> ttls;   // where they stand, those of OPT left out
    uint32_t ttl_min = 0;       // the smallest; of a denial the SOA's minimum counts too
    struct Span {               // the records of the answer section
        std::string name;
        Type type{};
        uint32_t ttl = 0;
        std::string data;   // addresses and expanded names only
    };
    std::vector<Span> answers;
};
std::optional<Outline> parse_response(std::string_view bytes);

}   // namespace skiff::dns
