#include "dns/answer_cache.h"

#include <algorithm>

#include "base/text.h"

namespace skiff::dns {
namespace {

constexpr size_t entries_max = 1000;
constexpr size_t answer_bytes_max = 4096;
constexpr uint32_t seconds_max = 30;

// Two queries that differ in more than id and letter case may get different answers.
std::string key_of(const Query& query, std::string_view bytes) {
    const size_t question_end = header_bytes + query.question_bytes.size();
    return concat(bytes.substr(2, header_bytes - 2), lower(query.question_bytes),
                  bytes.substr(question_end));
}

uint32_t read32(const std::string& bytes, size_t at) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
    return value;
}

void write32(std::string& bytes, size_t at, uint32_t value) {
    for (size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(value >> (24 - 8 * i));
}

}   // namespace

std::optional<std::string> AnswerCache::find(const Query& query, std::string_view bytes,
                                             MonoTime now) {
    const auto found = entries_.find(key_of(query, bytes));
    if (found == entries_.end()) return std::nullopt;
    const Entry& entry = found->second;
    if (now >= entry.until) {
        entries_.erase(found);
        return std::nullopt;
    }
    std::string answer = entry.answer;
    answer.replace(0, 2, bytes.substr(0, 2));
    answer.replace(header_bytes, query.question_bytes.size(), query.question_bytes);
    const auto age = static_cast<uint32_t>(
        std::chrono::duration_cast<std::chrono::seconds>(now - entry.since).count());
    for (const size_t at : entry.ttls) {
        const uint32_t ttl = read32(answer, at);
        write32(answer, at, ttl > age ? ttl - age : 0);
    }
    return answer;
}

void AnswerCache::put(const Query& query, std::string_view bytes, std::string answer,
                      MonoTime now) {
    const auto outline = parse_response(answer);
    if (!outline || outline->truncated || answer.size() > answer_bytes_max) return;
    if (outline->code != Code::NoError && outline->code != Code::NameError) return;
    const auto seconds = std::min(outline->ttl_min, seconds_max);
    if (seconds == 0) return;
    if (entries_.size() >= entries_max)
        std::erase_if(entries_, [&](const auto& pair) { return now >= pair.second.until; });
    if (entries_.size() >= entries_max) entries_.clear();   // rare, and cheap to fill again
    entries_[key_of(query, bytes)] = {.answer = std::move(answer),
                                      .ttls = outline->ttls,
                                      .since = now,
                                      .until = now + std::chrono::seconds{seconds}};
}

}   // namespace skiff::dns
