#include "dns/message.h"

#include "base/fuzz.h"
#include "base/result.h"

namespace skiff::dns {
namespace {

const fuzz::Target dns{
    "dns", [](std::string_view input) {
        const auto [query, refusal] = parse_query(input);
        if (query) {
            ASSERT(query->udp_bytes <= udp_bytes_max);
            const auto name = encode_name(query->question.name);
            size_t at = 0;
            const auto again = parse_name(name, at);
            ASSERT(again && at == name.size() && *again == query->question.name);
            const Record record{
                .name = query->question.name, .type = Type::A, .ttl = 5, .data = a_data(1)};
            Answer answer;
            answer.answers.assign(40, record);
            ASSERT(encode(*query, answer, query->udp_bytes).size() <= query->udp_bytes);
        }
        if (refusal) ASSERT(encode_refusal(input, *refusal).size() == header_bytes);
        const auto outline = parse_response(input);
        if (!outline) return;
        for (const size_t ttl : outline->ttls) ASSERT(ttl + 4 <= input.size());
    }};

}   // namespace
}   // namespace skiff::dns
